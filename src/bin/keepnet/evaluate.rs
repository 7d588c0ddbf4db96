//! `keepnet evaluate`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use keepnet::model::{Loss, Optimizer, OutputLoss};
use keepnet::report::{Charset, ClassFigures, ConfusionMatrix};
use keepnet::train::data::mnist;
use keepnet::{Dataset, Evaluation, Model, Samples, Shape, Targets, TrainError};
use serde::Serialize;

use crate::failure::Failure;
use crate::outcome::{Outcome, Real, counted, note};
use crate::paths::{in_model, load};
use crate::predict::is_softmax;
use crate::ranking::largest;

/// Measure loss, metrics and confusion on images with labels
///
/// Losses and metrics are those the model was compiled with. A model without compile settings
/// whose output is a softmax vector is measured by sparse categorical cross-entropy and accuracy.
/// Images whose values are as many as the model takes, but in another shape, are given in row-major
/// order; labels become rows of zeros with a one where the loss wants values.
#[derive(Args)]
#[command(after_help = "\
DIR holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
t10k-labels-idx1-ubyte, each as it is or with .gz, as MNIST and Fashion-MNIST are published.

Examples:
  keepnet evaluate mnist.knet
  keepnet evaluate fashion.knet --data /usr/share/datasets/fashion-mnist
  keepnet evaluate mnist.knet --json | jq .values.accuracy")]
pub(crate) struct Evaluate {
    /// The model
    model: PathBuf,
    /// A folder of four IDX files, whose test images are taken (default: the 2,000 digits of MNIST
    /// that this program carries for validation)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON: data, samples, values (loss, then metrics), confusion (classes; counts, a row
    /// per true class and a column per predicted one), figures (precision, recall, f1, support
    /// per class)
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    data: &'a str,
    samples: u64,
    values: BTreeMap<&'a str, Real<f64>>,
    confusion: Option<Counts<'a>>,
    figures: Option<Vec<ClassFigures>>,
}

#[derive(Serialize)]
struct Counts<'a> {
    classes: &'a [String],
    counts: Vec<Vec<u64>>,
}

/// A table of counts for more classes than this fits no screen.
const SHOWN: usize = 20;

impl Evaluate {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let mut model = load(&self.model)?;
        let (split, called) = match &self.data {
            Some(dir) => (mnist::from_dir(dir)?, dir.display().to_string()),
            None => (mnist::embedded()?, "the embedded validation digits".to_owned()),
        };
        if model.compiled().is_none() {
            self.compile(&mut model)?;
        }
        let fail = |source| {
            let (path, data, source) = (self.model.clone(), called.clone(), Box::new(source));
            Failure::Evaluate { path, data, source }
        };
        let labelled = split.validation;
        let data = fitted(&model, &labelled).map_err(fail)?;
        let evaluation = model.evaluate(&data).map_err(fail)?;
        let confusion = self.confusion(&model, &data, &labelled)?;
        if self.json {
            return Outcome::json(&report(&called, &evaluation, confusion.as_ref()));
        }
        let samples = counted(evaluation.samples, "sample");
        let mut text = format!("{} on {called}: {samples}\n", self.model.display());
        let width = evaluation.values.iter().map(|(name, _)| name.chars().count()).max();
        let width = width.unwrap_or(0);
        for (name, value) in &evaluation.values {
            text += &format!("  {name:<width$}  {value:.6}\n");
        }
        if let Some(confusion) = confusion {
            if confusion.classes().len() <= SHOWN {
                text += &confusion.render_counts(Charset::of_environment());
            }
            text += &confusion.render_figures(Charset::of_environment());
        }
        Ok(Outcome::text(&text))
    }

    /// Gives a model without compile settings those that its output asks for.
    fn compile(&self, model: &mut Model) -> Result<(), Failure> {
        let path = || self.model.clone();
        match model.graph().outputs() {
            [output]
                if model.graph().shape(output.node).rank() == 1
                    && is_softmax(model.graph(), output) => {}
            _ => return Err(Failure::NotCompiled { path: path() }),
        }
        let loss = Loss::SparseCategoricalCrossentropy;
        note(&format!(
            "the model has no compile settings; measured by {} and accuracy",
            loss.name()
        ));
        let compiled = model.compile(Optimizer::default(), loss);
        compiled.map_err(|source| Failure::Train { path: path(), source: Box::new(source) })
    }

    /// Which class is taken for which, for a model whose one output has a value per class.
    fn confusion(
        &self,
        model: &Model,
        data: &Dataset,
        labelled: &Dataset,
    ) -> Result<Option<ConfusionMatrix>, Failure> {
        let (Some(count), Targets::Classes(truths)) = (classes(model), &labelled.targets()[0])
        else {
            return Ok(None);
        };
        let known = labelled.class_names().unwrap_or_default();
        let name = |class: usize| known.get(class).cloned().unwrap_or_else(|| class.to_string());
        let mut confusion = ConfusionMatrix::new((0..count).map(name));
        let outputs = model.predict_all(data.inputs());
        let outputs = outputs.map_err(|source| in_model(&self.model, source))?;
        for (row, &truth) in outputs[0].outer_iter().zip(truths.iter()) {
            let row: Vec<f32> = row.iter().copied().collect();
            confusion.add(truth as usize, largest(&row, 1)[0]);
        }
        Ok(Some(confusion))
    }
}

