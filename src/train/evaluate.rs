//! Losses and metrics over a data set.

use super::data::Dataset;
use super::error::TrainError;
use crate::model::{CompileSettings, Metric, Scores};
use crate::nn::{Batch, Executor, Model};
use crate::tensor::Targets;

/// Samples taken at once where nothing depends on the number.
const BATCH: usize = 512;

/// Means over a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Samples seen.
    pub samples: u64,
    /// `loss` first, then with several outputs the loss of each, then the metrics.
    pub values: Vec<(String, f64)>,
}

impl Evaluation {
    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(key, _)| key == name).map(|&(_, value)| value)
    }

    /// The loss, regularisation included.
    pub fn loss(&self) -> f64 {
        self.get("loss").expect("always there")
    }

    /// The accuracy, if the model was compiled with it.
    pub fn accuracy(&self) -> Option<f64> {
        self.get("accuracy")
    }
}

impl Model {
    /// Losses and metrics over `data`.
    ///
    /// # Errors
    /// If the model is not compiled, or the data is not what it takes and gives.
    pub fn evaluate(&self, data: &Dataset) -> Result<Evaluation, TrainError> {
        self.check_data(data)?;
        self.evaluate_at(data, &Vec::from_iter(0..data.len()))
    }

    /// The same for the samples at `indices`, of data that has been checked.
    pub(super) fn evaluate_at(
        &self,
        data: &Dataset,
        indices: &[usize],
    ) -> Result<Evaluation, TrainError> {
        let settings = self.compiled().ok_or(TrainError::NotCompiled)?;
        if indices.is_empty() {
            return Err(TrainError::NoSamples { what: "evaluate" });
        }
        let batch = BATCH.min(indices.len());
        let mut executor = Executor::new(self.graph(), self.layout(), settings, batch, false);
        let mut scores = Scores::new(settings);
        let (inputs, targets) = (data.inputs(), data.targets());
        for indices in indices.chunks(BATCH) {
            let batch = Batch { inputs, targets, indices };
            executor.evaluate(self.parameters(), batch)?;
            scores.add(executor.scores());
        }
        let mut values = named_values(settings);
        set_means(&mut values, &scores, settings);
        Ok(Evaluation { samples: scores.samples, values })
    }

    /// Checks that `data` is what the graph takes and what its losses compare with.
    pub(super) fn check_data(&self, data: &Dataset) -> Result<(), TrainError> {
        let settings = self.compiled().ok_or(TrainError::NotCompiled)?;
        self.check_inputs(data.inputs())?;
        let graph = self.graph();
        let (expected, found) = (graph.outputs().len(), data.targets().len());
        if expected != found {
            return Err(TrainError::TargetCount { expected, found });
        }
        for (index, output) in graph.outputs().iter().enumerate() {
            let loss = settings.losses[index].loss;
            let shape = graph.shape(output.node);
            let sparse = loss.takes_classes();
            let (output, name) = (output.name.clone(), loss.name());
            match (&data.targets()[index], sparse) {
                (Targets::Classes(classes), true) => {
                    if shape.rank() != 1 {
                        let shape = shape.clone();
                        return Err(TrainError::OutputShape { output, loss: name, shape });
                    }
                    let outside = |class: &u32| *class as usize >= shape.elements();
                    if let Some(sample) = classes.iter().position(outside) {
                        let (class, classes) = (classes[sample], shape.elements());
                        return Err(TrainError::Class { output, sample, class, classes });
                    }
                }
                (Targets::Values(values), false) if values.shape() == shape => {}
                (Targets::Classes(_), false) => {
                    let expected = format!("values of shape {shape}");
                    let found = "class numbers".to_owned();
                    return Err(TrainError::Targets { output, loss: name, expected, found });
                }
                (Targets::Values(values), _) => {
                    let expected = if sparse {
                        "class numbers".to_owned()
                    } else {
                        format!("values of shape {shape}")
                    };
                    let found = format!("values of shape {}", values.shape());
                    return Err(TrainError::Targets { output, loss: name, expected, found });
                }
            }
        }
        Ok(())
    }
}

/// The names of what training and evaluation report, and zeros.
pub(super) fn named_values(settings: &CompileSettings) -> Vec<(String, f64)> {
    let mut names = vec!["loss".to_owned()];
    if settings.losses.len() > 1 {
        names.extend(settings.losses.iter().map(|loss| format!("{}_loss", loss.output)));
    }
    names.extend(settings.metrics.iter().map(|metric| metric.name()));
    names.into_iter().map(|name| (name, 0.0)).collect()
}

/// Sets [`named_values`] to what `scores` are the sums for.
pub(super) fn set_means(values: &mut [(String, f64)], scores: &Scores, settings: &CompileSettings) {
    let losses = if scores.losses.len() > 1 { &scores.losses[..] } else { &[] };
    let mean = |sum: &f64| sum / scores.samples as f64;
    let metrics = scores.metrics.iter().zip(&settings.metrics).map(|(sum, metric)| match metric {
        Metric::RootMeanSquaredError => mean(sum).sqrt(),
        _ => mean(sum),
    });
    let figures = std::iter::once(&scores.loss).chain(losses).map(mean).chain(metrics);
    for ((_, value), figure) in values.iter_mut().zip(figures) {
        *value = if figure.is_nan() { f64::NAN } else { figure }; // the one NaN that is kept
    }
}
