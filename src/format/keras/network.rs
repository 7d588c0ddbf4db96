//! A network as Keras describes it, in any of its dialects: layers, and the calls of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::{KerasError, Owner};
use super::json::{Object, Settings, brief};
use super::operators;
use super::slices::is_key;

/// Models inside models.
const MAX_NESTING: usize = 16;

/// A model: its layers in the order of the file, and how they are called.
#[derive(Debug)]
pub(super) struct Network<'j> {
    pub(super) name: &'j str,
    pub(super) layers: Vec<Layer<'j>>,
    /// In the order of the layers; a call may come before those whose results it takes.
    pub(super) calls: Vec<Call>,
    /// Calls of input layers.
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<Reference>,
}

#[derive(Debug)]
pub(super) struct Layer<'j> {
    pub(super) settings: Settings<'j>,
    pub(super) trainable: bool,
    /// An operator such as `/` or a function of `keras.ops`.
    pub(super) is_operation: bool,
    pub(super) body: Body<'j>,
}

#[derive(Debug)]
pub(super) enum Body<'j> {
    /// The shape with the batch, where the file tells it.
    Input(Option<&'j Value>),
    Model(Box<Network<'j>>),
    Layer,
}

/// A layer applied.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) layer: usize,
    pub(super) arguments: Vec<Argument>,
    /// What is given by name beside them.
    pub(super) named: BTreeMap<String, Argument>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Argument {
    Result(Reference),
    /// A number, text, a list of numbers and the like.
    Value(Value),
}

/// One of the results of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    pub(super) call: usize,
    pub(super) result: usize,
}

impl<'j> Network<'j> {
    pub(super) fn parse(model: &'j Value) -> Result<Self, KerasError> {
        Self::nested(model, 0)
    }

    fn nested(model: &'j Value, depth: usize) -> Result<Self, KerasError> {
        if depth > MAX_NESTING {
            return Err(KerasError::Nesting { limit: MAX_NESTING });
        }
        let fault = |expected| KerasError::Setting {
            owner: Owner { class: "model".to_owned(), name: None },
            setting: "config".to_owned(),
            expected,
            found: brief(model),
        };
        // Keras up to 2.2 wrote a Sequential as a bare list.
        if let Some(layers) = model.get("config").and_then(Value::as_array) {
            return Self::sequential("sequential", layers, None, depth);
        }
        let object = Object::of(model).ok_or_else(|| fault("a class and its settings"))?;
        let layers = object.config.get("layers").and_then(Value::as_array);
        let layers = layers.ok_or_else(|| fault("a Sequential or Functional model"))?;
        let name = object.config.get("name").and_then(Value::as_str);
        let name = name.or_else(|| object.whole.get("name").and_then(Value::as_str));
        if object.class == "Sequential" {
            let built = object.config.get("build_input_shape").filter(|shape| !shape.is_null());
            return Self::sequential(name.unwrap_or("sequential"), layers, built, depth);
        }
        Self::functional(name.unwrap_or("model"), &object, layers, depth)
    }

    fn sequential(
        name: &'j str,
        layers: &'j [Value],
        built: Option<&'j Value>,
        depth: usize,
    ) -> Result<Self, KerasError> {
        let mut parsed =
            layers.iter().map(|layer| Layer::parse(layer, depth)).collect::<Result<Vec<_>, _>>()?;
        let shape = input_shape(layers).or(built);
        match parsed.first_mut().map(|first| &mut first.body) {
            Some(Body::Input(known)) => *known = known.or(shape),
            _ => parsed.insert(0, Layer::implied_input(shape, EMPTY.get_or_init(Map::new))),
        }
        let call = |layer: usize| {
            let before = layer.checked_sub(1).map(|call| Reference { call, result: 0 });
            let arguments = before.map(Argument::Result).into_iter().collect();
            Call { layer, arguments, named: BTreeMap::new() }
        };
        let calls: Vec<Call> = (0..parsed.len()).map(call).collect();
        let outputs = vec![Reference { call: calls.len().saturating_sub(1), result: 0 }];
        Ok(Self { name, layers: parsed, calls, inputs: vec![0], outputs })
    }

