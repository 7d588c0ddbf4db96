//! Activation functions.

use std::fmt;

/// An elementwise function (softmax: over the last axis). Definitions and defaults as in Keras 3.
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
}

impl Activation {
    /// Klambauer et al., "Self-Normalizing Neural Networks" (2017).
    pub const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
    /// Klambauer et al., "Self-Normalizing Neural Networks" (2017).
    pub const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

    /// The name Keras gives it.
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
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
