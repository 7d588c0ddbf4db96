//! Layers that become one step: what stands between them is never written.
//!
//! No bit of any result changes, with one exception: a convolution behind which only relu and max
//! pooling stand has an order of summation of its own on the way back (`docs/DETERMINISM.md`).

use super::plan::{Op, Step};
use crate::model::{Activation, Graph, LayerSpec, NodeId, PoolKind};
use crate::ops::{activation, conv2d, pool2d};

/// Fuses what can be, and gives each convolution the geometry that it needs then. `lengths` are those
/// of the buffers, `named` the buffers that are outputs of the graph.
pub(super) fn fuse(
    graph: &Graph,
    steps: &mut Vec<Step>,
    lengths: &mut [usize],
    named: &[usize],
    training: bool,
) {
    fold_activations(steps, lengths, named, training);
    if !training {
        fold_normalizations(graph, steps, lengths, named);
    }
    fuse_poolings(graph, steps, lengths, named);
    prepare_input_gradients(steps);
}

/// Makes one step of a layer without activation and an activation behind it which alone reads it.
fn fold_activations(steps: &mut Vec<Step>, lengths: &mut [usize], named: &[usize], training: bool) {
    let mut index = 0;
    while index < steps.len() {
        let is_activation = matches!(steps[index].op, Op::Activation);
        let maker = is_activation.then(|| bare_maker(steps, index, named)).flatten();
        // On its way back, a softmax reads its own result.
        let able = |&maker: &usize| !matches!(steps[maker].op, Op::Softmax(_));
        let Some(maker) = maker.filter(able) else {
            index += 1;
            continue;
        };
        let activation = steps.remove(index);
        let step = &mut steps[maker];
        lengths[step.output] = 0;
        step.output = activation.output;
        (step.activation, step.width) = (activation.activation, activation.width);
        step.keep_before = training && activation::needs_input(step.activation);
    }
}

/// Makes one step of a convolution and the normalisation behind it which alone reads it. Not for
/// training: shards wait between the two.
fn fold_normalizations(
    graph: &Graph,
    steps: &mut Vec<Step>,
    lengths: &mut [usize],
    named: &[usize],
) {
    let mut index = 0;
    while index < steps.len() {
        let is_norm = matches!(steps[index].op, Op::BatchNormalization(_));
        let maker = is_norm.then(|| bare_maker(steps, index, named)).flatten();
        let able = |&maker: &usize| match &steps[maker].op {
            Op::Conv2d { geometry, .. } => {
                let alike = reads_as_made(graph, &steps[index], &steps[maker]);
                alike && !geometry.is_depthwise() && steps[maker].norm.is_none()
            }
            _ => false,
        };
        let Some(maker) = maker.filter(able) else {
            index += 1;
            continue;
        };
        let behind = steps.remove(index);
        let step = &mut steps[maker];
        if let Op::BatchNormalization(norm) = behind.op {
            step.norm = Some(norm);
        }
        lengths[step.output] = 0;
        step.output = behind.output;
        (step.activation, step.width) = (behind.activation, behind.width);
    }
}

/// Whether the step `reader` sees the result of `maker` in the shape in which it was made: a reshape in
/// between shares the buffer.
fn reads_as_made(graph: &Graph, reader: &Step, maker: &Step) -> bool {
    let read = graph.nodes()[reader.node].inputs[0];
    graph.shape(read) == graph.shape(NodeId(maker.node))
}

/// The step without activation whose result the step `reader`, and nobody else, reads.
fn bare_maker(steps: &[Step], reader: usize, named: &[usize]) -> Option<usize> {
    let value = steps[reader].inputs.first()?.value;
    let readers = steps.iter().flat_map(|step| &step.inputs);
    let alone = readers.filter(|input| input.value == value).count() == 1;
    let maker = steps.iter().position(|step| step.output == value)?;
    let bare = steps[maker].activation == Activation::Linear;
    (alone && bare && !named.contains(&value)).then_some(maker)
}

