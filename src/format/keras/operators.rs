//! Operators in the place of layers: `x / 255.`, `keras.ops.relu(x)`, `tf.reshape(x, (-1, 16))`. Of a
//! function nothing but its name is looked at.

use serde_json::{Map, Value};

use super::error::KerasError;
use super::json::{Settings, per_channel, real};
use super::layers::{Dialect, Specs, named_activation, permuted};
use super::network::{Argument, Call, Layer};
use super::slices::sliced;
use crate::model::{
    Activation, Arrange, BilinearUpSampling2d, ChannelRescaling, GlobalPool1d, GlobalPool2d,
    LayerSpec, Merge, PoolKind, Rescaling, Softmax,
};
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

    fn with_constant(&self, constant: &[f64], side: Side) -> Option<Specs> {
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
    fn function(&self) -> Option<Specs> {
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

    /// What only moves values, or takes one of each channel.
    fn moved(&self) -> Option<Specs> {
        let dims = self.input.dims();
        let reshaped = |dims: Vec<usize>| Some(vec![LayerSpec::Reshape(Shape::new(dims))]);
        match self.name.as_str() {
            "reshape" => self.reshaped(),
            "transpose" => match self.integers(&["axes", "perm"])?.split_first()? {
                (0, axes) => {
                    let dims = axes.iter().map(|&axis| usize::try_from(axis).ok());
                    Some(vec![Arrange::Permute { dims: dims.collect::<Option<_>>()? }.into()])
                }
                _ => None,
            },
            "expanddims" => {
                let place = from_batch(self.integer(&["axis"])?, dims.len() + 2)?;
                let mut dims = dims.to_vec();
                dims.insert(place - 1, 1);
                reshaped(dims)
            }
            "squeeze" => {
                let places = match self.argument(&["axis"]) {
                    None => {
                        (1..=dims.len()).filter(|place| dims.get(place - 1) == Some(&1)).collect()
                    }
                    Some(_) => self.axes()?,
                };
                let rest = (1..).zip(dims).filter(|(place, _)| !places.contains(place));
                reshaped(rest.map(|(_, &dim)| dim).collect())
            }
            "pad" => self.padded(),
            "resize" => self.resized(),
            "mean" | "reducemean" => self.pooled(PoolKind::Average),
            "max" | "amax" | "reducemax" => self.pooled(PoolKind::Max),
            _ => None,
        }
    }

    fn reshaped(&self) -> Option<Specs> {
        let shape = self.integers(&["newshape", "shape"])?;
        let (&batch, dims) = shape.split_first()?;
        let open = dims.iter().filter(|&&dim| dim == -1).count();
        // Either the batch is what is left, or one of the others is.
        if (batch == -1) != (open == 0) || open > 1 {
            return None;
        }
        let known = |dim: &i64| usize::try_from(*dim).ok();
        let mut known_ones = dims.iter().filter(|&&dim| dim != -1).map(known);
        let product = known_ones.try_fold(1_usize, |product, dim| product.checked_mul(dim?))?;
        let left = self.input.checked_elements()?.checked_div(product)?;
        let dims = dims.iter().map(|dim| if *dim == -1 { Some(left) } else { known(dim) });
        Some(vec![LayerSpec::Reshape(Shape::new(dims.collect::<Option<Vec<_>>>()?))])
    }

    fn padded(&self) -> Option<Specs> {
        let mode =
            self.argument(&["mode"]).map_or("constant", |it| it.as_str().unwrap_or_default());
        let value = self.number(&["constant_values"]).unwrap_or(0.0);
        if !mode.eq_ignore_ascii_case("constant") || value != 0.0 {
            return None;
        }
        let pair = |sides: &Value| <[usize; 2]>::try_from(counts(sides)?).ok();
        let sides = self.argument(&["pad_width", "paddings"])?.as_array()?;
        let sides: Vec<[usize; 2]> = sides.iter().map(pair).collect::<Option<_>>()?;
        let padding = match *sides.as_slice() {
            [[0, 0], steps, [0, 0]] => Arrange::ZeroPadding1d(steps),
            [[0, 0], [top, bottom], [left, right], [0, 0]] => {
                Arrange::ZeroPadding2d([top, bottom, left, right])
            }
            _ => return None,
        };
        Some(vec![padding.into()])
    }

    /// To so many times the height and the width.
    fn resized(&self) -> Option<Specs> {
        let off = |name| self.argument(&[name]).is_none_or(|value| *value == false);
        let is_last = self.argument(&["data_format"]).is_none_or(|it| it == "channels_last");
        if !(["antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "preserve_aspect_ratio"]
            .into_iter()
            .all(off)
            && is_last)
        {
            return None;
        }
        let (height, width, _) = self.input.as_image()?;
        let wanted = counts(self.argument(&["size"])?)?;
        let &[down, across] = wanted.as_slice() else { return None };
        if !(down.is_multiple_of(height) && across.is_multiple_of(width)) {
            return None;
        }
        let size = [down / height, across / width];
        let method = self.argument(&["interpolation", "method"]);
        match method.map_or(Some("bilinear"), Value::as_str)? {
            "bilinear" => Some(vec![BilinearUpSampling2d { size }.into()]),
            "nearest" => Some(vec![Arrange::UpSampling2d { size }.into()]),
            _ => None,
        }
    }

    /// Over all places of sequences or images whose channels come last, or first.
    fn pooled(&self, kind: PoolKind) -> Option<Specs> {
        if self.argument(&["initial"]).is_some() {
            return None;
        }
        let keep_dims = match self.argument(&["keepdims"]) {
            None => false,
            Some(keep) => keep.as_bool()?,
        };
        let mut axes = self.axes()?;
        axes.sort_unstable();
        let rank = self.input.rank();
        let pool: LayerSpec = match rank {
            2 => GlobalPool1d { kind, keep_dims }.into(),
            3 => GlobalPool2d { kind, keep_dims }.into(),
            _ => return None,
        };
        if axes.iter().copied().eq(1..rank) {
            return Some(vec![pool]);
        }
        let first = axes.iter().copied().eq(2..=rank) && !keep_dims;
        first.then(|| vec![permuted(1, rank), pool])
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

    /// `axis`, or several: 1 is the first of a sample.
    fn axes(&self) -> Option<Vec<usize>> {
        let axes = self.integers(&["axis"])?;
        axes.into_iter().map(|axis| from_batch(axis, self.input.rank() + 1)).collect()
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

/// An axis of so many, with the batch, counted from the batch; that itself is none.
fn from_batch(axis: i64, axes: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(i64::try_from(axes).ok()?)? } else { axis };
    usize::try_from(axis).ok().filter(|axis| (1..axes).contains(axis))
}

fn counts(value: &Value) -> Option<Vec<usize>> {
    value.as_array()?.iter().map(super::json::count).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::build::build;
    use super::super::network::Network;
    use super::*;
    use crate::format::LoadOptions;

    /// The shape that a function of TensorFlow gives of images of shape (2, 3, 4).
    fn of_tensorflow(function: &str, arguments: &Value) -> Result<Shape, KerasError> {
        let input = json!({"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
            "config": {"batch_input_shape": [null, 2, 3, 4]}});
        let operator = json!({"class_name": "TFOpLambda", "name": "f",
            "config": {"function": function}, "inbound_nodes": [["x", 0, 0, arguments]]});
        let model = json!({"class_name": "Functional", "config": {"layers": [input, operator],
            "input_layers": [["x", 0, 0]], "output_layers": [["f", 0, 0]]}});
        let built = build(&Network::parse(&model)?, Dialect::Keras2, &LoadOptions::default())?;
        let graph = built.graph;
        Ok(graph.shape(graph.outputs()[0].node).clone())
    }

    #[test]
    fn arguments_that_are_not_understood_are_refused() {
        let all = json!({"start": null, "stop": null, "step": null});
        let taken = [
            ("reshape", json!({"shape": [-1, 6, 4]}), vec![6, 4]),
            ("reshape", json!({"shape": [5, -1, 4]}), vec![6, 4]),
            ("expand_dims", json!({"axis": -1}), vec![2, 3, 4, 1]),
            ("math.reduce_mean", json!({"axis": [-2, 1]}), vec![4]),
            ("math.reduce_mean", json!({"axis": [2, 3]}), vec![2]),
            ("nn.silu", json!({"name": "act"}), vec![2, 3, 4]),
            ("math.pow", json!({"y": 3}), vec![2, 3, 4]),
            ("nn.bias_add", json!({"bias": [1.0, 2.0, 3.0, 4.0]}), vec![2, 3, 4]),
            ("__operators__.getitem", json!({"slice_spec": [all, -1, null, all]}), vec![1, 3, 4]),
            (
                "__operators__.getitem",
                json!({"slice_spec": [{"class_name": "__ellipsis__"}, {"start": 1, "stop": -1}]}),
                vec![2, 3, 2],
            ),
        ];
        for (function, arguments, dims) in taken {
            let found = of_tensorflow(function, &arguments);
            assert_eq!(found, Ok(Shape::new(dims)), "{function} {arguments}");
        }
        let refused = [
            ("reshape", json!({"shape": [-1, -1, 4]})),
            ("reshape", json!({"shape": [5, 6, 4]})),
            ("reshape", json!({"shape": [-1, 1.5]})),
            ("compat.v1.transpose", json!({"perm": [1, 0, 2, 3]})),
            ("compat.v1.transpose", json!({})),
            ("expand_dims", json!({"axis": 0})),
            ("math.reduce_mean", json!({"axis": [0, 1, 2]})),
            ("math.reduce_mean", json!({"axis": 2})),
            ("math.reduce_mean", json!({})),
            ("compat.v1.pad", json!({"paddings": [[1, 0], [0, 0], [0, 0], [0, 0]]})),
            (
                "compat.v1.pad",
                json!({"paddings": [[0, 0], [1, 1], [0, 0], [0, 0]], "mode": "REFLECT"}),
            ),
            ("nn.silu", json!({"beta": 2.0})),
            ("clip_by_value", json!({"clip_value_min": -2.0, "clip_value_max": 6.0})),
            ("math.add", json!({})),
            ("math.add", json!({"y": "Infinity"})),
            ("math.pow", json!({"y": 2.5})),
            ("math.pow", json!({"y": -1})),
            ("nn.bias_add", json!({"bias": [1.0, 2.0], "data_format": "NCHW"})),
            ("__operators__.getitem", json!({"slice_spec": [{"start": 0, "stop": 1}]})),
            (
                "__operators__.getitem",
                json!({"slice_spec": [all, {"start": null, "stop": null, "step": -1}]}),
            ),
            (
                "__operators__.getitem",
                json!({"slice_spec": [all, {"start": 2, "stop": 1, "step": null}]}),
            ),
            ("__operators__.getitem", json!({"slice_spec": [all, 2]})),
            ("__operators__.getitem", json!({"slice_spec": [all, -3]})),
            ("__operators__.getitem", json!({"slice_spec": [all, all, all, all, 0]})),
            ("__operators__.getitem", json!({"slice_spec": [null, all]})),
            ("__operators__.getitem", json!({"slice_spec": [all, "x"]})),
            ("__operators__.getitem", json!({"slice_spec": [all, {}]})),
            ("__operators__.getitem", json!({})),
            ("math.truediv", json!({"y": [[1.0], [2.0]]})),
            ("cast", json!({"dtype": "int32"})),
            ("py_function", json!({})),
            ("", json!({})),
        ];
        for (function, arguments) in refused {
            let found = of_tensorflow(function, &arguments);
            assert!(
                matches!(found, Err(KerasError::Layer { .. })),
                "{function} {arguments}: {found:?}"
            );
        }
    }
}
