//! Models of any graph through bytes and back; weights from one model into another; frozen layers.

use keepnet::{
    Activation, Arrange, BatchNormalization, BilinearUpSampling2d, ChannelRescaling, Conv2d,
    Conv2dTranspose, Dataset, Dense, DepthwiseConv2d, Dropout, FitOptions, GlobalPool2d, Graph,
    GraphBuilder, GroupNormalization, LayerNormalization, LayerSpec, Loss, Merge, Mismatch, Model,
    ModelError, NodeId, Noise, Normalization, NormalizationStatistics, Optimizer, PRelu, Padding,
    Pool2d, PoolKind, Rescaling, Samples, SaveOptions, SeparableConv2d, Sequential, Shape, Softmax,
    Targets,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One thing to try on a growing graph.
#[derive(Clone, Debug)]
enum Step {
    /// A new layer on a node.
    Layer(LayerSpec, Index),
    /// The layer of one node on another.
    Again(Index, Index),
    /// A merge of two nodes.
    Merge(Merge, Index, Index),
}

fn activation() -> impl Strategy<Value = Activation> {
    select(vec![
        Activation::Linear,
        Activation::Relu,
        Activation::Relu6,
        Activation::LeakyRelu { negative_slope: 0.3 },
        Activation::Elu { alpha: 0.7 },
        Activation::Selu,
        Activation::Gelu,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Softplus,
        Activation::Softmax,
        Activation::LogSoftmax,
        Activation::ClippedRelu { max_value: 0.75, negative_slope: 0.2, threshold: 0.1 },
        Activation::Exponential,
        Activation::Softsign,
        Activation::HardSigmoid,
        Activation::HardSigmoidKeras2,
        Activation::HardSilu,
        Activation::HardTanh,
        Activation::Mish,
        Activation::LogSigmoid,
        Activation::Celu { alpha: 0.7 },
        Activation::GeluTanh,
        Activation::SoftShrink { threshold: 0.2 },
        Activation::HardShrink { threshold: 0.2 },
        Activation::TanhShrink,
        Activation::Squareplus { b: 4.0 },
        Activation::SparsePlus,
        Activation::SparseSigmoid,
        Activation::Threshold { threshold: 0.1, value: -0.5 },
    ])
}

fn normalization(stored: bool) -> LayerSpec {
    let given = NormalizationStatistics::Given { mean: vec![0.25], variance: vec![0.5] };
    let statistics = if stored { NormalizationStatistics::Stored } else { given };
    Normalization { axes: vec![-1], statistics, invert: false }.into()
}

fn layer() -> impl Strategy<Value = LayerSpec> {
    let padding = || {
        select(vec![
            Padding::Valid,
            Padding::Same,
            Padding::Explicit { top: 1, bottom: 0, left: 1, right: 0 },
        ])
    };
    let kind = || select(vec![PoolKind::Max, PoolKind::Average]);
    let pair = || [1..4_usize, 1..4_usize];
    let conv = (1..5_usize, (pair(), pair(), padding(), pair()), activation(), any::<bool>());
    prop_oneof![
        3 => conv.prop_map(|(filters, (kernel, strides, padding, dilation), activation, use_bias)| {
            let window = Conv2d { kernel, strides, padding, dilation, ..Conv2d::new(filters, 1) };
            Conv2d { activation, use_bias, kernel_l2: 0.01, ..window }.into()
        }),
        2 => (kind(), pair(), pair(), padding())
            .prop_map(|(kind, pool, strides, padding)| Pool2d { kind, pool, strides, padding }.into()),
        1 => (kind(), any::<bool>())
            .prop_map(|(kind, keep_dims)| GlobalPool2d { kind, keep_dims }.into()),
        2 => (1..6_usize, activation())
            .prop_map(|(units, activation)| Dense { activation, ..Dense::new(units) }.into()),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(center, scale)| {
            BatchNormalization { center, scale, ..BatchNormalization::default() }.into()
        }),
        1 => Just(Dropout { rate: 0.25 }.into()),
        1 => activation().prop_map(LayerSpec::from),
        1 => Just(Rescaling { scale: 0.5, offset: -0.1 }.into()),
        1 => Just(ChannelRescaling { scale: vec![0.5, 2.0], offset: vec![-0.1, 0.0] }.into()),
        1 => Just(LayerSpec::Identity),
        1 => select(vec![-1, 1]).prop_map(|axis| Softmax { axis }.into()),
        1 => Just(PRelu { shared_axes: vec![1], ..PRelu::default() }.into()),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(center, scale)| {
            LayerNormalization { center, scale, ..LayerNormalization::default() }.into()
        }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(center, scale)| {
            GroupNormalization { center, scale, ..GroupNormalization::new(1) }.into()
        }),
        1 => Just(BilinearUpSampling2d { size: [2, 1] }.into()),
        1 => any::<bool>().prop_map(normalization),
        1 => select(vec![
            Noise::SpatialDropout { rate: 0.25 },
            Noise::GaussianNoise { deviation: 0.5 },
            Noise::GaussianDropout { rate: 0.25 },
            Noise::AlphaDropout { rate: 0.25 },
        ])
        .prop_map(LayerSpec::from),
        1 => Just(LayerSpec::Flatten),
        1 => Just(Arrange::ZeroPadding2d([1, 0, 2, 1]).into()),
        1 => Just(Arrange::Permute { dims: vec![2, 1, 3] }.into()),
        1 => Just(Arrange::UpSampling2d { size: [1, 2] }.into()),
        1 => Just(Arrange::RepeatVector { n: 2 }.into()),
        1 => Just(SeparableConv2d { depth_multiplier: 2, ..SeparableConv2d::new(3, 2) }.into()),
        1 => Just(DepthwiseConv2d { depth_multiplier: 2, ..DepthwiseConv2d::new(2) }.into()),
        1 => Just(Conv2dTranspose { strides: [2, 1], ..Conv2dTranspose::new(2, 3) }.into()),
    ]
}