/// Makes one step of a convolution and the max pooling behind it, where nobody else reads between
/// them, no window overlaps another or reaches past the image, and what happens between is a relu or
/// nothing. On the way back, such a pair has an order of summation of its own.
fn fuse_poolings(graph: &Graph, steps: &mut Vec<Step>, lengths: &mut [usize], named: &[usize]) {
    let mut pooling = 0;
    while pooling < steps.len() {
        let fused = fusible(graph, steps, pooling, named);
        let Some((convolution, geometry)) = fused else {
            pooling += 1;
            continue;
        };
        let pool = steps.remove(pooling);
        let step = &mut steps[convolution];
        if let Op::Conv2d { geometry: unpooled, .. } = &mut step.op {
            **unpooled = geometry;
        }
        lengths[step.output] = 0;
        step.output = pool.output;
    }
}

/// The convolution that the step `pooling` can be fused with, and what they need together.
fn fusible(
    graph: &Graph,
    steps: &[Step],
    pooling: usize,
    named: &[usize],
) -> Option<(usize, conv2d::Geometry)> {
    let (LayerSpec::Pool2d(pool), image) = &steps[pooling].part else { return None };
    let value = steps[pooling].inputs[0].value;
    let convolution = steps[..pooling].iter().position(|step| step.output == value)?;
    let (LayerSpec::Conv2d(conv), input) = &steps[convolution].part else { return None };
    let readers = steps.iter().flat_map(|step| &step.inputs).filter(|input| input.value == value);
    let step = &steps[convolution];
    let bare = steps[pooling].activation == Activation::Linear;
    let alike = reads_as_made(graph, &steps[pooling], step);
    let alone = bare && alike && readers.count() == 1 && !named.contains(&value);
    let simple = step.norm.is_none()
        && conv.groups == 1
        && matches!(step.activation, Activation::Relu | Activation::Linear);
    let (alone, two) = (alone && simple, pool.pool == [2, 2] && pool.strides == [2, 2]);
    let inside = pool2d::stays_inside(pool, image);
    (alone && two && inside && pool.kind == PoolKind::Max)
        .then(|| (convolution, conv2d::Geometry::pooled(conv, input)))
}

