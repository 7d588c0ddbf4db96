//! The networks that go through ONNX: whole ones, and every kind of layer with every way to set it that
//! ONNX writes otherwise.

use keepnet::*;

use super::networks::networks;

/// One input, one layer.
fn one(shape: impl Into<Shape>, spec: impl Into<LayerSpec>) -> Graph {
    Sequential::new(shape).layer(spec).graph().unwrap()
}

/// Two inputs, a layer applied twice, two outputs, one of them an input of the other.
fn shared() -> Graph {
    let mut net = GraphBuilder::new();
    let left = net.input("left", Shape::image(8, 8, 2));
    let right = net.input("right", Shape::image(8, 8, 2));
    let a = net.add(Conv2d::new(4, 3), &[left]);
    let b = net.again(a, &[right]);
    let joined = net.add(Merge::Concatenate { axis: -1 }, &[a, b]);
    let pooled = net.add(Pool2d::max(2), &[joined]);
    let flat = net.add(LayerSpec::Flatten, &[pooled]);
    let scores = net.add(Dense::new(3), &[flat]);
    net.output("features", joined);
    net.output("scores", scores);
    net.build("shared").unwrap()
}

/// Whole networks.
pub(crate) fn whole() -> Vec<(String, Graph)> {
    let all = networks().into_iter().chain([shared()]);
    all.map(|graph| (graph.name().to_owned(), graph)).collect()
}

const FUNCTIONS: [Activation; 33] = [
    Activation::Linear,
    Activation::Relu,
    Activation::Relu6,
    Activation::LeakyRelu { negative_slope: 0.3 },
    Activation::Elu { alpha: 0.5 },
    Activation::Selu,
    Activation::Gelu,
    Activation::Silu,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Softplus,
    Activation::Softmax,
    Activation::LogSoftmax,
    Activation::ClippedRelu { max_value: f64::INFINITY, negative_slope: 0.1, threshold: 0.0 },
    Activation::ClippedRelu { max_value: 0.7, negative_slope: 0.0, threshold: 0.0 },
    Activation::ClippedRelu { max_value: 0.7, negative_slope: 0.1, threshold: 0.2 },
    Activation::Exponential,
    Activation::Softsign,
    Activation::HardSigmoid,
    Activation::HardSigmoidKeras2,
    Activation::HardSilu,
    Activation::HardTanh,
    Activation::Mish,
    Activation::LogSigmoid,
    Activation::Celu { alpha: 0.6 },
    Activation::GeluTanh,
    Activation::SoftShrink { threshold: 0.4 },
    Activation::HardShrink { threshold: 0.4 },
    Activation::TanhShrink,
    Activation::Squareplus { b: 3.0 },
    Activation::SparsePlus,
    Activation::SparseSigmoid,
    Activation::Threshold { threshold: 0.2, value: -0.3 },
];

fn functions() -> Graph {
    let mut net = GraphBuilder::new();
    let input = net.input("x", Shape::image(3, 4, 5));
    for (number, function) in FUNCTIONS.into_iter().enumerate() {
        let y = net.add(function, &[input]);
        net.output(&format!("{number}_{function}"), y);
    }
    net.build("functions").unwrap()
}

fn merges() -> Graph {
    let mut net = GraphBuilder::new();
    let a = net.input("a", Shape::image(4, 3, 2));
    let b = net.input("b", Shape::image(4, 3, 2));
    let c = net.add(Rescaling { scale: 0.5, offset: 0.25 }, &[b]);
    let merges = [
        (Merge::Add, 3),
        (Merge::Subtract, 2),
        (Merge::Multiply, 3),
        (Merge::Average, 3),
        (Merge::Maximum, 3),
        (Merge::Minimum, 2),
        (Merge::Concatenate { axis: 1 }, 3),
        (Merge::Concatenate { axis: -1 }, 2),
    ];
    for (number, (merge, count)) in merges.into_iter().enumerate() {
        let y = net.add(merge, &[a, b, c][..count]);
        net.output(&format!("y{number}"), y);
    }
    net.build("merges").unwrap()
}

