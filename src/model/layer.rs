//! The layers: each a plain value with its hyper-parameters.

use super::{
    Activation, Arrange, ChannelRescaling, Conv1d, Conv2d, Conv2dTranspose, DepthwiseConv2d,
    GlobalPool1d, GlobalPool2d, GroupNormalization, Initializer, LayerNormalization, Noise,
    Normalization, Pool1d, Pool2d, PoolKind, SeparableConv2d,
};
use crate::tensor::Shape;

/// One layer's kind and hyper-parameters. A closed set: a new kind does not compile until every
/// codec maps it or refuses it by name.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerSpec {
    /// Where samples of this shape enter the network.
    Input(Shape),
    Conv1d(Conv1d),
    Conv2d(Conv2d),
    DepthwiseConv2d(DepthwiseConv2d),
    SeparableConv2d(SeparableConv2d),
    Conv2dTranspose(Conv2dTranspose),
    /// MaxPool1d and AveragePool1d.
    Pool1d(Pool1d),
    /// MaxPool2d and AveragePool2d.
    Pool2d(Pool2d),
    /// GlobalMaxPool1d and GlobalAveragePool1d.
    GlobalPool1d(GlobalPool1d),
    /// GlobalMaxPool2d and GlobalAveragePool2d.
    GlobalPool2d(GlobalPool2d),
    /// Any shape to a vector, row-major.
    Flatten,
    /// Any shape to one of as many elements, row-major.
    Reshape(Shape),
    Dense(Dense),
    Dropout(Dropout),
    BatchNormalization(BatchNormalization),
    Activation(Activation),
    /// Layers that only move values.
    Arrange(Arrange),
    BilinearUpSampling2d(BilinearUpSampling2d),
    Rescaling(Rescaling),
    /// x
    Identity,
    Softmax(Softmax),
    PRelu(PRelu),
    LayerNormalization(LayerNormalization),
    GroupNormalization(GroupNormalization),
    Normalization(Normalization),
    ChannelRescaling(ChannelRescaling),
    /// SpatialDropout, GaussianNoise, GaussianDropout, AlphaDropout.
    Noise(Noise),
    /// Layers that join several inputs.
    Merge(Merge),
}

impl LayerSpec {
    /// The name of the kind, which automatic layer names and messages use.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Conv1d(_) => "conv1d",
            Self::Conv2d(_) => "conv2d",
            Self::DepthwiseConv2d(_) => "depthwise_conv2d",
            Self::SeparableConv2d(_) => "separable_conv2d",
            Self::Conv2dTranspose(_) => "conv2d_transpose",
            Self::Pool1d(Pool1d { kind: PoolKind::Max, .. }) => "max_pool1d",
            Self::Pool1d(Pool1d { kind: PoolKind::Average, .. }) => "average_pool1d",
            Self::Pool2d(Pool2d { kind: PoolKind::Max, .. }) => "max_pool2d",
            Self::Pool2d(Pool2d { kind: PoolKind::Average, .. }) => "average_pool2d",
            Self::GlobalPool1d(GlobalPool1d { kind: PoolKind::Max, .. }) => "global_max_pool1d",
            Self::GlobalPool1d(GlobalPool1d { kind: PoolKind::Average, .. }) => {
                "global_average_pool1d"
            }
            Self::GlobalPool2d(GlobalPool2d { kind: PoolKind::Max, .. }) => "global_max_pool2d",
            Self::GlobalPool2d(GlobalPool2d { kind: PoolKind::Average, .. }) => {
                "global_average_pool2d"
            }
            Self::Flatten => "flatten",
            Self::Reshape(_) => "reshape",
            Self::Dense(_) => "dense",
            Self::Dropout(_) => "dropout",
            Self::BatchNormalization(_) => "batch_normalization",
            Self::Activation(_) => "activation",
            Self::Arrange(arrange) => arrange.kind(),
            Self::BilinearUpSampling2d(_) => "bilinear_up_sampling2d",
            Self::Rescaling(_) => "rescaling",
            Self::Identity => "identity",
            Self::Softmax(_) => "softmax",
            Self::PRelu(_) => "prelu",
            Self::LayerNormalization(norm) => norm.kind(),
            Self::GroupNormalization(_) => "group_normalization",
            Self::Normalization(_) => "normalization",
            Self::ChannelRescaling(_) => "channel_rescaling",
            Self::Noise(noise) => noise.kind(),
            Self::Merge(merge) => merge.kind(),
        }
    }

    /// The function that the layer ends in by its settings, `Linear` for none.
    pub(crate) const fn activation(&self) -> Activation {
        match self {
            Self::Conv1d(conv) => conv.activation,
            Self::Conv2d(conv) => conv.activation,
            Self::DepthwiseConv2d(conv) => conv.activation,
            Self::SeparableConv2d(conv) => conv.activation,
            Self::Conv2dTranspose(conv) => conv.activation,
            Self::Dense(dense) => dense.activation,
            Self::Activation(activation) => *activation,
            Self::Input(_)
            | Self::Pool1d(_)
            | Self::Pool2d(_)
            | Self::GlobalPool1d(_)
            | Self::GlobalPool2d(_)
            | Self::Flatten
            | Self::Reshape(_)
            | Self::Dropout(_)
            | Self::BatchNormalization(_)
            | Self::Arrange(_)
            | Self::BilinearUpSampling2d(_)
            | Self::Rescaling(_)
            | Self::Identity
            | Self::Softmax(_)
            | Self::PRelu(_)
            | Self::LayerNormalization(_)
            | Self::GroupNormalization(_)
            | Self::Normalization(_)
            | Self::ChannelRescaling(_)
            | Self::Noise(_)
            | Self::Merge(_) => Activation::Linear,
        }
    }
}

