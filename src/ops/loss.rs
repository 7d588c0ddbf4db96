//! Losses of a shard: the sum over its samples, each a mean over the sample's elements, and the
//! gradient of the batch's mean. Sums over samples are taken in f64 in the order of the samples.

mod elements;

use super::softmax::exponentials;
use crate::kernels::{Isa, Kernel, LANES, Simd, math, scalar};
use crate::model::Loss;
use crate::tensor::Targets;

/// What is compared with what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task<'a> {
    pub(crate) loss: Loss,
    /// The share of each target that is spread evenly; 0 but for categorical and binary cross-entropy.
    pub(crate) label_smoothing: f32,
    /// Length of the output's last axis: the classes.
    pub(crate) width: usize,
    pub(crate) targets: &'a Targets,
    /// The numbers of the shard's samples among the targets.
    pub(crate) indices: &'a [usize],
    /// What the gradient is multiplied by: the loss' weight over the samples of the batch.
    pub(crate) scale: f32,
}

/// Keras' ε: how far probabilities are held from 0 and 1 before their logarithm is taken, and what
/// divisors are at least.
const EPSILON: f64 = 1e-7;

/// The sum of the losses of the samples whose outputs are `y`. `unwanted` and `target` (one sample each)
/// are overwritten.
pub(crate) fn value(
    isa: Isa,
    unwanted: &mut [f32],
    target: &mut [f32],
    y: &[f32],
    task: &Task<'_>,
) -> f64 {
    isa.run(Shard { dy: unwanted, stride: 0, target, y, task })
}

/// The same, and `dy`, the gradient of the batch's mean loss with respect to `y`. `target` (one sample)
/// is overwritten.
pub(crate) fn gradient(
    isa: Isa,
    dy: &mut [f32],
    target: &mut [f32],
    y: &[f32],
    task: &Task<'_>,
) -> f64 {
    isa.run(Shard { stride: target.len(), dy, target, y, task })
}

struct Shard<'a> {
    dy: &'a mut [f32],
    /// From one sample's gradient to the next.
    stride: usize,
    target: &'a mut [f32],
    y: &'a [f32],
    task: &'a Task<'a>,
}

impl Kernel for Shard<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let Self { dy, stride, target, y, task } = self;
        let length = target.len();
        let mut total = 0.0;
        for (sample, (&index, y)) in task.indices.iter().zip(y.chunks_exact(length)).enumerate() {
            match task.targets {
                Targets::Classes(classes) => {
                    target.fill(0.0);
                    target[classes[index] as usize] = 1.0;
                }
                Targets::Values(values) => {
                    values.copy_sample(index, target);
                    smooth(target, task);
                }
            }
            total += of_sample(s, &mut dy[sample * stride..][..length], y, target, task);
        }
        total
    }
}

/// Moves the targets of one sample towards the even distribution.
fn smooth(target: &mut [f32], task: &Task<'_>) {
    let Task { loss, label_smoothing, width, .. } = *task;
    if label_smoothing == 0.0 {
        return;
    }
    let is_binary = matches!(loss.with_logits(), Loss::BinaryCrossentropyWithLogits);
    let even = if is_binary { 0.5 } else { 1.0 / width as f32 };
    target.iter_mut().for_each(|t| *t = label_smoothing.mul_add(even - *t, *t));
}

