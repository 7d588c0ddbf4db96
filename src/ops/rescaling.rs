//! x·scale + offset, the product and the sum rounded one after the other as in Keras.

use crate::kernels::elementwise::{Unary, unary};
use crate::kernels::{Isa, Simd};
use crate::model::Rescaling;

#[derive(Clone, Copy)]
struct Scaled {
    scale: f32,
    offset: f32,
}

impl Unary for Scaled {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        s.add(s.mul(x, s.splat(self.scale)), s.splat(self.offset))
    }
}

/// `y` of `x`.
pub(crate) fn forward(isa: Isa, y: &mut [f32], x: &[f32], settings: Rescaling) {
    let (scale, offset) = (settings.scale as f32, settings.offset as f32);
    unary(isa, Scaled { scale, offset }, y, x);
}

/// `dx` of `dy`.
pub(crate) fn gradient(isa: Isa, dx: &mut [f32], dy: &[f32], settings: Rescaling) {
    // A sum with −0.0 is the other term, its sign of zero included.
    unary(isa, Scaled { scale: settings.scale as f32, offset: -0.0 }, dx, dy);
}
