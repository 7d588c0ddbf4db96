//! The graph of a SavedModel as operations, which are lowered to layers.

mod attributes;
mod constants;
mod operators;
mod spaced;

use std::collections::{BTreeMap, BTreeSet};

use super::SavedModelError;
use super::computation::{self, Computation, Value};
use crate::bytes::Budget;
use crate::format::LoadOptions;
use crate::format::operations::{
    Cast, Constant, Input, Kind, Lowered, Operation, Program, ValueId, lower,
};
use crate::format::report::{Loaded, Notice, Report};
use crate::model::{Checkpoint, Graph};
use crate::tensor::DType;
use crate::wire::tensorflow::{
    Bundle, MetaGraphDef, NodeDef, TensorInfo, TensorShapeProto, TrackableObjectGraph,
};
use attributes::Attributes;
use spaced::Spaced;

/// The network that the signature of `graph` computes with the variables in `bundle`.
pub(super) fn load(
    graph: &MetaGraphDef,
    objects: &TrackableObjectGraph,
    bundle: &Bundle,
    options: &LoadOptions,
    budget: &mut Budget,
) -> Result<Loaded, SavedModelError> {
    let limit = options.limits.nodes;
    let computation = Computation::of(graph, objects, &options.limits)?;
    let spaced = Spaced::of(&computation);
    let mut building = Building {
        bundle,
        limit,
        spaced,
        results: Vec::new(),
        unknown: BTreeSet::new(),
        variables: BTreeMap::new(),
        names: BTreeMap::new(),
        next: 0,
        repeated: constants::REPEATED,
        program: Program::default(),
        layer: String::new(),
        rounded: BTreeSet::new(),
        notices: Vec::new(),
    };
    building.computation(&computation, budget)?;
    let Building { program, mut notices, .. } = building;
    let Lowered { graph: network, tensors, left_out, turned } = lower(program, options, budget)?;
    notices.extend(turned.into_iter().map(|name| Notice::ChannelsLast { name }));
    notices.extend(left_out.into_iter().map(|name| Notice::InputLeftOut { name }));
    let info = graph.meta_info_def.as_ref();
    let version = info.map(|info| &info.tensorflow_version).filter(|version| !version.is_empty());
    let writer = version.map(|version| format!("TensorFlow {version}"));
    let checkpoint = Checkpoint::new(network, tensors);
    Ok(Loaded { checkpoint, report: Report { writer, notices, ..Report::default() } })
}

/// A program in the making.
struct Building<'m> {
    bundle: &'m Bundle,
    /// The most operations.
    limit: u64,
    spaced: Spaced,
    /// What each operation of the computation gives.
    results: Vec<Vec<ValueId>>,
    /// What operations give that keepnet does not know.
    unknown: BTreeSet<ValueId>,
    /// The variables that are read, by their keys.
    variables: BTreeMap<&'m str, ValueId>,
    /// What they are called.
    names: BTreeMap<ValueId, &'m str>,
    /// The number of the next value.
    next: usize,
    /// How many numbers constants may still repeat.
    repeated: u64,
    program: Program<'m>,
    /// What the layer of the node in hand is called.
    layer: String,
    /// The layers in which values are rounded, and to what.
    rounded: BTreeSet<(String, &'static str)>,
    notices: Vec<Notice>,
}

impl<'m> Building<'m> {
    fn computation(
        &mut self,
        computation: &Computation<'m>,
        budget: &mut Budget,
    ) -> Result<(), SavedModelError> {
        for (place, operation) in computation.operations.iter().enumerate() {
            let results = match operation {
                computation::Operation::Input { name, info } => {
                    let (value, name) = (self.fresh(), (*name).to_owned());
                    let dtype = info.dtype().dtype();
                    let is_whole = dtype.is_some_and(|dtype| Cast::to(dtype) != Cast::Floats);
                    self.program.inputs.push(Input { name, value, dims: dims(info), is_whole });
                    vec![value]
                }
                computation::Operation::Variable { name, key } => {
                    vec![self.variable(name, key, budget)?]
                }
                computation::Operation::Node { .. } if self.spaced.is_inside(place) => Vec::new(),
                computation::Operation::Node { node, inputs } => {
                    self.node(computation, place, node, inputs, budget)?
                }
            };
            self.results.push(results);
        }
        for (name, value) in &computation.outputs {
            let value = self.resolved(computation, value)?;
            self.program.outputs.push(((*name).to_owned(), value));
        }
        Ok(())
    }

