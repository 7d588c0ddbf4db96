//! Checkpoints for tests of the formats: random ones and a small one with every part; how they are
//! compared bit by bit, taken apart and refused.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "every test file takes what it needs"
)]

mod checkpoints;
pub mod container;
mod graphs;
pub mod held;
pub mod newer;
pub mod refusal;

use std::collections::BTreeMap;

use keepnet::bytes::Digest;
use keepnet::*;

use checkpoints::assemble;
pub use checkpoints::checkpoints;
pub use graphs::graphs;

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
        losses: vec![OutputLoss::new(&*graph.outputs()[0].name, loss)],
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

/// Asserts that two checkpoints agree in every bit, signs of zero and payloads of NaNs included.
#[track_caller]
pub fn assert_same_bits(one: &Checkpoint<'_>, other: &Checkpoint<'_>) {
    // `Debug` tells −0.0 from 0.0, but not one NaN from another.
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    assert_eq!(nan_bits(one), nan_bits(other));
}

/// The bits of every float that may be a NaN outside of tensors; those of compile settings are finite.
fn nan_bits(checkpoint: &Checkpoint<'_>) -> Vec<u64> {
    let mut floats = Vec::new();
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