fn report<'a>(
    data: &'a str,
    evaluation: &'a Evaluation,
    confusion: Option<&'a ConfusionMatrix>,
) -> Report<'a> {
    let counts = |confusion: &'a ConfusionMatrix| {
        let all = 0..confusion.classes().len();
        let row = |truth| all.clone().map(|predicted| confusion.count(truth, predicted)).collect();
        Counts { classes: confusion.classes(), counts: all.clone().map(row).collect() }
    };
    let figures = |confusion: &ConfusionMatrix| {
        (0..confusion.classes().len()).map(|class| confusion.figures(class)).collect()
    };
    Report {
        data,
        samples: evaluation.samples,
        values: evaluation
            .values
            .iter()
            .map(|(name, value)| (name.as_str(), Real(*value)))
            .collect(),
        confusion: confusion.map(counts),
        figures: confusion.map(figures),
    }
}

/// How many classes a model tells apart by the largest of its values, if it is of that kind.
fn classes(model: &Model) -> Option<usize> {
    match model.graph().outputs() {
        [output] => match *model.graph().shape(output.node).dims() {
            [count] if count > 1 => Some(count),
            _ => None,
        },
        _ => None,
    }
}

/// `data` as the model takes it: images in the shape of its input where that has as many values,
/// and for a loss that compares values, rows with a one in the place of the class.
fn fitted(model: &Model, data: &Dataset) -> Result<Dataset, TrainError> {
    let samples = match model.graph().inputs() {
        [input] => reshaped(&data.inputs()[0], model.graph().shape(*input)),
        _ => data.inputs()[0].clone(),
    };
    let losses = model.compiled().map_or(&[][..], |settings| &settings.losses);
    let targets = match (losses, classes(model), &data.targets()[0]) {
        ([OutputLoss { loss, output, .. }], Some(count), Targets::Classes(labels))
            if !loss.takes_classes() =>
        {
            let outside = labels.iter().position(|&label| label as usize >= count);
            if let Some(sample) = outside {
                let (output, class) = (output.clone(), labels[sample]);
                return Err(TrainError::Class { output, sample, class, classes: count });
            }
            note(&format!("labels are compared as rows of {count} values: {}", loss.name()));
            one_hot(labels, count)
        }
        (_, _, targets) => targets.clone(),
    };
    Ok(Dataset::new(samples, targets).expect("as many targets as there were"))
}

fn reshaped(samples: &Samples, shape: &Shape) -> Samples {
    if samples.shape() == shape || samples.shape().checked_elements() != shape.checked_elements() {
        return samples.clone();
    }
    note(&format!("images of {} are given as {shape}, in row-major order", samples.shape()));
    let values: Vec<f32> = samples.to_array().into_iter().collect();
    Samples::new(samples.count(), shape.clone(), values).expect("as many values")
}

fn one_hot(labels: &[u32], count: usize) -> Targets {
    let mut rows = vec![0.0; labels.len() * count];
    for (row, &label) in rows.chunks_exact_mut(count).zip(labels) {
        row[label as usize] = 1.0;
    }
    Samples::new(labels.len(), Shape::vector(count), rows).expect("a row per label").into()
}
