//! The rules, 16 elements at a time. Each has the scalars of one step, rounded to f32 once.

use crate::kernels::{Simd, math, scalar};
use crate::model::{Adadelta, Adam, Adamax, Nadam, RmsProp};

/// The most slots that a rule keeps.
pub(super) const SLOTS: usize = 3;

/// A rule for 16 elements: the new parameters, and the slots changed in place. A rule that keeps
/// fewer slots leaves the rest alone.
pub(super) trait Rule: Copy + Sync {
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, slots: &mut [S::F; SLOTS]) -> S::F;
}

/// +0.0 for values below the smallest normal number, the one canonical NaN for any NaN.
#[inline(always)]
pub(super) fn flushed<S: Simd>(s: S, x: S::F) -> S::F {
    let tiny = s.gt(s.splat(f32::MIN_POSITIVE), s.abs(x));
    let number = s.select(s.eq(x, x), x, s.splat(math::NAN));
    s.select(tiny, s.splat(0.0), number)
}

/// average + (value − average)·share
#[inline(always)]
fn towards<S: Simd>(s: S, average: S::F, value: S::F, share: f32) -> S::F {
    s.mul_add(s.sub(value, average), s.splat(share), average)
}

/// average·keep + value·(1 − keep), the share of the value given as `rest`.
#[inline(always)]
fn blended<S: Simd>(s: S, average: S::F, value: S::F, keep: f32, rest: f32) -> S::F {
    s.mul_add(average, s.splat(keep), s.mul(value, s.splat(rest)))
}

#[derive(Clone, Copy)]
pub(super) struct AdamRule {
    /// Learning rate · √(1 − β₂ᵗ) / (1 − β₁ᵗ)
    alpha: f32,
    /// 1 − β₁
    first: f32,
    /// 1 − β₂
    second: f32,
    epsilon: f32,
    amsgrad: bool,
}

impl AdamRule {
    pub(super) fn new(adam: Adam, rate: f64, step: u64) -> Self {
        let Adam { beta_1, beta_2, epsilon, amsgrad } = adam;
        let correction =
            (1.0 - scalar::powi(beta_2, step)).sqrt() / (1.0 - scalar::powi(beta_1, step));
        Self {
            alpha: (rate * correction) as f32,
            first: (1.0 - beta_1) as f32,
            second: (1.0 - beta_2) as f32,
            epsilon: epsilon as f32,
            amsgrad,
        }
    }
}

impl Rule for AdamRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, [m, v, largest]: &mut [S::F; SLOTS]) -> S::F {
        *m = towards(s, *m, g, self.first);
        *v = towards(s, *v, s.mul(g, g), self.second);
        let (m, mut v) = (flushed(s, *m), flushed(s, *v));
        if self.amsgrad {
            *largest = s.max(*largest, v);
            v = *largest;
        }
        let step = s.mul(m, s.splat(self.alpha));
        s.sub(w, s.div(step, s.add(s.sqrt(v), s.splat(self.epsilon))))
    }
}

#[derive(Clone, Copy)]
pub(super) struct SgdRule {
    pub(super) rate: f32,
    pub(super) momentum: f32,
    pub(super) nesterov: bool,
}

impl Rule for SgdRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, [m, ..]: &mut [S::F; SLOTS]) -> S::F {
        let step = s.neg(s.mul(g, s.splat(self.rate)));
        *m = s.mul_add(*m, s.splat(self.momentum), step);
        let ahead = s.mul_add(*m, s.splat(self.momentum), step);
        s.add(w, if self.nesterov { ahead } else { *m })
    }
}

#[derive(Clone, Copy)]
pub(super) struct RmsPropRule {
    rate: f32,
    rho: f32,
    /// 1 − ρ
    rest: f32,
    momentum: f32,
    epsilon: f32,
    centered: bool,
}

impl RmsPropRule {
    pub(super) fn new(rms: RmsProp, rate: f64) -> Self {
        let RmsProp { rho, momentum, epsilon, centered } = rms;
        Self {
            rate: rate as f32,
            rho: rho as f32,
            rest: (1.0 - rho) as f32,
            momentum: momentum as f32,
            epsilon: epsilon as f32,
            centered,
        }
    }
}

impl Rule for RmsPropRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, slots: &mut [S::F; SLOTS]) -> S::F {
        let [v, second, third] = slots;
        // The average of the gradient stands behind the momentum, if there is one.
        let (m, a) = if self.momentum == 0.0 { (third, second) } else { (second, third) };
        *v = blended(s, *v, s.mul(g, g), self.rho, self.rest);
        let mut square = *v;
        if self.centered {
            *a = blended(s, *a, g, self.rho, self.rest);
            // Rounding could leave less than 0.
            square = s.max(s.splat(0.0), s.mul_add(s.neg(*a), *a, square));
        }
        let root = s.sqrt(s.add(square, s.splat(self.epsilon)));
        let step = s.div(s.mul(g, s.splat(self.rate)), root);
        *m = s.mul_add(*m, s.splat(self.momentum), step);
        s.sub(w, *m)
    }
}

