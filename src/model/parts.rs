//! Layers that are made of others: what works on sequences works on images of height 1, a depthwise
//! convolution has as many groups as channels, a separable one is two convolutions, one after the
//! other, a softmax over the last axis is the activation. So each kernel is written once, and the
//! layer gives the bits of its parts.

use super::infer::{Rule, axis_of_sample, image, single};
use super::{
    Activation, Conv1d, Conv2d, Conv2dTranspose, DepthwiseConv2d, GlobalPool2d, Graph, LayerSpec,
    NodeId, Padding, Padding1d, Pool1d, Pool2d, SeparableConv2d, Softmax, Window2d,
};
use crate::tensor::Shape;

/// A layer that is made of no others, and the shape that it takes.
pub(crate) type Part = (LayerSpec, Shape);

impl Graph {
    /// The parts of the layer that `node` applies, none for an input.
    ///
    /// # Panics
    /// If there is no such node.
    pub(crate) fn parts(&self, node: NodeId) -> Vec<Part> {
        let parts = |input: &NodeId| self.layer_of(node).spec.parts(self.shape(*input));
        let first = self.nodes()[node.0].inputs.first().map(parts);
        first.map_or_else(Vec::new, |parts| parts.expect("checked with the graph"))
    }

    /// The function that `node` ends in, `Linear` for none.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn activation(&self, node: NodeId) -> Activation {
        self.parts(node).last().map_or(Activation::Linear, |(last, _)| last.activation())
    }
}

impl LayerSpec {
    /// The layers that this one applies to an input of shape `input`, one after the other; it alone if
    /// it is made of no others. The error is the rule that is broken.
    pub(crate) fn parts(&self, input: &Shape) -> Result<Vec<Part>, Rule> {
        let on_image = |spec: Self| Ok(vec![(spec, image_of_sequence(input)?)]);
        match self {
            Self::Conv1d(conv) => on_image(conv.on_images().into()),
            Self::Pool1d(pool) => on_image(pool.on_images().into()),
            Self::GlobalPool1d(pool) => {
                on_image(GlobalPool2d { kind: pool.kind, keep_dims: pool.keep_dims }.into())
            }
            Self::DepthwiseConv2d(conv) => Ok(vec![(conv.grouped(input)?.into(), input.clone())]),
            Self::SeparableConv2d(conv) => {
                let depthwise = Self::from(conv.depthwise().grouped(input)?);
                let between = single(&depthwise, input)?;
                Ok(vec![(depthwise, input.clone()), (conv.pointwise().into(), between)])
            }
            Self::Softmax(softmax) if softmax.is_over_last(input)? => {
                Ok(vec![(Activation::Softmax.into(), input.clone())])
            }
            _ => Ok(vec![(self.clone(), input.clone())]),
        }
    }
}

impl Softmax {
    fn is_over_last(self, input: &Shape) -> Result<bool, Rule> {
        Ok(axis_of_sample(self.axis, input.rank())? + 1 == input.rank())
    }
}

/// A sequence as an image of height 1.
fn image_of_sequence(input: &Shape) -> Result<Shape, Rule> {
    let sequence = input.as_sequence();
    let (steps, channels) = sequence.ok_or("it takes sequences: steps, channels")?;
    Ok(Shape::image(1, steps, channels))
}

impl Padding1d {
    /// The same for images of height 1, for windows that reach over `reach` steps beside their own.
    fn on_images(self, reach: usize) -> Padding {
        match self {
            Self::Valid => Padding::Valid,
            Self::Same => Padding::Same,
            Self::Causal => Padding::Explicit { top: 0, bottom: 0, left: reach, right: 0 },
        }
    }
}

impl Conv1d {
    /// The same for images of height 1.
    pub(super) fn on_images(&self) -> Conv2d {
        let reach = self.kernel.saturating_sub(1).saturating_mul(self.dilation);
        Conv2d {
            filters: self.filters,
            kernel: [1, self.kernel],
            strides: [1, self.strides],
            padding: self.padding.on_images(reach),
            dilation: [1, self.dilation],
            groups: self.groups,
            use_bias: self.use_bias,
            activation: self.activation,
            kernel_initializer: self.kernel_initializer,
            bias_initializer: self.bias_initializer,
            kernel_l2: self.kernel_l2,
        }
    }
}

