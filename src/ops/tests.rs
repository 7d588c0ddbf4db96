//! Convolution and dense layers on every instruction set against plain loops, bit by bit.

use proptest::prelude::*;
use proptest::sample::select;

use super::conv2d::pooled;
use super::conv2d::{Behind, Pass, Scratch};
use super::{conv2d, dense};
use crate::kernels::reference::{self, Convolution, assert_same_bits};
use crate::kernels::{Isa, LANES, Operands};
use crate::model::{Conv2d, Padding};
use crate::tensor::Shape;

/// `values`, and behind them NaN where kernels may read but must not mind what they find.
fn with_room(mut values: Vec<f32>) -> Vec<f32> {
    values.extend([f32::NAN; LANES]);
    values
}

/// What a layer computes with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operand {
    X,
    Kernel,
    Bias,
    Dy,
}

const OPERANDS: [Operand; 4] = [Operand::X, Operand::Kernel, Operand::Bias, Operand::Dy];

/// So many values of an operand.
type Fill<'a> = &'a dyn Fn(Operand, usize) -> Vec<f32>;

fn usual(operand: Operand, count: usize) -> Vec<f32> {
    reference::values(count, operand as u64)
}

/// Every fifth value of one operand is `special`.
fn with_special(special: f32, of: Operand) -> impl Fn(Operand, usize) -> Vec<f32> {
    move |operand, count| {
        let mut values = usual(operand, count);
        if operand == of {
            values.iter_mut().step_by(5).for_each(|value| *value = special);
        }
        values
    }
}

/// Small whole numbers: sums are exact, so that pixels of a window are often equal.
fn whole_numbers(operand: Operand, count: usize) -> Vec<f32> {
    usual(operand, count).iter().map(|value| value.clamp(-1.0, 1.0).round()).collect()
}

const SPECIAL: [f32; 4] = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -0.0];

/// Input channels, filters, groups: 1, primes and the neighbours of vector widths; then groups of
/// several sizes, and one per channel.
const WIDTHS: [[usize; 3]; 18] = [
    [1, 1, 1],
    [1, 3, 1],
    [1, 32, 1],
    [3, 16, 1],
    [15, 17, 1],
    [16, 15, 1],
    [17, 33, 1],
    [33, 1, 1],
    [32, 67, 1], // more than one block of filters
    [4, 6, 2],
    [34, 32, 2],
    [32, 14, 2],
    [6, 51, 3],
    [3, 3, 3],
    [15, 15, 15],
    [16, 16, 16],
    [33, 33, 33],
    [17, 34, 17],
];

/// Image, kernel, strides, padding, dilation.
type Window = ([usize; 2], [usize; 2], [usize; 2], Padding, [usize; 2]);

fn windows() -> Vec<Window> {
    let explicit = |top, bottom, left, right| Padding::Explicit { top, bottom, left, right };
    vec![
        ([1, 1], [1, 1], [1, 1], Padding::Valid, [1, 1]),
        ([5, 7], [3, 3], [1, 1], Padding::Valid, [1, 1]),
        ([5, 7], [3, 3], [1, 1], Padding::Same, [1, 1]),
        ([4, 5], [2, 4], [1, 1], Padding::Same, [1, 1]),
        ([6, 5], [3, 2], [2, 1], Padding::Same, [1, 1]),
        ([7, 6], [3, 3], [2, 3], Padding::Valid, [1, 1]),
        ([5, 5], [1, 1], [2, 2], Padding::Same, [1, 1]), // cells that no tap reaches
        ([5, 4], [2, 2], [3, 3], Padding::Valid, [1, 1]),
        ([7, 7], [3, 2], [1, 1], Padding::Same, [2, 3]),
        ([7, 5], [2, 3], [2, 2], Padding::Valid, [3, 2]),
        ([6, 6], [3, 3], [2, 2], Padding::Same, [2, 2]), // one phase has all taps
        ([3, 4], [3, 3], [1, 2], explicit(2, 0, 1, 3), [1, 1]),
        ([2, 2], [3, 4], [2, 1], explicit(3, 3, 2, 2), [1, 1]), // windows wholly in the padding
        ([1, 13], [1, 5], [1, 1], Padding::Same, [1, 1]),
        ([2, 3], [7, 7], [1, 1], Padding::Same, [1, 1]),
    ]
}

