//! How gradients change parameters: the rules of `model::OptimizerRule`, element by element.
//!
//! The scalars of a step (βᵗ and what follows from it) are computed in f64 and rounded once. Moments
//! below the smallest normal number become zero, because subnormals slow a processor down many
//! times; a parameter that becomes NaN becomes the one canonical NaN.

mod rules;

use std::ops::Range;

use crate::kernels::elementwise::{Unary, unary_in_place};
use crate::kernels::reduce::sum_of_squares;
use crate::kernels::{Isa, Kernel, LANES, Simd, math};
use crate::model::{Clipping, Optimizer, OptimizerRule, Sgd};
use crate::tensor::Aligned;
use rules::{
    AdadeltaRule, AdagradRule, AdamRule, AdamaxRule, NadamRule, RmsPropRule, Rule, SLOTS, SgdRule,
    flushed,
};

/// Elements updated by one task: enough work to be worth a task. A multiple of 16, so that all tasks
/// but the last have whole vectors.
const TASK: usize = 16 * 1024;

/// Changes the `parameters` at `ranges` by one step number `step` (from 1) along `gradient`, which
/// is clipped in place. `slots` are what the rule remembers; all are laid out alike. Ranges ascend.
pub(crate) fn step(
    optimizer: &Optimizer,
    step: u64,
    parameters: &mut [f32],
    slots: &mut [Aligned],
    gradient: &mut [f32],
    ranges: &[Range<usize>],
) {
    step_on(Isa::current(), optimizer, step, parameters, slots, gradient, ranges);
}

fn step_on(
    isa: Isa,
    optimizer: &Optimizer,
    step: u64,
    parameters: &mut [f32],
    slots: &mut [Aligned],
    gradient: &mut [f32],
    ranges: &[Range<usize>],
) {
    clip(isa, optimizer.clipping, gradient, ranges);
    let rate = optimizer.learning_rate * optimizer.schedule.factor(step - 1);
    let decay = (rate * optimizer.weight_decay) as f32;
    let mut slots = slots.iter_mut().map(|slot| &mut **slot);
    let slots = std::array::from_fn(|_| slots.next().unwrap_or_default());
    let part = Part { first: 0, w: parameters, slots, g: gradient };
    match optimizer.rule {
        OptimizerRule::Adam(adam) => {
            part.update(isa, ranges, decay, AdamRule::new(adam, rate, step));
        }
        OptimizerRule::Sgd(Sgd { momentum, nesterov }) => {
            let (rate, momentum) = (rate as f32, momentum as f32);
            part.update(isa, ranges, decay, SgdRule { rate, momentum, nesterov });
        }
        OptimizerRule::RmsProp(rms) => part.update(isa, ranges, decay, RmsPropRule::new(rms, rate)),
        OptimizerRule::Nadam(nadam) => {
            part.update(isa, ranges, decay, NadamRule::new(nadam, rate, step));
        }
        OptimizerRule::Adamax(adamax) => {
            part.update(isa, ranges, decay, AdamaxRule::new(adamax, rate, step));
        }
        OptimizerRule::Adagrad(adagrad) => {
            let epsilon = adagrad.epsilon as f32;
            part.update(isa, ranges, decay, AdagradRule { rate: rate as f32, epsilon });
        }
        OptimizerRule::Adadelta(adadelta) => {
            part.update(isa, ranges, decay, AdadeltaRule::new(adadelta, rate));
        }
    }
}

