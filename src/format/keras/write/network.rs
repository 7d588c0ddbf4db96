//! A graph as Keras describes it, in words that Keras 2 and 3 both understand: Keras 3 still takes
//! `batch_input_shape`, types by name and the references of Keras 2.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::classes::{Class, classes};
use crate::format::keras::error::KerasError;
use crate::model::{Graph, LayerSpec, NodeId};
use crate::tensor::Shape;

/// A model in Keras' order of layers.
pub(super) struct Described {
    pub(super) is_sequential: bool,
    pub(super) layers: Vec<DescribedLayer>,
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
    /// One for each call: what it is applied to, a layer and the number of its call.
    calls: Vec<Vec<(usize, usize)>>,
    input_shape: Value,
}

impl Described {
    pub(super) fn of(graph: &Graph) -> Result<Self, KerasError> {
        let mut layers: Vec<DescribedLayer> = Vec::new();
        let mut names = BTreeSet::new();
        // Of each layer of the graph: the first and the last of those it became.
        let mut spans: Vec<Option<(usize, usize)>> = vec![None; graph.layers().len()];
        // Of each node: the call that gives its result.
        let mut results: Vec<(usize, usize)> = Vec::with_capacity(graph.nodes().len());
        for node in graph.nodes() {
            let Some(layer) = graph.layers().get(node.layer) else { continue };
            let shapes: Vec<&Shape> = node.inputs.iter().map(|&id| graph.shape(id)).collect();
            let span = match spans.get(node.layer).copied().flatten() {
                Some(span) => span,
                None => {
                    let first = layers.len();
                    let rank = shapes.first().map_or(0, |shape| shape.rank());
                    for class in classes(layer, rank)? {
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
        let mut described = Self { is_sequential, layers, config: Value::Null, input_shape };
        described.config = described.settings(graph, &results);
        Ok(described)
    }

    fn settings(&self, graph: &Graph, results: &[(usize, usize)]) -> Value {
        let layers: Vec<Value> = self.layers.iter().map(|layer| self.layer(layer)).collect();
        if self.is_sequential {
            return json!({
                "name": graph.name(), "trainable": true, "dtype": "float32", "layers": layers,
                "build_input_shape": self.input_shape,
            });
        }
        let end = |id: &NodeId| {
            let &(layer, call) = results.get(id.0)?;
            Some(json!([self.layers.get(layer)?.name, call, 0]))
        };
        let inputs: Vec<_> = graph.inputs().iter().filter_map(end).collect();
        let outputs: Vec<_> = graph.outputs().iter().map(|output| output.node).collect();
        let outputs: Vec<_> = outputs.iter().filter_map(end).collect();
        json!({
            "name": graph.name(), "trainable": true, "dtype": "float32", "layers": layers,
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
            let reference = |(place, call): &(usize, usize)| json!([name(place), call, 0, {}]);
            let node = |sources: &Vec<_>| Value::Array(sources.iter().map(reference).collect());
            let nodes =
                layer.calls.iter().filter(|sources| !sources.is_empty()).map(node).collect();
            object.insert("name".to_owned(), json!(layer.name));
            object.insert("inbound_nodes".to_owned(), Value::Array(nodes));
        }
        described
    }

    /// The whole as `config.json` holds it.
    pub(super) fn model(&self, compile: Value) -> Value {
        let class = if self.is_sequential { "Sequential" } else { "Model" };
        json!({
            "module": "keras", "class_name": class, "config": self.config, "registered_name": null,
            "build_config": {"input_shape": self.input_shape}, "compile_config": compile,
        })
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
        // A slash would part groups.
        let plain = layer.name.replace('/', "_");
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
            config.insert("trainable".to_owned(), json!(layer.trainable));
            config.insert("dtype".to_owned(), json!("float32"));
            config.extend(class.config);
        }
        let class = class.name;
        Self { class, name: free, itself, config, calls: Vec::new(), input_shape }
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
