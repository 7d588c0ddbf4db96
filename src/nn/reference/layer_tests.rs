//! The interpreter against numbers worked out by hand; transcendental ones by Python's `math`.

use std::collections::BTreeMap;
use std::f64::consts::LN_2;

use super::activations::{activate, erf};
use super::losses::{Target, loss, penalty};
use super::*;
use crate::model::{
    Activation, Arrange, BatchNormalization, BilinearUpSampling2d, Conv1d, Conv2d, Conv2dTranspose,
    Dense, DepthwiseConv2d, Dropout, GlobalPool1d, GlobalPool2d, GraphBuilder, GroupNormalization,
    LayerNormalization, Loss, Merge, Padding, Padding1d, Pool1d, Pool2d, PoolKind, Rescaling,
    RowMethod, SeparableConv2d, Sequential,
};
use crate::tensor::Shape;

#[track_caller]
fn assert_close<'a>(found: impl IntoIterator<Item = &'a f64>, expected: &[f64]) {
    let found: Vec<f64> = found.into_iter().copied().collect();
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-13 * b.abs().max(1.0) || a == b;
    let all = found.len() == expected.len() && found.iter().zip(expected).all(close);
    assert!(all, "found {found:?}, expected {expected:?}");
}

/// What one layer gives in use for a batch of one sample of `shape`.
fn layer(
    spec: impl Into<LayerSpec>,
    shape: impl Into<Shape>,
    parameters: &[&[f64]],
    input: &[f64],
) -> Vec<f64> {
    let graph = Sequential::new(shape).layer(spec).graph().expect("a layer that fits");
    run(&graph, 1, Mode::Inference, parameters, &[input]).remove(0)
}

/// The outputs of a graph.
fn run(
    graph: &Graph,
    batch: usize,
    mode: Mode,
    parameters: &[&[f64]],
    inputs: &[&[f64]],
) -> Vec<Vec<f64>> {
    let own = |tensors: &[&[f64]]| tensors.iter().map(|t| t.to_vec()).collect::<Vec<_>>();
    let interpreter = Interpreter { graph, batch, mode };
    let outputs = interpreter.outputs(&own(parameters), &own(inputs));
    outputs.into_iter().map(|output| output.into_iter().collect()).collect()
}

fn training() -> Mode {
    Mode::Training { kept: BTreeMap::new(), normals: BTreeMap::new() }
}

const NINE: [f64; 9] = [1., 2., 3., 4., 5., 6., 7., 8., 9.];

/// A convolution of the 3×3 image 1 … 9 with the 2×2 kernel 1 … 4.
fn small_conv(conv: Conv2d) -> Vec<f64> {
    let conv = Conv2d { use_bias: false, ..conv };
    layer(conv, [3, 3, 1], &[&[1., 2., 3., 4.]], &NINE)
}

#[test]
fn error_function() {
    // Python 3.11, math.erf
    let known = [
        (0.1, 0.1124629160182849),
        (0.5, 0.5204998778130465),
        (1.0, 0.8427007929497149),
        (1.5, 0.9661051464753108),
        (2.0, 0.9953222650189527),
        (3.0, 0.9999779095030014),
        (4.0, 0.9999999845827421),
        (7.0, 1.0),
    ];
    for (x, expected) in known {
        assert_close(&[erf(x), erf(-x)], &[expected, -expected]);
    }
    assert_close(&[erf(0.0)], &[0.0]);
}

