//! Activation functions in the operators of ONNX.

use super::nodes::{Nodes, Order, Written, float, int};
use crate::format::onnx::OnnxError;
use crate::model::Activation;

impl Nodes<'_> {
    /// What `function` gives for a value of so many axes (the batch counted).
    pub(super) fn activation(
        &mut self,
        layer: &str,
        function: Activation,
        (order, x): Written,
        rank: usize,
    ) -> Result<Written, OnnxError> {
        let last_axis = match order {
            Order::ChannelsFirst if rank > 2 => 1,
            _ => -1,
        };
        let x = x.as_str();
        let y = match function {
            Activation::Linear => x.to_owned(),
            Activation::Relu => self.node("Relu", &[x], []),
            Activation::Relu6 => self.clip(x, 0.0, 6.0),
            Activation::LeakyRelu { negative_slope } => self.leaky(x, negative_slope),
            Activation::Elu { alpha } => self.node("Elu", &[x], [float("alpha", alpha)]),
            Activation::Selu => {
                let (alpha, gamma) = (Activation::SELU_ALPHA, Activation::SELU_SCALE);
                self.node("Selu", &[x], [float("alpha", alpha), float("gamma", gamma)])
            }
            Activation::Gelu => {
                let inner = self.times(x, std::f64::consts::FRAC_1_SQRT_2);
                let erf = self.node("Erf", &[&inner], []);
                self.half_of_one_more(x, &erf)
            }
            Activation::GeluTanh => {
                let square = self.node("Mul", &[x, x], []);
                let cube = self.node("Mul", &[&square, x], []);
                let cube = self.times(&cube, 0.044_715);
                let sum = self.node("Add", &[x, &cube], []);
                let inner = self.times(&sum, (2.0 / std::f64::consts::PI).sqrt());
                let tanh = self.node("Tanh", &[&inner], []);
                self.half_of_one_more(x, &tanh)
            }
            Activation::Silu => {
                let sigmoid = self.node("Sigmoid", &[x], []);
                self.node("Mul", &[x, &sigmoid], [])
            }
            Activation::Sigmoid => self.node("Sigmoid", &[x], []),
            Activation::Tanh => self.node("Tanh", &[x], []),
            Activation::Softplus => self.node("Softplus", &[x], []),
            Activation::Softmax => self.node("Softmax", &[x], [int("axis", last_axis)]),
            Activation::LogSoftmax => self.node("LogSoftmax", &[x], [int("axis", last_axis)]),
            Activation::ClippedRelu { max_value, negative_slope, threshold } => {
                let bent = self.bent(x, negative_slope, threshold);
                if max_value == f64::INFINITY {
                    bent
                } else {
                    let limit = self.float("max_value", max_value);
                    self.node("Min", &[&bent, &limit], [])
                }
            }
            Activation::Exponential => self.node("Exp", &[x], []),
            Activation::Softsign => self.node("Softsign", &[x], []),
            Activation::HardSigmoid => self.hard_sigmoid(x, 1.0 / 6.0),
            Activation::HardSigmoidKeras2 => self.hard_sigmoid(x, 0.2),
            Activation::HardSilu => self.node("HardSwish", &[x], []),
            Activation::HardTanh => self.clip(x, -1.0, 1.0),
            Activation::Mish => {
                let softplus = self.node("Softplus", &[x], []);
                let tanh = self.node("Tanh", &[&softplus], []);
                self.node("Mul", &[x, &tanh], [])
            }
            Activation::LogSigmoid => {
                let negative = self.node("Neg", &[x], []);
                let softplus = self.node("Softplus", &[&negative], []);
                self.node("Neg", &[&softplus], [])
            }
            Activation::Celu { alpha } if alpha > 0.0 => {
                self.node("Celu", &[x], [float("alpha", alpha)])
            }
            // Where α is negative, ONNX' definition is another function.
            Activation::Celu { .. } => {
                let what = "celu of a negative alpha";
                let remedy = "replace the function, or save as `.keras`";
                return Err(OnnxError::NoWords { layer: layer.to_owned(), what, remedy });
            }
            Activation::SoftShrink { threshold } => self.shrink(x, threshold, threshold),
            Activation::HardShrink { threshold } => self.shrink(x, threshold, 0.0),
            Activation::TanhShrink => {
                let tanh = self.node("Tanh", &[x], []);
                self.node("Sub", &[x, &tanh], [])
            }
            Activation::Squareplus { b } => {
                let square = self.node("Mul", &[x, x], []);
                let sum = self.plus(&square, b);
                let root = self.node("Sqrt", &[&sum], []);
                let sum = self.node("Add", &[x, &root], []);
                self.times(&sum, 0.5)
            }
            Activation::SparsePlus => {
                let clipped = self.clip(x, -1.0, 1.0);
                let more = self.plus(&clipped, 1.0);
                let square = self.node("Mul", &[&more, &more], []);
                let curve = self.times(&square, 0.25);
                let beyond = self.plus(x, -1.0);
                let beyond = self.node("Relu", &[&beyond], []);
                self.node("Add", &[&curve, &beyond], [])
            }
            Activation::SparseSigmoid => {
                let clipped = self.clip(x, -1.0, 1.0);
                let more = self.plus(&clipped, 1.0);
                self.times(&more, 0.5)
            }
            Activation::Threshold { threshold, value } => {
                let threshold = self.float("threshold", threshold);
                let value = self.float("value", value);
                let above = self.node("Greater", &[x, &threshold], []);
                self.node("Where", &[&above, x, &value], [])
            }
        };
        Ok((order, y))
    }

    pub(super) fn times(&mut self, x: &str, factor: f64) -> String {
        let factor = self.float("factor", factor);
        self.node("Mul", &[x, &factor], [])
    }

    pub(super) fn plus(&mut self, x: &str, summand: f64) -> String {
        let summand = self.float("summand", summand);
        self.node("Add", &[x, &summand], [])
    }

    fn clip(&mut self, x: &str, low: f64, high: f64) -> String {
        let (low, high) = (self.float("low", low), self.float("high", high));
        self.node("Clip", &[x, &low, &high], [])
    }

    fn leaky(&mut self, x: &str, slope: f64) -> String {
        self.node("LeakyRelu", &[x], [float("alpha", slope)])
    }

    fn hard_sigmoid(&mut self, x: &str, alpha: f64) -> String {
        self.node("HardSigmoid", &[x], [float("alpha", alpha), float("beta", 0.5)])
    }

    fn shrink(&mut self, x: &str, threshold: f64, bias: f64) -> String {
        self.node("Shrink", &[x], [float("bias", bias), float("lambd", threshold)])
    }

    /// x·(y + 1) / 2
    fn half_of_one_more(&mut self, x: &str, y: &str) -> String {
        let more = self.plus(y, 1.0);
        let product = self.node("Mul", &[x, &more], []);
        self.times(&product, 0.5)
    }

    /// x where above `threshold`, else `slope`·(x − `threshold`)
    fn bent(&mut self, x: &str, slope: f64, threshold: f64) -> String {
        if threshold == 0.0 {
            return self.leaky(x, slope);
        }
        let below = self.plus(x, -threshold);
        let below = self.times(&below, slope);
        let threshold = self.float("threshold", threshold);
        let above = self.node("Greater", &[x, &threshold], []);
        self.node("Where", &[&above, x, &below], [])
    }
}