/// The loss of one sample, and its gradient.
#[inline(always)]
fn of_sample<S: Simd>(s: S, dy: &mut [f32], y: &[f32], target: &[f32], task: &Task<'_>) -> f64 {
    let Task { loss, width, scale, .. } = *task;
    let rows = y.len() / width;
    let per_element = scale / y.len() as f32;
    match loss {
        Loss::SparseCategoricalCrossentropyWithLogits | Loss::CategoricalCrossentropyWithLogits => {
            let mut sum = 0.0;
            let parts = y.chunks_exact(width).zip(target.chunks_exact(width));
            for (dy, (y, target)) in dy.chunks_exact_mut(width).zip(parts) {
                sum += crossentropy_of_logits(s, dy, y, target, scale / rows as f32);
            }
            sum / rows as f64
        }
        Loss::SparseCategoricalCrossentropy
        | Loss::CategoricalCrossentropy
        | Loss::KlDivergence
        | Loss::CategoricalHinge
        | Loss::CosineSimilarity => {
            let of_row = match loss {
                Loss::SparseCategoricalCrossentropy => sparse_crossentropy,
                Loss::CategoricalCrossentropy => crossentropy,
                Loss::KlDivergence => kl_divergence,
                Loss::CategoricalHinge => categorical_hinge,
                _ => cosine_similarity,
            };
            let mut sum = 0.0;
            let parts = y.chunks_exact(width).zip(target.chunks_exact(width));
            for (dy, (y, target)) in dy.chunks_exact_mut(width).zip(parts) {
                sum += of_row(dy, y, target, f64::from(scale) / rows as f64);
            }
            sum / rows as f64
        }
        Loss::BinaryCrossentropyWithLogits => {
            let mut lanes = s.splat(0.0);
            let parts = y.chunks(LANES).zip(target.chunks(LANES));
            for (dy, (y, target)) in dy.chunks_mut(LANES).zip(parts) {
                let (z, t) = (s.load_partial(y), s.load_partial(target));
                // Lanes beyond the end would add softplus(0) = ln 2.
                let mut terms = s.to_array(s.sub(math::softplus(s, z), s.mul(z, t)));
                terms[y.len()..].fill(0.0);
                lanes = s.add(lanes, s.vector(terms));
                let difference = s.sub(math::sigmoid(s, z), t);
                s.store_partial(s.mul(difference, s.splat(per_element)), dy);
            }
            f64::from(s.sum_lanes(lanes)) / y.len() as f64
        }
        Loss::BinaryCrossentropy => mean_of(dy, y, target, per_element, elements::crossentropy),
        Loss::MeanSquaredError => mean_of(dy, y, target, per_element, elements::square),
        Loss::MeanAbsoluteError => mean_of(dy, y, target, per_element, elements::absolute),
        Loss::Huber { delta } => {
            mean_of(dy, y, target, per_element, |y, t| elements::huber(y, t, delta))
        }
        Loss::LogCosh => mean_of(dy, y, target, per_element, elements::log_cosh),
        Loss::Poisson => mean_of(dy, y, target, per_element, elements::poisson),
        Loss::Hinge => mean_of(dy, y, target, per_element, elements::hinge),
        Loss::SquaredHinge => mean_of(dy, y, target, per_element, elements::squared_hinge),
        Loss::MeanAbsolutePercentageError => {
            mean_of(dy, y, target, per_element, elements::absolute_percentage)
        }
        Loss::MeanSquaredLogarithmicError => {
            mean_of(dy, y, target, per_element, elements::squared_logarithmic)
        }
    }
}

/// −Σ t·ln softmax(z), computed as Σt·(m + ln Σeᶻ⁻ᵐ) − Σt·z; dz = softmax(z)·Σt − t.
#[inline(always)]
fn crossentropy_of_logits<S: Simd>(
    s: S,
    dz: &mut [f32],
    z: &[f32],
    target: &[f32],
    scale: f32,
) -> f64 {
    dz.copy_from_slice(z);
    let (largest, sum) = exponentials(s, dz);
    let (mut weight, mut towards) = (0.0_f64, 0.0_f64);
    for (&z, &t) in z.iter().zip(target) {
        if t != 0.0 {
            weight += f64::from(t);
            towards += f64::from(t) * f64::from(z - largest);
        }
    }
    let share = s.splat(weight as f32 / sum);
    for (dz, target) in dz.chunks_mut(LANES).zip(target.chunks(LANES)) {
        let t = s.load_partial(target);
        let difference = s.sub(s.mul(s.load_partial(dz), share), t);
        s.store_partial(s.mul(difference, s.splat(scale)), dz);
    }
    weight * scalar::ln(f64::from(sum)) - towards
}

/// −Σ t·ln q with q = c / Σc, c being p clipped: Keras clips before it normalises where targets are
/// classes. In f64, for probabilities that no softmax of ours has made.
fn sparse_crossentropy(dp: &mut [f32], p: &[f32], target: &[f32], scale: f64) -> f64 {
    let sum: f64 = p.iter().map(|&p| clipped(f64::from(p))).sum();
    let weight: f64 = target.iter().map(|&t| f64::from(t)).sum();
    let mut loss = weight * scalar::ln(sum);
    for (dp, (&p, &t)) in dp.iter_mut().zip(p.iter().zip(target)) {
        let (p, t) = (f64::from(p), f64::from(t));
        if t != 0.0 {
            loss -= t * scalar::ln(clipped(p));
        }
        let slope = if clipped(p) == p { weight / sum - t / p } else { 0.0 };
        *dp = (slope * scale) as f32;
    }
    loss
}

