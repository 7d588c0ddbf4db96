//! Random checkpoints for property tests, and comparison of checkpoints bit by bit.
#![allow(dead_code, unreachable_pub, reason = "every test file takes what it needs")]

pub mod container;
pub mod held;
pub mod refusal;

use std::collections::{BTreeMap, BTreeSet};

use keepnet::bytes::Digest;
use keepnet::*;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

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

/// Any checkpoint whose parts fit together.
pub fn checkpoints() -> impl Strategy<Value = Checkpoint<'static>> {
    graphs().prop_flat_map(|graph| {
        let losses = vec((losses(), floats()), graph.outputs().len());
        let compile = (optimizers(), losses, vec(metrics(), 0..3));
        let training = trainings();
        let metadata = btree_map(any::<String>(), any::<String>(), 0..4);
        let proof = any::<(u32, u64)>().prop_flat_map(|pair| (Just(pair), 0..3_u32));
        (
            Just(graph),
            any::<u64>(),
            proptest::option::of((compile, proptest::option::of(any::<u64>()))),
            proptest::option::of(training),
            proptest::option::of(histories()),
            metadata,
            proptest::option::of(proof),
        )
            .prop_map(assemble)
    })
}

type Parts = (
    Graph,
    u64,
    Option<((Optimizer, Vec<(Loss, f64)>, Vec<Metric>), Option<u64>)>,
    Option<TrainingState<()>>,
    Option<History>,
    BTreeMap<String, String>,
    Option<((u32, u64), u32)>,
);

fn assemble(parts: Parts) -> Checkpoint<'static> {
    let (graph, seed, compile, training, history, metadata, proof) = parts;
    let mut noise = Noise(seed | 1);
    let parameters = |noise: &mut Noise, trained: bool| -> Vec<NamedTensor<'static>> {
        let wanted = graph.parameters().iter().filter(|p| !trained || graph.is_trained(p));
        wanted.map(|p| noise.tensor(graph.tensor_name(p), p.shape.clone())).collect()
    };
    let tensors = parameters(&mut noise, false);
    let (mut settings, mut optimizer) = (None, None);
    if let Some(((rule, losses, metrics), step)) = compile {
        optimizer = step.map(|step| OptimizerState {
            step,
            slots: (rule.slots().iter())
                .map(|&name| Slot { name: name.into(), tensors: parameters(&mut noise, true) })
                .collect(),
        });
        let losses = losses
            .into_iter()
            .zip(graph.outputs())
            .map(|((loss, weight), output)| OutputLoss {
                output: output.name.clone(),
                loss,
                weight,
            })
            .collect();
        settings = Some(CompileSettings { optimizer: rule, losses, metrics });
    }
    let proof = proof.map(|((arithmetic_revision, seed), samples)| Proof {
        arithmetic_revision,
        seed,
        samples,
        outputs: (graph.outputs().iter())
            .map(|output| {
                let shape = graph.shape(output.node).batched(samples as usize);
                noise.tensor(output.name.clone(), shape.into())
            })
            .collect(),
    });
    let training = training.map(|mut state| {
        if let (Some(scores), Some(settings)) = (&mut state.interrupted, &settings) {
            scores.losses.resize(settings.losses.len(), f64::NAN);
            scores.metrics.resize(settings.metrics.len(), 0.1);
        }
        state.map(|()| parameters(&mut noise, false))
    });
    let compile = settings;
    Checkpoint { graph, tensors, compile, optimizer, training, history, metadata, proof }
}

