//! Whole networks: those of textbooks, small graphs that branch, and graphs grown at random.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{JOINING, activation, pool_kind, shapeless, small_image, visual};
use crate::model::{
    Activation, BatchNormalization, Conv2d, Dense, GlobalPool2d, Graph, GraphBuilder, LayerSpec,
    Merge, NodeId, Padding, Pool2d, PoolKind, Sequential,
};
use crate::tensor::Shape;

/// The networks of textbooks: convolution, activation, pooling, twice; then dense layers.
pub(crate) fn classic() -> impl Strategy<Value = Graph> {
    let image = (6..=13_usize, 6..=13_usize, select(vec![1_usize, 3]));
    let padding = select(vec![Padding::Valid, Padding::Same]);
    let filters = select(vec![2_usize, 3, 16, 17]);
    (image, padding, filters, select(vec![2_usize, 3]), pool_kind(), activation()).prop_filter_map(
        "an image that does not vanish",
        |((height, width, channels), padding, filters, window, kind, activation)| {
            let conv = |filters| Conv2d { padding, activation, ..Conv2d::new(filters, window) };
            Sequential::new(Shape::image(height, width, channels))
                .layer(conv(filters))
                .layer(Pool2d::new(kind, 2))
                .layer(conv(filters + 1))
                .layer(Pool2d::new(kind, 2))
                .flatten()
                .dropout(0.25)
                .dense(5, activation)
                .dense(3, Activation::Softmax)
                .graph()
                .ok()
        },
    )
}

/// Small graphs, each of which joins, shares or branches in one way.
pub(crate) fn branching() -> impl Strategy<Value = Graph> {
    let which = select(vec![
        residual as fn(Shape, Activation) -> Graph,
        applied_twice,
        two_inputs_two_outputs,
        consumed_three_times,
        flattened_for_two,
        pooled_twice,
    ]);
    (which, small_image(), activation())
        .prop_map(|(graph, shape, activation)| graph(shape, activation))
}

/// Like its input in height, width and channels.
fn same_conv(shape: &Shape, activation: Activation) -> Conv2d {
    let filters = shape.dims()[2];
    Conv2d { padding: Padding::Same, activation, ..Conv2d::new(filters, 3) }
}

/// x + conv(normalize(conv(x)))
fn residual(shape: Shape, activation: Activation) -> Graph {
    let mut builder = GraphBuilder::new();
    let input = builder.input("input", shape.clone());
    let first = builder.add(same_conv(&shape, activation), &[input]);
    let normal = builder.add(BatchNormalization::default(), &[first]);
    let second = builder.add(same_conv(&shape, Activation::Linear), &[normal]);
    let sum = builder.add(Merge::Add, &[input, second]);
    let output = builder.add(activation, &[sum]);
    builder.output("sum", output);
    builder.build("residual").expect("a sound graph")
}

/// A convolution and a normalization, each applied twice in a row.
fn applied_twice(shape: Shape, activation: Activation) -> Graph {
    let mut builder = GraphBuilder::new();
    let input = builder.input("input", shape.clone());
    let conv = builder.add(same_conv(&shape, activation), &[input]);
    let normal = builder.add(BatchNormalization::default(), &[conv]);
    let conv_again = builder.again(conv, &[normal]);
    let normal_again = builder.again(normal, &[conv_again]);
    builder.output("twice", normal_again);
    builder.build("applied_twice").expect("a sound graph")
}

/// An image and a vector that meet, and an output before they do.
fn two_inputs_two_outputs(shape: Shape, activation: Activation) -> Graph {
    let mut builder = GraphBuilder::new();
    let image = builder.input("image", shape);
    let vector = builder.input("vector", [3]);
    let pooled = builder.add(GlobalPool2d { kind: PoolKind::Average, keep_dims: false }, &[image]);
    let joined = builder.add(Merge::Concatenate { axis: 1 }, &[vector, pooled]);
    let dense = builder.add(Dense { activation, ..Dense::new(4) }, &[joined]);
    builder.output("late", dense).output("early", pooled);
    builder.build("two_inputs_two_outputs").expect("a sound graph")
}

/// A result that three layers take, one of them twice.
fn consumed_three_times(shape: Shape, activation: Activation) -> Graph {
    let mut builder = GraphBuilder::new();
    let input = builder.input("input", shape.clone());
    let source = builder.add(same_conv(&shape, activation), &[input]);
    let left = builder.add(same_conv(&shape, Activation::Linear), &[source]);
    let right = builder.add(Activation::Tanh, &[source]);
    let joined = builder.add(Merge::Concatenate { axis: -1 }, &[left, source, right, source]);
    builder.output("joined", joined);
    builder.build("consumed_three_times").expect("a sound graph")
}

