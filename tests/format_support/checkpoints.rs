//! Random checkpoints.

use std::collections::BTreeMap;

use keepnet::bytes::Digest;
use keepnet::*;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::graphs::graphs;

/// Any checkpoint whose parts fit together.
pub fn checkpoints() -> impl Strategy<Value = Checkpoint<'static>> {
    graphs().prop_flat_map(|graph| {
        let losses = vec((losses(), finite()), graph.outputs().len());
        let compile = (optimizers(), losses, vec(metrics(), 0..3));
        let training = trainings();
        let metadata = btree_map(any::<String>(), any::<String>(), 0..4);
        let proof = any::<(u32, u64)>().prop_flat_map(|pair| (Just(pair), 1..3_u32));
        (
            Just(graph),
            any::<u64>(),
            proptest::option::of((compile, proptest::option::of(0..1_u64 << 53))),
            proptest::option::of(training),
            proptest::option::of(histories()),
            metadata,
            proptest::option::of(proof),
        )
            .prop_map(assemble)
    })
}

pub(super) type Parts = (
    Graph,
    u64,
    Option<((Optimizer, Vec<(Loss, f64)>, Vec<Metric>), Option<u64>)>,
    Option<TrainingState<()>>,
    Option<History>,
    BTreeMap<String, String>,
    Option<((u32, u64), u32)>,
);

pub(super) fn assemble(parts: Parts) -> Checkpoint<'static> {
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
        let losses: Vec<_> = losses
            .into_iter()
            .zip(graph.outputs())
            .map(|((loss, weight), output)| {
                let smooth = loss == Loss::CategoricalCrossentropy && weight > 0.0;
                let label_smoothing = if smooth { 0.1 } else { 0.0 };
                OutputLoss { weight, label_smoothing, ..OutputLoss::new(&*output.name, loss) }
            })
            .collect();
        let metrics = metrics.into_iter().filter(|metric| match metric {
            Metric::Accuracy | Metric::TopKAccuracy { .. } => true,
            Metric::Loss(loss) => loss.takes_classes() == losses[0].loss.takes_classes(),
            Metric::RootMeanSquaredError => !losses[0].loss.takes_classes(),
        });
        let metrics = metrics.collect();
        settings = Some(CompileSettings { optimizer: rule, losses, metrics });
    }
    let proof = proof.map(|((arithmetic_revision, seed), samples)| Proof {
        arithmetic_revision,
        seed,
        samples,
        inputs: vec![ProbeRange::UNIT; graph.inputs().len()],
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
    Checkpoint {
        graph,
        tensors,
        compile,
        optimizer,
        training,
        history,
        metadata,
        proof,
        passed_over: Vec::new(),
    }
}

/// Any state of training; sums of losses and metrics are cut to what the model has.
fn trainings() -> impl Strategy<Value = TrainingState<()>> {
    let count = || 0..1_u64 << 53;
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
        (1_u64..1 << 53).prop_map(|k| ValidationRecord::Split(k as f64 / (1_u64 << 53) as f64)),
        record().prop_map(ValidationRecord::Given),
    ];
    let value =
        prop_oneof![any::<u64>().prop_map(StateValue::Count), floats().prop_map(StateValue::Real),];
    let callback = (btree_map(any::<String>(), value, 0..3), any::<bool>())
        .prop_map(|(values, weights)| CallbackState { values, weights: weights.then_some(()) });
    let callbacks = btree_map(any::<String>(), callback, 0..3);
    let fit = (1_u64.., any::<bool>(), count(), record(), validation, callbacks).prop_map(
        |(batch_size, shuffle, end, data, validation, callbacks)| FitState {
            batch_size,
            shuffle,
            end,
            data,
            validation,
            callbacks,
        },
    );
    let numbers = (any::<u64>(), count(), count(), any::<u32>(), any::<u32>());
    (numbers, proptest::option::of(scores), proptest::option::of(fit)).prop_map(
        |((seed, epoch, step, shard, arithmetic_revision), interrupted, fit)| {
            let interrupted = interrupted.filter(|_| fit.is_some());
            let step_in_epoch = interrupted.as_ref().map_or(0, |_| step.max(1));
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
        Huber { delta: 0.5 },
        LogCosh,
        KlDivergence,
        Poisson,
        Hinge,
        SquaredHinge,
        CategoricalHinge,
        MeanAbsolutePercentageError,
        MeanSquaredLogarithmicError,
        CosineSimilarity,
    ])
}

fn metrics() -> impl Strategy<Value = Metric> {
    prop_oneof![
        3 => Just(Metric::Accuracy),
        2 => (1_usize..).prop_map(|k| Metric::TopKAccuracy { k }),
        1 => losses().prop_map(Metric::Loss),
        1 => Just(Metric::RootMeanSquaredError),
    ]
}

