//! `keepnet train`

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use keepnet::format::{Format, Recipient};
use keepnet::model::{CompileSettings, EpochRecord, Loss, Optimizer, OutputLoss};
use keepnet::report::numbers::grouped;
use keepnet::train::data::mnist;
use keepnet::{Callback, CallbackError, FitOptions, Model, SaveOptions, Stop};
use serde::Serialize;

use crate::failure::Failure;
use crate::foreign::{ForWhom, tell_hidden};
use crate::labelled::{compile_by_output, fitted};
use crate::outcome::{Outcome, Real, note};
use crate::paths::{InputShapes, keep_apart, load};

/// Train a model on, and save what it becomes
///
/// Optimizer, losses and metrics are those the model was compiled with; what the optimizer remembers
/// goes on. `--optimizer` and `--loss` compile it anew. A model without compile settings whose output
/// is a softmax vector is trained with Adam and sparse categorical cross-entropy. The bytes of images
/// are divided by 255.
#[derive(Args)]
#[command(after_help = "\
DIR holds four IDX files, as for `keepnet evaluate`; after each epoch the model is measured on the
test images among them.

Examples:
  keepnet train old.h5 --data DIR --epochs 2 --out new.keras
  keepnet train mnist.knet --out more.knet --learning-rate 0.0001")]
pub(crate) struct Train {
    /// The model, in any form
    model: PathBuf,
    #[command(flatten)]
    shapes: InputShapes,
    /// A folder of four IDX files (default: the 10,000 digits of MNIST that this program carries)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Times to go through the data
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Samples per step
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Where to save it; the name chooses the form, as for `keepnet convert`
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    #[command(flatten)]
    recipient: ForWhom,
    /// Compile it anew, with this optimizer
    #[arg(long, value_enum)]
    optimizer: Option<Rule>,
    /// Compile it anew, with this loss for every output
    #[arg(long, value_parser = loss)]
    loss: Option<Loss>,
    /// The learning rate (default: that of the model, or of the optimizer in Keras)
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Print JSON: from, to, samples, epochs (of each: epoch and values)
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Rule {
    Adam,
    Sgd,
    Rmsprop,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    from: String,
    to: String,
    samples: usize,
    epochs: Vec<Epoch>,
}

#[derive(Serialize)]
struct Epoch {
    /// Counted from 0 over the life of the model.
    epoch: u64,
    values: Vec<(String, Real<f64>)>,
}

impl Train {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        keep_apart(&self.model, &self.out, "the model")?;
        let (path, out) = (&self.model, &self.out);
        // A name of no known form is refused before the work, not behind it.
        let recipient = self.recipient.recipient(Format::for_saving(out)?)?;
        let mut model = load(path, &self.shapes)?;
        let (split, called) = match &self.data {
            Some(dir) => (mnist::from_dir(dir)?, dir.display().to_string()),
            None => (mnist::embedded()?, "the embedded digits".to_owned()),
        };
        self.compile(&mut model)?;
        let on_data = |source| {
            let (path, data, source) = (path.clone(), called.clone(), Box::new(source));
            Failure::Evaluate { path, data, source }
        };
        let train = fitted(&model, &split.train).map_err(on_data)?;
        let validation = Some(fitted(&model, &split.validation).map_err(on_data)?);
        let batch_size = self.batch_size as usize;
        let options =
            FitOptions { epochs: self.epochs, batch_size, validation, ..FitOptions::default() };
        let history = model.fit_with(&train, &options, &mut Progress).map_err(on_data)?;
        let Recipient { target, layout, .. } = recipient;
        let options = SaveOptions { target, layout, ..SaveOptions::default() };
        let hidden = model.save_reported(out, options).map_err(|source| match source {
            keepnet::Error::Format(error) => Failure::Format(error),
            other => Failure::Save { path: out.clone(), source: Box::new(other) },
        })?;
        tell_hidden(&hidden);
        if self.json {
            let real = |(name, value): &(String, f64)| (name.clone(), Real(*value));
            let epoch = |record: &EpochRecord| Epoch {
                epoch: record.epoch,
                values: record.values.iter().map(real).collect(),
            };
            return Outcome::json(&Report {
                from: path.display().to_string(),
                to: out.display().to_string(),
                samples: train.len(),
                epochs: history.epochs.iter().map(epoch).collect(),
            });
        }
        let samples = grouped(train.len() as u64);
        let mut text = format!("{} on {samples} samples of {called}\n", path.display());
        for record in &history.epochs {
            text += &format!("  {}\n", line(record));
        }
        Ok(Outcome::text(&(text + &format!("saved as {}\n", out.display()))))
    }

