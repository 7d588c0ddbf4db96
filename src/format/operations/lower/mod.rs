//! Operations to layers, one after the other.

mod elementwise;
mod groups;
mod known;
mod normalizations;
mod patterns;
mod rows;
mod select;
mod shaping;
#[cfg(test)]
mod tests;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::place::{Placed, axes_of};
use super::sketch::{Sketch, Step};
use super::{
    Cast, Channels, Constant, Groups, Input, Kind, LoweringError, Operation, Program, ValueId,
    spelled, tidy,
};
use crate::bytes::Budget;
use crate::format::LoadOptions;
use crate::model::{Activation, Dense, Graph, LayerSpec, NamedTensor, PRelu, Softmax};
use crate::tensor::{Shape, Tensor};
use rows::ROWS;

/// A network, and what is to be told of it.
#[derive(Debug)]
pub(in crate::format) struct Lowered {
    pub(in crate::format) graph: Graph,
    pub(in crate::format) tensors: Vec<NamedTensor<'static>>,
    /// Inputs that lead to no output.
    pub(in crate::format) left_out: Vec<String>,
    /// Inputs and outputs whose channels stand last now, and stood first in the file.
    pub(in crate::format) turned: Vec<String>,
}

/// The network that `program` describes.
///
/// # Errors
/// If keepnet has no layers for it, or it contradicts itself.
pub(in crate::format) fn lower(
    mut program: Program<'_>,
    options: &LoadOptions,
    budget: &mut Budget,
) -> Result<Lowered, LoweringError> {
    spelled::join_normalizations(&mut program);
    let Program { name: network, inputs, constants, operations, outputs } = program;
    check_known(&operations)?;
    let limit = options.limits.nodes;
    if operations.len().max(inputs.len()) as u64 > limit {
        return Err(LoweringError::TooManyNodes { limit });
    }
    let constants = constants.into_iter().map(|(id, it)| (id, Traced::Known(Rc::new(it))));
    let (sketch, values) = (Sketch::new(limit), constants.collect());
    let (batches, whole) = (Vec::new(), BTreeSet::new());
    let mut lowering = Lowering { sketch, values, batches, whole, budget, operation: "" };
    let (mut turned, mut turned_ranks) = (Vec::new(), Vec::new());
    let channels = channels_of(&inputs, &operations);
    for (number, input) in inputs.iter().enumerate() {
        let wanted = options.input_shapes.get(number);
        let channels = channels.get(&number).copied().unwrap_or(Channels::Last);
        if lowering.input(input, channels, wanted)? == Channels::First {
            turned.push(input.name.clone());
            if let Some(Traced::Placed(placed)) = lowering.values.get(&input.value) {
                turned_ranks.push(placed.axes.len());
            }
        }
    }
    for operation in &operations {
        lowering.operation = &operation.name;
        let traced = lowering.operation(operation)?;
        lowering.values.insert(operation.output, traced);
    }
    for (name, value) in &outputs {
        lowering.operation = name;
        let placed = match lowering.values.get(value).cloned() {
            Some(Traced::Placed(placed)) => placed,
            Some(Traced::Rows(_)) => return Err(lowering.unsupported(ROWS)),
            _ => return Err(lowering.unsupported("does not depend on the inputs")),
        };
        // As in the file, unless it is channels first as an input of as many axes is.
        let rank = placed.axes.len();
        let is_turned = turned_ranks.contains(&rank)
            && placed.spread.is_none()
            && placed.axes == axes_of(Channels::First, rank);
        let placed = match is_turned {
            true => {
                turned.push(name.clone());
                placed
            }
            false => placed.row_major(&mut lowering.sketch, name)?,
        };
        lowering.sketch.outputs.push((name.clone(), placed.node));
    }
    let mut sketch = lowering.sketch;
    tidy::tidy(&mut sketch);
    let (graph, tensors, left_out) = sketch.finish(&network)?;
    Ok(Lowered { graph, tensors, left_out, turned })
}

