//! Layers as JSON. Both directions name every field, so that none can be forgotten.

mod read;
mod write;

use serde::{Deserialize, Serialize};

use super::activations::ActivationJson;
use super::convolutions::{
    Conv1dJson, Conv2dTransposeJson, DepthwiseConv2dJson, Padding1dJson, SeparableConv2dJson,
};
use super::json::Real;
use crate::model::{Initializer, Padding, RowMethod};

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
