//! The training loop, from wherever training stands to the end of the fit that is under way.

use std::ops::{ControlFlow, Range};

use super::callback::{Callback, CallbackStates, Moment, StepReport, Stop};
use super::data::Dataset;
use super::error::TrainError;
use super::evaluate::{Evaluation, named_values, set_means};
use super::optimizer;
use crate::model::{EpochRecord, History, Scores, ValidationRecord};
use crate::nn::{Arithmetic, Batch, Executor, Model};
use crate::ops::random::permutation;

/// What is trained on and evaluated, checked.
pub(super) struct Task<'d> {
    data: &'d Dataset,
    /// How many samples, from the first on, are trained on; the rest is evaluated.
    trained: usize,
    validation: Option<&'d Dataset>,
}

impl<'d> Task<'d> {
    pub(super) fn new(
        model: &Model,
        data: &'d Dataset,
        validation: Option<&'d Dataset>,
        record: &ValidationRecord,
    ) -> Result<Self, TrainError> {
        model.check_data(data)?;
        if let Some(validation) = validation {
            model.check_data(validation)?;
        }
        let trained = match record {
            ValidationRecord::Split(share) => (data.len() as f64 * (1.0 - share)) as usize,
            ValidationRecord::Given(_) | ValidationRecord::None => data.len(),
        };
        if trained == 0 {
            return Err(TrainError::NoSamples { what: "train on" });
        }
        if u32::try_from(trained).is_err() {
            return Err(TrainError::TooManySamples { found: trained });
        }
        Ok(Self { data, trained, validation })
    }

    pub(super) fn trained(&self) -> usize {
        self.trained
    }

    fn validate(&self, model: &Model) -> Result<Option<Evaluation>, TrainError> {
        match self.validation {
            Some(data) => Ok(Some(model.evaluate(data)?)),
            None if self.trained < self.data.len() => {
                let held_back = Vec::from_iter(self.trained..self.data.len());
                Ok(Some(model.evaluate_at(self.data, &held_back)?))
            }
            None => Ok(None),
        }
    }
}

/// Why the loop was left.
enum End {
    Finished,
    Interrupted,
}

impl Model {
    /// Goes on with the fit that is under way. Gives what was reported for each epoch that ended.
    pub(super) fn run(
        &mut self,
        task: &Task<'_>,
        callback: &mut dyn Callback,
    ) -> Result<History, TrainError> {
        let before = self.history.epochs.len();
        self.arithmetic = Arithmetic::CURRENT;
        let end = self.run_epochs(task, callback)?;
        let finished = matches!(end, End::Finished);
        if finished {
            self.forget_fit();
        }
        callback.on_fit_end(self, finished).map_err(TrainError::callback)?;
        Ok(History { epochs: self.history.epochs[before..].to_vec() })
    }