fn clip(isa: Isa, clipping: Clipping, gradient: &mut [f32], ranges: &[Range<usize>]) {
    let scale = |gradient: &mut [f32], norm: f64, limit: f64| {
        if norm > limit {
            unary_in_place(isa, Times((limit / norm) as f32), gradient);
        }
    };
    match clipping {
        Clipping::None => {}
        Clipping::Value(limit) => {
            for range in ranges {
                unary_in_place(isa, Within(limit as f32), &mut gradient[range.clone()]);
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

/// x·factor
#[derive(Clone, Copy)]
struct Times(f32);

impl Unary for Times {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        s.mul(x, s.splat(self.0))
    }
}

/// x, but no further from 0 than the limit; NaN stays.
#[derive(Clone, Copy)]
struct Within(f32);

impl Unary for Within {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        let (low, high) = (s.splat(-self.0), s.splat(self.0));
        s.select(s.gt(x, high), high, s.select(s.gt(low, x), low, x))
    }
}

/// Some of all values, from number `first` on.
struct Part<'a> {
    first: usize,
    w: &'a mut [f32],
    /// Empty where the rule keeps fewer.
    slots: [&'a mut [f32]; SLOTS],
    g: &'a [f32],
}

impl Part<'_> {
    /// Updates what lies in `ranges`, in parallel.
    fn update(mut self, isa: Isa, ranges: &[Range<usize>], decay: f32, rule: impl Rule) {
        let length = self.w.len();
        if length <= TASK {
            return isa.run(Update { part: self, ranges, decay, rule });
        }
        let (left, right) = self.split((length / 2).next_multiple_of(TASK));
        rayon::join(
            || left.update(isa, ranges, decay, rule),
            || right.update(isa, ranges, decay, rule),
        );
    }

    fn split(&mut self, at: usize) -> (Part<'_>, Part<'_>) {
        let (left, right) = self.w.split_at_mut(at);
        let (mut slots_left, mut slots_right) =
            <([&mut [f32]; SLOTS], [&mut [f32]; SLOTS])>::default();
        for (number, slot) in self.slots.iter_mut().enumerate() {
            // An empty slot stays empty on both sides.
            (slots_left[number], slots_right[number]) = slot.split_at_mut(at.min(slot.len()));
        }
        let (g, g_right) = self.g.split_at(at);
        (
            Part { first: self.first, w: left, slots: slots_left, g },
            Part { first: self.first + at, w: right, slots: slots_right, g: g_right },
        )
    }
}

struct Update<'a, R> {
    part: Part<'a>,
    ranges: &'a [Range<usize>],
    decay: f32,
    rule: R,
}

impl<R: Rule> Kernel for Update<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { part: Part { first, w, mut slots, g }, ranges, decay, rule } = self;
        let here = first..first + w.len();
        let decay = s.splat(decay);
        let begin = ranges.partition_point(|range| range.end <= here.start);
        for range in ranges[begin..].iter().take_while(|range| range.start < here.end) {
            let range = range.start.max(here.start) - first..range.end.min(here.end) - first;
            let (w, g) = (&mut w[range.clone()], &g[range.clone()]);
            match &mut slots {
                [[], ..] => each_vector(s, w, [], g, decay, rule),
                [first, [], _] => each_vector(s, w, [&mut first[range]], g, decay, rule),
                [first, second, []] => {
                    let slots = [&mut first[range.clone()], &mut second[range]];
                    each_vector(s, w, slots, g, decay, rule);
                }
                [first, second, third] => {
                    let second = &mut second[range.clone()];
                    let slots = [&mut first[range.clone()], second, &mut third[range]];
                    each_vector(s, w, slots, g, decay, rule);
                }
            }
        }
    }
}

/// Updates parameters that have `N` slots. All slices are of one length.
#[inline(always)]
fn each_vector<S: Simd, const N: usize>(
    s: S,
    w: &mut [f32],
    mut slots: [&mut [f32]; N],
    g: &[f32],
    decay: S::F,
    rule: impl Rule,
) {
    for start in (0..w.len()).step_by(LANES) {
        let before = s.load_partial(&w[start..]);
        let before = s.mul_add(s.neg(before), decay, before);
        let mut state = [s.splat(0.0); SLOTS];
        for (state, slot) in state.iter_mut().zip(&slots) {
            *state = s.load_partial(&slot[start..]);
        }
        let after = rule.apply(s, before, s.load_partial(&g[start..]), &mut state);
        let after = s.select(s.eq(after, after), after, s.splat(math::NAN));
        s.store_partial(after, &mut w[start..]);
        for (state, slot) in state.into_iter().zip(&mut slots) {
            s.store_partial(flushed(s, state), &mut slot[start..]);
        }
    }
}

#[cfg(test)]
mod tests;
