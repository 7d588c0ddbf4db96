//! Activations as JSON, and the schema that each needs.

use serde::{Deserialize, Serialize};

use super::json::Real;
use super::layers::twins;
use crate::model::Activation;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ActivationJson {
    Linear,
    Relu,
    Relu6,
    LeakyRelu {
        negative_slope: Real,
    },
    Elu {
        alpha: Real,
    },
    Selu,
    Gelu,
    Silu,
    Sigmoid,
    Tanh,
    Softplus,
    Softmax,
    LogSoftmax,
    ClippedRelu {
        max_value: Real,
        negative_slope: Real,
        threshold: Real,
    },
    Exponential,
    Softsign,
    HardSigmoid,
    #[serde(rename = "hard_sigmoid_keras2")]
    HardSigmoidKeras2,
    HardSilu,
    HardTanh,
    Mish,
    LogSigmoid,
    Celu {
        alpha: Real,
    },
    GeluTanh,
    SoftShrink {
        threshold: Real,
    },
    HardShrink {
        threshold: Real,
    },
    TanhShrink,
    Squareplus {
        b: Real,
    },
    SparsePlus,
    SparseSigmoid,
    Threshold {
        threshold: Real,
        value: Real,
    },
}

impl ActivationJson {
    /// The least schema that can say this function.
    pub(super) fn schema(&self) -> u64 {
        match self {
            Self::Linear
            | Self::Relu
            | Self::Relu6
            | Self::LeakyRelu { .. }
            | Self::Elu { .. }
            | Self::Selu
            | Self::Gelu
            | Self::Silu
            | Self::Sigmoid
            | Self::Tanh
            | Self::Softplus
            | Self::Softmax => 1,
            Self::LogSoftmax
            | Self::ClippedRelu { .. }
            | Self::Exponential
            | Self::Softsign
            | Self::HardSigmoid
            | Self::HardSigmoidKeras2
            | Self::HardSilu
            | Self::HardTanh
            | Self::Mish
            | Self::LogSigmoid
            | Self::Celu { .. }
            | Self::GeluTanh
            | Self::SoftShrink { .. }
            | Self::HardShrink { .. }
            | Self::TanhShrink
            | Self::Squareplus { .. }
            | Self::SparsePlus
            | Self::SparseSigmoid
            | Self::Threshold { .. } => 2,
        }
    }
}

twins! {
    Activation = ActivationJson {
        Linear,
        Relu,
        Relu6,
        LeakyRelu { negative_slope: Real },
        Elu { alpha: Real },
        Selu,
        Gelu,
        Silu,
        Sigmoid,
        Tanh,
        Softplus,
        Softmax,
        LogSoftmax,
        ClippedRelu { max_value: Real, negative_slope: Real, threshold: Real },
        Exponential,
        Softsign,
        HardSigmoid,
        HardSigmoidKeras2,
        HardSilu,
        HardTanh,
        Mish,
        LogSigmoid,
        Celu { alpha: Real },
        GeluTanh,
        SoftShrink { threshold: Real },
        HardShrink { threshold: Real },
        TanhShrink,
        Squareplus { b: Real },
        SparsePlus,
        SparseSigmoid,
        Threshold { threshold: Real, value: Real },
    }
}
