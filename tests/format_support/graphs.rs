//! Random graphs.

use std::collections::BTreeSet;

use keepnet::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::checkpoints::finite;

/// Any graph: chains and DAGs of all kinds of layers, some applied twice, some frozen, with one
/// input or more and one output or more.
pub fn graphs() -> impl Strategy<Value = Graph> {
    let inputs = vec((proptest::option::of(names()), input_shapes()), 1..3);
    let frozen = vec(any::<Index>(), 0..3);
    (names(), inputs, vec(steps(), 0..14), frozen).prop_map(|(name, inputs, steps, frozen)| {
        let mut growing = Growing::default();
        for (name, shape) in inputs {
            growing.try_step(|builder, _| {
                Some(builder.input(&name.clone().unwrap_or_else(|| "input".into()), shape.clone()))
            });
        }
        for step in steps {
            growing.try_step(|builder, nodes| apply(&step, builder, nodes));
        }
        let mut graph = growing.build(&name).expect("every step was tried");
        for index in frozen {
            let layer = index.get(graph.layers()).name.clone();
            graph.set_trainable(&layer, false);
        }
        graph
    })
}

/// A builder, and which of its nodes nothing consumes yet.
#[derive(Clone, Default)]
struct Growing {
    builder: GraphBuilder,
    nodes: Vec<NodeId>,
}

impl Growing {
    /// Takes a step if what comes of it is a graph.
    fn try_step(&mut self, step: impl FnOnce(&mut GraphBuilder, &[NodeId]) -> Option<NodeId>) {
        let mut next = self.clone();
        if let Some(node) = step(&mut next.builder, &self.nodes) {
            next.nodes.push(node);
            // Small, so that cases are many.
            let small = |graph: &Graph| {
                let sizes = graph.parameters().iter().map(|p| p.shape.elements());
                let outputs = graph.outputs().iter().map(|o| graph.shape(o.node).elements());
                sizes.chain(outputs).sum::<usize>() < 5_000
            };
            if next.clone().build("trial").is_ok_and(|graph| small(&graph)) {
                *self = next;
            }
        }
    }

    /// Every node that leads nowhere becomes an output.
    fn build(self, name: &str) -> Result<Graph, GraphError> {
        let all = |mut builder: GraphBuilder, nodes: &[NodeId]| {
            for (number, &node) in nodes.iter().enumerate() {
                builder.output(&format!("output {number}"), node);
            }
            builder.build(name)
        };
        let graph = all(self.builder.clone(), &self.nodes)?;
        let used: BTreeSet<_> =
            graph.nodes().iter().flat_map(|node| node.inputs.iter().copied()).collect();
        let ends: Vec<_> = self.nodes.into_iter().filter(|node| !used.contains(node)).collect();
        all(self.builder, &ends)
    }
}

#[derive(Clone, Debug)]
enum StepKind {
    Layer(LayerSpec),
    Named(String, LayerSpec),
    Again(Index),
    Merge(Merge, Vec<Index>),
}

/// What is done, and to the result of which node.
type Step = (StepKind, Index);

fn steps() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        6 => specs().prop_map(StepKind::Layer),
        2 => (names(), specs()).prop_map(|(name, spec)| StepKind::Named(name, spec)),
        2 => any::<Index>().prop_map(StepKind::Again),
        2 => (merges(), vec(any::<Index>(), 0..3)).prop_map(|(m, i)| StepKind::Merge(m, i)),
    ];
    (kind, any::<Index>())
}

fn apply((kind, input): &Step, builder: &mut GraphBuilder, nodes: &[NodeId]) -> Option<NodeId> {
    if nodes.is_empty() {
        return None;
    }
    // Mostly the last node, so that chains are common.
    let input = match input.index(3) {
        0 => *input.get(nodes),
        _ => *nodes.last()?,
    };
    Some(match kind {
        StepKind::Layer(spec) => builder.add(spec.clone(), &[input]),
        StepKind::Named(name, spec) => builder.named(name, spec.clone(), &[input]),
        StepKind::Again(layer) => builder.again(*layer.get(nodes), &[input]),
        StepKind::Merge(merge, others) => {
            let others = others.iter().map(|other| *other.get(nodes));
            builder.add(*merge, &std::iter::once(input).chain(others).collect::<Vec<_>>())
        }
    })
}

