//! The rules about layers and the models that they make up.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Reader::{Keras3, TfKeras2};
use super::{Exam, Problem, owner};
use crate::format::keras::error::Owner;
use crate::format::keras::json::{Object, is_of_keras_1};

impl Exam {
    /// A model and all that it is made of.
    pub(super) fn model(&mut self, model: &Value, is_nested: bool) {
        let config = model.get("config");
        if let Some(layers) = config.and_then(Value::as_array) {
            self.find(Keras3, Problem::BareList, None);
            layers.iter().for_each(|layer| self.layer(layer, is_nested));
            return;
        }
        let layers = config.and_then(|config| config.get("layers")).and_then(Value::as_array);
        let layers = layers.map(Vec::as_slice).unwrap_or_default();
        if let Some(object) = Object::of(model) {
            if object.class == "Sequential" {
                self.first_layer(layers);
            } else if !self.is_hdf5() {
                self.module(&object);
            }
        }
        if self.is_hdf5() && counts_calls_from_one(config, layers) {
            self.find(Keras3, Problem::CallsFromOne, None);
        }
        layers.iter().for_each(|layer| self.layer(layer, is_nested));
    }

    fn module(&mut self, object: &Object<'_>) {
        let module = object.whole.get("module").and_then(Value::as_str).unwrap_or_default();
        let problem = || Problem::Module { module: module.to_owned() };
        match module {
            "keras.src.models.functional" => self.find(TfKeras2, problem(), None),
            "keras" if object.class == "Model" => {}
            _ => self.find(Keras3, problem(), None),
        }
    }

    fn first_layer(&mut self, layers: &[Value]) {
        let Some(first) = layers.first().and_then(Object::of) else { return };
        let tells_shape = first.config.contains_key("batch_input_shape");
        if self.is_hdf5() && first.class != "InputLayer" && tells_shape {
            self.find(Keras3, Problem::ImpliedInput, Some(&owner(&first)));
        }
    }

    fn layer(&mut self, value: &Value, is_nested: bool) {
        let class = value.get("class_name").and_then(Value::as_str).unwrap_or_default();
        let known = class.rsplit_once('>').map_or(class, |(_, class)| class);
        *self.layers.entry(known.to_owned()).or_default() += 1;
        if matches!(known, "Sequential" | "Functional" | "Model") {
            return self.model(value, true);
        }
        let Some(object) = Object::of(value) else { return };
        let owner = owner(&object);
        let owner = Some(&owner);
        let has = |setting: &str| object.config.get(setting).is_some_and(|value| !value.is_null());
        let text = |setting: &str| object.config.get(setting).and_then(Value::as_str);
        let registered = value.get("registered_name").and_then(Value::as_str);
        if class.contains('>') || registered.is_some_and(|name| name.contains('>')) {
            self.both(Problem::OwnCode, owner);
        }
        if known == "InputLayer" && has("batch_shape") {
            self.find(TfKeras2, Problem::BatchShape, owner);
        }
        if is_of_keras_1(known, |setting| object.config.contains_key(setting)) {
            self.both(Problem::Keras1, owner);
        }
        self.dtype(&object, owner);
        let keyword = |setting| Problem::Setting { setting };
        match known {
            "Lambda" => {
                self.find(Keras3, Problem::OwnCode, owner);
                if !self.is_hdf5() {
                    self.find(TfKeras2, Problem::OwnCode, owner);
                }
            }
            "BatchNormalization"
                if object.config.get("axis").is_some_and(Value::is_array)
                    && (!self.is_hdf5() || is_nested) =>
            {
                self.find(Keras3, Problem::ListOfAxes, owner);
            }
            "DepthwiseConv2D" | "SeparableConv2D" | "Conv2DTranspose" if has("groups") => {
                self.find(Keras3, keyword("groups"), owner);
            }
            "SpatialDropout1D" | "SpatialDropout2D" if self.is_keras2 && has("trainable") => {
                self.find(Keras3, keyword("trainable"), owner);
            }
            "ThresholdedReLU" | "TFOpLambda" | "SlicingOpLambda" | "TensorFlowOpLayer" => {
                self.find(Keras3, Problem::Class, owner);
            }
            "LSTM" | "GRU" | "SimpleRNN" if has("time_major") => {
                self.find(Keras3, keyword("time_major"), owner);
            }
            _ if known.starts_with("Random") && has("rng_type") => {
                self.find(Keras3, keyword("rng_type"), owner);
            }
            _ if known != "InputLayer" && !self.is_hdf5() && has("batch_input_shape") => {
                self.find(Keras3, keyword("batch_input_shape"), owner);
            }
            _ => {}
        }
        if self.is_keras2 && text("activation") == Some("hard_sigmoid") {
            self.find(Keras3, Problem::HardSigmoid, owner);
        }
        let strides = object.config.get("strides").and_then(Value::as_array);
        let strides = strides.is_some_and(|strides| strides.iter().any(|stride| stride != 1));
        if self.is_keras2
            && known == "Conv2D"
            && strides
            && text("padding") == Some("same")
            && text("data_format") == Some("channels_first")
        {
            self.find(Keras3, Problem::ChannelsFirst, owner);
        }
        let is_function = |value: &Value| {
            value.get("class_name").is_some_and(|class| class == "function")
                && value.get("module").is_none()
        };
        let is_foreign = |value: &Value| {
            let name = value.get("config").unwrap_or(value);
            name.as_str().is_some_and(|name| name.contains('>'))
        };
        if object.config.get("activation").is_some_and(is_foreign) {
            self.both(Problem::OwnCode, owner);
        } else if object.config.values().any(is_function) {
            self.both(Problem::FunctionInitializer, owner);
        }
        // Operators of Keras 3 bring no module along into HDF5.
        let operators = ["TrueDivide", "Divide", "Relu", "Sigmoid", "Negative"];
        if self.is_hdf5() && operators.contains(&known) {
            self.both(Problem::Class, owner);
        }
    }

