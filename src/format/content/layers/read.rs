//! Layers of the model from JSON.

use super::{SpecJson, StatisticsJson};
use crate::format::content::ContentError;
use crate::format::content::json::Real;
use crate::format::content::tensors::MAX_RANK;
use crate::format::error::Fault;
use crate::model::{
    Arrange, BatchNormalization, BilinearUpSampling2d, ChannelRescaling, Conv2d, Dense, Dropout,
    GlobalPool1d, GlobalPool2d, GroupNormalization, LayerNormalization, LayerSpec, Merge, Noise,
    Normalization, NormalizationStatistics, PRelu, Pool1d, Pool2d, PoolKind, Rescaling, Softmax,
};
use crate::tensor::Shape;

impl SpecJson {
    /// The layer that is meant. Only the length of shapes is checked here, since every node that
    /// a shape passes through copies it; the graph checks the rest.
    pub(in crate::format::content) fn try_into_spec(self) -> Result<LayerSpec, Fault> {
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