impl Pool1d {
    /// The same for images of height 1.
    fn on_images(self) -> Pool2d {
        let padding = self.padding.on_images(self.pool.saturating_sub(1));
        let (pool, strides) = ([1, self.pool], [1, self.strides]);
        Pool2d { kind: self.kind, pool, strides, padding }
    }
}

impl DepthwiseConv2d {
    /// The same for inputs of one shape: its kernel (height, width, channels, multiplier) has the bytes
    /// of a grouped one (height, width, 1, channels · multiplier).
    fn grouped(&self, input: &Shape) -> Result<Conv2d, Rule> {
        let (_, _, channels) = image(input)?;
        let filters = channels.checked_mul(self.depth_multiplier);
        Ok(Conv2d {
            filters: filters.ok_or("the result is too large")?,
            kernel: self.kernel,
            strides: self.strides,
            padding: self.padding,
            dilation: self.dilation,
            groups: channels,
            use_bias: self.use_bias,
            activation: self.activation,
            kernel_initializer: self.kernel_initializer,
            bias_initializer: self.bias_initializer,
            kernel_l2: self.kernel_l2,
        })
    }
}

impl SeparableConv2d {
    fn depthwise(&self) -> DepthwiseConv2d {
        DepthwiseConv2d {
            depth_multiplier: self.depth_multiplier,
            kernel: self.kernel,
            strides: self.strides,
            padding: self.padding,
            dilation: self.dilation,
            use_bias: false,
            activation: Activation::Linear,
            kernel_initializer: self.depthwise_initializer,
            kernel_l2: self.depthwise_l2,
            ..DepthwiseConv2d::new(1)
        }
    }

    fn pointwise(&self) -> Conv2d {
        Conv2d {
            use_bias: self.use_bias,
            activation: self.activation,
            kernel_initializer: self.pointwise_initializer,
            bias_initializer: self.bias_initializer,
            kernel_l2: self.pointwise_l2,
            ..Conv2d::new(self.filters, 1)
        }
    }
}

impl Conv2dTranspose {
    /// The convolution that is transposed, and the shape of what it takes, which is what this layer
    /// gives for `input`; the error is the rule that is broken.
    pub(crate) fn transposed(&self, input: &Shape) -> Result<(Conv2d, Shape), Rule> {
        let (height, width, channels) = image(input)?;
        let sizes = [height, width];
        let [height, width] = [self.output(0, sizes)?, self.output(1, sizes)?];
        let conv = Conv2d {
            kernel: self.kernel,
            strides: self.strides,
            padding: self.padding,
            dilation: self.dilation,
            use_bias: false,
            ..Conv2d::new(channels, 1)
        };
        let window =
            Window2d::new([height, width], conv.kernel, conv.strides, conv.padding, conv.dilation)?;
        if window.output != sizes {
            let [rows, columns] = window.output;
            return Err(format!(
                "the convolution of the result, {height}×{width}, would give {rows}×{columns}: the \
                 output_padding must be less than the stride, and with `same` padding make up for \
                 an even kernel"
            ));
        }
        Ok((conv, Shape::image(height, width, self.filters)))
    }

    /// Rows (axis 0) or columns (axis 1) of the result, as Keras counts them.
    fn output(&self, axis: usize, sizes: [usize; 2]) -> Result<usize, Rule> {
        let (size, stride) = (sizes[axis], self.strides[axis]);
        let (kernel, dilation) = (self.kernel[axis], self.dilation[axis]);
        let more = self.output_padding.map(|more| more[axis]);
        let sides = match self.padding {
            Padding::Valid | Padding::Same => [0, 0],
            Padding::Explicit { top, bottom, left, right } => [[top, bottom], [left, right]][axis],
        };
        let output = || {
            let extent = kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
            if matches!(self.padding, Padding::Same) && more.is_none() {
                return size.checked_mul(stride);
            }
            let reach = match self.padding {
                Padding::Same => extent % 2,
                Padding::Valid | Padding::Explicit { .. } => extent,
            };
            let left_out = match self.padding {
                Padding::Valid => stride.saturating_sub(extent),
                Padding::Same | Padding::Explicit { .. } => 0,
            };
            let apart = size.checked_sub(1)?.checked_mul(stride)?;
            let padded = apart.checked_add(reach)?.checked_add(more.unwrap_or(left_out))?;
            padded.checked_sub(sides[0])?.checked_sub(sides[1])
        };
        output().ok_or_else(|| "no image has such a convolution: check its extents".to_owned())
    }
}