#[test]
fn activations() {
    let at = |activation, x: [f64; 3]| {
        activate(activation, &ArrayD::from_shape_vec(vec![1, 3], x.to_vec()).expect("three"))
            .into_iter()
            .collect::<Vec<f64>>()
    };
    let x = [-2.0, 0.0, 1.0];
    assert_close(&at(Activation::Linear, x), &x);
    assert_close(&at(Activation::Relu, x), &[0.0, 0.0, 1.0]);
    assert_close(&at(Activation::Relu6, [-1.0, 5.0, 7.0]), &[0.0, 5.0, 6.0]);
    assert_close(&at(Activation::LeakyRelu { negative_slope: 0.3 }, x), &[-0.6, 0.0, 1.0]);
    let elu = at(Activation::Elu { alpha: 0.7 }, [-1.0, 0.0, 2.0]);
    assert_close(&elu, &[-0.44248439117999033, 0.0, 2.0]);
    let selu = at(Activation::Selu, [-1.0, 0.0, 1.0]);
    assert_close(&selu, &[-1.1113307378125625, 0.0, 1.0507009873554805]);
    let gelu = at(Activation::Gelu, [-0.5, 0.0, 1.0]);
    assert_close(&gelu, &[-0.15426876936299344, 0.0, 0.8413447460685429]);
    assert_close(&at(Activation::Silu, x), &[-0.2384058440442351, 0.0, 0.7310585786300049]);
    assert_close(&at(Activation::Sigmoid, x), &[0.11920292202211755, 0.5, 0.7310585786300049]);
    assert_close(&at(Activation::Tanh, x), &[-0.9640275800758169, 0.0, 0.7615941559557649]);
    let softplus = at(Activation::Softplus, [-2.0, 800.0, 1.0]);
    assert_close(&softplus, &[0.1269280110429725, 800.0, 1.3132616875182228]);
    let softmax = [0.09003057317038046, 0.24472847105479767, 0.6652409557748219];
    assert_close(&at(Activation::Softmax, [1.0, 2.0, 3.0]), &softmax);
    assert_close(&at(Activation::Softmax, [801.0, 802.0, 803.0]), &softmax);
}

#[test]
fn activations_pass_nan_on() {
    for activation in [Activation::Relu, Activation::Relu6, Activation::Selu, Activation::Gelu] {
        let y = activate(activation, &ArrayD::from_elem(vec![1, 1], f64::NAN));
        assert!(y[[0, 0]].is_nan(), "{activation}");
    }
}

#[test]
fn softmax_is_over_the_last_axis() {
    let ln = f64::ln;
    let x = [0.0, ln(3.0), ln(2.0), ln(2.0)];
    assert_close(&layer(Activation::Softmax, [2, 2], &[], &x), &[0.25, 0.75, 0.5, 0.5]);
}

#[test]
fn rows_and_groups_are_normalized() {
    let norm = |method| LayerNormalization {
        method,
        epsilon: 1.0,
        center: false,
        scale: false,
        ..Default::default()
    };
    // Mean 3, variance 8, mean square 17.
    let x = [1.0, 1.0, 7.0];
    assert_close(&layer(norm(RowMethod::Standard), [3], &[], &x), &[-2. / 3., -2. / 3., 4. / 3.]);
    let root = 18.0_f64.sqrt();
    let squares = layer(norm(RowMethod::RootMeanSquare), [3], &[], &x);
    assert_close(&squares, &[1. / root, 1. / root, 7. / root]);
    assert_close(&layer(norm(RowMethod::Deviation), [3], &[], &x), &[1. / 3., 1. / 3., 7. / 3.]);
    // Two cells, the channels of which are in two groups: 1, 1, 7, 3 and 0, 0, 0, 0.
    let x = [1.0, 1.0, 0.0, 0.0, 7.0, 3.0, 0.0, 0.0];
    let groups = GroupNormalization { epsilon: 3.0, ..GroupNormalization::new(2) };
    let y = layer(groups, [2, 4], &[&[3., 6., 1., 1.], &[0., 0., 5., 6.]], &x);
    assert_close(&y, &[-2., -4., 5., 6., 4., 0., 5., 6.]);
}

