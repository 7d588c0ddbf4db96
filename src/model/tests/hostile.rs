//! Any settings at all: a graph or an error, never a panic, and nothing that cannot be addressed.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::model::*;
use crate::tensor::Shape;

/// Mostly small, so that one extreme at a time meets what is sound; then 0, around powers of two, and
/// as large as can be.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        24 => 1..6_usize,
        1 => Just(0),
        1 => select(vec![1 << 20, (1 << 31) - 1, 1 << 32, 1 << 40, 1 << 59, 1 << 60, 1 << 63]),
        1 => select(vec![usize::MAX / 2, usize::MAX - 1, usize::MAX]),
        1 => any::<usize>(),
    ]
}

fn pair() -> impl Strategy<Value = [usize; 2]> {
    [size(), size()]
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        2 => [size(), size(), size()].prop_map(Shape::from),
        1 => prop::collection::vec(size(), 0..5).prop_map(Shape::from),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        12 => select(vec![0.0, 0.25, 0.5]),
        1 => select(vec![1.0, -1.0]),
        1 => any::<f64>(),
        1 => select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE / 2.0]),
    ]
}

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        [size(), size(), size(), size()].prop_map(|[top, bottom, left, right]| {
            Padding::Explicit { top, bottom, left, right }
        }),
    ]
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        select(vec![Activation::Linear, Activation::Gelu, Activation::Softmax]),
        number().prop_map(|negative_slope| Activation::LeakyRelu { negative_slope }),
        number().prop_map(|alpha| Activation::Elu { alpha }),
    ]
}

fn conv2d() -> impl Strategy<Value = Conv2d> {
    let window = (pair(), pair(), padding(), pair());
    let settings = (any::<bool>(), activation(), number());
    let groups = prop_oneof![4 => Just(1), 1 => size()];
    (size(), groups, window, settings).prop_map(
        |(filters, groups, (kernel, strides, padding, dilation), settings)| {
            let (use_bias, activation, kernel_l2) = settings;
            Conv2d {
                kernel,
                strides,
                padding,
                dilation,
                groups,
                use_bias,
                activation,
                kernel_l2,
                ..Conv2d::new(filters, 1)
            }
        },
    )
}

fn arrange() -> impl Strategy<Value = Arrange> {
    let sides = || [size(), size(), size(), size()];
    prop_oneof![
        prop::collection::vec(0..5_usize, 0..4).prop_map(|dims| Arrange::Permute { dims }),
        pair().prop_map(Arrange::Cropping1d),
        sides().prop_map(Arrange::Cropping2d),
        pair().prop_map(Arrange::ZeroPadding1d),
        sides().prop_map(Arrange::ZeroPadding2d),
        size().prop_map(|size| Arrange::UpSampling1d { size }),
        pair().prop_map(|size| Arrange::UpSampling2d { size }),
        size().prop_map(|n| Arrange::RepeatVector { n }),
    ]
}

fn merge() -> impl Strategy<Value = Merge> {
    use Merge::{Add, Average, Maximum, Minimum, Multiply, Subtract};
    prop_oneof![
        select(vec![Add, Average, Maximum, Minimum, Multiply, Subtract]),
        prop_oneof![-4..4_i32, any::<i32>()].prop_map(|axis| Merge::Concatenate { axis }),
    ]
}

/// The same window for every layer that has one, of two axes or of one.
fn windowed() -> impl Strategy<Value = LayerSpec> {
    let padding1d = select(vec![Padding1d::Valid, Padding1d::Same, Padding1d::Causal]);
    let more = prop_oneof![Just(None), pair().prop_map(Some)];
    (0..4_usize, conv2d(), size(), padding1d, more).prop_map(
        |(which, conv, depth_multiplier, padding, output_padding)| match which {
            0 => Conv1d {
                kernel: conv.kernel[0],
                strides: conv.strides[0],
                padding,
                dilation: conv.dilation[0],
                groups: conv.groups,
                ..Conv1d::new(conv.filters, 1)
            }
            .into(),
            1 => DepthwiseConv2d {
                depth_multiplier,
                kernel: conv.kernel,
                strides: conv.strides,
                padding: conv.padding,
                dilation: conv.dilation,
                ..DepthwiseConv2d::new(1)
            }
            .into(),
            2 => SeparableConv2d {
                depth_multiplier,
                kernel: conv.kernel,
                strides: conv.strides,
                padding: conv.padding,
                dilation: conv.dilation,
                ..SeparableConv2d::new(conv.filters, 1)
            }
            .into(),
            _ => Conv2dTranspose {
                kernel: conv.kernel,
                strides: conv.strides,
                padding: conv.padding,
                output_padding,
                dilation: conv.dilation,
                ..Conv2dTranspose::new(conv.filters, 1)
            }
            .into(),
        },
    )
}

