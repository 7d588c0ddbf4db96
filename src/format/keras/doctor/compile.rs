//! The rules about compile settings.

use serde_json::Value;

use super::Reader::{Keras3, TfKeras2};
use super::{Exam, Problem, owner};
use crate::format::keras::error::Owner;
use crate::format::keras::json::Object;

impl Exam {
    pub(super) fn compile(&mut self, compile: &Value) {
        if self.is_hdf5() && compile.get("optimizer_config").is_some_and(Value::is_string) {
            self.both(Problem::OptimizerName, None);
        }
        let optimizer = compile.get("optimizer").or_else(|| compile.get("optimizer_config"));
        if let Some(optimizer) = optimizer.and_then(Object::of) {
            let owner = owner(&optimizer);
            let owner = Some(&owner);
            if !OPTIMIZERS.contains(&optimizer.class.to_ascii_lowercase().as_str()) {
                self.find(TfKeras2, Problem::OwnCode, owner);
            } else if self.is_hdf5() && is_registered(&optimizer) {
                self.find(Keras3, Problem::OptimizerSettings, owner);
            }
            // Keras 3 itself writes `null` for none.
            let decays = optimizer.config.contains_key("weight_decay");
            if self.is_hdf5() && !self.is_keras2 && decays {
                self.find(TfKeras2, Problem::WeightDecay, owner);
            }
            if optimizer.config.contains_key("lr") {
                self.find(Keras3, Problem::Setting { setting: "lr" }, owner);
            }
            let scheduled = optimizer.config.get("learning_rate").is_some_and(Value::is_object);
            let old = optimizer.config.contains_key("is_legacy_optimizer");
            if !self.is_hdf5() && scheduled && old {
                let problem = Problem::Setting { setting: "is_legacy_optimizer" };
                self.find(Keras3, problem, owner);
            }
        }
        compile.get("loss").into_iter().for_each(|loss| self.losses(loss));
    }

    /// One loss, or a list or a dictionary of them.
    fn losses(&mut self, value: &Value) {
        let function = value.get("class_name").is_some_and(|class| class == "function");
        let name = if function { value.get("config") } else { Some(value) };
        if let Some(name) = name.and_then(Value::as_str) {
            if self.is_hdf5() && matches!(name, "mse" | "mae") {
                self.find(Keras3, Problem::Alias { name: name.to_owned() }, None);
            }
            let plain = name.replace('_', "").to_ascii_lowercase();
            if !LOSSES.contains(&plain.as_str()) {
                let owner = Owner { class: name.to_owned(), name: None };
                self.both(Problem::OwnCode, Some(&owner));
            }
            return;
        }
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.losses(value)),
            Value::Object(values) => match Object::of(value) {
                Some(object) => {
                    let owner = owner(&object);
                    if object.config.contains_key("fn") {
                        self.find(Keras3, Problem::Setting { setting: "fn" }, Some(&owner));
                    }
                    if object.config.get("reduction").is_some_and(|rule| rule == "auto") {
                        let setting = "reduction: auto";
                        self.find(Keras3, Problem::Setting { setting }, Some(&owner));
                    }
                }
                None => values.values().for_each(|value| self.losses(value)),
            },
            _ => {}
        }
    }
}

/// Whether the name of the class is that of a class of the user's, as tf-keras writes its own since 2.11.
fn is_registered(object: &Object<'_>) -> bool {
    let name = object.whole.get("class_name").and_then(Value::as_str);
    name.is_some_and(|name| name.starts_with("Custom>"))
}

/// Losses that come with Keras, without underscores and in small letters.
const LOSSES: [&str; 31] = [
    "mse",
    "mae",
    "mape",
    "msle",
    "bce",
    "kld",
    "meansquarederror",
    "meanabsoluteerror",
    "meanabsolutepercentageerror",
    "meansquaredlogarithmicerror",
    "binarycrossentropy",
    "binaryfocalcrossentropy",
    "categoricalcrossentropy",
    "categoricalfocalcrossentropy",
    "sparsecategoricalcrossentropy",
    "kldivergence",
    "kullbackleiblerdivergence",
    "poisson",
    "hinge",
    "squaredhinge",
    "categoricalhinge",
    "huber",
    "huberloss",
    "logcosh",
    "logcoshloss",
    "cosinesimilarity",
    "cosineproximity",
    "dice",
    "tversky",
    "circle",
    "ctc",
];

/// Optimizers of tf-keras 2, in small letters.
const OPTIMIZERS: [&str; 12] = [
    "adam",
    "adamw",
    "adamax",
    "nadam",
    "adagrad",
    "adadelta",
    "rmsprop",
    "sgd",
    "ftrl",
    "lion",
    "adafactor",
    "lossscaleoptimizer",
];
