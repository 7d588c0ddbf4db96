//! A graph as Keras describes it, in words that Keras 2 and 3 both understand: Keras 3 still takes
//! `batch_input_shape`, types by name and the references of Keras 2.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::classes::{Applied, Class, classes};
use super::order::order;
use crate::format::keras::error::KerasError;
use crate::model::{Activation, Graph, LayerSpec, Node, NodeId};
use crate::tensor::Shape;

/// A call of a layer: the layer, and the number of the call.
pub(super) type Call = (usize, usize);

/// A model as layers of Keras.
pub(in crate::format::keras) struct Described {
    pub(super) is_sequential: bool,
    layers: Vec<DescribedLayer>,
    /// The places of the layers in Keras' order.
    order: Vec<usize>,
    /// The model's own settings: name, layers, inputs, outputs.
    pub(super) config: Value,
    input_shape: Value,
}

pub(super) struct DescribedLayer {
    pub(super) class: &'static str,
    pub(super) name: String,
    /// The layer of the graph whose parameters it has.
    pub(super) itself: Option<usize>,
    config: Map<String, Value>,
    /// One for each call: what it is applied to.
    pub(super) calls: Vec<Vec<Call>>,
    input_shape: Value,
}

/// All nodes of a layer.
fn calls_of(graph: &Graph, layer: usize) -> impl Iterator<Item = &Node> {
    graph.nodes().iter().filter(move |node| node.layer == layer)
}

/// Whether a node is known to give no number below 0.
fn is_never_negative(graph: &Graph, mut id: NodeId) -> bool {
    loop {
        let layer = graph.layer_of(id);
        match layer.spec {
            // What they give is there before them, or 0.
            LayerSpec::Pool2d(_) | LayerSpec::Dropout(_) | LayerSpec::Identity => {}
            _ => {
                return matches!(
                    layer.spec.activation(),
                    Activation::Relu
                        | Activation::Relu6
                        | Activation::Sigmoid
                        | Activation::HardSigmoid
                );
            }
        }
        let node = graph.nodes().get(id.0);
        match node.and_then(|node| node.inputs.first()) {
            Some(&input) => id = input,
            None => return false,
        }
    }
}

impl Described {
    pub(in crate::format::keras) fn of(graph: &Graph) -> Result<Self, KerasError> {
        let mut layers: Vec<DescribedLayer> = Vec::new();
        // What `.h5` files keep beside the layers.
        let mut names = BTreeSet::from(["top_level_model_weights".to_owned()]);
        // Of each layer of the graph: the first and the last of those it became.
        let mut spans: Vec<Option<(usize, usize)>> = vec![None; graph.layers().len()];
        // Of each node: the call that gives its result.
        let mut results: Vec<Call> = Vec::with_capacity(graph.nodes().len());
        for node in graph.nodes() {
            let Some(layer) = graph.layers().get(node.layer) else { continue };
            let shapes: Vec<&Shape> = node.inputs.iter().map(|&id| graph.shape(id)).collect();
            let span = match spans.get(node.layer).copied().flatten() {
                Some(span) => span,
                None => {
                    let first = layers.len();
                    let applied = Applied {
                        inputs: node.inputs.len(),
                        rank: shapes.first().map_or(0, |shape| shape.rank()),
                        is_never_negative: calls_of(graph, node.layer)
                            .all(|node| node.inputs.iter().all(|&id| is_never_negative(graph, id))),
                    };
                    for class in classes(layer, applied)? {
                        let itself = class.is_itself.then_some(node.layer);
                        let shape =
                            if layers.len() == first { with_batch(&shapes) } else { Value::Null };
                        layers.push(DescribedLayer::new(class, layer, itself, shape, &mut names));
                    }
                    let span = (first, layers.len().saturating_sub(1));
                    if let Some(place) = spans.get_mut(node.layer) {
                        *place = Some(span);
                    }
                    span
                }
            };
            let mut sources: Vec<_> =
                node.inputs.iter().filter_map(|id| results.get(id.0)).copied().collect();
            for place in span.0..=span.1 {
                if let Some(layer) = layers.get_mut(place) {
                    layer.calls.push(sources);
                    sources = vec![(place, layer.calls.len() - 1)];
                }
            }
            results.push(sources.first().copied().unwrap_or_default());
        }
        let is_sequential = is_chain(graph);
        let input = graph.inputs().first().map(|&input| graph.shape(input));
        let input_shape = with_batch(&input.into_iter().collect::<Vec<_>>());
        let of = |id: &NodeId| results.get(id.0).copied();
        let inputs: Vec<Call> = graph.inputs().iter().filter_map(of).collect();
        let outputs = graph.outputs().iter().filter_map(|output| of(&output.node));
        let outputs: Vec<Call> = outputs.collect();
        let order = match is_sequential {
            true => (0..layers.len()).collect(),
            false => order(&layers, &inputs, &outputs),
        };
        let mut described = Self { is_sequential, layers, order, config: Value::Null, input_shape };
        described.config = described.settings(&plain(graph.name()), &inputs, &outputs);
        Ok(described)
    }

    /// Class and name of each layer in Keras' order, and the layer of the graph whose parameters it has.
    pub(in crate::format::keras) fn classes(
        &self,
    ) -> impl Iterator<Item = (&str, &str, Option<usize>)> {
        self.layers().map(|layer| (layer.class, layer.name.as_str(), layer.itself))
    }