/// Refuses operations of which nothing is known, all of them at once.
fn check_known(operations: &[Operation]) -> Result<(), LoweringError> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for operation in operations {
        if let Kind::Unknown(name) = &operation.kind {
            *counts.entry(name).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    let operations = counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    Err(LoweringError::Unknown { operations })
}

/// What is known of a value.
#[derive(Clone, Debug)]
enum Traced<'p> {
    Known(Rc<Constant<'p>>),
    Placed(Placed),
    /// A matrix of the rows of all samples: all axes but the last one are one with the batch.
    Rows(Placed),
}

struct Lowering<'p, 'b> {
    sketch: Sketch,
    values: BTreeMap<ValueId, Traced<'p>>,
    /// The numbers of samples that inputs of a fixed number have.
    batches: Vec<usize>,
    /// Inputs of whole numbers, and what only moves those.
    whole: BTreeSet<ValueId>,
    budget: &'b mut Budget,
    /// The name of the operation in hand.
    operation: &'b str,
}

impl<'p, 'b> Lowering<'p, 'b> {
    fn unsupported(&self, what: &'static str) -> LoweringError {
        LoweringError::Unsupported { operation: self.operation.to_owned(), what }
    }

    fn contradiction(&self) -> LoweringError {
        LoweringError::Contradiction { operation: self.operation.to_owned() }
    }

    /// A node of the sketch for the operation in hand.
    fn layer(
        &mut self,
        spec: impl Into<LayerSpec>,
        inputs: &[usize],
    ) -> Result<usize, LoweringError> {
        self.sketch.layer(self.operation, spec, inputs)
    }

    fn step(&mut self, step: Step, input: usize) -> Result<usize, LoweringError> {
        self.sketch.add(self.operation, step, &[input])
    }

    /// The value of number `place` that an operation takes, if it is not left out.
    fn get(
        &self,
        operation: &Operation,
        place: usize,
    ) -> Result<Option<Traced<'p>>, LoweringError> {
        let Some(id) = operation.inputs.get(place).copied().flatten() else { return Ok(None) };
        let missing = || LoweringError::Missing { operation: self.operation.to_owned() };
        self.values.get(&id).cloned().map(Some).ok_or_else(missing)
    }

    fn placed(&self, operation: &Operation, place: usize) -> Result<Placed, LoweringError> {
        match self.get(operation, place)? {
            Some(Traced::Placed(placed)) => Ok(placed),
            Some(Traced::Rows(_)) => Err(self.unsupported(ROWS)),
            Some(Traced::Known(_)) => {
                Err(self.unsupported("takes numbers of the file in the place of samples"))
            }
            None => Err(LoweringError::Missing { operation: self.operation.to_owned() }),
        }
    }

    /// A constant that may be left out.
    fn known(
        &self,
        operation: &Operation,
        place: usize,
    ) -> Result<Option<Rc<Constant<'p>>>, LoweringError> {
        match self.get(operation, place)? {
            Some(Traced::Known(constant)) => Ok(Some(constant)),
            Some(Traced::Placed(_) | Traced::Rows(_)) => {
                Err(self.unsupported("takes samples in the place of numbers of the file"))
            }
            None => Ok(None),
        }
    }

    /// f32 numbers that are there. A layer has its own: they are paid for each time.
    fn tensor(
        &mut self,
        operation: &Operation,
        place: usize,
    ) -> Result<Tensor<'static>, LoweringError> {
        let missing = || LoweringError::Missing { operation: self.operation.to_owned() };
        let constant = self.known(operation, place)?.ok_or_else(missing)?;
        let tensor = constant.tensor().ok_or_else(missing)?;
        self.budget.reserve(tensor.bytes().len() as u64, "numbers of a layer")?;
        Ok(tensor.clone().into_owned())
    }

    /// Whole numbers that may be left out.
    fn integers(
        &self,
        operation: &Operation,
        place: usize,
    ) -> Result<Option<Vec<i64>>, LoweringError> {
        let Some(constant) = self.known(operation, place)? else { return Ok(None) };
        let known = constant.known();
        known.map(Some).ok_or_else(|| self.unsupported("depends on the number of samples"))
    }

    /// The axis of a value of so many (the batch counted) that `axis` means.
    fn axis(&self, axis: i64, rank: usize) -> Result<usize, LoweringError> {
        let signed = i64::try_from(rank).unwrap_or(i64::MAX);
        let index = if axis < 0 { axis.checked_add(signed) } else { Some(axis) };
        let index = index.and_then(|index| usize::try_from(index).ok());
        index.filter(|&index| index < rank).ok_or_else(|| self.contradiction())
    }

    /// An input of the network; tells where its channels stand in the file.
    fn input(
        &mut self,
        input: &Input,
        channels: Channels,
        wanted: Option<&Shape>,
    ) -> Result<Channels, LoweringError> {
        let told = input.dims.as_deref().unwrap_or_default();
        let found = || {
            let one = |dim: &Option<usize>| dim.map_or("?".to_owned(), |dim| dim.to_string());
            format!("({})", told.iter().map(one).collect::<Vec<_>>().join(", "))
        };
        let open = || LoweringError::OpenShape { input: input.name.clone(), found: found() };
        let (batch, sides) = told.split_first().map_or((None, [].as_slice()), |(a, b)| (*a, b));
        self.batches.extend(batch);
        self.whole.extend(input.is_whole.then_some(input.value));
        let rank = match (sides, wanted) {
            ([], Some(wanted)) => wanted.rank(),
            (sides, _) => sides.len(),
        };
        let channels = if rank < 2 { Channels::Last } else { channels };
        let axes = axes_of(channels, rank);
        let order = super::place::inverse(&axes);
        let dim = |(place, &axis): (usize, &usize)| {
            let told = sides.get(axis).copied().flatten();
            told.or_else(|| wanted.filter(|it| it.rank() == rank)?.dims().get(place).copied())
        };
        let dims: Option<Vec<usize>> = order.iter().enumerate().map(dim).collect();
        let dims = dims.filter(|_| input.dims.is_some() || wanted.is_some()).ok_or_else(open)?;
        let node = self.sketch.layer(&input.name, LayerSpec::Input(Shape::new(dims)), &[])?;
        self.sketch.inputs.push(node);
        let placed = Placed { node, axes, spread: None };
        self.values.insert(input.value, Traced::Placed(placed));
        Ok(channels)
    }

    fn operation(&mut self, operation: &Operation) -> Result<Traced<'p>, LoweringError> {
        self.trace_whole(operation)?;
        if let Some(known) = self.fold(operation)? {
            return Ok(Traced::Known(known));
        }
        if let Some(traced) = self.with_rows(operation)? {
            return Ok(traced);
        }
        self.layers(operation).map(Traced::Placed)
    }

    /// Whole numbers may be moved, and become others. keepnet computes with f32 alone, which neither wrap
    /// around nor lose what stands behind the point.
    fn trace_whole(&mut self, operation: &Operation) -> Result<(), LoweringError> {
        if !operation.inputs.iter().flatten().any(|value| self.whole.contains(value)) {
            return Ok(());
        }
        match operation.kind {
            // Of embeddings it is told elsewhere that there are none.
            Kind::Cast(Cast::Floats) | Kind::Shape | Kind::Gather { .. } => Ok(()),
            Kind::Identity
            | Kind::Reshape { .. }
            | Kind::Squeeze
            | Kind::Unsqueeze
            | Kind::Transpose(_)
            | Kind::Pad
            | Kind::Concat { .. }
            | Kind::Slice
            | Kind::Part { .. }
            | Kind::Tile => {
                self.whole.insert(operation.output);
                Ok(())
            }
            _ => Err(self.unsupported("computes with samples of whole numbers")),
        }
    }

    /// The layers for an operation on samples.
    fn layers(&mut self, operation: &Operation) -> Result<Placed, LoweringError> {
        let placed = match &operation.kind {
            Kind::Conv { moves, groups, kernel, channels } => {
                self.conv(operation, moves, *groups, (*kernel, *channels))?
            }
            Kind::ConvTranspose { moves, output_padding, groups, kernel, channels } => {
                if *groups != 1 {
                    return Err(self.unsupported("is a transposed convolution in groups"));
                }
                self.conv_transpose(operation, moves, output_padding, (*kernel, *channels))?
            }
            Kind::Pool { kind, size, moves, ceil, counts_padding, channels } => {
                let settings = (*kind, *ceil, *counts_padding);
                self.pool(operation, size, moves, settings, *channels)?
            }
            Kind::GlobalPool { kind, channels } => {
                let x = self.placed(operation, 0)?;
                let axes: Vec<usize> = match channels {
                    Channels::First => (2..=x.axes.len()).collect(),
                    Channels::Last => (1..x.axes.len()).collect(),
                };
                self.pool_over(&x, &axes, *kind, true)?
            }
            Kind::Reduce { kind, keep } => {
                let x = self.placed(operation, 0)?;
                let rank = x.axes.len() + 1;
                let axes = self.integers(operation, 1)?;
                let axes = axes.ok_or_else(|| self.unsupported("takes in all axes"))?;
                let axes = axes.into_iter().map(|axis| self.axis(axis, rank));
                let axes = axes.collect::<Result<Vec<_>, _>>()?;
                self.pool_over(&x, &axes, *kind, *keep)?
            }
            Kind::MatMul => self.dense(operation)?,
            Kind::Elementwise(elementwise) => self.elementwise(operation, *elementwise)?,
            Kind::Activation(function) => {
                let x = self.placed(operation, 0)?;
                x.at(self.layer(*function, &[x.node])?)
            }
            Kind::Function(function) => {
                let x = self.placed(operation, 0)?;
                x.at(self.step(Step::Function(*function), x.node)?)
            }
            Kind::Compare(comparison) => self.compare(operation, *comparison)?,
            Kind::Select => self.select(operation)?,
            Kind::Clip => {
                let x = self.placed(operation, 0)?;
                let side = |place| -> Result<Option<f32>, LoweringError> {
                    let Some(side) = self.known(operation, place)? else { return Ok(None) };
                    let scalar = side.scalar();
                    scalar.map(Some).ok_or_else(|| self.unsupported("clips by more than a number"))
                };
                let (low, high) = (side(1)?, side(2)?);
                self.clip(&x, low.map(f64::from), high.map(f64::from))?
            }
            Kind::PRelu => self.prelu(operation)?,
            Kind::Softmax { axis, log, over_rest } => {
                let x = self.placed(operation, 0)?;
                self.softmax(&x, *axis, *log, *over_rest)?
            }
            Kind::BatchNormalization { epsilon, channels } => {
                self.batch_normalization(operation, *epsilon, *channels)?
            }
            Kind::LayerNormalization { axis, over, epsilon } => {
                self.layer_normalization(operation, *axis, *over, *epsilon)?
            }
            Kind::GroupNormalization { groups, epsilon } => {
                self.group_normalization(operation, *groups, *epsilon)?
            }
            Kind::Identity | Kind::Cast(Cast::Floats) => self.placed(operation, 0)?,
            Kind::Reshape { .. }
            | Kind::Transpose(_)
            | Kind::Pad
            | Kind::Concat { .. }
            | Kind::Squeeze
            | Kind::Unsqueeze
            | Kind::Slice
            | Kind::Part { .. }
            | Kind::Tile
            | Kind::Resize { .. } => self.shaping(operation)?,
            Kind::Shape
            | Kind::Product
            | Kind::Filled { .. }
            | Kind::Gather { .. }
            | Kind::Cast(Cast::Integers | Cast::Narrow) => {
                return Err(self.unsupported("computes with samples what keepnet has no layer for"));
            }
            Kind::Unknown(name) => {
                return Err(LoweringError::Unknown { operations: vec![(name.clone(), 1)] });
            }
        };
        Ok(placed)
    }

    fn softmax(
        &mut self,
        x: &Placed,
        axis: i64,
        log: bool,
        over_rest: bool,
    ) -> Result<Placed, LoweringError> {
        let rank = x.axes.len() + 1;
        let axis = self.axis(axis, rank)?;
        let dims = x.dims(&self.sketch);
        if over_rest && dims.iter().skip(axis).any(|&dim| dim != 1) {
            return Err(self.unsupported("is a softmax over several axes at once"));
        }
        let Some(&own) = axis.checked_sub(1).and_then(|axis| x.axes.get(axis)) else {
            return Err(self.unsupported("is a softmax over the batch"));
        };
        let is_last = own + 1 == x.axes.len();
        let node = match (log, is_last) {
            (false, true) => self.layer(Activation::Softmax, &[x.node])?,
            (true, true) => self.layer(Activation::LogSoftmax, &[x.node])?,
            (false, false) => {
                let axis = i32::try_from(own + 1).map_err(|_| self.contradiction())?;
                self.layer(Softmax { axis }, &[x.node])?
            }
            (true, false) => {
                return Err(self.unsupported("is a logarithm of softmax over an inner axis"));
            }
        };
        Ok(x.at(node))
    }

    /// x · kernel over the last axis of x.
    fn dense(&mut self, operation: &Operation) -> Result<Placed, LoweringError> {
        let mut x = self.placed(operation, 0)?;
        let kernel = self.tensor(operation, 1)?;
        let &[inputs, units] = kernel.shape().dims() else {
            return Err(self.unsupported("multiplies by what is no matrix"));
        };
        if x.dims(&self.sketch).last() != Some(&inputs) {
            return Err(self.contradiction());
        }
        self.budget.reserve(kernel.bytes().len() as u64, "a kernel")?;
        let kernel = match x.spread.take() {
            Some(spread) => {
                // The rows in the order in which the numbers stand here.
                let dims = spread.axes.iter().map(|&axis| spread.shape.dims().get(axis).copied());
                let dims: Option<Vec<usize>> = dims.collect();
                let split = dims.map(|dims| [dims, vec![units]].concat());
                let mut order = super::place::inverse(&spread.axes);
                order.push(order.len());
                split.and_then(|dims| {
                    Tensor::new(kernel.dtype(), dims, kernel.bytes()).ok()?.permuted(&order)
                })
            }
            None => Some(kernel.into_owned()),
        };
        let kernel = kernel.and_then(|kernel| kernel.reshaped([inputs, units].into()));
        let kernel = kernel.ok_or_else(|| self.contradiction())?;
        let last = x.axes.len().saturating_sub(1);
        if x.axes.last() != Some(&last) {
            x = x.row_major(&mut self.sketch, self.operation)?;
        }
        let spec = Dense { use_bias: false, ..Dense::new(units) };
        let node = self.step(Step::Layer(spec.into(), vec![("kernel", kernel)]), x.node)?;
        Ok(x.at(node))
    }

    fn prelu(&mut self, operation: &Operation) -> Result<Placed, LoweringError> {
        let x = self.placed(operation, 0)?;
        let x = if x.spread.is_some() { x.row_major(&mut self.sketch, self.operation)? } else { x };
        let slope = self.tensor(operation, 1)?;
        // For every axis of the value, in the order of the node's.
        let mut dims = vec![1; x.axes.len()];
        // One of the batch would be 1.
        let own = slope.shape().dims().iter().rev();
        if own.clone().skip(dims.len()).any(|&dim| dim != 1) {
            return Err(self.contradiction());
        }
        dims.iter_mut().rev().zip(own).for_each(|(dim, &own)| *dim = own);
        let slope = Tensor::new(slope.dtype(), dims, slope.bytes().to_vec());
        let alpha = slope.ok().and_then(|it| it.permuted(&super::place::inverse(&x.axes)));
        let alpha = alpha.ok_or_else(|| self.contradiction())?;
        let shape = self.sketch.shape(x.node);
        let sides = || alpha.shape().dims().iter().zip(shape.dims()).enumerate();
        if sides().any(|(_, (own, side))| own != side && *own != 1) {
            return Err(self.contradiction());
        }
        let shared = sides().filter(|(_, (own, side))| **own == 1 && **side != 1);
        let shared_axes = shared.map(|(axis, _)| axis + 1).collect();
        let spec = PRelu { shared_axes, ..PRelu::default() };
        Ok(x.at(self.step(Step::Layer(spec.into(), vec![("alpha", alpha)]), x.node)?))
    }

    /// Numbers for each channel of a value, in the order in which they stand here.
    fn of_channels(&self, x: &Placed, values: Vec<f32>) -> Vec<f32> {
        let Some(spread) = &x.spread else { return values };
        let dims = spread.axes.iter().map(|&axis| spread.shape.dims().get(axis).copied());
        let dims: Option<Vec<usize>> = dims.collect();
        let order = super::place::inverse(&spread.axes);
        let turned = dims
            .and_then(|dims| Tensor::from_f32(dims, &values).ok()?.permuted(&order)?.to_f32().ok());
        turned.unwrap_or(values)
    }
}

