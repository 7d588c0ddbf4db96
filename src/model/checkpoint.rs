//! The hub of all formats: everything that can be kept of a model, as plain data.

use std::collections::BTreeMap;

use super::{CompileSettings, Graph, TrainingState};
use crate::tensor::Tensor;

/// Everything a file can hold. Every format is `Checkpoint` ⇄ bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint<'a> {
    pub graph: Graph,
    /// The parameters, named `layer/parameter`, in the order of [`Graph::parameters`].
    pub tensors: Vec<NamedTensor<'a>>,
    pub compile: Option<CompileSettings>,
    pub optimizer: Option<OptimizerState<'a>>,
    /// Weights that callbacks remember have the names and shapes of the parameters.
    pub training: Option<TrainingState<Vec<NamedTensor<'a>>>>,
    pub history: Option<History>,
    /// The user's own notes.
    pub metadata: BTreeMap<String, String>,
    pub proof: Option<Proof<'a>>,
    /// Sections of a newer keepnet that were passed over when this was read. They would be lost: what
    /// has any is not saved.
    pub passed_over: Vec<String>,
}

/// A tensor and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTensor<'a> {
    pub name: String,
    pub tensor: Tensor<'a>,
}

/// What an optimizer remembers between steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptimizerState<'a> {
    /// Steps done.
    pub step: u64,
    /// In the order of [`Optimizer::slots`](super::Optimizer::slots).
    pub slots: Vec<Slot<'a>>,
}

/// One remembered value per element of each trainable parameter, such as Adam's first moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot<'a> {
    pub name: String,
    /// One tensor per parameter, of its name and shape.
    pub tensors: Vec<NamedTensor<'a>>,
}

/// What `fit` reported, epoch by epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub epochs: Vec<EpochRecord>,
}

/// The figures of one epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochRecord {
    /// Counted from 0 over the life of the model.
    pub epoch: u64,
    /// Such as (`loss`, 0.25), (`val_accuracy`, 0.98), in the order reported.
    pub values: Vec<(String, f64)>,
}

impl EpochRecord {
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(key, _)| key == name).map(|&(_, value)| value)
    }
}

/// What this model gave for a probe that anyone can derive again, and the arithmetic it was
/// computed with: a reader can check that it holds the same model.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof<'a> {
    /// Raised by any change to keepnet that can alter one bit of any result.
    pub arithmetic_revision: u32,
    /// Keys the probe's inputs.
    pub seed: u64,
    /// Samples in the probe: 1 to [`MAX_SAMPLES`](Self::MAX_SAMPLES).
    pub samples: u32,
    /// One per input of the graph.
    pub inputs: Vec<ProbeRange>,
    /// One tensor per output of the graph, named as the output, its first dimension the samples.
    pub outputs: Vec<NamedTensor<'a>>,
}

/// Between which numbers the inputs of a probe are drawn: evenly, from `low` to below `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeRange {
    pub low: f64,
    pub high: f64,
}

impl ProbeRange {
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };

    /// Whether there is something to be drawn, and all of it is finite as an f32.
    pub fn is_sound(&self) -> bool {
        let finite = |end: f64| (end as f32).is_finite();
        self.low < self.high && finite(self.low) && finite(self.high)
    }
}

impl Proof<'_> {
    /// The most samples of a probe: a few bytes must not ask for much to be run.
    pub const MAX_SAMPLES: u32 = 16;
}

impl<'a> NamedTensor<'a> {
    pub fn new(name: impl Into<String>, tensor: Tensor<'a>) -> Self {
        Self { name: name.into(), tensor }
    }

    /// With its bytes borrowed from this one.
    pub fn borrowed(&self) -> NamedTensor<'_> {
        NamedTensor { name: self.name.clone(), tensor: self.tensor.borrowed() }
    }

    fn into_owned(self) -> NamedTensor<'static> {
        NamedTensor { name: self.name, tensor: self.tensor.into_owned() }
    }
}

fn borrowed<'b>(tensors: &'b [NamedTensor<'_>]) -> Vec<NamedTensor<'b>> {
    tensors.iter().map(NamedTensor::borrowed).collect()
}

fn owned(tensors: Vec<NamedTensor<'_>>) -> Vec<NamedTensor<'static>> {
    tensors.into_iter().map(NamedTensor::into_owned).collect()
}

impl<'a> Checkpoint<'a> {
    /// A graph and its parameters alone.
    pub fn new(graph: Graph, tensors: Vec<NamedTensor<'a>>) -> Self {
        Self {
            graph,
            tensors,
            compile: None,
            optimizer: None,
            training: None,
            history: None,
            metadata: BTreeMap::new(),
            proof: None,
            passed_over: Vec::new(),
        }
    }
}

impl Checkpoint<'_> {
    /// The same checkpoint, borrowing the tensors of this one.
    pub fn borrowed(&self) -> Checkpoint<'_> {
        Checkpoint {
            graph: self.graph.clone(),
            tensors: borrowed(&self.tensors),
            compile: self.compile.clone(),
            optimizer: self.optimizer.as_ref().map(|state| OptimizerState {
                step: state.step,
                slots: (state.slots.iter())
                    .map(|slot| Slot { name: slot.name.clone(), tensors: borrowed(&slot.tensors) })
                    .collect(),
            }),
            training: (self.training.as_ref())
                .map(|state| state.as_ref().map(|weights| borrowed(weights))),
            history: self.history.clone(),
            metadata: self.metadata.clone(),
            proof: self.proof.as_ref().map(|proof| Proof {
                arithmetic_revision: proof.arithmetic_revision,
                seed: proof.seed,
                samples: proof.samples,
                inputs: proof.inputs.clone(),
                outputs: borrowed(&proof.outputs),
            }),
            passed_over: self.passed_over.clone(),
        }
    }

    /// The same checkpoint borrowing from nobody.
    pub fn into_owned(self) -> Checkpoint<'static> {
        Checkpoint {
            graph: self.graph,
            tensors: owned(self.tensors),
            compile: self.compile,
            optimizer: self.optimizer.map(|state| OptimizerState {
                step: state.step,
                slots: (state.slots.into_iter())
                    .map(|slot| Slot { name: slot.name, tensors: owned(slot.tensors) })
                    .collect(),
            }),
            training: self.training.map(|state| state.map(owned)),
            history: self.history,
            metadata: self.metadata,
            proof: self.proof.map(|proof| Proof {
                arithmetic_revision: proof.arithmetic_revision,
                seed: proof.seed,
                samples: proof.samples,
                inputs: proof.inputs,
                outputs: owned(proof.outputs),
            }),
            passed_over: self.passed_over,
        }
    }
}
