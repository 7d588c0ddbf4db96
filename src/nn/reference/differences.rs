//! Gradients by central differences, and the comparison of an engine's gradients with them.

use std::fmt;

use super::case::{Random, shuffled};
use super::losses::{Target, loss, penalty};
use super::{Case, Interpreter, Mode};
use crate::model::{Graph, Loss};

/// The number that is differentiated.
#[derive(Clone, Debug)]
pub(crate) enum Objective {
    /// Σ c·y, with a c for every element of every output, batch-major.
    Cotangents(Vec<Vec<f64>>),
    /// Σ weight · loss over the outputs, and the penalties of `kernel_l2`.
    Losses(Vec<(Loss, f64, Target)>),
}

/// Where a network is differentiated, and what.
#[derive(Clone)]
pub(crate) struct Problem {
    pub(crate) case: Case,
    pub(crate) mode: Mode,
    pub(crate) objective: Objective,
}

/// Without the numbers, which would bury the graph.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let use_or_training = match self.mode {
            Mode::Inference => "in use",
            Mode::Training { .. } => "in training",
        };
        let losses = match &self.objective {
            Objective::Cotangents(_) => Vec::new(),
            Objective::Losses(losses) => losses.iter().map(|(loss, ..)| loss).collect(),
        };
        write!(f, "{use_or_training}, losses {losses:?}, {:?}", self.case)
    }
}

/// A tensor of the network that a gradient belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// By its place in [`Graph::parameters`].
    Parameter(usize),
    /// By its place in [`Graph::inputs`].
    Input(usize),
}

/// The derivative by one element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) variable: Variable,
    /// Counted row-major; of an input over the whole batch.
    pub(crate) element: usize,
    pub(crate) value: f64,
}

impl Problem {
    /// The objective at these parameters and inputs.
    pub(crate) fn value(&self, parameters: &[Vec<f64>], inputs: &[Vec<f64>]) -> f64 {
        let Case { graph, batch, .. } = &self.case;
        let interpreter = Interpreter { graph, batch: *batch, mode: self.mode.clone() };
        let outputs = interpreter.outputs(parameters, inputs);
        match &self.objective {
            Objective::Cotangents(cotangents) => {
                assert_eq!(cotangents.len(), outputs.len(), "one tensor per output");
                let pairs = outputs.iter().zip(cotangents);
                let dot = |y: &ndarray::ArrayD<f64>, c: &Vec<f64>| {
                    assert_eq!(y.len(), c.len(), "one cotangent per element");
                    y.iter().zip(c).map(|(y, c)| y * c).sum::<f64>()
                };
                pairs.map(|(y, c)| dot(y, c)).sum()
            }
            Objective::Losses(losses) => {
                assert_eq!(losses.len(), outputs.len(), "one loss per output");
                let weighted = (outputs.iter().zip(losses))
                    .map(|(y, (kind, weight, target))| weight * loss(*kind, y, target));
                weighted.sum::<f64>() + penalty(graph, parameters)
            }
        }
    }

    /// The derivatives by up to `count` elements, drawn from `seed`, of each trained parameter and
    /// each input. Elements beside a kink are left out.
    pub(crate) fn differences(&self, count: usize, seed: u64) -> Vec<Difference> {
        let graph = &self.case.graph;
        let mut random = Random::new(seed);
        let trained = graph.parameters().iter().enumerate().filter(|(_, p)| graph.is_trained(p));
        let variables = (trained.map(|(index, _)| Variable::Parameter(index)))
            .chain((0..graph.inputs().len()).map(Variable::Input));
        let mut point =
            Point { parameters: self.case.parameters.clone(), inputs: self.case.inputs.clone() };
        let here = self.value(&point.parameters, &point.inputs);
        let mut differences = Vec::new();
        for variable in variables {
            let length = point.tensor(variable).len();
            for &element in shuffled(length, &mut random).iter().take(count) {
                if let Some(value) = self.difference(&mut point, here, variable, element) {
                    differences.push(Difference { variable, element, value });
                }
            }
        }
        differences
    }

    /// Central difference, the objective being `here` at `point`; `None` beside a kink.
    fn difference(
        &self,
        point: &mut Point,
        here: f64,
        variable: Variable,
        element: usize,
    ) -> Option<f64> {
        let start = point.tensor(variable)[element];
        // Truncation costs about step², rounding 1e-16 / step: both far below the errors of f32. A
        // small step seldom meets a kink.
        let step = 1e-6 * start.abs().max(1.0);
        let mut slope = |step: f64| {
            let moved = start + step;
            point.tensor(variable)[element] = moved;
            (self.value(&point.parameters, &point.inputs) - here) / (moved - start)
        };
        let (right, left) = (slope(step), slope(-step));
        point.tensor(variable)[element] = start;
        let value = (left + right) / 2.0;
        // With a kink within a step on one side, that side is wrong and the other right: the mean
        // is wrong by half of what they differ.
        let doubt = (left - right).abs() / 2.0;
        (doubt <= 1e-4 * (1.0 + value.abs())).then_some(value)
    }
}

