//! The engine against the interpreter of [`reference`](super::reference): outputs, losses, moving
//! averages, and the gradients of all parameters and inputs against central differences.
//!
//! The engine computes gradients of parameters from losses, so that is what it is asked for: the
//! distance from [`targets`] gives every output the gradient it is meant to have, and [`embedded`]
//! makes each input a parameter.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::batch::{Batch, Executor};
use super::layout::Layout;
use super::model::Model;
use super::reference::{
    Case, Gradients, Interpreter, Mode, Objective, Problem, Target, check, graphs,
};
use crate::kernels::Isa;
use crate::model::{
    Activation, CompileSettings, Dense, Dropout, Graph, GraphBuilder, Layer, LayerSpec, Loss, Node,
    NodeId, Noise, Optimizer, Output, OutputLoss, Scores,
};
use crate::ops::dropout;
use crate::ops::random::{self, Purpose, Stream};
use crate::tensor::{Samples, Shape, Targets};

/// Allowed of the largest gradient of a parameter. Small inputs of a normalization and saturated
/// activations magnify the roundings of f32 some thousand times.
const GRADIENT: f64 = 1e-3;
/// What rounding in f64 leaves of a difference, by the objective: 1e-16 over a step of 1e-6, with room.
const DOUBT: f64 = 1e-9;
/// What rounding in f32 leaves of a gradient that is a small difference of large terms, by the
/// objective: a batch of two, normalised, has hardly a gradient, and neither has a network that is
/// sure of its class.
const CANCELLED: f64 = 4.0 * f32::EPSILON as f64;
/// Allowed of the largest element of an output, a loss, a moving average.
const VALUE: f64 = 2e-5;

const SEED: u64 = 7;
const EPOCH: u64 = 3;

/// Batches around one shard, and now and then around two.
fn batch() -> impl Strategy<Value = usize> {
    prop_oneof![4 => select(vec![1_usize, 2, 5, 15, 16, 17]), 1 => select(vec![33_usize, 35])]
}

/// Cases some of whose layers are frozen.
fn cases(graphs: impl Strategy<Value = Graph>) -> impl Strategy<Value = Case> {
    let frozen = prop::collection::vec(prop::bool::weighted(0.15), 1..6);
    (graphs, batch(), select(vec![1.0, 2.0, 8.0]), any::<u64>(), frozen).prop_map(
        |(mut graph, batch, spread, seed, frozen)| {
            let names: Vec<String> = graph.layers().iter().map(|l| l.name.clone()).collect();
            for (name, _) in names.iter().zip(frozen.iter().cycle()).filter(|(_, f)| **f) {
                graph.set_trainable(name, false);
            }
            Case::new(graph, batch, spread, seed)
        },
    )
}

/// The number of sample `sample` in the data set that the engine sees: neither in order nor dense,
/// so that samples and their numbers cannot be confused.
fn number(sample: usize, batch: usize) -> usize {
    2 * (batch - sample)
}

fn numbers(batch: usize) -> Vec<usize> {
    (0..batch).map(|sample| number(sample, batch)).collect()
}

/// Samples of `shape` at their numbers in a data set of nothing else.
fn scattered(shape: Shape, batch: usize, values: &[f64]) -> Samples {
    let length = shape.elements();
    let count = 2 * batch + 1;
    let mut all = vec![f32::NAN; count * length];
    for (sample, values) in values.chunks_exact(length).enumerate() {
        let target = &mut all[number(sample, batch) * length..][..length];
        for (target, &value) in target.iter_mut().zip(values) {
            *target = value as f32;
        }
    }
    Samples::new(count, shape, all).expect("as many as the shape says")
}

fn scattered_targets(shape: &Shape, batch: usize, target: &Target) -> Targets {
    match target {
        Target::Values(values) => Targets::Values(scattered(shape.clone(), batch, values)),
        Target::Classes(classes) => {
            let mut all = vec![u32::MAX; 2 * batch + 1];
            for (sample, &class) in classes.iter().enumerate() {
                all[number(sample, batch)] = class;
            }
            all.into()
        }
    }
}

