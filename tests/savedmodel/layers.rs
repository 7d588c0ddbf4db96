//! Networks to run in TensorFlow beside the usual ones.

use keepnet::*;

fn chain(name: &str, layers: Sequential) -> Graph {
    layers.name(name).graph().unwrap()
}

fn same(filters: usize, kernel: usize) -> Conv2d {
    Conv2d { padding: Padding::Same, ..Conv2d::new(filters, kernel) }
}

fn residual() -> Graph {
    let mut builder = GraphBuilder::new();
    let input = builder.input("Image 1", [12, 12, 3]);
    let first = builder.add(Conv2d { activation: Activation::Relu, ..same(8, 3) }, &[input]);
    let conv = builder.add(Conv2d { use_bias: false, ..same(8, 3) }, &[first]);
    let norm = builder.add(BatchNormalization::default(), &[conv]);
    let relu = builder.add(Activation::Relu, &[norm]);
    let again = builder.again(conv, &[relu]);
    let sum = builder.add(Merge::Add, &[again, first]);
    let pooled = builder.add(GlobalPool2d { kind: PoolKind::Average, keep_dims: false }, &[sum]);
    let dense = builder.add(Dense { activation: Activation::Softmax, ..Dense::new(5) }, &[pooled]);
    builder.output("probabilities", dense).output("Features!", pooled);
    builder.build("residual").unwrap()
}

fn two_inputs() -> Graph {
    let mut builder = GraphBuilder::new();
    let image = builder.input("zeta", [6, 6, 1]);
    let vector = builder.input("alpha", [4]);
    let flat = builder.add(LayerSpec::Flatten, &[image]);
    let joined = builder.add(Merge::Concatenate { axis: -1 }, &[flat, vector]);
    let dense = builder.add(Dense { activation: Activation::Tanh, ..Dense::new(3) }, &[joined]);
    builder.output("z", dense).output("a", joined);
    builder.build("two-inputs").unwrap()
}

/// What Python keeps for itself, of small letters.
pub(crate) const WORDS: [&str; 33] = [
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif",
    "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda",
    "nonlocal", "not", "or", "pass", "raise", "return", "self", "try", "while", "with", "yield",
];

/// Inputs that are called as words of Python, and some that are called nearly so.
fn words() -> Graph {
    let mut builder = GraphBuilder::new();
    let others =
        ["in_", "class__1", "Class", "cls", "match", "_", "name", "inputs", "args", "True"];
    let names = others.iter().chain(&WORDS);
    let inputs: Vec<_> = names.map(|&name| builder.input(name, [2])).collect();
    let joined = builder.add(Merge::Concatenate { axis: -1 }, &inputs);
    let dense = builder.add(Dense::new(3), &[joined]);
    builder.output("in", dense).output("return", joined);
    builder.build("words").unwrap()
}

/// Chains of layers in every setting that TensorFlow has other words for, and graphs.
pub(crate) fn graphs() -> Vec<Graph> {
    let image = |size, channels| Sequential::new(Shape::image(size, size, channels));
    let explicit = Padding::Explicit { top: 2, bottom: 0, left: 1, right: 3 };
    let narrow = Padding::Explicit { top: 1, bottom: 0, left: 1, right: 1 };
    let (relu, softmax) = (Activation::Relu, Activation::Softmax);
    vec![
        chain(
            "dilated",
            image(16, 3)
                .conv2d(8, 3, relu)
                .depthwise_conv2d(3, Activation::Relu6)
                .separable_conv2d(12, 3, relu)
                .batch_normalization()
                .layer(DepthwiseConv2d { strides: [2, 1], ..DepthwiseConv2d::new(3) })
                .layer(DepthwiseConv2d { dilation: [2, 2], ..DepthwiseConv2d::new(2) })
                .global_average_pool2d()
                .dense(4, softmax),
        ),
        chain(
            "windows",
            image(11, 4)
                .layer(Conv2d { padding: explicit, strides: [2, 1], ..Conv2d::new(6, 3) })
                .layer(Conv2d { groups: 2, dilation: [2, 1], ..same(4, 3) })
                .layer(Pool2d { padding: narrow, strides: [1, 1], ..Pool2d::max(2) })
                .layer(Pool2d { padding: narrow, strides: [1, 1], ..Pool2d::average(3) })
                .layer(Conv2dTranspose { strides: [2, 3], ..Conv2dTranspose::new(3, 3) })
                .layer(Conv2dTranspose {
                    padding: Padding::Same,
                    strides: [2, 2],
                    ..Conv2dTranspose::new(3, 4)
                })
                .layer(Conv2dTranspose { dilation: [2, 2], ..Conv2dTranspose::new(2, 2) })
                .layer(BilinearUpSampling2d { size: [2, 3] })
                .layer(Arrange::Cropping2d([1, 2, 3, 4]))
                .global_max_pool2d(),
        ),
        chain(
            "sequence",
            Sequential::new([12, 3])
                .layer(Conv1d { padding: Padding1d::Causal, dilation: 2, ..Conv1d::new(5, 3) })
                .max_pool1d(2)
                .up_sampling1d(3)
                .layer_normalization()
                .layer(PRelu::default())
                .dense(7, Activation::Gelu)
                .permute([2, 1])
                .layer(GroupNormalization::new(2))
                .global_average_pool1d()
                .repeat_vector(3)
                .layer(Softmax { axis: 1 }),
        ),
        residual(),
        two_inputs(),
        words(),
        chain("none", Sequential::new([3]).layer(Rescaling { scale: 2.0, offset: -1.0 })),
    ]
}
