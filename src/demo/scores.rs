//! How well the model does on images it was not trained on, in figures and in pictures.

use std::io;

use crate::nn::Model;
use crate::report::numbers::grouped;
use crate::report::{ClassFigures, ClassifiedImage, ConfusionMatrix, show_images};
use crate::train::Evaluation;
use ndarray::ArrayD;
use serde::Serialize;

use super::data::Data;
use super::failure::Failure;
use super::screen::Screen;

/// Of pictures in the terminal, columns at most; so four stand side by side in 80.
const PICTURE_COLUMNS: usize = 18;
/// Rows of pictures in the terminal, of the sample and of the mistakes.
const ROWS: usize = 1;

pub(crate) struct Scores {
    /// (images, classes)
    pub(crate) predictions: ArrayD<f32>,
    evaluation: Evaluation,
    confusion: ConfusionMatrix,
    classified: Vec<Classified>,
}

struct Classified {
    truth: usize,
    predicted: usize,
    confidence: f32,
}

/// The part of [`Scores`] that goes into JSON.
#[derive(Serialize)]
pub(crate) struct Figures<'a> {
    images: u64,
    loss: f64,
    accuracy: Option<f64>,
    confusion: &'a ConfusionMatrix,
    classes: Vec<ClassFigures>,
}

impl Scores {
    pub(crate) fn of(model: &Model, data: &Data) -> Result<Self, Failure> {
        let evaluation = model.evaluate(&data.validation)?;
        let predictions = model.predict(&data.validation.inputs()[0])?;
        let mut confusion = ConfusionMatrix::new(&data.classes);
        let mut classified = Vec::new();
        for (row, &truth) in predictions.outer_iter().zip(data.validation.classes()?) {
            let (predicted, confidence) = most_likely(row.iter().copied());
            confusion.add(truth as usize, predicted);
            classified.push(Classified { truth: truth as usize, predicted, confidence });
        }
        Ok(Self { predictions, evaluation, confusion, classified })
    }

    pub(crate) fn show(&self, screen: &mut Screen) -> io::Result<()> {
        let matrix = self.confusion.render_counts(screen.charset);
        if matrix.lines().all(|line| line.chars().count() <= screen.columns) {
            screen.block(&matrix)?;
        } else {
            screen.line("The confusion matrix is too wide for this terminal; --json has it.")?;
        }
        screen.block(&self.confusion.render_figures(screen.charset))?;
        screen.line(format_args!("Loss {:.4}", self.evaluation.loss()))
    }

    /// The images to validate with and what the model says about them.
    pub(crate) fn pictures<'a>(&self, data: &'a Data) -> Vec<ClassifiedImage<'a>> {
        let classified = data.validation_pictures().into_iter().zip(&self.classified);
        classified
            .map(|(image, &Classified { truth, predicted, confidence })| ClassifiedImage {
                image,
                predicted: &data.classes[predicted],
                truth: Some(&data.classes[truth]),
                confidence,
            })
            .collect()
    }

    pub(crate) fn figures(&self) -> Figures<'_> {
        Figures {
            images: self.evaluation.samples,
            loss: self.evaluation.loss(),
            accuracy: self.evaluation.accuracy(),
            confusion: &self.confusion,
            classes: (0..self.confusion.classes().len())
                .map(|class| self.confusion.figures(class))
                .collect(),
        }
    }
}

/// Shows the first pictures, then the mistakes that the model was most confident of.
pub(crate) fn show_pictures(
    pictures: &[ClassifiedImage<'_>],
    screen: &mut Screen,
) -> io::Result<()> {
    let per_row = (screen.columns + 2) / (PICTURE_COLUMNS + 2);
    let count = ROWS * per_row.max(1);
    let mut mistakes: Vec<_> =
        pictures.iter().filter(|picture| picture.missed().is_some()).cloned().collect();
    mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let all = grouped(mistakes.len() as u64);
    mistakes.truncate(count);
    let first = &pictures[..count.min(pictures.len())];

    screen.heading("Some images and what the model says")?;
    screen.block(&show_images(first, screen.ink, screen.columns, PICTURE_COLUMNS))?;
    if !mistakes.is_empty() {
        screen.heading(&format!("Its most confident mistakes: {} of {all}", mistakes.len()))?;
        screen.line("predicted ≠ true, and how sure the model was")?;
        screen.block(&show_images(&mistakes, screen.ink, screen.columns, PICTURE_COLUMNS))?;
    }
    Ok(())
}

/// The first class of the highest probability, and that.
fn most_likely(probabilities: impl Iterator<Item = f32>) -> (usize, f32) {
    let first = (0, f32::NEG_INFINITY);
    probabilities.enumerate().fold(first, |best, next| if next.1 > best.1 { next } else { best })
}