fn check_convolution(conv: &Conv2d, input: &Shape, samples: usize, fill: Fill<'_>) {
    let window = conv.window(input).expect("a window that fits");
    let (_, _, channels) = input.as_image().expect("an image");
    let twin = Convolution {
        samples,
        input: window.input,
        output: window.output,
        kernel: window.kernel,
        strides: window.strides,
        dilation: window.dilation,
        before: window.before,
        channels,
        filters: conv.filters,
        groups: conv.groups,
    };
    let geometry = conv2d::Geometry::with_input_gradient(conv, input);
    let x = fill(Operand::X, samples * input.elements());
    let dy = fill(Operand::Dy, samples * geometry.cells() * conv.filters);
    let weights = window.kernel[0] * window.kernel[1] * channels / conv.groups * conv.filters;
    let kernel = fill(Operand::Kernel, weights);
    let bias = fill(Operand::Bias, conv.filters);
    let biased = twin.forward(&x, &kernel, Some(&bias));
    let unbiased = twin.forward(&x, &kernel, None);
    let dx_expected = twin.input_gradient(&dy, &kernel);
    let dw_expected = twin.kernel_gradient(&x, &dy);
    let mut arranged = vec![0.0; geometry.arranged_length()];
    conv2d::arrange_kernel(&mut arranged, &kernel, &geometry);
    let (x, dy, kernel) = (with_room(x), with_room(dy), with_room(kernel));
    for isa in Isa::available() {
        let case = (isa, twin);
        let mut scratch = Scratch::new([&geometry].into_iter(), true);
        macro_rules! pass {
            () => {
                Pass { isa, geometry: &geometry, samples, scratch: &mut scratch }
            };
        }
        for (bias, expected) in [(Some(&bias[..]), &biased), (None, &unbiased)] {
            let mut y = vec![f32::NAN; expected.len()];
            let parameters = conv2d::Parameters { kernel: &kernel, bias };
            conv2d::forward(pass!(), &mut y, &x, parameters, Behind::default());
            assert_same_bits(&y, expected, &("forward", case));
            if !geometry.is_depthwise() {
                let behind = Behind { relu: true, ..Behind::default() };
                conv2d::forward(pass!(), &mut y, &x, parameters, behind);
                assert_same_bits(&y, &relu(expected), &("forward with relu", case));
            }
        }
        let mut dx = vec![f32::NAN; dx_expected.len()];
        conv2d::input_gradient(pass!(), &mut dx, &dy, &kernel, &arranged);
        assert_same_bits(&dx, &dx_expected, &("input gradient", case));
        if conv.groups == 1 {
            // From a bias of zero on it is the same; without taps, it is the bias.
            for bias in [None, Some(&vec![0.0; twin.channels][..])] {
                dx.fill(f32::NAN);
                conv2d::transposed(pass!(), &mut dx, &dy, &arranged, bias);
                assert_same_bits(&dx, &dx_expected, &("transposed", case));
            }
        }
        let mut dw = vec![f32::NAN; dw_expected.len()];
        conv2d::kernel_gradient(pass!(), &mut dw, &x, &dy);
        assert_same_bits(&dw, &dw_expected, &("kernel gradient", case));
    }
    if conv.groups == 1 && window.output.iter().all(|&cells| cells >= 2) {
        check_pooled(conv, input, &twin, [&x, &kernel, &bias], fill);
    }
}

