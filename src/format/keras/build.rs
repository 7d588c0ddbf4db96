//! A network of Keras as a graph: models inside it become part of it, layers keep their order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::broadcast::{common_shape, repeat};
use super::dead_ends::{dead_ends, without};
use super::error::KerasError;
use super::json::brief;
use super::layers::{Dialect, Lowering};
use super::network::{Argument, Body, Call, Layer, Network};
use super::operators;
use crate::format::LoadOptions;
use crate::format::report::Notice;
use crate::model::{self, Graph, LayerSpec, Merge, Node, NodeId, Output, output_shape};
use crate::tensor::Shape;

/// A graph, and what of it each layer of Keras became.
pub(super) struct Built<'j> {
    pub(super) graph: Graph,
    /// With what leads to no output, if there is any: the numbers of that stand in the file too.
    pub(super) whole: Option<Graph>,
    /// By the layers of the whole.
    pub(super) layers: Vec<BuiltLayer<'j>>,
    pub(super) notices: Vec<Notice>,
}

/// A layer of Keras, in the order of its model.
#[derive(Debug)]
pub(super) struct BuiltLayer<'j> {
    pub(super) class: &'j str,
    pub(super) name: &'j str,
    /// As the layer itself says, whatever the models around it do.
    pub(super) trainable: bool,
    pub(super) is: Became<'j>,
}

#[derive(Debug)]
pub(super) enum Became<'j> {
    Input,
    /// Those layers of the graph, none until it is applied.
    Layers(Vec<usize>),
    Model(Vec<BuiltLayer<'j>>),
}

/// Builds the graph of `network`.
pub(super) fn build<'j>(
    network: &Network<'j>,
    dialect: Dialect,
    options: &LoadOptions,
) -> Result<Built<'j>, KerasError> {
    let lowering = Lowering { dialect, notices: Vec::new() };
    let mut builder = Builder {
        lowering,
        options,
        layers: Vec::new(),
        nodes: Vec::new(),
        shapes: Vec::new(),
        inputs: Vec::new(),
        names: BTreeMap::new(),
    };
    let mut layers = Vec::new();
    let scope = Scope { prefix: String::new(), trainable: true };
    let results = builder.apply(network, &mut layers, &scope, None)?;
    let dead_ends = dead_ends(&builder.nodes, &results);
    let outputs = builder.outputs(&[results.as_slice(), &dead_ends].concat());
    let Builder { lowering, layers: specs, nodes, mut inputs, .. } = builder;
    inputs.sort_by_key(|&(place, _)| place);
    let inputs = inputs.into_iter().map(|(_, node)| node).collect();
    let whole = Graph::new(network.name, specs, nodes, inputs, outputs)?;
    let mut notices = lowering.notices;
    if dead_ends.is_empty() {
        return Ok(Built { graph: whole, whole: None, layers, notices });
    }
    let (graph, left_out) = without(&whole, results.len())?;
    notices.extend(left_out);
    Ok(Built { graph, whole: Some(whole), layers, notices })
}

struct Builder<'o> {
    lowering: Lowering,
    options: &'o LoadOptions,
    layers: Vec<model::Layer>,
    nodes: Vec<Node>,
    /// Of the results of the nodes.
    shapes: Vec<Shape>,
    /// Each behind its place among the inputs of the network.
    inputs: Vec<(usize, NodeId)>,
    /// Of the layers so far, and the last number behind each that makes another one.
    names: BTreeMap<String, u64>,
}

/// The models around a layer.
struct Scope {
    prefix: String,
    trainable: bool,
}

