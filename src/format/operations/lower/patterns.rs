//! Functions that files spell out: products of x with a function of x.

use super::Lowering;
use crate::format::operations::sketch::Step;
use crate::format::operations::{Function, LoweringError};
use crate::model::{Activation, LayerSpec};

/// How far numbers of a pattern may be from those of the function: they are f32 in files.
const NEAR: f64 = 1e-6;

impl Lowering<'_, '_> {
    /// a·b, if that is x·f(x) for a function that keepnet has.
    pub(super) fn gate(&mut self, a: usize, b: usize) -> Result<Option<usize>, LoweringError> {
        for (x, gate) in [(a, b), (b, a)] {
            if let Some((function, x, factor)) = self.gated(x, gate) {
                let y = self.layer(function, &[x])?;
                return Ok(Some(self.affine(y, vec![factor], vec![0.0])?));
            }
        }
        Ok(None)
    }

    /// The function, x, and by what the function is multiplied.
    fn gated(&self, x: usize, gate: usize) -> Option<(Activation, usize, f64)> {
        let sketch = &self.sketch;
        let (x, factor, 0.0) = sketch.affine(x) else { return None };
        let (gate, scale, offset) = sketch.affine(gate);
        // What the gate is a function of.
        let source = sketch.source(gate)?;
        let (inner, by, plus) = sketch.affine(source);
        let is = |number: f64, wanted: f64| (number - wanted).abs() <= NEAR;
        let function = match sketch.step(gate)? {
            Step::Function(Function::Erf) => {
                // It is odd: what it takes may be negated, and then what it gives.
                let (by, scale) = if by < 0.0 { (-by, -scale) } else { (by, scale) };
                let is_gelu = is(by, std::f64::consts::FRAC_1_SQRT_2) && plus == 0.0;
                return (is_gelu && inner == x && is(offset, scale)).then_some((
                    Activation::Gelu,
                    x,
                    factor * scale * 2.0,
                ));
            }
            Step::Layer(LayerSpec::Activation(function), _) => *function,
            _ => return None,
        };
        match function {
            Activation::Sigmoid if inner == x && by == 1.0 && plus == 0.0 && offset == 0.0 => {
                Some((Activation::Silu, x, factor * scale))
            }
            Activation::HardSigmoid if source == x && offset == 0.0 => {
                Some((Activation::HardSilu, x, factor * scale))
            }
            Activation::Relu6 if inner == x && by == 1.0 && plus == 3.0 && offset == 0.0 => {
                Some((Activation::HardSilu, x, factor * scale * 6.0))
            }
            Activation::Tanh if offset == 0.0 => {
                let is_softplus = matches!(
                    sketch.spec(source),
                    Some(LayerSpec::Activation(Activation::Softplus))
                );
                let is_mish = is_softplus && sketch.source(source) == Some(x);
                is_mish.then_some((Activation::Mish, x, factor * scale))
            }
            _ => None,
        }
    }
}
