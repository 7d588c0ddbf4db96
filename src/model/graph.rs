//! The network as a directed acyclic graph of layers applied at nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::error::GraphError;
use super::infer;
use super::parameters::{self, Parameter};
use super::{
    Activation, Arrange, BatchNormalization, BilinearUpSampling2d, ChannelRescaling, Conv1d,
    Conv2d, Conv2dTranspose, Dense, DepthwiseConv2d, Dropout, GlobalPool1d, GlobalPool2d,
    GroupNormalization, LayerNormalization, LayerSpec, Merge, Noise, Normalization, PRelu, Pool1d,
    Pool2d, Rescaling, SeparableConv2d, Softmax,
};
use crate::tensor::Shape;

/// A layer: its unique name, what it is, and whether training may change its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub name: String,
    pub spec: LayerSpec,
    pub trainable: bool,
}

/// An application of a layer to the results of earlier nodes. A layer applied at two nodes shares
/// its parameters between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Index into [`Graph::layers`].
    pub layer: usize,
    pub inputs: Vec<NodeId>,
}

/// The place of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// A result of the network, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub name: String,
    pub node: NodeId,
}

/// A checked network: names are unique, nodes are in topological order and all lead to an output,
/// every shape fits. What a graph says it needs (shapes, parameters) is known without running it.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    name: String,
    layers: Vec<Layer>,
    nodes: Vec<Node>,
    inputs: Vec<NodeId>,
    outputs: Vec<Output>,
    /// Of one sample, per node.
    shapes: Vec<Shape>,
    parameters: Vec<Parameter>,
}

impl Graph {
    /// The longest name of a layer, an output or a graph, in bytes.
    pub const MAX_NAME: usize = 255;

    /// Checks everything that can be checked without numbers.
    ///
    /// # Errors
    /// The first fault, naming the layer, its input shapes and the rule broken.
    pub fn new(
        name: impl Into<String>,
        layers: Vec<Layer>,
        nodes: Vec<Node>,
        inputs: Vec<NodeId>,
        outputs: Vec<Output>,
    ) -> Result<Self, GraphError> {
        let name = name.into();
        check_name("graph", &name)?;
        check_names("layer", layers.iter().map(|layer| layer.name.as_str()))?;
        check_names("output", outputs.iter().map(|output| output.name.as_str()))?;
        for layer in &layers {
            infer::check_settings(&layer.spec).map_err(|rule| GraphError::Setting {
                layer: layer.name.clone(),
                kind: layer.spec.kind(),
                rule,
            })?;
        }
        check_references(&layers, &nodes)?;
        check_ends(&layers, &nodes, &inputs, &outputs)?;
        let mut shapes: Vec<Shape> = Vec::with_capacity(nodes.len());
        let mut parameters: BTreeMap<usize, Vec<Parameter>> = BTreeMap::new();
        let mut elements = 0;
        for node in &nodes {
            let layer = &layers[node.layer];
            let sources: Vec<&Shape> = node.inputs.iter().map(|&NodeId(i)| &shapes[i]).collect();
            let shape = infer::output_shape(layer, &sources)?;
            if let Some(&input) = sources.first() {
                let fault = |rule: &str| GraphError::Shape {
                    layer: layer.name.clone(),
                    kind: layer.spec.kind(),
                    input: super::error::Shapes(vec![input.clone()]),
                    rule: rule.to_owned(),
                };
                let needed = parameters::parameters(node.layer, layer, input);
                match parameters.get(&node.layer) {
                    Some(known) if *known != needed => {
                        return Err(fault(
                            "a layer applied twice shares its parameters, but they would differ \
                             in shape here",
                        ));
                    }
                    Some(_) => {}
                    None => {
                        elements =
                            parameters::count_elements(elements, &needed).ok_or_else(|| {
                                fault(
                                    "with its parameters the graph is larger than this machine can \
                                 address",
                                )
                            })?;
                        parameters.insert(node.layer, needed);
                    }
                }
            }
            shapes.push(shape);
        }
        let parameters = parameters.into_values().flatten().collect();
        Ok(Self { name, layers, nodes, inputs, outputs, shapes, parameters })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// In topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn inputs(&self) -> &[NodeId] {
        &self.inputs
    }

    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The shape that `node` gives for one sample.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn shape(&self, node: NodeId) -> &Shape {
        &self.shapes[node.0]
    }

