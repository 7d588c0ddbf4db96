//! What a fit is asked for.

use super::callback::Callback;
use super::data::Dataset;
use super::epochs::Task;
use super::error::TrainError;
use crate::model::settings::within;
use crate::model::training::MAX_COUNT;
use crate::model::{FitState, History, ValidationRecord};
use crate::nn::{Model, Weights};

/// How to train. Everything else a model has been compiled with.
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// Times to go through the data. With 2^53 or more it goes on until a callback ends it.
    pub epochs: u64,
    /// Samples per step; the last step of an epoch takes what is left.
    pub batch_size: usize,
    /// Whether each epoch takes the samples in an order of its own, keyed by the model's seed.
    pub shuffle: bool,
    /// Data to evaluate after each epoch.
    pub validation: Option<Dataset>,
    /// Without `validation`: this share of the data, taken from its end, is not trained on but
    /// evaluated after each epoch.
    pub validation_split: f64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { epochs: 1, batch_size: 32, shuffle: true, validation: None, validation_split: 0.0 }
    }
}

impl Model {
    /// What was passed over when the model was read would be lost after a step of training.
    pub(super) fn check_passed_over(&self) -> Result<(), TrainError> {
        match self.passed_over() {
            [] => Ok(()),
            sections => Err(TrainError::PassedOver { sections: sections.to_vec() }),
        }
    }

    /// Trains on `data`. Gives what was reported for each epoch; the model keeps all of it in its
    /// [`history`](Self::history).
    ///
    /// # Errors
    /// If the model is not compiled, the data is not what it takes and gives, an option is out of
    /// its range, or a fit was interrupted, which [`resume`](Self::resume) goes on with and
    /// [`forget_fit`](Self::forget_fit) gives up.
    pub fn fit(&mut self, data: &Dataset, options: &FitOptions) -> Result<History, TrainError> {
        // With nobody to be told, all of it can run in the thread pool.
        rayon::scope(|_| self.fit_with(data, options, &mut ()))
    }

    /// The same, telling `callback` of each step and epoch. Each step enters the thread pool once,
    /// because a callback may be bound to the calling thread; where that thread is one of the
    /// pool's, as inside of [`rayon::ThreadPool::install`], training never leaves it.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and if the callback fails. A fit that does not begin leaves the model
    /// as it was; what happens later, [`resume`](Self::resume) goes on from.
    pub fn fit_with(
        &mut self,
        data: &Dataset,
        options: &FitOptions,
        callback: &mut dyn Callback,
    ) -> Result<History, TrainError> {
        self.check_passed_over()?;
        if self.fit.is_some() || self.step_in_epoch > 0 {
            return Err(TrainError::Interrupted { epoch: self.epoch, steps: self.step_in_epoch });
        }
        let FitOptions { epochs, batch_size, shuffle, validation, validation_split } = options;
        within("batch_size", 0.0, *batch_size > 0, "1 or more")?;
        let share = *validation_split;
        within("validation_split", share, (0.0..1.0).contains(&share), "from 0 to below 1")?;
        let record = match validation {
            Some(data) => ValidationRecord::Given(data.record()),
            None if share > 0.0 => ValidationRecord::Split(share),
            None => ValidationRecord::None,
        };
        let task = Task::new(self, data, validation.as_ref(), &record)?;
        let fit = FitState {
            batch_size: *batch_size as u64,
            shuffle: *shuffle,
            end: self.epoch.saturating_add(*epochs),
            data: data.record(),
            validation: record,
            callbacks: Default::default(),
        };
        self.begin(fit, |model| {
            callback.on_fit_begin(model, false).map_err(TrainError::callback_refuses)?;
            model.remember(callback)
        })?;
        self.run(&task, callback)
    }

    /// Puts a fit in place if what has to happen before its first step succeeds.
    pub(super) fn begin(
        &mut self,
        mut fit: FitState<Weights>,
        prepare: impl FnOnce(&mut Self) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        // No fit comes to more, and with more it could not be saved.
        fit.end = fit.end.min(MAX_COUNT);
        let before = self.fit.replace(fit);
        prepare(self).inspect_err(|_| self.fit = before)
    }
}
