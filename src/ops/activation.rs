//! Activation functions and their gradients.
//!
//! Comparisons decide by selection, so NaN passes through all but the gradients of relu and relu6
//! (which are zero there), and relu gives +0.0 for −0.0.

use crate::kernels::elementwise::{Binary, Unary, binary_in_place, relu, unary, unary_in_place};
use crate::kernels::reduce::sum_in;
use crate::kernels::{Isa, Kernel, LANES, Simd, math};
use crate::model::Activation;

/// Whether the gradient needs what went into the function; else what came out is enough.
pub(crate) const fn needs_input(activation: Activation) -> bool {
    match activation {
        Activation::LeakyRelu { .. }
        | Activation::Elu { .. }
        | Activation::Selu
        | Activation::Gelu
        | Activation::Silu
        | Activation::Softplus => true,
        Activation::Linear
        | Activation::Relu
        | Activation::Relu6
        | Activation::Sigmoid
        | Activation::Tanh
        | Activation::Softmax => false,
    }
}

/// `y` of `x`, both rows of `width` values.
pub(crate) fn forward(isa: Isa, activation: Activation, y: &mut [f32], x: &[f32], width: usize) {
    if activation == Activation::Softmax {
        y.copy_from_slice(x);
        isa.run(Softmax { y, width });
    } else {
        unary(isa, Function(activation), y, x);
    }
}

/// The same in place.
pub(crate) fn apply(isa: Isa, activation: Activation, y: &mut [f32], width: usize) {
    match activation {
        Activation::Linear => {}
        Activation::Softmax => isa.run(Softmax { y, width }),
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
        Activation::Softmax => isa.run(SoftmaxGradient { dy, y, width }),
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
            Activation::Softmax => unreachable!("not elementwise"),
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
            Activation::Softmax => unreachable!("not elementwise"),
        }
    }
}

/// Softmax of rows of `width` values, in place: eˣ⁻ᵐ over its sum in the fixed lanes, m the largest.
struct Softmax<'a> {
    y: &'a mut [f32],
    width: usize,
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for row in self.y.chunks_exact_mut(self.width) {
            let (_, sum) = exponentials(s, row);
            let sum = s.splat(sum);
            for part in row.chunks_mut(LANES) {
                s.store_partial(s.div(s.load_partial(part), sum), part);
            }
        }
    }
}

/// Turns a row into eˣ⁻ᵐ, m its largest value; gives m and the sum in the fixed lanes.
#[inline(always)]
pub(super) fn exponentials<S: Simd>(s: S, row: &mut [f32]) -> (f32, f32) {
    let mut largest = f32::NEG_INFINITY;
    for &x in row.iter() {
        largest = if x > largest { x } else { largest };
    }
    let m = s.splat(largest);
    for part in row.chunks_mut(LANES) {
        s.store_partial(math::exp(s, s.sub(s.load_partial(part), m)), part);
    }
    (largest, sum_in(s, row))
}

/// dx = y·(dy − Σ dy·y) per row, in place.
struct SoftmaxGradient<'a> {
    dy: &'a mut [f32],
    y: &'a [f32],
    width: usize,
}

impl Kernel for SoftmaxGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rows = self.dy.chunks_exact_mut(self.width).zip(self.y.chunks_exact(self.width));
        for (dy, y) in rows {
            let mut lanes = s.splat(0.0);
            for (dy, y) in dy.chunks(LANES).zip(y.chunks(LANES)) {
                lanes = s.mul_add(s.load_partial(dy), s.load_partial(y), lanes);
            }
            let sum = s.splat(s.sum_lanes(lanes));
            for (dy, y) in dy.chunks_mut(LANES).zip(y.chunks(LANES)) {
                let difference = s.sub(s.load_partial(dy), sum);
                s.store_partial(s.mul(s.load_partial(y), difference), dy);
            }
        }
    }
}
