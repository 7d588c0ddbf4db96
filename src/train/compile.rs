//! Compiling: what a model is trained with.

use super::error::TrainError;
use crate::model::settings::within;
use crate::model::{CompileSettings, Loss, Metric, Optimizer, OutputLoss, SettingsError};
use crate::nn::{Model, Training};

impl Model {
    /// Sets optimizer and loss of a model with one output, and reports the accuracy where the loss
    /// is one of classification. The optimizer starts anew.
    ///
    /// # Errors
    /// If the model has several outputs, or a setting is out of its range.
    pub fn compile(
        &mut self,
        optimizer: impl Into<Optimizer>,
        loss: Loss,
    ) -> Result<(), TrainError> {
        let outputs = self.graph().outputs();
        let [output] = outputs else {
            return Err(SettingsError::Losses { outputs: outputs.len(), losses: 1 }.into());
        };
        let output = output.name.clone();
        self.compile_with(CompileSettings {
            optimizer: optimizer.into(),
            losses: vec![OutputLoss::new(output, loss)],
            metrics: if loss.is_crossentropy() { vec![Metric::Accuracy] } else { Vec::new() },
        })
    }

    /// Sets optimizer, one loss per output in the order of the outputs, and metrics. The optimizer
    /// starts anew, and a fit that was under way is [forgotten](Self::forget_fit).
    ///
    /// # Errors
    /// If the losses are not those of the outputs, or a setting is out of its range.
    pub fn compile_with(&mut self, settings: CompileSettings) -> Result<(), TrainError> {
        settings.check(self.graph())?;
        self.forget_fit();
        self.training = Some(Training::new(settings, self.layout()));
        Ok(())
    }

    /// Changes the learning rate, from the next step on. What the optimizer remembers stays.
    ///
    /// # Errors
    /// If the model is not compiled, or the rate is not above 0 and finite.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<(), TrainError> {
        let training = self.training.as_mut().ok_or(TrainError::NotCompiled)?;
        within("learning_rate", rate, rate > 0.0 && rate.is_finite(), "above 0 and finite")?;
        training.settings.optimizer.learning_rate = rate;
        Ok(())
    }
}