fn optimizers() -> impl Strategy<Value = Optimizer> {
    let rules = prop_oneof![
        (shares(), shares(), positive()).prop_map(|(beta_1, beta_2, epsilon)| {
            OptimizerRule::Adam(Adam { beta_1, beta_2, epsilon, amsgrad: false })
        }),
        (shares(), shares(), positive()).prop_map(|(beta_1, beta_2, epsilon)| {
            OptimizerRule::Adam(Adam { beta_1, beta_2, epsilon, amsgrad: true })
        }),
        (shares(), any::<bool>())
            .prop_map(|(momentum, nesterov)| OptimizerRule::Sgd(Sgd { momentum, nesterov })),
        (shares(), shares(), positive(), any::<bool>()).prop_map(
            |(rho, momentum, epsilon, centered)| {
                OptimizerRule::RmsProp(RmsProp { rho, momentum, epsilon, centered })
            }
        ),
        (shares(), shares(), positive(), not_negative()).prop_map(
            |(beta_1, beta_2, epsilon, momentum_decay)| {
                OptimizerRule::Nadam(Nadam { beta_1, beta_2, epsilon, momentum_decay })
            }
        ),
        (shares(), shares(), positive()).prop_map(|(beta_1, beta_2, epsilon)| {
            OptimizerRule::Adamax(Adamax { beta_1, beta_2, epsilon })
        }),
        (not_negative(), positive()).prop_map(|(initial_accumulator, epsilon)| {
            OptimizerRule::Adagrad(Adagrad { initial_accumulator, epsilon })
        }),
        (shares(), positive())
            .prop_map(|(rho, epsilon)| OptimizerRule::Adadelta(Adadelta { rho, epsilon })),
    ];
    let clippings = prop_oneof![
        Just(Clipping::None),
        positive().prop_map(Clipping::Value),
        positive().prop_map(Clipping::Norm),
        positive().prop_map(Clipping::GlobalNorm),
    ];
    (rules, positive(), schedules(), not_negative(), clippings).prop_map(
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
    let step = btree_map(any::<u64>(), not_negative(), 0..3).prop_map(|steps| {
        let (boundaries, factors) = steps.into_iter().unzip();
        Schedule::Step { boundaries, factors }
    });
    let plain = prop_oneof![
        3 => Just(Schedule::Constant),
        1 => step,
        1 => (1_u64.., positive(), any::<bool>())
            .prop_map(|(steps, rate, staircase)| Schedule::Exponential { steps, rate, staircase }),
        1 => (1_u64.., not_negative()).prop_map(|(steps, floor)| Schedule::Cosine { steps, floor }),
        1 => (1_u64.., not_negative(), any::<bool>())
            .prop_map(|(steps, rate, staircase)| Schedule::InverseTime { steps, rate, staircase }),
        1 => (1_u64.., not_negative(), positive(), any::<bool>()).prop_map(
            |(steps, floor, power, cycle)| Schedule::Polynomial { steps, floor, power, cycle }
        ),
        1 => (1_u64.., shares(), not_negative(), not_negative()).prop_map(
            |(steps, share, shrink, floor)| {
                let stretch = 1.0 + share;
                Schedule::CosineRestarts { steps, stretch, shrink, floor }
            }
        ),
    ];
    (plain, proptest::option::of((1_u64.., not_negative()))).prop_map(|(then, warm_up)| {
        match warm_up {
            Some((steps, from)) => Schedule::WarmUp { steps, from, then: Box::new(then) },
            None => then,
        }
    })
}

fn histories() -> impl Strategy<Value = History> {
    let values = btree_map(any::<String>(), floats(), 0..4)
        .prop_map(|values| values.into_iter().rev().collect::<Vec<_>>());
    let record = (any::<u64>(), values).prop_map(|(epoch, values)| EpochRecord { epoch, values });
    vec(record, 0..4).prop_map(|epochs| History { epochs })
}

pub(super) fn finite() -> impl Strategy<Value = f64> {
    floats().prop_filter("finite", |value| value.is_finite())
}

/// Any bits of an f64, and the values people use.
fn floats() -> impl Strategy<Value = f64> {
    let usual = vec![0.0, -0.0, 0.9, 0.999, 1e-7, 0.001, 1.0, f64::INFINITY, f64::NEG_INFINITY];
    prop_oneof![any::<u64>().prop_map(f64::from_bits), select(usual)]
}

fn positive() -> impl Strategy<Value = f64> {
    let any_bits = finite().prop_map(f64::abs).prop_filter("above 0", |value| *value > 0.0);
    prop_oneof![any_bits, select(vec![1e-7, 0.001, 1.0])]
}

fn not_negative() -> impl Strategy<Value = f64> {
    prop_oneof![finite().prop_map(f64::abs), Just(-0.0)]
}

/// From 0 to below 1.
fn shares() -> impl Strategy<Value = f64> {
    let fractions = (0_u64..1 << 53).prop_map(|k| k as f64 / (1_u64 << 53) as f64);
    prop_oneof![fractions, select(vec![0.0, -0.0, 0.9, 0.999])]
}