    /// The layer applied at `node`.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn layer_of(&self, node: NodeId) -> &Layer {
        &self.layers[self.nodes[node.0].layer]
    }

    /// The index of the layer of that name.
    pub fn layer_named(&self, name: &str) -> Option<usize> {
        self.layers.iter().position(|layer| layer.name == name)
    }

    /// All parameters, layer by layer, in the order of files and of the optimizer.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// `layer/parameter`, the name of a parameter's tensor in every file.
    pub fn tensor_name(&self, parameter: &Parameter) -> String {
        format!("{}/{}", self.layers[parameter.layer].name, parameter.name)
    }

    /// Whether training changes `parameter`: it is learned and its layer is not frozen.
    pub fn is_trained(&self, parameter: &Parameter) -> bool {
        parameter.learned && self.layers[parameter.layer].trainable
    }

    /// Freezes a layer (`false`) or frees it. Gives whether there is a layer of that name.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> bool {
        let index = self.layer_named(layer);
        if let Some(index) = index {
            self.layers[index].trainable = trainable;
        }
        index.is_some()
    }
}

fn check_name(what: &'static str, name: &str) -> Result<(), GraphError> {
    let rule = if name.is_empty() {
        "it is empty"
    } else if name.len() > Graph::MAX_NAME {
        "it is longer than 255 bytes"
    } else if name.chars().any(char::is_control) {
        "it holds a control character"
    } else {
        return Ok(());
    };
    // A name that is too long is for no message.
    let name = name.chars().take(Graph::MAX_NAME).collect();
    Err(GraphError::Name { what, name, rule })
}

fn check_names<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), GraphError> {
    let mut seen = BTreeSet::new();
    for name in names {
        check_name(what, name)?;
        if !seen.insert(name) {
            return Err(GraphError::DuplicateName { what, name: name.to_owned() });
        }
    }
    Ok(())
}

/// Every node refers to a layer that exists and to nodes before it; every layer is used.
fn check_references(layers: &[Layer], nodes: &[Node]) -> Result<(), GraphError> {
    let mut used = vec![false; layers.len()];
    for (node, Node { layer, inputs }) in nodes.iter().enumerate() {
        let count = layers.len();
        let Some(used) = used.get_mut(*layer) else {
            return Err(GraphError::Reference { node, what: "layer", index: *layer, count });
        };
        if *used && matches!(layers[*layer].spec, LayerSpec::Input(_)) {
            let (layer, kind) = (layers[*layer].name.clone(), "input");
            let rule = "an input layer stands at one node".to_owned();
            return Err(GraphError::Setting { layer, kind, rule });
        }
        *used = true;
        if let Some(&NodeId(index)) = inputs.iter().find(|input| input.0 >= node) {
            let what = "earlier node";
            return Err(GraphError::Reference { node, what, index, count: node });
        }
    }
    match used.iter().position(|used| !used) {
        Some(layer) => Err(GraphError::Unused { layer: layers[layer].name.clone() }),
        None => Ok(()),
    }
}

/// The inputs are the input layers' nodes, each once; every node leads to an output.
fn check_ends(
    layers: &[Layer],
    nodes: &[Node],
    inputs: &[NodeId],
    outputs: &[Output],
) -> Result<(), GraphError> {
    if inputs.is_empty() || outputs.is_empty() {
        let what = if inputs.is_empty() { "inputs" } else { "outputs" };
        return Err(GraphError::Empty { what });
    }
    let setting = |node: usize, rule: &str| {
        let Layer { name, spec, .. } = &layers[nodes[node].layer];
        let (layer, kind, rule) = (name.clone(), spec.kind(), rule.to_owned());
        Err(GraphError::Setting { layer, kind, rule })
    };
    let count = nodes.len();
    let mut listed = BTreeSet::new();
    for &NodeId(index) in inputs {
        if index >= count {
            return Err(GraphError::NoSuchNode { what: "inputs", index, count });
        }
        if !matches!(layers[nodes[index].layer].spec, LayerSpec::Input(_)) {
            return setting(index, "only an input layer can be an input of the graph");
        }
        if !listed.insert(index) {
            return setting(index, "it is listed twice among the inputs");
        }
    }
    let mut consumed = vec![false; count];
    for Output { node: NodeId(index), .. } in outputs {
        match consumed.get_mut(*index) {
            Some(consumed) => *consumed = true,
            None => {
                let (what, index) = ("outputs", *index);
                return Err(GraphError::NoSuchNode { what, index, count });
            }
        }
    }
    for NodeId(input) in nodes.iter().flat_map(|node| &node.inputs) {
        consumed[*input] = true;
    }
    for node in 0..count {
        if !consumed[node] {
            return setting(node, "its result leads to no output");
        }
        let is_input = matches!(layers[nodes[node].layer].spec, LayerSpec::Input(_));
        if is_input && !listed.contains(&node) {
            return setting(node, "it is not listed among the inputs");
        }
    }
    Ok(())
}