#[test]
fn bilinear_up_sampling() {
    let down = BilinearUpSampling2d { size: [2, 1] };
    assert_close(&layer(down, [2, 1, 1], &[], &[0., 4.]), &[0., 1., 3., 4.]);
    let across = BilinearUpSampling2d { size: [1, 3] };
    assert_close(&layer(across, [1, 2, 1], &[], &[0., 3.]), &[0., 0., 1., 2., 3., 3.]);
}

#[test]
fn conv2d_paddings() {
    assert_close(&small_conv(Conv2d::new(1, 2)), &[37., 47., 67., 77.]);
    let same = Conv2d { padding: Padding::Same, ..Conv2d::new(1, 2) };
    assert_close(&small_conv(same), &[37., 47., 21., 67., 77., 33., 23., 26., 9.]);
    let padding = Padding::Explicit { top: 1, bottom: 0, left: 1, right: 0 };
    let above = Conv2d { padding, ..Conv2d::new(1, 2) };
    assert_close(&small_conv(above), &[4., 11., 18., 18., 37., 47., 36., 67., 77.]);
    let padding = Padding::Explicit { top: 0, bottom: 1, left: 0, right: 0 };
    let below = Conv2d { padding, ..Conv2d::new(1, 2) };
    assert_close(&small_conv(below), &[37., 47., 67., 77., 23., 26.]);
}

#[test]
fn conv2d_strides_and_dilation() {
    let padding = Padding::Same;
    let strided = Conv2d { padding, strides: [2, 2], ..Conv2d::new(1, 2) };
    assert_close(&small_conv(strided), &[37., 21., 23., 9.]);
    let rows = Conv2d { strides: [2, 1], padding, ..Conv2d::new(1, 2) };
    assert_close(&small_conv(rows), &[37., 47., 21., 23., 26., 9.]);
    let dilated = Conv2d { dilation: [2, 2], ..Conv2d::new(1, 2) };
    assert_close(&small_conv(dilated), &[1. + 2. * 3. + 3. * 7. + 4. * 9.]);
    let columns = Conv2d { dilation: [1, 2], ..Conv2d::new(1, 2) };
    let expected = [1. + 6. + 12. + 24., 4. + 12. + 21. + 36.];
    assert_close(&small_conv(columns), &expected);
}

/// The picture under "VALID" and "SAME" at <https://stackoverflow.com/a/37675359>: 13 columns, a
/// window of 6, stride 5. One column of padding goes to the left, two to the right.
#[test]
fn same_padding_of_thirteen_columns() {
    let columns: Vec<f64> = (1..=13).map(f64::from).collect();
    let sums = |padding| {
        let (kernel, strides, use_bias) = ([1, 6], [1, 5], false);
        let conv = Conv2d { kernel, strides, padding, use_bias, ..Conv2d::new(1, 1) };
        layer(conv, [1, 13, 1], &[&[1.0; 6]], &columns)
    };
    assert_close(&sums(Padding::Valid), &[21.0, 51.0]);
    assert_close(&sums(Padding::Same), &[15.0, 45.0, 46.0]);
}

#[test]
fn conv2d_channels_groups_and_bias() {
    // kernel (1, 1, channels, filters); 1·10 + 2·20 + 3·30 and 1·100 + 2·200 + 3·300
    let kernel: &[f64] = &[10., 100., 20., 200., 30., 300.];
    let full = layer(Conv2d::new(2, 1), [1, 1, 3], &[kernel, &[1., 2.]], &[1., 2., 3.]);
    assert_close(&full, &[141., 1402.]);
    // Filter 0 sees channels 0 and 1, filter 1 sees 2 and 3.
    let grouped = Conv2d { groups: 2, ..Conv2d::new(2, 1) };
    let kernel: &[f64] = &[10., 100., 20., 200.];
    let grouped = layer(grouped, [1, 1, 4], &[kernel, &[1., 2.]], &[1., 2., 3., 4.]);
    assert_close(&grouped, &[51., 1102.]);
    // Depthwise, two filters for each channel.
    let depthwise = Conv2d { groups: 2, use_bias: false, ..Conv2d::new(4, 1) };
    let depthwise = layer(depthwise, [1, 1, 2], &[&[2., 3., 5., 7.]], &[1., 10.]);
    assert_close(&depthwise, &[2., 3., 50., 70.]);
}

