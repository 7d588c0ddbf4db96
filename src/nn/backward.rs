//! A shard on its way back: the gradients of its parameters and of its values.

use std::mem::take;
use std::ops::Range;

use super::forward::Shard;
use super::plan::{GroupNorm, LayerNorm, Norm, Op, Step, Weights};
use super::workspace::SHARD;
use crate::kernels::reduce::{Plain, column_sums};
use crate::kernels::{Isa, LANES, Operands};
use crate::model::PoolKind;
use crate::ops::batch_normalization::{self, BatchSums};
use crate::ops::{
    activation, add, arrange, conv2d, dense, dropout, global_pool2d, group_normalization,
    layer_normalization, merge, noise, pool2d, prelu, rescaling, softmax, standardize, up_sampling,
};
use crate::tensor::Aligned;

impl Shard<'_> {
    /// Takes the gradients back through `steps`. The gradients of the parameters go to `gradient`.
    pub(super) fn backward(&mut self, steps: Range<usize>, gradient: &mut ParameterGradient<'_>) {
        for index in steps.rev() {
            let step = &self.plan.steps[index];
            if step.backward {
                // That of a normalisation by the batch came before its sums.
                if !step.is_barrier() {
                    self.activation_gradient(index);
                }
                self.step_gradient(index, gradient);
            }
        }
    }

    /// Turns the gradient of a step's result into that of what went into its activation.
    fn activation_gradient(&mut self, index: usize) {
        let step = &self.plan.steps[index];
        if step.fused_with_loss {
            return;
        }
        let length = self.samples() * self.plan.lengths[step.output];
        let mut dy = take(&mut self.workspace.gradients[step.output]);
        let y = self.value(step.output);
        let before = &self.workspace.before[index];
        let before = if before.is_empty() { &[][..] } else { &before[..length] };
        activation::gradient(self.isa, step.activation, &mut dy[..length], y, before, step.width);
        self.workspace.gradients[step.output] = dy;
    }

    fn step_gradient(&mut self, index: usize, gradient: &mut ParameterGradient<'_>) {
        let plan = self.plan;
        let step = &plan.steps[index];
        // Kernels read whole vectors: these two keep the room behind the last value.
        let dy_and_room = take(&mut self.workspace.gradients[step.output]);
        let dy = &dy_and_room[..self.samples() * plan.lengths[step.output]];
        let (isa, samples) = (self.isa, self.samples());
        let first = step.first_for_parameters;
        match &step.op {
            Op::Conv2d { geometry, kernel, bias } => {
                let mut scratch = take(&mut self.workspace.convolution);
                let x = &self.workspace.values[step.inputs[0].value];
                let winners = &self.workspace.winners[index];
                let pooled = conv2d::pooled::Gradient { dy: &dy_and_room, winners };
                gradient.of(kernel, first, |dw| {
                    let pass = conv2d::Pass { isa, geometry, samples, scratch: &mut scratch };
                    if geometry.is_pooled() {
                        conv2d::pooled::kernel_gradient(pass, dw, x, pooled);
                    } else {
                        conv2d::kernel_gradient(pass, dw, x, &dy_and_room);
                    }
                });
                gradient.of_bias(bias.as_ref(), first, |db| {
                    column_sums(isa, db, samples, geometry.cells(), Plain(dy));
                });
                let weights = &self.parameters[kernel.range.start..];
                let arranged = &self.prepared.arranged[index];
                self.input_gradient(step, 0, |shard, dx| {
                    let pass = conv2d::Pass { isa, geometry, samples, scratch: &mut scratch };
                    if geometry.is_pooled() {
                        let winners = &shard.workspace.winners[index];
                        let pooled = conv2d::pooled::Gradient { dy: &dy_and_room, winners };
                        conv2d::pooled::input_gradient(pass, dx, pooled, arranged);
                    } else {
                        conv2d::input_gradient(pass, dx, &dy_and_room, weights, arranged);
                    }
                });
                self.workspace.convolution = scratch;
            }
            Op::Transposed { geometry, kernel, bias } => {
                let mut scratch = take(&mut self.workspace.convolution);
                let x = &self.workspace.values[step.inputs[0].value];
                // Of the convolution that is transposed, `dy` is the input and `x` the gradient.
                gradient.of(kernel, first, |dw| {
                    let pass = conv2d::Pass { isa, geometry, samples, scratch: &mut scratch };
                    conv2d::kernel_gradient(pass, dw, &dy_and_room, x);
                });
                gradient.of_bias(bias.as_ref(), first, |db| {
                    column_sums(isa, db, samples, geometry.input_cells(), Plain(dy));
                });
                let kernel = &self.parameters[kernel.range.start..];
                self.input_gradient(step, 0, |_, dx| {
                    let pass = conv2d::Pass { isa, geometry, samples, scratch: &mut scratch };
                    let parameters = conv2d::Parameters { kernel, bias: None };
                    conv2d::forward(pass, dx, &dy_and_room, parameters, conv2d::Behind::default());
                });
                self.workspace.convolution = scratch;
            }
            Op::Dense { geometry, rows, kernel, bias } => {
                let x = self.value(step.inputs[0].value);
                match step.of_batch {
                    Some(number) => gradient.operands[number].keep(x, dy, samples * rows),
                    None => gradient.of(kernel, first, |dw| {
                        dense::kernel_gradient(isa, dw, x, &dy_and_room, samples * rows, geometry);
                    }),
                }
                gradient.of_bias(bias.as_ref(), first, |db| {
                    column_sums(isa, db, samples, *rows, Plain(dy));
                });
                let arranged = &self.prepared.arranged[index];
                self.input_gradient(step, 0, |_, dx| {
                    dense::input_gradient(isa, dx, dy, arranged, samples * rows, geometry);
                });
            }
            Op::Pool2d(geometry) => {
                let mut shares = take(&mut self.workspace.kept[index]);
                self.input_gradient(step, 0, |shard, dx| match geometry.kind {
                    PoolKind::Max => {
                        let winners = &shard.workspace.winners[index];
                        pool2d::max_gradient(isa, dx, winners, dy, samples, geometry);
                    }
                    PoolKind::Average => {
                        pool2d::average_gradient(isa, dx, &mut shares, dy, samples, geometry);
                    }
                });
                self.workspace.kept[index] = shares;
            }
            Op::GlobalPool2d { kind, geometry } => self.input_gradient(step, 0, |shard, dx| {
                let argmax = &shard.workspace.argmax[index];
                match kind {
                    PoolKind::Max => global_pool2d::max_gradient(dx, argmax, dy, *geometry),
                    PoolKind::Average => global_pool2d::average_gradient(dx, dy, *geometry),
                }
            }),
            Op::Dropout { .. } => self.input_gradient(step, 0, |shard, dx| {
                dropout::apply(isa, dx, dy, &shard.workspace.kept[index][..dy.len()]);
            }),
            Op::BatchNormalization(norm) => self.norm_gradient(index, norm, dy),
            Op::Activation => self.input_gradient(step, 0, |_, dx| dx.copy_from_slice(dy)),
            Op::Arrange(arrangement) => {
                let lengths = (plan.lengths[step.inputs[0].value], plan.lengths[step.output]);
                self.input_gradient(step, 0, |_, dx| {
                    let dy = dy.chunks_exact(lengths.1);
                    for (dx, dy) in dx.chunks_exact_mut(lengths.0).zip(dy) {
                        arrange::gradient(dx, dy, arrangement);
                    }
                });
            }
            Op::Rescaling(settings) => {
                self.input_gradient(step, 0, |_, dx| rescaling::gradient(isa, dx, dy, *settings));
            }
            Op::Softmax(geometry) => self.input_gradient(step, 0, |shard, dx| {
                softmax::columns_gradient(isa, dx, dy, shard.value(step.output), *geometry);
            }),
            Op::PRelu { broadcast, alpha } => {
                let mut scratch = take(&mut self.workspace.slopes[index]);
                let x = self.value(step.inputs[0].value);
                gradient.of(alpha, first, |dalpha| {
                    prelu::alpha_gradient(isa, dalpha, &mut scratch, dy, x, samples, broadcast);
                });
                self.workspace.slopes[index] = scratch;
                let [alpha, _] = &self.prepared.numbers[index];
                self.input_gradient(step, 0, |shard, dx| {
                    let x = shard.value(step.inputs[0].value);
                    prelu::input_gradient(isa, dx, dy, x, alpha);
                });
            }
            Op::LayerNormalization(norm) => self.row_norm_gradient(index, norm, dy, gradient),
            Op::GroupNormalization(norm) => self.group_norm_gradient(index, norm, dy, gradient),
            Op::UpSampling(geometry) => {
                let lengths = (plan.lengths[step.inputs[0].value], plan.lengths[step.output]);
                self.input_gradient(step, 0, |_, dx| {
                    let dy = dy.chunks_exact(lengths.1);
                    for (dx, dy) in dx.chunks_exact_mut(lengths.0).zip(dy) {
                        up_sampling::gradient(dx, dy, geometry);
                    }
                });
            }
            Op::Standardize { invert, .. } => {
                let [_, factor] = &self.prepared.numbers[index];
                self.input_gradient(step, 0, |_, dx| {
                    standardize::gradient(isa, dx, dy, factor, *invert);
                });
            }
            Op::Noise { noise, .. } => self.input_gradient(step, 0, |shard, dx| {
                let drawn = &shard.workspace.kept[index][..dy.len()];
                noise::gradient(isa, *noise, dx, dy, drawn);
            }),
            Op::Add => {
                for input in 0..step.inputs.len() {
                    self.input_gradient(step, input, |_, dx| dx.copy_from_slice(dy));
                }
            }
            Op::Subtract => {
                self.input_gradient(step, 0, |_, dx| dx.copy_from_slice(dy));
                self.input_gradient(step, 1, |_, dx| merge::negate(isa, dx, dy));
            }
            Op::Multiply => {
                for input in 0..step.inputs.len() {
                    self.input_gradient(step, input, |shard, dx| {
                        dx.copy_from_slice(dy);
                        for other in others(step, input) {
                            merge::multiply(isa, dx, shard.value(step.inputs[other].value));
                        }
                    });
                }
            }
            Op::Average => {
                for input in 0..step.inputs.len() {
                    self.input_gradient(step, input, |_, dx| {
                        dx.copy_from_slice(dy);
                        merge::divide(isa, dx, step.inputs.len());
                    });
                }
            }
            Op::Extreme(extreme) => {
                for input in 0..step.inputs.len() {
                    self.input_gradient(step, input, |shard, dx| {
                        dx.copy_from_slice(dy);
                        for other in others(step, input) {
                            let both = [input.min(other), input.max(other)];
                            let both = both.map(|input| shard.value(step.inputs[input].value));
                            merge::extreme_gradient(isa, dx, both, input < other, *extreme);
                        }
                    });
                }
            }
            Op::Concatenate(slots) => {
                for (input, slot) in slots.iter().enumerate() {
                    self.input_gradient(step, input, |_, dx| arrange::part(dx, dy, *slot));
                }
            }
        }
        self.workspace.gradients[step.output] = dy_and_room;
    }

    /// Gives `write` the place where the gradient of the step's input number `input` belongs, and
    /// adds it to what is there already where another step has written before.
    fn input_gradient(&mut self, step: &Step, input: usize, write: impl FnOnce(&Self, &mut [f32])) {
        let input = step.inputs[input];
        if !input.backward {
            return;
        }
        let length = self.samples() * self.plan.lengths[input.value];
        if input.accumulate {
            let mut scratch = take(&mut self.workspace.scratch);
            write(self, &mut scratch[..length]);
            let dx = &mut self.workspace.gradients[input.value][..length];
            add::assign(self.isa, dx, &scratch[..length]);
            self.workspace.scratch = scratch;
        } else {
            let mut dx = take(&mut self.workspace.gradients[input.value]);
            write(self, &mut dx[..length]);
            self.workspace.gradients[input.value] = dx;
        }
    }

    /// The two sums over this shard that the normalisation at step `index` needs, which are also the
    /// gradients of its parameters. The gradient of its result must be complete.
    pub(super) fn take_norm_sums(&mut self, index: usize, gradient: &mut ParameterGradient<'_>) {
        self.activation_gradient(index);
        let step = &self.plan.steps[index];
        if let Op::BatchNormalization(norm) = &step.op {
            let [mut dgamma, mut dbeta] = take(&mut self.workspace.sums[index]);
            let length = self.samples() * self.plan.lengths[step.output];
            let dy = &self.workspace.gradients[step.output][..length];
            let x = self.value(step.inputs[0].value);
            let scaling = &self.prepared.scalings[index];
            let extents = [self.samples(), norm.rows];
            let sums = [&mut dgamma[..], &mut dbeta[..]];
            batch_normalization::gradient_sums(self.isa, sums, dy, x, scaling, extents);
            let first = step.first_for_parameters;
            for (weights, sums) in [(&norm.gamma, &dgamma), (&norm.beta, &dbeta)] {
                gradient.of_bias(weights.as_ref(), first, |out| out.copy_from_slice(sums));
            }
            self.workspace.sums[index] = [dgamma, dbeta];
        }
    }

    fn row_norm_gradient(
        &mut self,
        index: usize,
        norm: &LayerNorm,
        dy: &[f32],
        gradient: &mut ParameterGradient<'_>,
    ) {
        let step = &self.plan.steps[index];
        let (isa, first, extents) =
            (self.isa, step.first_for_parameters, [self.samples(), norm.rows]);
        let kept = take(&mut self.workspace.kept[index]);
        let (n, inverses) = kept.split_at(dy.len());
        gradient.of_bias(norm.gamma.as_ref(), first, |dgamma| {
            layer_normalization::gamma_gradient(isa, dgamma, dy, n, extents);
        });
        gradient.of_bias(norm.beta.as_ref(), first, |dbeta| {
            layer_normalization::beta_gradient(isa, dbeta, dy, extents);
        });
        let gamma = norm.gamma.as_ref().map(|gamma| &self.parameters[gamma.range.clone()]);
        let (width, method) = (norm.width, norm.method);
        let normalized = layer_normalization::Normalized { n, inverses, width, method };
        self.input_gradient(step, 0, |_, dx| {
            layer_normalization::input_gradient(isa, dx, dy, normalized, gamma);
        });
        self.workspace.kept[index] = kept;
    }

    fn group_norm_gradient(
        &mut self,
        index: usize,
        norm: &GroupNorm,
        dy: &[f32],
        gradient: &mut ParameterGradient<'_>,
    ) {
        let step = &self.plan.steps[index];
        let (isa, first, samples) = (self.isa, step.first_for_parameters, self.samples());
        let geometry = &norm.geometry;
        let extents = [samples, dy.len() / (samples * geometry.channels)];
        let mut kept = take(&mut self.workspace.kept[index]);
        let (n, rest) = kept.split_at_mut(dy.len());
        let (inverses, work) = rest.split_at_mut(samples * geometry.groups);
        let work = &mut work[..dy.len()];
        gradient.of_bias(norm.gamma.as_ref(), first, |dgamma| {
            geometry.ungroup(work, n);
            layer_normalization::gamma_gradient(isa, dgamma, dy, work, extents);
        });
        gradient.of_bias(norm.beta.as_ref(), first, |dbeta| {
            layer_normalization::beta_gradient(isa, dbeta, dy, extents);
        });
        let gamma = norm.gamma.as_ref().map(|gamma| &self.parameters[gamma.range.clone()]);
        self.input_gradient(step, 0, |_, dx| {
            group_normalization::input_gradient(
                isa,
                [dx, work],
                dy,
                [n, inverses],
                gamma,
                geometry,
            );
        });
        self.workspace.kept[index] = kept;
    }

    fn norm_gradient(&mut self, index: usize, norm: &Norm, dy: &[f32]) {
        let step = &self.plan.steps[index];
        let (isa, prepared) = (self.isa, self.prepared);
        let gamma = norm.gamma.as_ref().map(|gamma| &self.parameters[gamma.range.clone()]);
        let ([dgamma, dbeta], count) = &prepared.sums[index];
        let batch = norm.by_batch.then_some(BatchSums { count: *count, dgamma, dbeta });
        let scaling = &prepared.scalings[index];
        self.input_gradient(step, 0, |shard, dx| {
            let x = shard.value(step.inputs[0].value);
            batch_normalization::input_gradient(isa, dx, dy, x, scaling, gamma, batch);
        });
    }
}

