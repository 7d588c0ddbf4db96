//! What ONNX has no words for, kept where runtimes do not look: texts in `metadata_props`, and tensors that
//! no node takes among the initial values of `training_info`. So a model that keepnet wrote comes back as it
//! was. Parameters stand in the graph alone, in the order of axes that ONNX' operators want.

use std::borrow::Cow;
use std::collections::BTreeMap;

use prost::Message;

use super::OnnxError;
use crate::bytes::Budget;
use crate::format::content::Role;
use crate::format::error::Fault;
use crate::format::kept::{self, Container, Keep, Kept, PREFIX, TensorEntry};
use crate::format::{FormatError, Limits};
use crate::model::{Checkpoint, LayerSpec};
use crate::tensor::{DType, Tensor as Stored};
use crate::wire::onnx::{Entry, Graph, Model, Tensor, TrainingInfo};

/// What keepnet calls itself in files.
pub(super) const PRODUCER: &str = "keepnet";

/// What the graph without its numbers is called among the parts that the model stood beside.
const GRAPH: &str = "the graph";

/// Puts into `model` what it keeps beside the graph.
pub(super) fn keep(model: &mut Model, checkpoint: &Checkpoint<'_>) -> Result<(), FormatError> {
    let graph = model.graph.as_ref().ok_or(OnnxError::NoGraph)?;
    let is_there = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let place =
        |role, name: &str| (role == Role::Parameter && is_there(name)).then(|| name.to_owned());
    let structure = structure(graph);
    let Keep { texts, tensors } =
        kept::keep(checkpoint, |_, item| place(item.role, item.name), &[(GRAPH, &structure)])?;
    model.metadata_props = texts.into_iter().map(entry).collect::<Result<_, _>>()?;
    let tensors = tensors.iter().map(|(name, kept)| tensor(name, kept));
    let initializer = tensors.collect::<Result<Vec<_>, _>>()?;
    if !initializer.is_empty() {
        let name = PREFIX.trim_end_matches('/').to_owned();
        let initialization = Some(Graph { name, initializer, ..Graph::default() });
        model.training_info = vec![TrainingInfo { initialization }];
    }
    Ok(())
}

fn entry((key, text): (String, Vec<u8>)) -> Result<Entry, FormatError> {
    match String::from_utf8(text) {
        Ok(value) => Ok(Entry { key, value }),
        Err(error) => Err(FormatError::damaged(key, 0, Fault::Json { message: error.to_string() })),
    }
}

fn tensor(name: &str, kept: &Stored<'_>) -> Result<Tensor, OnnxError> {
    let too_large = |dim: usize| {
        let (length, limit) = (dim as u64, i64::MAX.unsigned_abs());
        OnnxError::TooLarge { length, limit }
    };
    let dims = kept.shape().dims().iter();
    let dims = dims.map(|&dim| i64::try_from(dim).map_err(|_| too_large(dim)));
    Ok(Tensor {
        dims: dims.collect::<Result<_, _>>()?,
        data_type: data_type(kept.dtype()),
        name: name.to_owned(),
        raw_data: kept.bytes().to_vec().into(),
        ..Tensor::default()
    })
}

/// Whether keepnet kept something in the file.
pub(super) fn is_there(model: &Model) -> bool {
    model.metadata_props.iter().any(|entry| entry.key.starts_with(PREFIX))
}

/// What is kept, if the graph is still that which it stood beside; else the part that is not.
pub(super) fn read(
    model: &Model,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Kept, FormatError> {
    let graph = model.graph.as_ref().ok_or(OnnxError::NoGraph)?;
    if graph.initializer.iter().any(|tensor| tensor.raw_data.is_empty()) {
        // Somebody has moved the numbers.
        return Ok(Kept::Edited { part: "where the numbers stand".to_owned() });
    }
    let others = model.training_info.iter().filter_map(|info| info.initialization.as_ref());
    let tensors = std::iter::once(graph).chain(others).flat_map(|graph| &graph.initializer);
    let file = File {
        texts: model.metadata_props.iter().map(|it| (it.key.as_str(), it.value.as_str())).collect(),
        tensors: tensors.map(|tensor| (tensor.name.as_str(), tensor)).collect(),
    };
    match kept::read(&file, &[(GRAPH, &structure(graph))], limits, budget) {
        // Programs that rewrite files for inference leave out what training needs.
        Err(FormatError::Damaged { part, fault, .. })
            if part.starts_with(kept::TENSORS) && *fault == Fault::Missing =>
        {
            Ok(Kept::Edited { part: "`training_info`".to_owned() })
        }
        read => read,
    }
}

/// The graph without the numbers of its tensors.
fn structure(graph: &Graph) -> Vec<u8> {
    let mut graph = graph.clone();
    graph.initializer.iter_mut().for_each(|tensor| tensor.raw_data.clear());
    graph.encode_to_vec()
}

struct File<'m> {
    texts: BTreeMap<&'m str, &'m str>,
    tensors: BTreeMap<&'m str, &'m Tensor>,
}

