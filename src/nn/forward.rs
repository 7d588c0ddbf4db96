//! A shard on its way through the network.

use std::mem::take;
use std::ops::Range;

use super::plan::{GroupNorm, LayerNorm, Norm, Op, Plan, Step, Weights};
use super::workspace::{Prepared, Workspace};
use crate::kernels::{Isa, Normalization};
use crate::model::{Noise, PoolKind};
use crate::ops::batch_normalization::Scaling;
use crate::ops::random::{Purpose, Stream};
use crate::ops::{
    activation, add, arrange, batch_normalization, conv2d, dense, dropout, global_pool2d,
    group_normalization, layer_normalization, merge, noise, pool2d, prelu, rescaling, softmax,
    standardize, up_sampling,
};

/// Whether layers act as while training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Inference,
    /// With what keys the random numbers of this step.
    Training {
        seed: u64,
        epoch: u64,
    },
}

/// Some samples of a batch (at most [`SHARD`](super::SHARD)) and all that is needed to take them
/// through the network.
pub(super) struct Shard<'a> {
    pub(super) isa: Isa,
    pub(super) plan: &'a Plan,
    pub(super) parameters: &'a [f32],
    pub(super) prepared: &'a Prepared,
    pub(super) mode: Mode,
    /// The samples' numbers in the data set, which key their random numbers.
    pub(super) indices: &'a [usize],
    pub(super) workspace: &'a mut Workspace,
}