/// The numbers of a step's inputs but one.
fn others(step: &Step, input: usize) -> impl Iterator<Item = usize> {
    (0..step.inputs.len()).filter(move |&other| other != input)
}

/// Where a shard's parameter gradients go.
pub(super) struct ParameterGradient<'a> {
    pub(super) isa: Isa,
    /// Laid out as the parameters.
    pub(super) values: &'a mut [f32],
    /// As long as the largest parameter that several steps write a gradient for.
    pub(super) scratch: &'a mut [f32],
    /// Per dense layer whose kernel gradient is taken over the whole batch.
    pub(super) operands: &'a mut [DenseOperands],
}

/// What the kernel gradient of a dense layer is made of, kept until all shards are there.
#[derive(Debug)]
pub(super) struct DenseOperands {
    x: Aligned,
    dy: Aligned,
    rows: usize,
}

impl DenseOperands {
    /// Room for a shard.
    pub(super) fn new(geometry: &dense::Geometry) -> Self {
        let [inputs, units] = geometry.extents().map(|length| SHARD * length);
        Self { x: Aligned::zeros(inputs), dy: Aligned::zeros(units + LANES), rows: 0 }
    }

    fn keep(&mut self, x: &[f32], dy: &[f32], rows: usize) {
        self.x[..x.len()].copy_from_slice(x);
        self.dy[..dy.len()].copy_from_slice(dy);
        self.rows = rows;
    }

    pub(super) fn get(&self) -> Operands<'_> {
        Operands { x: &self.x, dy: &self.dy, rows: self.rows }
    }
}

impl ParameterGradient<'_> {
    /// Lets `write` compute the gradient of a parameter, unless it is frozen. The gradients of a
    /// layer applied twice are added, the later application's first.
    fn of(&mut self, weights: &Weights, first: bool, write: impl FnOnce(&mut [f32])) {
        if !weights.trained {
            return;
        }
        let target = &mut self.values[weights.range.clone()];
        if first {
            write(target);
        } else {
            let scratch = &mut self.scratch[..target.len()];
            write(scratch);
            add::assign(self.isa, target, scratch);
        }
    }

    fn of_bias(&mut self, weights: Option<&Weights>, first: bool, write: impl FnOnce(&mut [f32])) {
        if let Some(weights) = weights {
            self.of(weights, first, write);
        }
    }
}