/// Where the objective is taken.
struct Point {
    parameters: Vec<Vec<f64>>,
    inputs: Vec<Vec<f64>>,
}

impl Point {
    fn tensor(&mut self, variable: Variable) -> &mut Vec<f64> {
        match variable {
            Variable::Parameter(index) => &mut self.parameters[index],
            Variable::Input(index) => &mut self.inputs[index],
        }
    }
}

/// What an engine gives as gradients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gradients {
    /// In the order of [`Graph::parameters`]; `None` where it computes none.
    pub(crate) parameters: Vec<Option<Vec<f64>>>,
    /// In the order of [`Graph::inputs`]; `None` where it computes none.
    pub(crate) inputs: Vec<Option<Vec<f64>>>,
}

impl Gradients {
    fn tensor(&self, variable: Variable) -> Option<&[f64]> {
        let (tensors, index) = match variable {
            Variable::Parameter(index) => (&self.parameters, index),
            Variable::Input(index) => (&self.inputs, index),
        };
        tensors.get(index)?.as_deref()
    }
}

/// Compares an engine's gradients with differences. Rounding is proportional to the terms that are
/// summed, which the largest gradient of the same variable tells best; so the error allowed is
/// `tolerance` times that (or times a hundredth of the largest of all, since a variable's true
/// gradient may be 0 throughout), but not less than `doubt`, which the differences themselves are
/// uncertain by. A trained parameter without a gradient is a fault; an input is not.
pub(crate) fn check(
    graph: &Graph,
    found: &Gradients,
    expected: &[Difference],
    tolerance: f64,
    doubt: f64,
) -> Result<(), Mismatches> {
    let largest = |of: Option<Variable>| {
        let values = expected.iter().filter(|d| of.is_none_or(|variable| d.variable == variable));
        values.map(|difference| difference.value.abs()).fold(0.0, f64::max)
    };
    let overall = largest(None);
    let mut mismatches = Vec::new();
    for difference in expected {
        let variable = difference.variable;
        let value = match found.tensor(variable) {
            Some(values) => values.get(difference.element).copied(),
            None if matches!(variable, Variable::Input(_)) => continue,
            None => None,
        };
        let allowed = (tolerance * largest(Some(variable)).max(overall / 100.0)).max(doubt);
        // Negated, so that NaN is a mismatch.
        if !value.is_some_and(|value| (value - difference.value).abs() <= allowed) {
            let place = place(graph, difference);
            mismatches.push(Mismatch { place, expected: difference.value, found: value, allowed });
        }
    }
    if mismatches.is_empty() {
        return Ok(());
    }
    Err(Mismatches { mismatches, compared: expected.len() })
}

/// The element's layer, tensor, and place in it.
fn place(graph: &Graph, difference: &Difference) -> String {
    let (name, dims) = match difference.variable {
        Variable::Parameter(index) => {
            let parameter = &graph.parameters()[index];
            let layer = &graph.layers()[parameter.layer];
            let kind = layer.spec.kind();
            let name = format!("layer `{}` ({kind}), parameter `{}`", layer.name, parameter.name);
            (name, parameter.shape.dims().to_vec())
        }
        Variable::Input(index) => {
            let node = graph.inputs()[index];
            let name = format!("input `{}`", graph.layer_of(node).name);
            (name, graph.shape(node).batched(1))
        }
    };
    let mut rest = difference.element;
    let mut indices = vec![0; dims.len()];
    for axis in (1..dims.len()).rev() {
        indices[axis] = rest % dims[axis];
        rest /= dims[axis];
    }
    if let Some(outermost) = indices.first_mut() {
        *outermost = rest;
    }
    format!("{name}, element {indices:?}")
}

/// An element where engine and difference disagree.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mismatch {
    place: String,
    expected: f64,
    /// `None` where the engine gives no value.
    found: Option<f64>,
    allowed: f64,
}

/// All elements that disagree; shown are the first few.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) struct Mismatches {
    mismatches: Vec<Mismatch>,
    compared: usize,
}

impl fmt::Display for Mismatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} gradients are wrong", self.mismatches.len(), self.compared)?;
        for Mismatch { place, expected, found, allowed } in self.mismatches.iter().take(8) {
            let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
            write!(f, "\n{place}: expected {expected} ± {allowed:.1e}, found {found}")?;
        }
        Ok(())
    }
}