/// Prepares the convolutions that pass a gradient on to what they read.
fn prepare_input_gradients(steps: &mut [Step]) {
    for step in steps.iter_mut().filter(|step| step.backward && step.inputs[0].backward) {
        if let (Op::Conv2d { geometry, .. }, (LayerSpec::Conv2d(conv), input)) =
            (&mut step.op, &step.part)
            && !geometry.is_pooled()
        {
            **geometry = conv2d::Geometry::with_input_gradient(conv, input);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::kernels::reference::{assert_same_bits, values};
    use crate::model::{
        Activation, BatchNormalization, Conv2d, Dense, GlobalPool2d, Graph, GraphBuilder,
        LayerSpec, Merge, Padding, Pool2d, PoolKind,
    };
    use crate::nn::Model;
    use crate::tensor::{Samples, Shape};

    /// Every kind of layer that can be fused; `apart`: with an output at each place where it can, so
    /// that nothing is.
    fn graph(apart: bool) -> Graph {
        let mut net = GraphBuilder::new();
        let image = net.input("image", Shape::image(9, 8, 3));
        let mut between = Vec::new();
        let mut add = |net: &mut GraphBuilder, layer: LayerSpec, inputs: &[_]| {
            let node = net.add(layer, inputs);
            between.push(node);
            node
        };
        let conv = Conv2d { padding: Padding::Same, ..Conv2d::new(20, 3) };
        let grouped = Conv2d { groups: 2, ..Conv2d::new(18, 3) };
        let leaky = Activation::LeakyRelu { negative_slope: 0.25 };
        let plain = BatchNormalization { center: false, scale: false, ..Default::default() };
        let x = add(&mut net, conv.clone().into(), &[image]);
        let x = add(&mut net, BatchNormalization::default().into(), &[x]);
        let skipped = add(&mut net, Activation::Relu.into(), &[x]);
        let x = add(&mut net, conv.into(), &[skipped]);
        let x = add(&mut net, plain.into(), &[x]);
        let x = add(&mut net, Merge::Add.into(), &[x, skipped]);
        let x = add(&mut net, Activation::Relu.into(), &[x]);
        let x = add(&mut net, grouped.into(), &[x]);
        let x = add(&mut net, BatchNormalization::default().into(), &[x]);
        let x = add(&mut net, leaky.into(), &[x]);
        let x = add(&mut net, Conv2d::new(5, 2).into(), &[x]);
        let x = add(&mut net, Activation::Relu.into(), &[x]);
        let x = add(&mut net, Pool2d::max(2).into(), &[x]);
        let pooled = GlobalPool2d { kind: PoolKind::Average, keep_dims: false };
        let x = add(&mut net, pooled.into(), &[x]);
        let x = add(&mut net, Dense::new(4).into(), &[x]);
        let y = net.add(leaky, &[x]);
        net.output("y", y);
        for (number, node) in between.into_iter().enumerate().filter(|_| apart) {
            net.output(&format!("between_{number}"), node);
        }
        net.build("fused").expect("a graph that fits")
    }

    /// A model of `graph` with parameters that no layer leaves alone.
    fn with_values(graph: Graph) -> Model {
        let mut model = Model::new(graph, 7);
        for (seed, parameter) in (1..).zip(model.graph().parameters().to_vec()) {
            let name = model.graph().tensor_name(&parameter);
            let place = model.parameter_mut(&name).expect("a parameter of the model");
            for (value, new) in place.iter_mut().zip(values(parameter.shape.elements(), seed)) {
                *value = if parameter.name == "moving_variance" { new.abs() } else { new };
            }
        }
        model
    }

    fn images([height, width, channels]: [usize; 3]) -> Samples {
        let pixels = values(5 * height * width * channels, 99);
        Samples::new(5, Shape::image(height, width, channels), pixels).expect("five images")
    }

    /// What the first output gives.
    fn outputs(model: Model, images: &Samples) -> Vec<f32> {
        let outputs = model.predict_all(std::slice::from_ref(images)).expect("predicts");
        outputs[0].iter().copied().collect()
    }

    #[test]
    fn predictions_keep_their_bits() {
        let images = images([9, 8, 3]);
        let [fused, apart] = [false, true].map(|apart| outputs(with_values(graph(apart)), &images));
        assert_same_bits(&fused, &apart, &"outputs");
    }

    /// Any layers one after the other that fit together.
    fn chain(choices: &[u8], apart: bool) -> Option<Graph> {
        let mut net = GraphBuilder::new();
        let mut shape = vec![8, 8, 4];
        let mut x = net.input("image", Shape::image(8, 8, 4));
        let mut nodes = Vec::new();
        for choice in choices {
            let same =
                |filters, kernel| Conv2d { padding: Padding::Same, ..Conv2d::new(filters, kernel) };
            let layer: LayerSpec = match choice % 9 {
                0 => same(8, 3).into(),
                1 => Conv2d { groups: 2, ..same(4, 2) }.into(),
                2 => Activation::Relu.into(),
                3 => Activation::LeakyRelu { negative_slope: 0.25 }.into(),
                4 => Activation::Softmax.into(),
                5 => BatchNormalization::default().into(),
                6 => Pool2d::max(2).into(),
                // The same number of values in another shape.
                7 if shape.len() == 3 => {
                    LayerSpec::Reshape(Shape::from([shape[0], shape[2], shape[1]]))
                }
                7 => continue,
                _ => LayerSpec::Flatten,
            };
            let node = net.add(layer, &[x]);
            // Layers that do not fit are left out; building tells.
            let mut trial = net.clone();
            trial.output("y", node);
            let Ok(graph) = trial.build("chain") else { return None };
            shape = graph.shape(node).dims().to_vec();
            nodes.push(node);
            x = node;
        }
        net.output("y", x);
        let before = nodes.len().saturating_sub(1);
        for (number, &node) in nodes[..before].iter().enumerate().filter(|_| apart) {
            net.output(&format!("between_{number}"), node);
        }
        net.build("chain").ok()
    }

    /// A softmax over rows that a reshape has made, behind a normalisation.
    #[test]
    fn a_reshaped_softmax_keeps_its_rows() {
        let images = images([8, 8, 4]);
        let [fused, apart] = [false, true]
            .map(|apart| chain(&[1, 5, 7, 4], apart).expect("layers that fit"))
            .map(|graph| outputs(with_values(graph), &images));
        assert_same_bits(&fused, &apart, &"outputs");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn chains_keep_their_bits(choices in proptest::collection::vec(0_u8..9, 1..6)) {
            let graphs = [false, true].map(|apart| chain(&choices, apart));
            let [Some(fused), Some(apart)] = graphs else { return Ok(()) };
            let images = images([8, 8, 4]);
            let [fused, apart] = [fused, apart].map(|graph| outputs(with_values(graph), &images));
            assert_same_bits(&fused, &apart, &choices);
        }
    }
}