#[test]
fn conv1d() {
    let conv = |padding, strides| {
        let use_bias = false;
        let conv = Conv1d { padding, strides, use_bias, ..Conv1d::new(1, 2) };
        layer(conv, [4, 1], &[&[1., 10.]], &NINE[..4])
    };
    assert_close(&conv(Padding1d::Valid, 1), &[21., 32., 43.]);
    assert_close(&conv(Padding1d::Same, 1), &[21., 32., 43., 4.]);
    assert_close(&conv(Padding1d::Causal, 1), &[10., 21., 32., 43.]);
    assert_close(&conv(Padding1d::Causal, 2), &[10., 32.]);
    let pool = |padding| Pool1d { padding, ..Pool1d::average(2) };
    assert_close(&layer(pool(Padding1d::Valid), [3, 1], &[], &NINE[..3]), &[1.5]);
    assert_close(&layer(pool(Padding1d::Same), [3, 1], &[], &NINE[..3]), &[1.5, 3.]);
    let whole = GlobalPool1d { kind: PoolKind::Max, keep_dims: false };
    assert_close(&layer(whole, [2, 2], &[], &[1., 5., 3., 4.]), &[3., 5.]);
}

#[test]
fn conv2d_made_of_others() {
    // The grouped convolution of the test above.
    let depthwise = DepthwiseConv2d { depth_multiplier: 2, ..DepthwiseConv2d::new(1) };
    let (kernel, bias): (&[f64], &[f64]) = (&[2., 3., 5., 7.], &[1., 0., 0., 0.]);
    let filtered = layer(depthwise, [1, 1, 2], &[kernel, bias], &[1., 10.]);
    assert_close(&filtered, &[3., 3., 50., 70.]);
    let separable = SeparableConv2d { depth_multiplier: 2, ..SeparableConv2d::new(1, 1) };
    let own: [&[f64]; 3] = [kernel, &[1., 10., 0., 1.], &[0.5]];
    assert_close(&layer(separable, [1, 1, 2], &own, &[1., 10.]), &[2. + 30. + 70. + 0.5]);
}

/// Each value adds the kernel 1, 10, 100 to the result.
#[test]
fn conv2d_transpose() {
    let transposed = |strides, padding, output_padding: Option<usize>| {
        let conv = Conv2dTranspose {
            kernel: [1, 3],
            strides: [1, strides],
            padding,
            output_padding: output_padding.map(|cells| [0, cells]),
            use_bias: false,
            ..Conv2dTranspose::new(1, 1)
        };
        layer(conv, [1, 2, 1], &[&[1., 10., 100.]], &[1., 2.])
    };
    assert_close(&transposed(1, Padding::Valid, None), &[1., 12., 120., 200.]);
    assert_close(&transposed(1, Padding::Same, None), &[12., 120.]);
    assert_close(&transposed(2, Padding::Valid, None), &[1., 10., 102., 20., 200.]);
    assert_close(&transposed(2, Padding::Valid, Some(1)), &[1., 10., 102., 20., 200., 0.]);
    assert_close(&transposed(2, Padding::Same, None), &[1., 10., 102., 20.]);
    assert_close(&transposed(4, Padding::Valid, None), &[1., 10., 100., 0., 2., 20., 200., 0.]);
    let padding = Padding::Explicit { top: 0, bottom: 0, left: 1, right: 1 };
    assert_close(&transposed(2, padding, None), &[10., 102., 20.]);
}

#[test]
fn conv2d_ends_in_its_activation() {
    let conv = Conv2d { activation: Activation::Relu, ..Conv2d::new(1, 1) };
    assert_close(&layer(conv, [1, 2, 1], &[&[1.], &[-2.]], &[1., 5.]), &[0., 3.]);
}

