//! Where training stands: all that, beside parameters and optimizer, determines every later bit.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::CompileSettings;
use crate::bytes::Digest;

/// The most epochs, or steps, that are counted: exact as a double too, and one more is still a number.
pub(crate) const MAX_COUNT: u64 = (1 << 53) - 1;

/// Where training stands. Together with the parameters and the optimizer's state this determines
/// every later bit. `W` is the form that weights remembered by callbacks have: named tensors in a
/// [`Checkpoint`](super::Checkpoint).
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingState<W> {
    /// Keys initialisation, shuffling and dropout.
    pub seed: u64,
    /// Epochs finished over the life of the model, all calls of `fit` together.
    pub epoch: u64,
    /// Steps finished within the epoch that was interrupted; 0 between epochs. Where these are all
    /// the epoch has, its validation is still to come.
    pub step_in_epoch: u64,
    /// Samples per shard, the unit of reduction.
    pub shard: u32,
    /// The arithmetic that made the parameters (see `docs/DETERMINISM.md`).
    pub arithmetic_revision: u32,
    /// What the steps of the interrupted epoch add up to, if there are any.
    pub interrupted: Option<Scores>,
    /// The fit that was under way; in the middle of an epoch there is one.
    pub fit: Option<FitState<W>>,
}

/// Sums over samples, from which losses and metrics are the means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    pub samples: u64,
    /// The weighted sum over the outputs, and what regularisation adds, as a sum over the samples.
    pub loss: f64,
    /// Per output: the sum of its own losses.
    pub losses: Vec<f64>,
    /// Per metric: the sum over the samples.
    pub metrics: Vec<f64>,
}

/// What a fit that has not ended was asked for, and what its callbacks remember.
#[derive(Clone, Debug, PartialEq)]
pub struct FitState<W> {
    pub batch_size: u64,
    pub shuffle: bool,
    /// The epochs that the model will have behind it when the fit ends.
    pub end: u64,
    /// What it trains on.
    pub data: DataRecord,
    pub validation: ValidationRecord,
    /// By the callbacks' names.
    pub callbacks: BTreeMap<String, CallbackState<W>>,
}

/// Data that a fit works with, so that the same can be found again, and other data be told from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataRecord {
    pub samples: u64,
    /// Over all inputs and targets (see `Dataset::fingerprint`).
    pub sha256: Digest,
    /// Where it came from, in words.
    pub source: Option<String>,
}

/// What is evaluated after each epoch.
#[derive(Clone, Debug, PartialEq)]
pub enum ValidationRecord {
    None,
    /// This share of the training data, taken from its end.
    Split(f64),
    /// Data of its own.
    Given(DataRecord),
}

/// What a callback remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackState<W> {
    pub values: BTreeMap<String, StateValue>,
    /// A copy of the model's parameters, such as the best so far.
    pub weights: Option<W>,
}

/// A small value that a callback remembers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StateValue {
    Count(u64),
    Real(f64),
}