/// −Σ t·ln q with q = p / Σp, clipped: where targets are distributions Keras normalises first.
fn crossentropy(dp: &mut [f32], p: &[f32], target: &[f32], scale: f64) -> f64 {
    let sum: f64 = p.iter().map(|&p| f64::from(p)).sum();
    let (mut loss, mut shared) = (0.0, 0.0);
    let slope = |p: f32, t: f32| {
        let q = f64::from(p) / sum;
        let inside = clipped(q) == q;
        (q, if inside && t != 0.0 { -f64::from(t) / q } else { 0.0 })
    };
    for (&p, &t) in p.iter().zip(target) {
        let (q, dq) = slope(p, t);
        if t != 0.0 {
            loss -= f64::from(t) * scalar::ln(clipped(q));
        }
        shared += dq * q;
    }
    for (dp, (&p, &t)) in dp.iter_mut().zip(p.iter().zip(target)) {
        *dp = ((slope(p, t).1 - shared) / sum * scale) as f32;
    }
    loss
}

/// Σ t·ln(t / y), both held within [`EPSILON`] and 1.
fn kl_divergence(dy: &mut [f32], y: &[f32], target: &[f32], scale: f64) -> f64 {
    let mut loss = 0.0;
    for (dy, (&y, &t)) in dy.iter_mut().zip(y.iter().zip(target)) {
        let (y, t) = (f64::from(y), f64::from(t).clamp(EPSILON, 1.0));
        let held = y.clamp(EPSILON, 1.0);
        loss += t * (scalar::ln(t) - scalar::ln(held));
        *dy = (if held == y { -t / y * scale } else { 0.0 }) as f32;
    }
    loss
}

/// max(max (1 − t)·y − Σ t·y + 1, 0); the first of the largest takes the gradient.
fn categorical_hinge(dy: &mut [f32], y: &[f32], target: &[f32], scale: f64) -> f64 {
    let pairs = || y.iter().zip(target).map(|(&y, &t)| (f64::from(y), f64::from(t)));
    let right: f64 = pairs().map(|(y, t)| t * y).sum();
    let (mut best, mut wrong) = (0, f64::NEG_INFINITY);
    for (place, (y, t)) in pairs().enumerate() {
        let value = (1.0 - t) * y;
        if value > wrong || value.is_nan() {
            (best, wrong) = (place, value);
        }
    }
    let loss = wrong - right + 1.0;
    let active = if loss <= 0.0 { 0.0 } else { scale };
    for (place, (dy, &t)) in dy.iter_mut().zip(target).enumerate() {
        let t = f64::from(t);
        let slope = if place == best { 1.0 - t - t } else { -t };
        *dy = (slope * active) as f32;
    }
    if loss <= 0.0 { 0.0 } else { loss }
}

/// −Σ t·y / (‖t‖·‖y‖), a norm below [`EPSILON`] taken for it.
fn cosine_similarity(dy: &mut [f32], y: &[f32], target: &[f32], scale: f64) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    let held = |norm: f64| if norm < EPSILON { EPSILON } else { norm };
    let (of_target, own) = (held(dot(target, target).sqrt()), dot(y, y).sqrt());
    let of_y = held(own);
    let loss = -dot(y, target) / (of_target * of_y);
    // A norm that is held does not change with y.
    let along = if own < EPSILON { 0.0 } else { loss / of_y };
    for (dy, (&y, &t)) in dy.iter_mut().zip(y.iter().zip(target)) {
        let slope = -f64::from(t) / of_target - along * f64::from(y);
        *dy = (slope / of_y * scale) as f32;
    }
    loss
}

/// `p` held within [`EPSILON`] of 0 and 1; NaN stays.
fn clipped(p: f64) -> f64 {
    p.clamp(EPSILON, 1.0 - EPSILON)
}

/// The mean of a loss that `of` gives with its slope for each output and target.
fn mean_of(
    dy: &mut [f32],
    y: &[f32],
    target: &[f32],
    scale: f32,
    of: impl Fn(f64, f64) -> (f64, f64),
) -> f64 {
    let mut sum = 0.0;
    for (dy, (&y, &t)) in dy.iter_mut().zip(y.iter().zip(target)) {
        let (loss, slope) = of(f64::from(y), f64::from(t));
        sum += loss;
        *dy = (slope * f64::from(scale)) as f32;
    }
    sum / y.len() as f64
}

#[cfg(test)]
mod tests;
