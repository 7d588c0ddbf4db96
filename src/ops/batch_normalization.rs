//! Normalisation of each channel. `x` has `rows` rows of one value per channel: the samples times
//! the cells of a sample.
//!
//! The kernels take vectors of channels through a block of rows each, the last vector first: where the
//! channels are no multiple of 16, it reaches into the next row, which is written later.
//!
//! While training, a shard gives its [`Moments`], shards combine them by the tree, and all go on with
//! the moments of the batch. Backward likewise combines two sums per channel.

use std::ops::Range;

use crate::kernels::elementwise::relu;
use crate::kernels::reduce::{NormalizedProduct, Plain, SquaredDeviation, column_sums};
use crate::kernels::{Isa, Kernel, LANES, Simd, math};

/// Mean and sum of squared deviations of each channel, over `count` rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moments {
    pub(crate) count: f32,
    pub(crate) mean: Vec<f32>,
    pub(crate) squares: Vec<f32>,
}

impl Moments {
    pub(crate) fn new(channels: usize) -> Self {
        Self { count: 0.0, mean: vec![0.0; channels], squares: vec![0.0; channels] }
    }

    /// Takes the moments of `samples` samples of `rows` rows each: the mean first, then the squared
    /// deviations from it, so that nothing cancels.
    pub(crate) fn take(&mut self, isa: Isa, x: &[f32], samples: usize, rows: usize) {
        self.count = (samples * rows) as f32;
        column_sums(isa, &mut self.mean, samples, rows, Plain(x));
        for mean in &mut self.mean {
            *mean /= self.count;
        }
        let term = SquaredDeviation { x, center: &self.mean };
        column_sums(isa, &mut self.squares, samples, rows, term);
    }

    /// Joins the moments of the rows that follow (Chan, Golub and LeVeque, 1979).
    pub(crate) fn join(&mut self, right: &Self) {
        let count = self.count + right.count;
        let share = right.count / count;
        for (channel, (mean, squares)) in self.mean.iter_mut().zip(&mut self.squares).enumerate() {
            let delta = right.mean[channel] - *mean;
            *mean = delta.mul_add(share, *mean);
            *squares += right.squares[channel] + delta * delta * (self.count * share);
        }
        self.count = count;
    }

    /// The biased variance of channel `channel`.
    pub(crate) fn variance(&self, channel: usize) -> f32 {
        self.squares[channel] / self.count
    }

    /// moving = moving·momentum + batch·(1 − momentum), with the biased variance as in Keras.
    pub(crate) fn update_moving(&self, mean: &mut [f32], variance: &mut [f32], momentum: f64) {
        let (keep, take) = (momentum as f32, (1.0 - momentum) as f32);
        for channel in 0..self.mean.len() {
            mean[channel] = canonical(mean[channel] * keep + self.mean[channel] * take);
            variance[channel] = canonical(variance[channel] * keep + self.variance(channel) * take);
        }
    }
}

/// The value, or the one NaN that is kept.
fn canonical(value: f32) -> f32 {
    if value.is_nan() { math::NAN } else { value }
}

/// What turns x into y, per channel: y = (x − mean)·inverse·gamma + beta.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scaling {
    pub(crate) mean: Vec<f32>,
    /// 1 / √(variance + ε)
    pub(crate) inverse: Vec<f32>,
}

impl Scaling {
    pub(crate) fn new(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], inverse: vec![0.0; channels] }
    }

    pub(crate) fn set(&mut self, mean: &[f32], variance: impl Fn(usize) -> f32, epsilon: f64) {
        self.mean.copy_from_slice(mean);
        for (channel, inverse) in self.inverse.iter_mut().enumerate() {
            *inverse = 1.0 / (variance(channel) + epsilon as f32).sqrt();
        }
    }
}

struct Forward<'a> {
    y: &'a mut [f32],
    x: &'a [f32],
    scaling: &'a Scaling,
    affine: Affine<'a>,
}

/// What becomes of normalised values.
#[derive(Clone, Copy)]
pub(crate) struct Affine<'a> {
    pub(crate) gamma: Option<&'a [f32]>,
    pub(crate) beta: Option<&'a [f32]>,
    /// Whether relu follows.
    pub(crate) relu: bool,
}

