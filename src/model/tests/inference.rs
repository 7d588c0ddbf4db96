//! What each layer gives and needs, and what it refuses.

use crate::model::*;
use crate::tensor::Shape;

/// What a layer gives for samples of `input`.
fn gives(spec: impl Into<LayerSpec>, input: impl Into<Shape>) -> Result<Shape, GraphError> {
    let graph = Sequential::new(input).named("it", spec).graph()?;
    Ok(graph.shape(graph.outputs()[0].node).clone())
}

#[track_caller]
fn assert_gives(spec: impl Into<LayerSpec>, input: impl Into<Shape>, expected: impl Into<Shape>) {
    assert_eq!(gives(spec, input), Ok(expected.into()));
}

/// The whole message, which names the layer, its kind, its input and the rule.
#[track_caller]
fn assert_refuses(spec: impl Into<LayerSpec>, input: impl Into<Shape>, message: &str) {
    let error = gives(spec, input).expect_err("a layer that does not fit");
    assert_eq!(error.to_string(), message);
}

/// Names and shapes of a layer's parameters.
fn needs(spec: impl Into<LayerSpec>, input: impl Into<Shape>) -> Vec<(String, Vec<usize>)> {
    let graph = Sequential::new(input).named("it", spec).graph().expect("a layer that fits");
    let dims = |parameter: &Parameter| parameter.shape.dims().to_vec();
    graph.parameters().iter().map(|p| (graph.tensor_name(p), dims(p))).collect()
}

#[track_caller]
fn assert_needs(
    spec: impl Into<LayerSpec>,
    input: impl Into<Shape>,
    expected: &[(&str, &[usize])],
) {
    let expected: Vec<_> =
        expected.iter().map(|&(name, dims)| (format!("it/{name}"), dims.to_vec())).collect();
    assert_eq!(needs(spec, input), expected);
}

const EXPLICIT: Padding = Padding::Explicit { top: 1, bottom: 2, left: 3, right: 0 };

#[test]
fn conv2d() {
    assert_gives(Conv2d::new(32, 3), [28, 28, 1], [26, 26, 32]);
    let same = Conv2d { padding: Padding::Same, strides: [2, 3], ..Conv2d::new(4, 5) };
    assert_gives(same, [7, 7, 2], [4, 3, 4]);
    assert_gives(Conv2d { padding: EXPLICIT, ..Conv2d::new(4, 2) }, [5, 5, 2], [7, 7, 4]);
    assert_gives(Conv2d { dilation: [2, 3], ..Conv2d::new(4, 3) }, [5, 8, 2], [1, 2, 4]);
    let wide = Conv2d { kernel: [2, 5], ..Conv2d::new(8, 1) };
    assert_needs(wide.clone(), [9, 9, 6], &[("kernel", &[2, 5, 6, 8]), ("bias", &[8])]);
    let grouped = Conv2d { groups: 2, use_bias: false, ..wide };
    assert_needs(grouped, [9, 9, 6], &[("kernel", &[2, 5, 3, 8])]);
}

#[test]
fn conv2d_refuses() {
    let conv = || Conv2d::new(4, 3);
    assert_refuses(
        conv(),
        [28, 28],
        "layer `it` (conv2d) cannot take an input of shape 28×28: it takes images: height, width, \
         channels",
    );
    assert_refuses(
        conv(),
        [2, 5, 1],
        "layer `it` (conv2d) cannot take an input of shape 2×5×1: the window reaches over 3 cells \
         in height, the padded image has 2; pad with `same` or take a smaller window",
    );
    assert_refuses(
        Conv2d { dilation: [1, 3], ..conv() },
        [3, 6, 1],
        "layer `it` (conv2d) cannot take an input of shape 3×6×1: the window reaches over 7 cells \
         in width, the padded image has 6; pad with `same` or take a smaller window",
    );
    assert_refuses(
        Conv2d { groups: 2, ..conv() },
        [5, 5, 3],
        "layer `it` (conv2d) cannot take an input of shape 5×5×3: 3 channels cannot be split into \
         2 groups",
    );
    let zeros = [
        Conv2d { kernel: [0, 1], ..conv() },
        Conv2d { strides: [1, 0], ..conv() },
        Conv2d { dilation: [0, 1], ..conv() },
    ];
    for conv in zeros {
        let error = gives(conv, [5, 5, 1]).expect_err("a zero");
        let rule = "window, stride and dilation must be 1 or more in ";
        assert!(error.to_string().contains(rule), "{error}");
    }
}