impl Builder<'_> {
    /// Applies a model to `arguments`, or to inputs of its own. `built` is empty when it is applied for
    /// the first time.
    fn apply<'j>(
        &mut self,
        network: &Network<'j>,
        built: &mut Vec<BuiltLayer<'j>>,
        scope: &Scope,
        arguments: Option<&[NodeId]>,
    ) -> Result<Vec<NodeId>, KerasError> {
        if built.is_empty() {
            built.extend(network.layers.iter().map(BuiltLayer::unbuilt));
        }
        let mut results: Vec<Vec<NodeId>> = vec![Vec::new(); network.calls.len()];
        for index in order(network)? {
            let Some(call) = network.calls.get(index) else { continue };
            let (Some(layer), Some(built)) =
                (network.layers.get(call.layer), built.get_mut(call.layer))
            else {
                continue;
            };
            let given = inputs_of(call, layer, &results)?;
            self.tell_mode(layer, call);
            let found = match (&layer.body, &mut built.is) {
                (Body::Input(shape), _) => {
                    let place = network.inputs.iter().position(|&input| input == index);
                    match (arguments, place) {
                        (Some(arguments), Some(place)) => {
                            let found = arguments.get(place).copied();
                            vec![found.ok_or_else(|| missing_input(layer, place))?]
                        }
                        _ => vec![self.input(layer, *shape, place)?],
                    }
                }
                (Body::Model(inner), Became::Model(built)) => {
                    if built.is_empty() {
                        let model = inner.name.to_owned();
                        self.lowering.notices.push(Notice::Flattened { model });
                    }
                    let inner_scope = Scope {
                        prefix: format!("{}{}/", scope.prefix, inner.name),
                        trainable: scope.trainable && layer.trainable,
                    };
                    self.apply(inner, built, &inner_scope, Some(&given))?
                }
                (Body::Layer, Became::Layers(own)) => {
                    vec![self.layer(layer, call, own, scope, &given)?]
                }
                (Body::Model(_) | Body::Layer, _) => continue,
            };
            if let Some(results) = results.get_mut(index) {
                *results = found;
            }
        }
        let found = network.outputs.iter().map(|output| {
            results.get(output.call).and_then(|results| results.get(output.result)).copied()
        });
        found
            .collect::<Option<_>>()
            .ok_or_else(|| KerasError::Circle { model: network.name.to_owned() })
    }

    /// An input of the graph, at `place` among those of the network, if it is one of them.
    fn input(
        &mut self,
        layer: &Layer<'_>,
        shape: Option<&Value>,
        place: Option<usize>,
    ) -> Result<NodeId, KerasError> {
        let name = layer.settings.name().unwrap_or("input");
        let wanted = place.and_then(|place| self.options.input_shapes.get(place));
        let shape = match (shape, wanted) {
            (Some(shape), wanted) => {
                let open = || KerasError::OpenShape { layer: name.to_owned(), found: brief(shape) };
                fixed(shape, wanted).ok_or_else(open)?
            }
            (None, Some(wanted)) => wanted.clone(),
            (None, None) => return Err(KerasError::NoInput),
        };
        let index = self.add_layer(name.to_owned(), LayerSpec::Input(shape), true);
        let node = self.add_node(index, &[])?;
        self.inputs.push((place.unwrap_or(usize::MAX), node));
        Ok(node)
    }

    /// Applies a layer, for the first time or once more.
    fn layer(
        &mut self,
        layer: &Layer<'_>,
        call: &Call,
        own: &mut Vec<usize>,
        scope: &Scope,
        inputs: &[NodeId],
    ) -> Result<NodeId, KerasError> {
        let first = inputs.first().copied();
        let fault = || layer.settings.fault("inbound_nodes", "what the layer is applied to");
        let first = first.ok_or_else(fault)?;
        let shape = self.shapes.get(first.0).cloned().ok_or_else(fault)?;
        let times = operators::times(layer, call, &shape)?;
        if own.is_empty() {
            let specs = match operators::lower(layer, call, &shape)? {
                Some(specs) => specs,
                None => self.lowering.lower(layer.settings, &shape)?,
            };
            let name = format!("{}{}", scope.prefix, layer.settings.name().unwrap_or_default());
            let trainable = scope.trainable && layer.trainable;
            // The layer itself has its name, whatever stands around it.
            let moves = |spec: &_| matches!(spec, LayerSpec::Arrange(_) | LayerSpec::Reshape(_));
            let itself = specs.iter().position(|spec| !moves(spec));
            for (place, spec) in specs.into_iter().enumerate() {
                let name = match place == itself.unwrap_or(0) {
                    true => name.clone(),
                    false => format!("{name}/{}", spec.kind()),
                };
                own.push(self.add_layer(name, spec, trainable));
            }
        }
        let mut inputs = match times {
            1 => self.broadcast(own, inputs)?,
            times => vec![first; times],
        };
        for &index in own.iter() {
            inputs = vec![self.add_node(index, &inputs)?];
        }
        inputs.first().copied().ok_or_else(fault)
    }

    /// Tells of a mode that Keras 2 keeps whatever it does. Keras 3 keeps none.
    fn tell_mode(&mut self, layer: &Layer<'_>, call: &Call) {
        let mode = call.named.get("training");
        if let (Dialect::Keras2, Some(Argument::Value(Value::Bool(training)))) =
            (self.lowering.dialect, mode)
        {
            let (owner, training) = (layer.settings.owner(), *training);
            self.lowering.notices.push(Notice::FixedMode { owner, training });
        }
    }

    /// The inputs of a merging layer, brought to one shape.
    fn broadcast(&mut self, own: &[usize], inputs: &[NodeId]) -> Result<Vec<NodeId>, KerasError> {
        let first = own.first().and_then(|&layer| self.layers.get(layer));
        let name = match first {
            Some(layer) if merges_elements(&layer.spec) => layer.name.clone(),
            _ => return Ok(inputs.to_vec()),
        };
        let shapes: Vec<&Shape> = inputs.iter().filter_map(|id| self.shapes.get(id.0)).collect();
        let common = common_shape(&shapes);
        let specs: Vec<_> = shapes.iter().map(|shape| repeat(shape, &common)).collect();
        let mut nodes = Vec::with_capacity(inputs.len());
        for (&input, specs) in inputs.iter().zip(specs) {
            let mut node = input;
            for spec in specs {
                let layer = self.add_layer(format!("{name}/{}", spec.kind()), spec, true);
                node = self.add_node(layer, &[node])?;
            }
            nodes.push(node);
        }
        Ok(nodes)
    }

    fn add_layer(&mut self, name: String, spec: LayerSpec, trainable: bool) -> usize {
        let mut free = name.clone();
        while self.names.contains_key(&free) {
            let number = self.names.entry(name.clone()).or_default();
            *number += 1;
            free = format!("{name}_{number}");
        }
        self.names.insert(free.clone(), 0);
        self.layers.push(model::Layer { name: free, spec, trainable });
        self.layers.len() - 1
    }

    fn add_node(&mut self, layer: usize, inputs: &[NodeId]) -> Result<NodeId, KerasError> {
        let limit = self.options.limits.nodes;
        if self.nodes.len() as u64 >= limit {
            return Err(KerasError::TooManyNodes { limit });
        }
        let shapes: Vec<&Shape> = inputs.iter().filter_map(|id| self.shapes.get(id.0)).collect();
        if let Some(layer) = self.layers.get(layer) {
            let shape = output_shape(layer, &shapes)?;
            self.shapes.push(shape);
        }
        self.nodes.push(Node { layer, inputs: inputs.to_vec() });
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// Named after the layers that give them, as Keras does.
    fn outputs(&self, nodes: &[NodeId]) -> Vec<Output> {
        let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
        let outputs = nodes.iter().map(|&node| {
            let layer = self.nodes.get(node.0).and_then(|node| self.layers.get(node.layer));
            let name = layer.map_or("output", |layer| layer.name.as_str());
            let count = taken.entry(name).or_default();
            *count += 1;
            let name = if *count == 1 { name.to_owned() } else { format!("{name}_{count}") };
            Output { name, node }
        });
        outputs.collect()
    }
}

