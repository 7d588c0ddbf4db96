//! Operators that compute each value by itself, with a number or without, and softmax.

use serde_json::Value;

use super::super::layers::{Dialect, Specs, named_activation};
use super::{Operator, Side};
use crate::model::{Activation, ChannelRescaling, LayerSpec, Merge, Rescaling, Softmax};

impl Operator<'_> {
    pub(super) fn with_constant(&self, constant: &[f64], side: Side) -> Option<Specs> {
        let affine = |each: fn(f64) -> [f64; 2]| {
            let both: Vec<[f64; 2]> = constant.iter().map(|&number| each(number)).collect();
            Some(vec![match both.as_slice() {
                &[[scale, offset]] => Rescaling { scale, offset }.into(),
                several => {
                    let (scale, offset) = several.iter().map(|&[a, b]| (a, b)).unzip();
                    ChannelRescaling { scale, offset }.into()
                }
            }])
        };
        match (self.name.as_str(), side) {
            ("truediv" | "truedivide" | "divide" | "realdiv", Side::Right) => {
                affine(|number| [number.recip(), 0.0])
            }
            ("multiply" | "mul", _) => affine(|number| [number, 0.0]),
            ("add" | "addv2", _) => affine(|number| [1.0, number]),
            ("subtract" | "sub", Side::Right) => affine(|number| [1.0, -number]),
            ("subtract" | "sub", Side::Left) => affine(|number| [-1.0, number]),
            ("biasadd", Side::Right) => {
                let format = self.argument(&["data_format"]);
                let is_last =
                    format.is_none_or(|it| it.as_str().is_some_and(|it| it.ends_with('C')));
                if is_last { affine(|number| [1.0, number]) } else { None }
            }
            ("power" | "pow", _) => self.power().map(|_| vec![Merge::Multiply.into()]),
            ("maximum", _) => match *constant {
                [number] => Some(vec![at_least(number)]),
                _ => None,
            },
            // -max(-x, -number)
            ("minimum", _) => match *constant {
                [number] => Some(vec![negative(), at_least(-number), negative()]),
                _ => None,
            },
            _ => None,
        }
    }

    /// Functions of each value, and softmax.
    pub(super) fn function(&self) -> Option<Specs> {
        let slope = self.number(&["negative_slope", "alpha"]);
        let axis = self.integer(&["axis"]).filter(|&axis| axis != -1);
        function(match self.name.as_str() {
            "negative" | "neg" => return Some(vec![negative()]),
            "square" => return Some(vec![Merge::Multiply.into()]),
            // What is f32 stays so.
            "cast" => {
                let to = self.argument(&["dtype"])?;
                return (to == "float32").then(Vec::new);
            }
            "softmax" if axis.is_some() => {
                return Some(vec![Softmax { axis: i32::try_from(axis?).ok()? }.into()]);
            }
            "logsoftmax" if axis.is_some() => return None,
            "leakyrelu" => Activation::LeakyRelu { negative_slope: slope.unwrap_or(0.2) },
            "elu" => Activation::Elu { alpha: slope.unwrap_or(1.0) },
            "celu" => Activation::Celu { alpha: slope.unwrap_or(1.0) },
            "gelu" => match (self.argument(&["approximate"]), self.dialect) {
                (Some(Value::Bool(true)), _) | (None, Dialect::Keras3) => Activation::GeluTanh,
                (Some(Value::Bool(false)), _) | (None, Dialect::Keras2) => Activation::Gelu,
                (Some(_), _) => return None,
            },
            "softshrink" => {
                Activation::SoftShrink { threshold: self.number(&["threshold"]).unwrap_or(0.5) }
            }
            "hardshrink" => {
                Activation::HardShrink { threshold: self.number(&["threshold"]).unwrap_or(0.5) }
            }
            "threshold" => Activation::Threshold {
                threshold: self.number(&["threshold"])?,
                value: self.number(&["default_value", "value"])?,
            },
            "squareplus" => Activation::Squareplus { b: self.number(&["b"]).unwrap_or(4.0) },
            "clip" | "clipbyvalue" => {
                let low = self.number(&["x_min", "clip_value_min"])?;
                match (low, self.number(&["x_max", "clip_value_max"])?) {
                    (0.0, 6.0) => Activation::Relu6,
                    (0.0, max_value) => {
                        Activation::ClippedRelu { max_value, negative_slope: 0.0, threshold: 0.0 }
                    }
                    (-1.0, 1.0) => Activation::HardTanh,
                    _ => return None,
                }
            }
            "exp" => Activation::Exponential,
            name => {
                let full = PLAIN.into_iter().find(|full| full.replace('_', "") == name)?;
                named_activation(full, self.dialect)?
            }
        })
    }
}

/// What needs no argument.
const PLAIN: [&str; 19] = [
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "log_sigmoid",
    "log_softmax",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "swish",
    "tanh",
    "tanh_shrink",
];

fn function(activation: Activation) -> Option<Specs> {
    Some(vec![activation.into()])
}

/// −x
fn negative() -> LayerSpec {
    Rescaling { scale: -1.0, offset: 0.0 }.into()
}

/// The larger of x and a number.
fn at_least(number: f64) -> LayerSpec {
    match number {
        0.0 => Activation::Relu.into(),
        _ => Activation::Threshold { threshold: number, value: number }.into(),
    }
}
