//! Activation functions and their gradients.
//!
//! Comparisons decide by selection, so NaN passes through all functions, but is zero in the gradients
//! of those with flat parts; and relu gives +0.0 for −0.0.

use crate::kernels::elementwise::{Binary, Unary, binary_in_place, relu, unary, unary_in_place};
use crate::kernels::{Isa, Simd, math};
use crate::model::Activation;
use crate::ops::softmax;

/// Whether the gradient needs what went into the function; else what came out is enough.
pub(crate) const fn needs_input(activation: Activation) -> bool {
    match activation {
        Activation::LeakyRelu { .. }
        | Activation::Elu { .. }
        | Activation::Selu
        | Activation::Gelu
        | Activation::Silu
        | Activation::Softplus
        | Activation::ClippedRelu { .. }
        | Activation::Softsign
        | Activation::HardSigmoid
        | Activation::HardSigmoidKeras2
        | Activation::HardSilu
        | Activation::HardTanh
        | Activation::Mish
        | Activation::LogSigmoid
        | Activation::Celu { .. }
        | Activation::GeluTanh
        | Activation::SoftShrink { .. }
        | Activation::HardShrink { .. }
        | Activation::TanhShrink
        | Activation::Squareplus { .. }
        | Activation::SparsePlus
        | Activation::SparseSigmoid
        | Activation::Threshold { .. } => true,
        Activation::Linear
        | Activation::Relu
        | Activation::Relu6
        | Activation::Sigmoid
        | Activation::Tanh
        | Activation::Softmax
        | Activation::LogSoftmax
        | Activation::Exponential => false,
    }
}

/// `y` of `x`, both rows of `width` values.
pub(crate) fn forward(isa: Isa, activation: Activation, y: &mut [f32], x: &[f32], width: usize) {
    match activation {
        Activation::Softmax | Activation::LogSoftmax => {
            y.copy_from_slice(x);
            apply(isa, activation, y, width);
        }
        activation => unary(isa, Function(activation), y, x),
    }
}

/// The same in place.
pub(crate) fn apply(isa: Isa, activation: Activation, y: &mut [f32], width: usize) {
    match activation {
        Activation::Linear => {}
        Activation::Softmax => softmax::rows(isa, y, width),
        Activation::LogSoftmax => softmax::log_rows(isa, y, width),
        activation => unary_in_place(isa, Function(activation), y),
    }
}

/// Turns `dy`, the gradient of the result, into that of the argument, in place. `y` is the result;
/// `x` the argument, or empty unless [`needs_input`].
pub(crate) fn gradient(
    isa: Isa,
    activation: Activation,
    dy: &mut [f32],
    y: &[f32],
    x: &[f32],
    width: usize,
) {
    match activation {
        Activation::Linear => {}
        Activation::Softmax => softmax::rows_gradient(isa, dy, y, width),
        Activation::LogSoftmax => softmax::log_rows_gradient(isa, dy, y, width),
        activation => {
            let at = if needs_input(activation) { x } else { y };
            binary_in_place(isa, Gradient(activation), dy, at);
        }
    }
}

/// An elementwise activation.
#[derive(Clone, Copy)]
struct Function(Activation);