/// Graphs grown by steps on any node so far; steps that do not fit are passed over. What nothing
/// takes becomes an output.
fn graphs() -> impl Strategy<Value = Graph> {
    let node = any::<Index>;
    let joining = select(vec![Merge::Add, Merge::Multiply, Merge::Average, Merge::Maximum]);
    let step = prop_oneof![
        6 => (layer(), node()).prop_map(|(spec, on)| Step::Layer(spec, on)),
        1 => (node(), node()).prop_map(|(of, on)| Step::Again(of, on)),
        1 => (joining, node(), node()).prop_map(|(merge, a, b)| Step::Merge(merge, a, b)),
        1 => (node(), node()).prop_map(|(a, b)| Step::Merge(Merge::Concatenate { axis: -1 }, a, b)),
    ];
    prop::collection::vec(step, 1..10).prop_map(|steps| {
        let mut builder = GraphBuilder::new();
        let mut nodes = vec![builder.input("input", Shape::image(5, 4, 2))];
        let mut graph = finished(&builder, &nodes).expect("an input alone");
        for step in steps {
            let mut next = builder.clone();
            let node = match step {
                Step::Layer(spec, on) => next.add(spec, &[*on.get(&nodes)]),
                Step::Again(of, on) => next.again(*of.get(&nodes), &[*on.get(&nodes)]),
                Step::Merge(merge, a, b) => next.add(merge, &[*a.get(&nodes), *b.get(&nodes)]),
            };
            let grown = [&nodes[..], &[node]].concat();
            if let Some(fits) = finished(&next, &grown).filter(|g| g.shape(node).elements() <= 256)
            {
                (builder, nodes, graph) = (next, grown, fits);
            }
        }
        graph
    })
}

