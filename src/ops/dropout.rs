//! Dropout: every value times a random factor.

use super::random::{Stream, uniform};
use crate::kernels::Isa;
use crate::kernels::elementwise::{Product, binary};

/// Per element: 0 with probability `rate`, else 1 / (1 − `rate`). Element i takes word i of the
/// sample's stream.
pub(crate) fn factors(factors: &mut [f32], rate: f64, stream: &Stream) {
    let keep = (1.0 / (1.0 - rate)) as f32;
    let rate = rate as f32;
    for (factor, word) in factors.iter_mut().zip(stream.words()) {
        *factor = if uniform(word) < rate { 0.0 } else { keep };
    }
}

/// `y` of `x`, and likewise `dx` of `dy`; `factors` of the same length.
pub(crate) fn apply(isa: Isa, y: &mut [f32], x: &[f32], factors: &[f32]) {
    binary(isa, Product, y, x, factors);
}
