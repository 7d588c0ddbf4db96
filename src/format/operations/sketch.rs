//! A network in the making: layers, and what is none yet.

use std::collections::BTreeMap;

use super::{Function, LoweringError};
use crate::model::{
    self, Activation, BatchNormalization, ChannelRescaling, Graph, LayerSpec, NamedTensor, Node,
    NodeId, Output, Rescaling, output_shape,
};
use crate::tensor::{DType, Shape, Tensor};

/// What a node of the sketch does.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// With its numbers, by the names of the parameters.
    Layer(LayerSpec, Vec<(&'static str, Tensor<'static>)>),
    /// x·scale + offset: of one number each, or of one for each place along the last axis.
    Affine { scale: Vec<f64>, offset: Vec<f64> },
    /// What no layer does. It is gone in the end, or the network is refused.
    Function(Function),
}

#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) name: String,
    pub(super) step: Step,
    pub(super) inputs: Vec<usize>,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) struct Sketch {
    pub(super) nodes: Vec<Drawn>,
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<(String, usize)>,
    /// Nodes, and inputs of nodes; and the most of both.
    size: u64,
    limit: u64,
}

impl Sketch {
    pub(super) fn new(limit: u64) -> Self {
        Self { nodes: Vec::new(), inputs: Vec::new(), outputs: Vec::new(), size: 0, limit }
    }

    pub(super) fn layer(
        &mut self,
        name: &str,
        spec: impl Into<LayerSpec>,
        inputs: &[usize],
    ) -> Result<usize, LoweringError> {
        self.add(name, Step::Layer(spec.into(), Vec::new()), inputs)
    }

    pub(super) fn add(
        &mut self,
        name: &str,
        step: Step,
        inputs: &[usize],
    ) -> Result<usize, LoweringError> {
        self.size = self.size.saturating_add(1 + inputs.len() as u64);
        if self.size > self.limit {
            return Err(LoweringError::TooManyNodes { limit: self.limit });
        }
        let shapes: Vec<&Shape> =
            inputs.iter().filter_map(|&input| Some(&self.nodes.get(input)?.shape)).collect();
        let shape = match &step {
            Step::Layer(spec, _) => {
                let layer =
                    model::Layer { name: name.to_owned(), spec: spec.clone(), trainable: true };
                output_shape(&layer, &shapes)?
            }
            Step::Affine { .. } | Step::Function(_) => {
                shapes.first().map_or_else(Shape::default, |&shape| shape.clone())
            }
        };
        self.nodes.push(Drawn { name: name.to_owned(), step, inputs: inputs.to_vec(), shape });
        Ok(self.nodes.len() - 1)
    }

    pub(super) fn shape(&self, node: usize) -> Shape {
        self.nodes.get(node).map_or_else(Shape::default, |node| node.shape.clone())
    }

    pub(super) fn step(&self, node: usize) -> Option<&Step> {
        self.nodes.get(node).map(|node| &node.step)
    }

    pub(super) fn spec(&self, node: usize) -> Option<&LayerSpec> {
        match self.step(node)? {
            Step::Layer(spec, _) => Some(spec),
            Step::Affine { .. } | Step::Function(_) => None,
        }
    }

    /// The first input of `node`.
    pub(super) fn source(&self, node: usize) -> Option<usize> {
        self.nodes.get(node)?.inputs.first().copied()
    }

    /// `x` such that `node` is x·scale + offset, with numbers that are one for all values.
    pub(super) fn affine(&self, node: usize) -> (usize, f64, f64) {
        if let (Some(Step::Affine { scale, offset }), Some(source)) =
            (self.step(node), self.source(node))
            && let ([outer_scale], [outer_offset]) = (scale.as_slice(), offset.as_slice())
        {
            // Such are not put upon each other, so one step is all.
            return (source, *outer_scale, *outer_offset);
        }
        (node, 1.0, 0.0)
    }

