//! Functions in two pieces, as files spell them out: which piece holds is told by comparing x with a number.

use super::elementwise::limited;
use super::{Lowering, Traced};
use crate::format::operations::place::Placed;
use crate::format::operations::sketch::Step;
use crate::format::operations::{Comparison, Function, LoweringError, Operation};
use crate::model::{Activation, LayerSpec};

/// How far numbers of the pieces may be from those of the function: they are f32 in files.
const NEAR: f64 = 1e-6;

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= NEAR * (1.0 + b.abs())
}

impl Lowering<'_, '_> {
    /// x compared with a number of the file, on whichever side it stands.
    pub(super) fn compare(
        &mut self,
        operation: &Operation,
        comparison: Comparison,
    ) -> Result<Placed, LoweringError> {
        let known = |value: &Option<Traced<'_>>| match value {
            Some(Traced::Known(constant)) => constant.scalar().map(f64::from),
            _ => None,
        };
        let (a, b) = (self.get(operation, 0)?, self.get(operation, 1)?);
        let (x, threshold, comparison) = match (&a, &b) {
            (Some(Traced::Placed(x)), number) => (x, known(number), comparison),
            (number, Some(Traced::Placed(x))) => (x, known(number), comparison.swapped()),
            _ => return Err(self.contradiction()),
        };
        let what = "compares with what is no number of the file";
        let threshold = threshold.ok_or_else(|| self.unsupported(what))?;
        let function = Function::Compared { comparison, threshold };
        Ok(x.at(self.step(Step::Function(function), x.node)?))
    }

    /// (condition, what holds if it is true, what holds otherwise)
    pub(super) fn select(&mut self, operation: &Operation) -> Result<Placed, LoweringError> {
        let what = "chooses between values in a way that keepnet has no layer for";
        let condition = self.placed(operation, 0)?;
        let Some(&Step::Function(Function::Compared { comparison, threshold })) =
            self.sketch.step(condition.node)
        else {
            return Err(self.unsupported(what));
        };
        let x = self.sketch.source(condition.node).ok_or_else(|| self.contradiction())?;
        let (above, below) = match comparison {
            Comparison::Greater | Comparison::GreaterOrEqual => (1, 2),
            Comparison::Less | Comparison::LessOrEqual => (2, 1),
        };
        let above = match self.get(operation, above)? {
            Some(Traced::Placed(piece)) if piece.axes == condition.axes => {
                piece.node == x || (threshold >= 0.0 && self.is_x_where_positive(piece.node, x))
            }
            _ => false,
        };
        let function = match self.get(operation, below)? {
            Some(Traced::Known(number)) => number.scalar().map(|value| {
                let value = f64::from(value);
                (Activation::Threshold { threshold, value }, value)
            }),
            Some(Traced::Placed(below)) if below.axes == condition.axes => {
                self.below(x, threshold, below.node)
            }
            _ => None,
        };
        let (function, value) = function.filter(|_| above).ok_or_else(|| self.unsupported(what))?;
        // What holds at the threshold itself.
        let is_strict = matches!(comparison, Comparison::Greater | Comparison::LessOrEqual);
        if !is_strict && value != threshold {
            return Err(self.unsupported(what));
        }
        let function = match function {
            Activation::Threshold { threshold: 0.0, value: 0.0 } => Activation::Relu,
            function => function,
        };
        Ok(condition.at(self.layer(function, &[x])?))
    }

    /// The function that is x above the threshold, and `below` elsewhere; and what `below` is at the
    /// threshold.
    fn below(&self, x: usize, threshold: f64, below: usize) -> Option<(Activation, f64)> {
        let (source, scale, offset) = self.sketch.affine(below);
        if source == x {
            let negative_slope = scale;
            let value = scale * threshold + offset;
            let is_leaky = threshold == 0.0 && offset == 0.0;
            return match (is_leaky, is_near(offset, -scale * threshold)) {
                (true, _) => Some((Activation::LeakyRelu { negative_slope }, value)),
                (false, true) => {
                    let max_value = f64::INFINITY;
                    let function = Activation::ClippedRelu { max_value, negative_slope, threshold };
                    Some((function, 0.0))
                }
                (false, false) => None,
            };
        }
        let inner = self.sketch.source(source)?;
        // All others meet x at 0.
        let bent = |function| (threshold == 0.0).then_some((function, 0.0));
        match self.sketch.step(source)? {
            Step::Layer(LayerSpec::Activation(function), _) => match *function {
                Activation::Elu { alpha } if offset == 0.0 && self.is_below_zero(inner, x) => {
                    bent(Activation::Elu { alpha: alpha * scale })
                }
                Activation::Exponential if offset == -scale && self.is_below_zero(inner, x) => {
                    bent(Activation::Elu { alpha: scale })
                }
                _ => None,
            },
            Step::Function(Function::ExponentialLessOne) if offset == 0.0 => {
                let (inner, by, plus) = self.sketch.affine(inner);
                if plus != 0.0 || !self.is_below_zero(inner, x) {
                    return None;
                }
                match (by == 1.0, is_near(by * scale, 1.0)) {
                    (true, _) => bent(Activation::Elu { alpha: scale }),
                    (false, true) => bent(Activation::Celu { alpha: scale }),
                    (false, false) => None,
                }
            }
            _ => None,
        }
    }

    fn is_x_where_positive(&self, node: usize, x: usize) -> bool {
        let is_function = matches!(
            self.sketch.spec(node),
            Some(LayerSpec::Activation(
                Activation::Elu { .. } | Activation::Relu | Activation::LeakyRelu { .. }
            ))
        );
        is_function && self.sketch.source(node) == Some(x)
    }

    /// Whether `node` is x where x is negative: x itself, or the lesser of it and 0.
    fn is_below_zero(&self, node: usize, x: usize) -> bool {
        let lesser = LayerSpec::Activation(limited(0.0, 1.0));
        let is_lesser = self.sketch.spec(node) == Some(&lesser);
        node == x || (is_lesser && self.sketch.source(node) == Some(x))
    }
}