/// Layers that take images, each with a name for the file.
fn on_images() -> Vec<(String, LayerSpec)> {
    let paddings = [
        ("valid", Padding::Valid),
        ("same", Padding::Same),
        ("explicit", Padding::Explicit { top: 1, bottom: 0, left: 0, right: 2 }),
    ];
    let mut specs: Vec<(String, LayerSpec)> = Vec::new();
    for (name, padding) in paddings {
        let strides = [2, 3];
        let conv = Conv2d { padding, strides, groups: 2, ..Conv2d::new(4, 3) };
        specs.push((format!("conv2d_{name}"), conv.into()));
        let depth = DepthwiseConv2d { padding, depth_multiplier: 3, ..DepthwiseConv2d::new(3) };
        specs.push((format!("depthwise_{name}"), depth.into()));
        let separable =
            SeparableConv2d { padding, depth_multiplier: 2, ..SeparableConv2d::new(5, 3) };
        specs.push((format!("separable_{name}"), separable.into()));
        for kind in [PoolKind::Max, PoolKind::Average] {
            let pool = Pool2d { kind, pool: [3, 4], strides: [2, 3], padding };
            specs.push((format!("{kind:?}_pool2d_{name}"), pool.into()));
        }
        for (step, kernel) in [(1, 3), (2, 3), (3, 2), (2, 4)] {
            let more = match padding {
                Padding::Same if kernel % 2 == 0 => None,
                Padding::Valid => None,
                _ => Some([step - 1; 2]),
            };
            for output_padding in [None, more] {
                let strides = [step; 2];
                let conv = Conv2dTranspose {
                    padding,
                    strides,
                    output_padding,
                    ..Conv2dTranspose::new(3, kernel)
                };
                let set = if output_padding.is_some() { "_more" } else { "" };
                specs.push((format!("transpose_{name}_{step}_{kernel}{set}"), conv.into()));
            }
        }
    }
    let dilated = Conv2d { dilation: [2, 1], padding: Padding::Same, ..Conv2d::new(3, 3) };
    specs.push(("conv2d_dilated".to_owned(), dilated.into()));
    for keep_dims in [false, true] {
        for kind in [PoolKind::Max, PoolKind::Average] {
            let name = format!("global_{kind:?}_{keep_dims}");
            specs.push((name, GlobalPool2d { kind, keep_dims }.into()));
        }
    }
    let mut more = |name: &str, spec: LayerSpec| specs.push((name.to_owned(), spec));
    more("flatten", LayerSpec::Flatten);
    more("identity", LayerSpec::Identity);
    more("reshape", LayerSpec::Reshape([14, 9, 2, 2].into()));
    more("dense", Dense { activation: Activation::Relu, ..Dense::new(3) }.into());
    more("dense_without_bias", Dense { use_bias: false, ..Dense::new(3) }.into());
    more("dropout", Dropout { rate: 0.3 }.into());
    more("noise", Noise::GaussianNoise { deviation: 1.0 }.into());
    for (center, scale) in [(true, true), (false, true), (true, false), (false, false)] {
        let set = format!("{center}_{scale}");
        more(
            &format!("batch_normalization_{set}"),
            BatchNormalization { center, scale, ..BatchNormalization::default() }.into(),
        );
        let group = GroupNormalization { center, scale, ..GroupNormalization::new(2) };
        more(&format!("group_normalization_{set}"), group.into());
        for method in [RowMethod::Standard, RowMethod::RootMeanSquare, RowMethod::Deviation] {
            let trailing_axes = if center { 1 } else { 2 };
            let norm = LayerNormalization { center, scale, method, trailing_axes, epsilon: 0.001 };
            more(&format!("layer_normalization_{method:?}_{set}"), norm.into());
        }
    }
    more("permute", Arrange::Permute { dims: vec![3, 1, 2] }.into());
    more("cropping2d", Arrange::Cropping2d([1, 0, 2, 3]).into());
    more("zero_padding2d", Arrange::ZeroPadding2d([1, 0, 2, 3]).into());
    more("up_sampling2d", Arrange::UpSampling2d { size: [2, 3] }.into());
    more("bilinear", BilinearUpSampling2d { size: [2, 3] }.into());
    more("rescaling", Rescaling { scale: 1.0 / 255.0, offset: -0.5 }.into());
    more("softmax", Softmax { axis: 1 }.into());
    more("prelu", PRelu::default().into());
    more("prelu_shared", PRelu { shared_axes: vec![1, 2], ..PRelu::default() }.into());
    for invert in [false, true] {
        let statistics = NormalizationStatistics::Stored;
        let norm = Normalization { axes: vec![1, -1], statistics, invert };
        more(&format!("normalization_{invert}"), norm.into());
    }
    let statistics = NormalizationStatistics::Given { mean: vec![0.5], variance: vec![0.0] };
    more("normalization_given", Normalization { axes: vec![], statistics, invert: true }.into());
    let (scale, offset) = (vec![0.5, 2.0, -1.0, 0.1], vec![0.0, 1.0, 2.0, 3.0]);
    more("channel_rescaling", ChannelRescaling { scale, offset }.into());
    specs
}

/// Layers that take sequences.
fn on_sequences() -> Vec<(String, LayerSpec)> {
    let mut specs: Vec<(String, LayerSpec)> = Vec::new();
    for padding in [Padding1d::Valid, Padding1d::Same, Padding1d::Causal] {
        let conv = Conv1d { padding, dilation: 2, ..Conv1d::new(4, 3) };
        specs.push((format!("conv1d_{padding:?}"), conv.into()));
        for kind in [PoolKind::Max, PoolKind::Average] {
            let pool = Pool1d { kind, pool: 3, strides: 2, padding };
            specs.push((format!("{kind:?}_pool1d_{padding:?}"), pool.into()));
        }
    }
    for (keep_dims, kind) in [(false, PoolKind::Max), (true, PoolKind::Average)] {
        let name = format!("global_{kind:?}_{keep_dims}_1d");
        specs.push((name, GlobalPool1d { kind, keep_dims }.into()));
    }
    let mut more = |name: &str, spec: LayerSpec| specs.push((name.to_owned(), spec));
    more("cropping1d", Arrange::Cropping1d([2, 0]).into());
    more("zero_padding1d", Arrange::ZeroPadding1d([0, 3]).into());
    more("up_sampling1d", Arrange::UpSampling1d { size: 3 }.into());
    more("softmax1d", Activation::Softmax.into());
    more("batch_normalization_1d", BatchNormalization::default().into());
    specs
}

/// Networks of one layer or of many side by side.
pub(crate) fn single() -> Vec<(String, Graph)> {
    let mut all = vec![("functions".to_owned(), functions()), ("merges".to_owned(), merges())];
    let image = Shape::image(9, 14, 4);
    all.extend(on_images().into_iter().map(|(name, spec)| (name, one(image.clone(), spec))));
    let sequence = Shape::sequence(11, 4);
    all.extend(on_sequences().into_iter().map(|(name, spec)| (name, one(sequence.clone(), spec))));
    all.push(("repeat_vector".to_owned(), one(Shape::vector(5), Arrange::RepeatVector { n: 3 })));
    all
}