/// activation(x · kernel + bias) over the last axis; the kernel has shape (inputs, units).
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    pub units: usize,
    pub use_bias: bool,
    pub activation: Activation,
    pub kernel_initializer: Initializer,
    pub bias_initializer: Initializer,
    /// Adds `kernel_l2`·Σw² to the loss (Keras: `kernel_regularizer=L2(…)`).
    pub kernel_l2: f64,
}

impl Dense {
    /// With bias, linear.
    pub fn new(units: usize) -> Self {
        Self {
            units,
            use_bias: true,
            activation: Activation::Linear,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            kernel_l2: 0.0,
        }
    }
}

/// While training, sets a share `rate` of the values to zero and divides the rest by 1 − `rate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    pub rate: f64,
}

/// Normalisation of each channel (last axis) by the mean and the biased variance of the batch
/// while training, by moving averages otherwise: moving = moving·momentum + batch·(1 − momentum).
/// A layer that is not trainable always uses the moving averages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormalization {
    pub momentum: f64,
    pub epsilon: f64,
    /// Whether β is added.
    pub center: bool,
    /// Whether γ is multiplied.
    pub scale: bool,
}

impl Default for BatchNormalization {
    fn default() -> Self {
        Self { momentum: 0.99, epsilon: 0.001, center: true, scale: true }
    }
}

/// An image, each pixel of which becomes so many rows by so many columns: means of the four pixels around
/// them, weighted by nearness, centres over centres (Keras: `UpSampling2D(interpolation="bilinear")`). The
/// nearest pixel alone: [`Arrange::UpSampling2d`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BilinearUpSampling2d {
    /// Height, width.
    pub size: [usize; 2],
}

/// x·`scale` + `offset`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rescaling {
    pub scale: f64,
    pub offset: f64,
}

/// eˣ over its sum along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// Counted as Keras does: 0 is the batch (refused), −1 the last axis.
    pub axis: i32,
}

/// x where positive, else α·x, α being a parameter of the shape of a sample, with 1 for shared axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PRelu {
    pub alpha_initializer: Initializer,
    /// Axes along which all values share an α, in ascending order; 1 is the first of a sample.
    pub shared_axes: Vec<usize>,
}

impl Default for PRelu {
    /// As in Keras: an α for each value, which starts at 0.
    fn default() -> Self {
        Self { alpha_initializer: Initializer::Zeros, shared_axes: Vec::new() }
    }
}

impl PRelu {
    /// For each axis of a sample of `rank` axes, whether α differs along it.
    pub(crate) fn own_axes(&self, rank: usize) -> impl Iterator<Item = bool> {
        (1..=rank).map(|axis| !self.shared_axes.contains(&axis))
    }

    /// The shape of α for samples of shape `input`.
    pub(super) fn shape(&self, input: &Shape) -> Shape {
        let own = self.own_axes(input.rank());
        let dims = input.dims().iter().zip(own).map(|(&dim, own)| if own { dim } else { 1 });
        Shape::new(dims.collect::<Vec<_>>())
    }
}

/// Layers that join several inputs. But for `Concatenate` all have one shape, which is that of the
/// result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The sum of one input or more, in their order.
    Add,
    /// The first of two inputs less the second.
    Subtract,
    /// The product of one input or more, in their order.
    Multiply,
    /// The sum of one input or more, divided by their number.
    Average,
    /// The largest of one input or more, the first of several equal ones; NaN wins.
    Maximum,
    /// The least of one input or more, the first of several equal ones; NaN wins.
    Minimum,
    /// Inputs one after the other along `axis`, counted as Keras does: 0 is the batch (refused),
    /// −1 the last axis.
    Concatenate { axis: i32 },
}

impl Merge {
    const fn kind(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Subtract => "subtract",
            Self::Multiply => "multiply",
            Self::Average => "average",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
            Self::Concatenate { .. } => "concatenate",
        }
    }
}
