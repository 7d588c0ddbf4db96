//! Activation functions as operations of TensorFlow.

use super::nodes::{Nodes, Ref, kind, real};
use crate::model::Activation;
use crate::wire::tensorflow::DataType;

impl Nodes {
    /// `activation` of `x`.
    pub(super) fn activate(&mut self, activation: Activation, x: &str) -> Ref {
        match activation {
            Activation::Linear => x.to_owned(),
            Activation::Relu => self.apply("Relu", &[x]),
            Activation::Relu6 => self.apply("Relu6", &[x]),
            Activation::LeakyRelu { negative_slope } => {
                let attributes =
                    vec![("T", kind(DataType::Float)), ("alpha", real(negative_slope))];
                self.add("LeakyRelu", &[x], attributes)
            }
            Activation::Elu { alpha: 1.0 } => self.apply("Elu", &[x]),
            Activation::Elu { alpha } => {
                let below = self.below_zero(x);
                let below = self.apply("Elu", &[&below]);
                self.bent(x, &below, alpha)
            }
            Activation::Selu => self.apply("Selu", &[x]),
            Activation::Gelu => {
                let scaled = self.times(x, std::f64::consts::FRAC_1_SQRT_2);
                let erf = self.apply("Erf", &[&scaled]);
                self.half_of_one_more(x, &erf)
            }
            Activation::GeluTanh => {
                let square = self.apply("Square", &[x]);
                let cube = self.apply("Mul", &[&square, x]);
                let cube = self.times(&cube, 0.044_715);
                let sum = self.apply("AddV2", &[x, &cube]);
                let sum = self.times(&sum, (2.0 / std::f64::consts::PI).sqrt());
                let tanh = self.apply("Tanh", &[&sum]);
                self.half_of_one_more(x, &tanh)
            }
            Activation::Silu => self.gated(x, "Sigmoid"),
            Activation::Sigmoid => self.apply("Sigmoid", &[x]),
            Activation::Tanh => self.apply("Tanh", &[x]),
            Activation::Softplus => self.apply("Softplus", &[x]),
            Activation::Softmax => self.apply("Softmax", &[x]),
            Activation::LogSoftmax => self.apply("LogSoftmax", &[x]),
            Activation::ClippedRelu { max_value, negative_slope, threshold } => {
                let below = match negative_slope {
                    0.0 => self.number(0.0),
                    slope => {
                        let less = self.plus(x, -threshold);
                        self.times(&less, slope)
                    }
                };
                let bent = self.select_above(x, threshold, x, &below);
                if max_value.is_finite() { self.at_most(&bent, max_value) } else { bent }
            }
            Activation::Exponential => self.apply("Exp", &[x]),
            Activation::Softsign => self.apply("Softsign", &[x]),
            Activation::HardSigmoid => self.hard_sigmoid(x),
            Activation::HardSigmoidKeras2 => {
                let line = self.times(x, 0.2);
                let line = self.plus(&line, 0.5);
                self.within(&line, 0.0, 1.0)
            }
            Activation::HardSilu => {
                let gate = self.hard_sigmoid(x);
                self.apply("Mul", &[x, &gate])
            }
            Activation::HardTanh => self.within(x, -1.0, 1.0),
            Activation::Mish => {
                let softplus = self.apply("Softplus", &[x]);
                let tanh = self.apply("Tanh", &[&softplus]);
                self.apply("Mul", &[x, &tanh])
            }
            Activation::LogSigmoid => {
                let negative = self.apply("Neg", &[x]);
                let softplus = self.apply("Softplus", &[&negative]);
                self.apply("Neg", &[&softplus])
            }
            Activation::Celu { alpha } => {
                let below = self.below_zero(x);
                let by = self.number(alpha);
                let below = self.apply("RealDiv", &[&below, &by]);
                let below = self.apply("Expm1", &[&below]);
                self.bent(x, &below, alpha)
            }
            Activation::SoftShrink { threshold } => {
                let near = self.within(x, -threshold, threshold);
                self.apply("Sub", &[x, &near])
            }
            Activation::HardShrink { threshold } => {
                let size = self.apply("Abs", &[x]);
                let zero = self.number(0.0);
                self.select_above(&size, threshold, x, &zero)
            }
            Activation::TanhShrink => {
                let tanh = self.apply("Tanh", &[x]);
                self.apply("Sub", &[x, &tanh])
            }
            Activation::Squareplus { b } => {
                let square = self.apply("Square", &[x]);
                let square = self.plus(&square, b);
                let root = self.apply("Sqrt", &[&square]);
                let sum = self.apply("AddV2", &[x, &root]);
                self.times(&sum, 0.5)
            }
            Activation::SparsePlus => {
                // (x + 1)² / 4 is 0 at −1, and at 1 it is 1, from where the line goes on.
                let near = self.within(x, -1.0, 1.0);
                let near = self.plus(&near, 1.0);
                let square = self.apply("Square", &[&near]);
                let curve = self.times(&square, 0.25);
                let beyond = self.plus(x, -1.0);
                let beyond = self.apply("Relu", &[&beyond]);
                self.apply("AddV2", &[&curve, &beyond])
            }
            Activation::SparseSigmoid => {
                let near = self.within(x, -1.0, 1.0);
                let near = self.plus(&near, 1.0);
                self.times(&near, 0.5)
            }
            Activation::Threshold { threshold, value } => {
                let value = self.number(value);
                self.select_above(x, threshold, x, &value)
            }
        }
    }

    pub(super) fn times(&mut self, x: &str, factor: f64) -> Ref {
        let factor = self.number(factor);
        self.apply("Mul", &[x, &factor])
    }

    pub(super) fn plus(&mut self, x: &str, more: f64) -> Ref {
        let more = self.number(more);
        self.apply("AddV2", &[x, &more])
    }

    fn at_most(&mut self, x: &str, limit: f64) -> Ref {
        let limit = self.number(limit);
        self.apply("Minimum", &[x, &limit])
    }

    fn within(&mut self, x: &str, least: f64, most: f64) -> Ref {
        let x = self.at_most(x, most);
        let least = self.number(least);
        self.apply("Maximum", &[&x, &least])
    }

    /// min(x, 0)
    fn below_zero(&mut self, x: &str) -> Ref {
        self.at_most(x, 0.0)
    }

    /// x where positive, else `factor`·`below`.
    fn bent(&mut self, x: &str, below: &str, factor: f64) -> Ref {
        let below = self.times(below, factor);
        self.select_above(x, 0.0, x, &below)
    }

    /// x·`op`(x)
    fn gated(&mut self, x: &str, op: &str) -> Ref {
        let gate = self.apply(op, &[x]);
        self.apply("Mul", &[x, &gate])
    }

    /// relu6(x + 3) / 6
    fn hard_sigmoid(&mut self, x: &str) -> Ref {
        let moved = self.plus(x, 3.0);
        let clipped = self.apply("Relu6", &[&moved]);
        self.times(&clipped, 1.0 / 6.0)
    }

    /// x·(1 + y) / 2
    fn half_of_one_more(&mut self, x: &str, y: &str) -> Ref {
        let (half, more) = (self.times(x, 0.5), self.plus(y, 1.0));
        self.apply("Mul", &[&half, &more])
    }

    /// `above` where x is above the threshold, else `other`.
    fn select_above(&mut self, x: &str, threshold: f64, above: &str, other: &str) -> Ref {
        let threshold = self.number(threshold);
        let is_above = self.apply("Greater", &[x, &threshold]);
        self.apply("SelectV2", &[&is_above, above, other])
    }
}
