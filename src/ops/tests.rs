//! Convolution and dense layers on every instruction set against plain loops, bit by bit.

use super::conv2d::pooled;
use super::conv2d::{Behind, Pass, Scratch};
use super::{conv2d, dense};
use crate::kernels::reference::{self, Convolution, assert_same_bits};
use crate::kernels::{Isa, LANES};
use crate::model::{Conv2d, Padding};
use crate::tensor::Shape;

/// `values`, and behind them NaN where kernels may read but must not mind what they find.
fn with_room(mut values: Vec<f32>) -> Vec<f32> {
    values.extend([f32::NAN; LANES]);
    values
}

/// Input channels, filters, groups: 1, primes and the neighbours of vector widths; then groups of
/// several sizes, and one per channel.
const WIDTHS: [[usize; 3]; 17] = [
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

fn check_convolution(conv: &Conv2d, input: &Shape, samples: usize, kernel: Vec<f32>) {
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
    let x = reference::values(samples * input.elements(), 2);
    let dy = reference::values(samples * geometry.cells() * conv.filters, 3);
    let bias = reference::values(conv.filters, 4);
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
        let mut dw = vec![f32::NAN; dw_expected.len()];
        conv2d::kernel_gradient(pass!(), &mut dw, &x, &dy);
        assert_same_bits(&dw, &dw_expected, &("kernel gradient", case));
    }
    if conv.groups == 1 && window.output.iter().all(|&cells| cells >= 2) {
        check_pooled(conv, input, &twin, &x, &kernel, &bias);
    }
}

/// The same convolution with max pooling behind it, with and without relu.
fn check_pooled(
    conv: &Conv2d,
    input: &Shape,
    twin: &Convolution,
    x: &[f32],
    kernel: &[f32],
    bias: &[f32],
) {
    let geometry = conv2d::Geometry::pooled(conv, input);
    let samples = twin.samples;
    for (relu, bias) in [(true, Some(bias)), (false, None)] {
        let (y_expected, winners_expected) = twin.forward_pooled(x, kernel, bias, relu);
        let dy = with_room(reference::values(y_expected.len(), 5));
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
            let weights = kernel[0] * kernel[1] * channels / groups * filters;
            for samples in [1, 3] {
                check_convolution(&conv, &input, samples, reference::values(weights, 1));
            }
        }
    }
}

/// A tap in the padding is a product with +0.0: ∞ becomes NaN there, and a sum of −0.0 becomes +0.0.
#[test]
fn padding_is_multiplied() {
    for (channels, filters, groups) in [(2, 3, 1), (3, 3, 3)] {
        let conv = Conv2d { padding: Padding::Same, groups, ..Conv2d::new(filters, 3) };
        let input = Shape::image(4, 4, channels);
        let weights = 9 * channels / groups * filters;
        for special in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -0.0] {
            let mut kernel = reference::values(weights, 7);
            kernel.iter_mut().step_by(5).for_each(|weight| *weight = special);
            check_convolution(&conv, &input, 2, kernel);
        }
    }
}

/// Rows and units around every height and width of a tile.
#[test]
fn dense_layers() {
    let rows = [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 16, 17, 23, 24, 25];
    let units = [1, 3, 15, 16, 17, 31, 32, 33, 47, 127, 128, 129, 145];
    for inputs in [1, 3, 15, 16, 17, 33] {
        for (rows, units) in rows.iter().flat_map(|&rows| units.map(|units| (rows, units))) {
            check_dense(inputs, rows, units);
        }
    }
}

fn check_dense(inputs: usize, rows: usize, units: usize) {
    let geometry = dense::Geometry::new(inputs, units);
    let x = reference::values(rows * inputs, 1);
    let kernel = reference::values(inputs * units, 2);
    let bias = reference::values(units, 3);
    let dy = reference::values(rows * units, 4);
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