    fn run_epochs(
        &mut self,
        task: &Task<'_>,
        callback: &mut dyn Callback,
    ) -> Result<End, TrainError> {
        let settings = self.compiled().ok_or(TrainError::NotCompiled)?.clone();
        let fit = self.fit.as_ref().ok_or(TrainError::NoFit)?;
        let (batch_size, shuffle) = (usize::try_from(fit.batch_size), fit.shuffle);
        let batch_size = batch_size.unwrap_or(usize::MAX);
        let largest = batch_size.min(task.trained);
        let mut executor = Executor::new(self.graph(), self.layout(), &settings, largest, true);
        let ranges: Vec<_> = self.layout().trained(self.graph()).map(|(_, range)| range).collect();
        let steps = task.trained.div_ceil(batch_size) as u64;
        let (epoch, step, samples) = (self.epoch, self.step_in_epoch, 0);
        let mut report =
            StepReport { epoch, step, steps, samples, values: named_values(&settings) };
        while self.fit.as_ref().is_some_and(|fit| self.epoch < fit.end) {
            let order: Vec<usize> = match shuffle {
                true => shuffled(self.seed, self.epoch, task.trained),
                false => (0..task.trained).collect(),
            };
            let done = self.step_in_epoch.min(steps) as usize;
            match &self.scores {
                Some(scores) => set_means(&mut report.values, scores, &settings),
                None => set_means(&mut report.values, &Scores::new(&settings), &settings),
            }
            for indices in order.chunks(batch_size).skip(done) {
                let (inputs, targets) = (task.data.inputs(), task.data.targets());
                self.step(&mut executor, &ranges, Batch { inputs, targets, indices })?;
                self.step_in_epoch += 1;
                let scores = self.scores.get_or_insert_with(|| Scores::new(&settings));
                scores.add(executor.scores());
                report.samples = scores.samples;
                set_means(&mut report.values, scores, &settings);
                (report.epoch, report.step) = (self.epoch, self.step_in_epoch);
                let answer = callback.on_step_end(self, &report);
                self.remember(callback)?;
                let answer = answer.map_err(TrainError::callback)?;
                let moment = Moment::Step(&report);
                callback.on_settled(self, moment).map_err(TrainError::callback)?;
                if answer.is_break() {
                    return Ok(End::Interrupted);
                }
            }
            let mut values = report.values.clone();
            let found = task.validate(self)?.into_iter().flat_map(|found| found.values);
            values.extend(found.map(|(name, value)| (validated(&name), value)));
            let record = EpochRecord { epoch: self.epoch, values };
            self.epoch += 1;
            (self.step_in_epoch, self.scores) = (0, None);
            self.history.epochs.push(record.clone());
            let answer = callback.on_epoch_end(self, &record);
            if matches!(answer, Ok(ControlFlow::Break(Stop::Finish))) {
                self.finish_fit();
            }
            self.remember(callback)?;
            let answer = answer.map_err(TrainError::callback)?;
            callback.on_settled(self, Moment::Epoch(&record)).map_err(TrainError::callback)?;
            let over = self.fit.as_ref().is_none_or(|fit| self.epoch >= fit.end);
            if answer.is_break() && !over {
                return Ok(End::Interrupted);
            }
        }
        Ok(End::Finished)
    }

    /// The names of what an epoch of the fit reports, or could report where no fit is under way.
    pub(super) fn epoch_figures(&self) -> Vec<String> {
        let figures = || self.compiled().into_iter().flat_map(named_values).map(|(name, _)| name);
        let validates =
            self.fit.as_ref().is_none_or(|fit| fit.validation != ValidationRecord::None);
        let of_validation = figures().filter(|_| validates).map(|name| validated(&name));
        figures().chain(of_validation).collect()
    }

    /// Makes the epoch that has just ended the last of the fit.
    pub(super) fn finish_fit(&mut self) {
        if let Some(fit) = &mut self.fit {
            fit.end = self.epoch;
        }
    }

    /// Takes the callbacks' states into the model, so that they are saved with it.
    pub(super) fn remember(&mut self, callback: &dyn Callback) -> Result<(), TrainError> {
        if let Some(fit) = &mut self.fit {
            fit.callbacks = CallbackStates::of(callback)?;
        }
        Ok(())
    }

    /// One step of the optimizer along the gradient of a batch. `ranges` are where the parameters lie
    /// that training changes.
    fn step(
        &mut self,
        executor: &mut Executor,
        ranges: &[Range<usize>],
        batch: Batch<'_>,
    ) -> Result<(), TrainError> {
        let (seed, epoch) = (self.seed, self.epoch);
        let (parameters, training) = self.training_parts();
        let training = training.ok_or(TrainError::NotCompiled)?;
        rayon::scope(|_| {
            executor.train(parameters, batch, seed, epoch)?;
            training.step = training.step.saturating_add(1);
            optimizer::step(
                &training.settings.optimizer,
                training.step,
                parameters,
                &mut training.slots,
                executor.gradient_mut(),
                ranges,
            );
            Ok(())
        })
    }
}

/// What a figure is called where it is one of the validation.
fn validated(name: &str) -> String {
    format!("val_{name}")
}

/// The order of `count` samples in an epoch.
fn shuffled(seed: u64, epoch: u64, count: usize) -> Vec<usize> {
    let count = u32::try_from(count).expect("checked with the task");
    permutation(seed, epoch, count).into_iter().map(|index| index as usize).collect()
}