/// Any state of training; sums of losses and metrics are cut to what the model has.
fn trainings() -> impl Strategy<Value = TrainingState<()>> {
    let scores = (any::<u64>(), floats(), vec(floats(), 0..3), vec(floats(), 0..3));
    let scores = scores.prop_map(|(samples, loss, losses, metrics)| Scores {
        samples,
        loss,
        losses,
        metrics,
    });
    let record = || {
        (any::<u64>(), any::<[u8; 32]>(), proptest::option::of(any::<String>())).prop_map(
            |(samples, sha256, source)| DataRecord { samples, sha256: Digest(sha256), source },
        )
    };
    let validation = prop_oneof![
        Just(ValidationRecord::None),
        floats().prop_map(ValidationRecord::Split),
        record().prop_map(ValidationRecord::Given),
    ];
    let value =
        prop_oneof![any::<u64>().prop_map(StateValue::Count), floats().prop_map(StateValue::Real),];
    let callback = (btree_map(any::<String>(), value, 0..3), any::<bool>())
        .prop_map(|(values, weights)| CallbackState { values, weights: weights.then_some(()) });
    let callbacks = btree_map(any::<String>(), callback, 0..3);
    let fit = (any::<u64>(), any::<bool>(), any::<u64>(), record(), validation, callbacks)
        .prop_map(|(batch_size, shuffle, end, data, validation, callbacks)| FitState {
            batch_size,
            shuffle,
            end,
            data,
            validation,
            callbacks,
        });
    let numbers = any::<(u64, u64, u64, u32, u32)>();
    (numbers, proptest::option::of(scores), proptest::option::of(fit)).prop_map(
        |((seed, epoch, step_in_epoch, shard, arithmetic_revision), interrupted, fit)| {
            let interrupted = interrupted.filter(|_| step_in_epoch > 0);
            TrainingState {
                seed,
                epoch,
                step_in_epoch,
                shard,
                arithmetic_revision,
                interrupted,
                fit,
            }
        },
    )
}

/// A training state with every part but weights.
fn small_training() -> TrainingState<()> {
    let data = DataRecord {
        samples: 96,
        sha256: Digest::of(b"data"),
        source: Some("embedded MNIST".into()),
    };
    let values = BTreeMap::from([
        ("best".to_owned(), StateValue::Real(0.5)),
        ("wait".to_owned(), StateValue::Count(u64::MAX)),
    ]);
    let callback = CallbackState { values, weights: None };
    TrainingState {
        seed: u64::MAX,
        epoch: 1,
        step_in_epoch: 2,
        shard: 16,
        arithmetic_revision: 1,
        interrupted: Some(Scores {
            samples: 64,
            loss: 32.5,
            losses: Vec::new(),
            metrics: Vec::new(),
        }),
        fit: Some(FitState {
            batch_size: 32,
            shuffle: true,
            end: 4,
            data: data.clone(),
            validation: ValidationRecord::Given(data),
            callbacks: BTreeMap::from([("early_stopping(val_loss)".to_owned(), callback)]),
        }),
    }
}

/// xorshift64: which numbers does not matter, only that they are many and the seed gives them.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Mostly f32, half of them at the edges of the type.
    fn tensor(&mut self, name: String, shape: Shape) -> NamedTensor<'static> {
        const EDGES: [u32; 10] = [
            0x7FC0_0000, // NaN
            0xFFC0_1234, // NaN with payload
            0x7F80_0001, // signalling NaN
            0x7F80_0000, // ∞
            0xFF80_0000, // −∞
            0x8000_0000, // −0
            0x0000_0001, // smallest subnormal
            0x807F_FFFF, // largest subnormal, negative
            0x0080_0000, // smallest normal
            0x7F7F_FFFF, // largest
        ];
        let dtype = match self.next() % 8 {
            0 => DType::ALL[self.next() as usize % DType::ALL.len()],
            _ => DType::F32,
        };
        let length = shape.elements() * dtype.size();
        let words = length.div_ceil(4);
        let mut bytes = Vec::with_capacity(words * 4);
        for _ in 0..words {
            let word = match self.next() {
                edge if edge % 2 == 0 => EDGES[(edge / 2) as usize % EDGES.len()],
                random => (random >> 16) as u32,
            };
            bytes.extend(word.to_le_bytes());
        }
        bytes.truncate(length);
        NamedTensor::new(name, Tensor::new(dtype, shape, bytes).expect("the length fits"))
    }
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
        Just(LayerSpec::Flatten),
        vec(1..9_usize, 0..4).prop_map(|dims| LayerSpec::Reshape(dims.into())),
        (0.0..1.0).prop_map(|rate| LayerSpec::Dropout(Dropout { rate })),
        activations().prop_map(LayerSpec::Activation),
        [0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize].prop_map(LayerSpec::ZeroPadding2d),
        (finite(), finite())
            .prop_map(|(scale, offset)| LayerSpec::Rescaling(Rescaling { scale, offset })),
    ]
}