#[test]
fn conv2d_refuses_settings() {
    let setting = |conv: Conv2d, rule: &str| {
        assert_refuses(conv, [5, 5, 4], &format!("layer `it` (conv2d): {rule}"));
    };
    let conv = || Conv2d::new(4, 3);
    setting(Conv2d::new(0, 3), "filters and groups must be 1 or more");
    setting(Conv2d { groups: 0, ..conv() }, "filters and groups must be 1 or more");
    setting(Conv2d { groups: 3, ..conv() }, "4 filters cannot be split into 3 groups");
    setting(Conv2d { kernel_l2: -1.0, ..conv() }, "kernel_l2 must not be negative, but is -1");
    setting(Conv2d { kernel_l2: f64::INFINITY, ..conv() }, "kernel_l2 must be finite, not inf");
    let activation = Activation::Elu { alpha: f64::NAN };
    setting(Conv2d { activation, ..conv() }, "alpha must be finite, not NaN");
}

#[test]
fn pool2d() {
    assert_gives(Pool2d::max(2), [13, 12, 5], [6, 6, 5]);
    assert_gives(Pool2d { padding: Padding::Same, ..Pool2d::average(2) }, [13, 12, 5], [7, 6, 5]);
    assert_gives(Pool2d { strides: [1, 1], ..Pool2d::max(3) }, [5, 4, 1], [3, 2, 1]);
    let padding = Padding::Explicit { top: 1, bottom: 1, left: 0, right: 2 };
    assert_gives(Pool2d { padding, ..Pool2d::max(3) }, [4, 4, 1], [2, 2, 1]);
    assert_needs(Pool2d::max(2), [4, 4, 1], &[]);
    assert_refuses(
        Pool2d::average(3),
        [3, 2, 1],
        "layer `it` (average_pool2d) cannot take an input of shape 3×2×1: the window reaches over \
         3 cells in width, the padded image has 2; pad with `same` or take a smaller window",
    );
    let padding = Padding::Explicit { top: 0, bottom: 2, left: 0, right: 0 };
    assert_refuses(
        Pool2d { padding, ..Pool2d::max(2) },
        [4, 4, 1],
        "layer `it` (max_pool2d) cannot take an input of shape 4×4×1: the padding is as large as \
         the pool, so a pool could hold no real cell",
    );
}

#[test]
fn global_pool2d() {
    let pool = |keep_dims| GlobalPool2d { kind: PoolKind::Max, keep_dims };
    assert_gives(pool(false), [3, 4, 5], [5]);
    assert_gives(pool(true), [3, 4, 5], [1, 1, 5]);
}

/// Places within a sample are counted in 32 bits.
#[test]
fn results_too_large_to_count() {
    let (side, large) = (1_usize << 16, "is larger than 2³² − 1 elements");
    let error = Sequential::new([side, side]).flatten().graph().expect_err("2³² elements");
    assert!(error.to_string().ends_with(&format!("the result 65536×65536 {large}")), "{error}");
    assert_gives(Activation::Relu, [side, side - 1], [side, side - 1]);
}

/// A window costs by the cells it meets: a pool does not meet padding, a kernel does.
#[test]
fn windows_that_meet_too_many_cells() {
    let rule = "on its way over the image the window would meet 2³² cells or more";
    let same = Padding::Same;
    let conv = |kernel| Conv2d { padding: same, ..Conv2d::new(1, kernel) };
    assert_gives(conv(3), [1, 1, 1], [1, 1, 1]);
    let message = "layer `it` (conv2d) is too large for this keepnet on an input of shape 2×1×1";
    assert_refuses(conv(1 << 16), [2, 1, 1], &format!("{message}: {rule}"));
    // The gradient of the input meets as many cells as the input has.
    let message =
        "layer `it` (conv2d) is too large for this keepnet on an input of shape 256×256×1";
    assert_refuses(Conv2d::new(1, 256), [256, 256, 1], &format!("{message}: {rule}"));
    let pool = |size| Pool2d { padding: same, strides: [1, 1], ..Pool2d::max(size) };
    assert_gives(pool(usize::MAX / 2), [2, 3, 4], [2, 3, 4]);
    let message =
        "layer `it` (max_pool2d) is too large for this keepnet on an input of shape 256×256×1";
    assert_refuses(pool(usize::MAX / 2), [256, 256, 1], &format!("{message}: {rule}"));
}

