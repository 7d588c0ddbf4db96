//! Layers that change values by chance while training, and do nothing in use.

use super::infer::{Rule, finite, not_negative};

/// Noise that is added or multiplied while training. ([`Dropout`](super::Dropout) is a layer of its
/// own.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    /// Dropout of whole channels (last axis) of a sample: SpatialDropout1D, 2D and 3D of Keras.
    SpatialDropout { rate: f64 },
    /// Adds normal random numbers of mean 0.
    GaussianNoise { deviation: f64 },
    /// Multiplies by normal random numbers of mean 1 and variance `rate` / (1 − `rate`).
    GaussianDropout { rate: f64 },
    /// Sets a share `rate` of the values to what selu gives for −∞, then scales and shifts all so that a
    /// mean of 0 and a variance of 1 stay; Klambauer et al., "Self-Normalizing Neural Networks" (2017).
    AlphaDropout { rate: f64 },
}

impl Noise {
    /// The name of the kind.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::SpatialDropout { .. } => "spatial_dropout",
            Self::GaussianNoise { .. } => "gaussian_noise",
            Self::GaussianDropout { .. } => "gaussian_dropout",
            Self::AlphaDropout { .. } => "alpha_dropout",
        }
    }

    pub(super) fn check(self) -> Result<(), Rule> {
        match self {
            Self::SpatialDropout { rate }
            | Self::GaussianDropout { rate }
            | Self::AlphaDropout { rate } => {
                if (0.0..1.0).contains(&rate) {
                    Ok(())
                } else {
                    Err(format!("the rate must be at least 0 and below 1, not {rate}"))
                }
            }
            Self::GaussianNoise { deviation } => {
                not_negative("the deviation", deviation)?;
                finite("the deviation", deviation)
            }
        }
    }
}
