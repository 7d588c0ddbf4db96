//! The graph as JSON. These types are the file: what they say in a schema that was released never
//! changes, and what is added says which schema it needs ([`SpecJson::schema`]). A setting or kind
//! that is added to the model does not compile here until it is mapped.

use serde::{Deserialize, Serialize};

use super::json::KnownSchema;
use super::layers::SpecJson;
use crate::format::FormatError;
use crate::format::error::Fault;
use crate::model::{Graph, Layer, Node, NodeId, Output};

/// The newest schema that this version knows. It reads all from 1 on, and writes the least that can
/// say the graph.
pub(in crate::format) const SCHEMA: u64 = 2;

type Schema = KnownSchema<SCHEMA>;

/// The least that can say `layers`.
fn least_schema(layers: &[LayerJson]) -> Schema {
    KnownSchema(layers.iter().map(|layer| layer.spec.schema()).max().unwrap_or(1))
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::format) struct GraphJson {
    schema: Schema,
    name: String,
    layers: Vec<LayerJson>,
    nodes: Vec<NodeJson>,
    inputs: Vec<usize>,
    outputs: Vec<OutputJson>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerJson {
    name: String,
    trainable: bool,
    spec: SpecJson,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeJson {
    layer: usize,
    inputs: Vec<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputJson {
    name: String,
    node: usize,
}

impl From<&Graph> for GraphJson {
    fn from(graph: &Graph) -> Self {
        let layer = |Layer { name, spec, trainable }: &Layer| LayerJson {
            name: name.clone(),
            trainable: *trainable,
            spec: SpecJson::from(spec),
        };
        let node = |Node { layer, inputs }: &Node| NodeJson {
            layer: *layer,
            inputs: inputs.iter().map(|node| node.0).collect(),
        };
        let output =
            |Output { name, node }: &Output| OutputJson { name: name.clone(), node: node.0 };
        let layers: Vec<LayerJson> = graph.layers().iter().map(layer).collect();
        Self {
            schema: least_schema(&layers),
            name: graph.name().to_owned(),
            layers,
            nodes: graph.nodes().iter().map(node).collect(),
            inputs: graph.inputs().iter().map(|node| node.0).collect(),
            outputs: graph.outputs().iter().map(output).collect(),
        }
    }
}

impl GraphJson {
    pub(in crate::format) fn schema(&self) -> u64 {
        self.schema.0
    }

    /// How many nodes there are, and inputs of nodes.
    pub(super) fn size(&self) -> u64 {
        let inputs: usize = self.nodes.iter().map(|node| node.inputs.len()).sum();
        self.nodes.len().saturating_add(inputs) as u64
    }
}

impl TryFrom<GraphJson> for Graph {
    type Error = Fault;

    fn try_from(json: GraphJson) -> Result<Self, Fault> {
        let GraphJson { schema, name, layers, nodes, inputs, outputs } = json;
        schema.check(least_schema(&layers), "the schema of these layers")?;
        let layer = |LayerJson { name, trainable, spec }| {
            Ok(Layer { name, trainable, spec: SpecJson::try_into_spec(spec)? })
        };
        let ids = |indices: Vec<usize>| indices.into_iter().map(NodeId).collect::<Vec<_>>();
        let node = |NodeJson { layer, inputs }| Node { layer, inputs: ids(inputs) };
        let output = |OutputJson { name, node }| Output { name, node: NodeId(node) };
        Ok(Self::new(
            name,
            layers.into_iter().map(layer).collect::<Result<_, Fault>>()?,
            nodes.into_iter().map(node).collect(),
            ids(inputs),
            outputs.into_iter().map(output).collect(),
        )?)
    }
}

/// Refuses a text of a newer schema than `supported`, which its number `found` tells.
pub(in crate::format) fn check_schema(
    found: Option<u64>,
    supported: u64,
    what: &'static str,
) -> Result<(), FormatError> {
    match found {
        Some(schema) if schema > supported => {
            let (found, supported) = (schema.to_string(), supported.to_string());
            Err(FormatError::Version { what, found, supported })
        }
        // For schema 0 and none at all, the reader of schema 1 says what it misses.
        _ => Ok(()),
    }
}