/// A kernel that reads its image in the padding reads it from a copy.
#[test]
fn paddings_too_large_to_count() {
    let (side, strides) = (1_usize << 16, [1 << 15; 2]);
    let padding = Padding::Explicit { top: side, bottom: 0, left: side, right: 0 };
    let conv = Conv2d { padding, strides, ..Conv2d::new(1, 1) };
    assert_refuses(
        conv,
        [2, 2, 1],
        "layer `it` (conv2d) is too large for this keepnet on an input of shape 2×2×1: the image in \
         its padding, 65537×65537×1, has 2³² elements or more",
    );
}

#[test]
fn flatten_and_reshape() {
    assert_gives(LayerSpec::Flatten, [3, 4, 5], [60]);
    assert_gives(LayerSpec::Flatten, Shape::default(), [1]);
    assert_gives(LayerSpec::Reshape([5, 12].into()), [3, 4, 5], [5, 12]);
    assert_refuses(
        LayerSpec::Reshape([5, 11].into()),
        [3, 4, 5],
        "layer `it` (reshape) cannot take an input of shape 3×4×5: it cannot become 5×11: another \
         number of elements",
    );
}

#[test]
fn dense() {
    assert_gives(Dense::new(10), [7], [10]);
    assert_gives(Dense::new(10), [2, 3, 7], [2, 3, 10]);
    assert_needs(Dense::new(10), [2, 7], &[("kernel", &[7, 10]), ("bias", &[10])]);
    let plain = Dense { use_bias: false, ..Dense::new(10) };
    assert_needs(plain, [7], &[("kernel", &[7, 10])]);
    let (scalar, kind) = (Shape::default(), "layer `it` (dense)");
    let message = format!("{kind} cannot take an input of shape (): it takes one axis or more");
    assert_refuses(Dense::new(1), scalar, &message);
    assert_refuses(Dense::new(0), [2], &format!("{kind}: units must be 1 or more"));
    let negative = Dense { kernel_l2: -0.5, ..Dense::new(1) };
    assert_refuses(negative, [2], &format!("{kind}: kernel_l2 must not be negative, but is -0.5"));
}

#[test]
fn batch_normalization() {
    let norm = BatchNormalization::default();
    assert_gives(norm, [3, 4, 5], [3, 4, 5]);
    let five = |names: [&'static str; 2]| names.map(|name| (name, &[5][..]));
    let (moving, learned) = (five(["moving_mean", "moving_variance"]), five(["gamma", "beta"]));
    assert_needs(norm, [3, 4, 5], &[learned, moving].concat());
    let center = BatchNormalization { scale: false, ..norm };
    assert_needs(center, [5], &[learned[1], moving[0], moving[1]]);
    let scale = BatchNormalization { center: false, ..norm };
    assert_needs(scale, [5], &[learned[0], moving[0], moving[1]]);
    let graph = Sequential::new([5]).batch_normalization().graph().expect("sound");
    let learned: Vec<bool> = graph.parameters().iter().map(|p| p.learned).collect();
    assert_eq!(learned, [true, true, false, false]);
    let kind = "layer `it` (batch_normalization)";
    for momentum in [-0.1, 1.1, f64::NAN] {
        let message = format!("{kind}: momentum must be from 0 to 1, not {momentum}");
        assert_refuses(BatchNormalization { momentum, ..norm }, [5], &message);
    }
    for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let message = format!("{kind}: epsilon must be above 0, not {epsilon}");
        assert_refuses(BatchNormalization { epsilon, ..norm }, [5], &message);
    }
}

#[test]
fn elementwise_layers_keep_the_shape() {
    let specs: [LayerSpec; 4] = [
        Activation::Relu.into(),
        Activation::Softmax.into(),
        Dropout { rate: 0.5 }.into(),
        Rescaling { scale: 2.0, offset: 0.0 }.into(),
    ];
    for spec in specs {
        assert_gives(spec.clone(), [2, 3], [2, 3]);
        assert_needs(spec, [2, 3], &[]);
    }
}

#[test]
fn elementwise_layers_refuse() {
    for rate in [-0.1, 1.0, f64::NAN] {
        let message =
            format!("layer `it` (dropout): the rate must be at least 0 and below 1, not {rate}");
        assert_refuses(Dropout { rate }, [2], &message);
    }
    let steep = Activation::LeakyRelu { negative_slope: f64::INFINITY };
    let message = "layer `it` (activation): the slope must be finite, not inf";
    assert_refuses(steep, [2], message);
    let message = "layer `it` (rescaling): offset must be finite, not NaN";
    assert_refuses(Rescaling { scale: 1.0, offset: f64::NAN }, [2], message);
    let message = "layer `it` (activation) cannot take an input of shape (): it takes one axis or \
                   more";
    assert_refuses(Activation::Softmax, Shape::default(), message);
}

