//! Normalisation of each row by its own mean and variance: n = (x − mean)·inverse, inverse =
//! 1 / √(variance + ε); y = n·gamma + beta. By another [`RowMethod`] the mean is not taken off, and the
//! variance may be about 0.

use crate::kernels::reduce::{Plain, Products, column_sums, sum_in};
use crate::kernels::{Isa, Kernel, LANES, Simd};
use crate::model::RowMethod;

/// Turns rows of `width` values into n, in place; `inverses` gets that of each row, as far as it
/// reaches.
pub(crate) fn normalize(
    isa: Isa,
    values: &mut [f32],
    inverses: &mut [f32],
    width: usize,
    method: RowMethod,
    epsilon: f64,
) {
    isa.run(Normalize { values, inverses, width, method, epsilon });
}

struct Normalize<'a> {
    values: &'a mut [f32],
    inverses: &'a mut [f32],
    width: usize,
    method: RowMethod,
    epsilon: f64,
}

impl Kernel for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { values, inverses, width, method, epsilon } = self;
        let (count, epsilon) = (width as f32, epsilon as f32);
        for (number, row) in values.chunks_exact_mut(width).enumerate() {
            let mut squares = s.splat(0.0);
            if method == RowMethod::Standard {
                let mean = s.splat(sum_in(s, row) / count);
                for part in row.chunks_mut(LANES) {
                    s.store_partial(s.sub(s.load_partial(part), mean), part);
                    let deviation = s.load_partial(part); // +0.0 beyond the row
                    squares = s.mul_add(deviation, deviation, squares);
                }
            } else {
                let mean = match method {
                    RowMethod::RootMeanSquare => 0.0,
                    RowMethod::Standard | RowMethod::Deviation => sum_in(s, row) / count,
                };
                for part in row.chunks(LANES) {
                    let mut deviations = [0.0; LANES];
                    let deviations = &mut deviations[..part.len()];
                    s.store_partial(s.sub(s.load_partial(part), s.splat(mean)), deviations);
                    let deviation = s.load_partial(deviations);
                    squares = s.mul_add(deviation, deviation, squares);
                }
            }
            let variance = s.sum_lanes(squares) / count;
            let inverse = 1.0 / (variance + epsilon).sqrt();
            for part in row.chunks_mut(LANES) {
                s.store_partial(s.mul(s.load_partial(part), s.splat(inverse)), part);
            }
            if let Some(place) = inverses.get_mut(number) {
                *place = inverse;
            }
        }
    }
}

/// What becomes of normalised rows; each as long as a row.
#[derive(Clone, Copy)]
pub(crate) struct Affine<'a> {
    pub(crate) gamma: Option<&'a [f32]>,
    pub(crate) beta: Option<&'a [f32]>,
}

/// y = n·gamma + beta (fused), in place.
pub(crate) fn scale_and_shift(isa: Isa, y: &mut [f32], affine: Affine<'_>, width: usize) {
    if affine.gamma.is_some() || affine.beta.is_some() {
        isa.run(ScaleAndShift { y, affine, width });
    }
}

struct ScaleAndShift<'a> {
    y: &'a mut [f32],
    affine: Affine<'a>,
    width: usize,
}

impl Kernel for ScaleAndShift<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { y, affine: Affine { gamma, beta }, width } = self;
        for row in y.chunks_exact_mut(width) {
            for (first, part) in (0..).step_by(LANES).zip(row.chunks_mut(LANES)) {
                let own = |values: &[f32]| s.load_partial(&values[first..width]);
                let gamma = gamma.map_or_else(|| s.splat(1.0), own);
                let beta = beta.map_or_else(|| s.splat(0.0), own);
                s.store_partial(s.mul_add(s.load_partial(part), gamma, beta), part);
            }
        }
    }
}

/// The gradient of gamma: column sums of dy·n over the `rows` of each sample.
pub(crate) fn gamma_gradient(
    isa: Isa,
    dgamma: &mut [f32],
    dy: &[f32],
    n: &[f32],
    [samples, rows]: [usize; 2],
) {
    column_sums(isa, dgamma, samples, rows, Products { a: dy, b: n });
}

/// The gradient of beta: column sums of dy.
pub(crate) fn beta_gradient(isa: Isa, dbeta: &mut [f32], dy: &[f32], [samples, rows]: [usize; 2]) {
    column_sums(isa, dbeta, samples, rows, Plain(dy));
}

/// What [`normalize`] has left of rows of `width` values.
#[derive(Clone, Copy)]
pub(crate) struct Normalized<'a> {
    pub(crate) n: &'a [f32],
    pub(crate) inverses: &'a [f32],
    pub(crate) width: usize,
    pub(crate) method: RowMethod,
}

/// `dx` = inverse·(g − mean(g) − n·mean(g·n)) per row, g = dy·gamma; without mean(g) where the mean was
/// not taken off, and with n less its mean in the place of n where the variance is about it all the same.
pub(crate) fn input_gradient(
    isa: Isa,
    dx: &mut [f32],
    dy: &[f32],
    normalized: Normalized<'_>,
    gamma: Option<&[f32]>,
) {
    isa.run(InputGradient { dx, dy, normalized, gamma });
}

struct InputGradient<'a> {
    dx: &'a mut [f32],
    dy: &'a [f32],
    normalized: Normalized<'a>,
    gamma: Option<&'a [f32]>,
}

impl Kernel for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { dx, dy, normalized: Normalized { n, inverses, width, method }, gamma } = self;
        let count = s.splat(width as f32);
        let rows = dx.chunks_exact_mut(width).zip(dy.chunks_exact(width));
        for (((dx, dy), n), &inverse) in rows.zip(n.chunks_exact(width)).zip(inverses) {
            let mut sums = [s.splat(0.0); 2];
            for first in (0..width).step_by(LANES) {
                let part = |values: &[f32]| s.load_partial(&values[first..width]);
                let gradient = match gamma {
                    Some(gamma) => s.mul(part(dy), part(gamma)),
                    None => part(dy),
                };
                sums[0] = s.add(sums[0], gradient);
                sums[1] = s.mul_add(gradient, part(n), sums[1]);
                s.store_partial(gradient, &mut dx[first..]);
            }
            let means = sums.map(|sum| s.div(s.splat(s.sum_lanes(sum)), count));
            let [mean, mean_of_n] = match method {
                RowMethod::Standard => [means[0], s.splat(0.0)],
                RowMethod::RootMeanSquare => [s.splat(0.0); 2],
                RowMethod::Deviation => [s.splat(0.0), s.div(s.splat(sum_in(s, n)), count)],
            };
            for (dx, n) in dx.chunks_mut(LANES).zip(n.chunks(LANES)) {
                let centered = s.sub(s.load_partial(dx), mean);
                let n = s.sub(s.load_partial(n), mean_of_n);
                let gradient = s.mul_add(s.neg(n), means[1], centered);
                s.store_partial(s.mul(gradient, s.splat(inverse)), dx);
            }
        }
    }
}
