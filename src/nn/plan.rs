//! What is done at each node, worked out once per graph: buffers, geometries, who adds to whose
//! gradient.

use std::collections::BTreeSet;
use std::ops::Range;

use super::fuse::fuse;
use super::layout::Layout;
use super::numbers::Numbers;
use super::operation::{Applied, LayerWeights, operation};
use crate::model::{
    Activation, Graph, LayerSpec, Loss, NodeId, Noise, PoolKind, Rescaling, RowMethod,
};
use crate::ops::arrange::{Arrangement, Slot};
use crate::ops::broadcast::Broadcast;
use crate::ops::merge::Extreme;
use crate::ops::{
    activation, conv2d, dense, global_pool2d, group_normalization, pool2d, softmax, up_sampling,
};
use crate::tensor::Shape;

/// The steps of a graph in topological order.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Values per sample of each buffer. Nodes that only rename a shape share their input's.
    pub(super) lengths: Vec<usize>,
    /// Per input of the graph: its buffer.
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<OutputPlan>,
    /// Steps at which shards wait for each other while training: normalisations by the batch.
    pub(super) barriers: Vec<usize>,
}

/// One output of the graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutputPlan {
    pub(super) value: usize,
    /// Length of the last axis.
    pub(super) width: usize,
    /// The step whose activation and the loss are computed as one.
    pub(super) fused: Option<usize>,
    /// Whether an earlier output adds to the same gradient.
    pub(super) accumulate: bool,
}

/// One application of a layer.
#[derive(Debug)]
pub(super) struct Step {
    /// Keys random numbers.
    pub(super) node: usize,
    /// The layer applied, or the part of it that this step is, and the shape that it takes.
    pub(super) part: (LayerSpec, Shape),
    pub(super) op: Op,
    pub(super) inputs: Vec<Input>,
    /// The buffer of the result.
    pub(super) output: usize,
    /// For a convolution at inference: the normalisation behind it.
    pub(super) norm: Option<Norm>,
    /// Of the layer itself; `Linear` for none.
    pub(super) activation: Activation,
    /// Length of the last axis of the result.
    pub(super) width: usize,
    /// Whether what went into the activation is kept.
    pub(super) keep_before: bool,
    /// Whether the loss gives the gradient before the activation.
    pub(super) fused_with_loss: bool,
    /// Whether a gradient has to reach this step at all.
    pub(super) backward: bool,
    /// Whether this step is the first, on the way back, to write its parameters' gradients.
    pub(super) first_for_parameters: bool,
    /// For a dense layer whose kernel gradient is taken over the whole batch: its number among those, in
    /// the order of their kernels.
    pub(super) of_batch: Option<usize>,
}

/// A dense layer whose kernel gradient is taken over the whole batch.
#[derive(Debug)]
pub(super) struct DenseOfBatch {
    pub(super) number: usize,
    pub(super) geometry: dense::Geometry,
    /// The place of the kernel.
    pub(super) kernel: Range<usize>,
}

/// A buffer that a step reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input {
    pub(super) value: usize,
    /// Whether its gradient is needed.
    pub(super) backward: bool,
    /// Whether a later step has written that gradient already, on the way back.
    pub(super) accumulate: bool,
}

/// What a step computes, before its activation. A transposed convolution has the geometry of the
/// convolution that it transposes.
#[derive(Debug)]
pub(super) enum Op {
    Conv2d {
        geometry: Box<conv2d::Geometry>,
        kernel: Weights,
        bias: Option<Weights>,
    },
    Transposed {
        geometry: Box<conv2d::Geometry>,
        kernel: Weights,
        bias: Option<Weights>,
    },
    Dense {
        geometry: dense::Geometry,
        rows: usize,
        kernel: Weights,
        bias: Option<Weights>,
    },
    Pool2d(Box<pool2d::Geometry>),
    GlobalPool2d {
        kind: PoolKind,
        geometry: global_pool2d::Geometry,
    },
    Dropout {
        rate: f64,
    },
    BatchNormalization(Norm),
    Activation,
    Arrange(Arrangement),
    Rescaling(Rescaling),
    /// Down an axis that is not the last.
    Softmax(softmax::Geometry),
    PRelu {
        broadcast: Broadcast,
        alpha: Weights,
    },
    LayerNormalization(LayerNorm),
    GroupNormalization(GroupNorm),
    UpSampling(up_sampling::Geometry),
    /// (x − shift) / factor, or the inverse x·factor + shift.
    Standardize {
        broadcast: Broadcast,
        shift: Numbers,
        factor: Numbers,
        invert: bool,
    },
    /// Of so many channels.
    Noise {
        noise: Noise,
        channels: usize,
    },
    Add,
    Subtract,
    Multiply,
    Average,
    Extreme(Extreme),
    Concatenate(Vec<Slot>),
}

