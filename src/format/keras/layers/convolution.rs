//! Convolutions of every kind.

use super::{Lowering, Specs};
use crate::format::keras::error::KerasError;
use crate::format::keras::json::Settings;
use crate::model::{
    Activation, Conv1d, Conv2d, Conv2dTranspose, DepthwiseConv2d, LayerSpec, Padding, Padding1d,
    SeparableConv2d,
};

impl Lowering {
    pub(super) fn conv1d(&mut self, settings: Settings<'_>) -> Result<Specs, KerasError> {
        let one = |setting, default| settings.counts::<1>(setting, default).map(|[count]| count);
        let conv = Conv1d {
            filters: settings.count("filters")?,
            kernel: one("kernel_size", None)?,
            strides: one("strides", Some([1]))?,
            padding: padding1d(settings)?,
            dilation: one("dilation_rate", Some([1]))?,
            groups: settings.count_or("groups", 1)?,
            use_bias: settings.flag("use_bias", true)?,
            activation: self.activation(settings, "activation")?,
            kernel_initializer: self.initializer(settings, "kernel_initializer"),
            bias_initializer: self.initializer(settings, "bias_initializer"),
            kernel_l2: self.l2(settings, "kernel_regularizer"),
        };
        Ok(vec![conv.into()])
    }

    pub(super) fn conv2d(&mut self, settings: Settings<'_>) -> Result<Specs, KerasError> {
        let conv = Conv2d {
            filters: settings.count("filters")?,
            kernel: settings.counts("kernel_size", None)?,
            strides: settings.counts("strides", Some([1; 2]))?,
            padding: padding2d(settings)?,
            dilation: settings.counts("dilation_rate", Some([1; 2]))?,
            groups: settings.count_or("groups", 1)?,
            use_bias: settings.flag("use_bias", true)?,
            activation: self.activation(settings, "activation")?,
            kernel_initializer: self.initializer(settings, "kernel_initializer"),
            bias_initializer: self.initializer(settings, "bias_initializer"),
            kernel_l2: self.l2(settings, "kernel_regularizer"),
        };
        Ok(vec![conv.into()])
    }

    pub(super) fn depthwise_conv2d(&mut self, settings: Settings<'_>) -> Result<Specs, KerasError> {
        let conv = DepthwiseConv2d {
            depth_multiplier: settings.count_or("depth_multiplier", 1)?,
            kernel: settings.counts("kernel_size", None)?,
            strides: settings.counts("strides", Some([1; 2]))?,
            padding: padding2d(settings)?,
            dilation: settings.counts("dilation_rate", Some([1; 2]))?,
            use_bias: settings.flag("use_bias", true)?,
            activation: self.activation(settings, "activation")?,
            kernel_initializer: self.initializer(settings, "depthwise_initializer"),
            bias_initializer: self.initializer(settings, "bias_initializer"),
            kernel_l2: self.l2(settings, "depthwise_regularizer"),
        };
        Ok(vec![conv.into()])
    }

    pub(super) fn separable_conv2d(&mut self, settings: Settings<'_>) -> Result<Specs, KerasError> {
        let conv = SeparableConv2d {
            filters: settings.count("filters")?,
            depth_multiplier: settings.count_or("depth_multiplier", 1)?,
            kernel: settings.counts("kernel_size", None)?,
            strides: settings.counts("strides", Some([1; 2]))?,
            padding: padding2d(settings)?,
            dilation: settings.counts("dilation_rate", Some([1; 2]))?,
            use_bias: settings.flag("use_bias", true)?,
            activation: self.activation(settings, "activation")?,
            depthwise_initializer: self.initializer(settings, "depthwise_initializer"),
            pointwise_initializer: self.initializer(settings, "pointwise_initializer"),
            bias_initializer: self.initializer(settings, "bias_initializer"),
            depthwise_l2: self.l2(settings, "depthwise_regularizer"),
            pointwise_l2: self.l2(settings, "pointwise_regularizer"),
        };
        Ok(vec![conv.into()])
    }

    pub(super) fn conv2d_transpose(&mut self, settings: Settings<'_>) -> Result<Specs, KerasError> {
        let output_padding = match settings.get("output_padding") {
            Some(_) => Some(settings.counts("output_padding", None)?),
            None => None,
        };
        let conv = Conv2dTranspose {
            filters: settings.count("filters")?,
            kernel: settings.counts("kernel_size", None)?,
            strides: settings.counts("strides", Some([1; 2]))?,
            padding: padding2d(settings)?,
            output_padding,
            dilation: settings.counts("dilation_rate", Some([1; 2]))?,
            use_bias: settings.flag("use_bias", true)?,
            activation: self.activation(settings, "activation")?,
            kernel_initializer: self.initializer(settings, "kernel_initializer"),
            bias_initializer: self.initializer(settings, "bias_initializer"),
            kernel_l2: self.l2(settings, "kernel_regularizer"),
        };
        Ok(vec![conv.into()])
    }
}

/// Takes a softmax out of a convolution. Keras computes it along the last axis, whichever that is.
pub(super) fn take_softmax(spec: &mut LayerSpec) -> Option<Activation> {
    let activation = match spec {
        LayerSpec::Conv1d(conv) => &mut conv.activation,
        LayerSpec::Conv2d(conv) => &mut conv.activation,
        LayerSpec::DepthwiseConv2d(conv) => &mut conv.activation,
        LayerSpec::SeparableConv2d(conv) => &mut conv.activation,
        LayerSpec::Conv2dTranspose(conv) => &mut conv.activation,
        _ => return None,
    };
    let is_softmax = matches!(activation, Activation::Softmax | Activation::LogSoftmax);
    is_softmax.then(|| std::mem::replace(activation, Activation::Linear))
}

/// `border_mode` in Keras 1.
const PADDING: [&str; 2] = ["padding", "border_mode"];

pub(super) fn padding1d(settings: Settings<'_>) -> Result<Padding1d, KerasError> {
    let setting = settings.first_of(PADDING);
    match settings.text(setting)?.unwrap_or("valid") {
        "valid" => Ok(Padding1d::Valid),
        "same" => Ok(Padding1d::Same),
        "causal" => Ok(Padding1d::Causal),
        _ => Err(settings.fault(setting, "`valid`, `same` or `causal`")),
    }
}

pub(super) fn padding2d(settings: Settings<'_>) -> Result<Padding, KerasError> {
    let setting = settings.first_of(PADDING);
    match settings.text(setting)?.unwrap_or("valid") {
        "valid" => Ok(Padding::Valid),
        "same" => Ok(Padding::Same),
        _ => Err(settings.fault(setting, "`valid` or `same`")),
    }
}
