//! What a graph of ONNX is put together from: nodes, and the tensors that they take.

use std::collections::BTreeMap;

use crate::format::onnx::OnnxError;
use crate::model::{Checkpoint, NodeId};
use crate::tensor::{DType, Tensor as Numbers};
use crate::wire::onnx::{Attribute, AttributeKind, Node, Tensor};

/// In which order the axes of a value stand. For samples of fewer than two axes both are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Channels behind the batch, as ONNX' operators take images and sequences.
    ChannelsFirst,
    /// Channels last, as in keepnet.
    ChannelsLast,
}

/// What a node of keepnet's graph gives, in the orders in which it is at hand.
#[derive(Clone, Debug, Default)]
struct Value {
    first: Option<String>,
    last: Option<String>,
}

/// The result of a layer.
pub(super) type Written = (Order, String);

pub(super) struct Nodes<'c> {
    checkpoint: &'c Checkpoint<'c>,
    pub(super) nodes: Vec<Node>,
    pub(super) tensors: Vec<Tensor>,
    /// Names of values and tensors that are taken, and how often one was asked for.
    names: BTreeMap<String, usize>,
    values: Vec<Value>,
    /// The layer that is being written.
    layer: String,
}

impl<'c> Nodes<'c> {
    pub(super) fn new(checkpoint: &'c Checkpoint<'c>) -> Self {
        let values = vec![Value::default(); checkpoint.graph.nodes().len()];
        let (nodes, tensors) = (Vec::new(), Vec::new());
        // Those of the parameters, whose numbers are found again by them.
        let parameters = checkpoint.tensors.iter().map(|tensor| (tensor.name.clone(), 0));
        let names = parameters.collect();
        Self { checkpoint, nodes, tensors, names, values, layer: String::new() }
    }

    /// What is written from here on belongs to that layer.
    pub(super) fn begin(&mut self, layer: &str) {
        layer.clone_into(&mut self.layer);
    }

    /// `name`, numbered if it is taken.
    pub(super) fn free_name(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        while self.names.contains_key(&free) {
            let number = self.names.entry(name.to_owned()).or_default();
            *number += 1;
            free = format!("{name}_{number}");
        }
        self.names.insert(free.clone(), 0);
        free
    }