/// The same convolution with max pooling behind it, with and without relu.
fn check_pooled(
    conv: &Conv2d,
    input: &Shape,
    twin: &Convolution,
    [x, kernel, bias]: [&[f32]; 3],
    fill: Fill<'_>,
) {
    let geometry = conv2d::Geometry::pooled(conv, input);
    let samples = twin.samples;
    let cases = [(true, Some(bias)), (true, None), (false, Some(bias)), (false, None)];
    for (relu, bias) in cases {
        let (y_expected, winners_expected) = twin.forward_pooled(x, kernel, bias, relu);
        let dy = with_room(fill(Operand::Dy, y_expected.len()));
        let dx_expected = twin.input_gradient_pooled(&dy, &winners_expected, kernel);
        let dw_expected = twin.kernel_gradient_pooled(x, &dy, &winners_expected);
        let mut arranged = vec![0.0; geometry.arranged_length()];
        conv2d::arrange_kernel(&mut arranged, &kernel[..kernel.len() - LANES], &geometry);
        for isa in Isa::available() {
            let case = (isa, relu, twin);
            let mut scratch = Scratch::new([&geometry].into_iter(), true);
            macro_rules! pass {
                () => {
                    Pass { isa, geometry: &geometry, samples, scratch: &mut scratch }
                };
            }
            let mut y = vec![f32::NAN; y_expected.len()];
            let mut winners = vec![u16::MAX; samples * geometry.winners()];
            let parameters = conv2d::Parameters { kernel, bias };
            pooled::forward(pass!(), &mut y, &mut winners, x, parameters, relu);
            assert_same_bits(&y, &y_expected, &("pooled", case));
            y.fill(f32::NAN);
            pooled::forward(pass!(), &mut y, &mut [], x, parameters, relu);
            assert_same_bits(&y, &y_expected, &("pooled without winners", case));
            let gradient = pooled::Gradient { dy: &dy, winners: &winners };
            let mut dx = vec![f32::NAN; dx_expected.len()];
            pooled::input_gradient(pass!(), &mut dx, gradient, &arranged);
            assert_same_bits(&dx, &dx_expected, &("pooled input gradient", case));
            let mut dw = vec![f32::NAN; dw_expected.len()];
            pooled::kernel_gradient(pass!(), &mut dw, x, gradient);
            assert_same_bits(&dw, &dw_expected, &("pooled kernel gradient", case));
        }
    }
}

fn relu(values: &[f32]) -> Vec<f32> {
    values.iter().map(|&value| if 0.0 >= value { 0.0 } else { value }).collect()
}

#[test]
fn convolutions() {
    for [channels, filters, groups] in WIDTHS {
        for (image, kernel, strides, padding, dilation) in windows() {
            let conv =
                Conv2d { kernel, strides, padding, dilation, groups, ..Conv2d::new(filters, 1) };
            let input = Shape::image(image[0], image[1], channels);
            for samples in [1, 3] {
                check_convolution(&conv, &input, samples, &usual);
            }
        }
    }
}

/// Images so large that a kernel takes fewer at a time than there are: sums go on in the next block.
#[test]
fn sums_over_several_blocks() {
    let same = |conv| Conv2d { padding: Padding::Same, ..conv };
    for (conv, input) in [
        (same(Conv2d::new(17, 3)), Shape::image(41, 40, 40)),
        (same(Conv2d::new(9, 3)), Shape::image(41, 40, 32)),
        (same(Conv2d::new(17, 3)), Shape::image(16, 16, 32)), // chunks of 32 windows
        (same(Conv2d::new(18, 3)), Shape::image(16, 16, 131)), // fewer, and blocks of filters
        (same(Conv2d::new(50, 3)), Shape::image(4, 4, 256)),
        (same(Conv2d { groups: 40, ..Conv2d::new(40, 3) }), Shape::image(41, 40, 40)),
        (Conv2d::new(3, 3), Shape::image(257, 256, 1)),
    ] {
        check_convolution(&conv, &input, 2, &usual);
    }
}

/// A tap in the padding is a product with +0.0: ∞ becomes NaN there, and a sum of −0.0 becomes +0.0.
/// What is skipped behind a pooling is no product at all.
#[test]
fn special_values_go_where_they_should() {
    for (channels, filters, groups) in [(2, 3, 1), (16, 35, 1), (3, 3, 3)] {
        let conv = Conv2d { padding: Padding::Same, groups, ..Conv2d::new(filters, 3) };
        let input = Shape::image(5, 4, channels);
        for special in SPECIAL {
            for of in OPERANDS {
                check_convolution(&conv, &input, 2, &with_special(special, of));
            }
        }
    }
}

