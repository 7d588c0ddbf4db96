//! Layers that join inputs of one shape element by element; sums are in [`add`](super::add).

use crate::kernels::elementwise::{
    Binary, Product, Unary, binary, binary_in_place, unary, unary_in_place,
};
use crate::kernels::{Isa, Kernel, LANES, Simd};

/// a − b
#[derive(Clone, Copy)]
struct Difference;

impl Binary for Difference {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, a: S::F, b: S::F) -> S::F {
        s.sub(a, b)
    }
}

/// −x
#[derive(Clone, Copy)]
struct Negative;

impl Unary for Negative {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        s.neg(x)
    }
}

/// x / divisor
#[derive(Clone, Copy)]
struct Quotient {
    divisor: f32,
}

impl Unary for Quotient {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        s.div(x, s.splat(self.divisor))
    }
}

/// y = a − b
pub(crate) fn difference(isa: Isa, y: &mut [f32], a: &[f32], b: &[f32]) {
    binary(isa, Difference, y, a, b);
}

/// y = −x
pub(crate) fn negate(isa: Isa, y: &mut [f32], x: &[f32]) {
    unary(isa, Negative, y, x);
}

/// y = y·x
pub(crate) fn multiply(isa: Isa, y: &mut [f32], x: &[f32]) {
    binary_in_place(isa, Product, y, x);
}

/// y = y / count
pub(crate) fn divide(isa: Isa, y: &mut [f32], count: usize) {
    unary_in_place(isa, Quotient { divisor: count as f32 }, y);
}

/// Which of several values is taken: the first NaN, or else the first of the largest, or of the least.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extreme {
    Largest,
    Least,
}

impl Extreme {
    /// Where `first` is taken rather than `second`, and neither is NaN.
    #[inline(always)]
    fn keeps<S: Simd>(self, s: S, first: S::F, second: S::F) -> S::M {
        match self {
            Self::Largest => s.ge(first, second),
            Self::Least => s.ge(second, first),
        }
    }

    /// `a` where `first` is taken rather than `second`, else `b`.
    #[inline(always)]
    fn select<S: Simd>(self, s: S, [first, second]: [S::F; 2], a: S::F, b: S::F) -> S::F {
        s.select(s.eq(first, first), s.select(self.keeps(s, first, second), a, b), a)
    }
}

impl Binary for Extreme {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, a: S::F, b: S::F) -> S::F {
        self.select(s, [a, b], a, b)
    }
}

/// y = the one of y and x that is taken, y being the first.
pub(crate) fn extreme(isa: Isa, y: &mut [f32], x: &[f32], extreme: Extreme) {
    binary_in_place(isa, extreme, y, x);
}

struct Winner<'a> {
    dx: &'a mut [f32],
    inputs: [&'a [f32]; 2],
    is_first: bool,
    extreme: Extreme,
}

/// Leaves of `dx`, the gradient of one of the two `inputs`, what belongs to it: +0.0 where the other is
/// taken. `is_first`: whether it is the gradient of the first.
pub(crate) fn extreme_gradient(
    isa: Isa,
    dx: &mut [f32],
    inputs: [&[f32]; 2],
    is_first: bool,
    extreme: Extreme,
) {
    assert_eq!([dx.len(); 2], inputs.map(<[f32]>::len), "lengths of gradient and inputs");
    isa.run(Winner { dx, inputs, is_first, extreme });
}

impl Kernel for Winner<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { dx, inputs: [first, second], is_first, extreme } = self;
        let pairs = first.chunks(LANES).zip(second.chunks(LANES));
        for (dx, (first, second)) in dx.chunks_mut(LANES).zip(pairs) {
            let (gradient, zero) = (s.load_partial(dx), s.splat(0.0));
            let pair = [s.load_partial(first), s.load_partial(second)];
            let left = match is_first {
                true => extreme.select(s, pair, gradient, zero),
                false => extreme.select(s, pair, zero, gradient),
            };
            s.store_partial(left, dx);
        }
    }
}
