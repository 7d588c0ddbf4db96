//! Layers of the model as JSON.

use super::{SpecJson, StatisticsJson};
use crate::format::content::json::Real;
use crate::model::{
    Arrange, BatchNormalization, BilinearUpSampling2d, ChannelRescaling, Conv2d, Dense, Dropout,
    GlobalPool1d, GlobalPool2d, GroupNormalization, LayerNormalization, LayerSpec, Merge, Noise,
    Normalization, NormalizationStatistics, PRelu, Pool1d, Pool2d, PoolKind, Rescaling, Softmax,
};

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

fn reals(numbers: &[f64]) -> Vec<Real> {
    numbers.iter().copied().map(Real).collect()
}