#[derive(Clone, Debug)]
pub(super) struct LayerNorm {
    pub(super) gamma: Option<Weights>,
    pub(super) beta: Option<Weights>,
    pub(super) method: RowMethod,
    pub(super) epsilon: f64,
    /// Values of a row.
    pub(super) width: usize,
    /// Rows of a sample.
    pub(super) rows: usize,
}

#[derive(Debug)]
pub(super) struct GroupNorm {
    pub(super) gamma: Option<Weights>,
    pub(super) beta: Option<Weights>,
    pub(super) epsilon: f64,
    pub(super) geometry: group_normalization::Geometry,
}

/// A parameter: its place, and whether training changes it.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub(super) range: Range<usize>,
    pub(super) trained: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Norm {
    pub(super) gamma: Option<Weights>,
    pub(super) beta: Option<Weights>,
    pub(super) moving_mean: Range<usize>,
    pub(super) moving_variance: Range<usize>,
    pub(super) momentum: f64,
    pub(super) epsilon: f64,
    /// Whether training normalises by the batch (a frozen layer does not).
    pub(super) by_batch: bool,
    pub(super) channels: usize,
    /// Rows of one value per channel in a sample.
    pub(super) rows: usize,
}

impl Plan {
    /// `losses`: those of the outputs, for training; none to run the graph forward only.
    pub(super) fn new(graph: &Graph, layout: &Layout, losses: Option<&[Loss]>) -> Self {
        let mut lengths = Vec::new();
        let mut value_of: Vec<usize> = Vec::with_capacity(graph.nodes().len());
        let mut needs_gradient: Vec<bool> = Vec::new();
        let mut steps: Vec<Step> = Vec::new();
        for (node, applied) in graph.nodes().iter().enumerate() {
            let layer = &graph.layers()[applied.layer];
            let shape = graph.shape(NodeId(node));
            let renames = matches!(
                layer.spec,
                LayerSpec::Flatten | LayerSpec::Reshape(_) | LayerSpec::Identity
            );
            if let (true, [input]) = (renames, applied.inputs.as_slice()) {
                value_of.push(value_of[input.0]);
                continue;
            }
            let mut inputs: Vec<Input> = (applied.inputs.iter())
                .map(|id| value_of[id.0])
                .map(|value| Input { value, backward: needs_gradient[value], accumulate: false })
                .collect();
            let shapes: Vec<&Shape> = applied.inputs.iter().map(|&id| graph.shape(id)).collect();
            let weights = LayerWeights::new(graph, layout, applied.layer);
            let parts = graph.parts(NodeId(node));
            if parts.is_empty() {
                // An input of the graph.
                lengths.push(shape.elements());
                needs_gradient.push(false);
            }
            let ends = parts.iter().skip(1).map(|(_, input)| input).chain([shape]);
            for (number, (part, end)) in parts.iter().zip(ends).enumerate() {
                let (spec, input) = part;
                let output = lengths.len();
                lengths.push(end.elements());
                let kernel = match (&layer.spec, number) {
                    (LayerSpec::SeparableConv2d(_), 0) => "depthwise_kernel",
                    (LayerSpec::SeparableConv2d(_), _) => "pointwise_kernel",
                    _ => "kernel",
                };
                let applied = Applied { inputs: &shapes, output: shape, weights: &weights, kernel };
                let op = operation(spec, input, &applied, layer.trainable);
                let trained = op.parameters().any(|weights| weights.trained);
                let backward = trained || inputs.iter().any(|input| input.backward);
                needs_gradient.push(backward);
                let activation = spec.activation();
                let step = Step {
                    node,
                    part: part.clone(),
                    op,
                    inputs,
                    output,
                    norm: None,
                    activation,
                    width: end.dims().last().copied().unwrap_or(1),
                    keep_before: losses.is_some() && activation::needs_input(activation),
                    fused_with_loss: false,
                    backward: backward && losses.is_some(),
                    first_for_parameters: true,
                    of_batch: None,
                };
                steps.push(step);
                inputs = vec![Input { value: output, backward, accumulate: false }];
            }
            value_of.push(lengths.len() - 1);
        }
        let named: Vec<usize> = graph.outputs().iter().map(|id| value_of[id.node.0]).collect();
        fuse(graph, &mut steps, &mut lengths, &named, losses.is_some());
        let inputs = graph.inputs().iter().map(|id| value_of[id.0]).collect();
        let outputs = plan_outputs(graph, &value_of, &mut steps, losses);
        mark_first_writers(&mut steps, &outputs, lengths.len());
        number_of_batch(graph, &mut steps);
        let barriers = steps.iter().enumerate().filter(|(_, step)| step.is_barrier());
        let barriers = barriers.map(|(index, _)| index).collect();
        Self { steps, lengths, inputs, outputs, barriers }
    }

