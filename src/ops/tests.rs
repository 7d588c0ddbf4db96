//! Convolution and dense layers on every instruction set against plain loops, bit by bit.

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
const WIDTHS: [[usize; 3]; 16] = [
    [1, 1, 1],
    [1, 3, 1],
    [1, 32, 1],
    [3, 16, 1],
    [15, 17, 1],
    [16, 15, 1],
    [17, 33, 1],
    [33, 1, 1],
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
    let geometry = conv2d::Geometry::new(conv, input);
    let x = reference::values(samples * input.elements(), 2);
    let dy = reference::values(samples * geometry.cells() * conv.filters, 3);
    let bias = reference::values(conv.filters, 4);
    let biased = twin.forward(&x, &kernel, Some(&bias));
    let unbiased = twin.forward(&x, &kernel, None);
    let dx_expected = twin.input_gradient(&dy, &kernel);
    let dw_expected = twin.kernel_gradient(&x, &dy);
    let (kernel_length, dy) = (kernel.len(), with_room(dy));
    let kernel = with_room(kernel);
    for isa in Isa::available() {
        let case = (isa, twin);
        for (bias, expected) in [(Some(&bias[..]), &biased), (None, &unbiased)] {
            let mut y = vec![f32::NAN; expected.len()];
            conv2d::forward(isa, &mut y, &x, &kernel, bias, samples, &geometry);
            assert_same_bits(&y, expected, &("forward", case));
        }
        let mut transposed = vec![f32::NAN; geometry.transposed_length()];
        conv2d::transpose_kernel(&mut transposed, &kernel[..kernel_length], &geometry);
        let mut dx = vec![f32::NAN; dx_expected.len()];
        conv2d::input_gradient(
            isa,
            &mut dx,
            &dy[..dy.len() - LANES],
            &kernel[..kernel_length],
            &transposed,
            samples,
            &geometry,
        );
        assert_same_bits(&dx, &dx_expected, &("input gradient", case));
        let mut dw = vec![f32::NAN; dw_expected.len()];
        conv2d::kernel_gradient(isa, &mut dw, &x, &dy, samples, &geometry);
        assert_same_bits(&dw, &dw_expected, &("kernel gradient", case));
    }
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
    let mut transposed = vec![f32::NAN; geometry.transposed_length()];
    dense::transpose_kernel(&mut transposed, &kernel, &geometry);
    let (kernel, dy) = (with_room(kernel), with_room(dy));
    for isa in Isa::available() {
        let case = (isa, rows, inputs, units);
        for (bias, expected) in [(Some(&bias[..]), &biased), (None, &unbiased)] {
            let mut y = vec![f32::NAN; expected.len()];
            dense::forward(isa, &mut y, &x, &kernel, bias, rows, &geometry);
            assert_same_bits(&y, expected, &("forward", case));
        }
        let mut dx = vec![f32::NAN; dx_expected.len()];
        let dy_alone = &dy[..rows * units];
        dense::input_gradient(isa, &mut dx, dy_alone, &transposed, rows, &geometry);
        assert_same_bits(&dx, &dx_expected, &("input gradient", case));
        let mut dw = vec![f32::NAN; dw_expected.len()];
        dense::kernel_gradient(isa, &mut dw, &x, &dy, rows, &geometry);
        assert_same_bits(&dw, &dw_expected, &("kernel gradient", case));
    }
}
