//! Networks to test with: single layers over their settings, and whole networks.

mod networks;

use proptest::prelude::*;
use proptest::sample::{Index, select};

pub(crate) use self::networks::{branching, classic, grown};
use super::{Case, Mode, Problem};
use crate::model::{
    Activation, Arrange, BatchNormalization, BilinearUpSampling2d, ChannelRescaling, Conv1d,
    Conv2d, Conv2dTranspose, Dense, DepthwiseConv2d, Dropout, GlobalPool1d, GlobalPool2d, Graph,
    GraphBuilder, GroupNormalization, LayerNormalization, LayerSpec, Loss, Merge, NodeId, Noise,
    Normalization, NormalizationStatistics, PRelu, Padding, Padding1d, Pool1d, Pool2d, PoolKind,
    Rescaling, RowMethod, SeparableConv2d, Sequential, Softmax,
};
use crate::tensor::Shape;

/// Any of `graphs`, with batches below, at and above a shard, and inputs small enough for curves
/// and large enough for the flat parts of activations.
pub(crate) fn cases(graphs: impl Strategy<Value = Graph>) -> impl Strategy<Value = Case> {
    let batch = select(vec![1_usize, 2, 3, 5, 17]);
    (graphs, batch, select(vec![1.0, 2.0, 8.0]), any::<u64>())
        .prop_map(|(graph, batch, spread, seed)| Case::new(graph, batch, spread, seed))
}

/// A case in use or in training, differentiated along cotangents.
pub(crate) fn problems(graphs: impl Strategy<Value = Graph>) -> impl Strategy<Value = Problem> {
    (cases(graphs), any::<bool>(), any::<u64>()).prop_map(|(case, training, seed)| {
        let mode = if training { case.training(seed) } else { Mode::Inference };
        let objective = case.cotangents(seed);
        Problem { case, mode, objective }
    })
}

/// Each loss behind outputs of each kind that suits it: the last layer a softmax or sigmoid of its
/// own, one inside a dense layer, probabilities made otherwise, or logits.
pub(crate) fn loss_problems() -> impl Strategy<Value = Problem> {
    let losses = vec![
        Loss::SparseCategoricalCrossentropy,
        Loss::SparseCategoricalCrossentropyWithLogits,
        Loss::CategoricalCrossentropy,
        Loss::CategoricalCrossentropyWithLogits,
        Loss::BinaryCrossentropy,
        Loss::BinaryCrossentropyWithLogits,
        Loss::MeanSquaredError,
        Loss::MeanAbsoluteError,
        Loss::Huber { delta: 0.5 },
        Loss::LogCosh,
        Loss::KlDivergence,
        Loss::Poisson,
        Loss::Hinge,
        Loss::SquaredHinge,
        Loss::CategoricalHinge,
        Loss::MeanAbsolutePercentageError,
        Loss::MeanSquaredLogarithmicError,
        Loss::CosineSimilarity,
    ];
    let settings = (select(losses), 0..3_u8, select(vec![1_usize, 2, 5, 10, 17]), any::<u64>());
    (settings, select(vec![1_usize, 3, 16, 35])).prop_map(|((loss, end, units, seed), batch)| {
        let activation = match loss {
            Loss::SparseCategoricalCrossentropy
            | Loss::CategoricalCrossentropy
            | Loss::KlDivergence => Activation::Softmax,
            Loss::BinaryCrossentropy | Loss::Poisson | Loss::MeanSquaredLogarithmicError => {
                Activation::Sigmoid
            }
            _ => Activation::Linear,
        };
        let l2 = |spec: Dense| Dense { kernel_l2: 0.01, ..spec };
        let hidden = Sequential::new([6]).layer(l2(Dense::new(4))).activation(Activation::Tanh);
        let chain = match end {
            0 => hidden.dense(units, activation),
            1 => hidden.dense(units, Activation::Linear).activation(activation),
            // Behind another layer a softmax or sigmoid is not the network's last.
            _ => hidden.dense(units, activation).reshape([units]),
        };
        let case = Case::new(chain.graph().expect("a chain that fits"), batch, 2.0, seed);
        let (mode, objective) = (case.training(seed), case.losses(loss, seed));
        Problem { case, mode, objective }
    })
}

/// Height and width: 1, primes, and others.
fn size() -> impl Strategy<Value = usize> {
    select(vec![1_usize, 2, 3, 4, 5, 7, 8, 11])
}

/// Channels: 1, primes, and the neighbours of vector widths.
fn channels() -> impl Strategy<Value = usize> {
    select(vec![1_usize, 2, 3, 5, 8, 16, 17])
}

