//! What can go wrong with training.

use crate::kernels::FloatEnvironmentError;
use crate::nn::ModelError;
use crate::tensor::Shape;

/// Why a model cannot be trained or evaluated as asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    FloatEnvironment(#[from] FloatEnvironmentError),
    #[error("the model is not compiled; call `compile` with an optimizer and a loss first")]
    NotCompiled,
    #[error(
        "the model has {outputs} outputs, found {losses} losses; name one for each output, in their \
         order, with `compile_with`"
    )]
    Losses { outputs: usize, losses: usize },
    #[error("loss number {index} is for output `{found}`, expected `{expected}`")]
    LossOrder { index: usize, expected: String, found: String },
    #[error("{setting} must be {rule}, found {found}")]
    Setting { setting: &'static str, rule: &'static str, found: f64 },
    #[error("the boundaries of a schedule must ascend, found {found:?}")]
    Boundaries { found: Vec<u64> },
    #[error("a warm-up is followed by another; let it be followed by a schedule of another kind")]
    WarmUpTwice,
    #[error("the data has {found} targets per sample, the model has {expected} outputs")]
    TargetCount { expected: usize, found: usize },
    #[error("output `{output}` with loss {loss} takes {expected}, found {found}")]
    Targets { output: String, loss: &'static str, expected: String, found: String },
    #[error(
        "sample {sample} has class {class}, but output `{output}` has {classes} values, for classes \
         0 to {}", classes - 1
    )]
    Class { output: String, sample: usize, class: u32, classes: usize },
    #[error("output `{output}` has shape {shape}, {loss} takes a vector of one value per class")]
    OutputShape { output: String, loss: &'static str, shape: Shape },
    #[error("there are no samples to {what}")]
    NoSamples { what: &'static str },
    #[error("{found} samples are more than an epoch can shuffle, which is 2³² − 1")]
    TooManySamples { found: usize },
}
