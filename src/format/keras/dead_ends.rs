//! What leads to no output: an input that nothing of the outputs depends on, and in a model inside the model
//! all that gives a result nobody takes. Keras keeps it; a graph has none such.

use super::error::KerasError;
use crate::format::report::Notice;
use crate::model::{Graph, GraphError, LayerSpec, Node, NodeId, Output};

/// The nodes whose results nothing takes, but for those that are outputs.
pub(super) fn dead_ends(nodes: &[Node], outputs: &[NodeId]) -> Vec<NodeId> {
    let mut taken = vec![false; nodes.len()];
    for NodeId(node) in nodes.iter().flat_map(|node| &node.inputs).chain(outputs) {
        if let Some(taken) = taken.get_mut(*node) {
            *taken = true;
        }
    }
    (0..nodes.len()).map(NodeId).filter(|node| taken.get(node.0) == Some(&false)).collect()
}

/// As much of `whole` as leads to the first `count` of its outputs, and a notice of each layer of the rest.
pub(super) fn without(whole: &Graph, count: usize) -> Result<(Graph, Vec<Notice>), KerasError> {
    let outputs = whole.outputs().get(..count).unwrap_or_default();
    if outputs.is_empty() {
        return Err(GraphError::Empty { what: "outputs" }.into());
    }
    let mut leads = vec![false; whole.nodes().len()];
    outputs.iter().for_each(|output| mark(&mut leads, output.node));
    for (index, node) in whole.nodes().iter().enumerate().rev() {
        if leads.get(index) == Some(&true) {
            node.inputs.iter().for_each(|&input| mark(&mut leads, input));
        }
    }
    let kept = || whole.nodes().iter().zip(&leads).filter(|&(_, &leads)| leads);
    let mut is_used = vec![false; whole.layers().len()];
    for (node, _) in kept() {
        if let Some(is_used) = is_used.get_mut(node.layer) {
            *is_used = true;
        }
    }
    let (layer_of, node_of) = (renumbered(&is_used), renumbered(&leads));
    let renumber = |&NodeId(node): &NodeId| node_of.get(node).copied().flatten().map(NodeId);
    let nodes = kept().filter_map(|(node, _)| {
        let layer = layer_of.get(node.layer).copied().flatten()?;
        Some(Node { layer, inputs: node.inputs.iter().filter_map(renumber).collect() })
    });
    let outputs = outputs.iter().filter_map(|output| {
        Some(Output { name: output.name.clone(), node: renumber(&output.node)? })
    });
    let layers = whole.layers().iter().zip(&is_used);
    let left_out = layers.clone().filter(|&(_, &is_used)| !is_used).map(|(layer, _)| {
        let name = layer.name.clone();
        match layer.spec {
            LayerSpec::Input(_) => Notice::InputLeftOut { name },
            _ => Notice::LayerLeftOut { name },
        }
    });
    let notices = left_out.collect();
    let layers = layers.filter(|&(_, &is_used)| is_used).map(|(layer, _)| layer.clone()).collect();
    let inputs = whole.inputs().iter().filter_map(renumber).collect();
    let graph = Graph::new(whole.name(), layers, nodes.collect(), inputs, outputs.collect())?;
    Ok((graph, notices))
}

fn mark(leads: &mut [bool], NodeId(node): NodeId) {
    if let Some(leads) = leads.get_mut(node) {
        *leads = true;
    }
}

/// The place of each one that is kept among those.
fn renumbered(kept: &[bool]) -> Vec<Option<usize>> {
    let mut places = 0..;
    kept.iter().map(|&kept| if kept { places.next() } else { None }).collect()
}