    fn functional(
        name: &'j str,
        object: &Object<'j>,
        layers: &'j [Value],
        depth: usize,
    ) -> Result<Self, KerasError> {
        let mut parsed = Vec::with_capacity(layers.len());
        // The number of a layer's call: first that of the first.
        let mut calls_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut nodes: Vec<(usize, &'j Value)> = Vec::new();
        for (index, value) in layers.iter().enumerate() {
            let layer = Layer::parse(value, depth)?;
            let inbound = value.get("inbound_nodes").and_then(Value::as_array);
            let inbound = inbound.map(Vec::as_slice).unwrap_or_default();
            let is_input = matches!(layer.body, Body::Input(_));
            let own = calls_of.entry(layer.settings.name().unwrap_or_default()).or_default();
            if is_input {
                own.push(nodes.len());
                nodes.push((index, &Value::Null));
            } else {
                for node in inbound {
                    own.push(nodes.len());
                    nodes.push((index, node));
                }
            }
            parsed.push(layer);
        }
        let names = Names::new(calls_of, &parsed, layers, object.config);
        let mut calls = Vec::with_capacity(nodes.len());
        for (layer, node) in nodes {
            let owner = parsed.get(layer).map(|layer| layer.settings);
            let mut call = Call { layer, arguments: Vec::new(), named: BTreeMap::new() };
            if let Some(settings) = owner {
                names.read_node(node, settings, &mut call)?;
            }
            calls.push(call);
        }
        let owner = object.settings();
        let inputs = names.ends(object.config, "input_layers", owner)?;
        let outputs = names.ends(object.config, "output_layers", owner)?;
        let inputs = inputs.into_iter().map(|reference| reference.call).collect();
        Ok(Self { name, layers: parsed, calls, inputs, outputs })
    }
}

/// The settings of inputs that stand nowhere.
static EMPTY: std::sync::OnceLock<Map<String, Value>> = std::sync::OnceLock::new();

impl<'j> Layer<'j> {
    fn parse(value: &'j Value, depth: usize) -> Result<Self, KerasError> {
        let fault = || KerasError::Setting {
            owner: Owner { class: "model".to_owned(), name: None },
            setting: "layers".to_owned(),
            expected: "a list of layers, each with a class and its settings",
            found: brief(value),
        };
        // A nested Sequential of Keras up to 2.2 has a list for its settings.
        let nested_list = value.get("config").is_some_and(Value::is_array);
        let class = value.get("class_name").and_then(Value::as_str).ok_or_else(fault)?;
        let whole = value.as_object().ok_or_else(fault)?;
        let config = match nested_list {
            true => EMPTY.get_or_init(Map::new),
            false => whole.get("config").and_then(Value::as_object).ok_or_else(fault)?,
        };
        let name = whole.get("name").or_else(|| config.get("name")).and_then(Value::as_str);
        let owner = || Owner { class: class.to_owned(), name: name.map(str::to_owned) };
        match origin(class, whole) {
            Origin::Keras => {}
            Origin::Registered => return Err(KerasError::Code { owner: owner() }),
            Origin::Elsewhere => return Err(KerasError::Layer { owner: owner() }),
        }
        let body = match class {
            "InputLayer" => Body::Input(shape_of(config)),
            "Sequential" | "Functional" | "Model" => {
                Body::Model(Box::new(Network::nested(value, depth + 1)?))
            }
            _ => Body::Layer,
        };
        let trainable = config.get("trainable").and_then(Value::as_bool).unwrap_or(true);
        let module = whole.get("module").and_then(Value::as_str).unwrap_or_default();
        let is_operation = operators::is_operator(module, class, config);
        Ok(Self { settings: Settings::new(class, name, config), trainable, is_operation, body })
    }