impl Shard<'_> {
    pub(super) fn samples(&self) -> usize {
        self.indices.len()
    }

    /// The values of buffer `value` for the samples of this shard.
    pub(super) fn value(&self, value: usize) -> &[f32] {
        &self.workspace.values[value][..self.samples() * self.plan.lengths[value]]
    }

    /// Takes the samples through `steps`.
    pub(super) fn forward(&mut self, steps: Range<usize>) {
        for index in steps {
            self.step(index);
        }
    }

    fn step(&mut self, index: usize) {
        let plan = self.plan;
        let step = &plan.steps[index];
        let length = self.samples() * plan.lengths[step.output];
        // The result is taken out of the workspace while the rest of it is read.
        let mut y = take(&mut self.workspace.values[step.output]);
        if step.keep_before {
            let mut before = take(&mut self.workspace.before[index]);
            self.compute(index, step, &mut before[..length]);
            let y = &mut y[..length];
            activation::forward(self.isa, step.activation, y, &before[..length], step.width);
            self.workspace.before[index] = before;
        } else {
            self.compute(index, step, &mut y[..length]);
            if !step.has_own_relu() {
                activation::apply(self.isa, step.activation, &mut y[..length], step.width);
            }
        }
        self.workspace.values[step.output] = y;
    }

    /// What goes into the activation.
    fn compute(&mut self, index: usize, step: &Step, y: &mut [f32]) {
        let (isa, samples, parameters) = (self.isa, self.samples(), self.parameters);
        let lengths = &self.plan.lengths;
        match &step.op {
            Op::Conv2d { geometry, kernel, bias } => {
                let parameters = conv2d::Parameters {
                    kernel: &parameters[kernel.range.start..],
                    bias: bias.as_ref().map(|bias| &parameters[bias.range.clone()]),
                };
                let mut scratch = take(&mut self.workspace.convolution);
                let mut winners = take(&mut self.workspace.winners[index]);
                let x = &self.workspace.values[step.inputs[0].value];
                let pass = conv2d::Pass { isa, geometry, samples, scratch: &mut scratch };
                let relu = step.has_own_relu();
                let normalization = step.norm.as_ref().map(|norm| {
                    let part = |weights: &Weights| &self.parameters[weights.range.clone()];
                    let Scaling { mean, inverse } = &self.prepared.scalings[index];
                    let (gamma, beta) = (norm.gamma.as_ref(), norm.beta.as_ref());
                    Normalization { mean, inverse, gamma: gamma.map(part), beta: beta.map(part) }
                });
                if geometry.is_pooled() {
                    conv2d::pooled::forward(pass, y, &mut winners, x, parameters, relu);
                } else {
                    let behind = conv2d::Behind { normalization, relu };
                    conv2d::forward(pass, y, x, parameters, behind);
                }
                self.workspace.convolution = scratch;
                self.workspace.winners[index] = winners;
            }
            Op::Transposed { geometry, bias, .. } => {
                let mut scratch = take(&mut self.workspace.convolution);
                let x = self.value(step.inputs[0].value);
                let arranged = &self.prepared.arranged[index];
                let bias = bias.as_ref().map(|bias| &parameters[bias.range.clone()]);
                let pass = conv2d::Pass { isa, geometry, samples, scratch: &mut scratch };
                conv2d::transposed(pass, y, x, arranged, bias);
                self.workspace.convolution = scratch;
            }
            Op::Dense { geometry, rows, kernel, bias } => {
                let parameters = dense::Parameters {
                    kernel: &parameters[kernel.range.start..],
                    bias: bias.as_ref().map(|bias| &parameters[bias.range.clone()]),
                };
                let x = self.value(step.inputs[0].value);
                let relu = step.has_own_relu();
                dense::forward(isa, y, x, parameters, relu, samples * rows, geometry);
            }
            Op::Pool2d(geometry) => {
                let mut winners = take(&mut self.workspace.winners[index]);
                let x = self.value(step.inputs[0].value);
                pool2d::forward(isa, y, &mut winners, x, samples, geometry);
                self.workspace.winners[index] = winners;
            }
            Op::GlobalPool2d { kind: PoolKind::Average, geometry } => {
                global_pool2d::average(isa, y, self.value(step.inputs[0].value), *geometry);
            }
            Op::GlobalPool2d { kind: PoolKind::Max, geometry } => {
                let mut argmax = take(&mut self.workspace.argmax[index]);
                global_pool2d::max(
                    isa,
                    y,
                    &mut argmax,
                    self.value(step.inputs[0].value),
                    *geometry,
                );
                self.workspace.argmax[index] = argmax;
            }
            Op::Dropout { rate } => self.dropout(index, step, y, *rate),
            Op::BatchNormalization(norm) => self.normalize(index, step, y, norm),
            Op::Activation => y.copy_from_slice(self.value(step.inputs[0].value)),
            Op::Arrange(arrangement) => {
                let (x_length, y_length) = (lengths[step.inputs[0].value], lengths[step.output]);
                let x = self.value(step.inputs[0].value).chunks_exact(x_length);
                for (y, x) in y.chunks_exact_mut(y_length).zip(x) {
                    arrange::forward(y, x, arrangement);
                }
            }
            Op::Rescaling(settings) => {
                rescaling::forward(isa, y, self.value(step.inputs[0].value), *settings);
            }
            Op::Softmax(geometry) => {
                softmax::columns(isa, y, self.value(step.inputs[0].value), *geometry);
            }
            Op::PRelu { .. } => {
                let [alpha, _] = &self.prepared.numbers[index];
                prelu::forward(isa, y, self.value(step.inputs[0].value), alpha);
            }
            Op::LayerNormalization(norm) => self.normalize_rows(index, step, y, norm),
            Op::GroupNormalization(norm) => self.normalize_groups(index, step, y, norm),
            Op::UpSampling(geometry) => {
                let (x_length, y_length) = (lengths[step.inputs[0].value], lengths[step.output]);
                let x = self.value(step.inputs[0].value).chunks_exact(x_length);
                for (y, x) in y.chunks_exact_mut(y_length).zip(x) {
                    up_sampling::forward(y, x, geometry);
                }
            }
            Op::Standardize { invert, .. } => {
                let [shift, factor] = &self.prepared.numbers[index];
                let x = self.value(step.inputs[0].value);
                standardize::forward(isa, y, x, [shift, factor], *invert);
            }
            Op::Noise { noise, channels } => self.disturb(index, step, y, *noise, *channels),
            Op::Add => match step.inputs.as_slice() {
                [a, b] => {
                    let (a, b) = (self.value(a.value), self.value(b.value));
                    add::pair(isa, y, a, b, step.has_own_relu());
                }
                _ => self.fold(step, y, add::assign),
            },
            Op::Subtract => {
                let [a, b] = [0, 1].map(|input| self.value(step.inputs[input].value));
                merge::difference(isa, y, a, b);
            }
            Op::Multiply => self.fold(step, y, merge::multiply),
            Op::Average => {
                self.fold(step, y, add::assign);
                merge::divide(isa, y, step.inputs.len());
            }
            Op::Extreme(extreme) => {
                self.fold(step, y, |isa, y, x| merge::extreme(isa, y, x, *extreme));
            }
            Op::Concatenate(slots) => {
                for (input, slot) in step.inputs.iter().zip(slots) {
                    arrange::join(y, self.value(input.value), *slot);
                }
            }
        }
    }

    /// The first input, joined by each further one in turn.
    fn fold(&self, step: &Step, y: &mut [f32], join: impl Fn(Isa, &mut [f32], &[f32])) {
        y.copy_from_slice(self.value(step.inputs[0].value));
        for input in &step.inputs[1..] {
            join(self.isa, y, self.value(input.value));
        }
    }

    fn dropout(&mut self, index: usize, step: &Step, y: &mut [f32], rate: f64) {
        let Mode::Training { seed, epoch } = self.mode else {
            return y.copy_from_slice(self.value(step.inputs[0].value));
        };
        let length = self.plan.lengths[step.output];
        let factors = &mut self.workspace.kept[index][..y.len()];
        for (&sample, factors) in self.indices.iter().zip(factors.chunks_exact_mut(length)) {
            let stream =
                Stream::new(seed, Purpose::Dropout, step.node as u32, epoch, sample as u64);
            dropout::factors(factors, rate, &stream);
        }
        let factors = &self.workspace.kept[index][..y.len()];
        dropout::apply(self.isa, y, self.value(step.inputs[0].value), factors);
    }

    fn disturb(&mut self, index: usize, step: &Step, y: &mut [f32], noise: Noise, channels: usize) {
        let Mode::Training { seed, epoch } = self.mode else {
            return y.copy_from_slice(self.value(step.inputs[0].value));
        };
        let length = self.plan.lengths[step.output];
        let drawn = &mut self.workspace.kept[index][..y.len()];
        for (&sample, drawn) in self.indices.iter().zip(drawn.chunks_exact_mut(length)) {
            let stream =
                Stream::new(seed, Purpose::Dropout, step.node as u32, epoch, sample as u64);
            noise::draw(noise, drawn, channels, &stream);
        }
        let drawn = &self.workspace.kept[index][..y.len()];
        noise::forward(self.isa, noise, y, self.value(step.inputs[0].value), drawn);
    }

    /// On the way to a way back, what is normalised is kept, and the inverse deviation of each row.
    fn normalize_rows(&mut self, index: usize, step: &Step, y: &mut [f32], norm: &LayerNorm) {
        let (isa, parameters) = (self.isa, self.parameters);
        let LayerNorm { width, method, epsilon, .. } = *norm;
        y.copy_from_slice(self.value(step.inputs[0].value));
        if self.mode == Mode::Inference {
            layer_normalization::normalize(isa, y, &mut [], width, method, epsilon);
        } else {
            let (n, inverses) = self.workspace.kept[index].split_at_mut(y.len());
            layer_normalization::normalize(isa, y, inverses, width, method, epsilon);
            n.copy_from_slice(y);
        }
        let part = |weights: &Weights| &parameters[weights.range.clone()];
        let (gamma, beta) = (norm.gamma.as_ref().map(part), norm.beta.as_ref().map(part));
        let affine = layer_normalization::Affine { gamma, beta };
        layer_normalization::scale_and_shift(isa, y, affine, width);
    }

    /// What is normalised is kept group by group, and the inverse deviation of each group.
    fn normalize_groups(&mut self, index: usize, step: &Step, y: &mut [f32], norm: &GroupNorm) {
        let (isa, parameters, geometry) = (self.isa, self.parameters, &norm.geometry);
        let mut kept = take(&mut self.workspace.kept[index]);
        let (n, inverses) = kept.split_at_mut(y.len());
        let x = self.value(step.inputs[0].value);
        group_normalization::normalize(isa, [&mut *n, inverses], x, norm.epsilon, geometry);
        geometry.ungroup(y, n);
        let part = |weights: &Weights| &parameters[weights.range.clone()];
        let (gamma, beta) = (norm.gamma.as_ref().map(part), norm.beta.as_ref().map(part));
        let affine = layer_normalization::Affine { gamma, beta };
        layer_normalization::scale_and_shift(isa, y, affine, geometry.channels);
        self.workspace.kept[index] = kept;
    }

    fn normalize(&mut self, index: usize, step: &Step, y: &mut [f32], norm: &Norm) {
        let parameters = self.parameters;
        let gamma = norm.gamma.as_ref().map(|gamma| &parameters[gamma.range.clone()]);
        let beta = norm.beta.as_ref().map(|beta| &parameters[beta.range.clone()]);
        let x = self.value(step.inputs[0].value);
        let scaling = &self.prepared.scalings[index];
        let affine = batch_normalization::Affine { gamma, beta, relu: step.has_own_relu() };
        batch_normalization::forward(self.isa, y, x, scaling, affine);
    }

    /// What the normalisation at step `index` finds in this shard.
    pub(super) fn take_moments(&mut self, index: usize) {
        let step = &self.plan.steps[index];
        if let Op::BatchNormalization(norm) = &step.op {
            let mut moments = take(&mut self.workspace.moments[index]);
            let x = self.value(step.inputs[0].value);
            moments.take(self.isa, x, self.samples(), norm.rows);
            self.workspace.moments[index] = moments;
        }
    }
}
