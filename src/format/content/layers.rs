//! Layers as JSON. Both directions name every field, so that none can be forgotten.

use serde::{Deserialize, Serialize};

use super::ContentError;
use super::activations::ActivationJson;
use super::json::Real;
use super::tensors::MAX_RANK;
use crate::format::error::Fault;
use crate::model::{
    BatchNormalization, ChannelRescaling, Conv2d, Dense, Dropout, GlobalPool2d, Initializer,
    LayerNormalization, LayerSpec, Merge, Noise, Normalization, NormalizationStatistics, PRelu,
    Padding, Pool2d, PoolKind, Rescaling, Softmax,
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
    Identity,
    Softmax {
        axis: i32,
    },
    #[serde(rename = "prelu")]
    PRelu {
        alpha_initializer: InitializerJson,
        shared_axes: Vec<usize>,
    },
    LayerNormalization {
        trailing_axes: usize,
        epsilon: Real,
        center: bool,
        scale: bool,
    },
    Normalization {
        axes: Vec<i32>,
        statistics: StatisticsJson,
        invert: bool,
    },
    ChannelRescaling {
        scale: Vec<Real>,
        offset: Vec<Real>,
    },
    SpatialDropout {
        rate: Real,
    },
    GaussianNoise {
        deviation: Real,
    },
    GaussianDropout {
        rate: Real,
    },
    AlphaDropout {
        rate: Real,
    },
    Add,
    Concatenate {
        axis: i32,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum StatisticsJson {
    Stored,
    Given { mean: Vec<Real>, variance: Vec<Real> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum PaddingJson {
    Valid,
    Same,
    Explicit { top: usize, bottom: usize, left: usize, right: usize },
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
            LayerSpec::Identity => Self::Identity,
            &LayerSpec::Softmax(Softmax { axis }) => Self::Softmax { axis },
            LayerSpec::PRelu(PRelu { alpha_initializer, shared_axes }) => Self::PRelu {
                alpha_initializer: (*alpha_initializer).into(),
                shared_axes: shared_axes.clone(),
            },
            &LayerSpec::LayerNormalization(LayerNormalization {
                trailing_axes,
                epsilon,
                center,
                scale,
            }) => Self::LayerNormalization { trailing_axes, epsilon: Real(epsilon), center, scale },
            LayerSpec::Normalization(Normalization { axes, statistics, invert }) => {
                Self::Normalization {
                    axes: axes.clone(),
                    statistics: statistics.into(),
                    invert: *invert,
                }
            }
            LayerSpec::ChannelRescaling(ChannelRescaling { scale, offset }) => {
                Self::ChannelRescaling { scale: reals(scale), offset: reals(offset) }
            }
            &LayerSpec::Noise(noise) => match noise {
                Noise::SpatialDropout { rate } => Self::SpatialDropout { rate: Real(rate) },
                Noise::GaussianNoise { deviation } => {
                    Self::GaussianNoise { deviation: Real(deviation) }
                }
                Noise::GaussianDropout { rate } => Self::GaussianDropout { rate: Real(rate) },
                Noise::AlphaDropout { rate } => Self::AlphaDropout { rate: Real(rate) },
            },
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
            Self::Identity
            | Self::Softmax { .. }
            | Self::PRelu { .. }
            | Self::LayerNormalization { .. }
            | Self::Normalization { .. }
            | Self::ChannelRescaling { .. }
            | Self::SpatialDropout { .. }
            | Self::GaussianNoise { .. }
            | Self::GaussianDropout { .. }
            | Self::AlphaDropout { .. } => 2,
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
            Self::Identity => LayerSpec::Identity,
            Self::Softmax { axis } => LayerSpec::Softmax(Softmax { axis }),
            Self::PRelu { alpha_initializer, shared_axes } => {
                let alpha_initializer = alpha_initializer.into();
                LayerSpec::PRelu(PRelu { alpha_initializer, shared_axes })
            }
            Self::LayerNormalization { trailing_axes, epsilon: Real(epsilon), center, scale } => {
                LayerSpec::LayerNormalization(LayerNormalization {
                    trailing_axes,
                    epsilon,
                    center,
                    scale,
                })
            }
            Self::Normalization { axes, statistics, invert } => {
                let statistics = statistics.into();
                LayerSpec::Normalization(Normalization { axes, statistics, invert })
            }
            Self::ChannelRescaling { scale, offset } => {
                let (scale, offset) = (numbers(scale), numbers(offset));
                LayerSpec::ChannelRescaling(ChannelRescaling { scale, offset })
            }
            Self::SpatialDropout { rate: Real(rate) } => {
                LayerSpec::Noise(Noise::SpatialDropout { rate })
            }
            Self::GaussianNoise { deviation: Real(deviation) } => {
                LayerSpec::Noise(Noise::GaussianNoise { deviation })
            }
            Self::GaussianDropout { rate: Real(rate) } => {
                LayerSpec::Noise(Noise::GaussianDropout { rate })
            }
            Self::AlphaDropout { rate: Real(rate) } => {
                LayerSpec::Noise(Noise::AlphaDropout { rate })
            }
            Self::Add => LayerSpec::Merge(Merge::Add),
            Self::Concatenate { axis } => LayerSpec::Merge(Merge::Concatenate { axis }),
        })
    }
}

impl From<&NormalizationStatistics> for StatisticsJson {
    fn from(statistics: &NormalizationStatistics) -> Self {
        match statistics {
            NormalizationStatistics::Stored => Self::Stored,
            NormalizationStatistics::Given { mean, variance } => {
                Self::Given { mean: reals(mean), variance: reals(variance) }
            }
        }
    }
}

impl From<StatisticsJson> for NormalizationStatistics {
    fn from(statistics: StatisticsJson) -> Self {
        match statistics {
            StatisticsJson::Stored => Self::Stored,
            StatisticsJson::Given { mean, variance } => {
                Self::Given { mean: numbers(mean), variance: numbers(variance) }
            }
        }
    }
}

fn reals(numbers: &[f64]) -> Vec<Real> {
    numbers.iter().copied().map(Real).collect()
}

fn numbers(reals: Vec<Real>) -> Vec<f64> {
    reals.into_iter().map(|Real(number)| number).collect()
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
    Initializer = InitializerJson { GlorotUniform, GlorotNormal, HeUniform, HeNormal, Zeros, Ones }
}

pub(super) use twins;