/// What the engine does when it trains on these samples: which values each dropout keeps, and the
/// numbers that noise is made of.
fn training(case: &Case) -> Mode {
    let Case { graph, batch, .. } = case;
    let (mut kept, mut normals) = (BTreeMap::new(), BTreeMap::new());
    for node in (0..graph.nodes().len()).map(NodeId) {
        let shape = graph.shape(node);
        let stream = |sample: usize| {
            let (purpose, sample) = (Purpose::Dropout, number(sample, *batch) as u64);
            Stream::new(SEED, purpose, node.0 as u32, EPOCH, sample)
        };
        let keeps = |rate: f64, length: usize| -> Vec<bool> {
            let keep = move |word| random::uniform(word) >= rate as f32;
            (0..*batch).flat_map(|sample| stream(sample).words().take(length).map(keep)).collect()
        };
        match graph.layer_of(node).spec {
            LayerSpec::Dropout(Dropout { rate })
            | LayerSpec::Noise(Noise::AlphaDropout { rate }) => {
                kept.insert(node, keeps(rate, shape.elements()));
            }
            LayerSpec::Noise(Noise::SpatialDropout { rate }) => {
                kept.insert(node, keeps(rate, *shape.dims().last().expect("channels")));
            }
            LayerSpec::Noise(_) => {
                let drawn = |sample| {
                    let stream = stream(sample);
                    let words = (0..2 * shape.elements() as u64).map(move |at| stream.word(at));
                    let words: Vec<u32> = words.collect();
                    words.chunks_exact(2).map(|w| random::normal(w[0], w[1]).into()).collect()
                };
                normals.insert(node, (0..*batch).flat_map::<Vec<f64>, _>(drawn).collect());
            }
            _ => {}
        }
    }
    Mode::Training { kept, normals }
}

/// Losses whose gradients by the outputs are those of Σ c·y: Σ (y − t)² / 2k where t = y − k·c. A large k
/// keeps the rounding of t small beside c.
fn targets(case: &Case, cotangents: &[Vec<f64>]) -> Objective {
    const K: f64 = 1024.0;
    let interpreter = Interpreter { graph: &case.graph, batch: case.batch, mode: training(case) };
    let outputs = interpreter.outputs(&case.parameters, &case.inputs);
    let losses = outputs.iter().zip(cotangents).map(|(y, c)| {
        let target = y.iter().zip(c).map(|(y, c)| y - K * c).collect();
        let weight = y.len() as f64 / (2.0 * K); // the loss is a mean
        (Loss::MeanSquaredError, weight, Target::Values(target))
    });
    Objective::Losses(losses.collect())
}

/// The engine, and a case in its terms.
struct Engine {
    executor: Executor,
    layout: Layout,
    parameters: Vec<f32>,
    inputs: Vec<Samples>,
    targets: Vec<Targets>,
    numbers: Vec<usize>,
}

impl Engine {
    fn new(case: &Case, objective: &Objective) -> Self {
        let Objective::Losses(losses) = objective else { panic!("the engine takes losses") };
        let Case { graph, batch, .. } = case;
        let layout = Layout::new(graph.parameters());
        let settings = CompileSettings {
            optimizer: Optimizer::default(),
            losses: (graph.outputs().iter().zip(losses))
                .map(|(output, &(loss, weight, _))| OutputLoss {
                    weight,
                    ..OutputLoss::new(&*output.name, loss)
                })
                .collect(),
            metrics: Vec::new(),
        };
        let shapes = graph.outputs().iter().map(|output| graph.shape(output.node));
        Self {
            executor: Executor::new(graph, &layout, &settings, *batch, true),
            parameters: parameters(&layout, case),
            layout,
            inputs: (graph.inputs().iter().zip(&case.inputs))
                .map(|(&node, values)| scattered(graph.shape(node).clone(), *batch, values))
                .collect(),
            targets: (shapes.zip(losses))
                .map(|(shape, (.., target))| scattered_targets(shape, *batch, target))
                .collect(),
            numbers: numbers(*batch),
        }
    }