fn spec() -> impl Strategy<Value = LayerSpec> {
    let kind = || select(vec![PoolKind::Max, PoolKind::Average]);
    let padding1d = select(vec![Padding1d::Valid, Padding1d::Same, Padding1d::Causal]);
    prop_oneof![
        2 => windowed(),
        1 => (kind(), size(), size(), padding1d)
            .prop_map(|(kind, pool, strides, padding)| {
                Pool1d { kind, pool, strides, padding }.into()
            }),
        1 => (kind(), any::<bool>())
            .prop_map(|(kind, keep_dims)| GlobalPool1d { kind, keep_dims }.into()),
        8 => plain_spec(),
    ]
}

fn plain_spec() -> impl Strategy<Value = LayerSpec> {
    let kind = || select(vec![PoolKind::Max, PoolKind::Average]);
    prop_oneof![
        shape().prop_map(LayerSpec::Input),
        conv2d().prop_map(LayerSpec::from),
        (kind(), pair(), pair(), padding()).prop_map(|(kind, pool, strides, padding)| {
            Pool2d { kind, pool, strides, padding }.into()
        }),
        (kind(), any::<bool>())
            .prop_map(|(kind, keep_dims)| GlobalPool2d { kind, keep_dims }.into()),
        Just(LayerSpec::Flatten),
        shape().prop_map(LayerSpec::Reshape),
        (size(), activation(), number()).prop_map(|(units, activation, kernel_l2)| {
            Dense { activation, kernel_l2, ..Dense::new(units) }.into()
        }),
        number().prop_map(|rate| Dropout { rate }.into()),
        (number(), number(), any::<bool>(), any::<bool>()).prop_map(
            |(momentum, epsilon, center, scale)| {
                BatchNormalization { momentum, epsilon, center, scale }.into()
            }
        ),
        activation().prop_map(LayerSpec::from),
        arrange().prop_map(LayerSpec::from),
        (number(), number()).prop_map(|(scale, offset)| Rescaling { scale, offset }.into()),
        merge().prop_map(LayerSpec::from),
    ]
}

