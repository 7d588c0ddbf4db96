//! The training loop.

use std::ops::Range;

use super::callback::{Callback, StepReport};
use super::data::Dataset;
use super::error::TrainError;
use super::evaluate::{named_values, set_means};
use super::optimizer;
use crate::model::{EpochRecord, History};
use crate::nn::{Batch, Executor, Model, Scores};
use crate::ops::random::permutation;

/// How to train. Everything else a model has been compiled with.
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// Times to go through the data. An epoch that was interrupted is finished first, and counts.
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
    /// Trains on `data`. Gives what was reported for each epoch; the model keeps all of it in its
    /// [`history`](Self::history).
    ///
    /// # Errors
    /// If the model is not compiled, the data is not what it takes and gives, or an option is out of
    /// its range.
    pub fn fit(&mut self, data: &Dataset, options: &FitOptions) -> Result<History, TrainError> {
        // With nobody to be told, all of it can run in the thread pool.
        rayon::scope(|_| self.fit_with(data, options, &mut ()))
    }

    /// The same, telling `callback` of each step and epoch. Each step enters the thread pool once,
    /// because a callback may be bound to the calling thread; where that thread is one of the
    /// pool's, as inside of [`rayon::ThreadPool::install`], training never leaves it.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_with(
        &mut self,
        data: &Dataset,
        options: &FitOptions,
        callback: &mut dyn Callback,
    ) -> Result<History, TrainError> {
        self.check_data(data)?;
        if let Some(validation) = &options.validation {
            self.check_data(validation)?;
        }
        let FitOptions { epochs, batch_size, shuffle, .. } = *options;
        if batch_size == 0 {
            let (setting, rule) = ("batch_size", "1 or more");
            return Err(TrainError::Setting { setting, rule, found: 0.0 });
        }
        let trained = trained_samples(data.len(), options)?;
        let settings = self.compiled().ok_or(TrainError::NotCompiled)?.clone();
        let largest = batch_size.min(trained);
        let mut executor = Executor::new(self.graph(), self.layout(), &settings, largest, true);
        let ranges: Vec<_> = self.layout().trained(self.graph()).map(|(_, range)| range).collect();
        let steps = trained.div_ceil(batch_size) as u64;
        let (epoch, step, samples) = (self.epoch, self.step_in_epoch, 0);
        let mut report =
            StepReport { epoch, step, steps, samples, values: named_values(&settings) };
        let mut history = History::default();
        for _ in 0..epochs {
            let order: Vec<usize> = match shuffle {
                true => shuffled(self.seed, self.epoch, trained),
                false => (0..trained).collect(),
            };
            let mut scores = Scores::new(&settings);
            let done = self.step_in_epoch.min(steps) as usize;
            for indices in order.chunks(batch_size).skip(done) {
                let (inputs, targets) = (data.inputs(), data.targets());
                self.step(&mut executor, &ranges, Batch { inputs, targets, indices })?;
                scores.add(executor.scores());
                self.step_in_epoch += 1;
                (report.epoch, report.step) = (self.epoch, self.step_in_epoch);
                report.samples = scores.samples;
                set_means(&mut report.values, &scores);
                if callback.on_step_end(self, &report).is_break() {
                    return Ok(history);
                }
            }
            // An epoch interrupted after its last step has nothing left to report of it.
            let mut values = match scores.samples {
                0 => Vec::new(),
                _ => report.values.clone(),
            };
            let validated = match &options.validation {
                Some(data) => Some(self.evaluate(data)?),
                None if trained < data.len() => {
                    Some(self.evaluate_at(data, &Vec::from_iter(trained..data.len()))?)
                }
                None => None,
            };
            let validated = validated.into_iter().flat_map(|evaluation| evaluation.values);
            values.extend(validated.map(|(name, value)| (format!("val_{name}"), value)));
            let record = EpochRecord { epoch: self.epoch, values };
            self.epoch += 1;
            self.step_in_epoch = 0;
            self.history.epochs.push(record.clone());
            history.epochs.push(record);
            let record = history.epochs.last().expect("just pushed");
            if callback.on_epoch_end(self, record).is_break() {
                break;
            }
        }
        Ok(history)
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
            training.step += 1;
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

/// The order of `count` samples in an epoch.
fn shuffled(seed: u64, epoch: u64, count: usize) -> Vec<usize> {
    let count = u32::try_from(count).expect("checked by `trained_samples`");
    permutation(seed, epoch, count).into_iter().map(|index| index as usize).collect()
}

/// How many samples, from the first on, are trained on.
fn trained_samples(count: usize, options: &FitOptions) -> Result<usize, TrainError> {
    let split = options.validation_split;
    if !(0.0..1.0).contains(&split) {
        let (setting, rule) = ("validation_split", "from 0 to below 1");
        return Err(TrainError::Setting { setting, rule, found: split });
    }
    let trained = match options.validation {
        Some(_) => count,
        None => (count as f64 * (1.0 - split)) as usize,
    };
    if trained == 0 {
        return Err(TrainError::NoSamples { what: "train on" });
    }
    if u32::try_from(trained).is_err() {
        return Err(TrainError::TooManySamples { found: trained });
    }
    Ok(trained)
}