/// Names with anything in them that a name may hold.
pub fn names() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}(_[0-9])?", "\\PC{1,12}", Just("ü/..\\\"CON.".to_owned())]
        .prop_filter("no control characters", |name| !name.chars().any(char::is_control))
}

fn input_shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![
        (3..9_usize, 3..9_usize, 1..4_usize).prop_map(|(h, w, c)| Shape::image(h, w, c)),
        (1..9_usize).prop_map(Shape::vector),
        Just(Shape::new([])),
        Just(Shape::new([2, 3])),
    ]
}

/// Every kind of layer, with every setting.
pub fn specs() -> impl Strategy<Value = LayerSpec> {
    let pool_kind = || select(vec![PoolKind::Max, PoolKind::Average]);
    let pair = || [1..4_usize, 1..4_usize];
    let l2 = || prop_oneof![Just(0.0), Just(-0.0), 0.0..1.0];
    let conv = (
        (1..5_usize, pair(), pair(), paddings()),
        (pair(), 1..3_usize, any::<bool>(), activations()),
        (initializers(), initializers(), l2()),
    )
        .prop_map(
            |((filters, kernel, strides, padding), (dilation, groups, use_bias, a), inits)| {
                LayerSpec::Conv2d(Conv2d {
                    filters: filters * groups,
                    kernel,
                    strides,
                    padding,
                    dilation,
                    groups,
                    use_bias,
                    activation: a,
                    kernel_initializer: inits.0,
                    bias_initializer: inits.1,
                    kernel_l2: inits.2,
                })
            },
        );
    let dense = (1..9_usize, any::<bool>(), activations(), initializers(), initializers(), l2())
        .prop_map(|(units, use_bias, activation, kernel, bias, kernel_l2)| {
            LayerSpec::Dense(Dense {
                units,
                use_bias,
                activation,
                kernel_initializer: kernel,
                bias_initializer: bias,
                kernel_l2,
            })
        });
    let norm = (0.0..=1.0, 1e-300..1.0, any::<bool>(), any::<bool>()).prop_map(
        |(momentum, epsilon, center, scale)| {
            LayerSpec::BatchNormalization(BatchNormalization { momentum, epsilon, center, scale })
        },
    );
    prop_oneof![
        conv,
        dense,
        norm,
        (pool_kind(), pair(), pair(), paddings()).prop_map(|(kind, pool, strides, padding)| {
            LayerSpec::Pool2d(Pool2d { kind, pool, strides, padding })
        }),
        (pool_kind(), any::<bool>()).prop_map(|(kind, keep_dims)| {
            LayerSpec::GlobalPool2d(GlobalPool2d { kind, keep_dims })
        }),
        derived_convolutions(),
        (pool_kind(), 1..4_usize, 1..4_usize, paddings1d()).prop_map(
            |(kind, pool, strides, padding)| {
                LayerSpec::Pool1d(Pool1d { kind, pool, strides, padding })
            }
        ),
        (pool_kind(), any::<bool>()).prop_map(|(kind, keep_dims)| {
            LayerSpec::GlobalPool1d(GlobalPool1d { kind, keep_dims })
        }),
        Just(LayerSpec::Flatten),
        vec(1..9_usize, 0..4).prop_map(|dims| LayerSpec::Reshape(dims.into())),
        (0.0..1.0).prop_map(|rate| LayerSpec::Dropout(Dropout { rate })),
        activations().prop_map(LayerSpec::Activation),
        arranges().prop_map(LayerSpec::Arrange),
        (finite(), finite())
            .prop_map(|(scale, offset)| LayerSpec::Rescaling(Rescaling { scale, offset })),
        normalizing(),
    ]
}