    fn train(&mut self) -> Scores {
        let Self { executor, parameters, inputs, targets, numbers, .. } = self;
        let batch = Batch { inputs, targets, indices: numbers };
        executor.train(parameters, batch, SEED, EPOCH).expect("the usual environment");
        executor.scores().clone()
    }

    fn evaluate(&mut self) -> Scores {
        let Self { executor, parameters, inputs, targets, numbers, .. } = self;
        let batch = Batch { inputs, targets, indices: numbers };
        executor.evaluate(parameters, batch).expect("the usual environment");
        executor.scores().clone()
    }

    /// Per parameter, in their order.
    fn gradients(&mut self) -> Vec<Vec<f32>> {
        let gradient = self.executor.gradient_mut();
        self.layout.ranges().iter().map(|range| gradient[range.clone()].to_vec()).collect()
    }
}

fn parameters(layout: &Layout, case: &Case) -> Vec<f32> {
    let mut parameters = vec![0.0; layout.len()];
    for (range, values) in layout.ranges().iter().zip(&case.parameters) {
        for (parameter, &value) in parameters[range.clone()].iter_mut().zip(values) {
            *parameter = value as f32;
        }
    }
    parameters
}

fn in_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// The same computation, whose inputs are rows of a kernel: sample s enters as the s-th unit vector,
/// which a dense layer turns into row s. So the gradient of that kernel is the gradient of the input.
fn embedded(case: &Case) -> Case {
    let Case { graph, batch, .. } = case;
    let layer = |name: String, spec: LayerSpec| Layer { name, spec, trainable: true };
    let mut layers = vec![layer("unit_vectors".to_owned(), LayerSpec::Input([*batch].into()))];
    let mut nodes = vec![Node { layer: 0, inputs: Vec::new() }];
    let mut node_of: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for (index, &input) in graph.inputs().iter().enumerate() {
        let shape = graph.shape(input).clone();
        let dense = Dense { use_bias: false, ..Dense::new(shape.elements()) };
        for (name, spec) in
            [("rows", LayerSpec::from(dense)), ("samples", LayerSpec::Reshape(shape))]
        {
            let before = if name == "rows" { 0 } else { nodes.len() - 1 };
            nodes.push(Node { layer: layers.len(), inputs: vec![NodeId(before)] });
            layers.push(layer(format!("{name}_{index}"), spec));
        }
        node_of.insert(input, NodeId(nodes.len() - 1));
    }
    let mut layer_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, layer) in graph.layers().iter().enumerate() {
        if !matches!(layer.spec, LayerSpec::Input(_)) {
            layer_of.insert(index, layers.len());
            layers.push(layer.clone());
        }
    }
    for (index, node) in graph.nodes().iter().enumerate() {
        if let Some(&layer) = layer_of.get(&node.layer) {
            let inputs = node.inputs.iter().map(|input| node_of[input]).collect();
            node_of.insert(NodeId(index), NodeId(nodes.len()));
            nodes.push(Node { layer, inputs });
        }
    }
    let renumbered = |output: &Output| Output { node: node_of[&output.node], ..output.clone() };
    let outputs = graph.outputs().iter().map(renumbered).collect();
    let graph = Graph::new(graph.name(), layers, nodes, vec![NodeId(0)], outputs);
    let unit = |index: usize| if index.is_multiple_of(batch + 1) { 1.0 } else { 0.0 };
    Case {
        graph: graph.expect("as sound as before"),
        batch: *batch,
        parameters: [&case.inputs[..], &case.parameters[..]].concat(),
        inputs: vec![(0..batch * batch).map(unit).collect()],
    }
}