    fn implied_input(shape: Option<&'j Value>, settings: &'j Map<String, Value>) -> Self {
        let settings = Settings::new("InputLayer", Some("input"), settings);
        Self { settings, trainable: true, is_operation: false, body: Body::Input(shape) }
    }
}

/// Where the class of a layer comes from, be its name that of one of Keras.
enum Origin {
    Keras,
    /// Somebody's own, under the name that Keras was told of; it stands in no module.
    Registered,
    /// In another module.
    Elsewhere,
}

/// Whether an object is of a class of Keras, and not of somebody's own by the same name.
pub(super) fn is_of_keras(object: &Object<'_>) -> bool {
    let class = object.whole.get("class_name").and_then(Value::as_str).unwrap_or_default();
    matches!(origin(class, object.whole), Origin::Keras)
}

fn origin(class: &str, layer: &Map<String, Value>) -> Origin {
    const MODULES: [&str; 3] = ["keras", "tf_keras", "tensorflow"];
    let registered = layer.get("registered_name").and_then(Value::as_str);
    let is_own = class.contains('>') || registered.is_some_and(|name| name.contains('>'));
    match layer.get("module") {
        _ if is_own => Origin::Registered,
        Some(Value::Null) if registered.is_some() => Origin::Registered,
        Some(Value::String(module)) => {
            let package = module.split('.').next().unwrap_or_default();
            if MODULES.contains(&package) { Origin::Keras } else { Origin::Elsewhere }
        }
        _ => Origin::Keras,
    }
}

/// The shape of an input, as Keras 3 and as Keras 2 write it, whatever the layer.
fn shape_of(config: &Map<String, Value>) -> Option<&Value> {
    let shape = |key| config.get(key).filter(|shape| shape.is_array());
    shape("batch_shape").or_else(|| shape("batch_input_shape"))
}

/// The shape that the first layer of a Sequential says it takes, or was built for.
fn input_shape(layers: &[Value]) -> Option<&Value> {
    let is_input = |layer: &&Value| layer.get("class_name").is_some_and(|c| c == "InputLayer");
    let first = layers.iter().find(|layer| !is_input(layer))?;
    let config = first.get("config").and_then(Value::as_object);
    let built = || first.pointer("/build_config/input_shape").filter(|shape| shape.is_array());
    config.and_then(shape_of).or_else(built)
}

/// The calls of layers, by their names.
struct Names<'j> {
    calls_of: BTreeMap<&'j str, Vec<usize>>,
    /// What the first call of a layer is numbered, where it is not 0: Keras 2 counts the call by which a
    /// model inside the model was made.
    first: BTreeMap<&'j str, u64>,
}

