//! A whole batch through the network: shards in parallel, sums by the tree.

use std::mem::take;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::backward::{DenseOperands, ParameterGradient};
use super::forward::{Mode, Shard};
use super::layout::Layout;
use super::plan::{DenseOfBatch, Op, OutputPlan, Plan};
use super::workspace::{Prepared, SHARD, Workspace};
use crate::kernels::elementwise::{Binary, binary_in_place};
use crate::kernels::environment::{self, FloatEnvironmentError};
use crate::kernels::reduce::{sum_of_squares, tree, tree_sum};
use crate::kernels::{Isa, Simd};
use crate::model::{CompileSettings, Graph, Loss, Scores};
use crate::ops::{add, dense, loss, metric};
use crate::tensor::{Aligned, Samples, Targets};

/// Some samples of a data set, by their numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    /// Per input of the graph.
    pub(crate) inputs: &'a [Samples],
    /// Per output of the graph.
    pub(crate) targets: &'a [Targets],
    pub(crate) indices: &'a [usize],
}

impl Scores {
    pub(crate) fn new(settings: &CompileSettings) -> Self {
        let losses = vec![0.0; settings.losses.len()];
        let metrics = vec![0.0; settings.metrics.len()];
        Self { samples: 0, loss: 0.0, losses, metrics }
    }

    fn clear(&mut self) {
        (self.samples, self.loss) = (0, 0.0);
        self.losses.fill(0.0);
        self.metrics.fill(0.0);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // Of a file, they may be any number.
        self.samples = self.samples.saturating_add(other.samples);
        self.loss += other.loss;
        for (sum, value) in self.losses.iter_mut().zip(&other.losses) {
            *sum += value;
        }
        for (sum, value) in self.metrics.iter_mut().zip(&other.metrics) {
            *sum += value;
        }
    }
}

/// gradient + factor·weight, rounded once.
#[derive(Clone, Copy)]
struct Decay {
    factor: f32,
}

impl Binary for Decay {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, gradient: S::F, weight: S::F) -> S::F {
        s.mul_add(s.splat(self.factor), weight, gradient)
    }
}

/// Runs batches through a compiled graph. Memory is allocated when it is made and used again for
/// every batch.
#[derive(Debug)]
pub(crate) struct Executor {
    isa: Isa,
    plan: Plan,
    prepared: Prepared,
    settings: CompileSettings,
    training: bool,
    /// L2 factors and places of the parameters that have one.
    decayed: Vec<(f32, std::ops::Range<usize>)>,
    /// Workspaces that no shard holds at the moment.
    free: Mutex<Vec<Workspace>>,
    shards: Vec<ShardResult>,
    /// In the order of their kernels.
    of_batch: Vec<DenseOfBatch>,
    gradient: Aligned,
    scores: Scores,
}

#[derive(Debug)]
struct ShardResult {
    scores: Scores,
    /// Laid out as the parameters; empty where there is no way back.
    gradient: Aligned,
    /// Per dense layer whose kernel gradient is taken over the whole batch.
    operands: Vec<DenseOperands>,
}

impl Executor {
    /// For batches of up to `batch` samples; `training`: whether gradients are wanted.
    pub(crate) fn new(
        graph: &Graph,
        layout: &Layout,
        settings: &CompileSettings,
        batch: usize,
        training: bool,
    ) -> Self {
        let losses: Vec<Loss> = settings.losses.iter().map(|output| output.loss).collect();
        let plan = Plan::new(graph, layout, Some(&losses));
        let gradient = || Aligned::zeros(if training { layout.len() } else { 0 });
        let mut of_batch: Vec<DenseOfBatch> = plan.of_batch().filter(|_| training).collect();
        of_batch.sort_by_key(|dense| dense.number);
        let operands =
            || of_batch.iter().map(|dense| DenseOperands::new(&dense.geometry)).collect();
        let shards: Vec<_> = (0..batch.div_ceil(SHARD))
            .map(|_| ShardResult {
                scores: Scores::new(settings),
                gradient: gradient(),
                operands: operands(),
            })
            .collect();
        let decayed = layout.trained(graph).filter(|(parameter, _)| parameter.l2 > 0.0);
        // As many as can be in use at the same time, so that no later batch has to make one.
        let workspaces = match plan.barriers.is_empty() || !training {
            true => shards.len().min(rayon::current_num_threads()),
            false => shards.len(),
        };
        let workspaces = (0..workspaces).map(|_| Workspace::new(&plan, training)).collect();
        Self {
            isa: Isa::current(),
            prepared: Prepared::new(&plan, training),
            settings: settings.clone(),
            training,
            decayed: decayed.map(|(parameter, range)| (parameter.l2 as f32, range)).collect(),
            free: Mutex::new(workspaces),
            shards,
            of_batch,
            gradient: gradient(),
            scores: Scores::new(settings),
            plan,
        }
    }

