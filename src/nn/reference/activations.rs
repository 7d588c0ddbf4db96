//! Activation functions and the error function.

use ndarray::{ArrayD, Axis};

use crate::model::Activation;

/// `activation` of every element; softmax over the last axis.
pub(super) fn activate(activation: Activation, x: &ArrayD<f64>) -> ArrayD<f64> {
    let function: Box<dyn Fn(f64) -> f64> = match activation {
        Activation::Softmax => return softmax(x),
        Activation::Linear => Box::new(|x| x),
        Activation::Relu => Box::new(|x| if x < 0.0 { 0.0 } else { x }),
        Activation::Relu6 => Box::new(|x| x.clamp(0.0, 6.0)),
        Activation::LeakyRelu { negative_slope } => {
            Box::new(move |x| if x < 0.0 { negative_slope * x } else { x })
        }
        Activation::Elu { alpha } => Box::new(move |x| elu(x, alpha)),
        Activation::Selu => Box::new(|x| Activation::SELU_SCALE * elu(x, Activation::SELU_ALPHA)),
        Activation::Gelu => Box::new(|x| x * (1.0 + erf(x / 2.0_f64.sqrt())) / 2.0),
        Activation::Silu => Box::new(|x| x * sigmoid(x)),
        Activation::Sigmoid => Box::new(sigmoid),
        Activation::Tanh => Box::new(f64::tanh),
        Activation::Softplus => Box::new(softplus),
        Activation::LogSoftmax => return softmax(x).mapv(f64::ln),
        Activation::ClippedRelu { max_value, negative_slope, threshold } => Box::new(move |x| {
            if x < threshold { negative_slope * (x - threshold) } else { x.min(max_value) }
        }),
        Activation::Exponential => Box::new(f64::exp),
        Activation::Softsign => Box::new(|x| x / (1.0 + x.abs())),
        Activation::HardSigmoid => Box::new(|x| (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        Activation::HardSigmoidKeras2 => Box::new(|x| (0.2 * x + 0.5).clamp(0.0, 1.0)),
        Activation::HardSilu => Box::new(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        Activation::HardTanh => Box::new(|x| x.clamp(-1.0, 1.0)),
        Activation::Mish => Box::new(|x| x * softplus(x).tanh()),
        Activation::LogSigmoid => Box::new(|x| -softplus(-x)),
        Activation::Celu { alpha } => {
            Box::new(move |x| if x < 0.0 { alpha * (x / alpha).exp_m1() } else { x })
        }
        Activation::GeluTanh => Box::new(|x| {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + u.tanh())
        }),
        Activation::SoftShrink { threshold } => {
            Box::new(move |x| x.signum() * (x.abs() - threshold).max(0.0))
        }
        Activation::HardShrink { threshold } => {
            Box::new(move |x| if x.abs() > threshold { x } else { 0.0 })
        }
        Activation::TanhShrink => Box::new(|x| x - x.tanh()),
        Activation::Squareplus { b } => Box::new(move |x| (x + (x * x + b).sqrt()) / 2.0),
        Activation::SparsePlus => Box::new(|x| match x {
            x if x <= -1.0 => 0.0,
            x if x >= 1.0 => x,
            x => (x + 1.0).powi(2) / 4.0,
        }),
        Activation::SparseSigmoid => Box::new(|x| ((x + 1.0) / 2.0).clamp(0.0, 1.0)),
        Activation::Threshold { threshold, value } => {
            Box::new(move |x| if x > threshold { x } else { value })
        }
    };
    x.mapv(function)
}

fn elu(x: f64, alpha: f64) -> f64 {
    if x < 0.0 { alpha * x.exp_m1() } else { x }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ln(1 + eˣ), written so that a large x does not overflow.
pub(super) fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

fn softmax(x: &ArrayD<f64>) -> ArrayD<f64> {
    let mut y = x.clone();
    for mut row in y.lanes_mut(Axis(x.ndim() - 1)) {
        let logarithm = log_sum_exp(row.iter().copied());
        row.mapv_inplace(|x| (x - logarithm).exp());
    }
    y
}

/// ln Σ eˣ, written so that a large x does not overflow.
pub(super) fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + values.map(|x| (x - largest).exp()).sum::<f64>().ln()
}

/// The error function, 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n + 1)!! (Abramowitz and Stegun, 7.1.6).
/// All terms have one sign, so nothing cancels.
pub(super) fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 6.0 {
        return x.signum(); // 1 − erf(6) is below 3e-17; the sign of NaN is NaN
    }
    let (mut term, mut sum) = (x, 0.0);
    for n in 0.. {
        if sum + term == sum {
            break;
        }
        sum += term;
        term *= 2.0 * x * x / f64::from(2 * n + 3);
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}