/// Layers that normalise, or disturb, or have slopes of their own.
fn normalizing() -> impl Strategy<Value = LayerSpec> {
    let rate = || 0.0..1.0;
    let noise = prop_oneof![
        rate().prop_map(|rate| Noise::SpatialDropout { rate }),
        rate().prop_map(|deviation| Noise::GaussianNoise { deviation }),
        rate().prop_map(|rate| Noise::GaussianDropout { rate }),
        rate().prop_map(|rate| Noise::AlphaDropout { rate }),
    ];
    // What Keras has a word for; the others come in fewer cases.
    let method = prop_oneof![
        6 => (any::<bool>(), any::<bool>()).prop_map(|(center, scale)| (RowMethod::Standard, center, scale)),
        2 => select(vec![RowMethod::RootMeanSquare, RowMethod::Deviation])
            .prop_map(|method| (method, false, true)),
        1 => Just((RowMethod::RootMeanSquare, true, true)),
    ];
    let rows = (1..3_usize, 1e-300..1.0, method).prop_map(
        |(trailing_axes, epsilon, (method, center, scale))| LayerNormalization {
            trailing_axes,
            method,
            epsilon,
            center,
            scale,
        },
    );
    let groups = (1..4_usize, 1e-300..1.0, any::<bool>(), any::<bool>()).prop_map(
        |(groups, epsilon, center, scale)| GroupNormalization { groups, epsilon, center, scale },
    );
    let statistics = prop_oneof![
        Just(NormalizationStatistics::Stored),
        (finite(), rate()).prop_map(|(mean, variance)| NormalizationStatistics::Given {
            mean: vec![mean],
            variance: vec![variance],
        }),
    ];
    let axes = select(vec![vec![], vec![-1], vec![1], vec![-2, -1]]);
    let known = (axes, statistics, any::<bool>())
        .prop_map(|(axes, statistics, invert)| Normalization { axes, statistics, invert });
    let rescaling = vec((finite(), finite()), 1..4).prop_map(|numbers| {
        let (scale, offset) = numbers.into_iter().unzip();
        ChannelRescaling { scale, offset }
    });
    let slopes = (initializers(), select(vec![vec![], vec![1], vec![1, 2]]))
        .prop_map(|(alpha_initializer, shared_axes)| PRelu { alpha_initializer, shared_axes });
    prop_oneof![
        Just(LayerSpec::Identity),
        (-3..4).prop_map(|axis| Softmax { axis }.into()),
        noise.prop_map(LayerSpec::from),
        rows.prop_map(LayerSpec::from),
        groups.prop_map(LayerSpec::from),
        [1..4_usize, 1..4_usize].prop_map(|size| BilinearUpSampling2d { size }.into()),
        known.prop_map(LayerSpec::from),
        rescaling.prop_map(LayerSpec::from),
        slopes.prop_map(LayerSpec::from),
    ]
}

/// Every setting of the convolutions of one axis, made of others, or transposed.
fn derived_convolutions() -> impl Strategy<Value = LayerSpec> {
    let pair = || [1..4_usize, 1..4_usize];
    let l2 = || prop_oneof![Just(0.0), 0.0..1.0];
    let window = (pair(), pair(), paddings(), pair(), paddings1d());
    let settings = (any::<bool>(), activations(), [initializers(), initializers(), initializers()]);
    let more = prop_oneof![Just(None), [0..3_usize, 0..3_usize].prop_map(Some)];
    (0..4_usize, 1..5_usize, 1..3_usize, window, settings, [l2(), l2()], more).prop_map(
        |(
            which,
            filters,
            multiplier,
            window,
            settings,
            [kernel_l2, pointwise_l2],
            output_padding,
        )| {
            let (kernel, strides, padding, dilation, padding1d) = window;
            let (use_bias, activation, [kernel_initializer, bias_initializer, third]) = settings;
            match which {
                0 => LayerSpec::Conv1d(Conv1d {
                    filters: filters * multiplier,
                    kernel: kernel[0],
                    strides: strides[0],
                    padding: padding1d,
                    dilation: dilation[0],
                    groups: multiplier,
                    use_bias,
                    activation,
                    kernel_initializer,
                    bias_initializer,
                    kernel_l2,
                }),
                1 => LayerSpec::DepthwiseConv2d(DepthwiseConv2d {
                    depth_multiplier: multiplier,
                    kernel,
                    strides,
                    padding,
                    dilation,
                    use_bias,
                    activation,
                    kernel_initializer,
                    bias_initializer,
                    kernel_l2,
                }),
                2 => LayerSpec::SeparableConv2d(SeparableConv2d {
                    filters,
                    depth_multiplier: multiplier,
                    kernel,
                    strides,
                    padding,
                    dilation,
                    use_bias,
                    activation,
                    depthwise_initializer: kernel_initializer,
                    pointwise_initializer: third,
                    bias_initializer,
                    depthwise_l2: kernel_l2,
                    pointwise_l2,
                }),
                _ => LayerSpec::Conv2dTranspose(Conv2dTranspose {
                    filters,
                    kernel,
                    strides,
                    padding,
                    output_padding,
                    dilation,
                    use_bias,
                    activation,
                    kernel_initializer,
                    bias_initializer,
                    kernel_l2,
                }),
            }
        },
    )
}

