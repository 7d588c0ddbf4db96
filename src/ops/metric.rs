//! Metrics of a shard: sums over its samples.

use super::loss::{self, Task};
use crate::kernels::Isa;
use crate::model::{Loss, Metric};
use crate::tensor::Targets;

/// The sum of `metric` over the samples whose outputs are `y`. The loss of `task` tells what outputs mean;
/// `unwanted` and `values` (one sample each) are overwritten.
pub(crate) fn sum(
    isa: Isa,
    metric: Metric,
    unwanted: &mut [f32],
    values: &mut [f32],
    y: &[f32],
    task: &Task<'_>,
) -> f64 {
    let looked_at = |loss| Task { loss, label_smoothing: 0.0, ..*task };
    match metric {
        Metric::Accuracy => hits(|y, class| argmax(y) == class, values, y, task),
        Metric::TopKAccuracy { k } => hits(|y, class| is_among(y, class, k), values, y, task),
        Metric::Loss(loss) => loss::value(isa, unwanted, values, y, &looked_at(loss)),
        Metric::RootMeanSquaredError => {
            loss::value(isa, unwanted, values, y, &looked_at(Loss::MeanSquaredError))
        }
    }
}

/// How many samples are hits, as `is_hit` judges by the outputs and the class; of a sample with several
/// rows, the share of them.
fn hits(
    is_hit: impl Fn(&[f32], usize) -> bool,
    values: &mut [f32],
    y: &[f32],
    task: &Task<'_>,
) -> f64 {
    let (length, width) = (values.len(), task.width);
    let hit = |y: &[f32], class: usize| f64::from(u8::from(is_hit(y, class)));
    let mut total = 0.0;
    for (&index, y) in task.indices.iter().zip(y.chunks_exact(length)) {
        let rows = (length / width) as f64;
        total += match task.targets {
            Targets::Classes(classes) => hit(y, classes[index] as usize),
            Targets::Values(targets) => {
                targets.copy_sample(index, values);
                if let Some(threshold) = threshold(task.loss, width) {
                    let agree = |(&y, &t): (&f32, &f32)| (y > threshold) == (t > 0.5);
                    y.iter().zip(&*values).filter(|&pair| agree(pair)).count() as f64
                        / length as f64
                } else {
                    let rows_of = y.chunks_exact(width).zip(values.chunks_exact(width));
                    rows_of.map(|(y, t)| hit(y, argmax(t))).sum::<f64>() / rows
                }
            }
        };
    }
    total
}

/// Where outputs are yes or no each, the value between them.
fn threshold(loss: Loss, width: usize) -> Option<f32> {
    match loss {
        Loss::BinaryCrossentropy => Some(0.5),
        Loss::BinaryCrossentropyWithLogits => Some(0.0),
        _ if width == 1 => Some(0.5),
        _ => None,
    }
}

/// Whether fewer than `k` outputs are larger. What is no number is not among the largest.
fn is_among(y: &[f32], class: usize, k: usize) -> bool {
    !y[class].is_nan() && y.iter().filter(|&&other| other > y[class]).count() < k
}

/// The place of the first of the largest values; NaN is never larger.
pub(crate) fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] || values[best].is_nan() && !value.is_nan() {
            best = index;
        }
    }
    best
}