fn merges() -> impl Strategy<Value = Merge> {
    prop_oneof![Just(Merge::Add), (-3..4).prop_map(|axis| Merge::Concatenate { axis })]
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
    prop_oneof![
        5 => select(plain),
        1 => finite().prop_map(|negative_slope| LeakyRelu { negative_slope }),
        1 => finite().prop_map(|alpha| Elu { alpha }),
    ]
}

fn initializers() -> impl Strategy<Value = Initializer> {
    use Initializer::*;
    select(vec![GlorotUniform, GlorotNormal, HeUniform, HeNormal, Zeros, Ones])
}

fn losses() -> impl Strategy<Value = Loss> {
    use Loss::*;
    select(vec![
        SparseCategoricalCrossentropy,
        SparseCategoricalCrossentropyWithLogits,
        CategoricalCrossentropy,
        CategoricalCrossentropyWithLogits,
        BinaryCrossentropy,
        BinaryCrossentropyWithLogits,
        MeanSquaredError,
        MeanAbsoluteError,
    ])
}

fn metrics() -> impl Strategy<Value = Metric> {
    prop_oneof![Just(Metric::Accuracy), any::<usize>().prop_map(|k| Metric::TopKAccuracy { k })]
}

fn optimizers() -> impl Strategy<Value = Optimizer> {
    let rules = prop_oneof![
        (floats(), floats(), floats()).prop_map(|(beta_1, beta_2, epsilon)| {
            OptimizerRule::Adam(Adam { beta_1, beta_2, epsilon })
        }),
        (floats(), any::<bool>())
            .prop_map(|(momentum, nesterov)| OptimizerRule::Sgd(Sgd { momentum, nesterov })),
        (floats(), floats(), floats()).prop_map(|(rho, momentum, epsilon)| {
            OptimizerRule::RmsProp(RmsProp { rho, momentum, epsilon })
        }),
    ];
    let clippings = prop_oneof![
        Just(Clipping::None),
        floats().prop_map(Clipping::Value),
        floats().prop_map(Clipping::Norm),
        floats().prop_map(Clipping::GlobalNorm),
    ];
    (rules, floats(), schedules(), floats(), clippings).prop_map(
        |(rule, learning_rate, schedule, weight_decay, clipping)| Optimizer {
            rule,
            learning_rate,
            schedule,
            weight_decay,
            clipping,
        },
    )
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let step = (vec(any::<u64>(), 0..3), vec(floats(), 0..3))
        .prop_map(|(boundaries, factors)| Schedule::Step { boundaries, factors });
    let plain = prop_oneof![
        3 => Just(Schedule::Constant),
        1 => step,
        1 => (any::<u64>(), floats(), any::<bool>())
            .prop_map(|(steps, rate, staircase)| Schedule::Exponential { steps, rate, staircase }),
        1 => (any::<u64>(), floats()).prop_map(|(steps, floor)| Schedule::Cosine { steps, floor }),
    ];
    (plain, proptest::option::of((any::<u64>(), floats()))).prop_map(
        |(then, warm_up)| match warm_up {
            Some((steps, from)) => Schedule::WarmUp { steps, from, then: Box::new(then) },
            None => then,
        },
    )
}

fn histories() -> impl Strategy<Value = History> {
    let values = btree_map(any::<String>(), floats(), 0..4)
        .prop_map(|values| values.into_iter().rev().collect::<Vec<_>>());
    let record = (any::<u64>(), values).prop_map(|(epoch, values)| EpochRecord { epoch, values });
    vec(record, 0..4).prop_map(|epochs| History { epochs })
}

fn finite() -> impl Strategy<Value = f64> {
    floats().prop_filter("finite", |value| value.is_finite())
}

/// Any bits of an f64, and the values people use.
fn floats() -> impl Strategy<Value = f64> {
    let usual = vec![0.0, -0.0, 0.9, 0.999, 1e-7, 0.001, 1.0, f64::INFINITY, f64::NEG_INFINITY];
    prop_oneof![any::<u64>().prop_map(f64::from_bits), select(usual)]
}

