//! A layer that is made of others gives the bits of these, forward and on the way back
//! (`docs/DETERMINISM.md`).

use keepnet::{
    Activation, Arrange, Conv1d, Conv2d, Dataset, DepthwiseConv2d, FitOptions, GlobalPool1d,
    GlobalPool2d, Graph, LayerSpec, Loss, Model, Optimizer, Padding, Padding1d, Pool1d, Pool2d,
    PoolKind, Samples, SeparableConv2d, Sequential, Shape, Softmax, Targets,
};

/// Numbers between −1 and 1, others for each seed.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let number = |i: u32| {
        let mixed = i.wrapping_mul(0x9E37_79B1).wrapping_add(seed.wrapping_mul(0x85EB_CA6B));
        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x2C1B_3C6D);
        (mixed >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count as u32).map(number).collect()
}

fn bits<'a>(values: impl IntoIterator<Item = &'a f32>) -> Vec<u32> {
    values.into_iter().map(|value| value.to_bits()).collect()
}

/// Predictions, and the parameters after two steps, all of them made of the same numbers.
fn results(graph: Graph) -> (Vec<u32>, Vec<Vec<u32>>) {
    const SAMPLES: usize = 19;
    let (input, output) = (graph.shape(graph.inputs()[0]), graph.shape(graph.outputs()[0].node));
    let (input, output) = (input.clone(), output.clone());
    let mut model = Model::new(graph, 1);
    let names: Vec<String> =
        model.graph().parameters().iter().map(|p| model.graph().tensor_name(p)).collect();
    for (seed, name) in (1..).zip(&names) {
        let values = model.parameter_mut(name).expect("its own");
        values.copy_from_slice(&numbers(values.len(), seed));
    }
    let samples = |shape: &Shape, seed| {
        let values = numbers(SAMPLES * shape.elements(), seed);
        Samples::new(SAMPLES, shape.clone(), values).expect("as many as the shape says")
    };
    let inputs = samples(&input, 100);
    let predicted = bits(&model.predict(&inputs).expect("predicts"));
    let data = Dataset::new(inputs, Targets::Values(samples(&output, 101))).expect("as many");
    model.compile(Optimizer::sgd(0.5, 0.9), Loss::MeanSquaredError).expect("settings in range");
    let options = FitOptions { epochs: 2, batch_size: SAMPLES, ..FitOptions::default() };
    model.fit(&data, &options).expect("trains");
    let after = names.iter().map(|name| bits(model.parameter(name).expect("its own")));
    (predicted, after.collect())
}

/// One layer, and others in its place, each behind a layer that shows the gradient of its input.
#[track_caller]
fn assert_same(input: impl Into<Shape>, one: impl Into<LayerSpec>, others: &[LayerSpec]) {
    let input = input.into();
    let channels = input.dims().last().copied().expect("a rank");
    let dense = keepnet::Dense::new(channels);
    let chain = || Sequential::new(input.clone()).layer(dense.clone());
    let whole = chain().layer(one).flatten().graph().expect("a layer that fits");
    let parts = others.iter().cloned().fold(chain(), Sequential::layer);
    let parts = parts.flatten().graph().expect("layers that fit");
    assert_eq!(results(whole), results(parts));
}

fn reshape(shape: impl Into<Shape>) -> LayerSpec {
    LayerSpec::Reshape(shape.into())
}

#[test]
fn sequences_are_images_of_height_1() {
    let (activation, dilation) = (Activation::Relu, 2);
    for (padding, on_images) in [
        (Padding1d::Valid, Padding::Valid),
        (Padding1d::Same, Padding::Same),
        (Padding1d::Causal, Padding::Explicit { top: 0, bottom: 0, left: 4, right: 0 }),
    ] {
        let conv = Conv1d { padding, dilation, activation, ..Conv1d::new(18, 3) };
        let image = Conv2d {
            kernel: [1, 3],
            padding: on_images,
            dilation: [1, 2],
            activation,
            ..Conv2d::new(18, 1)
        };
        assert_same([9, 4], conv, &[reshape([1, 9, 4]), image.into()]);
    }
    for kind in [PoolKind::Max, PoolKind::Average] {
        let pool = Pool1d { strides: 2, ..Pool1d::new(kind, 3) };
        let image = Pool2d { pool: [1, 3], strides: [1, 2], ..Pool2d::new(kind, 1) };
        assert_same([9, 4], pool, &[reshape([1, 9, 4]), image.into()]);
        let pool = GlobalPool1d { kind, keep_dims: false };
        let image = GlobalPool2d { kind, keep_dims: false };
        assert_same([9, 4], pool, &[reshape([1, 9, 4]), image.into()]);
    }
}

#[test]
fn depthwise_convolutions_have_as_many_groups_as_channels() {
    for depth_multiplier in [1, 3] {
        let conv = DepthwiseConv2d {
            depth_multiplier,
            padding: Padding::Same,
            strides: [1, 2],
            ..DepthwiseConv2d::new(3)
        };
        let grouped = Conv2d {
            groups: 5,
            padding: Padding::Same,
            strides: [1, 2],
            ..Conv2d::new(5 * depth_multiplier, 3)
        };
        assert_same([5, 6, 5], conv, &[grouped.into()]);
    }
}

#[test]
fn separable_convolutions_are_two() {
    let activation = Activation::Tanh;
    let conv = SeparableConv2d { depth_multiplier: 2, activation, ..SeparableConv2d::new(7, 3) };
    let depthwise =
        DepthwiseConv2d { depth_multiplier: 2, use_bias: false, ..DepthwiseConv2d::new(3) };
    let pointwise = Conv2d { activation, ..Conv2d::new(7, 1) };
    assert_same([5, 6, 3], conv, &[depthwise.into(), pointwise.into()]);
}

#[test]
fn a_softmax_over_the_last_axis_is_the_activation() {
    for axis in [-1, 2] {
        let graph = Sequential::new([4, 5]).layer(Softmax { axis }).graph().expect("it fits");
        assert_eq!(graph.activation(graph.outputs()[0].node), Activation::Softmax);
        assert_same([4, 5], Softmax { axis }, &[Activation::Softmax.into()]);
    }
    let down = Sequential::new([4, 5]).layer(Softmax { axis: 1 }).graph().expect("it fits");
    assert_eq!(down.activation(down.outputs()[0].node), Activation::Linear);
}

#[test]
fn axes_are_moved_there_and_back() {
    let there = Arrange::Permute { dims: vec![3, 1, 2] };
    let back = Arrange::Permute { dims: vec![2, 3, 1] };
    assert_same([4, 5, 3], Arrange::Cropping2d([0; 4]), &[there.into(), back.into()]);
}