#[test]
fn pool2d() {
    let same = |kind| Pool2d { padding: Padding::Same, ..Pool2d::new(kind, 2) };
    let max = layer(same(PoolKind::Max), [3, 3, 1], &[], &NINE);
    assert_close(&max, &[5., 6., 8., 9.]);
    let average = layer(same(PoolKind::Average), [3, 3, 1], &[], &NINE);
    assert_close(&average, &[3., 4.5, 7.5, 9.]);
    assert_close(&layer(Pool2d::max(2), [3, 3, 1], &[], &NINE), &[5.]);
    let overlapping = Pool2d { strides: [1, 1], ..Pool2d::average(2) };
    assert_close(&layer(overlapping, [3, 3, 1], &[], &NINE), &[3., 4., 6., 7.]);
    let padding = Padding::Explicit { top: 1, bottom: 0, left: 1, right: 0 };
    let explicit = Pool2d { padding, ..Pool2d::average(2) };
    assert_close(&layer(explicit, [3, 3, 1], &[], &NINE), &[1., 2.5, 5.5, 7.]);
    // Padding is no zero: all values are negative.
    let negative: Vec<f64> = NINE.iter().map(|x| -x).collect();
    let max = layer(same(PoolKind::Max), [3, 3, 1], &[], &negative);
    assert_close(&max, &[-1., -3., -7., -9.]);
}

#[test]
fn max_pooling_lets_nan_win() {
    for x in [[f64::NAN, 1.0], [1.0, f64::NAN]] {
        let pool = Pool2d { pool: [1, 2], ..Pool2d::max(1) };
        assert!(layer(pool, [1, 2, 1], &[], &x)[0].is_nan());
    }
}

#[test]
fn global_pool2d() {
    let x = [1., 10., 2., 20., 3., 30., 6., 80.];
    for keep_dims in [false, true] {
        let pool = |kind| GlobalPool2d { kind, keep_dims };
        assert_close(&layer(pool(PoolKind::Max), [2, 2, 2], &[], &x), &[6., 80.]);
        assert_close(&layer(pool(PoolKind::Average), [2, 2, 2], &[], &x), &[3., 35.]);
    }
}

#[test]
fn dense_acts_on_the_last_axis() {
    // (1, 2)·K + b and (3, 4)·K + b with K = ((1, 10), (2, 20))
    let dense = layer(Dense::new(2), [2, 2], &[&[1., 10., 2., 20.], &[5., 6.]], &NINE[..4]);
    assert_close(&dense, &[10., 56., 16., 116.]);
    let relu = Dense { use_bias: false, activation: Activation::Relu, ..Dense::new(2) };
    assert_close(&layer(relu, [1], &[&[1., -1.]], &[2.]), &[2., 0.]);
}

#[test]
fn shapes_change_row_major() {
    assert_close(&layer(LayerSpec::Flatten, [3, 3, 1], &[], &NINE), &NINE);
    assert_close(&layer(LayerSpec::Reshape([9].into()), [3, 1, 3], &[], &NINE), &NINE);
}

