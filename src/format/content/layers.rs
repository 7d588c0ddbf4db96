//! Layers as JSON. Both directions name every field, so that none can be forgotten.

use serde::{Deserialize, Serialize};

use super::ContentError;
use super::json::Real;
use super::tensors::MAX_RANK;
use crate::format::error::Fault;
use crate::model::{
    Activation, BatchNormalization, Conv2d, Dense, Dropout, GlobalPool2d, Initializer, LayerSpec,
    Merge, Padding, Pool2d, PoolKind, Rescaling,
};
use crate::tensor::Shape;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum SpecJson {
    Input {
        shape: Vec<usize>,
    },
    #[serde(rename = "conv2d")]
    Conv2d {
        filters: usize,
        kernel: [usize; 2],
        strides: [usize; 2],
        padding: PaddingJson,
        dilation: [usize; 2],
        groups: usize,
        use_bias: bool,
        activation: ActivationJson,
        kernel_initializer: InitializerJson,
        bias_initializer: InitializerJson,
        kernel_l2: Real,
    },
    #[serde(rename = "max_pool2d")]
    MaxPool2d {
        pool: [usize; 2],
        strides: [usize; 2],
        padding: PaddingJson,
    },
    #[serde(rename = "average_pool2d")]
    AveragePool2d {
        pool: [usize; 2],
        strides: [usize; 2],
        padding: PaddingJson,
    },
    #[serde(rename = "global_max_pool2d")]
    GlobalMaxPool2d {
        keep_dims: bool,
    },
    #[serde(rename = "global_average_pool2d")]
    GlobalAveragePool2d {
        keep_dims: bool,
    },
    Flatten,
    Reshape {
        shape: Vec<usize>,
    },
    Dense {
        units: usize,
        use_bias: bool,
        activation: ActivationJson,
        kernel_initializer: InitializerJson,
        bias_initializer: InitializerJson,
        kernel_l2: Real,
    },
    Dropout {
        rate: Real,
    },
    BatchNormalization {
        momentum: Real,
        epsilon: Real,
        center: bool,
        scale: bool,
    },
    Activation {
        function: ActivationJson,
    },
    #[serde(rename = "zero_padding2d")]
    ZeroPadding2d {
        top: usize,
        bottom: usize,
        left: usize,
        right: usize,
    },
    Rescaling {
        scale: Real,
        offset: Real,
    },
    Add,
    Concatenate {
        axis: i32,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum PaddingJson {
    Valid,
    Same,
    Explicit { top: usize, bottom: usize, left: usize, right: usize },
}

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

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum InitializerJson {
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    Zeros,
    Ones,
}

impl From<&LayerSpec> for SpecJson {
    fn from(spec: &LayerSpec) -> Self {
        match spec {
            LayerSpec::Input(shape) => Self::Input { shape: shape.dims().to_vec() },
            &LayerSpec::Conv2d(Conv2d {
                filters,
                kernel,
                strides,
                padding,
                dilation,
                groups,
                use_bias,
                activation,
                kernel_initializer,
                bias_initializer,
                kernel_l2,
            }) => Self::Conv2d {
                filters,
                kernel,
                strides,
                padding: padding.into(),
                dilation,
                groups,
                use_bias,
                activation: activation.into(),
                kernel_initializer: kernel_initializer.into(),
                bias_initializer: bias_initializer.into(),
                kernel_l2: Real(kernel_l2),
            },
            &LayerSpec::Pool2d(Pool2d { kind, pool, strides, padding }) => {
                let padding = padding.into();
                match kind {
                    PoolKind::Max => Self::MaxPool2d { pool, strides, padding },
                    PoolKind::Average => Self::AveragePool2d { pool, strides, padding },
                }
            }
            &LayerSpec::GlobalPool2d(GlobalPool2d { kind, keep_dims }) => match kind {
                PoolKind::Max => Self::GlobalMaxPool2d { keep_dims },
                PoolKind::Average => Self::GlobalAveragePool2d { keep_dims },
            },
            LayerSpec::Flatten => Self::Flatten,
            LayerSpec::Reshape(shape) => Self::Reshape { shape: shape.dims().to_vec() },
            &LayerSpec::Dense(Dense {
                units,
                use_bias,
                activation,
                kernel_initializer,
                bias_initializer,
                kernel_l2,
            }) => Self::Dense {
                units,
                use_bias,
                activation: activation.into(),
                kernel_initializer: kernel_initializer.into(),
                bias_initializer: bias_initializer.into(),
                kernel_l2: Real(kernel_l2),
            },
            &LayerSpec::Dropout(Dropout { rate }) => Self::Dropout { rate: Real(rate) },
            &LayerSpec::BatchNormalization(BatchNormalization {
                momentum,
                epsilon,
                center,
                scale,
            }) => Self::BatchNormalization {
                momentum: Real(momentum),
                epsilon: Real(epsilon),
                center,
                scale,
            },
            &LayerSpec::Activation(function) => Self::Activation { function: function.into() },
            &LayerSpec::ZeroPadding2d([top, bottom, left, right]) => {
                Self::ZeroPadding2d { top, bottom, left, right }
            }
            &LayerSpec::Rescaling(Rescaling { scale, offset }) => {
                Self::Rescaling { scale: Real(scale), offset: Real(offset) }
            }
            LayerSpec::Merge(Merge::Add) => Self::Add,
            &LayerSpec::Merge(Merge::Concatenate { axis }) => Self::Concatenate { axis },
        }
    }
}

impl SpecJson {
    /// The least schema that can say this layer.
    pub(super) fn schema(&self) -> u64 {
        match self {
            Self::Conv2d { activation, .. }
            | Self::Dense { activation, .. }
            | Self::Activation { function: activation } => activation.schema(),
            Self::Input { .. }
            | Self::MaxPool2d { .. }
            | Self::AveragePool2d { .. }
            | Self::GlobalMaxPool2d { .. }
            | Self::GlobalAveragePool2d { .. }
            | Self::Flatten
            | Self::Reshape { .. }
            | Self::Dropout { .. }
            | Self::BatchNormalization { .. }
            | Self::ZeroPadding2d { .. }
            | Self::Rescaling { .. }
            | Self::Add
            | Self::Concatenate { .. } => 1,
        }
    }

    /// The layer that is meant. Only the length of shapes is checked here, since every node that
    /// a shape passes through copies it; the graph checks the rest.
    pub(super) fn try_into_spec(self) -> Result<LayerSpec, Fault> {
        Ok(match self {
            Self::Input { shape } => LayerSpec::Input(checked_rank(shape)?),
            Self::Conv2d {
                filters,
                kernel,
                strides,
                padding,
                dilation,
                groups,
                use_bias,
                activation,
                kernel_initializer,
                bias_initializer,
                kernel_l2: Real(kernel_l2),
            } => LayerSpec::Conv2d(Conv2d {
                filters,
                kernel,
                strides,
                padding: padding.into(),
                dilation,
                groups,
                use_bias,
                activation: activation.into(),
                kernel_initializer: kernel_initializer.into(),
                bias_initializer: bias_initializer.into(),
                kernel_l2,
            }),
            Self::MaxPool2d { pool, strides, padding } => LayerSpec::Pool2d(Pool2d {
                kind: PoolKind::Max,
                pool,
                strides,
                padding: padding.into(),
            }),
            Self::AveragePool2d { pool, strides, padding } => LayerSpec::Pool2d(Pool2d {
                kind: PoolKind::Average,
                pool,
                strides,
                padding: padding.into(),
            }),
            Self::GlobalMaxPool2d { keep_dims } => {
                LayerSpec::GlobalPool2d(GlobalPool2d { kind: PoolKind::Max, keep_dims })
            }
            Self::GlobalAveragePool2d { keep_dims } => {
                LayerSpec::GlobalPool2d(GlobalPool2d { kind: PoolKind::Average, keep_dims })
            }
            Self::Flatten => LayerSpec::Flatten,
            Self::Reshape { shape } => LayerSpec::Reshape(checked_rank(shape)?),
            Self::Dense {
                units,
                use_bias,
                activation,
                kernel_initializer,
                bias_initializer,
                kernel_l2: Real(kernel_l2),
            } => LayerSpec::Dense(Dense {
                units,
                use_bias,
                activation: activation.into(),
                kernel_initializer: kernel_initializer.into(),
                bias_initializer: bias_initializer.into(),
                kernel_l2,
            }),
            Self::Dropout { rate: Real(rate) } => LayerSpec::Dropout(Dropout { rate }),
            Self::BatchNormalization {
                momentum: Real(momentum),
                epsilon: Real(epsilon),
                center,
                scale,
            } => LayerSpec::BatchNormalization(BatchNormalization {
                momentum,
                epsilon,
                center,
                scale,
            }),
            Self::Activation { function } => LayerSpec::Activation(function.into()),
            Self::ZeroPadding2d { top, bottom, left, right } => {
                LayerSpec::ZeroPadding2d([top, bottom, left, right])
            }
            Self::Rescaling { scale: Real(scale), offset: Real(offset) } => {
                LayerSpec::Rescaling(Rescaling { scale, offset })
            }
            Self::Add => LayerSpec::Merge(Merge::Add),
            Self::Concatenate { axis } => LayerSpec::Merge(Merge::Concatenate { axis }),
        })
    }
}

impl ActivationJson {
    /// The least schema that can say this function.
    fn schema(&self) -> u64 {
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

fn checked_rank(dims: Vec<usize>) -> Result<Shape, ContentError> {
    // One less than a tensor's, since an output of the proof adds the samples.
    let (rank, limit) = (dims.len(), MAX_RANK - 1);
    if rank > limit {
        return Err(ContentError::Rank { what: "a layer's shape".to_owned(), rank, limit });
    }
    Ok(Shape::new(dims))
}

/// Both directions between a closed enum of the model and its twin here, variant by variant.
macro_rules! twins {
    ($($model:ident = $json:ident {
        $($variant:ident $({ $($field:ident $(: $wrap:ident)?),* })?),* $(,)?
    })*) => {$(
        impl From<$model> for $json {
            fn from(value: $model) -> Self {
                match value {
                    $($model::$variant $({ $($field),* })? => {
                        Self::$variant $({ $($field: twins!(to $field $($wrap)?)),* })?
                    })*
                }
            }
        }

        impl From<$json> for $model {
            fn from(value: $json) -> Self {
                match value {
                    $($json::$variant $({ $($field),* })? => {
                        Self::$variant $({ $($field: twins!(from $field $($wrap)?)),* })?
                    })*
                }
            }
        }
    )*};
    (to $field:ident $wrap:ident) => { $wrap($field) };
    (to $field:ident) => { $field };
    (from $field:ident $wrap:ident) => { $field.0 };
    (from $field:ident) => { $field };
}

twins! {
    Padding = PaddingJson { Valid, Same, Explicit { top, bottom, left, right } }
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
    Initializer = InitializerJson { GlorotUniform, GlorotNormal, HeUniform, HeNormal, Zeros, Ones }
}

pub(super) use twins;
