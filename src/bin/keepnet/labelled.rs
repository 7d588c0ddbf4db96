//! Images with labels, brought into the form that a model takes and is measured by.

use std::path::Path;

use keepnet::model::{Loss, Optimizer, OutputLoss};
use keepnet::{Dataset, Model, Samples, Shape, Targets, TrainError};

use crate::failure::Failure;
use crate::outcome::note;
use crate::predict::is_softmax;

/// Gives a model without compile settings those that its output asks for.
pub(crate) fn compile_by_output(path: &Path, model: &mut Model) -> Result<(), Failure> {
    match model.graph().outputs() {
        [output]
            if model.graph().shape(output.node).rank() == 1
                && is_softmax(model.graph(), output) => {}
        _ => return Err(Failure::NotCompiled { path: path.to_owned() }),
    }
    let loss = Loss::SparseCategoricalCrossentropy;
    note(&format!("the model has no compile settings; measured by {} and accuracy", loss.name()));
    let compiled = model.compile(Optimizer::default(), loss);
    compiled.map_err(|source| Failure::Train { path: path.to_owned(), source: Box::new(source) })
}

/// How many classes a model tells apart by the largest of its values, if it is of that kind.
pub(crate) fn classes(model: &Model) -> Option<usize> {
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
pub(crate) fn fitted(model: &Model, data: &Dataset) -> Result<Dataset, TrainError> {
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