/// A shape with the batch, whose open sides are as long as those of `wanted`.
fn fixed(shape: &Value, wanted: Option<&Shape>) -> Option<Shape> {
    let dims = shape.as_array()?.get(1..)?;
    let dim = |(axis, dim): (usize, &Value)| match dim {
        Value::Null => wanted.filter(|it| it.rank() == dims.len())?.dims().get(axis).copied(),
        dim => super::json::count(dim),
    };
    dims.iter().enumerate().map(dim).collect::<Option<Vec<_>>>().map(Shape::new)
}

fn merges_elements(spec: &LayerSpec) -> bool {
    matches!(spec, LayerSpec::Merge(merge) if !matches!(merge, Merge::Concatenate { .. }))
}

fn missing_input(layer: &Layer<'_>, place: usize) -> KerasError {
    KerasError::Reference { owner: layer.settings.owner(), reference: format!("argument {place}") }
}

/// The nodes of the arguments of a call.
fn inputs_of(
    call: &Call,
    layer: &Layer<'_>,
    results: &[Vec<NodeId>],
) -> Result<Vec<NodeId>, KerasError> {
    let arguments = call.arguments.iter().chain(call.named.values());
    let references = arguments.filter_map(|argument| match argument {
        Argument::Result(reference) => Some(*reference),
        _ => None,
    });
    let node = |reference: super::network::Reference| {
        let found = results.get(reference.call).and_then(|results| results.get(reference.result));
        found.copied().ok_or_else(|| KerasError::Reference {
            owner: layer.settings.owner(),
            reference: format!("result {}", reference.result),
        })
    };
    references.map(node).collect()
}

