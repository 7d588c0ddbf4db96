//! Operators in the place of layers: `x / 255.`, `keras.ops.relu(x)`, `tf.reshape(x, (-1, 16))`. Of a
//! function nothing but its name is looked at.

mod functions;
mod places;

use serde_json::{Map, Value};

use super::error::KerasError;
use super::json::{Settings, per_channel, real};
use super::layers::{Dialect, Specs};
use super::network::{Argument, Call, Layer};
use super::slices::sliced;
use crate::model::Merge;
use crate::tensor::Shape;

/// The operators below that no layer shares a name with; in `.h5` files nothing else tells them.
const CLASSES: [&str; 42] = [
    "Cast",
    "Celu",
    "Clip",
    "Divide",
    "Elu",
    "Exp",
    "ExpandDims",
    "Gelu",
    "GetItem",
    "HardShrink",
    "HardSigmoid",
    "HardSilu",
    "HardTanh",
    "LeakyRelu",
    "LogSigmoid",
    "LogSoftmax",
    "Max",
    "Mean",
    "Negative",
    "Pad",
    "Power",
    "Relu",
    "Relu6",
    "Resize",
    "Selu",
    "Sigmoid",
    "Silu",
    "SlicingOpLambda",
    "SoftShrink",
    "Softplus",
    "Softsign",
    "SparsePlus",
    "SparseSigmoid",
    "Square",
    "Squareplus",
    "Squeeze",
    "TFOpLambda",
    "Tanh",
    "TanhShrink",
    "Threshold",
    "Transpose",
    "TrueDivide",
];

/// Whether a layer of that class is an operator.
pub(super) fn is_operator(module: &str, class: &str, config: &Map<String, Value>) -> bool {
    module.starts_with("keras.src.ops")
        || CLASSES.contains(&class)
        // The layer's setting is `target_shape`.
        || (class == "Reshape" && config.contains_key("newshape"))
        // The layer has none: it takes the mean of several inputs.
        || (class == "Average" && config.contains_key("axis"))
}

/// An operator on samples of shape `input`, as layers of keepnet; `None` if the layer is a common one.
pub(super) fn lower(
    layer: &Layer<'_>,
    call: &Call,
    input: &Shape,
) -> Result<Option<Specs>, KerasError> {
    let operator = Operator::of(layer, call, input)?;
    let specs = match operator.constant() {
        Some((constant, side)) => operator.with_constant(&constant, side),
        None if !layer.is_operation && !operator.takes_values() => return Ok(None),
        None if operator.name == "getitem" => operator.key().and_then(|key| sliced(key, input)),
        None if operator.has_unknown_arguments() => None,
        None => operator.function().or_else(|| operator.moved()).or_else(|| operator.merged()),
    };
    specs.map(Some).ok_or_else(|| KerasError::Layer { owner: layer.settings.owner() })
}

/// How often the operator takes its tensor: `x ** 2` is a product of two.
pub(super) fn times(layer: &Layer<'_>, call: &Call, input: &Shape) -> Result<usize, KerasError> {
    let power = Operator::of(layer, call, input)?.power();
    Ok(power.filter(|_| layer.is_operation).unwrap_or(1))
}

/// On which side of the operator a constant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

struct Operator<'a> {
    /// Without the module and underscores, in small letters.
    name: String,
    /// TensorFlow's defaults are those of Keras 2.
    dialect: Dialect,
    settings: Settings<'a>,
    call: &'a Call,
    input: &'a Shape,
}

/// What is read of the arguments that have names.
const ARGUMENTS: [&str; 25] = [
    "alpha",
    "antialias",
    "approximate",
    "axes",
    "axis",
    "clip_value_max",
    "clip_value_min",
    "conjugate",
    "constant_values",
    "dtype",
    "inputs",
    "keepdims",
    "method",
    "mode",
    "name",
    "negative_slope",
    "paddings",
    "perm",
    "preserve_aspect_ratio",
    "shape",
    "size",
    "values",
    "x",
    "x2",
    "y",
];