/// Asserts that two checkpoints agree in every bit, signs of zero and payloads of NaNs included.
#[track_caller]
pub fn assert_same_bits(one: &Checkpoint<'_>, other: &Checkpoint<'_>) {
    // `Debug` tells −0.0 from 0.0, but not one NaN from another.
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    assert_eq!(nan_bits(one), nan_bits(other));
}

/// The bits of every float that may be a NaN outside of tensors.
fn nan_bits(checkpoint: &Checkpoint<'_>) -> Vec<u64> {
    let mut floats = Vec::new();
    if let Some(CompileSettings { optimizer, losses, metrics: _ }) = &checkpoint.compile {
        match optimizer.rule {
            OptimizerRule::Adam(Adam { beta_1, beta_2, epsilon }) => {
                floats.extend([beta_1, beta_2, epsilon]);
            }
            OptimizerRule::Sgd(Sgd { momentum, nesterov: _ }) => floats.push(momentum),
            OptimizerRule::RmsProp(RmsProp { rho, momentum, epsilon }) => {
                floats.extend([rho, momentum, epsilon]);
            }
        }
        floats.extend([optimizer.learning_rate, optimizer.weight_decay]);
        let mut schedule = &optimizer.schedule;
        if let Schedule::WarmUp { from, then, .. } = schedule {
            floats.push(*from);
            schedule = then;
        }
        match schedule {
            Schedule::Constant | Schedule::WarmUp { .. } => {}
            Schedule::Step { factors, .. } => floats.extend(factors),
            Schedule::Exponential { rate: x, .. } | Schedule::Cosine { floor: x, .. } => {
                floats.push(*x);
            }
        }
        match optimizer.clipping {
            Clipping::None => {}
            Clipping::Value(x) | Clipping::Norm(x) | Clipping::GlobalNorm(x) => floats.push(x),
        }
        floats.extend(losses.iter().map(|loss| loss.weight));
    }
    if let Some(state) = &checkpoint.training {
        if let Some(Scores { samples: _, loss, losses, metrics }) = &state.interrupted {
            floats.push(*loss);
            floats.extend(losses.iter().chain(metrics));
        }
        if let Some(fit) = &state.fit {
            if let ValidationRecord::Split(share) = fit.validation {
                floats.push(share);
            }
            let values = fit.callbacks.values().flat_map(|callback| callback.values.values());
            floats.extend(values.filter_map(|value| match value {
                StateValue::Real(real) => Some(real),
                StateValue::Count(_) => None,
            }));
        }
    }
    let epochs = checkpoint.history.iter().flat_map(|history| &history.epochs);
    floats.extend(epochs.flat_map(|epoch| epoch.values.iter().map(|(_, value)| *value)));
    floats.into_iter().map(f64::to_bits).collect()
}

/// A small checkpoint with every part, always the same.
pub fn small() -> Checkpoint<'static> {
    let graph = Sequential::new(Shape::image(4, 4, 1))
        .conv2d(2, 3, Activation::Relu)
        .flatten()
        .dense(2, Activation::Softmax)
        .graph()
        .unwrap();
    let optimizer = Optimizer::adam(0.001);
    let loss = Loss::SparseCategoricalCrossentropy;
    let compile = CompileSettings {
        optimizer,
        losses: vec![OutputLoss { output: graph.outputs()[0].name.clone(), loss, weight: 1.0 }],
        metrics: vec![Metric::Accuracy],
    };
    let losses = vec![(loss, 1.0)];
    let history = History {
        epochs: vec![EpochRecord {
            epoch: 0,
            values: vec![("loss".into(), 0.25), ("val_loss".into(), f64::NAN)],
        }],
    };
    assemble((
        graph,
        7,
        Some(((compile.optimizer, losses, compile.metrics), Some(3))),
        Some(small_training()),
        Some(history),
        BTreeMap::from([("author".into(), "Zoë".into())]),
        Some(((1, 42), 1)),
    ))
}