    /// A node and the name of what it gives.
    pub(super) fn node<const N: usize>(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: [Attribute; N],
    ) -> String {
        let output = self.free_name(&format!("{}/{operator}", self.layer));
        self.nodes.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.clone()],
            name: output.clone(),
            op_type: operator.to_owned(),
            attribute: attributes.into(),
            domain: String::new(),
        });
        output
    }

    /// Notes what `node` gives.
    pub(super) fn set(&mut self, node: NodeId, (order, name): Written) {
        let is_both = self.checkpoint.graph.shape(node).rank() < 2;
        if let Some(value) = self.values.get_mut(node.0) {
            if is_both || order == Order::ChannelsFirst {
                value.first = Some(name.clone());
            }
            if is_both || order == Order::ChannelsLast {
                value.last = Some(name);
            }
        }
    }

    /// What `node` gives, in that order; it is transposed if it is not at hand so.
    pub(super) fn get(&mut self, node: NodeId, order: Order) -> String {
        let value = self.values.get(node.0).cloned().unwrap_or_default();
        let rank = self.checkpoint.graph.shape(node).rank();
        let (found, other) = match order {
            Order::ChannelsFirst => (value.first, value.last),
            Order::ChannelsLast => (value.last, value.first),
        };
        found.unwrap_or_else(|| {
            let axes = match order {
                Order::ChannelsFirst => channels_first(rank + 1),
                Order::ChannelsLast => channels_last(rank + 1),
            };
            let transposed = self.transposed(&other.unwrap_or_default(), &axes);
            self.set(node, (order, transposed.clone()));
            transposed
        })
    }

    /// What `node` gives, in an order in which it is at hand: channels first if it is in both.
    pub(super) fn any(&mut self, node: NodeId) -> Written {
        let is_first = self.values.get(node.0).is_some_and(|value| value.first.is_some());
        let order = if is_first { Order::ChannelsFirst } else { Order::ChannelsLast };
        (order, self.get(node, order))
    }

    pub(super) fn transposed(&mut self, value: &str, axes: &[usize]) -> String {
        self.node("Transpose", &[value], [ints("perm", axes)])
    }

    /// A parameter of the layer: its numbers.
    pub(super) fn parameter(&self, name: &str) -> Result<Numbers<'c>, OnnxError> {
        let name = format!("{}/{name}", self.layer);
        let found = self.checkpoint.tensors.iter().find(|tensor| tensor.name == name);
        let found = found.map(|found| found.tensor.borrowed());
        found.filter(|tensor| tensor.dtype() == DType::F32).ok_or(OnnxError::NoNumbers { name })
    }

    /// A tensor under the name of a parameter of the layer; once, however often the layer is applied.
    pub(super) fn own(&mut self, name: &str, dims: &[usize], numbers: &Numbers<'_>) -> String {
        let name = format!("{}/{name}", self.layer);
        if !self.tensors.iter().any(|tensor| tensor.name == name) {
            self.push(name.clone(), dims, Tensor::FLOAT, numbers.bytes().to_vec());
        }
        name
    }

    /// The numbers of a setting.
    pub(super) fn floats(&mut self, name: &str, dims: &[usize], numbers: &[f32]) -> String {
        let name = self.free_name(&format!("{}/{name}", self.layer));
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.push(name.clone(), dims, Tensor::FLOAT, bytes);
        name
    }

    pub(super) fn float(&mut self, name: &str, number: f64) -> String {
        self.floats(name, &[], &[nearest(number)])
    }

    pub(super) fn integers(&mut self, name: &str, numbers: &[i64]) -> String {
        let name = self.free_name(&format!("{}/{name}", self.layer));
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.push(name.clone(), &[numbers.len()], Tensor::INT64, bytes);
        name
    }

    fn push(&mut self, name: String, dims: &[usize], data_type: i32, bytes: Vec<u8>) {
        let (dims, raw_data) = (signed(dims), bytes.into());
        self.tensors.push(Tensor { dims, data_type, name, raw_data, ..Tensor::default() });
    }

    /// Puts `name` in the place of `value` wherever that stands.
    pub(super) fn rename(&mut self, value: &str, name: &str) {
        let all =
            self.nodes.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output));
        all.filter(|found| *found == value).for_each(|found| name.clone_into(found));
    }
}

/// From channels last to channels first, the batch counted.
pub(super) fn channels_first(rank: usize) -> Vec<usize> {
    if rank < 3 {
        return (0..rank).collect();
    }
    [0, rank - 1].into_iter().chain(1..rank - 1).collect()
}

/// And back.
pub(super) fn channels_last(rank: usize) -> Vec<usize> {
    if rank < 3 {
        return (0..rank).collect();
    }
    std::iter::once(0).chain(2..rank).chain([1]).collect()
}

/// Lengths and the like as ONNX has them. Those of a checked graph are far below the limit.
pub(super) fn signed(numbers: &[usize]) -> Vec<i64> {
    numbers.iter().map(|&number| i64::try_from(number).unwrap_or(i64::MAX)).collect()
}

/// The nearest f32, with which keepnet computes too.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
pub(super) fn nearest(number: f64) -> f32 {
    number as f32
}

pub(super) fn ints(name: &str, ints: &[usize]) -> Attribute {
    let (name, ints) = (name.to_owned(), signed(ints));
    Attribute { name, ints, r#type: AttributeKind::Ints.into(), ..Attribute::default() }
}

pub(super) fn int(name: &str, i: i64) -> Attribute {
    let name = name.to_owned();
    Attribute { name, i, r#type: AttributeKind::Int.into(), ..Attribute::default() }
}

pub(super) fn float(name: &str, f: f64) -> Attribute {
    let (name, f) = (name.to_owned(), nearest(f));
    Attribute { name, f, r#type: AttributeKind::Float.into(), ..Attribute::default() }
}

pub(super) fn string(name: &str, s: &'static str) -> Attribute {
    let (name, s) = (name.to_owned(), s.as_bytes().into());
    Attribute { name, s, r#type: AttributeKind::String.into(), ..Attribute::default() }
}