    /// Takes a batch forward, with layers as at inference, for its [`scores`](Self::scores).
    pub(crate) fn evaluate(
        &mut self,
        parameters: &[f32],
        batch: Batch<'_>,
    ) -> Result<(), FloatEnvironmentError> {
        self.prepared.refresh(&self.plan, parameters);
        self.run_unbroken(parameters, batch, Mode::Inference)?;
        self.add_up(parameters, batch);
        Ok(())
    }

    /// Takes a batch forward and back, for its [`scores`](Self::scores) and the
    /// [`gradient`](Self::gradient_mut) of its loss. Moving averages among the parameters are updated.
    pub(crate) fn train(
        &mut self,
        parameters: &mut [f32],
        batch: Batch<'_>,
        seed: u64,
        epoch: u64,
    ) -> Result<(), FloatEnvironmentError> {
        let mode = Mode::Training { seed, epoch };
        self.prepared.refresh(&self.plan, parameters);
        if self.plan.barriers.is_empty() {
            self.run_unbroken(parameters, batch, mode)?;
        } else {
            self.run_in_phases(parameters, batch, mode)?;
        }
        let Self { isa, of_batch, shards, gradient, decayed, .. } = self;
        let (isa, count) = (*isa, batch.indices.len().div_ceil(SHARD));
        let mut first = 0;
        for dense in of_batch {
            let range = dense.kernel.clone();
            let between = first..range.start;
            let part = |shard: usize| &shards[shard].gradient[between.clone()];
            tree_sum(isa, &mut gradient[between.clone()], count, part);
            let operands = |shard: usize| shards[shard].operands[dense.number].get();
            let dkernel = &mut gradient[range.clone()];
            dense::kernel_gradient_of_batch(isa, dkernel, count, operands, &dense.geometry);
            first = range.end;
        }
        tree_sum(isa, &mut gradient[first..], count, |shard| &shards[shard].gradient[first..]);
        for (l2, range) in decayed {
            let decay = Decay { factor: 2.0 * *l2 };
            binary_in_place(isa, decay, &mut gradient[range.clone()], &parameters[range.clone()]);
        }
        self.add_up(parameters, batch);
        Ok(())
    }

    /// Losses and metrics of the last batch.
    pub(crate) fn scores(&self) -> &Scores {
        &self.scores
    }

    /// The gradient of the last [`train`](Self::train), laid out as the parameters; of no meaning
    /// where a parameter is not trained.
    pub(crate) fn gradient_mut(&mut self) -> &mut [f32] {
        &mut self.gradient
    }

    /// Runs on another instruction set than the one in use.
    #[cfg(test)]
    pub(super) fn force(&mut self, isa: Isa) {
        self.isa = isa;
    }

    /// The scores of a batch out of those of its shards.
    fn add_up(&mut self, parameters: &[f32], batch: Batch<'_>) {
        let Self { isa, shards, scores, decayed, .. } = self;
        scores.clear();
        for shard in &shards[..batch.indices.len().div_ceil(SHARD)] {
            scores.add(&shard.scores);
        }
        for (l2, range) in decayed {
            let squares = sum_of_squares(*isa, &parameters[range.clone()]);
            scores.loss += f64::from(*l2) * squares * scores.samples as f64;
        }
    }

    /// Takes each shard all the way, and back if `mode` says so, before its thread takes another.
    fn run_unbroken(
        &mut self,
        parameters: &[f32],
        batch: Batch<'_>,
        mode: Mode,
    ) -> Result<(), FloatEnvironmentError> {
        let Self { isa, plan, prepared, settings, training, free, shards, .. } = self;
        let free = &*free;
        let run = |(result, indices): (&mut ShardResult, &[usize])| {
            environment::check()?;
            let found = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut workspace = found.unwrap_or_else(|| Workspace::new(plan, *training));
            let (isa, plan) = (*isa, &*plan);
            let mut shard =
                Shard { isa, plan, parameters, prepared, mode, indices, workspace: &mut workspace };
            shard.load(batch.inputs);
            shard.forward(0..plan.steps.len());
            shard.score(batch, settings, &mut result.scores);
            if mode != Mode::Inference {
                shard.with_gradient(result, |shard, gradient| {
                    shard.backward(0..plan.steps.len(), gradient);
                });
            }
            free.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
            Ok(())
        };
        let shards = shards.par_iter_mut().zip(batch.indices.par_chunks(SHARD));
        shards.with_max_len(1).try_for_each(run)
    }

