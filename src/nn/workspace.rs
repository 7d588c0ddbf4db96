//! The memory that one shard of a batch needs on its way through the network and back.

use super::plan::{Op, Plan, Step};
use crate::kernels::LANES;
use crate::model::PoolKind;
use crate::ops::batch_normalization::{Moments, Scaling};
use crate::ops::{conv2d, dense, prelu};
use crate::tensor::Aligned;

/// Samples in a shard, the unit of parallel work and of reduction: a constant, so that no result
/// depends on the number of threads. It is kept in the training state.
pub const SHARD: usize = 16;

/// Buffers for [`SHARD`] samples, allocated once and used for shard after shard.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Per value of the plan.
    pub(super) values: Vec<Aligned>,
    /// Per value: the gradient of the loss.
    pub(super) gradients: Vec<Aligned>,
    /// Per step: what went into the activation, where that is kept.
    pub(super) before: Vec<Aligned>,
    /// Per step: where each maximum over whole images came from.
    pub(super) argmax: Vec<Vec<u32>>,
    /// Per step: which cells won the windows of max pooling, fused with a convolution or not.
    pub(super) winners: Vec<Vec<u16>>,
    /// Per step: the factors of dropout and what other noise was drawn, a sample's shares of average
    /// pooling, or normalised rows and then the inverse deviation of each (of groups: and room for what is
    /// on its way back).
    pub(super) kept: Vec<Aligned>,
    /// Per step: what adds up to the gradient of learned slopes.
    pub(super) slopes: Vec<prelu::Scratch>,
    /// Per step: what a normalisation by the batch found in this shard.
    pub(super) moments: Vec<Moments>,
    /// Per step: the same on the way back, Σ dy·n and Σ dy.
    pub(super) sums: Vec<[Vec<f32>; 2]>,
    /// What convolutions need besides.
    pub(super) convolution: conv2d::Scratch,
    /// What one sample of an output is compared with.
    pub(super) target: Aligned,
    /// The gradient of one sample's loss, where there is no way back.
    pub(super) unwanted: Aligned,
    /// A gradient on its way to be added to another.
    pub(super) scratch: Aligned,
    /// The same for a parameter.
    pub(super) parameter_scratch: Aligned,
}

impl Workspace {
    /// `training`: whether there is a way back.
    pub(super) fn new(plan: &Plan, training: bool) -> Self {
        // Kernels read whole vectors, up to one vector past the last value.
        let room = |length: usize, wanted: bool| {
            Aligned::zeros(if wanted { length * SHARD + LANES } else { 0 })
        };
        let norm = |op: &Op| match op {
            Op::BatchNormalization(norm) if training && norm.by_batch => norm.channels,
            _ => 0,
        };
        let outputs = plan.outputs.iter().map(|output| plan.lengths[output.value]);
        let longest_output = outputs.max().unwrap_or(0);
        let lengths = || plan.lengths.iter();
        let steps = || plan.steps.iter();
        Self {
            values: lengths().map(|&length| room(length, true)).collect(),
            gradients: lengths().map(|&length| room(length, training)).collect(),
            before: steps().map(|step| room(plan.lengths[step.output], step.keep_before)).collect(),
            argmax: steps()
                .map(|step| match &step.op {
                    // It always says where.
                    Op::GlobalPool2d { kind: PoolKind::Max, .. } => {
                        vec![0; plan.lengths[step.output] * SHARD]
                    }
                    _ => Vec::new(),
                })
                .collect(),
            winners: steps()
                .map(|step| match &step.op {
                    Op::Conv2d { geometry, .. } if training => vec![0; geometry.winners() * SHARD],
                    Op::Pool2d(geometry) if training && geometry.kind == PoolKind::Max => {
                        vec![0; geometry.winners() * SHARD]
                    }
                    _ => Vec::new(),
                })
                .collect(),
            convolution: conv2d::Scratch::new(plan.convolutions(), training),
            kept: steps()
                .map(|step| match &step.op {
                    Op::Dropout { .. } | Op::Noise { .. } => {
                        room(plan.lengths[step.output], training)
                    }
                    Op::LayerNormalization(norm) => {
                        room(plan.lengths[step.output] + norm.rows, training)
                    }
                    Op::GroupNormalization(norm) => {
                        let length = plan.lengths[step.output];
                        let work = if training { length } else { 0 };
                        room(length + norm.geometry.groups + work, true)
                    }
                    Op::Pool2d(geometry) if training && geometry.kind == PoolKind::Average => {
                        Aligned::zeros(plan.lengths[step.output])
                    }
                    _ => Aligned::default(),
                })
                .collect(),
            slopes: steps()
                .map(|step| match &step.op {
                    Op::PRelu { broadcast, alpha } if training => {
                        prelu::Scratch::new(broadcast.elements(), alpha.range.len())
                    }
                    _ => prelu::Scratch::default(),
                })
                .collect(),
            moments: steps().map(|step| Moments::new(norm(&step.op))).collect(),
            sums: steps().map(|step| std::array::from_fn(|_| vec![0.0; norm(&step.op)])).collect(),
            target: Aligned::zeros(longest_output),
            unwanted: Aligned::zeros(longest_output),
            scratch: room(plan.longest(), training),
            parameter_scratch: Aligned::zeros(match training {
                true => plan.longest_shared_parameter(),
                false => 0,
            }),
        }
    }
}

