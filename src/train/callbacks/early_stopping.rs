//! Ends a fit that no longer gets better.

use std::ops::ControlFlow;

use super::monitor::Monitor;
use super::state::{Values, state};
use crate::model::{EpochRecord, StateValue};
use crate::nn::{Model, Weights};
use crate::train::{Callback, CallbackError, CallbackStates, Stop};

/// Ends the fit when the monitored figure has not become better for `patience` epochs, as Keras'
/// `EarlyStopping` does. The first epoch never ends it.
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    monitor: Monitor,
    patience: u64,
    min_delta: f64,
    restore_best: bool,
    /// Epochs since the best.
    wait: u64,
    epochs: u64,
    best: Option<f64>,
    weights: Option<Weights>,
}

impl EarlyStopping {
    /// With a patience of no epoch, no least difference, and the last parameters kept, as in Keras.
    pub fn new(monitor: Monitor) -> Self {
        Self {
            monitor,
            patience: 0,
            min_delta: 0.0,
            restore_best: false,
            wait: 0,
            epochs: 0,
            best: None,
            weights: None,
        }
    }

    /// So many epochs without improvement are borne.
    pub fn patience(self, epochs: u64) -> Self {
        Self { patience: epochs, ..self }
    }

    /// What is better by no more than this is not better.
    pub fn min_delta(self, difference: f64) -> Self {
        Self { min_delta: difference.abs(), ..self }
    }

    /// At the end of the fit the parameters of the best epoch come back, even if all epochs were
    /// run.
    pub fn restore_best(self) -> Self {
        Self { restore_best: true, ..self }
    }

    fn name(&self) -> String {
        format!("early_stopping({})", self.monitor.name())
    }
}

impl Callback for EarlyStopping {
    fn on_epoch_end(
        &mut self,
        model: &mut Model,
        record: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        let value = self.monitor.value(record)?;
        let first = self.epochs == 0;
        self.epochs = self.epochs.saturating_add(1);
        if self.restore_best && self.weights.is_none() {
            self.weights = Some(model.weights());
        }
        self.wait = self.wait.saturating_add(1);
        if self.monitor.improves(value, self.best, self.min_delta) {
            self.best = Some(value);
            self.wait = 0;
            if self.restore_best && !first {
                self.weights = Some(model.weights());
            }
            return Ok(ControlFlow::Continue(()));
        }
        if self.wait >= self.patience && !first {
            return Ok(ControlFlow::Break(Stop::Finish));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn on_fit_end(&mut self, model: &mut Model, finished: bool) -> Result<(), CallbackError> {
        if let Some(weights) = self.weights.as_ref().filter(|_| finished) {
            model.set_weights(weights)?;
        }
        Ok(())
    }

    fn save_state(&self, states: &mut CallbackStates) {
        let values = [
            ("wait", Some(StateValue::Count(self.wait))),
            ("epochs", Some(StateValue::Count(self.epochs))),
            ("best", self.best.map(StateValue::Real)),
        ];
        states.insert(self.name(), state(values, self.weights.clone()));
    }

    fn restore_state(&mut self, states: &mut CallbackStates) -> Result<(), CallbackError> {
        let callback = self.name();
        if let Some(state) = states.take(&callback) {
            let values = Values { callback: &callback, state: &state };
            (self.wait, self.epochs) = (values.count("wait")?, values.count("epochs")?);
            self.best = values.optional_real("best")?;
            self.weights = state.weights;
        }
        Ok(())
    }
}
