//! What `benches/` measures of the inside. Not part of the interface: it may change at any time.

use crate::kernels::{Isa, LANES, roof};
use crate::model::Conv2d;
use crate::ops::arrange;
use crate::ops::conv2d::{self, Geometry, Parameters, Pass, Scratch};
use crate::tensor::{Aligned, Shape};

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
    transposed: Aligned,
    scratch: Scratch,
    pub x: Aligned,
    pub kernel: Aligned,
    pub y: Aligned,
    pub dx: Aligned,
    pub dkernel: Aligned,
    pub dy: Aligned,
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
        let geometry = Geometry::with_input_gradient(conv, input);
        let kernel = numbers(kernel_length, LANES);
        let mut transposed = Aligned::zeros(kernel_length + LANES);
        if let Some(matrix) = geometry.matrix() {
            arrange::transpose(&mut transposed, &kernel, matrix);
        }
        Self {
            scratch: Scratch::new([&geometry].into_iter(), true),
            geometry,
            samples,
            transposed,
            x: numbers(samples * input.elements(), LANES),
            kernel,
            y: Aligned::zeros(y_length),
            dx: Aligned::zeros(samples * input.elements()),
            dkernel: Aligned::zeros(kernel_length),
            dy: numbers(y_length, LANES),
        }
    }

    /// `y` of `x` and `kernel`.
    pub fn forward(&mut self) {
        let Self { y, x, kernel, samples, geometry, scratch, .. } = self;
        let pass = Pass { isa: Isa::current(), geometry, samples: *samples, scratch };
        conv2d::forward(pass, y, x, Parameters { kernel, bias: None }, false);
    }

    /// `dx` of `dy` and `kernel`.
    pub fn input_gradient(&mut self) {
        let Self { dx, dy, kernel, transposed, samples, geometry, scratch, .. } = self;
        let pass = Pass { isa: Isa::current(), geometry, samples: *samples, scratch };
        conv2d::input_gradient(pass, dx, dy, kernel, transposed);
    }

    /// `dkernel` of `x` and `dy`.
    pub fn kernel_gradient(&mut self) {
        let Self { dkernel, x, dy, samples, geometry, scratch, .. } = self;
        let pass = Pass { isa: Isa::current(), geometry, samples: *samples, scratch };
        conv2d::kernel_gradient(pass, dkernel, x, dy);
    }
}

/// Numbers whose period, a prime, divides no extent in use; then `zeros`.
fn numbers(length: usize, zeros: usize) -> Aligned {
    const PERIOD: usize = 251;
    let mut numbers = Aligned::zeros(length + zeros);
    for (index, number) in numbers[..length].iter_mut().enumerate() {
        *number = (index * 97 % PERIOD) as f32 / PERIOD as f32 - 0.5;
    }
    numbers
}