    /// Takes all shards from one normalisation by the batch to the next, and back likewise.
    fn run_in_phases(
        &mut self,
        parameters: &mut [f32],
        batch: Batch<'_>,
        mode: Mode,
    ) -> Result<(), FloatEnvironmentError> {
        let count = batch.indices.len().div_ceil(SHARD);
        let mut workspaces = take(self.free.get_mut().unwrap_or_else(PoisonError::into_inner));
        workspaces.resize_with(count.max(workspaces.len()), || Workspace::new(&self.plan, true));
        let steps = self.plan.steps.len();
        let phases = self.plan.barriers.len();
        for phase in 0..=phases {
            let begin = phase.checked_sub(1).map_or(0, |last| self.plan.barriers[last]);
            let barrier = self.plan.barriers.get(phase).copied();
            self.each_shard(
                parameters,
                batch,
                mode,
                &mut workspaces,
                |shard, result, settings| {
                    if phase == 0 {
                        shard.load(batch.inputs);
                    }
                    shard.forward(begin..barrier.unwrap_or(steps));
                    match barrier {
                        Some(barrier) => shard.take_moments(barrier),
                        None => shard.score(batch, settings, &mut result.scores),
                    }
                },
            )?;
            if let Some(barrier) = barrier {
                self.join_moments(parameters, &mut workspaces[..count], barrier);
            }
        }
        for phase in (0..=phases).rev() {
            // The normalisation that ends a phase on the way back begins it on the way forward.
            let end = self.plan.barriers.get(phase).map_or(steps, |barrier| barrier + 1);
            let barrier = phase.checked_sub(1).map(|last| self.plan.barriers[last]);
            self.each_shard(parameters, batch, mode, &mut workspaces, |shard, result, _| {
                shard.with_gradient(result, |shard, gradient| {
                    shard.backward(barrier.map_or(0, |barrier| barrier + 1)..end, gradient);
                    if let Some(barrier) = barrier {
                        shard.take_norm_sums(barrier, gradient);
                    }
                });
            })?;
            if let Some(barrier) = barrier {
                self.join_sums(&mut workspaces[..count], barrier);
            }
        }
        *self.free.get_mut().unwrap_or_else(PoisonError::into_inner) = workspaces;
        Ok(())
    }

    fn each_shard(
        &mut self,
        parameters: &[f32],
        batch: Batch<'_>,
        mode: Mode,
        workspaces: &mut [Workspace],
        run: impl Fn(&mut Shard<'_>, &mut ShardResult, &CompileSettings) + Sync,
    ) -> Result<(), FloatEnvironmentError> {
        let Self { isa, plan, prepared, settings, shards, .. } = self;
        let (isa, plan, prepared, settings) = (*isa, &*plan, &*prepared, &*settings);
        let shards = shards.par_iter_mut().zip(workspaces);
        shards.zip(batch.indices.par_chunks(SHARD)).with_max_len(1).try_for_each(
            |((result, workspace), indices)| {
                environment::check()?;
                let mut shard = Shard { isa, plan, parameters, prepared, mode, indices, workspace };
                run(&mut shard, result, settings);
                Ok(())
            },
        )
    }

    /// The moments of the batch out of those of the shards; moving averages follow.
    fn join_moments(&mut self, parameters: &mut [f32], workspaces: &mut [Workspace], step: usize) {
        let Op::BatchNormalization(norm) = &self.plan.steps[step].op else {
            unreachable!("a barrier is a normalisation");
        };
        tree(workspaces.len(), |left, right| {
            let (before, from) = workspaces.split_at_mut(right);
            before[left].moments[step].join(&from[0].moments[step]);
        });
        let moments = &workspaces[0].moments[step];
        let variance = |channel| moments.variance(channel);
        self.prepared.scalings[step].set(&moments.mean, variance, norm.epsilon);
        self.prepared.sums[step].1 = moments.count;
        let (mean, variance) =
            two_ranges(parameters, norm.moving_mean.clone(), norm.moving_variance.clone());
        moments.update_moving(mean, variance, norm.momentum);
    }

    /// The sums over the batch out of those of the shards.
    fn join_sums(&mut self, workspaces: &mut [Workspace], step: usize) {
        tree(workspaces.len(), |left, right| {
            let (before, from) = workspaces.split_at_mut(right);
            for (sum, other) in before[left].sums[step].iter_mut().zip(&from[0].sums[step]) {
                add::assign(self.isa, sum, other);
            }
        });
        for (sum, of_batch) in workspaces[0].sums[step].iter().zip(&mut self.prepared.sums[step].0)
        {
            of_batch.copy_from_slice(sum);
        }
    }
}

fn two_ranges(
    values: &mut [f32],
    first: std::ops::Range<usize>,
    second: std::ops::Range<usize>,
) -> (&mut [f32], &mut [f32]) {
    let (low, high) = values.split_at_mut(second.start);
    (&mut low[first], &mut high[..second.len()])
}

impl Shard<'_> {
    /// Fills the buffers of the inputs with the samples of this shard.
    pub(super) fn load(&mut self, inputs: &[Samples]) {
        for (samples, &value) in inputs.iter().zip(&self.plan.inputs) {
            let length = self.plan.lengths[value];
            let buffer = self.workspace.values[value].chunks_exact_mut(length);
            for (out, &index) in buffer.zip(self.indices) {
                samples.copy_sample(index, out);
            }
        }
    }

