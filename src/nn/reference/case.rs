//! Numbers to run a graph with.

use std::collections::BTreeMap;
use std::fmt;

use super::{Mode, Objective, Target};
use crate::model::{Graph, LayerSpec, Loss, NodeId, Noise, Parameter};
use crate::tensor::Shape;

/// A graph, and numbers to run it with.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) graph: Graph,
    /// How many samples.
    pub(crate) batch: usize,
    /// In the order of [`Graph::parameters`].
    pub(crate) parameters: Vec<Vec<f64>>,
    /// In the order of [`Graph::inputs`], batch-major.
    pub(crate) inputs: Vec<Vec<f64>>,
}

/// Without the numbers, which would bury the graph.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (graph, batch) = (&self.graph, self.batch);
        writeln!(f, "{} over a batch of {batch}", graph.name())?;
        for (index, node) in graph.nodes().iter().enumerate() {
            let (id, layer) = (NodeId(index), &graph.layers()[node.layer]);
            let sources: Vec<usize> = node.inputs.iter().map(|input| input.0).collect();
            writeln!(f, "{index}: {layer:?} of {sources:?} gives {}", graph.shape(id))?;
        }
        Ok(())
    }
}

impl Case {
    /// Inputs within ±`spread`; parameters as a trained network might have them.
    pub(crate) fn new(graph: Graph, batch: usize, spread: f64, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let parameters = graph.parameters().iter().map(|p| parameter(p, &mut random)).collect();
        let inputs = (graph.inputs().iter())
            .map(|&node| values(batch * graph.shape(node).elements(), 0.0, spread, &mut random))
            .collect();
        Self { graph, batch, parameters, inputs }
    }

    /// In training, each dropout keeping half of the values.
    pub(crate) fn training(&self, seed: u64) -> Mode {
        let mut random = Random::new(seed);
        let (mut kept, mut normals) = (BTreeMap::new(), BTreeMap::new());
        for node in (0..self.graph.nodes().len()).map(NodeId) {
            let shape = self.graph.shape(node);
            let length = self.batch * shape.elements();
            match self.graph.layer_of(node).spec {
                LayerSpec::Dropout(_) | LayerSpec::Noise(Noise::AlphaDropout { .. }) => {
                    kept.insert(node, (0..length).map(|_| random.fraction() < 0.5).collect());
                }
                LayerSpec::Noise(Noise::SpatialDropout { .. }) => {
                    let length = self.batch * shape.dims().last().expect("an axis of channels");
                    kept.insert(node, (0..length).map(|_| random.fraction() < 0.5).collect());
                }
                LayerSpec::Noise(_) => {
                    normals.insert(node, values(length, 0.0, 2.0, &mut random));
                }
                _ => {}
            }
        }
        Mode::Training { kept, normals }
    }

    /// Σ c·y with c drawn from `seed`.
    pub(crate) fn cotangents(&self, seed: u64) -> Objective {
        let mut random = Random::new(seed);
        let lengths = (self.graph.outputs().iter())
            .map(|output| self.batch * self.graph.shape(output.node).elements());
        Objective::Cotangents(lengths.map(|n| values(n, 0.0, 1.0, &mut random)).collect())
    }

    /// The same loss for each output, with targets drawn from `seed` and different weights.
    pub(crate) fn losses(&self, loss: Loss, seed: u64) -> Objective {
        let mut random = Random::new(seed);
        let weights = [1.0, 0.5, 2.0].into_iter().cycle();
        let shapes = self.graph.outputs().iter().map(|output| self.graph.shape(output.node));
        let losses = shapes
            .zip(weights)
            .map(|(shape, weight)| (loss, weight, target(loss, shape, self.batch, &mut random)));
        Objective::Losses(losses.collect())
    }
}

/// Targets that make sense to `loss` for an output of `shape`.
fn target(loss: Loss, shape: &Shape, batch: usize, random: &mut Random) -> Target {
    let length = batch * shape.elements();
    let classes = *shape.dims().last().expect("an output with a last axis");
    match loss {
        Loss::SparseCategoricalCrossentropy | Loss::SparseCategoricalCrossentropyWithLogits => {
            let class = |_| (random.next() % classes as u64) as u32;
            Target::Classes((0..length / classes).map(class).collect())
        }
        Loss::CategoricalCrossentropy
        | Loss::CategoricalCrossentropyWithLogits
        | Loss::KlDivergence => {
            let mut values = values(length, 0.5, 0.5, random);
            for row in values.chunks_exact_mut(classes) {
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|value| *value = in_f32(*value / sum));
            }
            Target::Values(values)
        }
        Loss::BinaryCrossentropy | Loss::BinaryCrossentropyWithLogits => {
            let share = |_| [0.0, 1.0, 0.25][(random.next() % 3) as usize];
            Target::Values((0..length).map(share).collect())
        }
        Loss::MeanSquaredError
        | Loss::MeanAbsoluteError
        | Loss::Huber { .. }
        | Loss::LogCosh
        | Loss::CosineSimilarity => Target::Values(values(length, 0.0, 1.0, random)),
        Loss::Poisson | Loss::MeanSquaredLogarithmicError | Loss::MeanAbsolutePercentageError => {
            Target::Values(values(length, 1.5, 1.0, random))
        }
        Loss::Hinge | Loss::SquaredHinge => {
            let side = |_| [-1.0, 1.0, 0.0][(random.next() % 3) as usize];
            Target::Values((0..length).map(side).collect())
        }
        Loss::CategoricalHinge => {
            let mut values = vec![0.0; length];
            for row in values.chunks_exact_mut(classes) {
                row[(random.next() % classes as u64) as usize] = 1.0;
            }
            Target::Values(values)
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The numbers below `count` in random order.
pub(crate) fn shuffled(count: usize, random: &mut Random) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        numbers.swap(last, (random.next() % (last as u64 + 1)) as usize);
    }
    numbers
}

/// `count` values spread over `middle` ± `spread` in random order: all different, so that no maximum
/// is a tie; none at `middle`, so that 0 is not met by chance; off any lattice, so that no sums of
/// them are equal; and exact in f32, so that an engine of f32 can be given the same.
pub(crate) fn values(count: usize, middle: f64, spread: f64, random: &mut Random) -> Vec<f64> {
    let order = shuffled(count, random);
    let mut value = |place: usize| {
        let offset = 0.3 + 0.5 * random.fraction();
        in_f32(middle + spread * ((2.0 * place as f64 + offset) / count as f64 - 1.0))
    };
    order.into_iter().map(&mut value).collect()
}

fn in_f32(value: f64) -> f64 {
    f64::from(value as f32)
}

fn parameter(parameter: &Parameter, random: &mut Random) -> Vec<f64> {
    let count = parameter.shape.elements();
    let (middle, spread) = match parameter.name {
        "kernel" => {
            let dims = parameter.shape.dims();
            let fan_in: usize = dims[..dims.len() - 1].iter().product();
            (0.0, (3.0 / fan_in as f64).sqrt()) // of variance 1 / fan in: results stay near 1
        }
        "gamma" | "moving_variance" | "variance" => (1.0, 0.5),
        _ => (0.0, 0.5),
    };
    values(count, middle, spread, random)
}
