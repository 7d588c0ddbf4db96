//! A whole batch through the network: shards in parallel, sums by the tree.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::backward::ParameterGradient;
use super::forward::{Mode, Shard};
use super::layout::Layout;
use super::plan::{Op, OutputPlan, Plan};
use super::workspace::{Prepared, SHARD, Workspace};
use crate::kernels::Isa;
use crate::kernels::environment::{self, FloatEnvironmentError};
use crate::kernels::reduce::{sum_of_squares, tree, tree_sum};
use crate::model::{CompileSettings, Graph, Loss};
use crate::ops::{add, loss, metric};
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

/// Sums over samples, from which losses and metrics are the means.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scores {
    pub(crate) samples: u64,
    /// The weighted sum over the outputs, and what regularisation adds, as a sum over the samples.
    pub(crate) loss: f64,
    /// Per output: the sum of its own losses.
    pub(crate) losses: Vec<f64>,
    /// Per metric: the sum over the samples.
    pub(crate) metrics: Vec<f64>,
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
        self.samples += other.samples;
        self.loss += other.loss;
        for (sum, value) in self.losses.iter_mut().zip(&other.losses) {
            *sum += value;
        }
        for (sum, value) in self.metrics.iter_mut().zip(&other.metrics) {
            *sum += value;
        }
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
    gradient: Aligned,
}

