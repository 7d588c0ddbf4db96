//! Ends a fit that no longer gets better.

use std::ops::ControlFlow;

use super::monitor::Monitor;
use super::state::{Values, state};
use crate::model::{EpochRecord, StateValue};
use crate::nn::{Model, Weights};
use crate::train::{Callback, CallbackError, CallbackStates, Stop};

/// Ends the fit when the monitored figure has not become better for `patience` epochs, as Keras'
/// `EarlyStopping` does (without `baseline` and `start_from_epoch`). The first epoch never ends it.
/// Each fit is judged by itself; one that is resumed goes on with what it remembers.
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    name: String,
    monitor: Monitor,
    patience: u64,
    min_delta: f64,
    restore_best: bool,
    memory: Memory,
}

/// What is remembered of a fit.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// Epochs since the best.
    wait: u64,
    epochs: u64,
    best: Option<f64>,
    weights: Option<Weights>,
}

impl EarlyStopping {
    /// With a patience of no epoch, no least difference, and the last parameters kept, as in Keras.
    /// It is named after the figure, `early_stopping(val_loss)`.
    pub fn new(monitor: Monitor) -> Self {
        Self {
            name: format!("early_stopping({})", monitor.name()),
            monitor,
            patience: 0,
            min_delta: 0.0,
            restore_best: false,
            memory: Memory::default(),
        }
    }

    /// The name that its memory has in the training state; no two callbacks of a fit share one.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// So many epochs without improvement are borne.
    pub fn patience(self, epochs: u64) -> Self {
        Self { patience: epochs, ..self }
    }

    /// What is better by no more than this is not better. The sign does not matter, as in Keras.
    pub fn min_delta(self, difference: f64) -> Self {
        Self { min_delta: difference.abs(), ..self }
    }

    /// At the end of the fit the parameters of the best epoch come back, even if all epochs were
    /// run.
    pub fn restore_best(self) -> Self {
        Self { restore_best: true, ..self }
    }
}

impl Callback for EarlyStopping {
    fn on_fit_begin(&mut self, model: &Model, _: bool) -> Result<(), CallbackError> {
        self.memory = Memory::default();
        self.monitor.check(model, self.min_delta)
    }

    fn on_epoch_end(
        &mut self,
        model: &mut Model,
        record: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        let value = self.monitor.value(record)?;
        let Memory { wait, epochs, best, weights } = &mut self.memory;
        let first = *epochs == 0;
        *epochs = epochs.saturating_add(1);
        *wait = wait.saturating_add(1);
        let improved = self.monitor.improves(value, *best, self.min_delta);
        if self.restore_best && (first || improved) {
            *weights = Some(model.weights());
        }
        if improved {
            (*best, *wait) = (Some(value), 0);
        } else if *wait >= self.patience && !first {
            return Ok(ControlFlow::Break(Stop::Finish));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn on_fit_end(&mut self, model: &mut Model, finished: bool) -> Result<(), CallbackError> {
        if let Some(weights) = self.memory.weights.as_ref().filter(|_| finished) {
            model.set_weights(weights)?;
        }
        Ok(())
    }

    fn save_state(&self, states: &mut CallbackStates) {
        let Memory { wait, epochs, best, weights } = &self.memory;
        let values = [
            ("wait", Some(StateValue::Count(*wait))),
            ("epochs", Some(StateValue::Count(*epochs))),
            ("best", best.map(StateValue::Real)),
        ];
        states.insert(&self.name, state(values, weights.clone()));
    }

    fn restore_state(&mut self, states: &mut CallbackStates) -> Result<(), CallbackError> {
        if let Some(state) = states.take(&self.name) {
            let values = Values { callback: &self.name, state: &state };
            self.memory = Memory {
                wait: values.count("wait")?,
                epochs: values.count("epochs")?,
                best: values.optional_real("best")?,
                weights: state.weights,
            };
        }
        Ok(())
    }
}
