//! `keepnet predict`

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use keepnet::Shape;
use keepnet::bytes::atomic;
use keepnet::model::{Activation, Graph, Output};
use keepnet::report::numbers::percent;
use keepnet::report::{Align, Charset, Table};
use keepnet::wire::npy;
use ndarray::ArrayD;
use serde::Serialize;

use crate::failure::Failure;
use crate::inputs::{Inputs, read_inputs, split_name};
use crate::outcome::{Outcome, Real, counted};
use crate::paths::{InputShapes, in_model, keep_apart, load};
use crate::ranking::largest;

/// Run a model on a NumPy array or on pictures
///
/// An array holds the samples along its first dimension, images as (N, height, width, channels).
/// float32 is taken bit for bit; integers, bool and float64 are converted if nothing is lost but
/// float64's rounding. Values are not scaled.
///
/// Pictures are PNG files. Each is made gray or RGB as the model has 1 or 3 channels, stretched to
/// its size (each value is the mean of the area it covers) and divided by 255; transparent pixels
/// lie over white. A model trained on light strokes over black, as in MNIST, needs --invert for ink
/// on paper.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keepnet predict mnist.knet --input x.npy --output y.npy
  keepnet predict mnist.knet digits/*.png --invert --top 3
  keepnet predict pair.knet -i left=l.npy -i right=r.npy -o same=s.npy
  keepnet predict mnist.knet 7.png --json | jq '.outputs[0].predictions[0].top'")]
pub(crate) struct Predict {
    /// The model
    model: PathBuf,
    #[command(flatten)]
    shapes: InputShapes,
    /// The same as --input FILE each
    #[arg(value_name = "FILE", required_unless_present = "input")]
    files: Vec<OsString>,
    /// An .npy file, or PNG pictures (repeat it); NAME chooses among several inputs of the model
    #[arg(long, short, value_name = "[NAME=]FILE")]
    input: Vec<OsString>,
    /// Write what an output gives, float32, to this .npy file instead of printing it
    #[arg(long, short, value_name = "[NAME=]FILE")]
    output: Vec<OsString>,
    /// Print the K largest values of each sample, and where they stand
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Swap black and white of pictures
    #[arg(long)]
    invert: bool,
    /// Print JSON: samples, outputs (of each: name, shape, file if written, or else predictions
    /// with sample and top, a list of index and value)
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    samples: usize,
    outputs: Vec<OutputReport<'a>>,
}

#[derive(Serialize)]
struct OutputReport<'a> {
    name: &'a str,
    #[serde(skip)]
    softmax: bool,
    /// Of one sample.
    shape: &'a [usize],
    #[serde(flatten)]
    given: Given<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Given<'a> {
    File(String),
    Predictions(Vec<Prediction<'a>>),
}

#[derive(Serialize)]
struct Prediction<'a> {
    sample: &'a str,
    top: Vec<Ranked>,
}

/// A value and its place in the output.
#[derive(Serialize)]
struct Ranked {
    index: Vec<usize>,
    value: Real<f32>,
}

impl Predict {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let model = load(&self.model, &self.shapes)?;
        let graph = model.graph();
        let arguments: Vec<OsString> = self.input.iter().chain(&self.files).cloned().collect();
        let Inputs { samples, labels, files } = read_inputs(graph, &arguments, self.invert)?;
        let written = self.written(graph, &files)?;
        let values = model.predict_all(&samples);
        let values = values.map_err(|source| in_model(&self.model, source))?;

        let mut reports = Vec::new();
        for (index, (output, values)) in graph.outputs().iter().zip(&values).enumerate() {
            let shape = graph.shape(output.node);
            let given = match written.get(&index) {
                Some(path) => {
                    let write = atomic::write_file(path, |out| npy::write(&values.view(), out));
                    write.map_err(|source| Failure::Write { path: path.clone(), source })?;
                    Given::File(path.display().to_string())
                }
                // Who names files wants those.
                None if !written.is_empty() => continue,
                None => Given::Predictions(self.rank(shape, values, &labels)),
            };
            let softmax = is_softmax(graph, output);
            let (name, shape) = (output.name.as_str(), shape.dims());
            reports.push(OutputReport { name, softmax, shape, given });
        }
        if self.json {
            return Outcome::json(&Report { samples: labels.len(), outputs: reports });
        }
        let mut text = String::new();
        for report in &reports {
            text += &report.text(labels.len());
        }
        Ok(Outcome::text(&text))
    }

    /// Where each output goes that has a file.
    fn written(
        &self,
        graph: &Graph,
        inputs: &[PathBuf],
    ) -> Result<BTreeMap<usize, PathBuf>, Failure> {
        let names: Vec<&str> = graph.outputs().iter().map(|output| output.name.as_str()).collect();
        let mut written: BTreeMap<usize, PathBuf> = BTreeMap::new();
        for argument in &self.output {
            let (index, path) = split_name("output", argument, &names)?;
            keep_apart(&self.model, &path, "the model")?;
            for input in inputs {
                keep_apart(input, &path, "an input")?;
            }
            for earlier in written.values() {
                keep_apart(earlier, &path, "another output")?;
            }
            if written.insert(index, path).is_some() {
                return Err(Failure::OutputTwice { output: names[index].to_owned() });
            }
        }
        Ok(written)
    }

    fn rank<'a>(
        &self,
        shape: &Shape,
        values: &ArrayD<f32>,
        labels: &'a [String],
    ) -> Vec<Prediction<'a>> {
        let rows = values.outer_iter().zip(labels);
        rows.map(|(row, sample)| {
            let row: Vec<f32> = row.iter().copied().collect();
            let ranked = |place| Ranked { index: index_at(shape, place), value: Real(row[place]) };
            let top = largest(&row, self.top as usize).into_iter().map(ranked).collect();
            Prediction { sample, top }
        })
        .collect()
    }
}

impl OutputReport<'_> {
    fn text(&self, samples: usize) -> String {
        let shape = Shape::from(self.shape);
        let samples = counted(samples as u64, "sample");
        let title = format!("output `{}`: {samples} of {shape}", self.name);
        let predictions = match &self.given {
            Given::File(path) => return format!("{title}, float32, written to {path}\n"),
            Given::Predictions(predictions) if predictions.is_empty() => return title + "\n",
            Given::Predictions(predictions) => predictions,
        };
        let width = predictions.first().map_or(0, |prediction| prediction.top.len());
        let mut columns = vec![("Sample".to_owned(), Align::Left)];
        columns.extend((1..=width).map(|place| (format!("Top {place}"), Align::Right)));
        let mut table = Table::new(columns);
        for Prediction { sample, top } in predictions {
            let cells = top.iter().map(|Ranked { index, value: Real(value) }| {
                let index: Vec<String> = index.iter().map(usize::to_string).collect();
                let value = match self.softmax {
                    true => percent(f64::from(*value), 2),
                    false => value.to_string(),
                };
                format!("{}: {value:>8}", index.join(","))
            });
            table.row(std::iter::once((*sample).to_owned()).chain(cells).collect());
        }
        format!("{title}\n{}", table.render(Charset::of_environment()))
    }
}

/// Whether the values of `output` are probabilities that sum to 1.
pub(crate) fn is_softmax(graph: &Graph, output: &Output) -> bool {
    graph.activation(output.node) == Activation::Softmax
}

/// The index of the element that stands at `place` in row-major order.
fn index_at(shape: &Shape, place: usize) -> Vec<usize> {
    let mut rest = place;
    let mut index: Vec<usize> = (shape.dims().iter().rev())
        .map(|&dim| {
            let at = rest % dim;
            rest /= dim;
            at
        })
        .collect();
    index.reverse();
    index
}