#[test]
fn layers_that_normalize() {
    let norm = |trailing_axes| LayerNormalization { trailing_axes, ..Default::default() };
    assert_gives(norm(2), [4, 3, 2], [4, 3, 2]);
    assert_needs(norm(1), [4, 3, 2], &[("gamma", &[2]), ("beta", &[2])]);
    assert_needs(norm(3), [4, 3, 2], &[("gamma", &[4, 3, 2]), ("beta", &[4, 3, 2])]);
    let bare = LayerNormalization { center: false, scale: false, ..norm(1) };
    assert_needs(bare, [4, 3, 2], &[]);
    let too_few = "layer `it` (layer_normalization) cannot take an input of shape 3: it normalises \
                   over 2 axes, but there are 1";
    assert_refuses(norm(2), [3], too_few);
    let groups = GroupNormalization::new(3);
    assert_gives(groups, [4, 5, 6], [4, 5, 6]);
    assert_gives(groups, [6], [6]);
    assert_needs(groups, [4, 5, 6], &[("gamma", &[6]), ("beta", &[6])]);
    let split = "layer `it` (group_normalization) cannot take an input of shape 4×5: 5 channels cannot \
                 be split into 3 groups";
    assert_refuses(groups, [4, 5], split);
    let no_groups = "layer `it` (group_normalization): there must be 1 group or more";
    assert_refuses(GroupNormalization::new(0), [4, 5], no_groups);
    let none = "layer `it` (layer_normalization): it must normalise over 1 axis or more";
    assert_refuses(norm(0), [3], none);

    let stored = |axes: &[i32]| Normalization {
        axes: axes.to_vec(),
        statistics: NormalizationStatistics::Stored,
        invert: false,
    };
    assert_needs(stored(&[-1]), [4, 3, 2], &[("mean", &[2]), ("variance", &[2])]);
    assert_needs(stored(&[1, -1]), [4, 3, 2], &[("mean", &[4, 2]), ("variance", &[4, 2])]);
    assert_needs(stored(&[]), [4, 3, 2], &[("mean", &[]), ("variance", &[])]);
    let known = |count: usize| Normalization {
        statistics: NormalizationStatistics::Given {
            mean: vec![0.5; count],
            variance: vec![2.0; count],
        },
        ..stored(&[-1])
    };
    assert_needs(known(2), [4, 3, 2], &[]);
    assert_needs(known(1), [4, 3, 2], &[]);
    let cannot = "layer `it` (normalization) cannot take an input of shape 4×3×2:";
    let refuses = |norm: Normalization, rule: &str| {
        assert_refuses(norm, [4, 3, 2], &format!("{cannot} {rule}"));
    };
    refuses(stored(&[-1, 1]), "its axes must ascend");
    refuses(stored(&[3, -1]), "its axes must ascend");
    refuses(stored(&[0]), "the batch axis cannot be taken");
    refuses(known(3), "3 means are given, but its axes are 2");
}

#[test]
fn layers_of_several_numbers() {
    let slopes =
        |shared_axes: &[usize]| PRelu { shared_axes: shared_axes.to_vec(), ..PRelu::default() };
    assert_gives(slopes(&[]), [4, 3, 2], [4, 3, 2]);
    assert_needs(slopes(&[]), [4, 3, 2], &[("alpha", &[4, 3, 2])]);
    assert_needs(slopes(&[1, 2]), [4, 3, 2], &[("alpha", &[1, 1, 2])]);
    let missing =
        "layer `it` (prelu) cannot take an input of shape 4×3: there is no axis 3 to share";
    assert_refuses(slopes(&[3]), [4, 3], missing);
    for axes in [[0, 1], [2, 1], [1, 1]] {
        let rule = "layer `it` (prelu): shared axes must ascend from 1, the first of a sample";
        assert_refuses(slopes(&axes), [4, 3], rule);
    }
    let channels = ChannelRescaling { scale: vec![1.0; 3], offset: vec![0.0; 3] };
    assert_gives(channels.clone(), [4, 3], [4, 3]);
    let others = "layer `it` (channel_rescaling) cannot take an input of shape 3×4: 3 scales are given \
                  for 4 channels";
    assert_refuses(channels, [3, 4], others);
    let uneven = ChannelRescaling { scale: vec![1.0; 3], offset: vec![0.0; 2] };
    let rule = "layer `it` (channel_rescaling): 3 scales are given, and 2 offsets";
    assert_refuses(uneven, [4, 3], rule);
    assert_gives(Softmax { axis: -2 }, [4, 3], [4, 3]);
    let axis = "layer `it` (softmax) cannot take an input of shape 4×3: there is no axis 3";
    assert_refuses(Softmax { axis: 3 }, [4, 3], axis);
}