/// `y` = n·gamma + beta (fused) where n = (x − mean)·inverse; then relu, if it is asked for.
pub(crate) fn forward(isa: Isa, y: &mut [f32], x: &[f32], scaling: &Scaling, affine: Affine<'_>) {
    isa.run(Forward { y, x, scaling, affine });
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { y, x, scaling, affine: Affine { gamma, beta, relu: with_relu } } = self;
        let channels = scaling.mean.len();
        for block in blocks(x.len(), channels) {
            for channel in (0..channels).step_by(LANES).rev() {
                let part = |values: &[f32]| simd.load_partial(&values[channel..]);
                let mean = part(&scaling.mean);
                let inverse = part(&scaling.inverse);
                let gamma = gamma.map_or_else(|| simd.splat(1.0), part);
                let beta = beta.map_or_else(|| simd.splat(0.0), part);
                for start in block.clone().step_by(channels).map(|row| row + channel) {
                    let n = simd.mul(simd.sub(simd.load_partial(&x[start..]), mean), inverse);
                    let scaled = simd.mul_add(n, gamma, beta);
                    let scaled = if with_relu { relu(simd, scaled) } else { scaled };
                    simd.store_partial(scaled, &mut y[start..]);
                }
            }
        }
    }
}

/// Blocks of so many rows that the second-level cache holds them for the next vector of channels, and
/// that the vectors which start a block cost little.
fn blocks(length: usize, channels: usize) -> impl Iterator<Item = Range<usize>> {
    const ROWS: usize = 256;
    let block = ROWS * channels;
    (0..length).step_by(block).map(move |start| start..length.min(start + block))
}

/// The two sums over a shard that its gradients need: `dgamma` = Σ dy·n and `dbeta` = Σ dy, where n
/// = (x − mean)·inverse is computed once more.
pub(crate) fn gradient_sums(
    isa: Isa,
    [dgamma, dbeta]: [&mut [f32]; 2],
    dy: &[f32],
    x: &[f32],
    scaling: &Scaling,
    [samples, rows]: [usize; 2],
) {
    let Scaling { mean, inverse } = scaling;
    column_sums(isa, dgamma, samples, rows, NormalizedProduct { dy, x, mean, inverse });
    column_sums(isa, dbeta, samples, rows, Plain(dy));
}

struct InputGradient<'a> {
    dx: &'a mut [f32],
    dy: &'a [f32],
    x: &'a [f32],
    scaling: &'a Scaling,
    gamma: Option<&'a [f32]>,
    batch: Option<BatchSums<'a>>,
}

/// Sums over the whole batch.
#[derive(Clone, Copy)]
pub(crate) struct BatchSums<'a> {
    pub(crate) count: f32,
    pub(crate) dgamma: &'a [f32],
    pub(crate) dbeta: &'a [f32],
}

/// `dx` = gamma·inverse·(dy − dbeta/count − n·dgamma/count); without `batch`, that is where the
/// moving averages normalise, `dx` = gamma·inverse·dy.
pub(crate) fn input_gradient(
    isa: Isa,
    dx: &mut [f32],
    dy: &[f32],
    x: &[f32],
    scaling: &Scaling,
    gamma: Option<&[f32]>,
    batch: Option<BatchSums<'_>>,
) {
    isa.run(InputGradient { dx, dy, x, scaling, gamma, batch });
}

impl Kernel for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { dx, dy, x, scaling, gamma, batch } = self;
        let channels = scaling.mean.len();
        for block in blocks(dy.len(), channels) {
            for channel in (0..channels).step_by(LANES).rev() {
                let part = |values: &[f32]| simd.load_partial(&values[channel..]);
                let gamma = gamma.map_or_else(|| simd.splat(1.0), part);
                let (mean, inverse) = (part(&scaling.mean), part(&scaling.inverse));
                let scale = simd.mul(gamma, inverse);
                let means = batch.map(|batch| {
                    let count = simd.splat(batch.count);
                    (simd.div(part(batch.dbeta), count), simd.div(part(batch.dgamma), count))
                });
                for start in block.clone().step_by(channels).map(|row| row + channel) {
                    let mut gradient = simd.load_partial(&dy[start..]);
                    if let Some((dbeta, dgamma)) = means {
                        let n = simd.mul(simd.sub(simd.load_partial(&x[start..]), mean), inverse);
                        gradient = simd.mul_add(simd.neg(n), dgamma, simd.sub(gradient, dbeta));
                    }
                    simd.store_partial(simd.mul(gradient, scale), &mut dx[start..]);
                }
            }
        }
    }
}
