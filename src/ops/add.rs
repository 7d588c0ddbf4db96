//! Sums of slices.

use crate::kernels::elementwise::{Binary, Sum, binary, binary_in_place, relu};
use crate::kernels::{Isa, Simd};

/// y += x, of the same length.
pub(crate) fn assign(isa: Isa, y: &mut [f32], x: &[f32]) {
    binary_in_place(isa, Sum, y, x);
}

/// `y`: the sum of all `inputs`, of which there are two or more, in their order; then relu, if it is
/// asked for.
pub(crate) fn forward<'a>(
    isa: Isa,
    y: &mut [f32],
    mut inputs: impl ExactSizeIterator<Item = &'a [f32]>,
    relu: bool,
) {
    let mut next = || inputs.next().expect("two inputs or more");
    let (first, second) = (next(), next());
    if inputs.len() == 0 && relu {
        return binary(isa, SumWithRelu, y, first, second);
    }
    binary(isa, Sum, y, first, second);
    while let Some(x) = inputs.next() {
        match inputs.len() {
            0 if relu => binary_in_place(isa, SumWithRelu, y, x),
            _ => assign(isa, y, x),
        }
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