impl Unary for Function {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        let zero = s.splat(0.0);
        let positive_or = |other| s.select(s.gt(x, zero), x, other);
        match self.0 {
            Activation::Linear => x,
            Activation::Relu => relu(s, x),
            Activation::Relu6 => {
                let (x, six) = (relu(s, x), s.splat(6.0));
                s.select(s.gt(x, six), six, x)
            }
            Activation::LeakyRelu { negative_slope } => {
                positive_or(s.mul(x, s.splat(negative_slope as f32)))
            }
            Activation::Elu { alpha } => {
                positive_or(s.mul(math::expm1(s, x), s.splat(alpha as f32)))
            }
            Activation::Selu => {
                let alpha = s.splat(Activation::SELU_ALPHA as f32);
                let elu = positive_or(s.mul(math::expm1(s, x), alpha));
                s.mul(elu, s.splat(Activation::SELU_SCALE as f32))
            }
            Activation::Gelu => math::gelu(s, x),
            Activation::Silu => s.mul(x, math::sigmoid(s, x)),
            Activation::Sigmoid => math::sigmoid(s, x),
            Activation::Tanh => math::tanh(s, x),
            Activation::Softplus => math::softplus(s, x),
            Activation::ClippedRelu { max_value, negative_slope, threshold } => {
                let (max_value, threshold) = (s.splat(max_value as f32), s.splat(threshold as f32));
                let below = match negative_slope {
                    0.0 => zero, // not −∞·0
                    slope => s.mul(s.sub(x, threshold), s.splat(slope as f32)),
                };
                let above = s.select(s.gt(x, max_value), max_value, x);
                s.select(s.ge(threshold, x), below, above)
            }
            Activation::Exponential => math::exp(s, x),
            Activation::Softsign => s.div(x, s.add(s.splat(1.0), s.abs(x))),
            Activation::HardSigmoid => hard_sigmoid(s, x),
            Activation::HardSigmoidKeras2 => {
                within(s, s.add(s.mul(x, s.splat(0.2)), s.splat(0.5)), 0.0, 1.0)
            }
            Activation::HardSilu => s.mul(x, hard_sigmoid(s, x)),
            Activation::HardTanh => within(s, x, -1.0, 1.0),
            Activation::Mish => s.mul(x, math::tanh(s, math::softplus(s, x))),
            Activation::LogSigmoid => s.neg(math::softplus(s, s.neg(x))),
            Activation::Celu { alpha } => {
                let alpha = s.splat(alpha as f32);
                positive_or(s.mul(math::expm1(s, s.div(x, alpha)), alpha))
            }
            Activation::GeluTanh => s.mul(x, math::sigmoid(s, gelu_tanh_argument(s, x))),
            Activation::SoftShrink { threshold } => {
                let (threshold, distance) = (s.splat(threshold as f32), s.abs(x));
                let moved = s.select(s.gt(x, zero), s.sub(x, threshold), s.add(x, threshold));
                s.select(s.ge(threshold, distance), zero, moved)
            }
            Activation::HardShrink { threshold } => {
                s.select(s.ge(s.splat(threshold as f32), s.abs(x)), zero, x)
            }
            Activation::TanhShrink => s.sub(x, math::tanh(s, x)),
            Activation::Squareplus { b } => {
                let b = s.splat(b as f32);
                let root = s.sqrt(s.mul_add(x, x, b));
                // Left of 0 the two terms of the sum would cancel; its conjugate has none that do.
                let left = s.div(b, s.sub(root, x));
                s.mul(s.select(s.gt(x, zero), s.add(x, root), left), s.splat(0.5))
            }
            Activation::SparsePlus => {
                let one = s.splat(1.0);
                let moved = s.add(x, one);
                let curved = s.mul(s.mul(moved, moved), s.splat(0.25));
                let left = s.select(s.ge(s.splat(-1.0), x), zero, curved);
                s.select(s.ge(x, one), x, left)
            }
            Activation::SparseSigmoid => {
                within(s, s.mul(s.add(x, s.splat(1.0)), s.splat(0.5)), 0.0, 1.0)
            }
            Activation::Threshold { threshold, value } => {
                // Not `gt` on x: NaN is handed on.
                s.select(s.ge(s.splat(threshold as f32), x), s.splat(value as f32), x)
            }
            Activation::Softmax | Activation::LogSoftmax => unreachable!("not elementwise"),
        }
    }
}

/// The gradient of an elementwise activation: from dy and the argument if [`needs_input`], else from
/// dy and the result.
#[derive(Clone, Copy)]
struct Gradient(Activation);

