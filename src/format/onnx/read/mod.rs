//! ONNX files of any exporter, as far as their operators are layers of keepnet.

mod attributes;
mod functions;
mod operators;
mod signatures;
mod tensors;

use std::collections::BTreeMap;

use super::OnnxError;
use crate::bytes::Budget;
use crate::format::operations::{Cast, Constant, Input, Kind, Operation, Program, ValueId, lower};
use crate::format::report::{Loaded, Notice, Report};
use crate::format::{FormatError, LoadOptions};
use crate::model::Checkpoint;
use crate::wire::onnx::{Extent, Graph, Model, Node, Tensor, ValueInfo};
use attributes::Attributes;
use tensors::Beside;
pub(super) use tensors::Folder;

/// The versions of the operators that are understood.
const OPERATOR_SETS: std::ops::RangeInclusive<i64> = 7..=26;

/// The network in a file; its numbers may stand `beside` it.
pub(super) fn load(
    model: &Model,
    beside: &mut dyn Beside,
    options: &LoadOptions,
    budget: &mut Budget,
) -> Result<Loaded, FormatError> {
    let graph = model.graph.as_ref().ok_or(OnnxError::NoGraph)?;
    let mut versions =
        model.opset_import.iter().filter(|set| is_of_onnx(&set.domain)).map(|set| set.version);
    let opset = versions.next();
    if versions.any(|version| Some(version) != opset) {
        return Err(OnnxError::Beyond { what: "operators of two versions" }.into());
    }
    let opset = opset.filter(|version| OPERATOR_SETS.contains(version)).ok_or_else(|| {
        let (lowest, highest) = (*OPERATOR_SETS.start(), *OPERATOR_SETS.end());
        OnnxError::OperatorSet { found: opset.unwrap_or(0), lowest, highest }
    })?;
    if !model.functions.is_empty() || !graph.sparse_initializer.is_empty() {
        let what =
            if model.functions.is_empty() { "sparse tensors" } else { "functions of its own" };
        return Err(OnnxError::Beyond { what }.into());
    }
    options.limits.check_nodes(graph.node.len() as u64)?;
    options.limits.check_tensors(graph.initializer.len() as u64)?;
    let mut building = Building {
        values: BTreeMap::new(),
        next: 0,
        program: Program::default(),
        opset,
        layer: String::new(),
        notices: Vec::new(),
    };
    building.program.name.clone_from(&graph.name);
    building.graph(graph, beside, budget)?;
    let Building { program, mut notices, .. } = building;
    let lowered = lower(program, options, budget).map_err(OnnxError::from)?;
    let turned = lowered.turned.into_iter().map(|name| Notice::ChannelsLast { name });
    notices.extend(turned);
    notices.extend(lowered.left_out.into_iter().map(|name| Notice::InputLeftOut { name }));
    let writer = format!("{} {}", model.producer_name, model.producer_version);
    let writer = Some(writer.trim().to_owned()).filter(|writer| !writer.is_empty());
    let checkpoint = Checkpoint::new(lowered.graph, lowered.tensors);
    Ok(Loaded { checkpoint, report: Report { writer, notices, ..Report::default() } })
}

/// Whether operators of that domain are those of ONNX itself, which has two names.
fn is_of_onnx(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// What an operation takes.
#[derive(Clone, Debug)]
enum Wanted {
    /// The value of that name; none if it is empty.
    Name(String),
    Value(ValueId),
    Nothing,
}

impl Wanted {
    fn is_nothing(&self) -> bool {
        match self {
            Self::Name(name) => name.is_empty(),
            Self::Value(_) => false,
            Self::Nothing => true,
        }
    }
}

/// A program in the making.
struct Building<'m> {
    /// By their names.
    values: BTreeMap<String, ValueId>,
    /// The number of the next value.
    next: usize,
    program: Program<'m>,
    opset: i64,
    /// What the layer of the node in hand is called.
    layer: String,
    notices: Vec<Notice>,
}

impl<'m> Building<'m> {
    fn graph(
        &mut self,
        graph: &'m Graph,
        beside: &mut dyn Beside,
        budget: &mut Budget,
    ) -> Result<(), FormatError> {
        for tensor in &graph.initializer {
            self.tensor(&tensor.name, tensor, beside, budget)?;
        }
        for info in &graph.input {
            // Up to version 3 of the format initializers are inputs too.
            if !self.values.contains_key(&info.name) {
                let value = self.define(&info.name)?;
                let name = info.name.clone();
                let is_whole = is_whole(info);
                self.program.inputs.push(Input { name, value, dims: dims(info), is_whole });
            }
        }
        for node in &graph.node {
            if is_of_onnx(&node.domain) {
                signatures::check(&Attributes(node))?;
            }
            if node.op_type == "Constant" && node.domain.is_empty() {
                self.constant_node(node, beside, budget)?;
                continue;
            }
            self.layer = layer_name(node);
            if node.op_type == "Split" && node.domain.is_empty() {
                self.split(node)?;
                continue;
            }
            let (kind, inputs) = self.operator(node)?;
            let inputs = self.resolved(&inputs)?;
            let [output, rest @ ..] = node.output.as_slice() else {
                return Err(Attributes(node).fault("gives nothing").into());
            };
            let output = self.define(output)?;
            // Such as the mask of a Dropout. Whoever takes one takes a value that no operation gives.
            for name in rest.iter().filter(|name| !name.is_empty()) {
                self.define(name)?;
            }
            let name = self.layer.clone();
            self.program.operations.push(Operation { name, kind, inputs, output });
        }
        for info in &graph.output {
            let value = self.values.get(&info.name).copied();
            let value = value.ok_or_else(|| OnnxError::NoValue { name: info.name.clone() })?;
            self.program.outputs.push((info.name.clone(), value));
        }
        Ok(())
    }