    /// Gives the model the settings it is to be trained with.
    fn compile(&self, model: &mut Model) -> Result<(), Failure> {
        let fail = |source| Failure::Train { path: self.model.clone(), source: Box::new(source) };
        let settings = model.compiled().cloned();
        if settings.is_none() && self.loss.is_none() {
            compile_by_output(&self.model, model)?;
        }
        if self.loss.is_some() || self.optimizer.is_some() {
            let known = model.compiled().cloned();
            let optimizer = match (self.optimizer, &known) {
                (Some(rule), _) => rule.optimizer(),
                (None, Some(settings)) => settings.optimizer.clone(),
                (None, None) => Optimizer::default(),
            };
            let outputs = model.graph().outputs().iter().map(|output| output.name.clone());
            let losses = match (self.loss, &known) {
                (None, Some(settings)) => settings.losses.clone(),
                (loss, _) => {
                    let loss = loss.unwrap_or(Loss::SparseCategoricalCrossentropy);
                    outputs.map(|output| OutputLoss::new(output, loss)).collect()
                }
            };
            let metrics = known.map(|settings| settings.metrics).unwrap_or_default();
            model.compile_with(CompileSettings { optimizer, losses, metrics }).map_err(fail)?;
        }
        match self.learning_rate {
            Some(rate) => model.set_learning_rate(rate).map_err(fail),
            None => Ok(()),
        }
    }
}

impl Rule {
    /// With the learning rate that Keras gives it.
    fn optimizer(self) -> Optimizer {
        match self {
            Self::Adam => Optimizer::adam(0.001),
            Self::Sgd => Optimizer::sgd(0.01, 0.0),
            Self::Rmsprop => Optimizer::rmsprop(0.001),
        }
    }
}

/// The loss of that name.
fn loss(name: &str) -> Result<Loss, String> {
    const LOSSES: [Loss; 18] = [
        Loss::SparseCategoricalCrossentropy,
        Loss::SparseCategoricalCrossentropyWithLogits,
        Loss::CategoricalCrossentropy,
        Loss::CategoricalCrossentropyWithLogits,
        Loss::BinaryCrossentropy,
        Loss::BinaryCrossentropyWithLogits,
        Loss::MeanSquaredError,
        Loss::MeanAbsoluteError,
        Loss::Huber { delta: 1.0 },
        Loss::LogCosh,
        Loss::KlDivergence,
        Loss::Poisson,
        Loss::Hinge,
        Loss::SquaredHinge,
        Loss::CategoricalHinge,
        Loss::MeanAbsolutePercentageError,
        Loss::MeanSquaredLogarithmicError,
        Loss::CosineSimilarity,
    ];
    let known = LOSSES.map(|loss| loss.name().to_string());
    let found = LOSSES.into_iter().zip(&known).find(|(_, known)| known.as_str() == name);
    found.map(|(loss, _)| loss).ok_or_else(|| format!("take one of {}", known.join(", ")))
}

/// Tells of each epoch when it is over.
struct Progress;

impl Callback for Progress {
    fn on_epoch_end(
        &mut self,
        _: &mut Model,
        record: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        note(&line(record));
        Ok(ControlFlow::Continue(()))
    }
}

/// `epoch 1: loss 0.25, accuracy 0.93`
fn line(record: &EpochRecord) -> String {
    let values: Vec<_> =
        record.values.iter().map(|(name, value)| format!("{name} {value:.6}")).collect();
    format!("epoch {}: {}", record.epoch + 1, values.join(", "))
}
