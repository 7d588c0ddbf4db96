//! A chain of layers, built as in Keras.

use super::{
    Activation, Arrange, BatchNormalization, Conv1d, Conv2d, Conv2dTranspose, Dense,
    DepthwiseConv2d, Dropout, GlobalPool1d, GlobalPool2d, Graph, GraphBuilder, GraphError,
    LayerNormalization, LayerSpec, NodeId, Pool1d, Pool2d, PoolKind, SeparableConv2d,
};
use crate::tensor::Shape;

/// Builds a chain of layers. Common settings have short methods; anything else goes through
/// [`layer`](Self::layer) or [`named`](Self::named).
///
/// ```
/// use keepnet::{Activation, Conv2d, Padding, Sequential, Shape};
///
/// let graph = Sequential::new(Shape::image(28, 28, 1))
///     .conv2d(32, 3, Activation::Relu)
///     .layer(Conv2d { padding: Padding::Same, strides: [2, 2], ..Conv2d::new(64, 3) })
///     .flatten()
///     .dense(10, Activation::Softmax)
///     .graph()?;
/// assert_eq!(graph.parameters().len(), 6);
/// # Ok::<(), keepnet::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sequential {
    name: String,
    builder: GraphBuilder,
    last: NodeId,
}

impl Sequential {
    /// Starts a chain that takes samples of `input`.
    pub fn new(input: impl Into<Shape>) -> Self {
        let mut builder = GraphBuilder::new();
        let last = builder.input("input", input);
        Self { name: "sequential".to_owned(), builder, last }
    }

    /// Names the network (`sequential` otherwise).
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Appends a layer under an automatic name.
    pub fn layer(mut self, spec: impl Into<LayerSpec>) -> Self {
        self.last = self.builder.add(spec, &[self.last]);
        self
    }

    /// Appends a layer of that name.
    pub fn named(mut self, name: &str, spec: impl Into<LayerSpec>) -> Self {
        self.last = self.builder.named(name, spec, &[self.last]);
        self
    }

    /// A convolution with a square kernel, stride 1, no padding.
    pub fn conv2d(self, filters: usize, kernel: usize, activation: Activation) -> Self {
        self.layer(Conv2d { activation, ..Conv2d::new(filters, kernel) })
    }

    /// A convolution of each channel for itself with a square kernel, stride 1, no padding.
    pub fn depthwise_conv2d(self, kernel: usize, activation: Activation) -> Self {
        self.layer(DepthwiseConv2d { activation, ..DepthwiseConv2d::new(kernel) })
    }

    /// A convolution of each channel for itself with a square kernel, stride 1, no padding, and one of
    /// all channels at each pixel.
    pub fn separable_conv2d(self, filters: usize, kernel: usize, activation: Activation) -> Self {
        self.layer(SeparableConv2d { activation, ..SeparableConv2d::new(filters, kernel) })
    }

    /// A transposed convolution with a square kernel, stride 1, no padding.
    pub fn conv2d_transpose(self, filters: usize, kernel: usize, activation: Activation) -> Self {
        self.layer(Conv2dTranspose { activation, ..Conv2dTranspose::new(filters, kernel) })
    }

    /// A convolution of sequences, stride 1, no padding.
    pub fn conv1d(self, filters: usize, kernel: usize, activation: Activation) -> Self {
        self.layer(Conv1d { activation, ..Conv1d::new(filters, kernel) })
    }

    /// Max pooling of sequences over windows side by side.
    pub fn max_pool1d(self, size: usize) -> Self {
        self.layer(Pool1d::max(size))
    }

    /// Average pooling of sequences over windows side by side.
    pub fn average_pool1d(self, size: usize) -> Self {
        self.layer(Pool1d::average(size))
    }

    /// The mean of each channel of a sequence.
    pub fn global_average_pool1d(self) -> Self {
        self.layer(GlobalPool1d { kind: PoolKind::Average, keep_dims: false })
    }

    /// The largest value of each channel of a sequence.
    pub fn global_max_pool1d(self) -> Self {
        self.layer(GlobalPool1d { kind: PoolKind::Max, keep_dims: false })
    }

    /// Max pooling over square windows side by side.
    pub fn max_pool2d(self, size: usize) -> Self {
        self.layer(Pool2d::max(size))
    }

    /// Average pooling over square windows side by side.
    pub fn average_pool2d(self, size: usize) -> Self {
        self.layer(Pool2d::average(size))
    }

    /// The mean of each channel.
    pub fn global_average_pool2d(self) -> Self {
        self.layer(GlobalPool2d { kind: PoolKind::Average, keep_dims: false })
    }

    /// The largest value of each channel.
    pub fn global_max_pool2d(self) -> Self {
        self.layer(GlobalPool2d { kind: PoolKind::Max, keep_dims: false })
    }

    pub fn flatten(self) -> Self {
        self.layer(LayerSpec::Flatten)
    }

    pub fn reshape(self, shape: impl Into<Shape>) -> Self {
        self.layer(LayerSpec::Reshape(shape.into()))
    }

    /// The axes in another order, counted from 1.
    pub fn permute(self, dims: impl Into<Vec<usize>>) -> Self {
        self.layer(Arrange::Permute { dims: dims.into() })
    }

    /// Each pixel as `size` rows by `size` columns.
    pub fn up_sampling2d(self, size: usize) -> Self {
        self.layer(Arrange::UpSampling2d { size: [size; 2] })
    }

    /// Each step of a sequence `size` times.
    pub fn up_sampling1d(self, size: usize) -> Self {
        self.layer(Arrange::UpSampling1d { size })
    }

    /// A vector as each of `n` steps.
    pub fn repeat_vector(self, n: usize) -> Self {
        self.layer(Arrange::RepeatVector { n })
    }

    pub fn dense(self, units: usize, activation: Activation) -> Self {
        self.layer(Dense { activation, ..Dense::new(units) })
    }

    pub fn dropout(self, rate: f64) -> Self {
        self.layer(Dropout { rate })
    }

    pub fn batch_normalization(self) -> Self {
        self.layer(BatchNormalization::default())
    }

    /// Layer normalisation over the last axis.
    pub fn layer_normalization(self) -> Self {
        self.layer(LayerNormalization::default())
    }

    pub fn activation(self, activation: Activation) -> Self {
        self.layer(activation)
    }

    /// Checks the chain and gives it as a graph, whose one output has the name of the last layer.
    ///
    /// # Errors
    /// The first layer that cannot take its input, and why.
    pub fn graph(mut self) -> Result<Graph, GraphError> {
        let output = self.builder.name_of(self.last).to_owned();
        self.builder.output(&output, self.last);
        self.builder.build(&self.name)
    }
}