/// The formula with numerator and denominator multiplied by √(1 − β₂ᵗ).
#[derive(Clone, Copy)]
pub(super) struct NadamRule {
    /// Learning rate · √(1 − β₂ᵗ) · u(t + 1) / (1 − P(t + 1))
    of_momentum: f32,
    /// Learning rate · √(1 − β₂ᵗ) · (1 − u(t)) / (1 − P(t))
    of_gradient: f32,
    /// 1 − β₁
    first: f32,
    /// 1 − β₂
    second: f32,
    /// ε · √(1 − β₂ᵗ)
    epsilon: f32,
}

impl NadamRule {
    pub(super) fn new(nadam: Nadam, rate: f64, step: u64) -> Self {
        let (now, next) = (nadam.momentum_at(step), nadam.momentum_at(step + 1));
        let product = nadam.momentum_product(step);
        let root = (1.0 - scalar::powi(nadam.beta_2, step)).sqrt();
        Self {
            of_momentum: (rate * root * next / (1.0 - product * next)) as f32,
            of_gradient: (rate * root * (1.0 - now) / (1.0 - product)) as f32,
            first: (1.0 - nadam.beta_1) as f32,
            second: (1.0 - nadam.beta_2) as f32,
            epsilon: (nadam.epsilon * root) as f32,
        }
    }
}

impl Rule for NadamRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, [m, v, _]: &mut [S::F; SLOTS]) -> S::F {
        *m = towards(s, *m, g, self.first);
        *v = towards(s, *v, s.mul(g, g), self.second);
        let (m, v) = (flushed(s, *m), flushed(s, *v));
        let ahead = s.mul(g, s.splat(self.of_gradient));
        let step = s.mul_add(m, s.splat(self.of_momentum), ahead);
        s.sub(w, s.div(step, s.add(s.sqrt(v), s.splat(self.epsilon))))
    }
}

#[derive(Clone, Copy)]
pub(super) struct AdamaxRule {
    /// Learning rate / (1 − β₁ᵗ)
    alpha: f32,
    /// 1 − β₁
    first: f32,
    beta_2: f32,
    epsilon: f32,
}

impl AdamaxRule {
    pub(super) fn new(adamax: Adamax, rate: f64, step: u64) -> Self {
        let Adamax { beta_1, beta_2, epsilon } = adamax;
        Self {
            alpha: (rate / (1.0 - scalar::powi(beta_1, step))) as f32,
            first: (1.0 - beta_1) as f32,
            beta_2: beta_2 as f32,
            epsilon: epsilon as f32,
        }
    }
}

impl Rule for AdamaxRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, [m, u, _]: &mut [S::F; SLOTS]) -> S::F {
        *m = towards(s, *m, g, self.first);
        *u = s.max(s.mul(*u, s.splat(self.beta_2)), s.abs(g));
        let (m, u) = (flushed(s, *m), flushed(s, *u));
        let step = s.mul(m, s.splat(self.alpha));
        s.sub(w, s.div(step, s.add(u, s.splat(self.epsilon))))
    }
}

#[derive(Clone, Copy)]
pub(super) struct AdagradRule {
    pub(super) rate: f32,
    pub(super) epsilon: f32,
}

impl Rule for AdagradRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, [a, ..]: &mut [S::F; SLOTS]) -> S::F {
        *a = s.mul_add(g, g, *a);
        let root = s.sqrt(s.add(*a, s.splat(self.epsilon)));
        s.sub(w, s.div(s.mul(g, s.splat(self.rate)), root))
    }
}

#[derive(Clone, Copy)]
pub(super) struct AdadeltaRule {
    rate: f32,
    rho: f32,
    /// 1 − ρ
    rest: f32,
    epsilon: f32,
}

impl AdadeltaRule {
    pub(super) fn new(Adadelta { rho, epsilon }: Adadelta, rate: f64) -> Self {
        let (rest, epsilon) = ((1.0 - rho) as f32, epsilon as f32);
        Self { rate: rate as f32, rho: rho as f32, rest, epsilon }
    }
}

impl Rule for AdadeltaRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::F, g: S::F, [a, d, _]: &mut [S::F; SLOTS]) -> S::F {
        let epsilon = s.splat(self.epsilon);
        *a = blended(s, *a, s.mul(g, g), self.rho, self.rest);
        let numerator = s.mul(s.sqrt(s.add(*d, epsilon)), g);
        let step = s.div(numerator, s.sqrt(s.add(*a, epsilon)));
        *d = blended(s, *d, s.mul(step, step), self.rho, self.rest);
        s.mul_add(s.neg(step), s.splat(self.rate), w)
    }
}
