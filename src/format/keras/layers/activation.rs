//! Activation functions: by name, as an object, as a layer in the place of one.

use serde_json::Value;

use super::{Dialect, Lowering};
use crate::format::keras::error::KerasError;
use crate::format::keras::json::{Object, Settings};
use crate::format::keras::network::is_of_keras;
use crate::model::{Activation, LayerSpec};
use crate::tensor::Shape;

impl Lowering {
    /// What a name, an object, or a layer in the place of a function stands for.
    pub(super) fn activation(
        &mut self,
        settings: Settings<'_>,
        setting: &str,
    ) -> Result<Activation, KerasError> {
        let unknown = || {
            settings.unsupported(setting, "take one that docs/INTEROP.md lists, and save it again")
        };
        let name = match settings.get(setting) {
            None => return Ok(Activation::Linear),
            Some(Value::String(name)) => name.as_str(),
            Some(value) => {
                let inner = value.get("config");
                match (value.get("class_name").and_then(Value::as_str), inner) {
                    (Some("function"), Some(Value::String(name))) => name.as_str(),
                    _ if layer_behind(settings).is_some() => return Ok(Activation::Linear),
                    (Some("LeakyReLU" | "ELU" | "ReLU" | "Softmax" | "Activation"), Some(_)) => {
                        let object = Object::of(value).filter(is_of_keras).ok_or_else(unknown)?;
                        let specs = self.lower(object.settings(), &Shape::vector(1))?;
                        return match specs.as_slice() {
                            [LayerSpec::Activation(activation)] => Ok(*activation),
                            _ => Err(unknown()),
                        };
                    }
                    (Some(name), _) => name,
                    (None, _) => return Err(unknown()),
                }
            }
        };
        if name == "sparsemax" {
            // Its threshold is a sum of partial sums, where it should be one of them (3.15).
            let remedy = "what Keras computes by that name is no sparsemax, its values do not sum to 1; \
                          take `softmax`, and train it anew";
            return Err(settings.unsupported(setting, remedy));
        }
        named_activation(name, self.dialect).ok_or_else(unknown)
    }
}

/// The layer that stands in the place of a function and is none of each value alone: it follows the layer
/// whose setting it is.
pub(super) fn layer_behind(settings: Settings<'_>) -> Option<Settings<'_>> {
    let layer = Object::of(settings.get("activation")?).filter(is_of_keras)?.settings();
    let is_last_axis = || layer.get("axis").is_none_or(|axis| *axis == -1);
    match layer.class() {
        "PReLU" => Some(layer),
        "Softmax" if !is_last_axis() => Some(layer),
        _ => None,
    }
}

/// Keras' name of an elementwise function, or of softmax over the last axis.
pub(in crate::format::keras) fn named_activation(
    name: &str,
    dialect: Dialect,
) -> Option<Activation> {
    Some(match name {
        "linear" => Activation::Linear,
        "relu" | "ReLU" => Activation::Relu,
        "relu6" => Activation::Relu6,
        "leaky_relu" => Activation::LeakyRelu { negative_slope: 0.2 },
        "elu" => Activation::Elu { alpha: 1.0 },
        "selu" => Activation::Selu,
        "gelu" => Activation::Gelu,
        "silu" | "swish" => Activation::Silu,
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "softplus" => Activation::Softplus,
        "softmax" | "Softmax" => Activation::Softmax,
        "log_softmax" => Activation::LogSoftmax,
        "exponential" => Activation::Exponential,
        "softsign" => Activation::Softsign,
        // Keras 3 has given the name to another function.
        "hard_sigmoid" if dialect == Dialect::Keras2 => Activation::HardSigmoidKeras2,
        "hard_sigmoid" => Activation::HardSigmoid,
        "hard_silu" | "hard_swish" => Activation::HardSilu,
        "hard_tanh" => Activation::HardTanh,
        "mish" => Activation::Mish,
        "log_sigmoid" => Activation::LogSigmoid,
        "celu" => Activation::Celu { alpha: 1.0 },
        "soft_shrink" => Activation::SoftShrink { threshold: 0.5 },
        "hard_shrink" => Activation::HardShrink { threshold: 0.5 },
        "tanh_shrink" => Activation::TanhShrink,
        "squareplus" => Activation::Squareplus { b: 4.0 },
        "sparse_plus" => Activation::SparsePlus,
        "sparse_sigmoid" => Activation::SparseSigmoid,
        _ => return None,
    })
}
