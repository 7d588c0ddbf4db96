//! What can go wrong with training.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::callback::CallbackError;
use crate::kernels::FloatEnvironmentError;
use crate::model::{DataRecord, SettingsError};
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
    #[error(transparent)]
    Settings(#[from] SettingsError),
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
    #[error(
        "a fit was interrupted in epoch {epoch} (counted from 0) after {steps} steps; go on with \
         `resume`, or give it up with `forget_fit`"
    )]
    Interrupted { epoch: u64, steps: u64 },
    #[error("no fit is under way that could be resumed; begin one with `fit`")]
    NoFit,
    #[error(
        "{what} is not that of the fit: {}, found {}; give the same, or insist with `other_data`",
        told(before),
        told(found)
    )]
    OtherData { what: &'static str, before: Box<DataRecord>, found: Box<DataRecord> },
    #[error(
        "the fit validates on {}; give that as `validation`, or insist with `other_data`",
        told(before)
    )]
    NoValidation { before: Box<DataRecord> },
    #[error("the fit has no validation data of its own; give none, or insist with `other_data`")]
    NewValidation,
    #[error(
        "the model was trained by arithmetic of revision {before}, this is {now}: it would not go on \
         to the same bits; insist with `other_arithmetic`"
    )]
    OtherArithmetic { before: u32, now: u32 },
    #[error(
        "the model was trained with {before} samples per shard, this build works with {now}: it would \
         not go on to the same bits; insist with `other_shard`"
    )]
    OtherShard { before: u32, now: u32 },
    #[error(
        "the optimizer has made no step, but training has: its state was not saved, and without it \
         training would not go on to the same bits; insist with `other_optimizer`"
    )]
    NoOptimizerState,
    #[error(
        "{steps} steps of an epoch are over {expected} samples, but the sums that were saved are over \
         {found}: this training state was not made by this fit; give it up with `forget_fit`"
    )]
    OtherSums { steps: u64, expected: u64, found: u64 },
    #[error(
        "an epoch has {expected} steps, but {found} of the interrupted one were saved as done: this \
         training state was not made by this fit; give it up with `forget_fit`"
    )]
    OtherSteps { expected: u64, found: u64 },
    #[error(
        "callback `{name}` took part in the fit; give it again, or insist with `other_callbacks`"
    )]
    OtherCallbacks { name: String },
    #[error(
        "sections {sections:?} of a newer keepnet were passed over when the model was read; update \
         keepnet, or give them up with `forget_passed_over`"
    )]
    PassedOver { sections: Vec<String> },
    #[error("two callbacks are named `{name}`: what they remember could not be told apart")]
    CallbackTwice { name: String },
    #[error("a callback cannot take part in the fit: {0}")]
    CallbackRefuses(#[source] CallbackFailure),
    #[error("a callback ended training: {0}")]
    Callback(#[source] CallbackFailure),
}

impl TrainError {
    pub(super) fn callback(error: CallbackError) -> Self {
        Self::Callback(CallbackFailure(error.into()))
    }

    pub(super) fn callback_refuses(error: CallbackError) -> Self {
        Self::CallbackRefuses(CallbackFailure(error.into()))
    }
}

/// What a callback failed with. Equal to its clones alone.
#[derive(Clone, Debug)]
pub struct CallbackFailure(Arc<dyn Error + Send + Sync>);

impl CallbackFailure {
    /// The error as the callback gave it.
    pub fn get(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl PartialEq for CallbackFailure {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Display for CallbackFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for CallbackFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// `8000 samples of embedded MNIST (0123456789ab…)`
fn told(record: &DataRecord) -> String {
    let DataRecord { samples, sha256, source } = record;
    let of = source.as_ref().map(|source| format!(" of {source}")).unwrap_or_default();
    format!("{samples} samples{of} ({:.12}…)", sha256.to_string())
}
