//! How gradients change parameters: the rules of `model::OptimizerRule`, element by element.
//!
//! The scalars of a step (βᵗ and what follows from it) are computed in f64 and rounded once. Moments
//! below the smallest normal number become zero, because subnormals slow a processor down many
//! times; a parameter that becomes NaN becomes the one canonical NaN.

use std::ops::Range;

use rayon::prelude::*;

use crate::kernels::reduce::sum_of_squares;
use crate::kernels::{Isa, Kernel, LANES, Simd, math, scalar};
use crate::model::{Adam, Clipping, Optimizer, OptimizerRule, RmsProp, Sgd};
use crate::tensor::Aligned;

/// Elements of a parameter updated by one task.
const TASK: usize = 16 * 1024;

/// Changes the `parameters` at `ranges` by one step number `step` (from 1) along `gradient`, which
/// is clipped in place. `slots` are what the rule remembers; all are laid out alike.
pub(super) fn step(
    optimizer: &Optimizer,
    step: u64,
    parameters: &mut [f32],
    slots: &mut [Aligned],
    gradient: &mut [f32],
    ranges: &[Range<usize>],
) {
    let isa = Isa::current();
    clip(isa, optimizer.clipping, gradient, ranges);
    let rate = optimizer.learning_rate;
    let shared = Shared {
        isa,
        decay: (rate * optimizer.weight_decay) as f32,
        tasks: tasks(ranges),
        parameters,
        slots,
        gradient,
    };
    match optimizer.rule {
        OptimizerRule::Adam(Adam { beta_1, beta_2, epsilon }) => {
            let correction =
                (1.0 - scalar::powi(beta_2, step)).sqrt() / (1.0 - scalar::powi(beta_1, step));
            shared.run(AdamRule {
                alpha: (rate * correction) as f32,
                first: (1.0 - beta_1) as f32,
                second: (1.0 - beta_2) as f32,
                epsilon: epsilon as f32,
            });
        }
        OptimizerRule::Sgd(Sgd { momentum, nesterov }) => {
            shared.run(SgdRule { rate: rate as f32, momentum: momentum as f32, nesterov });
        }
        OptimizerRule::RmsProp(RmsProp { rho, momentum, epsilon }) => shared.run(RmsPropRule {
            rate: rate as f32,
            rho: rho as f32,
            rest: (1.0 - rho) as f32,
            momentum: momentum as f32,
            epsilon: epsilon as f32,
        }),
    }
}

/// The ranges cut into pieces of at most [`TASK`] elements.
fn tasks(ranges: &[Range<usize>]) -> Vec<Range<usize>> {
    let cut = |range: &Range<usize>| {
        let end = range.end;
        range.clone().step_by(TASK).map(move |start| start..end.min(start + TASK))
    };
    ranges.iter().flat_map(cut).collect()
}

fn clip(isa: Isa, clipping: Clipping, gradient: &mut [f32], ranges: &[Range<usize>]) {
    let scale = |gradient: &mut [f32], norm: f64, limit: f64| {
        if norm > limit {
            let factor = (limit / norm) as f32;
            gradient.iter_mut().for_each(|value| *value *= factor);
        }
    };
    match clipping {
        Clipping::None => {}
        Clipping::Value(limit) => {
            let limit = limit as f32;
            for value in ranges.iter().flat_map(|range| range.clone()) {
                let value = &mut gradient[value];
                if *value > limit {
                    *value = limit;
                } else if *value < -limit {
                    *value = -limit;
                }
            }
        }
        Clipping::Norm(limit) => {
            for range in ranges {
                let gradient = &mut gradient[range.clone()];
                scale(gradient, sum_of_squares(isa, gradient).sqrt(), limit);
            }
        }
        Clipping::GlobalNorm(limit) => {
            let squares = |range: &Range<usize>| sum_of_squares(isa, &gradient[range.clone()]);
            let norm = ranges.iter().map(squares).sum::<f64>().sqrt();
            for range in ranges {
                scale(&mut gradient[range.clone()], norm, limit);
            }
        }
    }
}

/// A rule for 16 elements: the new parameters, and the slots changed in place. A rule that keeps
/// fewer than two slots leaves the rest alone.
trait Rule: Copy + Sync {
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, slots: &mut [S::F; 2]) -> S::F;
}

struct Shared<'a> {
    isa: Isa,
    /// Learning rate times weight decay.
    decay: f32,
    tasks: Vec<Range<usize>>,
    parameters: &'a mut [f32],
    slots: &'a mut [Aligned],
    gradient: &'a [f32],
}

struct Task<'a> {
    w: &'a mut [f32],
    slots: [&'a mut [f32]; 2],
    g: &'a [f32],
}