    /// How many nodes and outputs take each node's result, those alone counted that lead to an output.
    pub(super) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.nodes.len()];
        for (_, node) in &self.outputs {
            if let Some(uses) = uses.get_mut(*node) {
                *uses += 1;
            }
        }
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if uses.get(index).is_some_and(|&uses| uses > 0) {
                for &input in &node.inputs {
                    if let Some(uses) = uses.get_mut(input) {
                        *uses += 1;
                    }
                }
            }
        }
        uses
    }

    /// The network and its numbers: what leads to an output. `left_out` are the inputs that do not.
    pub(super) fn finish(
        self,
        name: &str,
    ) -> Result<(Graph, Vec<NamedTensor<'static>>, Vec<String>), LoweringError> {
        let uses = self.uses();
        self.check_functions(&uses)?;
        let Self { nodes: drawn, inputs, outputs, .. } = self;
        let mut names = Names::default();
        let (mut layers, mut nodes, mut tensors) = (Vec::new(), Vec::new(), Vec::new());
        let mut numbers: BTreeMap<usize, NodeId> = BTreeMap::new();
        let mut left_out = Vec::new();
        for (index, node) in drawn.into_iter().enumerate() {
            if uses.get(index).is_none_or(|&uses| uses == 0) {
                if inputs.contains(&index) {
                    left_out.push(node.name);
                }
                continue;
            }
            let (spec, parameters) = node.step.into_layer(&node.shape);
            let layer = names.free(&node.name, spec.kind());
            let named = parameters.into_iter();
            tensors.extend(named.map(|(name, it)| NamedTensor::new(format!("{layer}/{name}"), it)));
            layers.push(model::Layer { name: layer, spec, trainable: true });
            let sources = node.inputs.iter().filter_map(|input| numbers.get(input).copied());
            nodes.push(Node { layer: layers.len() - 1, inputs: sources.collect() });
            numbers.insert(index, NodeId(nodes.len() - 1));
        }
        let inputs = inputs.iter().filter_map(|input| numbers.get(input).copied()).collect();
        let mut taken = Names::default();
        let outputs = outputs.into_iter().filter_map(|(name, node)| {
            Some(Output { name: taken.free(&name, "output"), node: *numbers.get(&node)? })
        });
        let graph = Graph::new(
            Names::default().free(name, "model"),
            layers,
            nodes,
            inputs,
            outputs.collect(),
        )?;
        // In the order of the graph.
        let mut by_name: BTreeMap<String, NamedTensor<'static>> =
            tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        let parameters = graph.parameters().iter();
        let tensors = parameters.filter_map(|it| by_name.remove(&graph.tensor_name(it))).collect();
        Ok((graph, tensors, left_out))
    }

    fn check_functions(&self, uses: &[usize]) -> Result<(), LoweringError> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (node, &uses) in self.nodes.iter().zip(uses) {
            if let (Step::Function(function), true) = (&node.step, uses > 0) {
                *counts.entry(function.name()).or_default() += 1;
            }
        }
        match counts.is_empty() {
            true => Ok(()),
            false => {
                let counts = counts.into_iter().map(|(name, count)| (name.to_owned(), count));
                Err(LoweringError::Unknown { operations: counts.collect() })
            }
        }
    }
}

impl Step {
    /// Scales and offsets by themselves: of an input they prepare it, behind a layer they are what a
    /// normalisation over batches comes down to.
    fn into_layer(self, shape: &Shape) -> (LayerSpec, Vec<(&'static str, Tensor<'static>)>) {
        match self {
            Self::Layer(spec, parameters) => (spec, parameters),
            Self::Affine { scale, offset } => match (scale.as_slice(), offset.as_slice()) {
                (&[scale], &[offset]) => (Rescaling { scale, offset }.into(), Vec::new()),
                _ => {
                    let channels = shape.dims().last().copied().unwrap_or(1);
                    let all = |mut numbers: Vec<f64>| {
                        let one = numbers.first().copied().unwrap_or(0.0);
                        numbers.resize(channels, one);
                        numbers
                    };
                    let (scale, offset) = (all(scale), all(offset));
                    (ChannelRescaling { scale, offset }.into(), Vec::new())
                }
            },
            // Refused before.
            Self::Function(_) => (Activation::Linear.into(), Vec::new()),
        }
    }

    /// x·γ + β as a normalisation by a mean of 0 and a deviation of exactly 1, which can be trained on.
    pub(super) fn normalization(scale: &[f64], offset: &[f64]) -> Self {
        let norm = BatchNormalization::default();
        let channels = scale.len().max(offset.len());
        let epsilon = nearest(norm.epsilon);
        let all = |numbers: &[f64]| {
            let one = numbers.first().copied().unwrap_or(0.0);
            (0..channels).map(|at| nearest(numbers.get(at).copied().unwrap_or(one))).collect()
        };
        let parameters: [(&'static str, Vec<f32>); 4] = [
            ("gamma", all(scale)),
            ("beta", all(offset)),
            ("moving_mean", vec![0.0; channels]),
            ("moving_variance", vec![1.0 - epsilon; channels]),
        ];
        let parameters =
            parameters.into_iter().filter_map(|(name, values)| Some((name, vector(&values)?)));
        Self::Layer(norm.into(), parameters.collect())
    }
}

pub(super) fn vector(values: &[f32]) -> Option<Tensor<'static>> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor::new(DType::F32, [values.len()], bytes).ok()
}

/// One number for all or one for each, with the like.
pub(super) fn pairwise(a: &[f64], b: &[f64], apply: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let at = |numbers: &[f64], index: usize| match *numbers {
        [one] => one,
        _ => numbers.get(index).copied().unwrap_or(f64::NAN),
    };
    (0..a.len().max(b.len())).map(|index| apply(at(a, index), at(b, index))).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
pub(super) fn nearest(number: f64) -> f32 {
    number as f32
}

/// Names that are taken.
#[derive(Default)]
struct Names(BTreeMap<String, usize>);

impl Names {
    /// `name` without what no name may hold, or `otherwise` if it is empty; numbered if it is taken.
    fn free(&mut self, name: &str, otherwise: &str) -> String {
        // Room for a number.
        let limit = Graph::MAX_NAME - 24;
        let mut base: String = name.chars().filter(|c| !c.is_control()).collect();
        while base.len() > limit {
            base.pop();
        }
        if base.is_empty() {
            otherwise.clone_into(&mut base);
        }
        let mut free = base.clone();
        while self.0.contains_key(&free) {
            let number = self.0.entry(base.clone()).or_default();
            *number += 1;
            free = format!("{base}_{number}");
        }
        self.0.insert(free.clone(), 0);
        free
    }
}
