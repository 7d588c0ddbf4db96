//! Training on from where a Keras left it, beside that Keras.

use keepnet::{
    Checkpoint, Dataset, FitOptions, Layer, LayerSpec, Model, NodeId, Samples, Shape, Targets,
};
use serde_json::json;

use super::keras_support::{Case, larger, named, variable};
use super::{note, python, started};

/// Where the difference is larger, and how large it may be: all of Keras' own runs share what makes it.
const MORE: &[(&str, f32)] = &[
    // `epsilon` is added to the root of the mean square there, not under it.
    ("k2-legacy-rmsprop", 400.0),
    // Keras takes β₁ᵗ and β₂ᵗ in f32: at first 1 − β₂ᵗ is 10⁻⁵ of itself away from the truth.
    ("-adam-", 15.0),
    ("-amsgrad-", 15.0),
];

/// The samples in a batch of `train_on.py`.
const BATCH: usize = 8;

/// Ten more steps: losses to 1e-4, weights and moments within three times the difference that Keras
/// shows to itself, which is told in units of it, or of the last place of f32 where it shows less.
#[test]
fn training_goes_on_as_in_keras() {
    if python().is_none() {
        return;
    }
    let (mut faults, mut lines) = (Vec::new(), Vec::new());
    for case in Case::all(started()) {
        for file in ["start.keras", "start.h5"] {
            let name = format!("{}/{file}", case.name);
            let (mut model, report) = case.load(&case.folder.join(file)).unwrap();
            if report.optimizer_steps.is_none() {
                // tf-keras leaves the state of its legacy optimizers out of `.keras`.
                assert!(
                    name.starts_with("k2-legacy-") && file == "start.keras",
                    "{name}: {report:?}"
                );
                continue;
            }
            let start = model.to_checkpoint().into_owned();
            let losses = losses(&case, &mut model);
            let [weights, moments] = trained_apart(&case, &start, &model.to_checkpoint());
            println!("{name}: losses {losses:.1e}, weights {weights:.1}, moments {moments:.1}");
            lines.push(
                json!({"start": name, "losses": losses, "weights": weights, "moments": moments}),
            );
            let more = MORE.iter().find(|(part, _)| name.contains(part));
            let limit = more.map_or(3.0, |&(_, limit)| limit);
            if !(losses <= 1e-4 && weights <= limit && moments <= limit) {
                faults.push(format!(
                    "{name}: losses {losses:e}, weights {weights}, moments {moments}"
                ));
            }
        }
    }
    note("keras-trained.jsonl", &lines);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The largest relative difference of a loss from Keras' over the ten batches.
fn losses(case: &Case, model: &mut Model) -> f32 {
    let (x, t) = (case.array("x.npy"), case.array("t.npy"));
    let expected = case.array("losses-onednn0.npy");
    let options =
        FitOptions { epochs: 1, batch_size: x.shape()[1], shuffle: false, ..Default::default() };
    let steps = x.outer_iter().zip(t.outer_iter()).zip(&expected).map(|((x, t), &expected)| {
        let shape = Shape::new(x.shape()[1..].to_vec());
        let values: Vec<f32> = x.iter().copied().collect();
        let x = Samples::new(x.shape()[0], shape, values).unwrap();
        let classes: Vec<u32> = t.iter().map(|&class| class as u32).collect();
        let batch = Dataset::new(x, Targets::Classes(classes.into())).unwrap();
        let history = model.fit(&batch, &options).unwrap();
        let loss = history.epochs.last().unwrap().get("loss").unwrap();
        (loss as f32 - expected).abs() / expected.abs()
    });
    steps.fold(0.0, larger)
}

/// How far weights and moments are from Keras' without oneDNN, in units of how far Keras is then from
/// itself with oneDNN or XLA.
fn trained_apart(case: &Case, start: &Checkpoint<'_>, checkpoint: &Checkpoint<'_>) -> [f32; 2] {
    let numbers = ["weights", "optimizer"].map(|kind| case.array(&format!("{kind}-onednn0.npy")));
    let [weights, moments] = [0, 1].map(|kind| {
        named(case.tensors(["weights", "slots"][kind]), numbers[kind].as_slice().unwrap())
    });
    let mut apart = [0.0_f32; 2];
    // The weights stand in the order of the layers, as keepnet's do.
    assert_eq!(weights.len(), checkpoint.tensors.len());
    for ((own, before), (_, theirs)) in checkpoint.tensors.iter().zip(&start.tensors).zip(&weights)
    {
        let unit = larger(case.keras_apart("weights"), last_place(theirs));
        let mut expected = own.tensor.to_f32().unwrap().to_vec();
        if case.name.starts_with("k2-") && own.name.ends_with("/moving_variance") {
            as_of_samples(&mut expected, &before.tensor.to_f32().unwrap(), &own.name, checkpoint);
        }
        apart[0] = larger(apart[0], farthest(&expected, theirs) / unit);
    }
    for slot in &checkpoint.optimizer.as_ref().unwrap().slots {
        for own in &slot.tensors {
            let theirs = variable(&moments, &slot.name, &own.name).unwrap();
            let unit = larger(case.keras_apart("optimizer"), last_place(theirs));
            apart[1] = larger(apart[1], farthest(&own.tensor.to_f32().unwrap(), theirs) / unit);
        }
    }
    apart
}

/// A moving variance after the ten steps, as tf-keras has it: it takes the variance of a batch of images
/// for that of a sample, n / (n - 1) of what Keras 3 and keepnet take, n being the batch and its places.
fn as_of_samples(variance: &mut [f32], before: &[f32], name: &str, checkpoint: &Checkpoint<'_>) {
    let graph = &checkpoint.graph;
    let is_it = |layer: &Layer| name.strip_suffix("/moving_variance") == Some(&layer.name);
    let number = graph.layers().iter().position(is_it).unwrap();
    let LayerSpec::BatchNormalization(norm) = &graph.layers()[number].spec else {
        panic!("{name} is of no normalization");
    };
    if !graph.layers()[number].trainable {
        return;
    }
    let node = graph.nodes().iter().position(|node| node.layer == number).unwrap();
    let places = graph.shape(NodeId(node)).elements() / variance.len();
    let n = (BATCH * places) as f64;
    for (after, &before) in variance.iter_mut().zip(before) {
        // What is left of the variance before the ten steps.
        let left = (0..10).fold(f64::from(before), |left, _| left * norm.momentum);
        *after = (left + (f64::from(*after) - left) * n / (n - 1.0)) as f32;
    }
}

/// The last place of the largest number.
fn last_place(numbers: &[f32]) -> f32 {
    f32::EPSILON * numbers.iter().fold(0.0_f32, |largest, number| larger(largest, number.abs()))
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, larger)
}
