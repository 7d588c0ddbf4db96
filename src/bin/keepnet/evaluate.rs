//! `keepnet evaluate`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use keepnet::report::{Charset, ClassFigures, ConfusionMatrix};
use keepnet::train::data::mnist;
use keepnet::{Dataset, Evaluation, Model, Targets};
use serde::Serialize;

use crate::failure::Failure;
use crate::labelled::{classes, compile_by_output, fitted};
use crate::outcome::{Outcome, Real, counted};
use crate::paths::{InputShapes, in_model, load};
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
    #[command(flatten)]
    shapes: InputShapes,
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
        let mut model = load(&self.model, &self.shapes)?;
        let (split, called) = match &self.data {
            Some(dir) => (mnist::from_dir(dir)?, dir.display().to_string()),
            None => (mnist::embedded()?, "the embedded validation digits".to_owned()),
        };
        if model.compiled().is_none() {
            compile_by_output(&self.model, &mut model)?;
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