impl<'a> Operator<'a> {
    fn of(layer: &Layer<'a>, call: &'a Call, input: &'a Shape) -> Result<Self, KerasError> {
        let settings = layer.settings;
        // tf-keras names the function of TensorFlow.
        let (function, dialect) = match settings.class() {
            "TFOpLambda" | "SlicingOpLambda" => {
                (settings.text("function")?.unwrap_or_default(), Dialect::Keras2)
            }
            class => (class, Dialect::Keras3),
        };
        let name = function.rsplit_once('.').map_or(function, |(_, name)| name);
        let name = name.replace('_', "").to_ascii_lowercase();
        Ok(Self { name, dialect, settings, call, input })
    }

    /// An argument by one of its names, which Keras 3 has among the settings.
    fn argument(&self, names: &[&str]) -> Option<&Value> {
        let named = names.iter().find_map(|&name| match self.call.named.get(name) {
            Some(Argument::Value(value)) => Some(value),
            _ => None,
        });
        named.or_else(|| names.iter().find_map(|name| self.settings.get(name)))
    }

    fn number(&self, names: &[&str]) -> Option<f64> {
        self.argument(names).and_then(real)
    }

    fn integer(&self, names: &[&str]) -> Option<i64> {
        self.argument(names).and_then(Value::as_i64)
    }

    fn integers(&self, names: &[&str]) -> Option<Vec<i64>> {
        match self.argument(names)? {
            Value::Array(values) => values.iter().map(Value::as_i64).collect(),
            value => Some(vec![value.as_i64()?]),
        }
    }

    /// Whether something stands among the tensors. In `.h5` files this tells an operator from the layer
    /// of its name.
    fn takes_values(&self) -> bool {
        self.call.arguments.iter().any(|it| matches!(it, Argument::Value(_)))
    }

    fn has_unknown_arguments(&self) -> bool {
        self.takes_values()
            || self.call.named.keys().any(|name| !ARGUMENTS.contains(&name.as_str()))
    }

    /// The number, or the numbers, that a tensor is joined with.
    fn constant(&self) -> Option<(Vec<f64>, Side)> {
        let listed = self.call.arguments.iter().enumerate();
        let mut listed = listed.filter_map(|(place, argument)| match argument {
            Argument::Value(value) if place == 0 => Some((per_channel(value)?, Side::Left)),
            Argument::Value(value) => Some((per_channel(value)?, Side::Right)),
            Argument::Result(_) => None,
        });
        let named = |name: &str| match self.call.named.get(name)? {
            Argument::Value(value) => Some((per_channel(value)?, Side::Right)),
            Argument::Result(_) => None,
        };
        listed.next().or_else(|| ["y", "x2", "bias"].into_iter().find_map(named))
    }

    /// Of `x ** 2` and the like, which are products.
    fn power(&self) -> Option<usize> {
        match (self.name.as_str(), self.constant()) {
            ("square", None) => Some(2),
            ("power" | "pow", Some((exponent, Side::Right))) => match exponent.as_slice() {
                [2.0] => Some(2),
                [3.0] => Some(3),
                _ => None,
            },
            _ => None,
        }
    }

    /// What stands in the brackets of `x[…]`.
    fn key(&self) -> Option<&Value> {
        match self.call.arguments.as_slice() {
            [Argument::Result(_), Argument::Value(key)] => Some(key),
            [Argument::Result(_)] => self.argument(&["slice_spec"]),
            _ => None,
        }
    }

    fn merged(&self) -> Option<Specs> {
        let tensor = |argument: &&Argument| matches!(argument, Argument::Result(_));
        let inputs = self.call.arguments.iter().chain(self.call.named.values());
        let merge = match (self.name.as_str(), inputs.filter(tensor).count()) {
            ("addn", _) | ("add" | "addv2", 2) => Merge::Add,
            ("subtract" | "sub", 2) => Merge::Subtract,
            ("multiply" | "mul", 2) => Merge::Multiply,
            ("maximum", 2) => Merge::Maximum,
            ("minimum", 2) => Merge::Minimum,
            ("concatenate" | "concat", _) => {
                Merge::Concatenate { axis: i32::try_from(self.integer(&["axis"])?).ok()? }
            }
            _ => return None,
        };
        Some(vec![merge.into()])
    }
}

#[cfg(test)]
mod tests;