#[test]
fn arranges() {
    let six = &NINE[..6];
    let image = |arrange, expected: &[f64]| {
        assert_close(&layer(arrange, [2, 3, 1], &[], six), expected);
    };
    image(Arrange::Permute { dims: vec![2, 1, 3] }, &[1., 4., 2., 5., 3., 6.]);
    image(Arrange::Cropping2d([1, 0, 0, 2]), &[4.]);
    image(
        Arrange::UpSampling2d { size: [1, 2] },
        &[1., 1., 2., 2., 3., 3., 4., 4., 5., 5., 6., 6.],
    );
    let padded = layer(Arrange::ZeroPadding2d([1, 0, 0, 2]), [2, 1, 1], &[], &[1., 2.]);
    assert_close(&padded, &[0., 0., 0., 1., 0., 0., 2., 0., 0.]);
    let sequence = |arrange, expected: &[f64]| {
        assert_close(&layer(arrange, [3, 2], &[], six), expected);
    };
    sequence(Arrange::Cropping1d([0, 1]), &[1., 2., 3., 4.]);
    sequence(Arrange::ZeroPadding1d([1, 0]), &[0., 0., 1., 2., 3., 4., 5., 6.]);
    sequence(Arrange::UpSampling1d { size: 2 }, &[1., 2., 1., 2., 3., 4., 3., 4., 5., 6., 5., 6.]);
    assert_close(&layer(Arrange::RepeatVector { n: 2 }, [2], &[], &[1., 2.]), &[1., 2., 1., 2.]);
    // The third axis first: (1, 2, 3) to (3, 1, 2).
    let permute = Arrange::Permute { dims: vec![3, 1, 2] };
    assert_close(&layer(permute, [1, 2, 3], &[], six), &[1., 4., 2., 5., 3., 6.]);
}

#[test]
fn rescaling() {
    let rescaling = Rescaling { scale: 2.0, offset: -1.0 };
    assert_close(&layer(rescaling, [2], &[], &[3., 4.]), &[5., 7.]);
}

fn merged(merge: Merge, shapes: [[usize; 2]; 2], inputs: [&[f64]; 2]) -> Vec<f64> {
    let mut builder = GraphBuilder::new();
    let left = builder.input("left", shapes[0]);
    let right = builder.input("right", shapes[1]);
    let joined = builder.add(merge, &[left, right]);
    builder.output("joined", joined);
    let graph = builder.build("merge").expect("shapes that fit");
    run(&graph, 1, Mode::Inference, &[], &inputs).remove(0)
}

#[test]
fn merges() {
    let square = [[2, 2]; 2];
    let (left, right): (&[f64], &[f64]) = (&[1., 2., 3., 4.], &[10., 20., 30., 40.]);
    let add = merged(Merge::Add, square, [left, right]);
    assert_close(&add, &[11., 22., 33., 44.]);
    let mixed: &[f64] = &[2., 2., -3., 5.];
    for (merge, expected) in [
        (Merge::Subtract, [-1., 0., 6., -1.]),
        (Merge::Multiply, [2., 4., -9., 20.]),
        (Merge::Average, [1.5, 2., 0., 4.5]),
        (Merge::Maximum, [2., 2., 3., 5.]),
        (Merge::Minimum, [1., 2., -3., 4.]),
    ] {
        assert_close(&merged(merge, square, [left, mixed]), &expected);
    }
    for axis in [1, -2] {
        let below = merged(Merge::Concatenate { axis }, [[2, 2], [1, 2]], [left, &right[..2]]);
        assert_close(&below, &[1., 2., 3., 4., 10., 20.]);
    }
    for axis in [2, -1] {
        let beside = merged(Merge::Concatenate { axis }, square, [left, right]);
        assert_close(&beside, &[1., 2., 10., 20., 3., 4., 30., 40.]);
    }
}

/// The batch is joined sample by sample, not one batch after the other.
#[test]
fn merges_of_a_batch() {
    let mut builder = GraphBuilder::new();
    let left = builder.input("left", [1]);
    let right = builder.input("right", [1]);
    let joined = builder.add(Merge::Concatenate { axis: 1 }, &[left, right]);
    builder.output("joined", joined);
    let graph = builder.build("merge").expect("shapes that fit");
    let joined = run(&graph, 2, Mode::Inference, &[], &[&[1., 2.], &[10., 20.]]);
    assert_close(&joined[0], &[1., 10., 2., 20.]);
}