/// Compares values with what they should be, errors measured by the largest of them.
fn assert_close(what: &str, found: &[f32], expected: &[f64]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    let larger = |a: f64, b: &f64| if b.abs() > a { b.abs() } else { a };
    let largest = expected.iter().fold(1e-2, larger);
    for (place, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        prop_assert!(
            error <= VALUE * largest,
            "{}: element {} is {}, expected {} ± {:e}",
            what,
            place,
            found,
            expected,
            VALUE * largest
        );
    }
    Ok(())
}

/// Outputs and losses as in use.
fn assert_inference(case: &Case, objective: &Objective) -> Result<(), TestCaseError> {
    let Case { graph, batch, .. } = case;
    let mut model = Model::new(graph.clone(), 0);
    for (parameter, values) in graph.parameters().iter().zip(&case.parameters) {
        let target = model.parameter_mut(&graph.tensor_name(parameter)).expect("its own");
        target.iter_mut().zip(values).for_each(|(target, &value)| *target = value as f32);
    }
    let mut engine = Engine::new(case, objective);
    let inputs: Vec<Samples> =
        engine.inputs.iter().map(|samples| samples.select(&numbers(*batch))).collect();
    let found = model.predict_all(&inputs).expect("what the graph takes");
    let interpreter = Interpreter { graph, batch: *batch, mode: Mode::Inference };
    let expected = interpreter.outputs(&case.parameters, &case.inputs);
    for (found, expected) in found.iter().zip(&expected) {
        prop_assert_eq!(found.shape(), expected.shape());
        let expected: Vec<f64> = expected.iter().copied().collect();
        assert_close("output", found.as_slice().expect("row-major"), &expected)?;
    }
    let problem =
        Problem { case: case.clone(), mode: Mode::Inference, objective: objective.clone() };
    let loss = problem.value(&case.parameters, &case.inputs);
    let scores = engine.evaluate();
    assert_close("loss in use", &[(scores.loss / *batch as f64) as f32], &[loss])
}

/// Loss and moving averages of a training step.
fn assert_training(case: &Case, objective: &Objective) -> Result<(), TestCaseError> {
    let Case { graph, batch, .. } = case;
    let mut engine = Engine::new(case, objective);
    let scores = engine.train();
    prop_assert_eq!(scores.samples, *batch as u64);
    let mode = training(case);
    let problem = Problem { case: case.clone(), mode: mode.clone(), objective: objective.clone() };
    let loss = problem.value(&case.parameters, &case.inputs);
    assert_close("loss in training", &[(scores.loss / *batch as f64) as f32], &[loss])?;
    let interpreter = Interpreter { graph, batch: *batch, mode };
    let after = interpreter.parameters_after(&case.parameters, &case.inputs);
    let places = engine.layout.ranges().iter().zip(graph.parameters());
    for ((range, parameter), expected) in places.zip(&after) {
        assert_close(parameter.name, &engine.parameters[range.clone()], expected)?;
    }
    Ok(())
}

/// The gradients, at these inputs or a little beside them. Where two values in a window lie within
/// the rounding of f32, the engine may take the other for the largest; a fault shows at both places.
fn assert_gradients(case: &Case, objective: &Objective) -> Result<(), TestCaseError> {
    compare_gradients(case, objective).or_else(|_| {
        let beside = |x: f64| f64::from((x * (1.0 + 1e-4)) as f32);
        let inputs = case.inputs.iter().map(|input| input.iter().copied().map(beside).collect());
        compare_gradients(&Case { inputs: inputs.collect(), ..case.clone() }, objective)
    })
}