/// What all shards of a batch read: derived from the parameters before the first shard starts, and
/// for normalisations by the batch where the shards wait for each other.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Per step: the kernel as the input gradient, or a transposed convolution, reads it.
    pub(super) arranged: Vec<Aligned>,
    /// Per step: the numbers for each value of a sample, where a layer has such: slopes, or shifts and
    /// factors.
    pub(super) numbers: Vec<[Aligned; 2]>,
    /// Per step: how a normalisation scales.
    pub(super) scalings: Vec<Scaling>,
    /// Per step: the sums over the batch on the way back, Σ dy·n and Σ dy, and the rows summed.
    pub(super) sums: Vec<([Vec<f32>; 2], f32)>,
}

impl Prepared {
    pub(super) fn new(plan: &Plan, training: bool) -> Self {
        let arranged = plan.steps.iter().map(|step| {
            let back = training && step.inputs.first().is_some_and(|input| input.backward);
            let wanted = back || step.op.is_transposed();
            Aligned::zeros(if wanted { step.op.arranged_length() } else { 0 })
        });
        let channels = |step: &Step| step.norm().map_or(0, |norm| norm.channels);
        let steps = || plan.steps.iter().map(channels);
        Self {
            arranged: arranged.collect(),
            numbers: plan.steps.iter().map(|step| numbers(&step.op)).collect(),
            scalings: steps().map(Scaling::new).collect(),
            sums: steps()
                .map(|channels| (std::array::from_fn(|_| vec![0.0; channels]), 0.0))
                .collect(),
        }
    }

    /// Derives everything from the parameters, with the moving averages for normalisations.
    pub(super) fn refresh(&mut self, plan: &Plan, parameters: &[f32]) {
        for (index, step) in plan.steps.iter().enumerate() {
            let arranged = &mut self.arranged[index];
            if let Some(norm) = step.norm() {
                let mean = &parameters[norm.moving_mean.clone()];
                let variance = &parameters[norm.moving_variance.clone()];
                self.scalings[index].set(mean, |channel| variance[channel], norm.epsilon);
            }
            let [first, second] = &mut self.numbers[index];
            match &step.op {
                Op::PRelu { broadcast, alpha } => {
                    let alpha = &parameters[alpha.range.clone()];
                    broadcast.expand(first, |place| alpha[place]);
                }
                Op::Standardize { broadcast, shift, factor, .. } => {
                    broadcast.expand(first, |place| shift.get(parameters, place));
                    broadcast.expand(second, |place| factor.get(parameters, place));
                }
                _ if arranged.is_empty() => {}
                Op::Conv2d { geometry, kernel, .. } | Op::Transposed { geometry, kernel, .. } => {
                    conv2d::arrange_kernel(arranged, &parameters[kernel.range.clone()], geometry);
                }
                Op::Dense { geometry, kernel, .. } => {
                    dense::arrange_kernel(arranged, &parameters[kernel.range.clone()], geometry);
                }
                _ => {}
            }
        }
    }
}

/// Room for the numbers that `op` has for each value of a sample.
fn numbers(op: &Op) -> [Aligned; 2] {
    let [first, second] = match op {
        Op::PRelu { broadcast, .. } => [broadcast.elements(), 0],
        Op::Standardize { broadcast, .. } => [broadcast.elements(); 2],
        _ => [0; 2],
    };
    [Aligned::zeros(first), Aligned::zeros(second)]
}
