//! Sums of slices.

use crate::kernels::elementwise::{Binary, Sum, binary, binary_in_place, relu};
use crate::kernels::{Isa, Simd};

/// y += x, of the same length.
pub(crate) fn assign(isa: Isa, y: &mut [f32], x: &[f32]) {
    binary_in_place(isa, Sum, y, x);
}

/// y = a + b, all of the same length; then relu, if it is asked for.
pub(crate) fn pair(isa: Isa, y: &mut [f32], a: &[f32], b: &[f32], relu: bool) {
    if relu {
        binary(isa, SumWithRelu, y, a, b);
    } else {
        binary(isa, Sum, y, a, b);
    }
}

/// relu(a + b)
#[derive(Clone, Copy)]
struct SumWithRelu;

impl Binary for SumWithRelu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, a: S::F, b: S::F) -> S::F {
        relu(s, s.add(a, b))
    }
}
