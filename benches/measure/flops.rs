//! How many floating-point operations a network takes for one sample.

use keepnet::{Graph, LayerSpec, NodeId};

/// Forward, in convolutions and dense layers alone: two for each multiply-add, taps in the padding
/// included.
pub(crate) fn forward_flops(graph: &Graph) -> u64 {
    let flops = |index| {
        let node = NodeId(index);
        let channels =
            || *graph.shape(graph.nodes()[index].inputs[0]).dims().last().expect("a rank");
        let per_output = match &graph.layer_of(node).spec {
            LayerSpec::Conv2d(conv) => conv.kernel[0] * conv.kernel[1] * channels() / conv.groups,
            LayerSpec::Dense(_) => channels(),
            _ => 0,
        };
        2 * (per_output * graph.shape(node).elements()) as u64
    };
    (0..graph.nodes().len()).map(flops).sum()
}