/// A flattened image that two layers take.
fn flattened_for_two(shape: Shape, activation: Activation) -> Graph {
    let mut builder = GraphBuilder::new();
    let input = builder.input("input", shape.clone());
    let conv = builder.add(same_conv(&shape, activation), &[input]);
    let flat = builder.add(LayerSpec::Flatten, &[conv]);
    let left = builder.add(Dense { activation, ..Dense::new(3) }, &[flat]);
    let right = builder.add(Dense::new(2), &[flat]);
    builder.output("left", left).output("right", right);
    builder.build("flattened_for_two").expect("a sound graph")
}

/// A convolution applied twice, each time with a pooling behind it, and one that is an output before
/// its pooling.
fn pooled_twice(shape: Shape, activation: Activation) -> Graph {
    let &[height, width, channels] = shape.dims() else { panic!("not an image") };
    let shape = Shape::image(height + 3, width + 3, channels);
    let mut builder = GraphBuilder::new();
    let input = builder.input("input", shape.clone());
    let conv = builder.add(same_conv(&shape, activation), &[input]);
    let pooled = builder.add(Pool2d::max(2), &[conv]);
    let conv_again = builder.again(conv, &[pooled]);
    let pooled_again = builder.add(Pool2d::max(2), &[conv_again]);
    let read = builder.add(same_conv(&shape, activation), &[input]);
    let behind = builder.add(Pool2d::max(2), &[read]);
    builder.output("twice", pooled_again).output("read", read).output("behind", behind);
    builder.build("pooled_twice").expect("a sound graph")
}

/// One thing to try on a growing graph.
#[derive(Clone, Debug)]
enum Step {
    /// A new layer on a node.
    Layer(LayerSpec, Index),
    /// The layer of one node on another.
    Again(Index, Index),
    /// A merge of two nodes.
    Merge(Merge, Index, Index),
}

/// Graphs grown by steps, each on any node so far; steps that do not fit are passed over. Results
/// that nothing takes become outputs.
pub(crate) fn grown() -> impl Strategy<Value = Graph> {
    let node = any::<Index>;
    let axis = select(vec![-1, 1, 2]).prop_map(|axis| Merge::Concatenate { axis });
    let joining = select([&JOINING[..], &[Merge::Subtract]].concat());
    let step = prop_oneof![
        4 => (visual(), node()).prop_map(|(spec, on)| Step::Layer(spec, on)),
        3 => (shapeless(), node()).prop_map(|(spec, on)| Step::Layer(spec, on)),
        2 => (node(), node()).prop_map(|(of, on)| Step::Again(of, on)),
        3 => (joining, node(), node()).prop_map(|(merge, a, b)| Step::Merge(merge, a, b)),
        2 => (axis, node(), node()).prop_map(|(merge, a, b)| Step::Merge(merge, a, b)),
    ];
    let small = select(vec![Shape::image(4, 5, 2), Shape::image(7, 3, 1), Shape::image(1, 6, 6)]);
    (small, prop::collection::vec(step, 1..10)).prop_map(|(shape, steps)| {
        let mut builder = GraphBuilder::new();
        let input = builder.input("input", shape);
        let mut nodes = vec![input];
        let mut graph = with_ends(&builder, &nodes).expect("an input alone");
        for step in steps {
            let mut next = builder.clone();
            let node = match step {
                Step::Layer(spec, on) => next.add(spec, &[*on.get(&nodes)]),
                Step::Again(of, on) => next.again(*of.get(&nodes), &[*on.get(&nodes)]),
                Step::Merge(merge, a, b) => next.add(merge, &[*a.get(&nodes), *b.get(&nodes)]),
            };
            let grown: Vec<NodeId> = nodes.iter().copied().chain([node]).collect();
            // Concatenations could double the size with every step.
            let small = |graph: &Graph| graph.shape(node).elements() <= 512;
            if let Some(fits) = with_ends(&next, &grown).filter(small) {
                (builder, nodes, graph) = (next, grown, fits);
            }
        }
        graph
    })
}

/// The graph of `builder`, whose `nodes` are outputs where no other takes their result.
fn with_ends(builder: &GraphBuilder, nodes: &[NodeId]) -> Option<Graph> {
    let name = |node: NodeId| format!("output_{}", node.0);
    let mut all = builder.clone();
    for &node in nodes {
        all.output(&name(node), node);
    }
    let graph = all.build("grown").ok()?;
    let taken = |id: &NodeId| graph.nodes().iter().any(|node| node.inputs.contains(id));
    let mut ends = builder.clone();
    for node in nodes.iter().copied().filter(|node| !taken(node)) {
        ends.output(&name(node), node);
    }
    ends.build("grown").ok()
}