    /// The layers in Keras' order.
    pub(super) fn layers(&self) -> impl Iterator<Item = &DescribedLayer> {
        self.order.iter().filter_map(|&place| self.layers.get(place))
    }

    fn settings(&self, name: &str, inputs: &[Call], outputs: &[Call]) -> Value {
        let layers: Vec<Value> = self.layers().map(|layer| self.layer(layer)).collect();
        if self.is_sequential {
            return json!({
                "name": name, "trainable": true, "dtype": "float32", "layers": layers,
                "build_input_shape": self.input_shape,
            });
        }
        let end = |&(layer, call): &Call| Some(json!([self.layers.get(layer)?.name, call, 0]));
        let inputs: Vec<_> = inputs.iter().filter_map(end).collect();
        let outputs: Vec<_> = outputs.iter().filter_map(end).collect();
        json!({
            "name": name, "trainable": true, "dtype": "float32", "layers": layers,
            "input_layers": inputs, "output_layers": outputs,
        })
    }

    fn layer(&self, layer: &DescribedLayer) -> Value {
        let mut described = json!({
            "module": "keras.layers", "class_name": layer.class, "config": layer.config,
            "registered_name": null,
        });
        let Some(object) = described.as_object_mut() else { return described };
        if !layer.input_shape.is_null() && layer.class != "InputLayer" {
            object.insert("build_config".to_owned(), json!({"input_shape": layer.input_shape}));
        }
        if !self.is_sequential {
            let name = |place: &usize| self.layers.get(*place).map(|layer| layer.name.as_str());
            let reference = |(place, call): &Call| json!([name(place), call, 0, {}]);
            let node = |sources: &Vec<_>| Value::Array(sources.iter().map(reference).collect());
            let nodes =
                layer.calls.iter().filter(|sources| !sources.is_empty()).map(node).collect();
            object.insert("name".to_owned(), json!(layer.name));
            object.insert("inbound_nodes".to_owned(), Value::Array(nodes));
        }
        described
    }

    /// The whole as `config.json` holds it.
    pub(super) fn archived(&self, compile: Value) -> Value {
        json!({
            "module": "keras", "class_name": self.class(), "config": self.config,
            "registered_name": null, "build_config": {"input_shape": self.input_shape},
            "compile_config": compile,
        })
    }

    /// The whole as the attribute `model_config` holds it.
    pub(super) fn whole(&self) -> Value {
        json!({"class_name": self.class(), "config": self.config})
    }

    fn class(&self) -> &'static str {
        if self.is_sequential { "Sequential" } else { "Model" }
    }
}

impl DescribedLayer {
    fn new(
        class: Class,
        layer: &crate::model::Layer,
        itself: Option<usize>,
        input_shape: Value,
        names: &mut BTreeSet<String>,
    ) -> Self {
        let plain = plain(&layer.name);
        let name = match class.is_itself {
            true => plain,
            false => format!("{plain}_{}", class.name.to_lowercase()),
        };
        let mut free = name.clone();
        let mut number = 0_u64;
        while !names.insert(free.clone()) {
            number += 1;
            free = format!("{name}_{number}");
        }
        let mut config = Map::new();
        config.insert("name".to_owned(), json!(free));
        if let LayerSpec::Input(shape) = &layer.spec {
            config.insert("batch_input_shape".to_owned(), with_batch(&[shape]));
            config.insert("dtype".to_owned(), json!("float32"));
            config.insert("sparse".to_owned(), json!(false));
            config.insert("ragged".to_owned(), json!(false));
        } else {
            // Keras 3 does not take it there.
            if !class.name.starts_with("SpatialDropout") {
                config.insert("trainable".to_owned(), json!(layer.trainable));
            }
            config.insert("dtype".to_owned(), json!("float32"));
            config.extend(class.config);
        }
        let class = class.name;
        Self { class, name: free, itself, config, calls: Vec::new(), input_shape }
    }
}

/// The name as TensorFlow takes it, where it makes scopes of names: letters, digits and a few signs.
fn plain(name: &str) -> String {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let plain: String = name.chars().map(|c| if is_taken(c) { c } else { '_' }).collect();
    match plain.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        true => plain,
        false => format!("layer{plain}"),
    }
}

/// The shape of one input with the batch before it, or a list of those of several.
fn with_batch(shapes: &[&Shape]) -> Value {
    let one = |shape: &Shape| {
        let dims = shape.dims().iter().map(|&dim| json!(dim));
        Value::Array(std::iter::once(Value::Null).chain(dims).collect())
    };
    match shapes {
        [] => Value::Null,
        [shape] => one(shape),
        several => Value::Array(several.iter().map(|shape| one(shape)).collect()),
    }
}

/// Whether each layer is applied once, to what the one before it gives.
fn is_chain(graph: &Graph) -> bool {
    let nodes = graph.nodes();
    let in_line = nodes.iter().enumerate().all(|(index, node)| match index.checked_sub(1) {
        None => node.inputs.is_empty(),
        Some(before) => node.inputs == [NodeId(before)],
    });
    let ends_last = matches!(graph.outputs(), [output] if output.node.0 + 1 == nodes.len());
    in_line && ends_last && nodes.len() == graph.layers().len()
}
