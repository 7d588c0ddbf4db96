//! Noise while training: y = x·factor + shift, factors and shifts by chance.

use super::random::{Stream, normal, uniform};
use crate::kernels::elementwise::{Binary, Product, Sum, binary};
use crate::kernels::{Isa, Simd};
use crate::model::{Activation, Noise};

/// Draws what [`forward`] needs for each value of a sample with `channels` channels: factors, and of
/// Gaussian noise shifts. Channel c of spatial dropout takes word c of the sample's stream, value i of
/// alpha dropout word i, of the others words 2i and 2i + 1.
pub(crate) fn draw(noise: Noise, drawn: &mut [f32], channels: usize, stream: &Stream) {
    let dropped = |word, rate: f64| uniform(word) < rate as f32;
    let normals = (0..).map(|index| normal(stream.word(2 * index), stream.word(2 * index + 1)));
    match noise {
        Noise::SpatialDropout { rate } => {
            let keep = (1.0 / (1.0 - rate)) as f32;
            for (channel, word) in stream.words().take(channels).enumerate() {
                let factor = if dropped(word, rate) { 0.0 } else { keep };
                drawn[channel..].iter_mut().step_by(channels).for_each(|place| *place = factor);
            }
        }
        Noise::GaussianNoise { deviation } => {
            let deviation = deviation as f32;
            drawn.iter_mut().zip(normals).for_each(|(shift, z)| *shift = z * deviation);
        }
        Noise::GaussianDropout { rate } => {
            let deviation = (rate / (1.0 - rate)).sqrt() as f32;
            let factor = |z: f32| z.mul_add(deviation, 1.0);
            drawn.iter_mut().zip(normals).for_each(|(place, z)| *place = factor(z));
        }
        Noise::AlphaDropout { rate } => {
            let keep = AlphaDropout::new(rate).scale;
            for (factor, word) in drawn.iter_mut().zip(stream.words()) {
                *factor = if dropped(word, rate) { 0.0 } else { keep };
            }
        }
    }
}

/// `y` of `x`, with what was drawn for each value.
pub(crate) fn forward(isa: Isa, noise: Noise, y: &mut [f32], x: &[f32], drawn: &[f32]) {
    match noise {
        Noise::SpatialDropout { .. } | Noise::GaussianDropout { .. } => {
            binary(isa, Product, y, x, drawn);
        }
        Noise::GaussianNoise { .. } => binary(isa, Sum, y, x, drawn),
        Noise::AlphaDropout { rate } => binary(isa, AlphaDropout::new(rate), y, x, drawn),
    }
}

/// `dx` of `dy`.
pub(crate) fn gradient(isa: Isa, noise: Noise, dx: &mut [f32], dy: &[f32], drawn: &[f32]) {
    match noise {
        Noise::GaussianNoise { .. } => dx.copy_from_slice(dy),
        Noise::SpatialDropout { .. }
        | Noise::GaussianDropout { .. }
        | Noise::AlphaDropout { .. } => binary(isa, Product, dx, dy, drawn),
    }
}

/// x·scale + shift where a value is kept, else what selu's limit becomes.
#[derive(Clone, Copy)]
struct AlphaDropout {
    scale: f32,
    shift: f32,
    limit: f32,
}

impl AlphaDropout {
    fn new(rate: f64) -> Self {
        let limit = -Activation::SELU_ALPHA * Activation::SELU_SCALE;
        let scale = 1.0 / ((1.0 - rate) * (1.0 + rate * limit * limit)).sqrt();
        let shift = -scale * limit * rate;
        let limit = scale * limit + shift;
        Self { scale: scale as f32, shift: shift as f32, limit: limit as f32 }
    }
}

impl Binary for AlphaDropout {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F, factor: S::F) -> S::F {
        let kept = s.mul_add(x, factor, s.splat(self.shift));
        s.select(s.eq(factor, s.splat(0.0)), s.splat(self.limit), kept)
    }
}
