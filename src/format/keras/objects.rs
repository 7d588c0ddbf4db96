//! Models of Keras in a SavedModel: layers and optimizer are objects of TensorFlow, whose members are
//! found by their names.

use std::collections::BTreeMap;

use serde_json::Value;

use super::blueprint::{Blueprint, Numbers};
use super::build::{Became, BuiltLayer};
use super::error::KerasError;
use super::network::Network;
use super::open::{dialect, parse};
use super::optimizer::{self, Variable};
use super::weights::{Found, Weights};
use super::{COMPILE, MODEL, VERSION};
use crate::bytes::Budget;
use crate::format::LoadOptions;
use crate::format::report::Loaded;
use crate::model::{LayerSpec, Optimizer, OptimizerRule};
use crate::wire::hdf5::Dataset;

/// An object of TensorFlow.
#[derive(Default)]
pub(in crate::format) struct Object<'v> {
    /// Numbers of other objects by the names that they have here.
    pub(in crate::format) members: BTreeMap<String, usize>,
    /// If it is a variable.
    pub(in crate::format) value: Option<Dataset<'v>>,
    /// What optimizers of Keras up to 2.10 remember of it: variables, by what they are called.
    pub(in crate::format) slots: BTreeMap<String, usize>,
}

/// What is to be known of a model of Keras to load it.
pub(in crate::format) struct SavedModel<'v> {
    /// The JSON that Keras describes the model with.
    pub(in crate::format) metadata: &'v str,
    pub(in crate::format) objects: Vec<Object<'v>>,
    /// The number of the model among the objects.
    pub(in crate::format) root: usize,
}

/// What the description is called in messages.
const PART: &str = "the metadata of Keras";