impl Container for File<'_> {
    fn text(&self, name: &str, _: &mut Budget) -> Result<Option<Cow<'_, [u8]>>, FormatError> {
        Ok(self.texts.get(name).map(|text| text.as_bytes().into()))
    }

    fn tensors(
        &self,
        graph: &crate::model::Graph,
        entries: &[TensorEntry],
        budget: &mut Budget,
    ) -> Result<Vec<Stored<'_>>, FormatError> {
        let own: BTreeMap<String, _> =
            graph.parameters().iter().map(|it| (graph.tensor_name(it), it)).collect();
        let tensors = entries.iter().map(|entry| {
            let missing = || kept::missing(&entry.path);
            let unfit = || OnnxError::Tensor {
                tensor: entry.path.clone(),
                what: "is not as keepnet wrote it; take another copy of the file",
            };
            let tensor = self.tensors.get(entry.path.as_str()).ok_or_else(missing)?;
            let stored = stored(tensor).ok_or_else(unfit)?;
            // What the graph takes is called there as it is in the model; layers may be called anything.
            if entry.role != Role::Parameter || entry.path != entry.name {
                return Ok(stored);
            }
            let parameter = own.get(&entry.name).ok_or_else(unfit)?;
            let layer = graph.layers().get(parameter.layer).ok_or_else(unfit)?;
            budget.reserve(stored.bytes().len() as u64, "a parameter")?;
            let turned = stored.permuted(&back(&layer.spec, parameter.name, stored.shape().rank()));
            let own = turned.and_then(|turned| turned.reshaped(parameter.shape.clone()));
            Ok(own.ok_or_else(unfit)?)
        });
        tensors.collect()
    }
}

/// The order of axes that brings a parameter back from where [`write`](super::write) has put them.
fn back(spec: &LayerSpec, parameter: &str, rank: usize) -> Vec<usize> {
    match spec {
        LayerSpec::Conv1d(_)
        | LayerSpec::Conv2d(_)
        | LayerSpec::DepthwiseConv2d(_)
        | LayerSpec::SeparableConv2d(_)
        | LayerSpec::Conv2dTranspose(_)
            if parameter != "bias" =>
        {
            (2..rank).chain([1, 0]).collect()
        }
        LayerSpec::PRelu(_) => (1..rank).chain([0]).take(rank).collect(),
        _ => (0..rank).collect(),
    }
}

/// A tensor whose numbers stand in the file as keepnet writes them.
fn stored(tensor: &Tensor) -> Option<Stored<'_>> {
    let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
    let dtype = DType::ALL.into_iter().find(|&dtype| data_type(dtype) == tensor.data_type)?;
    Stored::new(dtype, dims.ok()?, &*tensor.raw_data).ok()
}

/// The number of an element type in `TensorProto.DataType`.
pub(super) fn data_type(dtype: DType) -> i32 {
    match dtype {
        DType::F16 => Tensor::FLOAT16,
        DType::BF16 => Tensor::BFLOAT16,
        DType::F32 => Tensor::FLOAT,
        DType::F64 => Tensor::DOUBLE,
        DType::I8 => Tensor::INT8,
        DType::I16 => Tensor::INT16,
        DType::I32 => Tensor::INT32,
        DType::I64 => Tensor::INT64,
        DType::U8 => Tensor::UINT8,
        DType::U16 => Tensor::UINT16,
        DType::U32 => Tensor::UINT32,
        DType::U64 => Tensor::UINT64,
        DType::Bool => Tensor::BOOL,
    }
}
