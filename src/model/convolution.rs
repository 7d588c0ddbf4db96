//! Convolutions: their settings.

use super::{Activation, Initializer};

/// How a window meets the edge of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Windows lie inside the image.
    #[default]
    Valid,
    /// As TensorFlow: the output has ⌈size / stride⌉ cells, an odd cell of padding goes below and
    /// to the right.
    Same,
    /// So many cells on each side.
    Explicit { top: usize, bottom: usize, left: usize, right: usize },
}

/// Two-dimensional convolution (cross-correlation) of NHWC images with an HWIO kernel of shape
/// (kernel height, kernel width, input channels / groups, filters).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    pub filters: usize,
    /// Height, width.
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub padding: Padding,
    pub dilation: [usize; 2],
    /// Input channels and filters are split into so many groups that do not see each other. As
    /// many groups as input channels: a depthwise convolution.
    pub groups: usize,
    pub use_bias: bool,
    pub activation: Activation,
    pub kernel_initializer: Initializer,
    pub bias_initializer: Initializer,
    /// Adds `kernel_l2`·Σw² to the loss (Keras: `kernel_regularizer=L2(…)`).
    pub kernel_l2: f64,
}

impl Conv2d {
    /// A square kernel, stride 1, no padding, with bias, linear.
    pub fn new(filters: usize, kernel: usize) -> Self {
        Self {
            filters,
            kernel: [kernel; 2],
            strides: [1; 2],
            padding: Padding::Valid,
            dilation: [1; 2],
            groups: 1,
            use_bias: true,
            activation: Activation::Linear,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            kernel_l2: 0.0,
        }
    }
}

/// How a window meets the ends of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding1d {
    /// Windows lie inside the sequence.
    #[default]
    Valid,
    /// As TensorFlow: the output has ⌈steps / stride⌉ steps, an odd step of padding goes behind.
    Same,
    /// A window ends at its own step: all of its reach is padding before the sequence.
    Causal,
}

/// Convolution (cross-correlation) of sequences (steps, channels) with a kernel of shape (kernel,
/// input channels / groups, filters): a [`Conv2d`] of images of height 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv1d {
    pub filters: usize,
    pub kernel: usize,
    pub strides: usize,
    pub padding: Padding1d,
    pub dilation: usize,
    /// As of [`Conv2d::groups`].
    pub groups: usize,
    pub use_bias: bool,
    pub activation: Activation,
    pub kernel_initializer: Initializer,
    pub bias_initializer: Initializer,
    /// As of [`Conv2d::kernel_l2`].
    pub kernel_l2: f64,
}

impl Conv1d {
    /// Stride 1, no padding, with bias, linear.
    pub fn new(filters: usize, kernel: usize) -> Self {
        Self {
            filters,
            kernel,
            strides: 1,
            padding: Padding1d::Valid,
            dilation: 1,
            groups: 1,
            use_bias: true,
            activation: Activation::Linear,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            kernel_l2: 0.0,
        }
    }
}

/// Convolution of each channel of an image for itself, with `depth_multiplier` filters each: a kernel
/// of shape (kernel height, kernel width, channels, depth multiplier). The result has the filters of
/// the first channel first: a [`Conv2d`] of as many groups as channels.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthwiseConv2d {
    pub depth_multiplier: usize,
    /// Height, width.
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub padding: Padding,
    pub dilation: [usize; 2],
    pub use_bias: bool,
    pub activation: Activation,
    pub kernel_initializer: Initializer,
    pub bias_initializer: Initializer,
    /// As of [`Conv2d::kernel_l2`].
    pub kernel_l2: f64,
}

impl DepthwiseConv2d {
    /// A square kernel, one filter per channel, stride 1, no padding, with bias, linear.
    pub fn new(kernel: usize) -> Self {
        Self {
            depth_multiplier: 1,
            kernel: [kernel; 2],
            strides: [1; 2],
            padding: Padding::Valid,
            dilation: [1; 2],
            use_bias: true,
            activation: Activation::Linear,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            kernel_l2: 0.0,
        }
    }
}

/// A [`DepthwiseConv2d`] without bias, and a convolution of its result with a kernel of one cell, of
/// shape (1, 1, channels · depth multiplier, filters).
#[derive(Clone, Debug, PartialEq)]
pub struct SeparableConv2d {
    pub filters: usize,
    pub depth_multiplier: usize,
    /// Height, width.
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub padding: Padding,
    pub dilation: [usize; 2],
    pub use_bias: bool,
    pub activation: Activation,
    pub depthwise_initializer: Initializer,
    pub pointwise_initializer: Initializer,
    pub bias_initializer: Initializer,
    /// As of [`Conv2d::kernel_l2`], for either kernel.
    pub depthwise_l2: f64,
    pub pointwise_l2: f64,
}

impl SeparableConv2d {
    /// A square kernel, one filter per channel, stride 1, no padding, with bias, linear.
    pub fn new(filters: usize, kernel: usize) -> Self {
        Self {
            filters,
            depth_multiplier: 1,
            kernel: [kernel; 2],
            strides: [1; 2],
            padding: Padding::Valid,
            dilation: [1; 2],
            use_bias: true,
            activation: Activation::Linear,
            depthwise_initializer: Initializer::GlorotUniform,
            pointwise_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            depthwise_l2: 0.0,
            pointwise_l2: 0.0,
        }
    }
}

/// The transpose of a convolution, also called deconvolution: what the gradient of a [`Conv2d`] is to
/// its input, with a kernel of shape (kernel height, kernel width, filters, input channels). Of the
/// sizes whose convolution would give an image of the input's size, `output_padding` chooses one.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2dTranspose {
    pub filters: usize,
    /// Height, width.
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    /// Of the convolution that is transposed.
    pub padding: Padding,
    /// With n cells of the input and a kernel that reaches over e of the result, there are
    /// (n − 1) · stride + e + `output_padding` cells less the padding, which for `Same` is e less
    /// 1 if e is odd. Left out: with `Valid` what the stride exceeds e by, with `Same` as much as makes
    /// n · stride, else 0.
    pub output_padding: Option<[usize; 2]>,
    pub dilation: [usize; 2],
    pub use_bias: bool,
    pub activation: Activation,
    pub kernel_initializer: Initializer,
    pub bias_initializer: Initializer,
    /// As of [`Conv2d::kernel_l2`].
    pub kernel_l2: f64,
}

impl Conv2dTranspose {
    /// A square kernel, stride 1, no padding, with bias, linear.
    pub fn new(filters: usize, kernel: usize) -> Self {
        Self {
            filters,
            kernel: [kernel; 2],
            strides: [1; 2],
            padding: Padding::Valid,
            output_padding: None,
            dilation: [1; 2],
            use_bias: true,
            activation: Activation::Linear,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            kernel_l2: 0.0,
        }
    }
}
