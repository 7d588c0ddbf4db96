//! The momentum of Nadam from step to step, in f64 and with the same bits everywhere.

use crate::kernels::scalar;
use crate::model::Nadam;

impl Nadam {
    /// u of step `t`, counted from 1.
    pub(crate) fn momentum_at(&self, t: u64) -> f64 {
        self.beta_1 * (1.0 - self.waning(t))
    }

    /// P(t), the product of the momenta up to step `t`. Keras keeps it as a variable; here it follows
    /// from the step, so that it need not be saved, at the cost of less than 3000 factors: sooner or
    /// later either the product is nothing beside 1, or what wanes is, and the rest is a power of β₁.
    pub(crate) fn momentum_product(&self, t: u64) -> f64 {
        const NOTHING: f64 = 1.0 / (1_u64 << 60) as f64;
        let mut product = 1.0;
        for step in 1..=t {
            let waning = self.waning(step);
            if waning < NOTHING {
                return product * scalar::powi(self.beta_1, t - step + 1);
            }
            product *= self.beta_1 * (1.0 - waning);
            if product < NOTHING {
                break;
            }
        }
        product
    }

    /// ½·0.96^(t·momentum decay)
    fn waning(&self, t: u64) -> f64 {
        /// ln 0.96
        const LN: f64 = -0.040_821_994_520_255_166;
        0.5 * scalar::exp(LN * (self.momentum_decay * t as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The product as it is defined, without an end to the loop.
    #[allow(clippy::disallowed_methods, reason = "what the crate's own are held against")]
    fn product(nadam: &Nadam, t: u64) -> f64 {
        let momentum = |step: u64| {
            let power = (step as f64 * nadam.momentum_decay * 0.96_f64.ln()).exp();
            nadam.beta_1 * (1.0 - 0.5 * power)
        };
        (1..=t).map(momentum).product()
    }

    #[test]
    fn the_product_is_that_of_all_momenta() {
        for beta_1 in [0.0, 0.5, 0.9, 0.999, 0.999_999] {
            for momentum_decay in [0.0, 1e-9, 0.004, 0.3, 1.0, 50.0] {
                let nadam = Nadam { beta_1, momentum_decay, ..Nadam::default() };
                for t in [0, 1, 2, 10, 100, 1000, 5000] {
                    let (found, expected) = (nadam.momentum_product(t), product(&nadam, t));
                    let apart = (found - expected).abs();
                    assert!(apart <= 1e-12 * expected + 1e-18, "{nadam:?} {t}: {found} {expected}");
                }
            }
        }
    }

    /// However far training has come, and however slowly the momentum grows.
    #[test]
    fn the_product_takes_no_long_loop() {
        for momentum_decay in [0.0, 1e-300, 1e-9, 0.004, 0.34, 1.0, 1e300] {
            let beta_1 = 1.0 - f64::EPSILON;
            let nadam = Nadam { beta_1, momentum_decay, ..Nadam::default() };
            let begin = std::time::Instant::now();
            let product = nadam.momentum_product(1 << 53);
            assert!((0.0..1.0).contains(&product), "{product}");
            assert!(begin.elapsed().as_millis() < 100, "{nadam:?}");
        }
    }
}
