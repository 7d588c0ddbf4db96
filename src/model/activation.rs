//! Activation functions.

use std::fmt;

use super::infer::{Rule, finite, not_negative};

/// An elementwise function (softmax and its logarithm: over the last axis). Definitions as in Keras 3.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// x
    #[default]
    Linear,
    /// max(x, 0)
    Relu,
    /// min(max(x, 0), 6)
    Relu6,
    /// x where positive, else `negative_slope`·x
    LeakyRelu {
        negative_slope: f64,
    },
    /// x where positive, else `alpha`·(eˣ − 1)
    Elu {
        alpha: f64,
    },
    /// [`SELU_SCALE`](Self::SELU_SCALE)·elu(x) with alpha = [`SELU_ALPHA`](Self::SELU_ALPHA)
    Selu,
    /// x·Φ(x), by the error function (not the tanh approximation)
    Gelu,
    /// x·sigmoid(x)
    Silu,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    Tanh,
    /// ln(1 + eˣ)
    Softplus,
    /// eˣ over its sum along the last axis
    Softmax,
    /// The logarithm of softmax
    LogSoftmax,
    /// x where above `threshold`, else `negative_slope`·(x − `threshold`); then no more than
    /// `max_value`. All three are 0 or more, so it is Keras' layer `ReLU`.
    ClippedRelu {
        /// ∞ for no limit.
        max_value: f64,
        negative_slope: f64,
        threshold: f64,
    },
    /// eˣ
    Exponential,
    /// x / (1 + |x|)
    Softsign,
    /// relu6(x + 3) / 6, as in Keras 3
    HardSigmoid,
    /// 0.2·x + 0.5 within 0 and 1: what Keras 2 means by `hard_sigmoid`
    HardSigmoidKeras2,
    /// x·[`HardSigmoid`](Self::HardSigmoid)(x)
    HardSilu,
    /// x within −1 and 1
    HardTanh,
    /// x·tanh(softplus(x))
    Mish,
    /// ln(sigmoid(x))
    LogSigmoid,
    /// x where positive, else `alpha`·(e^(x / `alpha`) − 1)
    Celu {
        alpha: f64,
    },
    /// The tanh approximation of [`Gelu`](Self::Gelu): x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) / 2
    GeluTanh,
    /// x brought nearer to 0 by `threshold`; 0 where it is no farther away
    SoftShrink {
        threshold: f64,
    },
    /// x where farther from 0 than `threshold`, else 0
    HardShrink {
        threshold: f64,
    },
    /// x − tanh(x)
    TanhShrink,
    /// (x + √(x² + `b`)) / 2
    Squareplus {
        b: f64,
    },
    /// 0 up to −1, x from 1 on, (x + 1)² / 4 between
    SparsePlus,
    /// 0 up to −1, 1 from 1 on, (x + 1) / 2 between
    SparseSigmoid,
    /// x where above `threshold`, else `value`
    Threshold {
        threshold: f64,
        value: f64,
    },
}

impl Activation {
    /// Klambauer et al., "Self-Normalizing Neural Networks" (2017).
    pub const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
    /// Klambauer et al., "Self-Normalizing Neural Networks" (2017).
    pub const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

    /// What is wrong with its settings.
    pub(super) fn check(self) -> Result<(), Rule> {
        match self {
            Self::LeakyRelu { negative_slope: slope } => finite("the slope", slope),
            Self::Elu { alpha } => finite("alpha", alpha),
            Self::ClippedRelu { max_value, negative_slope, threshold } => {
                not_negative("max_value", max_value)?; // ∞ is no limit
                not_negative("the slope", negative_slope)?;
                finite("the slope", negative_slope)?;
                not_negative("the threshold", threshold)?;
                finite("the threshold", threshold)
            }
            // Computed in f32, where a small number may be 0.
            Self::Celu { alpha } if alpha as f32 == 0.0 => Err("alpha must not be 0".to_owned()),
            Self::Celu { alpha } => finite("alpha", alpha),
            Self::SoftShrink { threshold } | Self::HardShrink { threshold } => {
                not_negative("the threshold", threshold)?;
                finite("the threshold", threshold)
            }
            Self::Squareplus { b } if b as f32 <= 0.0 => Err(format!("b must be above 0, not {b}")),
            Self::Squareplus { b } => finite("b", b),
            Self::Threshold { threshold, value } => {
                finite("the threshold", threshold)?;
                finite("the value", value)
            }
            Self::Linear
            | Self::Relu
            | Self::Relu6
            | Self::Selu
            | Self::Gelu
            | Self::Silu
            | Self::Sigmoid
            | Self::Tanh
            | Self::Softplus
            | Self::Softmax
            | Self::LogSoftmax
            | Self::Exponential
            | Self::Softsign
            | Self::HardSigmoid
            | Self::HardSigmoidKeras2
            | Self::HardSilu
            | Self::HardTanh
            | Self::Mish
            | Self::LogSigmoid
            | Self::GeluTanh
            | Self::TanhShrink
            | Self::SparsePlus
            | Self::SparseSigmoid => Ok(()),
        }
    }

    /// The name that Keras gives it; where Keras has one name for two, one of them has a name of its own.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Elu { .. } => "elu",
            Self::Selu => "selu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softplus => "softplus",
            Self::Softmax => "softmax",
            Self::LogSoftmax => "log_softmax",
            Self::ClippedRelu { .. } => "clipped_relu",
            Self::Exponential => "exponential",
            Self::Softsign => "softsign",
            Self::HardSigmoid => "hard_sigmoid",
            Self::HardSigmoidKeras2 => "hard_sigmoid_keras2",
            Self::HardSilu => "hard_silu",
            Self::HardTanh => "hard_tanh",
            Self::Mish => "mish",
            Self::LogSigmoid => "log_sigmoid",
            Self::Celu { .. } => "celu",
            Self::GeluTanh => "gelu_tanh",
            Self::SoftShrink { .. } => "soft_shrink",
            Self::HardShrink { .. } => "hard_shrink",
            Self::TanhShrink => "tanh_shrink",
            Self::Squareplus { .. } => "squareplus",
            Self::SparsePlus => "sparse_plus",
            Self::SparseSigmoid => "sparse_sigmoid",
            Self::Threshold { .. } => "threshold",
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