fn image() -> impl Strategy<Value = Shape> {
    (size(), size(), channels()).prop_map(|(h, w, c)| Shape::image(h, w, c))
}

fn small_image() -> impl Strategy<Value = Shape> {
    let sides = || select(vec![1_usize, 2, 3, 5]);
    (sides(), sides(), sides()).prop_map(|(h, w, c)| Shape::image(h, w, c))
}

/// Any rank that layers of any shape may meet.
fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        channels().prop_map(Shape::vector),
        (size(), channels()).prop_map(|(length, c)| Shape::from([length, c])),
        image(),
    ]
}

fn padding() -> impl Strategy<Value = Padding> {
    let sides = (0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize);
    prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        sides.prop_map(|(top, bottom, left, right)| Padding::Explicit { top, bottom, left, right }),
    ]
}

fn pair(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

/// Activations that no network should be made of: they jump, where f32 and f64 decide otherwise, or
/// leave the range of f32.
fn wild_activation() -> impl Strategy<Value = Activation> {
    select(vec![
        Activation::Exponential,
        Activation::HardShrink { threshold: 0.5 },
        Activation::Threshold { threshold: 0.5, value: -0.25 },
    ])
}

/// Every other activation.
pub(crate) fn activation() -> impl Strategy<Value = Activation> {
    select(vec![
        Activation::Linear,
        Activation::Relu,
        Activation::Relu6,
        Activation::LeakyRelu { negative_slope: 0.3 },
        Activation::LeakyRelu { negative_slope: -0.5 },
        Activation::Elu { alpha: 1.0 },
        Activation::Elu { alpha: 0.7 },
        Activation::Selu,
        Activation::Gelu,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Softplus,
        Activation::Softmax,
        Activation::LogSoftmax,
        Activation::ClippedRelu { max_value: 1.5, negative_slope: 0.0, threshold: 0.0 },
        Activation::ClippedRelu { max_value: f64::INFINITY, negative_slope: 0.2, threshold: 0.5 },
        Activation::Softsign,
        Activation::HardSigmoid,
        Activation::HardSigmoidKeras2,
        Activation::HardSilu,
        Activation::HardTanh,
        Activation::Mish,
        Activation::LogSigmoid,
        Activation::Celu { alpha: 0.7 },
        Activation::GeluTanh,
        Activation::SoftShrink { threshold: 0.5 },
        Activation::TanhShrink,
        Activation::Squareplus { b: 4.0 },
        Activation::SparsePlus,
        Activation::SparseSigmoid,
    ])
}

/// Of `groups` groups, the number of filters being `groups` times what is drawn.
fn conv2d(groups: usize) -> impl Strategy<Value = Conv2d> {
    let filters = select(vec![1_usize, 2, 3, 5, 16, 17]);
    let window = (pair(1..=4), pair(1..=3), padding(), pair(1..=3));
    (filters, window, activation(), any::<bool>()).prop_map(
        move |(filters, (kernel, strides, padding, dilation), activation, use_bias)| Conv2d {
            kernel,
            strides,
            padding,
            dilation,
            groups,
            use_bias,
            activation,
            ..Conv2d::new(filters * groups, 1)
        },
    )
}

fn pool2d() -> impl Strategy<Value = Pool2d> {
    (pool_kind(), pair(1..=4), pair(1..=4), padding())
        .prop_map(|(kind, pool, strides, padding)| Pool2d { kind, pool, strides, padding })
}

fn pool_kind() -> impl Strategy<Value = PoolKind> {
    select(vec![PoolKind::Max, PoolKind::Average])
}

fn global_pool2d() -> impl Strategy<Value = GlobalPool2d> {
    (pool_kind(), any::<bool>()).prop_map(|(kind, keep_dims)| GlobalPool2d { kind, keep_dims })
}

fn dense() -> impl Strategy<Value = Dense> {
    (channels(), any::<bool>(), activation()).prop_map(|(units, use_bias, activation)| Dense {
        use_bias,
        activation,
        ..Dense::new(units)
    })
}

fn batch_normalization() -> impl Strategy<Value = BatchNormalization> {
    (any::<bool>(), any::<bool>(), select(vec![0.0, 0.9, 0.99]), select(vec![0.001, 0.1])).prop_map(
        |(center, scale, momentum, epsilon)| BatchNormalization {
            momentum,
            epsilon,
            center,
            scale,
        },
    )
}

fn depthwise_conv2d() -> impl Strategy<Value = DepthwiseConv2d> {
    let window = (pair(1..=4), pair(1..=3), padding(), pair(1..=3));
    (1..4_usize, window, activation(), any::<bool>()).prop_map(
        |(depth_multiplier, (kernel, strides, padding, dilation), activation, use_bias)| {
            DepthwiseConv2d {
                depth_multiplier,
                kernel,
                strides,
                padding,
                dilation,
                use_bias,
                activation,
                ..DepthwiseConv2d::new(1)
            }
        },
    )
}

fn separable_conv2d() -> impl Strategy<Value = SeparableConv2d> {
    (depthwise_conv2d(), select(vec![1_usize, 2, 5, 16, 17])).prop_map(|(conv, filters)| {
        SeparableConv2d {
            depth_multiplier: conv.depth_multiplier,
            kernel: conv.kernel,
            strides: conv.strides,
            padding: conv.padding,
            dilation: conv.dilation,
            use_bias: conv.use_bias,
            activation: conv.activation,
            ..SeparableConv2d::new(filters, 1)
        }
    })
}

fn conv2d_transpose() -> impl Strategy<Value = Conv2dTranspose> {
    let output_padding = prop_oneof![2 => Just(None), 1 => pair(0..=2).prop_map(Some)];
    (conv2d(1), output_padding).prop_map(|(conv, output_padding)| Conv2dTranspose {
        filters: conv.filters,
        kernel: conv.kernel,
        strides: conv.strides,
        padding: conv.padding,
        output_padding,
        dilation: conv.dilation,
        use_bias: conv.use_bias,
        activation: conv.activation,
        ..Conv2dTranspose::new(1, 1)
    })
}

fn padding1d() -> impl Strategy<Value = Padding1d> {
    select(vec![Padding1d::Valid, Padding1d::Same, Padding1d::Causal])
}

/// A layer that takes one sequence of a number of channels that 3 divides.
fn sequential() -> impl Strategy<Value = LayerSpec> {
    let conv = (conv2d(1), padding1d(), select(vec![1_usize, 3]));
    let conv = conv.prop_map(|(conv, padding, groups)| Conv1d {
        kernel: conv.kernel[1],
        strides: conv.strides[1],
        padding,
        dilation: conv.dilation[1],
        groups,
        use_bias: conv.use_bias,
        activation: conv.activation,
        ..Conv1d::new(groups * conv.filters, 1)
    });
    let pool = (pool2d(), padding1d()).prop_map(|(pool, padding)| Pool1d {
        kind: pool.kind,
        pool: pool.pool[1],
        strides: pool.strides[1],
        padding,
    });
    let global = global_pool2d()
        .prop_map(|GlobalPool2d { kind, keep_dims }| GlobalPool1d { kind, keep_dims });
    prop_oneof![
        3 => conv.prop_map(LayerSpec::from),
        2 => pool.prop_map(LayerSpec::from),
        1 => global.prop_map(LayerSpec::from),
    ]
}

/// One layer that works on sequences.
pub(crate) fn sequences() -> impl Strategy<Value = Graph> {
    (size(), select(vec![3_usize, 6, 18]), sequential())
        .prop_filter_map("a window inside the sequence", |(steps, channels, spec)| {
            single(Shape::sequence(steps, channels), spec)
        })
}

/// One convolution that is made of others, or transposed.
pub(crate) fn derived_convolutions() -> impl Strategy<Value = Graph> {
    let spec = prop_oneof![
        1 => depthwise_conv2d().prop_map(LayerSpec::from),
        1 => separable_conv2d().prop_map(LayerSpec::from),
        2 => conv2d_transpose().prop_map(LayerSpec::from),
    ];
    (small_image(), spec)
        .prop_filter_map("a window inside the image", |(shape, spec)| single(shape, spec))
}

/// A layer of any kind that takes one input of any shape.
fn shapeless() -> impl Strategy<Value = LayerSpec> {
    prop_oneof![
        1 => Just(LayerSpec::Flatten),
        1 => dense().prop_map(LayerSpec::from),
        1 => select(vec![0.0, 0.25, 0.5]).prop_map(|rate| Dropout { rate }.into()),
        1 => batch_normalization().prop_map(LayerSpec::from),
        1 => activation().prop_map(LayerSpec::from),
        1 => Just(Rescaling { scale: -0.5, offset: 0.25 }.into()),
        2 => normalizing(),
    ]
}

/// A layer that normalises or disturbs, or has slopes of its own.
fn normalizing() -> impl Strategy<Value = LayerSpec> {
    prop_oneof![
        Just(LayerSpec::Identity),
        noise().prop_map(LayerSpec::from),
        (1..3_usize, row_method(), any::<bool>(), any::<bool>()).prop_map(
            |(trailing_axes, method, center, scale)| {
                LayerNormalization { trailing_axes, method, epsilon: 0.1, center, scale }.into()
            }
        ),
        (1..4_usize, any::<bool>(), any::<bool>()).prop_map(|(groups, center, scale)| {
            GroupNormalization { groups, epsilon: 0.1, center, scale }.into()
        }),
        [1..4_usize, 1..4_usize].prop_map(|size| BilinearUpSampling2d { size }.into()),
        select(vec![-1, 1, 2]).prop_map(|axis| Softmax { axis }.into()),
        normalization().prop_map(LayerSpec::from),
        select(vec![vec![], vec![1], vec![2], vec![1, 2]]).prop_map(|shared_axes| PRelu {
            shared_axes,
            ..PRelu::default()
        }
        .into()),
    ]
}

fn row_method() -> impl Strategy<Value = RowMethod> {
    select(vec![RowMethod::Standard, RowMethod::RootMeanSquare, RowMethod::Deviation])
}

/// A layer that moves values of samples of this rank.
fn arrange(rank: usize) -> BoxedStrategy<Arrange> {
    let (side, size) = (|| 0..3_usize, || 1..4_usize);
    let dims = Just((1..=rank).collect::<Vec<_>>()).prop_shuffle();
    let permute = dims.prop_map(|dims| Arrange::Permute { dims });
    match rank {
        1 => {
            prop_oneof![1 => permute, 3 => size().prop_map(|n| Arrange::RepeatVector { n })].boxed()
        }
        2 => prop_oneof![
            permute,
            [side(), side()].prop_map(Arrange::Cropping1d),
            [side(), side()].prop_map(Arrange::ZeroPadding1d),
            size().prop_map(|size| Arrange::UpSampling1d { size }),
        ]
        .boxed(),
        _ => prop_oneof![
            permute,
            [side(), side(), side(), side()].prop_map(Arrange::Cropping2d),
            [side(), side(), side(), side()].prop_map(Arrange::ZeroPadding2d),
            [size(), size()].prop_map(|size| Arrange::UpSampling2d { size }),
        ]
        .boxed(),
    }
}

/// One layer that moves values.
pub(crate) fn arranges() -> impl Strategy<Value = Graph> {
    shape()
        .prop_flat_map(|shape| (arrange(shape.rank()), Just(shape)))
        .prop_filter_map("a layer that leaves something", |(arrange, shape)| {
            single(shape, arrange.into())
        })
}

fn noise() -> impl Strategy<Value = Noise> {
    select(vec![
        Noise::SpatialDropout { rate: 0.25 },
        Noise::GaussianNoise { deviation: 0.5 },
        Noise::GaussianDropout { rate: 0.25 },
        Noise::AlphaDropout { rate: 0.25 },
    ])
}

fn normalization() -> impl Strategy<Value = Normalization> {
    let axes = select(vec![vec![], vec![-1], vec![1], vec![1, -1]]);
    let given = NormalizationStatistics::Given { mean: vec![0.25], variance: vec![0.5] };
    (axes, select(vec![NormalizationStatistics::Stored, given]), any::<bool>())
        .prop_map(|(axes, statistics, invert)| Normalization { axes, statistics, invert })
}

/// One number of each for each channel of the shape.
fn channel_rescaling() -> impl Strategy<Value = Graph> {
    shape().prop_map(|shape| {
        let channels = *shape.dims().last().expect("an axis of channels");
        let scale = (0..channels).map(|channel| 0.5 + channel as f64).collect();
        let offset = (0..channels).map(|channel| 0.25 * channel as f64).collect();
        single(shape, ChannelRescaling { scale, offset }.into()).expect("one of each")
    })
}

/// A layer of any kind that takes one image.
fn visual() -> impl Strategy<Value = LayerSpec> {
    prop_oneof![
        2 => select(vec![1_usize, 2, 3]).prop_flat_map(conv2d).prop_map(LayerSpec::from),
        2 => pool2d().prop_map(LayerSpec::from),
        1 => global_pool2d().prop_map(LayerSpec::from),
        1 => depthwise_conv2d().prop_map(LayerSpec::from),
        1 => separable_conv2d().prop_map(LayerSpec::from),
        1 => conv2d_transpose().prop_map(LayerSpec::from),
        2 => arrange(3).prop_map(LayerSpec::from),
    ]
}

/// Those of `shape` and `spec` that make a graph.
fn single(shape: Shape, spec: LayerSpec) -> Option<Graph> {
    Sequential::new(shape).layer(spec).graph().ok()
}

/// One convolution, of one group, several, or one per input channel.
pub(crate) fn convolutions() -> impl Strategy<Value = Graph> {
    let grouped = (select(vec![1_usize, 2, 3]), select(vec![1_usize, 2, 3, 5, 16]));
    let plain = channels().prop_map(|channels| (1, channels));
    let depthwise = channels().prop_map(|channels| (channels, 1));
    (prop_oneof![2 => plain, 1 => grouped, 1 => depthwise], size(), size())
        .prop_flat_map(|((groups, channels), height, width)| {
            (conv2d(groups), Just(Shape::image(height, width, groups * channels)))
        })
        .prop_filter_map("a window inside the image", |(conv, shape)| single(shape, conv.into()))
}

/// One pooling layer.
pub(crate) fn poolings() -> impl Strategy<Value = Graph> {
    let spec = prop_oneof![
        4 => pool2d().prop_map(LayerSpec::from),
        1 => global_pool2d().prop_map(LayerSpec::from),
    ];
    (image(), spec)
        .prop_filter_map("a window inside the image", |(shape, spec)| single(shape, spec))
}

/// One layer that normalises or disturbs, or has slopes of its own; some behind an activation, some
/// before one, which may become one step with it.
pub(crate) fn normalizing_layers() -> impl Strategy<Value = Graph> {
    let ends = || prop::option::of(activation());
    prop_oneof![
        5 => (shape(), ends(), normalizing(), ends()).prop_filter_map(
            "a layer that takes the shape",
            |(shape, before, spec, behind)| {
                let mut chain = Sequential::new(shape);
                for spec in [before.map(Into::into), Some(spec), behind.map(Into::into)] {
                    chain = spec.into_iter().fold(chain, Sequential::layer);
                }
                chain.graph().ok()
            }
        ),
        1 => channel_rescaling(),
    ]
}

/// One layer of any kind.
pub(crate) fn single_layers() -> impl Strategy<Value = Graph> {
    let fits = "a layer that takes the shape";
    let reshape = image().prop_map(|image| {
        let [height, width, channels] = *image.dims() else { unreachable!("an image") };
        let target = LayerSpec::Reshape([channels, height * width].into());
        single(image, target).expect("as many elements")
    });
    prop_oneof![
        3 => convolutions(),
        2 => poolings(),
        5 => (shape(), shapeless()).prop_filter_map(fits, |(shape, spec)| single(shape, spec)),
        1 => (image(), visual()).prop_filter_map(fits, |(shape, spec)| single(shape, spec)),
        1 => reshape,
        2 => sequences(),
        2 => derived_convolutions(),
        1 => arranges(),
        1 => (shape(), wild_activation())
            .prop_filter_map(fits, |(shape, function)| single(shape, function.into())),
        1 => merges(),
    ]
}

/// Those that take any number of inputs of one shape.
const JOINING: [Merge; 5] =
    [Merge::Add, Merge::Multiply, Merge::Average, Merge::Maximum, Merge::Minimum];

/// Layers that join elements of one to three inputs, and Concatenate of as many on every axis counted
/// from either end.
pub(crate) fn merges() -> impl Strategy<Value = Graph> {
    let joining = (select(JOINING.to_vec()), shape(), 1..4_usize)
        .prop_map(|(merge, shape, count)| merged(merge, vec![shape; count]));
    let subtract = shape().prop_map(|shape| merged(Merge::Subtract, vec![shape; 2]));
    let concatenate = (shape(), any::<Index>(), any::<bool>(), prop::collection::vec(size(), 1..4))
        .prop_map(|(shape, axis, from_end, lengths)| {
            let axis = axis.index(shape.rank());
            let one = |length| {
                let mut dims = shape.dims().to_vec();
                dims[axis] = length;
                Shape::new(dims)
            };
            let axis = if from_end { axis as i32 - shape.rank() as i32 } else { axis as i32 + 1 };
            merged(Merge::Concatenate { axis }, lengths.into_iter().map(one).collect())
        });
    prop_oneof![3 => joining, 1 => subtract, 2 => concatenate]
}

fn merged(merge: Merge, shapes: Vec<Shape>) -> Graph {
    let mut builder = GraphBuilder::new();
    let inputs: Vec<NodeId> = (shapes.into_iter().enumerate())
        .map(|(index, shape)| builder.input(&format!("input_{index}"), shape))
        .collect();
    let joined = builder.add(merge, &inputs);
    builder.output("joined", joined);
    builder.build("merge").expect("shapes that fit")
}
