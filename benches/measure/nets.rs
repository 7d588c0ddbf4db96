//! The networks. `benches/peers` has the same in PyTorch and in Keras.

use keepnet::train::data::mnist;
use keepnet::{
    Activation, BatchNormalization, Conv2d, Dataset, Dense, GlobalPool2d, Graph, GraphBuilder,
    GraphError, Loss, Merge, Model, NodeId, Optimizer, Padding, PoolKind, Samples, Sequential,
    Shape,
};

/// A network and how it is measured.
pub(crate) struct Net {
    pub name: &'static str,
    graph: fn() -> Result<Graph, GraphError>,
    data: fn(usize) -> Result<Dataset, keepnet::Error>,
    /// Samples per training step, and per call of `predict`.
    pub batch: usize,
    pub predicted: usize,
    /// Images of an epoch, about a second's work.
    pub images: usize,
}

pub(crate) const NETS: [Net; 5] = [
    Net { name: "w1", graph: w1, data: digits, batch: 128, predicted: 500, images: 8_000 },
    Net {
        name: "dense_conv",
        graph: dense_conv,
        data: digits,
        batch: 128,
        predicted: 500,
        images: 4_000,
    },
    Net { name: "lenet", graph: lenet, data: digits, batch: 128, predicted: 500, images: 8_000 },
    Net { name: "vgg", graph: vgg, data: noise, batch: 64, predicted: 64, images: 256 },
    Net { name: "resnet", graph: resnet, data: noise, batch: 64, predicted: 64, images: 2_048 },
];

impl Net {
    /// Ready to train with Adam at 0.001.
    pub(crate) fn model(&self) -> Result<Model, keepnet::Error> {
        let mut model = Model::new((self.graph)()?, 0);
        model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy)?;
        Ok(model)
    }

    /// So many images and their classes.
    pub(crate) fn data(&self, images: usize) -> Result<Dataset, keepnet::Error> {
        (self.data)(images)
    }
}

/// W1, the reference network of `docs/BENCHMARKS.md`.
fn w1() -> Result<Graph, GraphError> {
    Sequential::new(Shape::image(28, 28, 1))
        .conv2d(32, 3, Activation::Relu)
        .max_pool2d(2)
        .conv2d(64, 3, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(128, Activation::Relu)
        .dense(10, Activation::Softmax)
        .graph()
}

/// W1 with a stride where it pools, so that every pixel of a convolution has a gradient.
fn dense_conv() -> Result<Graph, GraphError> {
    Sequential::new(Shape::image(28, 28, 1))
        .conv2d(32, 3, Activation::Relu)
        .layer(Conv2d { strides: [2; 2], activation: Activation::Relu, ..Conv2d::new(64, 3) })
        .flatten()
        .dense(128, Activation::Relu)
        .dense(10, Activation::Softmax)
        .graph()
}

/// LeNet-5 with relu and max pooling: channels that fill no vector.
fn lenet() -> Result<Graph, GraphError> {
    Sequential::new(Shape::image(28, 28, 1))
        .layer(same(6, 5))
        .max_pool2d(2)
        .conv2d(16, 5, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(120, Activation::Relu)
        .dense(84, Activation::Relu)
        .dense(10, Activation::Softmax)
        .graph()
}

/// In the manner of Simonyan and Zisserman (2015).
fn vgg() -> Result<Graph, GraphError> {
    Sequential::new(Shape::image(32, 32, 3))
        .layer(same(64, 3))
        .layer(same(64, 3))
        .max_pool2d(2)
        .layer(same(128, 3))
        .layer(same(128, 3))
        .max_pool2d(2)
        .flatten()
        .dense(256, Activation::Relu)
        .dense(10, Activation::Softmax)
        .graph()
}

/// ResNet-8 in the manner of He et al. (2016): three stages of one basic block.
fn resnet() -> Result<Graph, GraphError> {
    let mut net = GraphBuilder::new();
    let image = net.input("image", Shape::image(32, 32, 3));
    let stem = normalised(&mut net, image, 16, 3, 1);
    let mut x = net.add(Activation::Relu, &[stem]);
    for (filters, stride) in [(16, 1), (32, 2), (64, 2)] {
        let inner = normalised(&mut net, x, filters, 3, stride);
        let inner = net.add(Activation::Relu, &[inner]);
        let inner = normalised(&mut net, inner, filters, 3, 1);
        let shortcut = match stride {
            1 => x,
            _ => normalised(&mut net, x, filters, 1, stride),
        };
        let sum = net.add(Merge::Add, &[inner, shortcut]);
        x = net.add(Activation::Relu, &[sum]);
    }
    let pooled = net.add(GlobalPool2d { kind: PoolKind::Average, keep_dims: false }, &[x]);
    let classes = net.add(Dense { activation: Activation::Softmax, ..Dense::new(10) }, &[pooled]);
    net.output("classes", classes);
    net.build("resnet")
}

fn normalised(
    net: &mut GraphBuilder,
    x: NodeId,
    filters: usize,
    kernel: usize,
    stride: usize,
) -> NodeId {
    let padding = Padding::Same;
    let conv =
        Conv2d { strides: [stride; 2], padding, use_bias: false, ..Conv2d::new(filters, kernel) };
    let conv = net.add(conv, &[x]);
    net.add(BatchNormalization::default(), &[conv])
}

fn same(filters: usize, kernel: usize) -> Conv2d {
    let (padding, activation) = (Padding::Same, Activation::Relu);
    Conv2d { padding, activation, ..Conv2d::new(filters, kernel) }
}

/// The embedded images of MNIST.
fn digits(images: usize) -> Result<Dataset, keepnet::Error> {
    Ok(mnist::embedded()?.train.take(images))
}

/// Bytes without meaning as images of 32×32×3, and classes that follow from nothing: how long a
/// step takes does not depend on what is learned.
fn noise(images: usize) -> Result<Dataset, keepnet::Error> {
    let shape = Shape::image(32, 32, 3);
    let mut state = 0_u64;
    // SplitMix64 (Steele, Lea and Flood 2014), of which the upper bits are taken.
    let mut draw = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed >> 32
    };
    let bytes: Vec<u8> = (0..images * shape.elements()).map(|_| draw() as u8).collect();
    let classes: Vec<u32> = (0..images).map(|_| (draw() % 10) as u32).collect();
    let images = Samples::unit_bytes(images, shape, bytes).expect("as many as its shape");
    Ok(Dataset::new(images, classes)?)
}