    fn node(
        &mut self,
        computation: &Computation<'m>,
        place: usize,
        node: &'m NodeDef,
        inputs: &[Value<'m>],
        budget: &mut Budget,
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let attributes = Attributes(node);
        if node.op == "Const" {
            let constant = constants::constant(&attributes, &mut self.repeated, budget)?;
            return Ok(vec![self.constant(constant)]);
        }
        if let Some(name) = own_name(node)? {
            // Handles of TensorFlow 2 are not stored so, and handed to functions that know their variables.
            return match self.bundle.entries().contains_key(name) {
                true => Ok(vec![self.variable(name, name, budget)?]),
                false => Ok(Vec::new()),
            };
        }
        if let Some(whole) = self.spaced.whole(place) {
            return self.spaced_convolution(computation, &whole);
        }
        let inputs = inputs.iter().map(|input| self.resolved(computation, input));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        self.layer = self.layer_name(node, &inputs);
        self.operator(&attributes, inputs)
    }

    /// The number of what a node of the computation takes.
    fn resolved(
        &self,
        computation: &Computation<'m>,
        value: &Value<'m>,
    ) -> Result<ValueId, SavedModelError> {
        let operation = computation.operations.get(value.operation);
        let results = self.results.get(value.operation).map(Vec::as_slice).unwrap_or_default();
        let (name, number) = value.result.rsplit_once(':').unwrap_or(("", value.result));
        let Some(computation::Operation::Node { node, .. }) = operation else {
            let first = results.first().copied();
            return first.ok_or_else(|| SavedModelError::NoNode { name: value.result.to_owned() });
        };
        // Of a normalisation, what is normalised stands first; the others are statistics of batches.
        let is_other = node.op.starts_with("FusedBatchNorm") && !matches!(name, "" | "y");
        let number = number.parse::<usize>().ok().filter(|_| !is_other);
        let unknown = results.first().filter(|value| self.unknown.contains(value));
        let found = unknown.or_else(|| results.get(number?)).copied();
        let what = "gives more results than those that keepnet computes";
        found.ok_or_else(|| match own_name(node) {
            Ok(Some(name)) => SavedModelError::NoVariable { key: name.to_owned() },
            Ok(None) => Attributes(node).fault(what),
            Err(error) => error,
        })
    }

    fn fresh(&mut self) -> ValueId {
        self.next += 1;
        ValueId(self.next)
    }

    fn constant(&mut self, constant: Constant<'m>) -> ValueId {
        let value = self.fresh();
        self.program.constants.insert(value, constant);
        value
    }

    fn variable(
        &mut self,
        name: &'m str,
        key: &'m str,
        budget: &mut Budget,
    ) -> Result<ValueId, SavedModelError> {
        if let Some(&value) = self.variables.get(key) {
            return Ok(value);
        }
        let missing = || SavedModelError::NoVariable { key: key.to_owned() };
        let tensor = self.bundle.tensor(key)?.ok_or_else(missing)?;
        let dtype = tensor.dtype();
        if matches!(dtype, DType::F16 | DType::BF16 | DType::F64) {
            let weight = if name.is_empty() { key } else { name };
            let notice = Notice::Converted { weight: weight.to_owned(), from: dtype.name() };
            self.notices.push(notice);
        }
        let constant = Constant::stored(tensor, budget)?.ok_or_else(missing)?;
        let value = self.constant(constant);
        self.variables.insert(key, value);
        self.names.insert(value, name);
        Ok(value)
    }

    /// An operation, and what it gives.
    fn operation(
        &mut self,
        kind: Kind,
        inputs: impl IntoIterator<Item = Option<ValueId>>,
    ) -> Result<ValueId, SavedModelError> {
        if self.program.operations.len() as u64 >= self.limit {
            return Err(SavedModelError::TooManyOperations { limit: self.limit });
        }
        let (output, name) = (self.fresh(), self.layer.clone());
        let inputs = inputs.into_iter().collect();
        self.program.operations.push(Operation { name, kind, inputs, output });
        Ok(output)
    }

    /// What the layer that `node` becomes is called: as its weights are, where these tell, else as the
    /// scope of the node.
    fn layer_name(&self, node: &NodeDef, inputs: &[ValueId]) -> String {
        let mut weights = inputs.iter().skip(1).filter_map(|value| self.names.get(value));
        if let Some(layer) = weights.find_map(|name| name.rsplit('/').nth(1)) {
            return short(layer);
        }
        let mut scopes = node.name.rsplit('/').skip(1).filter(|scope| *scope != "batchnorm");
        match scopes.next() {
            Some(scope) if !scope.is_empty() => short(scope),
            _ => short(&node.name).to_lowercase(),
        }
    }
}

/// No more than a name may have: functions put it down again wherever they are called.
fn short(name: &str) -> String {
    name.chars().take(Graph::MAX_NAME).collect()
}

/// The name under which a variable is stored, if nothing tells what it is restored from.
fn own_name(node: &NodeDef) -> Result<Option<&str>, SavedModelError> {
    if !matches!(node.op.as_str(), "VarHandleOp" | "VariableV2" | "Variable") {
        return Ok(None);
    }
    let shared = Attributes(node).text("shared_name", "")?;
    Ok(Some(if shared.is_empty() { node.name.as_str() } else { shared }))
}

/// The axes of an input, as far as they are told.
fn dims(info: &TensorInfo) -> Option<Vec<Option<usize>>> {
    let known = |shape: &&TensorShapeProto| !shape.unknown_rank;
    let shape = info.tensor_shape.as_ref().filter(known)?;
    let dim = |size: i64| usize::try_from(size).ok().filter(|&dim| dim > 0);
    Some(shape.dim.iter().map(|it| dim(it.size)).collect())
}
