//! What can go wrong with a running network.

use super::LoadReport;
use crate::kernels::{FloatEnvironmentError, IsaError};
use crate::model::{GraphError, SettingsError, TrainingStateError};
use crate::tensor::{Shape, TensorError};

/// Why a model cannot be made, fed or changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    FloatEnvironment(#[from] FloatEnvironmentError),
    #[error(transparent)]
    Isa(#[from] IsaError),
    #[error("the model takes {expected} inputs, found {found}")]
    InputCount { expected: usize, found: usize },
    #[error("input `{input}` takes samples of shape {expected}, found {found}")]
    InputShape { input: String, expected: Shape, found: Shape },
    #[error("input `{input}` has {found} samples, the others have {expected}")]
    SampleCount { input: String, expected: usize, found: usize },
    #[error("the model has {found} outputs; `predict` gives one, `predict_all` gives all")]
    SeveralOutputs { found: usize },
    #[error("there is no tensor `{name}` in the checkpoint")]
    MissingTensor { name: String },
    #[error("the checkpoint holds a tensor `{name}` that the graph has no place for")]
    UnexpectedTensor { name: String },
    #[error("tensor `{name}` has shape {found}, the graph needs {expected}")]
    TensorShape { name: String, expected: Shape, found: Shape },
    #[error("tensor `{name}`: {source}")]
    Tensor { name: String, source: TensorError },
    #[error(
        "the checkpoint's optimizer keeps {found} values per parameter, its settings ask for \
         {expected}"
    )]
    Slots { expected: usize, found: usize },
    #[error("the weights do not fit this graph: {0}; load what fits with `strict: false`")]
    Mismatch(LoadReport),
    #[error("there is no layer `{name}`; the layers are {known}")]
    NoSuchLayer { name: String, known: String },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the weights are of another graph: {found} values, where this one has {expected}")]
    Weights { expected: usize, found: usize },
    #[error(transparent)]
    TrainingState(#[from] TrainingStateError),
    #[error("a proof has {expected} sound ranges of inputs, one for each input, found {found}")]
    ProbeRanges { expected: usize, found: usize },
    #[error("a proof is over 1 to {limit} samples, found {found}")]
    ProofSamples { found: u32, limit: u32 },
}
