//! Saves the model while it is trained.

use std::ops::ControlFlow;

use super::monitor::Monitor;
use super::state::{Values, state};
use crate::model::{EpochRecord, StateValue};
use crate::nn::Model;
use crate::train::{Callback, CallbackError, CallbackStates, Moment, Stop};

/// When checkpoints are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After so many steps of the optimizer, counted over the life of the model.
    Steps(u64),
    /// After so many epochs, counted likewise.
    Epochs(u64),
    /// After epochs that are better than all before.
    Best,
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

/// Saves checkpoints while training goes on: the last few, and the best.
#[derive(Debug)]
pub struct ModelCheckpoint<S> {
    store: S,
    every: Every,
    last: usize,
    monitor: Option<Monitor>,
    best: Option<f64>,
    best_step: Option<u64>,
    /// Whether the epoch that has just ended was the best.
    improved: bool,
}

impl<S: CheckpointStore> ModelCheckpoint<S> {
    /// All last three are kept, and no best one.
    pub fn new(store: S, every: Every) -> Self {
        Self { store, every, last: 3, monitor: None, best: None, best_step: None, improved: false }
    }

    /// How many of the newest checkpoints stay; 1 or more.
    pub fn keep_last(self, last: usize) -> Self {
        Self { last: if last == 0 { 1 } else { last }, ..self }
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
        self.store.keep(model, model.steps(), self.last, self.best_step)?;
        self.store.finish()
    }

    /// Whether this is the moment for a checkpoint.
    fn is_due(&self, model: &Model, moment: Moment<'_>) -> bool {
        let divides = |every: u64, count: u64| every > 0 && count.is_multiple_of(every);
        match (moment, self.every) {
            (Moment::Step(_), Every::Steps(every)) => divides(every, model.steps()),
            (Moment::Step(_), Every::Epochs(_) | Every::Best) => false,
            (Moment::Epoch(_), _) if self.improved => true,
            (Moment::Epoch(record), Every::Epochs(every)) => divides(every, record.epoch + 1),
            (Moment::Epoch(_), Every::Steps(_) | Every::Best) => false,
        }
    }
}

const NAME: &str = "model_checkpoint";

impl<S: CheckpointStore> Callback for ModelCheckpoint<S> {
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
        states.insert(NAME, state(values, None));
    }

    fn restore_state(&mut self, states: &mut CallbackStates) -> Result<(), CallbackError> {
        if let Some(state) = states.take(NAME) {
            let values = Values { callback: NAME, state: &state };
            self.best = values.optional_real("best")?;
            self.best_step = values.optional_count("best_step")?;
        }
        Ok(())
    }
}
