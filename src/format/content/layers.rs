//! Layers as JSON. Both directions name every field, so that none can be forgotten.

use serde::{Deserialize, Serialize};

use super::ContentError;
use super::activations::ActivationJson;
use super::convolutions::{
    Conv1dJson, Conv2dTransposeJson, DepthwiseConv2dJson, Padding1dJson, SeparableConv2dJson,
};
use super::json::Real;
use super::tensors::MAX_RANK;
use crate::format::error::Fault;
use crate::model::{
    Arrange, BatchNormalization, BilinearUpSampling2d, ChannelRescaling, Conv2d, Dense, Dropout,
    GlobalPool1d, GlobalPool2d, GroupNormalization, Initializer, LayerNormalization, LayerSpec,
    Merge, Noise, Normalization, NormalizationStatistics, PRelu, Padding, Pool1d, Pool2d, PoolKind,
    Rescaling, RowMethod, Softmax,
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
        method: RowMethodJson,
        epsilon: Real,
        center: bool,
        scale: bool,
    },
    GroupNormalization {
        groups: usize,
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
    // Schema 2
    Subtract,
    Multiply,
    Average,
    Maximum,
    Minimum,
    Permute {
        dims: Vec<usize>,
    },
    Cropping1d {
        start: usize,
        end: usize,
    },
    Cropping2d {
        top: usize,
        bottom: usize,
        left: usize,
        right: usize,
    },
    ZeroPadding1d {
        start: usize,
        end: usize,
    },
    UpSampling1d {
        size: usize,
    },
    UpSampling2d {
        size: [usize; 2],
    },
    #[serde(rename = "bilinear_up_sampling2d")]
    BilinearUpSampling2d {
        size: [usize; 2],
    },
    RepeatVector {
        n: usize,
    },
    Conv1d(Conv1dJson),
    MaxPool1d {
        pool: usize,
        strides: usize,
        padding: Padding1dJson,
    },
    AveragePool1d {
        pool: usize,
        strides: usize,
        padding: Padding1dJson,
    },
    GlobalMaxPool1d {
        keep_dims: bool,
    },
    GlobalAveragePool1d {
        keep_dims: bool,
    },
    DepthwiseConv2d(DepthwiseConv2dJson),
    SeparableConv2d(SeparableConv2dJson),
    Conv2dTranspose(Conv2dTransposeJson),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum StatisticsJson {
    Stored,
    Given { mean: Vec<Real>, variance: Vec<Real> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RowMethodJson {
    Standard,
    RootMeanSquare,
    Deviation,
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
            LayerSpec::Arrange(arrange) => Self::from(arrange),
            &LayerSpec::Rescaling(Rescaling { scale, offset }) => {
                Self::Rescaling { scale: Real(scale), offset: Real(offset) }
            }
            LayerSpec::Conv1d(conv) => Self::Conv1d(conv.into()),
            LayerSpec::DepthwiseConv2d(conv) => Self::DepthwiseConv2d(conv.into()),
            LayerSpec::SeparableConv2d(conv) => Self::SeparableConv2d(conv.into()),
            LayerSpec::Conv2dTranspose(conv) => Self::Conv2dTranspose(conv.into()),
            &LayerSpec::Pool1d(Pool1d { kind, pool, strides, padding }) => {
                let padding = padding.into();
                match kind {
                    PoolKind::Max => Self::MaxPool1d { pool, strides, padding },
                    PoolKind::Average => Self::AveragePool1d { pool, strides, padding },
                }
            }
            &LayerSpec::GlobalPool1d(GlobalPool1d { kind, keep_dims }) => match kind {
                PoolKind::Max => Self::GlobalMaxPool1d { keep_dims },
                PoolKind::Average => Self::GlobalAveragePool1d { keep_dims },
            },
            LayerSpec::Identity => Self::Identity,
            &LayerSpec::Softmax(Softmax { axis }) => Self::Softmax { axis },
            LayerSpec::PRelu(PRelu { alpha_initializer, shared_axes }) => Self::PRelu {
                alpha_initializer: (*alpha_initializer).into(),
                shared_axes: shared_axes.clone(),
            },
            &LayerSpec::LayerNormalization(LayerNormalization {
                trailing_axes,
                method,
                epsilon,
                center,
                scale,
            }) => Self::LayerNormalization {
                trailing_axes,
                method: method.into(),
                epsilon: Real(epsilon),
                center,
                scale,
            },
            &LayerSpec::GroupNormalization(GroupNormalization {
                groups,
                epsilon,
                center,
                scale,
            }) => Self::GroupNormalization { groups, epsilon: Real(epsilon), center, scale },
            &LayerSpec::BilinearUpSampling2d(BilinearUpSampling2d { size }) => {
                Self::BilinearUpSampling2d { size }
            }
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
            &LayerSpec::Merge(merge) => match merge {
                Merge::Add => Self::Add,
                Merge::Subtract => Self::Subtract,
                Merge::Multiply => Self::Multiply,
                Merge::Average => Self::Average,
                Merge::Maximum => Self::Maximum,
                Merge::Minimum => Self::Minimum,
                Merge::Concatenate { axis } => Self::Concatenate { axis },
            },
        }
    }
}

impl From<&Arrange> for SpecJson {
    fn from(arrange: &Arrange) -> Self {
        match *arrange {
            Arrange::Permute { ref dims } => Self::Permute { dims: dims.clone() },
            Arrange::Cropping1d([start, end]) => Self::Cropping1d { start, end },
            Arrange::Cropping2d([top, bottom, left, right]) => {
                Self::Cropping2d { top, bottom, left, right }
            }
            Arrange::ZeroPadding1d([start, end]) => Self::ZeroPadding1d { start, end },
            Arrange::ZeroPadding2d([top, bottom, left, right]) => {
                Self::ZeroPadding2d { top, bottom, left, right }
            }
            Arrange::UpSampling1d { size } => Self::UpSampling1d { size },
            Arrange::UpSampling2d { size } => Self::UpSampling2d { size },
            Arrange::RepeatVector { n } => Self::RepeatVector { n },
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
            Self::Conv1d(Conv1dJson { activation, .. })
            | Self::DepthwiseConv2d(DepthwiseConv2dJson { activation, .. })
            | Self::SeparableConv2d(SeparableConv2dJson { activation, .. })
            | Self::Conv2dTranspose(Conv2dTransposeJson { activation, .. }) => {
                activation.schema().max(2)
            }
            Self::Subtract
            | Self::Multiply
            | Self::Average
            | Self::Maximum
            | Self::Minimum
            | Self::Permute { .. }
            | Self::Cropping1d { .. }
            | Self::Cropping2d { .. }
            | Self::ZeroPadding1d { .. }
            | Self::UpSampling1d { .. }
            | Self::UpSampling2d { .. }
            | Self::RepeatVector { .. }
            | Self::MaxPool1d { .. }
            | Self::AveragePool1d { .. }
            | Self::GlobalMaxPool1d { .. }
            | Self::GlobalAveragePool1d { .. }
            | Self::Identity
            | Self::Softmax { .. }
            | Self::PRelu { .. }
            | Self::LayerNormalization { .. }
            | Self::GroupNormalization { .. }
            | Self::BilinearUpSampling2d { .. }
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
                Arrange::ZeroPadding2d([top, bottom, left, right]).into()
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
            Self::LayerNormalization {
                trailing_axes,
                method,
                epsilon: Real(epsilon),
                center,
                scale,
            } => LayerSpec::LayerNormalization(LayerNormalization {
                trailing_axes,
                method: method.into(),
                epsilon,
                center,
                scale,
            }),
            Self::GroupNormalization { groups, epsilon: Real(epsilon), center, scale } => {
                LayerSpec::GroupNormalization(GroupNormalization { groups, epsilon, center, scale })
            }
            Self::BilinearUpSampling2d { size } => {
                LayerSpec::BilinearUpSampling2d(BilinearUpSampling2d { size })
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
            Self::Subtract => LayerSpec::Merge(Merge::Subtract),
            Self::Multiply => LayerSpec::Merge(Merge::Multiply),
            Self::Average => LayerSpec::Merge(Merge::Average),
            Self::Maximum => LayerSpec::Merge(Merge::Maximum),
            Self::Minimum => LayerSpec::Merge(Merge::Minimum),
            Self::Permute { dims } => Arrange::Permute { dims }.into(),
            Self::Cropping1d { start, end } => Arrange::Cropping1d([start, end]).into(),
            Self::Cropping2d { top, bottom, left, right } => {
                Arrange::Cropping2d([top, bottom, left, right]).into()
            }
            Self::ZeroPadding1d { start, end } => Arrange::ZeroPadding1d([start, end]).into(),
            Self::UpSampling1d { size } => Arrange::UpSampling1d { size }.into(),
            Self::UpSampling2d { size } => Arrange::UpSampling2d { size }.into(),
            Self::RepeatVector { n } => Arrange::RepeatVector { n }.into(),
            Self::Conv1d(conv) => LayerSpec::Conv1d(conv.into()),
            Self::DepthwiseConv2d(conv) => LayerSpec::DepthwiseConv2d(conv.into()),
            Self::SeparableConv2d(conv) => LayerSpec::SeparableConv2d(conv.into()),
            Self::Conv2dTranspose(conv) => LayerSpec::Conv2dTranspose(conv.into()),
            Self::MaxPool1d { pool, strides, padding } => LayerSpec::Pool1d(Pool1d {
                kind: PoolKind::Max,
                pool,
                strides,
                padding: padding.into(),
            }),
            Self::AveragePool1d { pool, strides, padding } => LayerSpec::Pool1d(Pool1d {
                kind: PoolKind::Average,
                pool,
                strides,
                padding: padding.into(),
            }),
            Self::GlobalMaxPool1d { keep_dims } => {
                LayerSpec::GlobalPool1d(GlobalPool1d { kind: PoolKind::Max, keep_dims })
            }
            Self::GlobalAveragePool1d { keep_dims } => {
                LayerSpec::GlobalPool1d(GlobalPool1d { kind: PoolKind::Average, keep_dims })
            }
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
    RowMethod = RowMethodJson { Standard, RootMeanSquare, Deviation }
    Initializer = InitializerJson { GlorotUniform, GlorotNormal, HeUniform, HeNormal, Zeros, Ones }
}

pub(super) use twins;
