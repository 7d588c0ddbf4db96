//! Lowers the learning rate when training gets no further.

use std::ops::ControlFlow;

use super::monitor::Monitor;
use super::state::{Values, state};
use crate::model::settings::within;
use crate::model::{EpochRecord, StateValue};
use crate::nn::Model;
use crate::train::{Callback, CallbackError, CallbackStates, Stop};

/// Multiplies the learning rate by `factor` when the monitored figure has not become better for
/// `patience` epochs, as Keras' `ReduceLROnPlateau` does. With a schedule, which Keras refuses here,
/// the rate that the schedule multiplies is lowered. Each fit is judged by itself; one that is
/// resumed goes on with what it remembers.
#[derive(Clone, Debug)]
pub struct ReduceOnPlateau {
    name: String,
    monitor: Monitor,
    factor: f64,
    patience: u64,
    min_delta: f64,
    min_rate: f64,
    cooldown: u64,
    memory: Memory,
}

/// What is remembered of a fit.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// Epochs since the best, and epochs in which none are counted.
    wait: u64,
    cooling: u64,
    best: Option<f64>,
}

impl ReduceOnPlateau {
    /// With Keras' defaults: a tenth after ten epochs without an improvement of more than 0.0001.
    /// It is named after the figure, `reduce_on_plateau(val_loss)`.
    pub fn new(monitor: Monitor) -> Self {
        Self {
            name: format!("reduce_on_plateau({})", monitor.name()),
            monitor,
            factor: 0.1,
            patience: 10,
            min_delta: 1e-4,
            min_rate: 0.0,
            cooldown: 0,
            memory: Memory::default(),
        }
    }

    /// The name that its memory has in the training state; no two callbacks of a fit share one.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// What the learning rate is multiplied by; above 0 and below 1.
    pub fn factor(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// After so many epochs without improvement the rate is lowered.
    pub fn patience(self, epochs: u64) -> Self {
        Self { patience: epochs, ..self }
    }

    /// What is better by no more than this is not better. The sign does not matter, as in Keras.
    pub fn min_delta(self, difference: f64) -> Self {
        Self { min_delta: difference.abs(), ..self }
    }

    /// The rate is not lowered beyond; 0 or more.
    pub fn min_rate(self, rate: f64) -> Self {
        Self { min_rate: rate, ..self }
    }

    /// For so many epochs less one after the rate was lowered, none is counted, as in Keras.
    pub fn cooldown(self, epochs: u64) -> Self {
        Self { cooldown: epochs, ..self }
    }

    /// Lowers the rate if it can be lowered.
    fn reduce(&mut self, model: &mut Model) -> Result<(), CallbackError> {
        let Some(rate) = model.compiled().map(|settings| settings.optimizer.learning_rate) else {
            return Ok(());
        };
        let lower = rate * self.factor;
        let lower = if lower > self.min_rate { lower } else { self.min_rate };
        // A product may be too small for an f64, and zero is no rate.
        if rate > self.min_rate && lower > 0.0 {
            model.set_learning_rate(lower)?;
            (self.memory.cooling, self.memory.wait) = (self.cooldown, 0);
        }
        Ok(())
    }
}

impl Callback for ReduceOnPlateau {
    fn on_fit_begin(&mut self, model: &Model, _: bool) -> Result<(), CallbackError> {
        self.memory = Memory::default();
        let (factor, least) = (self.factor, self.min_rate);
        within("factor", factor, factor > 0.0 && factor < 1.0, "above 0 and below 1")?;
        within("min_rate", least, least >= 0.0 && least.is_finite(), "0 or more and finite")?;
        self.monitor.check(model, self.min_delta)
    }

    fn on_epoch_end(
        &mut self,
        model: &mut Model,
        record: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        let value = self.monitor.value(record)?;
        let Memory { wait, cooling, best } = &mut self.memory;
        if *cooling > 0 {
            (*cooling, *wait) = (*cooling - 1, 0);
        }
        if self.monitor.improves(value, *best, self.min_delta) {
            (*best, *wait) = (Some(value), 0);
        } else if *cooling == 0 {
            *wait = wait.saturating_add(1);
            if *wait >= self.patience {
                self.reduce(model)?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn save_state(&self, states: &mut CallbackStates) {
        let Memory { wait, cooling, best } = self.memory;
        let values = [
            ("wait", Some(StateValue::Count(wait))),
            ("cooling", Some(StateValue::Count(cooling))),
            ("best", best.map(StateValue::Real)),
        ];
        states.insert(&self.name, state(values, None));
    }

    fn restore_state(&mut self, states: &mut CallbackStates) -> Result<(), CallbackError> {
        if let Some(state) = states.take(&self.name) {
            let values = Values { callback: &self.name, state: &state };
            self.memory = Memory {
                wait: values.count("wait")?,
                cooling: values.count("cooling")?,
                best: values.optional_real("best")?,
            };
        }
        Ok(())
    }
}