impl Shared<'_> {
    fn run(self, rule: impl Rule) {
        let Self { isa, decay, tasks, parameters, slots, gradient } = self;
        let mut slots = slots.iter_mut().map(|slot| &mut **slot);
        let [first, second] = std::array::from_fn(|_| slots.next().unwrap_or_default());
        let parts = pieces(parameters, &tasks).into_iter();
        let slots = pieces(first, &tasks).into_iter().zip(pieces(second, &tasks));
        let tasks: Vec<Task<'_>> = (parts.zip(slots).zip(&tasks))
            .map(|((w, (first, second)), range)| Task {
                w,
                slots: [first, second],
                g: &gradient[range.clone()],
            })
            .collect();
        tasks.into_par_iter().for_each(|task| isa.run(Update { task, decay, rule }));
    }
}

/// The parts of `values` at `ranges`, which ascend; empty ones for an empty slice.
fn pieces<'a>(values: &'a mut [f32], ranges: &[Range<usize>]) -> Vec<&'a mut [f32]> {
    if values.is_empty() {
        return ranges.iter().map(|_| <&mut [f32]>::default()).collect();
    }
    let mut rest = values;
    let mut start = 0;
    let cut = |range: &Range<usize>| {
        let (_, from) = std::mem::take(&mut rest).split_at_mut(range.start - start);
        let (piece, after) = from.split_at_mut(range.len());
        (rest, start) = (after, range.end);
        piece
    };
    ranges.iter().map(cut).collect()
}

struct Update<'a, R> {
    task: Task<'a>,
    decay: f32,
    rule: R,
}

impl<R: Rule> Kernel for Update<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { task: Task { w, mut slots, g }, decay, rule } = self;
        let decay = s.splat(decay);
        for (index, g) in g.chunks(LANES).enumerate() {
            let range = index * LANES..index * LANES + g.len();
            let part = |values: &[f32]| match values.is_empty() {
                true => s.splat(0.0),
                false => s.load_partial(&values[range.clone()]),
            };
            let before = part(w);
            let before = s.mul_add(s.neg(before), decay, before);
            let mut state = [part(slots[0]), part(slots[1])];
            let after = rule.apply(s, before, s.load_partial(g), &mut state);
            let after = s.select(s.eq(after, after), after, s.splat(math::NAN));
            s.store_partial(after, &mut w[range.clone()]);
            for (slot, state) in slots.iter_mut().zip(state) {
                if !slot.is_empty() {
                    s.store_partial(flushed(s, state), &mut slot[range.clone()]);
                }
            }
        }
    }
}

/// +0.0 for values below the smallest normal number, the one canonical NaN for any NaN.
#[inline(always)]
fn flushed<S: Simd>(s: S, x: S::F) -> S::F {
    let tiny = s.gt(s.splat(f32::MIN_POSITIVE), s.abs(x));
    let number = s.select(s.eq(x, x), x, s.splat(math::NAN));
    s.select(tiny, s.splat(0.0), number)
}

#[derive(Clone, Copy)]
struct AdamRule {
    /// Learning rate · √(1 − β₂ᵗ) / (1 − β₁ᵗ)
    alpha: f32,
    /// 1 − β₁
    first: f32,
    /// 1 − β₂
    second: f32,
    epsilon: f32,
}

impl Rule for AdamRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, [m, v]: &mut [S::F; 2]) -> S::F {
        *m = s.mul_add(s.sub(g, *m), s.splat(self.first), *m);
        *v = s.mul_add(s.sub(s.mul(g, g), *v), s.splat(self.second), *v);
        let (m, v) = (flushed(s, *m), flushed(s, *v));
        let step = s.mul(m, s.splat(self.alpha));
        s.sub(w, s.div(step, s.add(s.sqrt(v), s.splat(self.epsilon))))
    }
}

#[derive(Clone, Copy)]
struct SgdRule {
    rate: f32,
    momentum: f32,
    nesterov: bool,
}

impl Rule for SgdRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, [m, _]: &mut [S::F; 2]) -> S::F {
        let step = s.neg(s.mul(g, s.splat(self.rate)));
        *m = s.mul_add(*m, s.splat(self.momentum), step);
        let ahead = s.mul_add(*m, s.splat(self.momentum), step);
        s.add(w, if self.nesterov { ahead } else { *m })
    }
}

#[derive(Clone, Copy)]
struct RmsPropRule {
    rate: f32,
    rho: f32,
    /// 1 − ρ
    rest: f32,
    momentum: f32,
    epsilon: f32,
}

impl Rule for RmsPropRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, [v, m]: &mut [S::F; 2]) -> S::F {
        *v = s.mul_add(*v, s.splat(self.rho), s.mul(s.mul(g, g), s.splat(self.rest)));
        let root = s.sqrt(s.add(*v, s.splat(self.epsilon)));
        let step = s.div(s.mul(g, s.splat(self.rate)), root);
        *m = s.mul_add(*m, s.splat(self.momentum), step);
        s.sub(w, *m)
    }
}
