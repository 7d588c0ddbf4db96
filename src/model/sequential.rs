//! A chain of layers, built as in Keras.

use super::{
    Activation, BatchNormalization, Conv2d, Dense, Dropout, GlobalPool2d, Graph, GraphBuilder,
    GraphError, LayerNormalization, LayerSpec, NodeId, Pool2d, PoolKind,
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