#[derive(Debug)]
struct ShardResult {
    scores: Scores,
    /// Laid out as the parameters; empty where there is no way back.
    gradient: Aligned,
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
        let shards = (0..batch.div_ceil(SHARD))
            .map(|_| ShardResult { scores: Scores::new(settings), gradient: gradient() });
        let decayed = layout.trained(graph).filter(|(parameter, _)| parameter.l2 > 0.0);
        Self {
            isa: Isa::current(),
            prepared: Prepared::new(&plan, training),
            settings: settings.clone(),
            training,
            decayed: decayed.map(|(parameter, range)| (parameter.l2 as f32, range)).collect(),
            free: Mutex::new(Vec::new()),
            shards: shards.collect(),
            gradient: gradient(),
            plan,
        }
    }

    /// Losses and metrics of a batch, with layers as at inference.
    pub(crate) fn evaluate(
        &mut self,
        parameters: &[f32],
        batch: Batch<'_>,
    ) -> Result<Scores, FloatEnvironmentError> {
        self.prepared.refresh(&self.plan, parameters);
        self.run_unbroken(parameters, batch, Mode::Inference)?;
        Ok(self.scores(parameters, batch))
    }

    /// Losses and metrics of a batch, and the [`gradient`](Self::gradient) of the loss. Moving
    /// averages among the parameters are updated.
    pub(crate) fn train(
        &mut self,
        parameters: &mut [f32],
        batch: Batch<'_>,
        seed: u64,
        epoch: u64,
    ) -> Result<Scores, FloatEnvironmentError> {
        let mode = Mode::Training { seed, epoch };
        self.prepared.refresh(&self.plan, parameters);
        if self.plan.barriers.is_empty() {
            self.run_unbroken(parameters, batch, mode)?;
        } else {
            self.run_in_phases(parameters, batch, mode)?;
        }
        let shards = self.shards[..batch.indices.len().div_ceil(SHARD)].iter();
        let gradients: Vec<&[f32]> = shards.map(|shard| &*shard.gradient).collect();
        tree_sum(self.isa, &mut self.gradient, &gradients);
        for (l2, range) in &self.decayed {
            let weights = &parameters[range.clone()];
            for (gradient, weight) in self.gradient[range.clone()].iter_mut().zip(weights) {
                *gradient = (2.0 * l2).mul_add(*weight, *gradient);
            }
        }
        Ok(self.scores(parameters, batch))
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

    fn scores(&self, parameters: &[f32], batch: Batch<'_>) -> Scores {
        let mut scores = Scores::new(&self.settings);
        for shard in &self.shards[..batch.indices.len().div_ceil(SHARD)] {
            scores.add(&shard.scores);
        }
        for (l2, range) in &self.decayed {
            let squares = sum_of_squares(self.isa, &parameters[range.clone()]);
            scores.loss += f64::from(*l2) * squares * scores.samples as f64;
        }
        scores
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
                shard.with_gradient(&mut result.gradient, |shard, gradient| {
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
        let mut workspaces =
            std::mem::take(self.free.get_mut().unwrap_or_else(PoisonError::into_inner));
        workspaces.resize_with(count.max(workspaces.len()), || Workspace::new(&self.plan, true));
        let pairs = tree(count);
        let steps = self.plan.steps.len();
        let barriers = self.plan.barriers.clone();
        for phase in 0..=barriers.len() {
            let begin = phase.checked_sub(1).map_or(0, |last| barriers[last]);
            let barrier = barriers.get(phase).copied();
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
                self.join_moments(parameters, &mut workspaces, &pairs, barrier);
            }
        }
        for phase in (0..=barriers.len()).rev() {
            // The normalisation that ends a phase on the way back begins it on the way forward.
            let end = barriers.get(phase).map_or(steps, |barrier| barrier + 1);
            let barrier = phase.checked_sub(1).map(|last| barriers[last]);
            self.each_shard(parameters, batch, mode, &mut workspaces, |shard, result, _| {
                shard.with_gradient(&mut result.gradient, |shard, gradient| {
                    shard.backward(barrier.map_or(0, |barrier| barrier + 1)..end, gradient);
                    if let Some(barrier) = barrier {
                        shard.take_norm_sums(barrier, gradient);
                    }
                });
            })?;
            if let Some(barrier) = barrier {
                self.join_sums(&mut workspaces, &pairs, barrier);
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
    fn join_moments(
        &mut self,
        parameters: &mut [f32],
        workspaces: &mut [Workspace],
        pairs: &[(usize, usize)],
        step: usize,
    ) {
        let Op::BatchNormalization(norm) = &self.plan.steps[step].op else {
            unreachable!("a barrier is a normalisation");
        };
        for &(left, right) in pairs {
            let (before, from) = workspaces.split_at_mut(right);
            before[left].moments[step].join(&from[0].moments[step]);
        }
        let moments = &workspaces[0].moments[step];
        let variance = |channel| moments.variance(channel);
        self.prepared.scalings[step].set(&moments.mean, variance, norm.epsilon);
        self.prepared.sums[step].1 = moments.count;
        let (mean, variance) =
            two_ranges(parameters, norm.moving_mean.clone(), norm.moving_variance.clone());
        moments.update_moving(mean, variance, norm.momentum);
    }

    /// The sums over the batch out of those of the shards.
    fn join_sums(&mut self, workspaces: &mut [Workspace], pairs: &[(usize, usize)], step: usize) {
        for &(left, right) in pairs {
            let (before, from) = workspaces.split_at_mut(right);
            for (sum, other) in before[left].sums[step].iter_mut().zip(&from[0].sums[step]) {
                add::assign(sum, other);
            }
        }
        self.prepared.sums[step].0.clone_from(&workspaces[0].sums[step]);
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
            let mut dy = std::mem::take(&mut self.workspace.gradients[output.value]);
            let length = self.samples() * plan.lengths[output.value];
            let scale = (compiled.weight / count as f64) as f32;
            let sum = {
                let (loss, y) = self.compared(compiled.loss, output);
                let task = loss::Task { loss, width: output.width, targets, indices, scale };
                if self.mode == Mode::Inference {
                    loss::value(self.isa, y, &task)
                } else if output.accumulate {
                    let mut more = vec![0.0; length];
                    let sum = loss::gradient(self.isa, &mut more, y, &task);
                    add::assign(&mut dy[..length], &more);
                    sum
                } else {
                    loss::gradient(self.isa, &mut dy[..length], y, &task)
                }
            };
            self.workspace.gradients[output.value] = dy;
            scores.losses[index] = sum;
            scores.loss += compiled.weight * sum;
            if index == 0 {
                let y = self.value(output.value);
                let (width, loss) = (output.width, compiled.loss);
                for (sum, &metric) in scores.metrics.iter_mut().zip(&settings.metrics) {
                    *sum = metric::sum(metric, loss, y, width, targets, indices);
                }
            }
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
        values: &mut [f32],
        run: impl FnOnce(&mut Self, &mut ParameterGradient<'_>),
    ) {
        let mut scratch = std::mem::take(&mut self.workspace.parameter_scratch);
        run(self, &mut ParameterGradient { values, scratch: &mut scratch });
        self.workspace.parameter_scratch = scratch;
    }
}