    /// The largest number of values per sample in any buffer.
    pub(super) fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(0)
    }

    /// The dense layers whose kernel gradient is taken over the whole batch, by their numbers.
    pub(super) fn of_batch(&self) -> impl Iterator<Item = DenseOfBatch> {
        self.steps.iter().filter_map(|step| match &step.op {
            Op::Dense { geometry, kernel, .. } => step.of_batch.map(|number| DenseOfBatch {
                number,
                geometry: geometry.clone(),
                kernel: kernel.range.clone(),
            }),
            _ => None,
        })
    }

    pub(super) fn convolutions(&self) -> impl Iterator<Item = &conv2d::Geometry> {
        self.steps.iter().filter_map(|step| match &step.op {
            Op::Conv2d { geometry, .. } | Op::Transposed { geometry, .. } => Some(&**geometry),
            _ => None,
        })
    }

    /// Values in the largest parameter that more than one step writes a gradient for.
    pub(super) fn longest_shared_parameter(&self) -> usize {
        let shared = self.steps.iter().filter(|step| !step.first_for_parameters);
        shared.flat_map(|step| step.op.parameters()).map(|w| w.range.len()).max().unwrap_or(0)
    }
}

impl Step {
    /// The normalisation that this step is or ends with.
    pub(super) fn norm(&self) -> Option<&Norm> {
        match &self.op {
            Op::BatchNormalization(norm) => Some(norm),
            _ => self.norm.as_ref(),
        }
    }
}

impl Op {
    /// Whether it reads the kernel in the order of an input gradient on the way forward.
    pub(super) fn is_transposed(&self) -> bool {
        matches!(self, Self::Transposed { .. })
    }

    /// Values of the kernel as the input gradient reads it.
    pub(super) fn arranged_length(&self) -> usize {
        match self {
            Self::Conv2d { geometry, .. } | Self::Transposed { geometry, .. } => {
                geometry.arranged_length()
            }
            Self::Dense { geometry, .. } => geometry.arranged_length(),
            _ => 0,
        }
    }

    fn parameters(&self) -> impl Iterator<Item = &Weights> {
        let (first, second) = match self {
            Self::Conv2d { kernel, bias, .. }
            | Self::Transposed { kernel, bias, .. }
            | Self::Dense { kernel, bias, .. } => (Some(kernel), bias.as_ref()),
            Self::BatchNormalization(norm) => (norm.gamma.as_ref(), norm.beta.as_ref()),
            Self::LayerNormalization(norm) => (norm.gamma.as_ref(), norm.beta.as_ref()),
            Self::GroupNormalization(norm) => (norm.gamma.as_ref(), norm.beta.as_ref()),
            Self::PRelu { alpha, .. } => (Some(alpha), None),
            Self::Pool2d(_)
            | Self::GlobalPool2d { .. }
            | Self::Dropout { .. }
            | Self::Activation
            | Self::Arrange(_)
            | Self::Rescaling(_)
            | Self::Softmax(_)
            | Self::Standardize { .. }
            | Self::UpSampling(_)
            | Self::Noise { .. }
            | Self::Add
            | Self::Subtract
            | Self::Multiply
            | Self::Average
            | Self::Extreme(_)
            | Self::Concatenate(_) => (None, None),
        };
        first.into_iter().chain(second)
    }
}