/// Builds a [`Graph`] node by node. Layers get the name of their kind, numbered where that is
/// taken (`conv2d`, `conv2d_1`, …), unless they are given one.
#[derive(Clone, Debug, Default)]
pub struct GraphBuilder {
    layers: Vec<Layer>,
    nodes: Vec<Node>,
    inputs: Vec<NodeId>,
    outputs: Vec<Output>,
}

impl GraphBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    /// An input of that name for samples of `shape`.
    pub fn input(&mut self, name: &str, shape: impl Into<Shape>) -> NodeId {
        let node = self.named(name, LayerSpec::Input(shape.into()), &[]);
        self.inputs.push(node);
        node
    }

    /// Applies a new layer to `inputs`.
    pub fn add(&mut self, spec: impl Into<LayerSpec>, inputs: &[NodeId]) -> NodeId {
        let spec = spec.into();
        let name = self.free_name(spec.kind());
        self.named(&name, spec, inputs)
    }

    /// Applies a new layer of that name to `inputs`.
    pub fn named(&mut self, name: &str, spec: impl Into<LayerSpec>, inputs: &[NodeId]) -> NodeId {
        self.layers.push(Layer { name: name.to_owned(), spec: spec.into(), trainable: true });
        self.nodes.push(Node { layer: self.layers.len() - 1, inputs: inputs.to_vec() });
        NodeId(self.nodes.len() - 1)
    }

    /// Applies the layer of node `of` once more, sharing its parameters.
    ///
    /// # Panics
    /// If `of` is not a node of this builder.
    pub fn again(&mut self, of: NodeId, inputs: &[NodeId]) -> NodeId {
        let layer = self.nodes[of.0].layer;
        self.nodes.push(Node { layer, inputs: inputs.to_vec() });
        NodeId(self.nodes.len() - 1)
    }

    /// Names a result of the graph.
    pub fn output(&mut self, name: &str, node: NodeId) -> &mut Self {
        self.outputs.push(Output { name: name.to_owned(), node });
        self
    }

    /// The name of the layer at `node`.
    ///
    /// # Panics
    /// If `node` is not of this builder.
    pub fn name_of(&self, node: NodeId) -> &str {
        &self.layers[self.nodes[node.0].layer].name
    }

    /// Checks the whole and gives the graph.
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn build(self, name: &str) -> Result<Graph, GraphError> {
        Graph::new(name, self.layers, self.nodes, self.inputs, self.outputs)
    }

    fn free_name(&self, kind: &str) -> String {
        let taken = |name: &str| self.layers.iter().any(|layer| layer.name == name);
        if !taken(kind) {
            return kind.to_owned();
        }
        (1..).map(|number| format!("{kind}_{number}")).find(|name| !taken(name)).expect("endless")
    }
}

macro_rules! layer_spec_from {
    ($($kind:ident),*) => {$(
        impl From<$kind> for LayerSpec {
            fn from(spec: $kind) -> Self {
                Self::$kind(spec)
            }
        }
    )*};
}

layer_spec_from!(
    Activation,
    Arrange,
    BatchNormalization,
    BilinearUpSampling2d,
    ChannelRescaling,
    Conv1d,
    Conv2d,
    Conv2dTranspose,
    Dense,
    DepthwiseConv2d,
    Dropout,
    GlobalPool1d,
    GlobalPool2d,
    GroupNormalization,
    LayerNormalization,
    Merge,
    Noise,
    Normalization,
    Pool1d,
    Pool2d,
    PRelu,
    Rescaling,
    SeparableConv2d,
    Softmax
);
