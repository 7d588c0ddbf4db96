//! What `benches/` measures of the inside. Not part of the interface: it may change at any time.

use crate::kernels::{Isa, LANES, roof};
use crate::model::Conv2d;
use crate::ops::conv2d::{self, Geometry};
use crate::ops::dense;
use crate::tensor::Shape;

/// The name of the instruction set in use.
pub fn isa() -> &'static str {
    Isa::current().name()
}

/// Runs rounds of multiply-adds on registers alone, and gives how many floating-point operations
/// they were.
pub fn multiply_adds(rounds: u64) -> u64 {
    roof::multiply_adds(Isa::current(), rounds)
}

/// A convolution with all its operands, in NHWC and HWIO. `kernel` and `dy` are followed by a
/// vector of zeros, which the kernels may read.
pub struct Convolution {
    geometry: Geometry,
    samples: usize,
    transposed: Vec<f32>,
    pub x: Vec<f32>,
    pub kernel: Vec<f32>,
    pub y: Vec<f32>,
    pub dx: Vec<f32>,
    pub dkernel: Vec<f32>,
    pub dy: Vec<f32>,
}

impl Convolution {
    /// Fills the operands with numbers between −0.5 and 0.5.
    ///
    /// # Panics
    /// If `conv` cannot take `input`.
    pub fn new(conv: &Conv2d, input: &Shape, samples: usize) -> Self {
        let window = conv.window(input).expect("an image that the convolution can take");
        let (_, _, channels) = input.as_image().expect("as above");
        let taps = window.kernel[0] * window.kernel[1];
        let y_length = samples * window.output[0] * window.output[1] * conv.filters;
        let kernel_length = taps * channels / conv.groups * conv.filters;
        let geometry = Geometry::new(conv, input);
        let kernel = numbers(kernel_length, LANES);
        let mut transposed = vec![0.0; geometry.transposed_length()];
        conv2d::transpose_kernel(&mut transposed, &kernel, &geometry);
        Self {
            geometry,
            samples,
            transposed,
            x: numbers(samples * input.elements(), 0),
            kernel,
            y: vec![0.0; y_length],
            dx: vec![0.0; samples * input.elements()],
            dkernel: vec![0.0; kernel_length],
            dy: numbers(y_length, LANES),
        }
    }

    /// `y` of `x` and `kernel`.
    pub fn forward(&mut self) {
        let Self { y, x, kernel, samples, geometry, .. } = self;
        conv2d::forward(Isa::current(), y, x, kernel, None, *samples, geometry);
    }

    /// `dx` of `dy` and `kernel`.
    pub fn input_gradient(&mut self) {
        let Self { dx, dy, kernel, transposed, samples, geometry, .. } = self;
        conv2d::input_gradient(Isa::current(), dx, dy, kernel, transposed, *samples, geometry);
    }

    /// `dkernel` of `x` and `dy`.
    pub fn kernel_gradient(&mut self) {
        let Self { dkernel, x, dy, samples, geometry, .. } = self;
        conv2d::kernel_gradient(Isa::current(), dkernel, x, dy, *samples, geometry);
    }
}

/// A dense layer with all its operands, as [`Convolution`].
pub struct Dense {
    geometry: dense::Geometry,
    samples: usize,
    transposed: Vec<f32>,
    pub x: Vec<f32>,
    pub kernel: Vec<f32>,
    pub y: Vec<f32>,
    pub dx: Vec<f32>,
    pub dkernel: Vec<f32>,
    pub dy: Vec<f32>,
}

impl Dense {
    /// Fills the operands with numbers between −0.5 and 0.5.
    pub fn new(inputs: usize, units: usize, samples: usize) -> Self {
        let geometry = dense::Geometry::new(inputs, units);
        let kernel = numbers(inputs * units, LANES);
        let mut transposed = vec![0.0; geometry.transposed_length()];
        dense::transpose_kernel(&mut transposed, &kernel, &geometry);
        Self {
            geometry,
            samples,
            transposed,
            x: numbers(samples * inputs, 0),
            kernel,
            y: vec![0.0; samples * units],
            dx: vec![0.0; samples * inputs],
            dkernel: vec![0.0; inputs * units],
            dy: numbers(samples * units, LANES),
        }
    }

    /// `y` of `x` and `kernel`.
    pub fn forward(&mut self) {
        let Self { y, x, kernel, samples, geometry, .. } = self;
        dense::forward(Isa::current(), y, x, kernel, None, *samples, geometry);
    }

    /// `dx` of `dy` and `kernel`.
    pub fn input_gradient(&mut self) {
        let Self { dx, dy, transposed, samples, geometry, .. } = self;
        dense::input_gradient(Isa::current(), dx, dy, transposed, *samples, geometry);
    }

    /// `dkernel` of `x` and `dy`.
    pub fn kernel_gradient(&mut self) {
        let Self { dkernel, x, dy, samples, geometry, .. } = self;
        dense::kernel_gradient(Isa::current(), dkernel, x, dy, *samples, geometry);
    }
}

/// Numbers whose period, a prime, divides no extent in use; then `zeros`.
fn numbers(length: usize, zeros: usize) -> Vec<f32> {
    const PERIOD: usize = 251;
    let number = |index: usize| (index * 97 % PERIOD) as f32 / PERIOD as f32 - 0.5;
    (0..length).map(number).chain(std::iter::repeat_n(0.0, zeros)).collect()
}