#[test]
fn dropout() {
    let graph = Sequential::new([2]).dropout(0.2).graph().expect("sound");
    let x: &[f64] = &[4., 8., 12., 16.];
    assert_close(&run(&graph, 2, Mode::Inference, &[], &[x])[0], x);
    let kept = BTreeMap::from([(NodeId(1), vec![true, false, false, true])]);
    let dropped = run(&graph, 2, Mode::Training { kept, normals: BTreeMap::new() }, &[], &[x]);
    assert_close(&dropped[0], &[5., 0., 0., 20.]);
    let all = Sequential::new([2]).layer(Dropout { rate: 0.0 }).graph().expect("sound");
    assert_close(&run(&all, 2, training(), &[], &[x])[0], x);
}

/// Two samples of two pixels of two channels: 1, 3, 5, 7 (mean 4, variance 5) and 2, 2, 2, 6
/// (mean 3, variance 3).
const PIXELS: [f64; 8] = [1., 2., 3., 2., 5., 2., 7., 6.];

fn normalization() -> Graph {
    let norm = BatchNormalization { momentum: 0.75, epsilon: 1.0, ..Default::default() };
    Sequential::new([1, 2, 2]).layer(norm).graph().expect("sound")
}

/// γ, β, moving mean, moving variance
const OWN: [&[f64]; 4] = [&[2., 3.], &[10., 20.], &[1., 2.], &[8., 15.]];

#[test]
fn batch_normalization() {
    let mut graph = normalization();
    // (x − 1) / 3 · 2 + 10 and (x − 2) / 4 · 3 + 20
    let moving = [10., 20., 10. + 4. / 3., 20., 10. + 8. / 3., 20., 14., 23.];
    assert_close(&run(&graph, 2, Mode::Inference, &OWN, &[&PIXELS])[0], &moving);
    // (x − 4) / √6 · 2 + 10 and (x − 3) / 2 · 3 + 20
    let six = 6.0_f64.sqrt();
    let batch = [10. - 6. / six, 18.5, 10. - 2. / six, 18.5, 10. + 2. / six, 18.5, 10. + 6. / six];
    let batch = [&batch[..], &[24.5]].concat();
    assert_close(&run(&graph, 2, training(), &OWN, &[&PIXELS])[0], &batch);
    graph.set_trainable("batch_normalization", false);
    assert_close(&run(&graph, 2, training(), &OWN, &[&PIXELS])[0], &moving);
}

#[test]
fn batch_normalization_moves_its_averages() {
    let own = OWN.map(<[f64]>::to_vec);
    let mut graph = normalization();
    let after = |graph: &Graph, mode| {
        Interpreter { graph, batch: 2, mode }.parameters_after(&own, &[PIXELS.to_vec()])
    };
    let moved = after(&graph, training());
    assert_eq!(moved[..2], own[..2]);
    assert_close(&moved[2], &[1.75, 2.25]); // 1·¾ + 4·¼ and 2·¾ + 3·¼
    assert_close(&moved[3], &[7.25, 12.0]); // 8·¾ + 5·¼ and 15·¾ + 3·¼
    assert_eq!(after(&graph, Mode::Inference), own);
    graph.set_trainable("batch_normalization", false);
    assert_eq!(after(&graph, training()), own);
}

#[test]
fn batch_normalization_without_scale_or_center() {
    let norm = BatchNormalization { center: false, scale: false, epsilon: 1.0, momentum: 0.5 };
    assert_close(&layer(norm, [2], &[&[1., 2.], &[3., 8.]], &[5., 8.]), &[2., 2.]);
}

#[test]
fn a_layer_applied_twice_shares_its_parameters() {
    let mut builder = GraphBuilder::new();
    let input = builder.input("input", [1]);
    let once = builder.add(Dense::new(1), &[input]);
    let twice = builder.again(once, &[once]);
    builder.output("twice", twice).output("once", once);
    let graph = builder.build("shared").expect("sound");
    let results = run(&graph, 1, Mode::Inference, &[&[3.], &[1.]], &[&[2.]]);
    assert_eq!(results, [[22.], [7.]]); // 3·7 + 1 and 3·2 + 1
}