    fn dtype(&mut self, object: &Object<'_>, owner: Option<&Owner>) {
        let Some(dtype) = object.config.get("dtype") else { return };
        let policy = dtype.get("class_name").and_then(Value::as_str);
        let name = dtype.pointer("/config/name").unwrap_or(dtype).as_str().unwrap_or_default();
        match policy {
            Some("DTypePolicy") => self.find(TfKeras2, Problem::TypeObject, owner),
            Some("Policy") => self.find(Keras3, Problem::PolicyObject, owner),
            _ => {}
        }
        if name == "bfloat16" {
            self.find(TfKeras2, Problem::BFloat16, None);
            if self.is_hdf5() {
                self.find(Keras3, Problem::BFloat16, None);
            }
        }
    }
}

/// Whether a call is referred to that would be one too many if a nested model's calls began at 0.
fn counts_calls_from_one(config: Option<&Value>, layers: &[Value]) -> bool {
    let nested = layers.iter().filter(|layer| {
        let class = layer.get("class_name").and_then(Value::as_str);
        matches!(class, Some("Sequential" | "Functional" | "Model"))
    });
    let calls: BTreeMap<&str, u64> = nested
        .filter_map(|layer| {
            let nodes = layer.get("inbound_nodes")?.as_array()?.len() as u64;
            Some((layer.get("name")?.as_str()?, nodes))
        })
        .collect();
    let nodes = layers.iter().filter_map(|layer| layer.get("inbound_nodes"));
    let ends = config.and_then(|config| config.get("output_layers"));
    nodes.chain(ends).any(|value| refers_beyond(value, &calls))
}

fn refers_beyond(value: &Value, calls: &BTreeMap<&str, u64>) -> bool {
    match value {
        Value::Array(values) => {
            if let [Value::String(name), Value::Number(call), Value::Number(_), ..] =
                values.as_slice()
                && let Some(&count) = calls.get(name.as_str())
            {
                return call.as_u64().is_some_and(|call| call >= count);
            }
            values.iter().any(|value| refers_beyond(value, calls))
        }
        Value::Object(values) => values.values().any(|value| refers_beyond(value, calls)),
        _ => false,
    }
}