    /// Losses and metrics of this shard, and the gradients of the outputs where there is a way back.
    fn score(&mut self, batch: Batch<'_>, settings: &CompileSettings, scores: &mut Scores) {
        scores.clear();
        scores.samples = self.samples() as u64;
        let count = batch.indices.len();
        let plan = self.plan;
        for (index, output) in plan.outputs.iter().enumerate() {
            let compiled = &settings.losses[index];
            let (targets, indices) = (&batch.targets[index], self.indices);
            let Workspace { gradients, target, unwanted, scratch, .. } = &mut *self.workspace;
            let mut dy = take(&mut gradients[output.value]);
            let mut buffers = [take(target), take(unwanted), take(scratch)];
            let [target, unwanted, scratch] = &mut buffers;
            let one = plan.lengths[output.value];
            let (target, length) = (&mut target[..one], self.samples() * one);
            let scale = (compiled.weight / count as f64) as f32;
            let task = loss::Task {
                loss: compiled.loss,
                label_smoothing: compiled.label_smoothing as f32,
                width: output.width,
                targets,
                indices,
                scale,
            };
            let sum = {
                let (loss, y) = self.compared(compiled.loss, output);
                let task = loss::Task { loss, ..task };
                if self.mode == Mode::Inference {
                    loss::value(self.isa, &mut unwanted[..one], target, y, &task)
                } else if output.accumulate {
                    let more = &mut scratch[..length];
                    let sum = loss::gradient(self.isa, more, target, y, &task);
                    add::assign(self.isa, &mut dy[..length], more);
                    sum
                } else {
                    loss::gradient(self.isa, &mut dy[..length], target, y, &task)
                }
            };
            scores.losses[index] = sum;
            scores.loss += compiled.weight * sum;
            if index == 0 {
                let y = self.value(output.value);
                for (sum, &metric) in scores.metrics.iter_mut().zip(&settings.metrics) {
                    *sum = metric::sum(self.isa, metric, &mut unwanted[..one], target, y, &task);
                }
            }
            self.workspace.gradients[output.value] = dy;
            let [target, unwanted, scratch] = buffers;
            let workspace = &mut *self.workspace;
            (workspace.target, workspace.unwanted, workspace.scratch) = (target, unwanted, scratch);
        }
    }

    /// The values that the loss is computed from, and the form of the loss that takes them.
    fn compared(&self, loss: Loss, output: &OutputPlan) -> (Loss, &[f32]) {
        match output.fused {
            Some(step) => {
                let length = self.samples() * self.plan.lengths[output.value];
                (loss.with_logits(), &self.workspace.before[step][..length])
            }
            None => (loss, self.value(output.value)),
        }
    }

    /// Lends the place for the parameters' gradients.
    fn with_gradient(
        &mut self,
        result: &mut ShardResult,
        run: impl FnOnce(&mut Self, &mut ParameterGradient<'_>),
    ) {
        let mut scratch = take(&mut self.workspace.parameter_scratch);
        let ShardResult { gradient: values, operands, .. } = result;
        run(
            self,
            &mut ParameterGradient { isa: self.isa, values, scratch: &mut scratch, operands },
        );
        self.workspace.parameter_scratch = scratch;
    }
}