/// The graph of `builder`; every node of `nodes` that no other takes is an output.
fn finished(builder: &GraphBuilder, nodes: &[NodeId]) -> Option<Graph> {
    let with_outputs = |ends: &[NodeId]| {
        let mut builder = builder.clone();
        for end in ends {
            builder.output(&format!("output_{}", end.0), *end);
        }
        builder.build("grown").ok()
    };
    let all = with_outputs(nodes)?;
    let taken = |id: &NodeId| all.nodes().iter().any(|node| node.inputs.contains(id));
    let ends: Vec<NodeId> = nodes.iter().copied().filter(|node| !taken(node)).collect();
    with_outputs(&ends)
}

/// Numbers that differ, of both signs.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|index| (index * 37 % 101) as f32 / 50.0 - 1.0).collect()
}

fn samples(count: usize, shape: &Shape) -> Samples {
    Samples::new(count, shape.clone(), numbers(count * shape.elements())).expect("as many")
}

/// Inputs, and values for every output to come near.
fn data(graph: &Graph, count: usize) -> Dataset {
    let inputs = graph.inputs().iter().map(|&node| samples(count, graph.shape(node)));
    let outputs = graph.outputs().iter().map(|output| graph.shape(output.node));
    let targets = outputs.map(|shape| Targets::Values(samples(count, shape)));
    Dataset::with_several(inputs.collect(), targets.collect()).expect("as many of each")
}

fn compile(model: &mut Model, optimizer: Optimizer) {
    let losses = model.graph().outputs().iter().map(|output| keepnet::OutputLoss {
        weight: 0.5,
        ..keepnet::OutputLoss::new(&*output.name, Loss::MeanSquaredError)
    });
    let losses = losses.collect();
    let settings = keepnet::CompileSettings { optimizer, losses, metrics: Vec::new() };
    model.compile_with(settings).expect("settings in range");
}

fn bits<'a>(values: impl IntoIterator<Item = &'a f32>) -> Vec<u32> {
    values.into_iter().map(|value| value.to_bits()).collect()
}

fn answers(model: &Model, data: &Dataset) -> Vec<Vec<u32>> {
    let outputs = model.predict_all(data.inputs()).expect("inputs that fit");
    outputs.iter().map(bits).collect()
}

fn parameters(model: &Model) -> Vec<(String, Vec<u32>)> {
    let names = model.graph().parameters().iter().map(|p| model.graph().tensor_name(p));
    names.map(|name| (name.clone(), bits(model.parameter(&name).expect("its own")))).collect()
}

fn file(model: &Model) -> Vec<u8> {
    model.to_bytes(SaveOptions::default()).expect("a model that can be saved")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Trained a little, so that optimizer, moving averages and history hold something.
    #[test]
    fn any_graph_comes_back(
        graph in graphs(),
        seed: u64,
        optimizer in select(vec![
            Optimizer::adam(0.001),
            Optimizer::sgd(0.01, 0.0),
            Optimizer::sgd(0.01, 0.9),
            Optimizer::rmsprop(0.001),
        ]),
        frozen in any::<Index>(),
    ) {
        let mut model = Model::new(graph.clone(), seed);
        let names: Vec<String> = graph.layers().iter().map(|layer| layer.name.clone()).collect();
        model.set_trainable(&names[frozen.index(names.len())], false).expect("a layer");
        let data = data(&graph, 19);
        compile(&mut model, optimizer);
        model.metadata.insert("note".to_owned(), "œuvre\n".to_owned());
        model.fit(&data, &FitOptions::default()).expect("data that fits");

        let bytes = file(&model);
        let again = Model::from_bytes(&bytes).expect("what was just saved");
        prop_assert!(file(&again) == bytes, "saved again, the file differs");
        prop_assert_eq!(answers(&again, &data), answers(&model, &data));
        prop_assert_eq!(again.graph(), model.graph());
        prop_assert_eq!(again.compiled(), model.compiled());
        prop_assert_eq!(again.steps(), model.steps());
        prop_assert_eq!(again.history(), model.history());
        prop_assert_eq!(&again.metadata, &model.metadata);

        // Graph and parameters alone: a model that answers but knows nothing of training.
        let bytes = model.to_bytes(SaveOptions::weights_only()).expect("a model that can be saved");
        let bare = Model::from_bytes(&bytes).expect("what was just saved");
        prop_assert_eq!(answers(&bare, &data), answers(&model, &data));
        prop_assert_eq!(parameters(&bare), parameters(&model));
        prop_assert!(bare.compiled().is_none() && bare.steps() == 0);
        prop_assert!(bare.history().epochs.is_empty() && bare.metadata.is_empty());
        let fresh = Model::new(bare.graph().clone(), 0);
        let bytes = fresh.to_bytes(SaveOptions::weights_only()).expect("a model that can be saved");
        prop_assert_eq!(parameters(&Model::from_bytes(&bytes).expect("saved")), parameters(&fresh));
    }

    /// Into the same graph with other parameters.
    #[test]
    fn weights_load_into_the_same_graph(graph in graphs()) {
        let (model, mut other) = (Model::new(graph.clone(), 1), Model::new(graph.clone(), 2));
        let report = other.load_weights(&model.to_checkpoint(), true).expect("the same graph");
        prop_assert!(report.is_complete());
        prop_assert_eq!(report.restored.len(), graph.parameters().len());
        prop_assert_eq!(parameters(&other), parameters(&model));
    }
}