/// The gradients of all parameters and of all inputs, and that those of the parameters are the same
/// bits where the engine does not go back to the inputs.
fn compare_gradients(case: &Case, objective: &Objective) -> Result<(), TestCaseError> {
    let with_inputs = embedded(case);
    let (for_engine, for_input_less) = match objective {
        Objective::Losses(_) => (objective.clone(), objective.clone()),
        Objective::Cotangents(c) => (targets(&with_inputs, c), targets(case, c)),
    };
    let mut engine = Engine::new(&with_inputs, &for_engine);
    engine.train();
    let found = engine.gradients();
    let gradients = Gradients {
        parameters: found.iter().map(|values| Some(in_f64(values))).collect(),
        inputs: Vec::new(),
    };
    let mode = training(&with_inputs);
    let problem = Problem { case: with_inputs, mode, objective: objective.clone() };
    let weights: f64 = match &problem.objective {
        Objective::Losses(losses) => losses.iter().map(|(_, weight, _)| weight).sum(),
        Objective::Cotangents(_) => 0.0,
    };
    let magnitude = magnitude(&problem);
    let doubt = DOUBT * magnitude + CANCELLED * (magnitude + weights);
    let graph = &problem.case.graph;
    if let Err(fault) = check(graph, &gradients, &problem.differences(6, 1), GRADIENT, doubt) {
        return Err(TestCaseError::fail(fault.to_string()));
    }
    // Noise is keyed by the node, and the nodes have moved.
    let by_chance = |spec: &LayerSpec| matches!(spec, LayerSpec::Dropout(_) | LayerSpec::Noise(_));
    let drops = graph.layers().iter().any(|layer| by_chance(&layer.spec));
    if !drops {
        let mut engine = Engine::new(case, &for_input_less);
        engine.train();
        let both = found[case.inputs.len()..].iter().zip(engine.gradients());
        for ((more, less), parameter) in both.zip(case.graph.parameters()) {
            if case.graph.is_trained(parameter) {
                prop_assert_eq!(bits(more), bits(&less), "{}", parameter.name);
            }
        }
    }
    Ok(())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The sum of the magnitudes of the terms of an objective.
fn magnitude(problem: &Problem) -> f64 {
    let Problem { case, mode, objective } = problem;
    match objective {
        Objective::Losses(_) => problem.value(&case.parameters, &case.inputs),
        Objective::Cotangents(c) => {
            let (graph, batch, mode) = (&case.graph, case.batch, mode.clone());
            let outputs =
                Interpreter { graph, batch, mode }.outputs(&case.parameters, &case.inputs);
            let products = outputs.iter().zip(c).flat_map(|(y, c)| y.iter().zip(c));
            products.map(|(y, c)| (y * c).abs()).sum()
        }
    }
}

/// Everything that the engine computes of a case.
fn assert_case(case: &Case, seed: u64) -> Result<(), TestCaseError> {
    let squares = case.losses(Loss::MeanSquaredError, seed);
    assert_inference(case, &squares)?;
    assert_training(case, &squares)?;
    assert_gradients(case, &case.cotangents(seed))
}

/// Everything that the engine computes of a case with these losses.
fn assert_losses(case: &Case, losses: &Objective) -> Result<(), TestCaseError> {
    assert_inference(case, losses)?;
    assert_training(case, losses)?;
    assert_gradients(case, losses)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn convolutions(case in cases(graphs::convolutions()), seed: u64) {
        assert_case(&case, seed)?;
    }

    #[test]
    fn poolings(case in cases(graphs::poolings()), seed: u64) {
        assert_case(&case, seed)?;
    }

    #[test]
    fn sequences(case in cases(graphs::sequences()), seed: u64) {
        assert_case(&case, seed)?;
    }

    #[test]
    fn derived_convolutions(case in cases(graphs::derived_convolutions()), seed: u64) {
        assert_case(&case, seed)?;
    }

    #[test]
    fn arranges(case in cases(graphs::arranges()), seed: u64) {
        assert_case(&case, seed)?;
    }

    #[test]
    fn single_layers(case in cases(graphs::single_layers()), seed: u64) {
        assert_case(&case, seed)?;
    }

    #[test]
    fn normalizing_layers(case in cases(graphs::normalizing_layers()), seed: u64) {
        assert_case(&case, seed)?;
    }

    #[test]
    fn branching_graphs(case in cases(graphs::branching()), seed: u64) {
        assert_case(&case, seed)?;
    }

    #[test]
    fn grown_graphs(case in cases(graphs::grown()), seed: u64) {
        assert_case(&case, seed)?;
    }

    #[test]
    fn merges(case in cases(graphs::merges()), seed: u64) {
        assert_case(&case, seed)?;
    }

    #[test]
    fn losses(problem in graphs::loss_problems()) {
        assert_losses(&problem.case, &problem.objective)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn classic_networks(case in cases(graphs::classic()), seed: u64) {
        assert_case(&case, seed)?;
    }

    /// Probabilities under two names: the activation cannot be computed with either loss, and the
    /// gradients of both meet.
    #[test]
    fn losses_apart_from_their_activation(batch in batch(), seed: u64, which in 0..3_usize) {
        let (loss, activation) = [
            (Loss::SparseCategoricalCrossentropy, Activation::Softmax),
            (Loss::CategoricalCrossentropy, Activation::Softmax),
            (Loss::BinaryCrossentropy, Activation::Sigmoid),
        ][which];
        let mut builder = GraphBuilder::new();
        let input = builder.input("input", [5]);
        let output = builder.add(Dense { activation, ..Dense::new(4) }, &[input]);
        builder.output("first", output).output("second", output);
        let case = Case::new(builder.build("twice").expect("sound"), batch, 2.0, seed);
        assert_losses(&case, &case.losses(loss, seed))?;
    }

    /// The same bits on every instruction set, forward and backward.
    #[test]
    fn instruction_sets_agree(
        case in cases(prop_oneof![graphs::classic(), graphs::branching(), graphs::grown()]),
        seed: u64,
    ) {
        let objective = case.losses(Loss::MeanSquaredError, seed);
        let mut first = None;
        for isa in Isa::available() {
            let mut engine = Engine::new(&case, &objective);
            engine.executor.force(isa);
            let evaluated = engine.evaluate();
            let trained = engine.train();
            let result =
                (evaluated, trained, bits(engine.executor.gradient_mut()), bits(&engine.parameters));
            match &first {
                None => first = Some(result),
                Some(first) => prop_assert_eq!(first, &result, "{:?}", isa),
            }
        }
    }
}

/// About as many as asked are dropped, others in each sample, node and epoch, and the rest make up
/// for them.
#[test]
fn dropout_drops_its_share() {
    let factors = |node: u32, epoch: u64, sample: u64, rate: f64| {
        let mut factors = vec![f32::NAN; 4096];
        let stream = Stream::new(SEED, Purpose::Dropout, node, epoch, sample);
        dropout::factors(&mut factors, rate, &stream);
        factors
    };
    for rate in [0.1, 0.5, 0.9] {
        let once = factors(1, 2, 3, rate);
        let dropped = once.iter().filter(|&&factor| factor == 0.0).count() as f64 / 4096.0;
        let deviation = (rate * (1.0 - rate) / 4096.0_f64).sqrt();
        assert!((dropped - rate).abs() < 5.0 * deviation, "{dropped} instead of {rate}");
        let kept = (1.0 / (1.0 - rate)) as f32;
        assert!(once.iter().all(|&factor| factor == 0.0 || factor == kept));
        for other in [factors(0, 2, 3, rate), factors(1, 3, 3, rate), factors(1, 2, 2, rate)] {
            let shared = once.iter().zip(&other).filter(|(a, b)| a == b).count() as f64 / 4096.0;
            let expected = rate * rate + (1.0 - rate) * (1.0 - rate);
            assert!((shared - expected).abs() < 0.05, "{shared} instead of {expected}");
        }
    }
    assert!(factors(1, 2, 3, 0.0).iter().all(|&factor| factor == 1.0));
}