/// Where the channels of inputs stand, by their numbers, as what they come to takes them.
fn channels_of(inputs: &[Input], operations: &[Operation]) -> BTreeMap<usize, Channels> {
    // Values that have the axes of an input, and of which.
    let mut same: BTreeMap<ValueId, usize> =
        inputs.iter().enumerate().map(|(number, input)| (input.value, number)).collect();
    let mut channels_of = BTreeMap::new();
    for operation in operations {
        let mut taken = operation.inputs.iter().flatten();
        let Some(&input) = taken.find_map(|value| same.get(value)) else { continue };
        match &operation.kind {
            Kind::Conv { channels, .. }
            | Kind::ConvTranspose { channels, .. }
            | Kind::Pool { channels, .. }
            | Kind::GlobalPool { channels, .. }
            | Kind::BatchNormalization { channels, .. }
            | Kind::Resize { channels, .. } => {
                channels_of.entry(input).or_insert(*channels);
            }
            Kind::GroupNormalization { groups: Groups::Of(_) | Groups::Channels, .. } => {
                channels_of.entry(input).or_insert(Channels::First);
            }
            Kind::Elementwise(_)
            | Kind::Activation(_)
            | Kind::Function(_)
            | Kind::Compare(_)
            | Kind::Select
            | Kind::Clip
            | Kind::PRelu
            | Kind::Pad
            | Kind::Slice
            | Kind::Part { .. }
            | Kind::Concat { .. }
            | Kind::Cast(_)
            | Kind::Identity => {
                same.insert(operation.output, input);
            }
            _ => {}
        }
    }
    channels_of
}
