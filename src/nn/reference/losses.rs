//! The losses, each a mean over the batch.

use ndarray::{ArrayD, ArrayView1, Axis};

use super::activations::{log_sum_exp, softplus};
use crate::model::{Graph, Loss};

/// What an output should be.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// One class per sample.
    Classes(Vec<u32>),
    /// As many values as the output, batch-major.
    Values(Vec<f64>),
}

/// The loss of an output (with a leading batch dimension) against its target. Where an output has
/// more axes than one, a crossentropy over the last is averaged over the others.
pub(crate) fn loss(loss: Loss, output: &ArrayD<f64>, target: &Target) -> f64 {
    match target {
        Target::Classes(classes) => {
            let rows = output.lanes(Axis(output.ndim() - 1));
            mean(rows.into_iter().zip(classes).map(|(row, &class)| {
                let class = class as usize;
                match loss {
                    Loss::SparseCategoricalCrossentropy => -row[class].ln(),
                    Loss::SparseCategoricalCrossentropyWithLogits => {
                        log_sum_exp(row.iter().copied()) - row[class]
                    }
                    _ => panic!("{loss:?} takes values, not classes"),
                }
            }))
        }
        Target::Values(values) => {
            let target = ArrayD::from_shape_vec(output.shape(), values.clone());
            let target = target.expect("as many targets as the output has elements");
            let elements = output.iter().zip(&target).map(|(&y, &t)| (y, t));
            let rows = (output.lanes(Axis(output.ndim() - 1)).into_iter())
                .zip(target.lanes(Axis(output.ndim() - 1)));
            match loss {
                Loss::CategoricalCrossentropy => {
                    mean(rows.map(|(p, t)| -dot(t, p.mapv(f64::ln).view())))
                }
                Loss::CategoricalCrossentropyWithLogits => mean(rows.map(|(z, t)| {
                    let normalizer = log_sum_exp(z.iter().copied());
                    -dot(t, z.mapv(|z| z - normalizer).view())
                })),
                Loss::BinaryCrossentropy => mean(
                    elements.map(|(p, t)| -product(t, p.ln()) - product(1.0 - t, (1.0 - p).ln())),
                ),
                // −ln sigmoid(z) = softplus(−z) and −ln(1 − sigmoid(z)) = softplus(z)
                Loss::BinaryCrossentropyWithLogits => {
                    mean(elements.map(|(z, t)| t * softplus(-z) + (1.0 - t) * softplus(z)))
                }
                Loss::MeanSquaredError => mean(elements.map(|(y, t)| (y - t).powi(2))),
                Loss::MeanAbsoluteError => mean(elements.map(|(y, t)| (y - t).abs())),
                Loss::Huber { delta } => mean(elements.map(|(y, t)| {
                    let x = (y - t).abs();
                    if x <= delta { x * x / 2.0 } else { delta * (x - delta / 2.0) }
                })),
                Loss::LogCosh => mean(elements.map(|(y, t)| (y - t).cosh().ln())),
                Loss::KlDivergence => {
                    let held = |x: f64| x.clamp(EPSILON, 1.0);
                    mean(rows.map(|(y, t)| {
                        y.iter().zip(t).map(|(&y, &t)| held(t) * (held(t) / held(y)).ln()).sum()
                    }))
                }
                Loss::Poisson => mean(elements.map(|(y, t)| y - t * (y + EPSILON).ln())),
                Loss::Hinge => mean(elements.map(|(y, t)| hinge(y, t))),
                Loss::SquaredHinge => mean(elements.map(|(y, t)| hinge(y, t).powi(2))),
                Loss::CategoricalHinge => mean(rows.map(|(y, t)| {
                    let right: f64 = y.iter().zip(t).map(|(y, t)| t * y).sum();
                    let wrong = y.iter().zip(t).map(|(y, t)| (1.0 - t) * y);
                    (wrong.fold(f64::NEG_INFINITY, f64::max) - right + 1.0).max(0.0)
                })),
                Loss::MeanAbsolutePercentageError => {
                    mean(elements.map(|(y, t)| 100.0 * ((y - t) / t.abs().max(EPSILON)).abs()))
                }
                Loss::MeanSquaredLogarithmicError => mean(
                    elements
                        .map(|(y, t)| (y.max(EPSILON).ln_1p() - t.max(EPSILON).ln_1p()).powi(2)),
                ),
                Loss::CosineSimilarity => mean(rows.map(|(y, t)| {
                    let unit =
                        |x: ArrayView1<'_, f64>| x.mapv(|v| v / x.dot(&x).sqrt().max(EPSILON));
                    -unit(y).dot(&unit(t))
                })),
                Loss::SparseCategoricalCrossentropy
                | Loss::SparseCategoricalCrossentropyWithLogits => {
                    panic!("{loss:?} takes classes, not values")
                }
            }
        }
    }
}

/// Σ `l2`·Σw² over the parameters that are trained (Keras counts no others).
pub(crate) fn penalty(graph: &Graph, parameters: &[Vec<f64>]) -> f64 {
    (graph.parameters().iter().zip(parameters))
        .filter(|(parameter, _)| graph.is_trained(parameter))
        .map(|(parameter, values)| parameter.l2 * values.iter().map(|w| w * w).sum::<f64>())
        .sum()
}

const EPSILON: f64 = 1e-7;

fn hinge(y: f64, t: f64) -> f64 {
    let side = if t == 0.0 { -1.0 } else { t };
    (1.0 - side * y).max(0.0)
}

/// Samples are of one size, so the mean over all is the mean over samples of the means within.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// Where the target gives no weight, the logarithm may be infinite.
fn product(weight: f64, logarithm: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * logarithm }
}

fn dot(weights: ArrayView1<'_, f64>, logarithms: ArrayView1<'_, f64>) -> f64 {
    weights.iter().zip(logarithms).map(|(&t, &l)| product(t, l)).sum()
}