#[test]
fn settings_of_activations_and_noise() {
    let refused = |spec: LayerSpec, rule: &str| {
        let kind = spec.kind();
        assert_refuses(spec, [4], &format!("layer `it` ({kind}): {rule}"));
    };
    let (max_value, negative_slope, threshold) = (f64::INFINITY, 0.0, 0.0);
    assert_gives(Activation::ClippedRelu { max_value, negative_slope, threshold }, [4], [4]);
    let clipped = Activation::ClippedRelu { max_value, negative_slope, threshold: -1.0 };
    refused(clipped.into(), "the threshold must not be negative, but is -1");
    let clipped = Activation::ClippedRelu { max_value: f64::NAN, negative_slope, threshold };
    refused(clipped.into(), "max_value must not be negative, but is NaN");
    refused(Activation::Celu { alpha: 1e-60 }.into(), "alpha must not be 0");
    refused(Activation::Squareplus { b: 0.0 }.into(), "b must be above 0, not 0");
    let endless = Activation::SoftShrink { threshold: f64::INFINITY };
    refused(endless.into(), "the threshold must be finite, not inf");
    let rule = "the rate must be at least 0 and below 1, not 1";
    refused(Noise::AlphaDropout { rate: 1.0 }.into(), rule);
    refused(Noise::SpatialDropout { rate: 1.0 }.into(), rule);
    let rule = "the deviation must not be negative, but is -1";
    refused(Noise::GaussianNoise { deviation: -1.0 }.into(), rule);
}

#[test]
fn arranges() {
    assert_gives(Arrange::ZeroPadding2d([1, 2, 3, 4]), [5, 6, 7], [8, 13, 7]);
    assert_gives(Arrange::ZeroPadding1d([1, 2]), [5, 6], [8, 6]);
    assert_gives(Arrange::Cropping2d([1, 2, 0, 5]), [5, 6, 7], [2, 1, 7]);
    assert_gives(Arrange::Cropping1d([1, 3]), [5, 6], [1, 6]);
    assert_gives(Arrange::Permute { dims: vec![3, 1, 2] }, [5, 6, 7], [7, 5, 6]);
    assert_gives(Arrange::UpSampling1d { size: 3 }, [5, 6], [15, 6]);
    assert_gives(Arrange::UpSampling2d { size: [2, 3] }, [5, 6, 7], [10, 18, 7]);
    assert_gives(BilinearUpSampling2d { size: [2, 3] }, [5, 6, 7], [10, 18, 7]);
    let images = "layer `it` (bilinear_up_sampling2d) cannot take an input of shape 5×6: it takes \
                  images: height, width, channels";
    assert_refuses(BilinearUpSampling2d { size: [2, 3] }, [5, 6], images);
    assert_gives(Arrange::RepeatVector { n: 3 }, [5], [3, 5]);
    let cannot = |kind, input, rule| {
        format!("layer `it` ({kind}) cannot take an input of shape {input}: {rule}")
    };
    let too_large = cannot("zero_padding2d", "5×6×7", "the padding is too large");
    assert_refuses(Arrange::ZeroPadding2d([usize::MAX, 0, 0, 0]), [5, 6, 7], &too_large);
    let nothing_left = cannot("cropping1d", "5×6", "of 5 cells, 2 and 3 are cut off");
    assert_refuses(Arrange::Cropping1d([2, 3]), [5, 6], &nothing_left);
    let axes = cannot("permute", "5×6", "it takes 3 axes");
    assert_refuses(Arrange::Permute { dims: vec![3, 1, 2] }, [5, 6], &axes);
    let vectors = cannot("repeat_vector", "5×6", "it takes vectors");
    assert_refuses(Arrange::RepeatVector { n: 3 }, [5, 6], &vectors);
    let twice = "layer `it` (permute): dims must be the numbers from 1 on, not [1, 1]";
    assert_refuses(Arrange::Permute { dims: vec![1, 1] }, [5, 6], twice);
    let none = "layer `it` (up_sampling2d): the size must be 1 or more";
    assert_refuses(Arrange::UpSampling2d { size: [1, 0] }, [5, 6, 7], none);
}