    fn fresh(&mut self) -> ValueId {
        self.next += 1;
        ValueId(self.next)
    }

    /// A new value of that name.
    fn define(&mut self, name: &str) -> Result<ValueId, OnnxError> {
        let value = self.fresh();
        match self.values.insert(name.to_owned(), value) {
            None => Ok(value),
            Some(_) => Err(OnnxError::TwoValues { name: name.to_owned() }),
        }
    }

    fn constant(&mut self, constant: Constant<'m>) -> Wanted {
        let value = self.fresh();
        self.program.constants.insert(value, constant);
        Wanted::Value(value)
    }

    /// An operation that a node is made of beside the last.
    fn operation(&mut self, kind: Kind, inputs: Vec<Wanted>) -> Wanted {
        let output = self.fresh();
        // A name that is missing is found missing by the last operation too.
        let inputs = self.resolved(&inputs).unwrap_or_default();
        let name = self.layer.clone();
        self.program.operations.push(Operation { name, kind, inputs, output });
        Wanted::Value(output)
    }

    fn resolved(&self, inputs: &[Wanted]) -> Result<Vec<Option<ValueId>>, OnnxError> {
        let resolve = |wanted: &Wanted| match wanted {
            Wanted::Nothing => Ok(None),
            Wanted::Value(value) => Ok(Some(*value)),
            Wanted::Name(name) if name.is_empty() => Ok(None),
            Wanted::Name(name) => match self.values.get(name) {
                Some(value) => Ok(Some(*value)),
                None => Err(OnnxError::NoValue { name: name.clone() }),
            },
        };
        inputs.iter().map(resolve).collect()
    }

    fn tensor(
        &mut self,
        name: &str,
        tensor: &'m Tensor,
        beside: &mut dyn Beside,
        budget: &mut Budget,
    ) -> Result<(), FormatError> {
        let constant = tensors::constant(tensor, beside, budget, &mut self.notices)?;
        let value = self.define(name)?;
        self.program.constants.insert(value, constant);
        Ok(())
    }

    fn constant_node(
        &mut self,
        node: &'m Node,
        beside: &mut dyn Beside,
        budget: &mut Budget,
    ) -> Result<(), FormatError> {
        let attributes = Attributes(node);
        let name = node.output.first().ok_or_else(|| attributes.fault("gives nothing"))?;
        if let Some(tensor) = attributes.tensor("value")? {
            return self.tensor(name, tensor, beside, budget);
        }
        let constant = if attributes.has("value_int") {
            let one = Constant::integers([attributes.int("value_int", 0)?]);
            Some(Constant { dims: Vec::new(), ..one })
        } else if attributes.has("value_float") {
            attributes.some_float("value_float")?.map(Constant::float)
        } else if let Some(ints) = attributes.ints("value_ints")? {
            Some(Constant::integers(ints.iter().copied()))
        } else {
            attributes.floats("value_floats")?.and_then(Constant::list)
        };
        let constant = constant.ok_or_else(|| attributes.fault("holds no numbers"))?;
        let value = self.define(name)?;
        self.program.constants.insert(value, constant);
        Ok(())
    }
}

/// The axes of an input, as far as they are told.
fn dims(info: &ValueInfo) -> Option<Vec<Option<usize>>> {
    let shape = info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
    let dim = |value: &Option<Extent>| match value {
        Some(Extent::Value(dim)) => usize::try_from(*dim).ok().filter(|&dim| dim > 0),
        Some(Extent::Parameter(_)) | None => None,
    };
    Some(shape.dim.iter().map(|it| dim(&it.value)).collect())
}

/// Whether an input is of whole numbers.
fn is_whole(info: &ValueInfo) -> bool {
    let tensor = info.r#type.as_ref().and_then(|it| it.tensor_type.as_ref());
    let dtype = tensor.and_then(|tensor| tensors::dtype(tensor.elem_type));
    dtype.is_some_and(|dtype| Cast::to(dtype) != Cast::Floats)
}

/// What the layer that `node` becomes is called: as its weights are, where these tell, else as the node.
fn layer_name(node: &Node) -> String {
    const WEIGHTS: [&str; 6] =
        [".weight", "/kernel", "/depthwise_kernel", "/pointwise_kernel", "/gamma", "/alpha"];
    let weights = node.input.iter().skip(1);
    let mut named =
        weights.filter_map(|name| WEIGHTS.iter().find_map(|end| name.strip_suffix(end)));
    if let Some(name) = named.next() {
        return name.to_owned();
    }
    let name = match node.name.rsplit_once('/') {
        // keepnet's and TensorFlow's nodes are named after the layer and the operator.
        Some((layer, operator))
            if !layer.is_empty() && operator.starts_with(|c: char| c.is_uppercase()) =>
        {
            layer
        }
        _ => &node.name,
    };
    match name.trim_matches('/') {
        "" => node.op_type.to_lowercase(),
        name => name.to_owned(),
    }
}
