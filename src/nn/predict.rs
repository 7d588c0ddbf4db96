//! Samples through the network, forward only.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use ndarray::ArrayD;
use rayon::prelude::*;

use super::error::ModelError;
use super::forward::{Mode, Shard};
use super::layout::Layout;
use super::model::Model;
use super::plan::Plan;
use super::workspace::{Prepared, SHARD, Workspace};
use crate::kernels::environment;
use crate::kernels::{Isa, math};
use crate::model::Graph;
use crate::tensor::Samples;

/// What prediction needs beside the parameters: the plan, and memory to be used again.
#[derive(Debug)]
pub(super) struct Predictor {
    plan: Plan,
    free: Mutex<Vec<Workspace>>,
}

impl Predictor {
    pub(super) fn new(graph: &Graph, layout: &Layout) -> Self {
        Self { plan: Plan::new(graph, layout, None), free: Mutex::new(Vec::new()) }
    }
}

impl Model {
    /// The output for each sample, with a leading sample dimension. Each sample's result has the
    /// same bits whatever samples stand beside it.
    ///
    /// # Errors
    /// If the samples do not have the shape the model takes, or the model has several inputs or
    /// outputs ([`predict_all`](Self::predict_all) takes and gives all).
    pub fn predict(&self, input: &Samples) -> Result<ArrayD<f32>, ModelError> {
        let outputs = self.graph().outputs().len();
        if outputs != 1 {
            return Err(ModelError::SeveralOutputs { found: outputs });
        }
        Ok(self.predict_all(std::slice::from_ref(input))?.swap_remove(0))
    }

    /// All outputs, in the order of the graph, for all inputs, in the order of the graph.
    ///
    /// # Errors
    /// If the samples do not have the shapes the model takes, or differ in number.
    pub fn predict_all(&self, inputs: &[Samples]) -> Result<Vec<ArrayD<f32>>, ModelError> {
        let count = self.check_inputs(inputs)?;
        let Predictor { plan, .. } = self.predictor();
        let mut prepared = Prepared::new(plan, false);
        prepared.refresh(plan, self.parameters());
        let lengths: Vec<usize> =
            plan.outputs.iter().map(|output| plan.lengths[output.value]).collect();
        let mut outputs: Vec<Vec<f32>> =
            lengths.iter().map(|length| vec![0.0; count * length]).collect();
        // Whichever go together, the bits are the same.
        let together = SHARD.min(count.div_ceil(rayon::current_num_threads()));
        if count <= 1 {
            // Not worth the way into the thread pool.
            let parts = outputs.iter_mut().map(Vec::as_mut_slice).collect();
            self.predict_shard(inputs, &prepared, 0..count, parts)?;
        } else {
            let firsts = (0..count).step_by(together);
            let mut shards: Vec<(Range<usize>, Vec<&mut [f32]>)> =
                firsts.map(|first| (first..count.min(first + together), Vec::new())).collect();
            for (output, length) in outputs.iter_mut().zip(&lengths) {
                for (part, (_, parts)) in output.chunks_mut(together * length).zip(&mut shards) {
                    parts.push(part);
                }
            }
            (shards.into_par_iter().with_max_len(1)).try_for_each(|(samples, parts)| {
                self.predict_shard(inputs, &prepared, samples, parts)
            })?;
        }
        let shapes = self.graph().outputs().iter().map(|output| self.graph().shape(output.node));
        let arrays = outputs.into_iter().zip(shapes).map(|(values, shape)| {
            ArrayD::from_shape_vec(shape.batched(count), values).expect("as many as allocated")
        });
        Ok(arrays.collect())
    }

    /// Fills `parts`, one of each output, with what comes of `samples`, at most a shard of them.
    fn predict_shard(
        &self,
        inputs: &[Samples],
        prepared: &Prepared,
        samples: Range<usize>,
        parts: Vec<&mut [f32]>,
    ) -> Result<(), ModelError> {
        environment::check()?;
        let Predictor { plan, free } = self.predictor();
        let found = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut workspace = found.unwrap_or_else(|| Workspace::new(plan, false));
        let indices: [usize; SHARD] = std::array::from_fn(|index| samples.start + index);
        let mut shard = Shard {
            isa: Isa::current(),
            plan,
            parameters: self.parameters(),
            prepared,
            mode: Mode::Inference,
            indices: &indices[..samples.len()],
            workspace: &mut workspace,
        };
        shard.load(inputs);
        shard.forward(0..plan.steps.len());
        for (out, output) in parts.into_iter().zip(&plan.outputs) {
            for (out, &value) in out.iter_mut().zip(shard.value(output.value)) {
                *out = if value.is_nan() { math::NAN } else { value };
            }
        }
        free.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        Ok(())
    }

    /// Checks that `inputs` are what the graph takes, and that this machine can compute as it is asked
    /// to; gives the number of samples.
    pub(crate) fn check_inputs(&self, inputs: &[Samples]) -> Result<usize, ModelError> {
        Isa::granted()?;
        let graph = self.graph();
        let (expected, found) = (graph.inputs().len(), inputs.len());
        if expected != found {
            return Err(ModelError::InputCount { expected, found });
        }
        let count = inputs.first().map_or(0, Samples::count);
        for (&node, samples) in graph.inputs().iter().zip(inputs) {
            let input = || graph.layer_of(node).name.clone();
            if graph.shape(node) != samples.shape() {
                let (expected, found) = (graph.shape(node).clone(), samples.shape().clone());
                return Err(ModelError::InputShape { input: input(), expected, found });
            }
            if samples.count() != count {
                let (expected, found) = (count, samples.count());
                return Err(ModelError::SampleCount { input: input(), expected, found });
            }
        }
        Ok(count)
    }
}
