//! Operators in the place of layers: `x / 255.`, `keras.ops.relu(x)`.

use super::error::KerasError;
use super::network::{Argument, Call, Layer};
use crate::model::{Activation, LayerSpec, Merge, Rescaling};

/// An operator as layers of keepnet; `None` if the layer is a common one.
pub(super) fn lower(layer: &Layer<'_>, call: &Call) -> Result<Option<Vec<LayerSpec>>, KerasError> {
    let settings = layer.settings;
    let refused = || KerasError::Layer { owner: settings.owner() };
    let name = match settings.class() {
        // tf-keras names the function of TensorFlow.
        "TFOpLambda" => settings.text("function")?.ok_or_else(refused)?,
        "SlicingOpLambda" | "TensorFlowOpLayer" => return Err(refused()),
        class => class,
    };
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name).to_ascii_lowercase();
    let name = name.trim_end_matches('_');
    let constant = constant(call);
    let affine = |scale: f64, offset: f64| Ok(Some(vec![Rescaling { scale, offset }.into()]));
    let is_operator = layer.is_operation;
    match (name.replace('_', "").as_str(), constant) {
        ("truediv" | "truedivide" | "divide" | "realdiv", Some((c, Side::Right))) => {
            affine(1.0 / c, 0.0)
        }
        ("multiply" | "mul", Some((c, _))) => affine(c, 0.0),
        ("add" | "addv2", Some((c, _))) => affine(1.0, c),
        ("subtract" | "sub", Some((c, Side::Right))) => affine(1.0, -c),
        ("subtract" | "sub", Some((c, Side::Left))) => affine(-1.0, c),
        ("negative" | "neg", None) if is_operator => affine(-1.0, 0.0),
        ("add" | "addv2", None) if is_operator => Ok(Some(vec![Merge::Add.into()])),
        ("relu", None) if is_operator => Ok(Some(vec![Activation::Relu.into()])),
        ("relu6", None) if is_operator => Ok(Some(vec![Activation::Relu6.into()])),
        ("sigmoid", None) if is_operator => Ok(Some(vec![Activation::Sigmoid.into()])),
        ("tanh", None) if is_operator => Ok(Some(vec![Activation::Tanh.into()])),
        ("softmax", None) if is_operator => Ok(Some(vec![Activation::Softmax.into()])),
        ("silu" | "swish", None) if is_operator => Ok(Some(vec![Activation::Silu.into()])),
        _ if is_operator => Err(refused()),
        _ => Ok(None),
    }
}

/// On which side of the operator a number stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// The number that a tensor is joined with.
fn constant(call: &Call) -> Option<(f64, Side)> {
    let listed = call.arguments.iter().enumerate().find_map(|(place, argument)| match argument {
        Argument::Number(number) if place == 0 => Some((*number, Side::Left)),
        Argument::Number(number) => Some((*number, Side::Right)),
        _ => None,
    });
    let named = |name: &str| match call.named.get(name) {
        Some(Argument::Number(number)) => Some((*number, Side::Right)),
        _ => None,
    };
    listed.or_else(|| named("y")).or_else(|| named("x2")).filter(|(number, _)| number.is_finite())
}