/// The calls that lead to the outputs, each behind those whose results it takes; where there is a
/// choice, in the order of the file.
fn order(network: &Network<'_>) -> Result<Vec<usize>, KerasError> {
    let sources = |call: usize| {
        let arguments = network.calls.get(call).map(|call| (&call.arguments, &call.named));
        let (listed, named) = arguments.unzip();
        let listed = listed.into_iter().flatten();
        let named = named.into_iter().flat_map(BTreeMap::values);
        listed.chain(named).filter_map(|argument| match argument {
            Argument::Result(reference) => Some(reference.call),
            _ => None,
        })
    };
    let mut needed = BTreeSet::new();
    let mut open: Vec<usize> = network.outputs.iter().map(|output| output.call).collect();
    open.extend(&network.inputs);
    while let Some(call) = open.pop() {
        if needed.insert(call) {
            open.extend(sources(call));
        }
    }
    let mut waiting: BTreeMap<usize, usize> = BTreeMap::new();
    let mut takers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &call in &needed {
        let sources: BTreeSet<usize> = sources(call).collect();
        waiting.insert(call, sources.len());
        for source in sources {
            takers.entry(source).or_default().push(call);
        }
    }
    let mut ready: BTreeSet<usize> =
        waiting.iter().filter(|&(_, &count)| count == 0).map(|(&call, _)| call).collect();
    let mut order = Vec::with_capacity(needed.len());
    while let Some(call) = ready.pop_first() {
        order.push(call);
        for taker in takers.get(&call).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(taker) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(*taker);
                }
            }
        }
    }
    if order.len() < needed.len() {
        return Err(KerasError::Circle { model: network.name.to_owned() });
    }
    Ok(order)
}

impl<'j> BuiltLayer<'j> {
    fn unbuilt(layer: &Layer<'j>) -> Self {
        let is = match &layer.body {
            Body::Input(_) => Became::Input,
            Body::Model(_) => Became::Model(Vec::new()),
            Body::Layer => Became::Layers(Vec::new()),
        };
        let (class, name) = (layer.settings.class(), layer.settings.name().unwrap_or_default());
        Self { class, name, trainable: layer.trainable, is }
    }
}
