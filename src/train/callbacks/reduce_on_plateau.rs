//! Lowers the learning rate when training gets no further.

use std::ops::ControlFlow;

use super::monitor::Monitor;
use super::state::{Values, state};
use crate::model::{EpochRecord, StateValue};
use crate::nn::Model;
use crate::train::{Callback, CallbackError, CallbackStates, Stop};

/// Multiplies the learning rate by `factor` when the monitored figure has not become better for
/// `patience` epochs, as Keras' `ReduceLROnPlateau` does. With a schedule, the rate that the
/// schedule multiplies is lowered.
#[derive(Clone, Debug)]
pub struct ReduceOnPlateau {
    monitor: Monitor,
    factor: f64,
    patience: u64,
    min_delta: f64,
    min_rate: f64,
    cooldown: u64,
    /// Epochs since the best, and epochs in which none are counted.
    wait: u64,
    cooling: u64,
    best: Option<f64>,
}

impl ReduceOnPlateau {
    /// With Keras' defaults: a tenth after ten epochs without an improvement of more than 0.0001.
    pub fn new(monitor: Monitor) -> Self {
        Self {
            monitor,
            factor: 0.1,
            patience: 10,
            min_delta: 1e-4,
            min_rate: 0.0,
            cooldown: 0,
            wait: 0,
            cooling: 0,
            best: None,
        }
    }

    /// What the learning rate is multiplied by; from 0 to below 1.
    pub fn factor(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// After so many epochs without improvement the rate is lowered.
    pub fn patience(self, epochs: u64) -> Self {
        Self { patience: epochs, ..self }
    }

    /// What is better by no more than this is not better.
    pub fn min_delta(self, difference: f64) -> Self {
        Self { min_delta: difference.abs(), ..self }
    }

    /// The rate is not lowered beyond.
    pub fn min_rate(self, rate: f64) -> Self {
        Self { min_rate: rate, ..self }
    }

    /// For so many epochs after the rate was lowered, none is counted.
    pub fn cooldown(self, epochs: u64) -> Self {
        Self { cooldown: epochs, ..self }
    }

    fn name(&self) -> String {
        format!("reduce_on_plateau({})", self.monitor.name())
    }

    fn reduce(&mut self, model: &mut Model) -> Result<(), CallbackError> {
        let Some(rate) = model.compiled().map(|settings| settings.optimizer.learning_rate) else {
            return Ok(());
        };
        if rate > self.min_rate {
            let lower = rate * self.factor;
            let lower = if lower > self.min_rate { lower } else { self.min_rate };
            model.set_learning_rate(lower)?;
            (self.cooling, self.wait) = (self.cooldown, 0);
        }
        Ok(())
    }
}

impl Callback for ReduceOnPlateau {
    fn on_epoch_end(
        &mut self,
        model: &mut Model,
        record: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        let value = self.monitor.value(record)?;
        if self.cooling > 0 {
            (self.cooling, self.wait) = (self.cooling - 1, 0);
        }
        if self.monitor.improves(value, self.best, self.min_delta) {
            (self.best, self.wait) = (Some(value), 0);
        } else if self.cooling == 0 {
            self.wait = self.wait.saturating_add(1);
            if self.wait >= self.patience {
                self.reduce(model)?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn save_state(&self, states: &mut CallbackStates) {
        let values = [
            ("wait", Some(StateValue::Count(self.wait))),
            ("cooling", Some(StateValue::Count(self.cooling))),
            ("best", self.best.map(StateValue::Real)),
        ];
        states.insert(self.name(), state(values, None));
    }

    fn restore_state(&mut self, states: &mut CallbackStates) -> Result<(), CallbackError> {
        let callback = self.name();
        if let Some(state) = states.take(&callback) {
            let values = Values { callback: &callback, state: &state };
            (self.wait, self.cooling) = (values.count("wait")?, values.count("cooling")?);
            self.best = values.optional_real("best")?;
        }
        Ok(())
    }
}