/// A change to the list of layers, nodes, inputs or outputs of a chain.
#[derive(Clone, Debug)]
enum Change {
    Layer(Index, usize),
    Source(Index, Index, usize),
    AddSource(Index, usize),
    Input(usize),
    Output(usize),
    DropNode(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    let number = || prop_oneof![15 => 0..6_usize, 1 => any::<usize>()];
    prop_oneof![
        (place(), number()).prop_map(|(node, layer)| Change::Layer(node, layer)),
        (place(), place(), number()).prop_map(|(node, at, to)| Change::Source(node, at, to)),
        (place(), number()).prop_map(|(node, to)| Change::AddSource(node, to)),
        number().prop_map(Change::Input),
        number().prop_map(Change::Output),
        place().prop_map(Change::DropNode),
    ]
}

/// What a reader may count on once a graph is accepted.
fn assert_addressable(graph: &Graph) -> Result<(), TestCaseError> {
    let limit = isize::MAX as usize / 8;
    for index in 0..graph.nodes().len() {
        let elements = graph.shape(NodeId(index)).checked_elements();
        prop_assert!(elements.is_some_and(|elements| elements <= limit));
    }
    let mut total = Some(0_usize);
    for parameter in graph.parameters() {
        let elements = parameter.shape.checked_elements();
        total = total.zip(elements).and_then(|(total, elements)| total.checked_add(elements));
    }
    prop_assert!(total.is_some_and(|total| total <= limit), "{:?}", graph.parameters());
    Ok(())
}

/// Every cell under a window can be asked for, in the corners at least.
fn assert_corners(window: &Window2d) {
    for axis in 0..2 {
        for output in [0, window.output[axis] - 1] {
            for tap in [0, window.kernel[axis] - 1] {
                window.source(axis, output, tap);
            }
            assert!(window.sources(axis, output).count() <= window.input[axis]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn single_layers(shape in shape(), spec in spec()) {
        if let Ok(graph) = Sequential::new(shape).layer(spec).graph() {
            assert_addressable(&graph)?;
        }
    }

    /// Shapes small enough that windows do resolve.
    #[test]
    fn windows(
        input in [1..9_usize, 1..9_usize], kernel in pair(), strides in pair(),
        padding in padding(), dilation in pair(),
    ) {
        if let Ok(window) = Window2d::new(input, kernel, strides, padding, dilation) {
            assert_corners(&window);
        }
    }

    #[test]
    fn merges_of_large_inputs(
        merge in prop_oneof![
            Just(Merge::Add),
            prop_oneof![-4..4_i32, any::<i32>()].prop_map(|axis| Merge::Concatenate { axis }),
        ],
        shapes in prop::collection::vec(shape(), 0..4),
    ) {
        let mut builder = GraphBuilder::new();
        let inputs: Vec<NodeId> = (shapes.into_iter().enumerate())
            .map(|(index, shape)| builder.input(&format!("input_{index}"), shape))
            .collect();
        let node = builder.add(merge, &inputs);
        builder.output("merged", node);
        if let Ok(graph) = builder.build("merge") {
            assert_addressable(&graph)?;
        }
    }

    #[test]
    fn chains(shape in shape(), specs in prop::collection::vec(spec(), 1..5)) {
        let chain = specs.into_iter().fold(Sequential::new(shape), Sequential::layer);
        if let Ok(graph) = chain.graph() {
            assert_addressable(&graph)?;
        }
    }

    /// Layers, nodes, inputs and outputs as a hostile file may list them.
    #[test]
    fn broken_chains(
        shape in shape(),
        specs in prop::collection::vec(spec(), 0..5),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let specs = std::iter::once(LayerSpec::Input(shape)).chain(specs);
        let layers: Vec<Layer> = (specs.enumerate())
            .map(|(index, spec)| Layer { name: format!("l{index}"), spec, trainable: true })
            .collect();
        let mut nodes: Vec<Node> = (0..layers.len())
            .map(|layer| Node { layer, inputs: layer.checked_sub(1).map(NodeId).into_iter().collect() })
            .collect();
        let mut inputs = vec![NodeId(0)];
        let mut outputs = vec![NodeId(nodes.len() - 1)];
        for change in changes {
            if nodes.is_empty() {
                break;
            }
            match change {
                Change::Layer(node, layer) => node.get_mut(&mut nodes).layer = layer,
                Change::Source(node, at, to) => {
                    let sources = &mut node.get_mut(&mut nodes).inputs;
                    if !sources.is_empty() {
                        *at.get_mut(sources) = NodeId(to);
                    }
                }
                Change::AddSource(node, to) => node.get_mut(&mut nodes).inputs.push(NodeId(to)),
                Change::Input(node) => inputs.push(NodeId(node)),
                Change::Output(node) => outputs.push(NodeId(node)),
                Change::DropNode(node) => drop(nodes.remove(node.index(nodes.len()))),
            }
        }
        let outputs = (outputs.into_iter().enumerate())
            .map(|(index, node)| Output { name: format!("o{index}"), node })
            .collect();
        if let Ok(graph) = Graph::new("hostile", layers, nodes, inputs, outputs) {
            assert_addressable(&graph)?;
        }
    }
}

/// Results are small, the kernels between them are not.
#[test]
fn kernels_too_large_to_address() {
    let (wide, one) = (1_usize << 31, Conv2d::new(1 << 31, 1));
    let cases: [(Shape, LayerSpec); 2] =
        [([wide].into(), Dense::new(wide).into()), ([1, 1, wide].into(), one.into())];
    for (shape, spec) in cases {
        let error = Sequential::new(shape).named("it", spec).graph().expect_err("too large");
        let message = error.to_string();
        let rule = "with its parameters the graph is larger than this machine can address";
        assert!(message.starts_with("layer `it` (") && message.ends_with(rule), "{message}");
    }
}

/// Each layer's parameters can be addressed, all together cannot.
#[test]
fn parameters_too_many_to_address() {
    let (once, width) = (1_usize << 30, 1_usize << 29);
    let chain = Sequential::new([once]).dense(width, Activation::Linear); // 2^59 and a few
    assert!(chain.clone().graph().is_ok());
    let error = chain.dense(once, Activation::Linear).graph().expect_err("2^60 and a few");
    assert!(error.to_string().starts_with("layer `dense_1` (dense) cannot take"), "{error}");
}