impl<'j> Names<'j> {
    fn new(
        calls_of: BTreeMap<&'j str, Vec<usize>>,
        layers: &[Layer<'j>],
        values: &[Value],
        model: &Map<String, Value>,
    ) -> Self {
        let mut last = BTreeMap::new();
        let nodes = values.iter().filter_map(|layer| layer.get("inbound_nodes"));
        for value in nodes.chain(model.get("output_layers")) {
            find_last_calls(value, &mut last);
        }
        let is_model = |layer: &&Layer<'_>| matches!(layer.body, Body::Model(_));
        let first = layers.iter().filter(is_model).filter_map(|layer| {
            let name = layer.settings.name()?;
            let calls = calls_of.get(name)?.len() as u64;
            Some((name, last.get(name)?.saturating_add(1).saturating_sub(calls)))
        });
        let first = first.collect();
        Self { calls_of, first }
    }

    /// `[layer, call, result, …]`
    fn reference(&self, value: &Value) -> Option<Reference> {
        let [layer, call, result, ..] = value.as_array()?.as_slice() else { return None };
        let name = layer.as_str()?;
        let first = self.first.get(name).copied().unwrap_or_default();
        let number = call.as_u64()?.checked_sub(first)?;
        let call = self.calls_of.get(name)?.get(usize::try_from(number).ok()?)?;
        Some(Reference { call: *call, result: usize::try_from(result.as_u64()?).ok()? })
    }

    fn found(&self, value: &Value, owner: Settings<'_>) -> Result<Reference, KerasError> {
        let reference = || brief(value);
        self.reference(value)
            .ok_or_else(|| KerasError::Reference { owner: owner.owner(), reference: reference() })
    }

    /// One `inbound_nodes` element.
    fn read_node(
        &self,
        node: &Value,
        owner: Settings<'_>,
        call: &mut Call,
    ) -> Result<(), KerasError> {
        match node {
            Value::Object(node) => {
                // Keras 3: arguments as Python saw them.
                if let Some(arguments) = node.get("args") {
                    self.read_arguments(arguments, owner, &mut call.arguments)?;
                }
                for (name, value) in
                    node.get("kwargs").and_then(Value::as_object).into_iter().flatten()
                {
                    let mut found = Vec::new();
                    self.read_arguments(value, owner, &mut found)?;
                    if let (false, [argument]) = (value.is_null(), found.as_slice()) {
                        call.named.insert(name.clone(), argument.clone());
                    }
                }
                Ok(())
            }
            Value::Array(node) if node.first().is_some_and(Value::is_string) => {
                self.read_reference(&Value::Array(node.clone()), owner, call)
            }
            Value::Array(references) => references
                .iter()
                .try_for_each(|reference| self.read_reference(reference, owner, call)),
            _ => Ok(()),
        }
    }

    /// Keras 2: `[layer, call, result, {name: value}]`.
    fn read_reference(
        &self,
        reference: &Value,
        owner: Settings<'_>,
        call: &mut Call,
    ) -> Result<(), KerasError> {
        let parts = reference.as_array().map(Vec::as_slice).unwrap_or_default();
        match parts {
            // A number in the place of a tensor.
            [Value::String(name), _, value, ..] if name == "_CONSTANT_VALUE" => {
                call.arguments.push(Argument::Value(value.clone()));
            }
            _ => call.arguments.push(Argument::Result(self.found(reference, owner)?)),
        }
        for (name, value) in parts.get(3).and_then(Value::as_object).into_iter().flatten() {
            if !value.is_null() {
                let found = match self.reference(value) {
                    Some(reference) => Argument::Result(reference),
                    None => Argument::Value(value.clone()),
                };
                call.named.insert(name.clone(), found);
            }
        }
        Ok(())
    }

    /// Keras 3: tensors and values, in lists or not.
    fn read_arguments(
        &self,
        value: &Value,
        owner: Settings<'_>,
        arguments: &mut Vec<Argument>,
    ) -> Result<(), KerasError> {
        let tensor = |value: &Value| value.get("class_name")?.as_str().map(str::to_owned);
        match value {
            Value::Array(values) if is_key(values) => {
                arguments.push(Argument::Value(value.clone()));
                Ok(())
            }
            Value::Array(values)
                if values.iter().any(|value| value.is_object() || value.is_array()) =>
            {
                values.iter().try_for_each(|value| self.read_arguments(value, owner, arguments))
            }
            Value::Object(_) if tensor(value).as_deref() == Some("__keras_tensor__") => {
                let history = value.pointer("/config/keras_history").unwrap_or(value);
                arguments.push(Argument::Result(self.found(history, owner)?));
                Ok(())
            }
            Value::Object(_) => {
                let inner = value.pointer("/config/value").unwrap_or(value);
                arguments.push(Argument::Value(inner.clone()));
                Ok(())
            }
            Value::Null => Ok(()),
            value => {
                arguments.push(Argument::Value(value.clone()));
                Ok(())
            }
        }
    }

    /// `input_layers` or `output_layers`: one triple, a list or a dictionary of them.
    fn ends(
        &self,
        config: &Map<String, Value>,
        key: &str,
        owner: Settings<'_>,
    ) -> Result<Vec<Reference>, KerasError> {
        let missing = || owner.fault(key, "a layer, its call and its result");
        let mut triples = Vec::new();
        // Nested lists are as deep as the parser of JSON lets them be.
        collect_triples(config.get(key).ok_or_else(missing)?, &mut triples);
        triples.into_iter().map(|triple| self.found(triple, owner)).collect()
    }
}

/// The largest number of a call of each layer that `value` refers to.
fn find_last_calls<'v>(value: &'v Value, last: &mut BTreeMap<&'v str, u64>) {
    match value {
        Value::Array(values) => {
            if let [Value::String(name), Value::Number(call), Value::Number(_), ..] =
                values.as_slice()
            {
                let found = last.entry(name).or_default();
                *found = (*found).max(call.as_u64().unwrap_or_default());
            }
            values.iter().for_each(|value| find_last_calls(value, last));
        }
        Value::Object(values) => values.values().for_each(|value| find_last_calls(value, last)),
        _ => {}
    }
}

fn collect_triples<'v>(value: &'v Value, triples: &mut Vec<&'v Value>) {
    match value {
        Value::Array(values) if values.first().is_some_and(Value::is_string) => triples.push(value),
        Value::Array(values) => values.iter().for_each(|value| collect_triples(value, triples)),
        Value::Object(values) => values.values().for_each(|value| collect_triples(value, triples)),
        _ => triples.push(value),
    }
}