#[track_caller]
fn assert_loss(kind: Loss, shape: [usize; 2], output: &[f64], target: Target, expected: f64) {
    let output = ArrayD::from_shape_vec(shape.to_vec(), output.to_vec()).expect("a batch");
    assert_close(&[loss(kind, &output, &target)], &[expected]);
}

/// −ln ¾
const LN_4_3: f64 = 0.2876820724517809;

#[test]
fn crossentropies() {
    use Loss::*;
    let p = [0.25, 0.75, 0.5, 0.5];
    let classes = || Target::Classes(vec![1, 0]);
    let expected = (LN_4_3 + LN_2) / 2.0; // −ln ¾, −ln ½
    assert_loss(SparseCategoricalCrossentropy, [2, 2], &p, classes(), expected);
    let logits = [0.0, 3.0_f64.ln(), 5.0, 5.0];
    assert_loss(SparseCategoricalCrossentropyWithLogits, [2, 2], &logits, classes(), expected);
    let shares = || Target::Values(vec![0.5, 0.5, 0.0, 1.0]);
    // ½·ln 4 + ½·ln 4/3, ln 2
    let expected = ((2.0 * LN_2 + LN_4_3) / 2.0 + LN_2) / 2.0;
    assert_loss(CategoricalCrossentropy, [2, 2], &p, shares(), expected);
    assert_loss(CategoricalCrossentropyWithLogits, [2, 2], &logits, shares(), expected);
    // −ln(1 − ¼), −ln ¾, −½·ln ½ − ½·ln ½, −ln ½
    let t = || Target::Values(vec![0.0, 1.0, 0.5, 1.0]);
    let expected = (LN_4_3 * 2.0 + LN_2 * 2.0) / 4.0;
    assert_loss(BinaryCrossentropy, [2, 2], &p, t(), expected);
    let logits = [-(3.0_f64.ln()), 3.0_f64.ln(), 0.0, 0.0];
    assert_loss(BinaryCrossentropyWithLogits, [2, 2], &logits, t(), expected);
}

/// Where the target has no share, p = 0 costs nothing; and logits may be large.
#[test]
fn crossentropies_at_the_ends() {
    use Loss::*;
    let sure = || Target::Values(vec![0.0, 1.0]);
    assert_loss(CategoricalCrossentropy, [1, 2], &[0.0, 1.0], sure(), 0.0);
    assert_loss(BinaryCrossentropy, [1, 2], &[0.0, 1.0], sure(), 0.0);
    assert_loss(CategoricalCrossentropyWithLogits, [1, 2], &[2000.0, 1000.0], sure(), 1000.0);
    assert_loss(BinaryCrossentropyWithLogits, [1, 2], &[1000.0, 1000.0], sure(), 500.0);
}

#[test]
fn errors() {
    let target = || Target::Values(vec![0., 0., 1., 1.]);
    let y = [1., -2., 3., 1.];
    assert_loss(Loss::MeanSquaredError, [2, 2], &y, target(), (1. + 4. + 4. + 0.) / 4.);
    assert_loss(Loss::MeanAbsoluteError, [2, 2], &y, target(), (1. + 2. + 2. + 0.) / 4.);
}

#[test]
fn penalties_of_kernels_that_are_trained() {
    let mut graph = Sequential::new([1])
        .layer(Dense { kernel_l2: 0.5, ..Dense::new(2) })
        .layer(Dense { kernel_l2: 0.25, ..Dense::new(1) })
        .graph()
        .expect("sound");
    let parameters = [vec![1., 2.], vec![7., 7.], vec![2., 4.], vec![7.]];
    assert_close(&[penalty(&graph, &parameters)], &[0.5 * 5. + 0.25 * 20.]);
    graph.set_trainable("dense", false);
    assert_close(&[penalty(&graph, &parameters)], &[0.25 * 20.]);
}