impl Binary for Gradient {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, dy: S::F, at: S::F) -> S::F {
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let positive_or = |other| s.select(s.gt(at, zero), dy, other);
        match self.0 {
            Activation::Linear => dy,
            Activation::Relu => positive_or(zero),
            Activation::Relu6 => s.select(s.gt(s.splat(6.0), at), positive_or(zero), zero),
            Activation::LeakyRelu { negative_slope } => {
                positive_or(s.mul(dy, s.splat(negative_slope as f32)))
            }
            Activation::Elu { alpha } => {
                positive_or(s.mul(dy, s.mul(math::exp(s, at), s.splat(alpha as f32))))
            }
            Activation::Selu => {
                let alpha = s.splat(Activation::SELU_ALPHA as f32);
                let curved = s.mul(dy, s.mul(math::exp(s, at), alpha));
                // At 0, where the slopes differ, Keras takes that of the right side, unlike for elu.
                let elu = s.select(s.ge(at, zero), dy, curved);
                s.mul(elu, s.splat(Activation::SELU_SCALE as f32))
            }
            Activation::Gelu => s.mul(dy, math::gelu_derivative(s, at)),
            Activation::Silu => {
                let sigmoid = math::sigmoid(s, at);
                let rest = s.sub(one, sigmoid);
                s.mul(dy, s.mul(sigmoid, s.mul_add(at, rest, one)))
            }
            Activation::Sigmoid => s.mul(dy, s.mul(at, s.sub(one, at))),
            Activation::Tanh => s.mul(dy, s.mul_add(s.neg(at), at, one)),
            Activation::Softplus => s.mul(dy, math::sigmoid(s, at)),
            Activation::ClippedRelu { max_value, negative_slope, threshold } => {
                let threshold = s.splat(threshold as f32);
                let below = s.mul(dy, s.splat(negative_slope as f32));
                let below = s.select(s.gt(threshold, at), below, zero);
                let above = s.select(s.gt(at, s.splat(max_value as f32)), zero, dy);
                s.select(s.gt(at, threshold), above, below)
            }
            Activation::Exponential => s.mul(dy, at),
            Activation::Softsign => {
                let divisor = s.add(one, s.abs(at));
                s.div(dy, s.mul(divisor, divisor))
            }
            Activation::HardSigmoid => {
                let sixth = s.div(dy, s.splat(6.0));
                between(s, s.add(at, s.splat(3.0)), 0.0, 6.0, sixth, zero, zero)
            }
            Activation::HardSigmoidKeras2 => {
                let fifth = s.mul(dy, s.splat(0.2));
                let line = s.add(s.mul(at, s.splat(0.2)), s.splat(0.5));
                not_beyond(s, line, 0.0, 1.0, fifth)
            }
            Activation::HardSilu => {
                let moved = s.add(at, s.splat(3.0));
                let line = s.div(s.mul_add(at, s.splat(2.0), s.splat(3.0)), s.splat(6.0));
                between(s, moved, 0.0, 6.0, s.mul(dy, line), zero, dy)
            }
            Activation::HardTanh => not_beyond(s, at, -1.0, 1.0, dy),
            Activation::Mish => {
                // t + x·(1 − t²)·sigmoid(x), t = tanh(softplus(x))
                let t = math::tanh(s, math::softplus(s, at));
                let rest = s.mul(s.mul_add(s.neg(t), t, one), math::sigmoid(s, at));
                s.mul(dy, s.mul_add(at, rest, t))
            }
            Activation::LogSigmoid => s.mul(dy, math::sigmoid(s, s.neg(at))),
            Activation::Celu { alpha } => {
                positive_or(s.mul(dy, math::exp(s, s.div(at, s.splat(alpha as f32)))))
            }
            Activation::GeluTanh => {
                // σ + x·σ·(1 − σ)·u′, σ = sigmoid(u)
                let near = within(s, at, -15.0, 15.0); // beyond, σ is 0 or 1
                let sigmoid = math::sigmoid(s, gelu_tanh_argument(s, near));
                let square = s.mul(near, near);
                let slope = s.mul_add(square, s.splat(3.0 * GELU_TANH_CUBE), s.splat(GELU_TANH));
                let rest = s.mul(s.mul(sigmoid, s.sub(one, sigmoid)), slope);
                s.mul(dy, s.mul_add(near, rest, sigmoid))
            }
            Activation::SoftShrink { threshold } | Activation::HardShrink { threshold } => {
                s.select(s.gt(s.abs(at), s.splat(threshold as f32)), dy, zero)
            }
            Activation::TanhShrink => {
                let tanh = math::tanh(s, at);
                s.mul(dy, s.mul(tanh, tanh))
            }
            Activation::Squareplus { b } => {
                // y / √(x² + b)
                let root = s.sqrt(s.mul_add(at, at, s.splat(b as f32)));
                s.mul(dy, s.div(Function(self.0).apply(s, at), root))
            }
            Activation::SparsePlus => {
                let half = s.mul(s.add(at, one), s.splat(0.5));
                between(s, at, -1.0, 1.0, s.mul(dy, half), zero, dy)
            }
            Activation::SparseSigmoid => {
                between(s, at, -1.0, 1.0, s.mul(dy, s.splat(0.5)), zero, zero)
            }
            Activation::Threshold { threshold, .. } => {
                s.select(s.gt(at, s.splat(threshold as f32)), dy, zero)
            }
            Activation::Softmax | Activation::LogSoftmax => unreachable!("not elementwise"),
        }
    }
}

/// x, but no less than `low` and no more than `high`; NaN passes.
#[inline(always)]
fn within<S: Simd>(s: S, x: S::F, low: f32, high: f32) -> S::F {
    let (low, high) = (s.splat(low), s.splat(high));
    s.select(s.gt(low, x), low, s.select(s.gt(x, high), high, x))
}

/// `inside` where low < x < high, `left` where x ≤ low (or is NaN), `right` where x ≥ high.
#[inline(always)]
fn between<S: Simd>(
    s: S,
    x: S::F,
    low: f32,
    high: f32,
    inside: S::F,
    left: S::F,
    right: S::F,
) -> S::F {
    let right_of_low = s.select(s.ge(x, s.splat(high)), right, inside);
    s.select(s.gt(x, s.splat(low)), right_of_low, left)
}

/// `dy` where low ≤ x ≤ high, else 0: the gradient of [`within`], at whose ends Keras lets it pass.
#[inline(always)]
fn not_beyond<S: Simd>(s: S, x: S::F, low: f32, high: f32, dy: S::F) -> S::F {
    let zero = s.splat(0.0);
    s.select(s.gt(s.splat(low), x), zero, s.select(s.gt(x, s.splat(high)), zero, dy))
}

/// relu6(x + 3) / 6
#[inline(always)]
fn hard_sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let six = s.splat(6.0);
    let moved = relu(s, s.add(x, s.splat(3.0)));
    s.div(s.select(s.gt(moved, six), six, moved), six)
}

/// 2·√(2/π)
const GELU_TANH: f32 = 1.595_769_2;
/// 2·√(2/π)·0.044715
const GELU_TANH_CUBE: f32 = 0.071_354_814;

/// u with (1 + tanh(u / 2)) / 2 = sigmoid(u), which does not cancel left of 0: the factor of x in gelu's
/// approximation.
#[inline(always)]
fn gelu_tanh_argument<S: Simd>(s: S, x: S::F) -> S::F {
    let slope = s.mul_add(s.mul(x, x), s.splat(GELU_TANH_CUBE), s.splat(GELU_TANH));
    s.mul(x, slope)
}