/// What does not fit together in a [`TrainingState`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingStateError {
    #[error("there are sums of an interrupted epoch, but no step of it")]
    NoSteps,
    #[error("{steps} steps of an epoch are done, but there are no sums of it")]
    NoSums { steps: u64 },
    #[error("{steps} steps of an epoch are done, but no fit is under way")]
    NoFit { steps: u64 },
    #[error("the compile settings ask for {expected} {what}, found {found}")]
    Sums { what: &'static str, expected: usize, found: usize },
    #[error("the fit takes no samples per step")]
    NoBatch,
    #[error("the share of the data to validate on must be above 0 and below 1, found {found}")]
    Split { found: f64 },
    #[error("{what} must be below 2^53, found {found}")]
    TooMany { what: &'static str, found: u64 },
}

/// Bounds what counts epochs or steps.
pub(crate) fn check_count(what: &'static str, found: u64) -> Result<(), TrainingStateError> {
    match found > MAX_COUNT {
        true => Err(TrainingStateError::TooMany { what, found }),
        false => Ok(()),
    }
}

impl DataRecord {
    /// Whether the data is the same, wherever it came from.
    pub fn same_data(&self, other: &Self) -> bool {
        (self.samples, self.sha256) == (other.samples, other.sha256)
    }
}

impl<W> TrainingState<W> {
    pub fn as_ref(&self) -> TrainingState<&W> {
        TrainingState {
            seed: self.seed,
            epoch: self.epoch,
            step_in_epoch: self.step_in_epoch,
            shard: self.shard,
            arithmetic_revision: self.arithmetic_revision,
            interrupted: self.interrupted.clone(),
            fit: self.fit.as_ref().map(FitState::as_ref),
        }
    }

    /// The same with other forms of the weights.
    ///
    /// # Errors
    /// The first that `form` gives.
    pub fn try_map<V, E>(self, form: impl FnMut(W) -> Result<V, E>) -> Result<TrainingState<V>, E> {
        Ok(TrainingState {
            seed: self.seed,
            epoch: self.epoch,
            step_in_epoch: self.step_in_epoch,
            shard: self.shard,
            arithmetic_revision: self.arithmetic_revision,
            interrupted: self.interrupted,
            fit: self.fit.map(|fit| fit.try_map(form)).transpose()?,
        })
    }

    /// The same with other forms of the weights.
    pub fn map<V>(self, mut form: impl FnMut(W) -> V) -> TrainingState<V> {
        let Ok(state) = self.try_map(|weights| Ok::<_, Infallible>(form(weights)));
        state
    }

    /// Checks that the parts fit together, and to the settings that the model is compiled with.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self, compile: Option<&CompileSettings>) -> Result<(), TrainingStateError> {
        check_count("the epochs that are finished", self.epoch)?;
        check_count("the steps of the interrupted epoch", self.step_in_epoch)?;
        if let Some(fit) = &self.fit {
            check_count("the epochs at which the fit ends", fit.end)?;
        }
        match (self.step_in_epoch, &self.interrupted, &self.fit) {
            (0, Some(_), _) => return Err(TrainingStateError::NoSteps),
            (1.., None, _) => {
                return Err(TrainingStateError::NoSums { steps: self.step_in_epoch });
            }
            (1.., _, None) => return Err(TrainingStateError::NoFit { steps: self.step_in_epoch }),
            _ => {}
        }
        if let (Some(Scores { losses, metrics, .. }), Some(settings)) = (&self.interrupted, compile)
        {
            for (what, found, expected) in [
                ("sums of losses", losses.len(), settings.losses.len()),
                ("sums of metrics", metrics.len(), settings.metrics.len()),
            ] {
                if found != expected {
                    return Err(TrainingStateError::Sums { what, expected, found });
                }
            }
        }
        match &self.fit {
            Some(FitState { batch_size: 0, .. }) => Err(TrainingStateError::NoBatch),
            Some(FitState { validation: ValidationRecord::Split(share), .. })
                if !(*share > 0.0 && *share < 1.0) =>
            {
                Err(TrainingStateError::Split { found: *share })
            }
            _ => Ok(()),
        }
    }

    /// The weights that callbacks remember, by the callbacks' names.
    pub fn weights(&self) -> impl Iterator<Item = &W> {
        let callbacks = self.fit.iter().flat_map(|fit| fit.callbacks.values());
        callbacks.filter_map(|callback| callback.weights.as_ref())
    }
}

impl<W> FitState<W> {
    pub fn as_ref(&self) -> FitState<&W> {
        FitState {
            batch_size: self.batch_size,
            shuffle: self.shuffle,
            end: self.end,
            data: self.data.clone(),
            validation: self.validation.clone(),
            callbacks: (self.callbacks.iter())
                .map(|(name, CallbackState { values, weights })| {
                    let weights = weights.as_ref();
                    (name.clone(), CallbackState { values: values.clone(), weights })
                })
                .collect(),
        }
    }

    /// The same with other forms of the weights.
    ///
    /// # Errors
    /// The first that `form` gives.
    pub fn try_map<V, E>(self, mut form: impl FnMut(W) -> Result<V, E>) -> Result<FitState<V>, E> {
        let mut callbacks = BTreeMap::new();
        for (name, CallbackState { values, weights }) in self.callbacks {
            let weights = weights.map(&mut form).transpose()?;
            callbacks.insert(name, CallbackState { values, weights });
        }
        Ok(FitState {
            batch_size: self.batch_size,
            shuffle: self.shuffle,
            end: self.end,
            data: self.data,
            validation: self.validation,
            callbacks,
        })
    }
}
