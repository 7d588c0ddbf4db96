//! relu whose slope left of 0 is learned. `alpha` has the slope for each value of a sample.

use super::broadcast::Broadcast;
use crate::kernels::elementwise::{Binary, Product, binary, binary_in_place};
use crate::kernels::reduce::{NegativeProducts, column_sums};
use crate::kernels::{Isa, Simd};

/// x where positive, else x·alpha
#[derive(Clone, Copy)]
struct PRelu;

impl Binary for PRelu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F, alpha: S::F) -> S::F {
        s.select(s.gt(x, s.splat(0.0)), x, s.mul(x, alpha))
    }
}

/// 1 where x is positive, alpha where it is negative; at 0 it is 0, as in Keras.
#[derive(Clone, Copy)]
struct Slope;

impl Binary for Slope {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F, alpha: S::F) -> S::F {
        let zero = s.splat(0.0);
        let left = s.select(s.gt(zero, x), alpha, zero);
        s.select(s.gt(x, zero), s.splat(1.0), left)
    }
}

/// `y` of `x`.
pub(crate) fn forward(isa: Isa, y: &mut [f32], x: &[f32], alpha: &[f32]) {
    let samples = y.chunks_exact_mut(alpha.len()).zip(x.chunks_exact(alpha.len()));
    samples.for_each(|(y, x)| binary(isa, PRelu, y, x, alpha));
}

/// `dx` of `dy`: the slope times dy.
pub(crate) fn input_gradient(isa: Isa, dx: &mut [f32], dy: &[f32], x: &[f32], alpha: &[f32]) {
    let samples = dx.chunks_exact_mut(alpha.len()).zip(x.chunks_exact(alpha.len()));
    samples.for_each(|(dx, x)| binary(isa, Slope, dx, x, alpha));
    binary_in_place(isa, Product, dx, dy);
}

/// Room for what [`alpha_gradient`] adds up on its way.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    sample: Vec<f32>,
    sums: Vec<f64>,
}

impl Scratch {
    /// For samples of `elements` values and so many `slopes`.
    pub(crate) fn new(elements: usize, slopes: usize) -> Self {
        Self { sample: vec![0.0; elements], sums: vec![0.0; slopes] }
    }
}

/// The gradient of the slopes: dy·min(x, 0), added for each value of a sample over the `samples` in
/// their order, then in f64 over the values that share a slope.
pub(crate) fn alpha_gradient(
    isa: Isa,
    dalpha: &mut [f32],
    scratch: &mut Scratch,
    dy: &[f32],
    x: &[f32],
    samples: usize,
    broadcast: &Broadcast,
) {
    let Scratch { sample, sums } = scratch;
    column_sums(isa, sample, samples, 1, NegativeProducts { dy, x });
    sums.fill(0.0);
    broadcast.add_up(sums, sample);
    for (slope, &sum) in dalpha.iter_mut().zip(&*sums) {
        *slope = sum as f32;
    }
}
