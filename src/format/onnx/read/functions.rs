//! Functions of each number by itself.

use super::attributes::Attributes;
use super::operators::Read;
use super::{Building, Wanted};
use crate::format::FormatError;
use crate::format::operations::{Constant, Elementwise, Kind};
use crate::model::Activation;

impl Building<'_> {
    /// The function that a node is, if its operator is one.
    pub(super) fn function(
        &mut self,
        attributes: &Attributes<'_>,
        inputs: &[Wanted],
    ) -> Result<Option<Read>, FormatError> {
        let inputs = inputs.to_vec();
        let function = match attributes.0.op_type.as_str() {
            "Relu" => Activation::Relu,
            "Sigmoid" => Activation::Sigmoid,
            "Tanh" => Activation::Tanh,
            "Softplus" => Activation::Softplus,
            "Softsign" => Activation::Softsign,
            "Exp" => Activation::Exponential,
            "Mish" => Activation::Mish,
            "HardSwish" => Activation::HardSilu,
            "Swish" if attributes.float("alpha", 1.0)? == 1.0 => Activation::Silu,
            "Gelu" => match attributes.text("approximate", "none")? {
                "tanh" => Activation::GeluTanh,
                "none" => Activation::Gelu,
                _ => {
                    return Err(attributes
                        .fault("approximates in a way that ONNX does not know")
                        .into());
                }
            },
            "LeakyRelu" => {
                Activation::LeakyRelu { negative_slope: attributes.float("alpha", 0.01)? }
            }
            "Elu" => Activation::Elu { alpha: attributes.float("alpha", 1.0)? },
            "Celu" => Activation::Celu { alpha: attributes.float("alpha", 1.0)? },
            "Selu" => {
                let alpha = attributes.float("alpha", Activation::SELU_ALPHA)?;
                let gamma = attributes.float("gamma", Activation::SELU_SCALE)?;
                match is_near(alpha, Activation::SELU_ALPHA)
                    && is_near(gamma, Activation::SELU_SCALE)
                {
                    true => Activation::Selu,
                    false => return Ok(Some(self.scaled_elu(alpha, gamma, inputs))),
                }
            }
            "HardSigmoid" => {
                let alpha = attributes.float("alpha", 0.2)?;
                match attributes.float("beta", 0.5)? {
                    0.5 if is_near(alpha, 1.0 / 6.0) => Activation::HardSigmoid,
                    0.5 if is_near(alpha, 0.2) => Activation::HardSigmoidKeras2,
                    beta => return Ok(Some(self.clipped_line(alpha, beta, inputs))),
                }
            }
            "ThresholdedRelu" => {
                Activation::Threshold { threshold: attributes.float("alpha", 1.0)?, value: 0.0 }
            }
            "Shrink" => {
                let threshold = attributes.float("lambd", 0.5)?;
                match attributes.float("bias", 0.0)? {
                    0.0 => Activation::HardShrink { threshold },
                    bias if bias == threshold => Activation::SoftShrink { threshold },
                    _ => {
                        return Err(attributes
                            .fault("shrinks by one number and from another")
                            .into());
                    }
                }
            }
            _ => return Ok(None),
        };
        Ok(Some((Kind::Activation(function), inputs)))
    }

    /// γ·elu(x)
    fn scaled_elu(&mut self, alpha: f64, gamma: f64, inputs: Vec<Wanted>) -> Read {
        let elu = self.operation(Kind::Activation(Activation::Elu { alpha }), inputs);
        let gamma = self.constant(Constant::float(nearest(gamma)));
        (Kind::Elementwise(Elementwise::Multiply), vec![elu, gamma])
    }

    /// α·x + β between 0 and 1.
    fn clipped_line(&mut self, alpha: f64, beta: f64, inputs: Vec<Wanted>) -> Read {
        let [alpha, beta, zero, one] =
            [alpha, beta, 0.0, 1.0].map(|number| self.constant(Constant::float(nearest(number))));
        let x = inputs.into_iter().next().unwrap_or(Wanted::Nothing);
        let scaled = self.operation(Kind::Elementwise(Elementwise::Multiply), vec![x, alpha]);
        let moved = self.operation(Kind::Elementwise(Elementwise::Add), vec![scaled, beta]);
        (Kind::Clip, vec![moved, zero, one])
    }
}

/// An attribute as the f32 that it was.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
fn nearest(number: f64) -> f32 {
    number as f32
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}
