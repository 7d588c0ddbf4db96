//! What a network means: a slow interpreter in f64, written straight from the definitions of the
//! layers, against which the engine is tested. It shares no arithmetic with the engine, nor with
//! shape inference, whose shapes it checks at every node.

#![allow(clippy::disallowed_methods, reason = "an oracle computes by other means than the crate")]

mod activations;
mod case;
mod difference_tests;
mod differences;
pub(crate) mod graphs;
mod layer_tests;
mod layers;
mod losses;
mod windows;

use std::collections::BTreeMap;

use ndarray::ArrayD;

pub(crate) use self::case::Case;
pub(crate) use self::differences::{Gradients, Objective, Problem, Variable, check};
use self::layers::{Statistics, batch_statistics};
pub(crate) use self::losses::Target;
use crate::model::{Graph, Layer, LayerSpec, NodeId, Noise};

/// Whether the network is used or trained.
#[derive(Clone, Debug, Default)]
pub(crate) enum Mode {
    #[default]
    Inference,
    /// `kept` tells of each dropout node which values stay (of spatial dropout: which channels),
    /// batch-major; it may leave out nodes of rate 0. `normals` has the standard normal numbers of
    /// each node of Gaussian noise.
    Training { kept: BTreeMap<NodeId, Vec<bool>>, normals: BTreeMap<NodeId, Vec<f64>> },
}

/// Runs a graph over a batch.
#[derive(Clone, Debug)]
pub(crate) struct Interpreter<'a> {
    pub(crate) graph: &'a Graph,
    /// How many samples.
    pub(crate) batch: usize,
    pub(crate) mode: Mode,
}

impl Interpreter<'_> {
    /// The results of all nodes, each with a leading batch dimension. Parameters come in the order
    /// of [`Graph::parameters`], inputs in that of [`Graph::inputs`], batch-major.
    pub(crate) fn run(&self, parameters: &[Vec<f64>], inputs: &[Vec<f64>]) -> Vec<ArrayD<f64>> {
        assert_eq!(parameters.len(), self.graph.parameters().len(), "parameters");
        assert_eq!(inputs.len(), self.graph.inputs().len(), "inputs");
        let mut results: Vec<ArrayD<f64>> = Vec::new();
        for (index, node) in self.graph.nodes().iter().enumerate() {
            let id = NodeId(index);
            let sources: Vec<&ArrayD<f64>> = node.inputs.iter().map(|i| &results[i.0]).collect();
            let own = self.own(node.layer, parameters);
            let layer = &self.graph.layers()[node.layer];
            let expected = self.graph.shape(id).batched(self.batch);
            let result = match &layer.spec {
                LayerSpec::Input(_) => {
                    let place = self.graph.inputs().iter().position(|&input| input == id);
                    let values = inputs[place.expect("a checked graph lists it")].clone();
                    ArrayD::from_shape_vec(expected.clone(), values).expect("a batch of samples")
                }
                LayerSpec::Dropout(dropout) => match self.kept(id, sources[0].len()) {
                    Some(kept) => layers::dropout(dropout.rate, sources[0], kept),
                    None => sources[0].clone(),
                },
                LayerSpec::Noise(noise) => match &self.mode {
                    Mode::Inference => sources[0].clone(),
                    Mode::Training { kept, normals } => match noise {
                        Noise::SpatialDropout { rate } => {
                            layers::spatial_dropout(*rate, sources[0], &kept[&id])
                        }
                        Noise::AlphaDropout { rate } => {
                            layers::alpha_dropout(*rate, sources[0], &kept[&id])
                        }
                        Noise::GaussianNoise { deviation } => {
                            sources[0] + &(normal(sources[0], &normals[&id]) * *deviation)
                        }
                        Noise::GaussianDropout { rate } => {
                            let deviation = (rate / (1.0 - rate)).sqrt();
                            sources[0] * &(normal(sources[0], &normals[&id]) * deviation + 1.0)
                        }
                    },
                },
                LayerSpec::BatchNormalization(norm) => {
                    let statistics = if self.uses_batch_statistics(layer) {
                        batch_statistics(sources[0])
                    } else {
                        Statistics {
                            mean: own["moving_mean"].iter().copied().collect(),
                            variance: own["moving_variance"].iter().copied().collect(),
                        }
                    };
                    layers::batch_normalization(norm, sources[0], &statistics, &own)
                }
                spec => layers::stateless(spec, &sources, &own),
            };
            assert_eq!(result.shape(), expected, "shape inference at node {index}, {layer:?}");
            results.push(result);
        }
        results
    }

    /// The results of the graph's outputs, in their order.
    pub(crate) fn outputs(&self, parameters: &[Vec<f64>], inputs: &[Vec<f64>]) -> Vec<ArrayD<f64>> {
        let results = self.run(parameters, inputs);
        self.graph.outputs().iter().map(|output| results[output.node.0].clone()).collect()
    }

    /// The parameters after a forward pass in training, which moves the moving averages: at each
    /// node of a batch normalization in turn, moving·momentum + batch·(1 − momentum).
    pub(crate) fn parameters_after(
        &self,
        parameters: &[Vec<f64>],
        inputs: &[Vec<f64>],
    ) -> Vec<Vec<f64>> {
        let results = self.run(parameters, inputs);
        let mut after = parameters.to_vec();
        for node in self.graph.nodes() {
            let layer = &self.graph.layers()[node.layer];
            let LayerSpec::BatchNormalization(norm) = &layer.spec else { continue };
            if !self.uses_batch_statistics(layer) {
                continue;
            }
            let batch = batch_statistics(&results[node.inputs[0].0]);
            for (parameter, values) in self.graph.parameters().iter().zip(&mut after) {
                let batch = match parameter.name {
                    "moving_mean" if parameter.layer == node.layer => &batch.mean,
                    "moving_variance" if parameter.layer == node.layer => &batch.variance,
                    _ => continue,
                };
                for (moving, batch) in values.iter_mut().zip(batch) {
                    *moving = *moving * norm.momentum + batch * (1.0 - norm.momentum);
                }
            }
        }
        after
    }

    /// The parameters of layer number `layer`, by name.
    fn own(&self, layer: usize, parameters: &[Vec<f64>]) -> BTreeMap<&'static str, ArrayD<f64>> {
        (self.graph.parameters().iter().zip(parameters))
            .filter(|(parameter, _)| parameter.layer == layer)
            .map(|(parameter, values)| {
                let shape = parameter.shape.dims();
                let array = ArrayD::from_shape_vec(shape, values.clone());
                (parameter.name, array.expect("as many values as the parameter has elements"))
            })
            .collect()
    }

    fn uses_batch_statistics(&self, layer: &Layer) -> bool {
        layer.trainable && matches!(self.mode, Mode::Training { .. })
    }

    /// Which of `length` values the dropout at `node` keeps; `None` for all, unscaled.
    fn kept(&self, node: NodeId, length: usize) -> Option<&[bool]> {
        let Mode::Training { kept, .. } = &self.mode else { return None };
        let LayerSpec::Dropout(dropout) = &self.graph.layer_of(node).spec else { return None };
        if dropout.rate == 0.0 {
            return None;
        }
        let kept = kept.get(&node).expect("which values a dropout keeps is passed in");
        assert_eq!(kept.len(), length, "one decision for each value of the batch");
        Some(kept)
    }
}

/// The numbers drawn, in the shape of `x`.
fn normal(x: &ArrayD<f64>, numbers: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(x.shape(), numbers.to_vec()).expect("a number for each value")
}