impl SavedModel<'_> {
    pub(in crate::format) fn load(
        &self,
        options: &LoadOptions,
        budget: &mut Budget,
    ) -> Result<Loaded, KerasError> {
        let metadata = parse(self.metadata.as_bytes(), PART, &options.limits).map(untupled)?;
        let config = metadata.get(MODEL).filter(|config| !config.is_null());
        let config = config.ok_or(KerasError::Missing { part: "the `model_config` of Keras" })?;
        let compile = metadata.get(COMPILE).filter(|compile| !compile.is_null());
        let version = metadata.get(VERSION).and_then(Value::as_str);
        let network = Network::parse(config)?;
        let blueprint = Blueprint::new(&network, dialect(version), compile, options)?;
        blueprint.filled(version, budget, |weights, layers, optimizer| {
            let mut owners = BTreeMap::new();
            let mut found = Found::new();
            self.fill(weights, layers, self.root, &mut found, &mut owners)?;
            let tensors = weights.complete(found)?;
            let variables = self.variables(weights, layers, optimizer, &owners);
            Ok(Numbers { tensors, variables })
        })
    }

    fn member(&self, object: usize, name: &str) -> Option<usize> {
        self.objects.get(object)?.members.get(name).copied()
    }

    fn value(&self, object: usize) -> Option<&Dataset<'_>> {
        self.objects.get(object)?.value.as_ref()
    }

    /// Finds the numbers of the layers of the model that is `object`. `owners` get the variables that the
    /// parameters are in.
    fn fill<'f>(
        &'f self,
        weights: &mut Weights<'_, '_>,
        layers: &[BuiltLayer<'_>],
        object: usize,
        found: &mut Found<'f>,
        owners: &mut BTreeMap<String, usize>,
    ) -> Result<(), KerasError> {
        let with_weights: Vec<_> =
            layers.iter().filter(|layer| !weights.in_order(layer).is_empty()).collect();
        for (number, layer) in with_weights.into_iter().enumerate() {
            let place = format!("layer_with_weights-{number}");
            let missing = |place: &str| KerasError::NoWeights {
                layer: layer.name.to_owned(),
                place: place.to_owned(),
            };
            let own = self.member(object, &place).ok_or_else(|| missing(&place))?;
            match &layer.is {
                Became::Input => {}
                Became::Model(inner) => self.fill(weights, inner, own, found, owners)?,
                Became::Layers(specs) => {
                    for number in weights.parameters(specs) {
                        let graph = weights.graph;
                        let Some(parameter) = graph.parameters().get(number) else { continue };
                        let is_depthwise = graph
                            .layers()
                            .get(parameter.layer)
                            .is_some_and(|it| matches!(it.spec, LayerSpec::DepthwiseConv2d(_)));
                        let name = match parameter.name {
                            "kernel" if is_depthwise => "depthwise_kernel",
                            name => name,
                        };
                        let place = format!("{place}/{name}");
                        let variable = self.member(own, name);
                        let value = variable.and_then(|variable| self.value(variable));
                        let value = value.ok_or_else(|| missing(&place))?;
                        found.insert(number, weights.tensor(parameter, value, &place)?);
                        owners.extend(
                            variable.map(|variable| (graph.tensor_name(parameter), variable)),
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// The variables of the optimizer in the order of its settings, the number of its steps first.
    fn variables<'f>(
        &'f self,
        weights: &Weights<'_, '_>,
        layers: &[BuiltLayer<'_>],
        settings: Option<&Optimizer>,
        owners: &BTreeMap<String, usize>,
    ) -> Result<Option<Vec<Variable<'f>>>, String> {
        let Some(object) = self.member(self.root, "optimizer") else { return Ok(None) };
        let named = |name: &str| {
            let value = self.member(object, name).and_then(|variable| self.value(variable));
            value.map(|value| (format!("optimizer/{name}"), value))
        };
        if let Some(steps) = named("_iterations") {
            let mut variables = vec![steps];
            let list = self.member(object, "_variables");
            // The number of steps is number 0.
            let rest = (1..).map_while(|number: usize| {
                let variable = self.member(list?, &number.to_string())?;
                Some((format!("optimizer/_variables/{number}"), self.value(variable)?))
            });
            variables.extend(rest);
            return Ok(Some(variables));
        }
        let (Some(steps), Some(settings)) = (named("iter"), settings) else { return Ok(None) };
        let mut variables = vec![steps];
        let trained = weights.trained(layers);
        let slots = settings.slots();
        let order = optimizer::order(slots.len(), optimizer::together(settings), trained.len());
        for (slot, place) in order {
            let (Some(slot), Some(parameter)) = (slots.get(slot), trained.get(place)) else {
                continue;
            };
            let (slot, name) = (slot_name(settings, slot), weights.graph.tensor_name(parameter));
            let owner = owners.get(&name).and_then(|&variable| self.objects.get(variable));
            let stored = owner.and_then(|owner| self.value(*owner.slots.get(slot)?));
            let stored = stored.ok_or_else(|| format!("the file holds no `{slot}` of `{name}`"))?;
            variables.push((format!("{name}, {slot}"), stored));
        }
        Ok(Some(variables))
    }
}

/// What optimizers of Keras up to 2.10 call what they remember.
fn slot_name(settings: &Optimizer, slot: &'static str) -> &'static str {
    match (&settings.rule, slot) {
        (
            OptimizerRule::Adam(_) | OptimizerRule::Nadam(_) | OptimizerRule::Adamax(_),
            "momentum",
        ) => "m",
        (OptimizerRule::RmsProp(_), "velocity") => "rms",
        (_, "velocity" | "norm") => "v",
        (_, "velocity_hat") => "vhat",
        (_, "average_gradient") => "mg",
        (_, "accumulated_grad") => "accum_grad",
        (_, "accumulated_delta_var") => "accum_var",
        (_, slot) => slot,
    }
}

/// Tuples and shapes as lists: in SavedModels Keras says which list was one.
fn untupled(value: Value) -> Value {
    match value {
        Value::Object(mut object) => {
            let class = object.get("class_name").and_then(Value::as_str);
            if matches!(class, Some("__tuple__" | "TensorShape"))
                && let Some(items @ Value::Array(_)) = object.remove("items")
            {
                return untupled(items);
            }
            let members = object.into_iter().map(|(key, value)| (key, untupled(value)));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(untupled).collect()),
        value => value,
    }
}
