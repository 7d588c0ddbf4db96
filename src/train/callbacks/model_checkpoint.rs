//! Saves the model while it is trained.

use std::ops::ControlFlow;

use super::monitor::Monitor;
use super::state::{Values, state};
use crate::model::settings::{SettingsError, within};
use crate::model::{EpochRecord, StateValue};
use crate::nn::Model;
use crate::train::{Callback, CallbackError, CallbackStates, Moment, Stop};

/// When checkpoints are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After so many steps of the optimizer, 1 or more, counted over the life of the model.
    Steps(u64),
    /// After so many epochs, 1 or more, counted likewise.
    Epochs(u64),
}

/// Where checkpoints go. Training knows no files: `CheckpointFolder` is one such place.
pub trait CheckpointStore {
    /// Keeps the model as it stands, as the checkpoint of that optimizer step, in place of one of
    /// the same step. Of older ones of this training the `last` newest stay (this one counts) and
    /// that of step `best`.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn keep(
        &mut self,
        model: &Model,
        step: u64,
        last: usize,
        best: Option<u64>,
    ) -> Result<(), CallbackError>;

    /// Waits until everything is kept.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn finish(&mut self) -> Result<(), CallbackError>;
}

/// Saves checkpoints while training goes on: the last few, and the best. Which epoch was the best is
/// remembered from fit to fit, as by Keras' `ModelCheckpoint`.
#[derive(Debug)]
pub struct ModelCheckpoint<S> {
    name: String,
    store: S,
    /// `None` for the best epochs alone.
    every: Option<Every>,
    last: usize,
    monitor: Option<Monitor>,
    best: Option<f64>,
    best_step: Option<u64>,
    /// Whether the epoch that has just ended was the best.
    improved: bool,
}

impl<S: CheckpointStore> ModelCheckpoint<S> {
    /// The last three stay, and no best one. It is named `model_checkpoint`.
    pub fn new(store: S, every: Every) -> Self {
        Self::with(store, Some(every), None)
    }

    /// A checkpoint is made of each epoch that is better than all before, and of no other.
    pub fn best_only(store: S, monitor: Monitor) -> Self {
        Self::with(store, None, Some(monitor))
    }

    fn with(store: S, every: Option<Every>, monitor: Option<Monitor>) -> Self {
        let name = "model_checkpoint".to_owned();
        let (best, best_step, improved) = (None, None, false);
        Self { name, store, every, last: 3, monitor, best, best_step, improved }
    }

    /// The name that its memory has in the training state; no two callbacks of a fit share one.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// How many of the newest checkpoints stay; 1 or more.
    pub fn keep_last(self, last: usize) -> Self {
        Self { last, ..self }
    }

    /// A checkpoint is made of each epoch that is better than all before, and stays until a better
    /// one.
    pub fn keep_best(self, monitor: Monitor) -> Self {
        Self { monitor: Some(monitor), ..self }
    }

    /// Where they go.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Makes a checkpoint of the model as it stands, whether one is due or not, and waits for it.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub fn keep_now(&mut self, model: &Model) -> Result<(), CallbackError> {
        self.check()?;
        self.store.keep(model, model.steps(), self.last, self.best_step)?;
        self.store.finish()
    }

    /// Checks the settings.
    fn check(&self) -> Result<(), SettingsError> {
        within("keep_last", self.last as f64, self.last > 0, "1 or more")?;
        match self.every {
            Some(Every::Steps(every) | Every::Epochs(every)) => {
                within("the distance of checkpoints", every as f64, every > 0, "1 or more")
            }
            None => Ok(()),
        }
    }

    /// Whether this is the moment for a checkpoint.
    fn is_due(&self, model: &Model, moment: Moment<'_>) -> bool {
        match (moment, self.every) {
            (Moment::Step(_), Some(Every::Steps(every))) => model.steps().is_multiple_of(every),
            (Moment::Step(_), _) => false,
            (Moment::Epoch(_), _) if self.improved => true,
            (Moment::Epoch(record), Some(Every::Epochs(every))) => {
                (record.epoch + 1).is_multiple_of(every)
            }
            (Moment::Epoch(_), _) => false,
        }
    }
}

impl<S: CheckpointStore> Callback for ModelCheckpoint<S> {
    fn on_fit_begin(&mut self, model: &Model, _: bool) -> Result<(), CallbackError> {
        self.improved = false;
        self.check()?;
        match &self.monitor {
            Some(monitor) => monitor.check(model, 0.0),
            None => Ok(()),
        }
    }

    fn on_epoch_end(
        &mut self,
        model: &mut Model,
        record: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        if let Some(monitor) = &self.monitor {
            let value = monitor.value(record)?;
            self.improved = monitor.improves(value, self.best, 0.0);
            if self.improved {
                (self.best, self.best_step) = (Some(value), Some(model.steps()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn on_settled(&mut self, model: &Model, moment: Moment<'_>) -> Result<(), CallbackError> {
        if self.is_due(model, moment) {
            self.store.keep(model, model.steps(), self.last, self.best_step)?;
        }
        self.improved = false;
        Ok(())
    }

    fn on_fit_end(&mut self, _: &mut Model, _: bool) -> Result<(), CallbackError> {
        self.store.finish()
    }

    fn save_state(&self, states: &mut CallbackStates) {
        let values = [
            ("best", self.best.map(StateValue::Real)),
            ("best_step", self.best_step.map(StateValue::Count)),
        ];
        states.insert(&self.name, state(values, None));
    }

    fn restore_state(&mut self, states: &mut CallbackStates) -> Result<(), CallbackError> {
        if let Some(state) = states.take(&self.name) {
            let values = Values { callback: &self.name, state: &state };
            self.best = values.optional_real("best")?;
            self.best_step = values.optional_count("best_step")?;
        }
        Ok(())
    }
}