impl Step {
    /// Whether the operation applies the activation, a relu, itself.
    pub(super) fn has_own_relu(&self) -> bool {
        let able = match &self.op {
            Op::Conv2d { geometry, .. } => !geometry.is_depthwise(),
            Op::Dense { .. } | Op::BatchNormalization(_) => true,
            Op::Add => self.inputs.len() == 2,
            _ => false,
        };
        able && self.activation == Activation::Relu
    }

    pub(super) fn is_barrier(&self) -> bool {
        matches!(&self.op, Op::BatchNormalization(norm) if norm.by_batch)
    }
}

/// Decides for each output whether its loss and the activation before it are computed as one: where
/// the loss speaks of probabilities, the activation is the one that makes them, and nobody else
/// reads the result.
fn plan_outputs(
    graph: &Graph,
    value_of: &[usize],
    steps: &mut [Step],
    losses: Option<&[Loss]>,
) -> Vec<OutputPlan> {
    let mut seen = Vec::new();
    let mut outputs = Vec::new();
    for (index, output) in graph.outputs().iter().enumerate() {
        let value = value_of[output.node.0];
        let step = steps.iter().position(|step| step.output == value);
        let loss = losses.map(|losses| losses[index]);
        let readers = steps.iter().flat_map(|step| &step.inputs).filter(|i| i.value == value);
        let named = graph.outputs().iter().filter(|other| value_of[other.node.0] == value);
        let alone = readers.count() == 0 && named.count() == 1;
        let shape = graph.shape(output.node);
        let width = shape.dims().last().copied().unwrap_or(1);
        let fused = step.filter(|&step| {
            let step = &steps[step];
            let made_by = match loss {
                Some(Loss::SparseCategoricalCrossentropy | Loss::CategoricalCrossentropy) => {
                    step.activation == Activation::Softmax && step.width == width
                }
                Some(Loss::BinaryCrossentropy) => step.activation == Activation::Sigmoid,
                _ => false,
            };
            made_by && alone
        });
        if let Some(step) = fused {
            steps[step].keep_before = true;
            steps[step].fused_with_loss = true;
        }
        outputs.push(OutputPlan { value, width, fused, accumulate: seen.contains(&value) });
        seen.push(value);
    }
    outputs
}

/// The fewest weights of a dense layer whose gradient is better taken over the whole batch: smaller
/// ones stay in the first-level cache from shard to shard.
const LARGE: usize = 8 * 1024;

/// Numbers the large dense layers that train and are applied once, in the order of their kernels.
fn number_of_batch(graph: &Graph, steps: &mut [Step]) {
    let applied = |layer| graph.nodes().iter().filter(|node| node.layer == layer).count();
    let mut alone: Vec<(usize, &mut Step)> = (steps.iter_mut())
        .filter(|step| step.backward && applied(graph.nodes()[step.node].layer) == 1)
        .filter_map(|step| match &step.op {
            Op::Dense { kernel, rows: 1, .. } if kernel.trained && kernel.range.len() >= LARGE => {
                Some((kernel.range.start, step))
            }
            _ => None,
        })
        .collect();
    alone.sort_by_key(|(start, _)| *start);
    for (number, (_, step)) in alone.into_iter().enumerate() {
        step.of_batch = Some(number);
    }
}

/// Marks, in the order of the way back, who writes a gradient first and who adds to it.
fn mark_first_writers(steps: &mut [Step], outputs: &[OutputPlan], values: usize) {
    let mut written = vec![false; values];
    for output in outputs {
        written[output.value] = true;
    }
    let mut parameters = BTreeSet::new();
    for step in steps.iter_mut().rev() {
        // A value that leads to no loss would have no gradient; the graph's rules exclude it.
        for input in step.inputs.iter_mut().filter(|input| input.backward) {
            input.accumulate = std::mem::replace(&mut written[input.value], true);
        }
        step.first_for_parameters =
            step.op.parameters().all(|weights| parameters.insert(weights.range.start));
    }
}