/// Windows of every four of these, so that each pixel is largest, equal to others, NaN, the first NaN,
/// above zero or not. Filters pass them on, turn their sign, or make NaN of the infinite ones.
#[test]
fn windows_of_every_kind() {
    const VALUES: [f32; 8] =
        [f32::NAN, f32::NEG_INFINITY, -1.0, -0.0, 0.0, 1.0, 2.0, f32::INFINITY];
    const SIDE: usize = 128; // 64 × 64 windows: 8 values for each of 4 pixels
    let pixel = |cell: usize| {
        let (row, column) = (cell / SIDE, cell % SIDE);
        let window = row / 2 * (SIDE / 2) + column / 2;
        VALUES[window >> (3 * (row % 2 * 2 + column % 2)) & 7]
    };
    let fill = |operand: Operand, count: usize| match operand {
        Operand::X => (0..count).map(pixel).collect(),
        Operand::Kernel => (0..count).map(|filter| [1.0, -1.0, 0.0][filter % 3]).collect(),
        Operand::Bias => vec![-0.0; count], // x·1 − 0 is x, whatever its sign
        Operand::Dy => usual(operand, count),
    };
    let input = Shape::image(SIDE, SIDE, 1);
    for filters in [1, 18] {
        check_convolution(&Conv2d::new(filters, 1), &input, 1, &fill);
    }
}

/// Where the relu leaves nothing, a gradient is not even multiplied: NaN goes nowhere.
#[test]
fn dead_windows_pass_nothing_on() {
    let fill = |operand: Operand, count: usize| match operand {
        Operand::Bias => vec![-1e9; count],
        Operand::Dy => vec![f32::NAN; count],
        Operand::X | Operand::Kernel => usual(operand, count),
    };
    for (channels, filters) in [(2, 3), (16, 35)] {
        let (conv, input) = (Conv2d::new(filters, 3), Shape::image(7, 6, channels));
        check_convolution(&conv, &input, 3, &fill);
    }
}

/// Layers that fit, of up to 40 channels and 70 filters.
fn any_convolution() -> impl Strategy<Value = (Conv2d, Shape)> {
    let sides = prop::array::uniform4(0..3_usize);
    let explicit =
        sides.prop_map(|[top, bottom, left, right]| Padding::Explicit { top, bottom, left, right });
    let padding = prop_oneof![Just(Padding::Valid), Just(Padding::Same), explicit];
    let image = [1..9_usize, 1..9];
    let (kernel, strides, dilation) = ([1..5_usize, 1..5], [1..4_usize, 1..4], [1..3_usize, 1..3]);
    let widths = prop_oneof![
        4 => (1..40_usize, 1..70_usize).prop_map(|(channels, filters)| [channels, filters, 1]),
        2 => (1..40_usize).prop_map(|channels| [channels; 3]),
        1 => (2..4_usize, 1..9_usize, 1..20_usize)
            .prop_map(|(groups, channels, filters)| [groups * channels, groups * filters, groups]),
    ];
    (image, kernel, strides, dilation, padding, widths).prop_filter_map(
        "a window that fits",
        |(image, kernel, strides, dilation, padding, [channels, filters, groups])| {
            let conv =
                Conv2d { kernel, strides, padding, dilation, groups, ..Conv2d::new(filters, 1) };
            let input = Shape::image(image[0], image[1], channels);
            conv.window(&input).is_ok().then_some((conv, input))
        },
    )
}

/// What operands hold.
#[derive(Clone, Copy, Debug)]
enum Values {
    Usual,
    WholeNumbers,
    WithSpecial(f32, Operand),
}

impl Values {
    fn fill(self) -> Box<dyn Fn(Operand, usize) -> Vec<f32>> {
        match self {
            Self::Usual => Box::new(usual),
            Self::WholeNumbers => Box::new(whole_numbers),
            Self::WithSpecial(special, of) => Box::new(with_special(special, of)),
        }
    }
}

