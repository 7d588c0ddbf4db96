//! Metrics of a shard: sums over its samples.

use crate::model::{Loss, Metric};
use crate::tensor::Targets;

/// The sum of `metric` over the samples whose outputs are `y`. `loss` tells what outputs mean; `values`
/// (one sample) are overwritten.
pub(crate) fn sum(
    metric: Metric,
    loss: Loss,
    values: &mut [f32],
    y: &[f32],
    width: usize,
    targets: &Targets,
    indices: &[usize],
) -> f64 {
    let length = values.len();
    let mut total = 0.0;
    for (&index, y) in indices.iter().zip(y.chunks_exact(length)) {
        let rows = (length / width) as f64;
        total += match targets {
            Targets::Classes(classes) => hit(metric, y, classes[index] as usize),
            Targets::Values(targets) => {
                targets.copy_sample(index, values);
                if let Some(threshold) = threshold(loss, width) {
                    let agree = |(&y, &t): (&f32, &f32)| (y > threshold) == (t > 0.5);
                    y.iter().zip(&*values).filter(|&pair| agree(pair)).count() as f64
                        / length as f64
                } else {
                    let hits = y.chunks_exact(width).zip(values.chunks_exact(width));
                    hits.map(|(y, t)| hit(metric, y, argmax(t))).sum::<f64>() / rows
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

fn hit(metric: Metric, y: &[f32], class: usize) -> f64 {
    let hit = match metric {
        Metric::Accuracy => argmax(y) == class,
        Metric::TopKAccuracy { k } => {
            // What is no number is not among the largest.
            !y[class].is_nan() && y.iter().filter(|&&other| other > y[class]).count() < k
        }
    };
    f64::from(u8::from(hit))
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