/// Files of both forms on disk.
#[test]
fn models_come_back_from_disk() {
    let mut model = chain(&[("hidden", 4), ("head", 2)], 3);
    compile(&mut model, Optimizer::adam(0.001));
    model.fit(&data(model.graph(), 8), &FitOptions::default()).expect("data that fits");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["model.knet", "model"] {
        let path = folder.path().join(name);
        model.save(&path).expect("a place to save");
        let again = Model::load(&path).expect("what was just saved");
        assert!(file(&again) == file(&model), "{name}");
        let verified = keepnet::verify(&path).expect("what was just saved");
        assert_eq!(verified, Some(keepnet::Verification::Identical), "{name}");
    }
}

/// Dense layers of these names and units on a vector of three.
fn chain(layers: &[(&str, usize)], seed: u64) -> Model {
    let chain = layers
        .iter()
        .fold(Sequential::new([3]), |chain, &(name, units)| chain.named(name, Dense::new(units)));
    chain.build(seed).expect("a chain that fits")
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// `body` is shared, `head` is of another width, and each has a layer of its own.
#[test]
fn weights_that_fit_in_part() {
    let from = chain(&[("body", 4), ("old", 4), ("head", 2)], 1);
    let into = || chain(&[("body", 4), ("new", 4), ("head", 5)], 2);
    let expected = keepnet::LoadReport {
        restored: names(&["body/kernel", "body/bias"]),
        missing: names(&["new/kernel", "new/bias"]),
        unexpected: names(&["old/bias", "old/kernel"]),
        mismatched: vec![
            Mismatch {
                name: "head/kernel".to_owned(),
                expected: "float32 4×5".to_owned(),
                found: "float32 4×2".to_owned(),
            },
            Mismatch {
                name: "head/bias".to_owned(),
                expected: "float32 5".to_owned(),
                found: "float32 2".to_owned(),
            },
        ],
    };
    let mut strict = into();
    let refused = strict.load_weights(&from.to_checkpoint(), true);
    assert_eq!(refused, Err(ModelError::Mismatch(expected.clone())));
    assert_eq!(parameters(&strict), parameters(&into()), "a refusal changes nothing");

    let mut loose = into();
    let report = loose.load_weights(&from.to_checkpoint(), false).expect("not strict");
    assert_eq!(report, expected);
    assert!(!report.is_complete());
    assert_eq!(
        report.to_string(),
        "2 restored; 2 missing (new/kernel, new/bias); 2 unexpected (old/bias, old/kernel); \
         `head/kernel` is float32 4×2, the graph needs float32 4×5; `head/bias` is float32 2, the \
         graph needs float32 5"
    );
    for (name, found) in parameters(&loose) {
        let source = if name.starts_with("body/") { &from } else { &into() };
        assert_eq!(found, bits(source.parameter(&name).expect("its own")), "{name}");
    }
}

/// A convolution, its normalization, and a head, over small images.
fn normalized() -> Model {
    let chain = Sequential::new(Shape::image(4, 4, 2))
        .named("conv", Conv2d::new(3, 3))
        .named("norm", BatchNormalization { momentum: 0.5, ..BatchNormalization::default() })
        .flatten()
        .named("head", Dense::new(2));
    let mut model = chain.build(5).expect("a chain that fits");
    compile(&mut model, Optimizer::adam(0.01));
    model
}

/// `fit` leaves what is frozen alone, moving averages included, and says so in the file.
#[test]
fn frozen_layers_stay_as_they_are() {
    for frozen in ["conv", "norm", "head"] {
        let mut model = normalized();
        model.set_trainable(frozen, false).expect("a layer");
        let mut model = Model::from_bytes(&file(&model)).expect("what was just saved");
        let graph = model.graph();
        let layer = &graph.layers()[graph.layer_named(frozen).expect("still there")];
        assert!(!layer.trainable, "{frozen} is frozen after a reload");
        let before = parameters(&model);
        model.fit(&data(model.graph(), 20), &FitOptions::default()).expect("data that fits");
        for ((name, before), (_, after)) in before.iter().zip(&parameters(&model)) {
            let kept = name.starts_with(&format!("{frozen}/"));
            assert_eq!(before == after, kept, "{name} where {frozen} is frozen");
        }
        // Freed again, it learns.
        model.set_trainable(frozen, true).expect("a layer");
        let before = parameters(&model);
        model.fit(&data(model.graph(), 20), &FitOptions::default()).expect("data that fits");
        for ((name, before), (_, after)) in before.iter().zip(&parameters(&model)) {
            assert_ne!(before, after, "{name} once {frozen} is free");
        }
    }
    let unknown = normalized().set_trainable("body", false).expect_err("no such layer");
    let known = "input, conv, norm, flatten, head".to_owned();
    assert_eq!(unknown, ModelError::NoSuchLayer { name: "body".to_owned(), known });
}

/// A frozen normalization uses the moving averages while training: the loss before the step is then
/// that of the model in use, and otherwise is not.
#[test]
fn a_frozen_normalization_uses_the_moving_averages() {
    for frozen in [true, false] {
        let mut model = normalized();
        model.set_trainable("norm", !frozen).expect("a layer");
        let data = data(model.graph(), 20);
        let in_use = model.evaluate(&data).expect("data that fits").loss();
        // In the same order, for the same sum.
        let options = FitOptions { shuffle: false, ..FitOptions::default() };
        let history = model.fit(&data, &options).expect("data that fits");
        let in_training = history.epochs[0].get("loss").expect("always there");
        assert_eq!(in_use.to_bits() == in_training.to_bits(), frozen, "{in_use} {in_training}");
    }
}

/// What an optimizer remembers of a layer is forgotten when it is frozen.
#[test]
fn freezing_forgets_the_slots() {
    let mut model = normalized();
    let data = data(model.graph(), 20);
    model.fit(&data, &FitOptions::default()).expect("data that fits");
    model.set_trainable("head", false).expect("a layer");
    let checkpoint = model.to_checkpoint();
    let state = checkpoint.optimizer.as_ref().expect("compiled");
    let kept = |slot: &keepnet::model::Slot<'_>| -> Vec<String> {
        slot.tensors.iter().map(|named| named.name.clone()).collect()
    };
    for slot in &state.slots {
        assert_eq!(kept(slot), names(&["conv/kernel", "conv/bias", "norm/gamma", "norm/beta"]));
    }
    let frozen = file(&model);
    model.set_trainable("head", true).expect("a layer");
    let mut again = Model::from_bytes(&frozen).expect("what was just saved");
    again.set_trainable("head", true).expect("a layer");
    assert!(file(&again) == file(&model), "freezing in memory and through a file differ");
}