fn paddings1d() -> impl Strategy<Value = Padding1d> {
    select(vec![Padding1d::Valid, Padding1d::Same, Padding1d::Causal])
}

fn arranges() -> impl Strategy<Value = Arrange> {
    let side = || 0..3_usize;
    let dims =
        (1..5_usize).prop_flat_map(|rank| Just((1..=rank).collect::<Vec<_>>()).prop_shuffle());
    prop_oneof![
        2 => [side(), side(), side(), side()].prop_map(Arrange::ZeroPadding2d),
        1 => [side(), side()].prop_map(Arrange::ZeroPadding1d),
        1 => [side(), side(), side(), side()].prop_map(Arrange::Cropping2d),
        1 => [side(), side()].prop_map(Arrange::Cropping1d),
        1 => dims.prop_map(|dims| Arrange::Permute { dims }),
        1 => (1..4_usize).prop_map(|size| Arrange::UpSampling1d { size }),
        1 => [1..3_usize, 1..3_usize].prop_map(|size| Arrange::UpSampling2d { size }),
        1 => (1..4_usize).prop_map(|n| Arrange::RepeatVector { n }),
    ]
}

fn merges() -> impl Strategy<Value = Merge> {
    use Merge::*;
    prop_oneof![
        1 => Just(Add),
        1 => select(vec![Subtract, Multiply, Average, Maximum, Minimum]),
        1 => (-3..4).prop_map(|axis| Concatenate { axis }),
    ]
}

fn paddings() -> impl Strategy<Value = Padding> {
    prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        (0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize).prop_map(|(top, bottom, left, right)| {
            Padding::Explicit { top, bottom, left, right }
        }),
    ]
}

fn activations() -> impl Strategy<Value = Activation> {
    use Activation::*;
    let plain = vec![Linear, Relu, Relu6, Selu, Gelu, Silu, Sigmoid, Tanh, Softplus, Softmax];
    let newer = vec![
        LogSoftmax,
        Exponential,
        Softsign,
        HardSigmoid,
        HardSigmoidKeras2,
        HardSilu,
        HardTanh,
        Mish,
        LogSigmoid,
        GeluTanh,
        TanhShrink,
        SparsePlus,
        SparseSigmoid,
    ];
    let share = || 0.0..8.0;
    let limit = prop_oneof![share(), Just(f64::INFINITY)];
    prop_oneof![
        5 => select(plain),
        2 => select(newer),
        1 => (limit, share(), share()).prop_map(|(max_value, negative_slope, threshold)| {
            ClippedRelu { max_value, negative_slope, threshold }
        }),
        1 => (0.1..8.0).prop_map(|alpha| Celu { alpha }),
        1 => share().prop_map(|threshold| SoftShrink { threshold }),
        1 => share().prop_map(|threshold| HardShrink { threshold }),
        1 => (0.1..8.0).prop_map(|b| Squareplus { b }),
        1 => (finite(), finite()).prop_map(|(threshold, value)| Threshold { threshold, value }),
        1 => finite().prop_map(|negative_slope| LeakyRelu { negative_slope }),
        1 => finite().prop_map(|alpha| Elu { alpha }),
    ]
}

fn initializers() -> impl Strategy<Value = Initializer> {
    use Initializer::*;
    select(vec![GlorotUniform, GlorotNormal, HeUniform, HeNormal, Zeros, Ones])
}
