//! Networks of the usual kinds, for the tests of forms that other programs read.
#![allow(dead_code)] // each test uses some of it

use keepnet::*;

/// The network of the benchmarks.
pub(crate) fn w1() -> Graph {
    Sequential::new(Shape::image(28, 28, 1))
        .name("w1")
        .conv2d(32, 3, Activation::Relu)
        .max_pool2d(2)
        .conv2d(64, 3, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(128, Activation::Relu)
        .dropout(0.5)
        .dense(10, Activation::Softmax)
        .graph()
        .unwrap()
}

pub(crate) fn lenet5() -> Graph {
    let padded =
        Conv2d { padding: Padding::Same, activation: Activation::Tanh, ..Conv2d::new(6, 5) };
    Sequential::new(Shape::image(28, 28, 1))
        .name("lenet5")
        .layer(padded)
        .average_pool2d(2)
        .conv2d(16, 5, Activation::Tanh)
        .average_pool2d(2)
        .flatten()
        .dense(120, Activation::Tanh)
        .dense(84, Activation::Tanh)
        .dense(10, Activation::Softmax)
        .graph()
        .unwrap()
}

pub(crate) fn resnet() -> Graph {
    let mut net = GraphBuilder::new();
    let conv = |filters, kernel, strides| Conv2d {
        padding: Padding::Same,
        strides: [strides; 2],
        use_bias: false,
        ..Conv2d::new(filters, kernel)
    };
    let norm = BatchNormalization::default();
    let input = net.input("image", Shape::image(16, 16, 3));
    let x = net.named("stem/conv", conv(8, 3, 1), &[input]);
    let x = net.named("stem/bn", norm, &[x]);
    let mut x = net.add(Activation::Relu, &[x]);
    for (block, filters, strides) in [(1, 8, 1), (2, 16, 2)] {
        let name = |layer: &str| format!("layer{block}/{layer}");
        let y = net.named(&name("conv1"), conv(filters, 3, strides), &[x]);
        let y = net.named(&name("bn1"), norm, &[y]);
        let y = net.add(Activation::Relu, &[y]);
        let y = net.named(&name("conv2"), conv(filters, 3, 1), &[y]);
        let y = net.named(&name("bn2"), norm, &[y]);
        let short = match strides {
            1 => x,
            _ => net.named(&name("short"), conv(filters, 1, strides), &[x]),
        };
        let sum = net.add(Merge::Add, &[short, y]);
        x = net.add(Activation::Relu, &[sum]);
    }
    let x = net.add(GlobalPool2d { kind: PoolKind::Average, keep_dims: false }, &[x]);
    let classes = Dense { activation: Activation::Softmax, ..Dense::new(10) };
    let x = net.named("fc", classes, &[x]);
    net.output("classes", x);
    net.build("resnet").unwrap()
}

pub(crate) fn depthwise() -> Graph {
    let mobile = |strides| DepthwiseConv2d {
        padding: Padding::Same,
        strides: [strides; 2],
        use_bias: false,
        ..DepthwiseConv2d::new(3)
    };
    Sequential::new(Shape::image(16, 16, 3))
        .name("depthwise")
        .conv2d(8, 3, Activation::Relu6)
        .layer(mobile(2))
        .batch_normalization()
        .activation(Activation::Relu6)
        .conv2d(12, 1, Activation::HardSilu)
        .layer(DepthwiseConv2d { depth_multiplier: 2, ..DepthwiseConv2d::new(3) })
        .separable_conv2d(6, 3, Activation::Silu)
        .global_average_pool2d()
        .dense(5, Activation::Softmax)
        .graph()
        .unwrap()
}

pub(crate) fn mlp() -> Graph {
    Sequential::new(Shape::vector(20))
        .name("mlp")
        .dense(32, Activation::Gelu)
        .batch_normalization()
        .dropout(0.2)
        .dense(16, Activation::Elu { alpha: 0.7 })
        .dense(3, Activation::Sigmoid)
        .graph()
        .unwrap()
}

/// All of them.
pub(crate) fn networks() -> [Graph; 5] {
    [w1(), lenet5(), resnet(), depthwise(), mlp()]
}

/// A model with numbers that are none that training begins with: averages and variances too.
pub(crate) fn filled(graph: Graph) -> Model {
    let mut checkpoint = Model::new(graph, 7).to_checkpoint().into_owned();
    for (index, named) in checkpoint.tensors.iter_mut().enumerate() {
        let positive = named.name.ends_with("variance");
        let mut values = named.tensor.to_f32().unwrap();
        for (place, value) in values.iter_mut().enumerate() {
            let wave = ((place * 31 + index * 17) % 97) as f32 / 97.0 - 0.5;
            *value = if positive { wave + 1.0 } else { *value * 0.8 + wave * 0.2 };
        }
        named.tensor =
            Tensor::from_f32(named.tensor.shape().clone(), &values).unwrap().into_owned();
    }
    Model::from_checkpoint(&checkpoint).unwrap()
}