#[test]
fn sequences() {
    let causal = Conv1d { padding: Padding1d::Causal, strides: 2, ..Conv1d::new(8, 3) };
    assert_gives(causal, [9, 4], [5, 8]);
    let same = Conv1d { padding: Padding1d::Same, strides: 2, ..Conv1d::new(8, 3) };
    assert_gives(same, [9, 4], [5, 8]);
    let grouped = Conv1d { groups: 2, ..Conv1d::new(8, 3) };
    assert_gives(grouped.clone(), [9, 4], [7, 8]);
    assert_needs(grouped, [9, 4], &[("kernel", &[3, 2, 8]), ("bias", &[8])]);
    assert_gives(Pool1d::max(2), [9, 4], [4, 4]);
    assert_gives(GlobalPool1d { kind: PoolKind::Max, keep_dims: true }, [9, 4], [1, 4]);
    assert_gives(GlobalPool1d { kind: PoolKind::Max, keep_dims: false }, [9, 4], [4]);
    let message = "layer `it` (conv1d) cannot take an input of shape 5×6×7: it takes sequences: \
                   steps, channels";
    assert_refuses(Conv1d::new(8, 3), [5, 6, 7], message);
}

#[test]
fn derived_convolutions() {
    let depthwise = DepthwiseConv2d { depth_multiplier: 2, ..DepthwiseConv2d::new(3) };
    assert_gives(depthwise.clone(), [5, 6, 7], [3, 4, 14]);
    assert_needs(depthwise, [5, 6, 7], &[("kernel", &[3, 3, 7, 2]), ("bias", &[14])]);
    let separable = SeparableConv2d { depth_multiplier: 2, ..SeparableConv2d::new(8, 3) };
    assert_gives(separable.clone(), [5, 6, 7], [3, 4, 8]);
    let (depthwise, pointwise): (&[usize], &[usize]) = (&[3, 3, 7, 2], &[1, 1, 14, 8]);
    let needed = [("depthwise_kernel", depthwise), ("pointwise_kernel", pointwise), ("bias", &[8])];
    assert_needs(separable, [5, 6, 7], &needed);
    let transpose = Conv2dTranspose { strides: [2, 2], ..Conv2dTranspose::new(8, 3) };
    assert_gives(transpose.clone(), [5, 6, 7], [11, 13, 8]);
    assert_needs(transpose.clone(), [5, 6, 7], &[("kernel", &[3, 3, 8, 7]), ("bias", &[8])]);
    let same = Conv2dTranspose { padding: Padding::Same, ..transpose };
    assert_gives(same.clone(), [5, 6, 7], [10, 12, 8]);
    let more = Conv2dTranspose { output_padding: Some([0, 1]), ..same };
    assert_gives(more, [5, 6, 7], [9, 12, 8]);
    let message = "layer `it` (conv2d_transpose) cannot take an input of shape 5×6×7: the \
                   convolution of the result, 13×15, would give 6×7: the output_padding must be \
                   less than the stride, and with `same` padding make up for an even kernel";
    let more = Conv2dTranspose { output_padding: Some([2, 2]), ..transpose };
    assert_refuses(more, [5, 6, 7], message);
    let none = "layer `it` (depthwise_conv2d): depth_multiplier must be 1 or more";
    assert_refuses(
        DepthwiseConv2d { depth_multiplier: 0, ..DepthwiseConv2d::new(3) },
        [5, 6, 7],
        none,
    );
}

#[test]
fn layers_of_one_input_refuse_two() {
    let mut builder = GraphBuilder::new();
    let input = builder.input("input", [2]);
    let node = builder.named("it", Dense::new(1), &[input, input]);
    builder.output("it", node);
    let message = "layer `it` (dense) cannot take inputs of shapes 2, 2: it takes one input, not 2";
    assert_eq!(builder.build("two").expect_err("two inputs").to_string(), message);
}

#[test]
fn nothing_is_empty() {
    for shape in [Shape::from([0]), [3, 0].into(), [0, 2, 1].into()] {
        let message = format!(
            "layer `input` (input) cannot take no input: the result {shape} would be empty"
        );
        let error = Sequential::new(shape).flatten().graph().expect_err("empty");
        assert_eq!(error.to_string(), message);
    }
    let error = Sequential::new([4]).reshape([0, 4]).graph().expect_err("another count");
    assert!(error.to_string().contains("another number of elements"), "{error}");
}
