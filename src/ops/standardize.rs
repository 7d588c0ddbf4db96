//! (x − shift) / factor and its inverse x·factor + shift, each with a number of its own for every value
//! of a sample.

use crate::kernels::elementwise::{Binary, Product, Sum, binary, binary_in_place};
use crate::kernels::{Isa, Simd};

/// a − b
#[derive(Clone, Copy)]
struct Difference;

impl Binary for Difference {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, a: S::F, b: S::F) -> S::F {
        s.sub(a, b)
    }
}

/// a / b
#[derive(Clone, Copy)]
struct Quotient;

impl Binary for Quotient {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, a: S::F, b: S::F) -> S::F {
        s.div(a, b)
    }
}

/// `y` of `x`: (x − shift) / factor, or, if `invert`, x·factor + shift; each step rounded as in Keras.
pub(crate) fn forward(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    [shift, factor]: [&[f32]; 2],
    invert: bool,
) {
    for (y, x) in y.chunks_exact_mut(shift.len()).zip(x.chunks_exact(shift.len())) {
        if invert {
            binary(isa, Product, y, x, factor);
            binary_in_place(isa, Sum, y, shift);
        } else {
            binary(isa, Difference, y, x, shift);
            binary_in_place(isa, Quotient, y, factor);
        }
    }
}

/// `dx` of `dy`.
pub(crate) fn gradient(isa: Isa, dx: &mut [f32], dy: &[f32], factor: &[f32], invert: bool) {
    for (dx, dy) in dx.chunks_exact_mut(factor.len()).zip(dy.chunks_exact(factor.len())) {
        if invert {
            binary(isa, Product, dx, dy, factor);
        } else {
            binary(isa, Quotient, dx, dy, factor);
        }
    }
}
