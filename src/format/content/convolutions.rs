//! The convolutions of schema 2 as JSON: both directions from one list of settings.

use serde::{Deserialize, Serialize};

use super::activations::ActivationJson;
use super::json::Real;
use super::layers::{InitializerJson, PaddingJson, twins};
use crate::model::{Conv1d, Conv2dTranspose, DepthwiseConv2d, Padding1d, SeparableConv2d};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Padding1dJson {
    Valid,
    Same,
    Causal,
}

twins! {
    Padding1d = Padding1dJson { Valid, Same, Causal }
}

/// A layer's settings as JSON, in their order in the file. All of the layer's fields must be listed.
macro_rules! settings {
    ($($model:ident = $json:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $json {
            $(pub(super) $field: $type,)*
        }

        impl From<&$model> for $json {
            fn from(&$model { $($field),* }: &$model) -> Self {
                Self { $($field: $field.into()),* }
            }
        }

        impl From<$json> for $model {
            fn from($json { $($field),* }: $json) -> Self {
                Self { $($field: $field.into()),* }
            }
        }
    )*};
}

settings! {
    Conv1d = Conv1dJson {
        filters: usize,
        kernel: usize,
        strides: usize,
        padding: Padding1dJson,
        dilation: usize,
        groups: usize,
        use_bias: bool,
        activation: ActivationJson,
        kernel_initializer: InitializerJson,
        bias_initializer: InitializerJson,
        kernel_l2: Real,
    }
    DepthwiseConv2d = DepthwiseConv2dJson {
        depth_multiplier: usize,
        kernel: [usize; 2],
        strides: [usize; 2],
        padding: PaddingJson,
        dilation: [usize; 2],
        use_bias: bool,
        activation: ActivationJson,
        kernel_initializer: InitializerJson,
        bias_initializer: InitializerJson,
        kernel_l2: Real,
    }
    SeparableConv2d = SeparableConv2dJson {
        filters: usize,
        depth_multiplier: usize,
        kernel: [usize; 2],
        strides: [usize; 2],
        padding: PaddingJson,
        dilation: [usize; 2],
        use_bias: bool,
        activation: ActivationJson,
        depthwise_initializer: InitializerJson,
        pointwise_initializer: InitializerJson,
        bias_initializer: InitializerJson,
        depthwise_l2: Real,
        pointwise_l2: Real,
    }
    Conv2dTranspose = Conv2dTransposeJson {
        filters: usize,
        kernel: [usize; 2],
        strides: [usize; 2],
        padding: PaddingJson,
        output_padding: Option<[usize; 2]>,
        dilation: [usize; 2],
        use_bias: bool,
        activation: ActivationJson,
        kernel_initializer: InitializerJson,
        bias_initializer: InitializerJson,
        kernel_l2: Real,
    }
}
