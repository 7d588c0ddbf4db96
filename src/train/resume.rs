//! Going on with a fit that was interrupted.

use super::callback::{Callback, CallbackStates};
use super::data::Dataset;
use super::epochs::Task;
use super::error::TrainError;
use crate::model::settings::within;
use crate::model::{DataRecord, FitState, History, Scores, ValidationRecord};
use crate::nn::{Arithmetic, Model, Weights};

/// What is to be different from the fit that was interrupted: by default nothing. Whatever is
/// different, training does not go on to the same bits.
#[derive(Clone, Debug, Default)]
pub struct ResumeOptions {
    /// The data that the fit evaluates after each epoch, if it was given such.
    pub validation: Option<Dataset>,
    /// The epochs that the model is to have behind it in the end.
    pub end: Option<u64>,
    /// Another number of samples per step. An interrupted epoch begins anew then.
    pub batch_size: Option<usize>,
    /// Go on with other data, to train on or to evaluate.
    pub other_data: bool,
    /// Go on with another revision of the arithmetic.
    pub other_arithmetic: bool,
    /// Go on with another number of samples per shard.
    pub other_shard: bool,
    /// Go on with an optimizer that starts anew.
    pub other_optimizer: bool,
    /// Go on without callbacks that took part.
    pub other_callbacks: bool,
}

impl Model {
    /// Goes on with the fit that was interrupted, from the step that it stopped at, with the batch
    /// size, order and epochs as before; the model may have been saved and loaded meanwhile. The
    /// result is what it would have been without the interruption, in every bit of parameters,
    /// optimizer and history, for callbacks made like those of the fit.
    ///
    /// Keras has `BackupAndRestore` for this, which takes over from the `fit` it is given to. Here it
    /// is a call of its own because the options are those in the checkpoint: `fit` would have to
    /// ignore those it is given, or believe them against the checkpoint.
    ///
    /// # Errors
    /// If no fit is under way, if data, arithmetic or callbacks are not those of the fit (unless
    /// `options` say so), and as [`fit_with`](Self::fit_with).
    pub fn resume(
        &mut self,
        data: &Dataset,
        options: &ResumeOptions,
        callback: &mut dyn Callback,
    ) -> Result<History, TrainError> {
        self.check_passed_over()?;
        let mut fit = self.fit.clone().ok_or(TrainError::NoFit)?;
        self.check_arithmetic(options)?;
        let begun = self.epoch > 0 || self.step_in_epoch > 0;
        if begun && self.steps() == 0 && !options.other_optimizer {
            return Err(TrainError::NoOptimizerState);
        }
        adopt_data(&mut fit, data, options)?;
        if let ValidationRecord::Split(share) = fit.validation {
            within("validation_split", share, (0.0..1.0).contains(&share), "from 0 to below 1")?;
        }
        let task = Task::new(self, data, options.validation.as_ref(), &fit.validation)?;
        let size = options.batch_size.map_or(fit.batch_size, |size| size as u64);
        within("batch_size", 0.0, size > 0, "1 or more")?;
        let anew = size != fit.batch_size;
        if !anew && !options.other_data {
            self.check_sums(&fit, task.trained())?;
        }
        (fit.batch_size, fit.end) = (size, options.end.unwrap_or(fit.end));
        let states = fit.callbacks.clone();
        self.begin(fit, |model| {
            callback.on_fit_begin(model, true).map_err(TrainError::callback_refuses)?;
            let missing =
                CallbackStates::restore(states, callback).map_err(TrainError::callback_refuses)?;
            match missing.filter(|_| !options.other_callbacks) {
                Some(name) => Err(TrainError::OtherCallbacks { name }),
                None => model.remember(callback),
            }
        })?;
        if anew {
            (self.step_in_epoch, self.scores) = (0, None);
        }
        self.run(&task, callback)
    }

    /// An interrupted epoch has done no more steps than it has, and its sums are over the samples that
    /// these took.
    fn check_sums(&self, fit: &FitState<Weights>, trained: usize) -> Result<(), TrainError> {
        let (steps, trained) = (self.step_in_epoch, trained as u64);
        let all = trained.div_ceil(fit.batch_size.max(1));
        if steps > all {
            return Err(TrainError::OtherSteps { expected: all, found: steps });
        }
        let expected = steps.saturating_mul(fit.batch_size).min(trained);
        match &self.scores {
            Some(Scores { samples, .. }) if *samples != expected => {
                Err(TrainError::OtherSums { steps, expected, found: *samples })
            }
            _ => Ok(()),
        }
    }

    fn check_arithmetic(&self, options: &ResumeOptions) -> Result<(), TrainError> {
        let (now, before) = (Arithmetic::CURRENT, self.arithmetic);
        if before.shard != now.shard && !options.other_shard {
            return Err(TrainError::OtherShard { before: before.shard, now: now.shard });
        }
        if before.revision != now.revision && !options.other_arithmetic {
            return Err(TrainError::OtherArithmetic { before: before.revision, now: now.revision });
        }
        Ok(())
    }
}

/// Checks that the data is that of the fit, or makes it so.
fn adopt_data(
    fit: &mut FitState<Weights>,
    data: &Dataset,
    options: &ResumeOptions,
) -> Result<(), TrainError> {
    let found = data.record();
    let validation = options.validation.as_ref().map(Dataset::record);
    if options.other_data {
        fit.data = found;
        fit.validation = match (validation, &fit.validation) {
            (Some(validation), _) => ValidationRecord::Given(validation),
            (None, &ValidationRecord::Split(share)) => ValidationRecord::Split(share),
            (None, _) => ValidationRecord::None,
        };
        return Ok(());
    }
    same_data("the data to train on", &fit.data, &found)?;
    match (&fit.validation, validation) {
        (ValidationRecord::Given(before), Some(found)) => {
            same_data("the data to validate on", before, &found)
        }
        (ValidationRecord::Given(before), None) => {
            Err(TrainError::NoValidation { before: Box::new(before.clone()) })
        }
        (ValidationRecord::None | ValidationRecord::Split(_), Some(_)) => {
            Err(TrainError::NewValidation)
        }
        (ValidationRecord::None | ValidationRecord::Split(_), None) => Ok(()),
    }
}

fn same_data(
    what: &'static str,
    before: &DataRecord,
    found: &DataRecord,
) -> Result<(), TrainError> {
    if before.same_data(found) {
        return Ok(());
    }
    let (before, found) = (Box::new(before.clone()), Box::new(found.clone()));
    Err(TrainError::OtherData { what, before, found })
}
