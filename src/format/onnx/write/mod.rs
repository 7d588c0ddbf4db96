//! Models as ONNX: version 8 of the format and operator set 17, which every onnxruntime since 1.12 runs.
//! Inputs and outputs are those of keepnet, channels last, with any number of samples; within, values of
//! images stand channels first, as ONNX' operators take them.

mod activations;
mod layers;
mod nodes;
mod normalization;
mod windows;

use std::path::Path;

use prost::Message;

use super::{OnnxError, kept};
use crate::bytes::atomic;
use crate::bytes::fs::{Fs, Stat};
use crate::format::FormatError;
use crate::format::content::Description;
use crate::model::{Checkpoint, NodeId};
use crate::tensor::Shape;
use crate::wire::MAX_MESSAGE;
use crate::wire::onnx::{
    Dimension, Extent, Graph, Model, OperatorSet, Tensor, TensorShape, TensorType, Type, ValueInfo,
};
use nodes::{Nodes, Order, signed};

const IR_VERSION: i64 = 8;
const OPERATOR_SET: i64 = 17;

/// What stands for the number of samples.
const BATCH: &str = "N";

/// Saves `checkpoint` at `path`.
pub(in crate::format) fn save<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
) -> Result<Option<Stat>, FormatError> {
    let bytes = to_bytes(checkpoint, MAX_MESSAGE)?;
    Ok(atomic::write_file_on(fs, path, |out| out.write_all(&bytes))?)
}

/// The file, of `limit` bytes at most. A model that cannot fit is refused before anything is copied of it.
fn to_bytes(checkpoint: &Checkpoint<'_>, limit: u64) -> Result<Vec<u8>, FormatError> {
    Description::of(checkpoint)?;
    let within = |length: u64| match length <= limit {
        true => Ok(()),
        false => Err(OnnxError::TooLarge { length, limit }),
    };
    let numbers = checkpoint.tensors.iter().map(|named| named.tensor.bytes().len() as u64);
    within(numbers.sum())?;
    let mut model = Model {
        ir_version: IR_VERSION,
        producer_name: kept::PRODUCER.to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph(checkpoint)?),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPERATOR_SET }],
        ..Model::default()
    };
    kept::keep(&mut model, checkpoint)?;
    within(model.encoded_len() as u64)?;
    Ok(model.encode_to_vec())
}

/// The network and its parameters.
fn graph(checkpoint: &Checkpoint<'_>) -> Result<Graph, OnnxError> {
    let graph = &checkpoint.graph;
    let mut nodes = Nodes::new(checkpoint);
    let info = |name: String, shape: &Shape| {
        let batch = Dimension { value: Some(Extent::Parameter(BATCH.to_owned())) };
        let sides = signed(shape.dims()).into_iter();
        let sides = sides.map(|side| Dimension { value: Some(Extent::Value(side)) });
        let shape = Some(TensorShape { dim: std::iter::once(batch).chain(sides).collect() });
        let tensor_type = Some(TensorType { elem_type: Tensor::FLOAT, shape });
        ValueInfo { name, r#type: Some(Type { tensor_type }) }
    };
    let mut input = Vec::with_capacity(graph.inputs().len());
    for &node in graph.inputs() {
        let name = nodes.free_name(&graph.layer_of(node).name);
        input.push(info(name.clone(), graph.shape(node)));
        nodes.set(node, (Order::ChannelsLast, name));
    }
    for node in (0..graph.nodes().len()).map(NodeId) {
        nodes.layer(graph, node)?;
    }
    let mut output: Vec<ValueInfo> = Vec::with_capacity(graph.outputs().len());
    for result in graph.outputs() {
        nodes.begin(&result.name);
        let value = nodes.get(result.node, Order::ChannelsLast);
        let is_taken = |info: &ValueInfo| info.name == value;
        // An input that is an output at once, or one value for two of them, has to be copied.
        let value = match input.iter().chain(&output).any(is_taken) {
            true => nodes.node("Identity", &[&value], []),
            false => value,
        };
        let name = nodes.free_name(&result.name);
        nodes.rename(&value, &name);
        output.push(info(name, graph.shape(result.node)));
    }
    let name = match graph.name() {
        "" => "model".to_owned(),
        name => name.to_owned(),
    };
    let sparse_initializer = Vec::new();
    let (node, initializer) = (nodes.nodes, nodes.tensors);
    Ok(Graph { node, name, initializer, input, output, sparse_initializer })
}

#[cfg(test)]
mod tests {
    use super::to_bytes;
    use crate::format::FormatError;
    use crate::format::onnx::OnnxError;
    use crate::model::{Dense, Sequential};
    use crate::nn::Model;
    use crate::tensor::Shape;

    #[test]
    fn what_protobuf_cannot_hold_is_refused() {
        let graph = Sequential::new(Shape::vector(8)).layer(Dense::new(4)).graph().unwrap();
        let model = Model::new(graph, 0);
        let checkpoint = model.to_checkpoint();
        let length = to_bytes(&checkpoint, u64::MAX).unwrap().len() as u64;
        assert_eq!(to_bytes(&checkpoint, length).unwrap().len() as u64, length);
        let refused = |limit| match to_bytes(&checkpoint, limit) {
            Err(FormatError::Onnx(OnnxError::TooLarge { length, limit: told }))
                if told == limit =>
            {
                length
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(length - 1), length);
        // By the numbers alone, 8 × 4 + 4 of them, before anything is made of them.
        assert_eq!(refused(100), 36 * 4);
    }
}