fn any_values() -> impl Strategy<Value = Values> {
    let special = (select(SPECIAL.to_vec()), select(OPERANDS.to_vec()));
    prop_oneof![
        Just(Values::Usual),
        Just(Values::WholeNumbers),
        special.prop_map(|(special, of)| Values::WithSpecial(special, of)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn convolutions_of_any_shape(
        (conv, input) in any_convolution(), samples in 1..4_usize, values in any_values(),
    ) {
        check_convolution(&conv, &input, samples, &*values.fill());
    }

    #[test]
    fn dense_layers_of_any_shape(
        inputs in 1..60_usize, rows in 1..40_usize, units in 1..160_usize, values in any_values(),
    ) {
        check_dense(inputs, rows, units, &*values.fill());
    }
}

/// Rows and units around every height and width of a tile.
#[test]
fn dense_layers() {
    let rows = [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 16, 17, 23, 24, 25];
    let units = [1, 3, 15, 16, 17, 31, 32, 33, 47, 127, 128, 129, 145];
    for inputs in [1, 3, 15, 16, 17, 33] {
        for (rows, units) in rows.iter().flat_map(|&rows| units.map(|units| (rows, units))) {
            check_dense(inputs, rows, units, &usual);
        }
    }
}

/// Shards of four rows, the last of one or three, and as many as make every form of the tree.
#[test]
fn dense_kernel_gradients_of_whole_batches() {
    for (inputs, units) in [(1, 1), (9, 17), (11, 33), (70, 5), (3, 47), (130, 16)] {
        let geometry = dense::Geometry::new(inputs, units);
        for (shards, last) in (1..20).flat_map(|shards| [(shards, 1), (shards, 3)]) {
            let rows = |shard| if shard + 1 == shards { last } else { 4 };
            let shard = |shard: usize| {
                let x = reference::values(rows(shard) * inputs, shard as u64 + 1);
                let dy = reference::values(rows(shard) * units, shard as u64 + 100);
                (x, with_room(dy))
            };
            let operands: Vec<_> = (0..shards).map(shard).collect();
            let part = |(x, dy): &(Vec<f32>, Vec<f32>)| {
                let dy = &dy[..dy.len() - LANES];
                reference::dense_kernel_gradient(x, dy, inputs, units)
            };
            let parts: Vec<Vec<f32>> = operands.iter().map(part).collect();
            let parts: Vec<&[f32]> = parts.iter().map(Vec::as_slice).collect();
            let expected: Vec<f32> =
                (0..inputs * units).map(|element| reference::tree_sum(&parts, element)).collect();
            for isa in Isa::available() {
                let mut dw = vec![f32::NAN; inputs * units];
                let operands = |shard: usize| {
                    let (x, dy) = &operands[shard];
                    Operands { x, dy, rows: rows(shard) }
                };
                dense::kernel_gradient_of_batch(isa, &mut dw, shards, operands, &geometry);
                assert_same_bits(&dw, &expected, &(isa, inputs, units, shards, last));
            }
        }
    }
}

fn check_dense(inputs: usize, rows: usize, units: usize, fill: Fill<'_>) {
    let geometry = dense::Geometry::new(inputs, units);
    let x = fill(Operand::X, rows * inputs);
    let kernel = fill(Operand::Kernel, inputs * units);
    let bias = fill(Operand::Bias, units);
    let dy = fill(Operand::Dy, rows * units);
    let biased = reference::dense(&x, &kernel, Some(&bias), units);
    let unbiased = reference::dense(&x, &kernel, None, units);
    let dx_expected = reference::dense_input_gradient(&dy, &kernel, units);
    let dw_expected = reference::dense_kernel_gradient(&x, &dy, inputs, units);
    let mut arranged = vec![f32::NAN; geometry.arranged_length()];
    dense::arrange_kernel(&mut arranged, &kernel, &geometry);
    let (kernel, dy) = (with_room(kernel), with_room(dy));
    for isa in Isa::available() {
        let case = (isa, rows, inputs, units);
        for (bias, expected) in [(Some(&bias[..]), &biased), (None, &unbiased)] {
            let mut y = vec![f32::NAN; expected.len()];
            let parameters = dense::Parameters { kernel: &kernel, bias };
            dense::forward(isa, &mut y, &x, parameters, false, rows, &geometry);
            assert_same_bits(&y, expected, &("forward", case));
            dense::forward(isa, &mut y, &x, parameters, true, rows, &geometry);
            assert_same_bits(&y, &relu(expected), &("forward with relu", case));
        }
        let mut dx = vec![f32::NAN; dx_expected.len()];
        let dy_alone = &dy[..rows * units];
        dense::input_gradient(isa, &mut dx, dy_alone, &arranged, rows, &geometry);
        assert_same_bits(&dx, &dx_expected, &("input gradient", case));
        let mut dw = vec![f32::NAN; dw_expected.len()];
        dense::kernel_gradient(isa, &mut dw, &x, &dy, rows, &geometry);
        assert_same_bits(&dw, &dw_expected, &("kernel gradient", case));
    }
}