#[cfg(test)]
mod tests {
    use crate::bytes::Budget;
    use crate::format::LoadOptions;
    use crate::format::operations::{
        Comparison, Constant, Input, Kind, LoweringError, Operation, Program, ValueId, lower,
    };
    use crate::model::{Activation, LayerSpec};

    /// The function that x becomes where it is compared with 0.5, and 0.25 stands in the other place.
    fn chosen(comparison: Comparison, x_first: bool) -> Result<Vec<LayerSpec>, LoweringError> {
        let [x, threshold, value, condition, result] = [0, 1, 2, 3, 4].map(ValueId);
        let pieces = if x_first { [x, value] } else { [value, x] };
        let operation = |kind, inputs: &[ValueId], output| Operation {
            name: "choice".to_owned(),
            kind,
            inputs: inputs.iter().copied().map(Some).collect(),
            output,
        };
        let program = Program {
            inputs: vec![Input {
                name: "x".to_owned(),
                value: x,
                dims: Some(vec![None, Some(3)]),
                is_whole: false,
            }],
            constants: [(threshold, Constant::float(0.5)), (value, Constant::float(0.25))].into(),
            operations: vec![
                operation(Kind::Compare(comparison), &[x, threshold], condition),
                operation(Kind::Select, &[condition, pieces[0], pieces[1]], result),
            ],
            outputs: vec![("y".to_owned(), result)],
            ..Program::default()
        };
        let lowered = lower(program, &LoadOptions::default(), &mut Budget::new(1 << 20))?;
        Ok(lowered.graph.layers().iter().skip(1).map(|layer| layer.spec.clone()).collect())
    }

    #[test]
    fn the_side_and_the_threshold_itself_decide() {
        let threshold = LayerSpec::from(Activation::Threshold { threshold: 0.5, value: 0.25 });
        assert_eq!(chosen(Comparison::Greater, true), Ok(vec![threshold.clone()]));
        assert_eq!(chosen(Comparison::LessOrEqual, false), Ok(vec![threshold]));
        for (comparison, x_first) in [
            // At the threshold itself it would be x.
            (Comparison::GreaterOrEqual, true),
            (Comparison::Less, false),
            // x below the threshold.
            (Comparison::Greater, false),
            (Comparison::Less, true),
        ] {
            let refused = chosen(comparison, x_first);
            assert!(matches!(refused, Err(LoweringError::Unsupported { .. })), "{refused:?}");
        }
    }
}
