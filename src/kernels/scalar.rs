//! Elementary functions of single f64 numbers, the same bits on every machine: for what runs once a
//! step or once a number, such as βᵗ in Adam, and schedules. Built as in [`math`](super::math).
//! `docs/DETERMINISM.md` states the errors.

use std::f64::consts::{LN_2, LOG2_E, PI};

/// ln 2 − [`LN_2`]
const LN_2_LOW: f64 = 2.319_046_813_846_299_6e-17;

/// (2·atanh(g) / g − 2) / w in w = g², |g| ≤ (√2 − 1) / (√2 + 1)
const LN: [f64; 8] = [
    0.666_666_666_666_666_6,
    0.400_000_000_000_048_87,
    0.285_714_285_694_261_2,
    0.222_222_226_046_041_3,
    0.181_817_785_419_711_22,
    0.153_869_809_791_947_53,
    0.132_523_179_511_947_34,
    0.132_333_028_333_051_72,
];

/// The natural logarithm of x.
pub(crate) fn ln(x: f64) -> f64 {
    const SQRT_HALF_BITS: i64 = 0x3FE6_A09E_667F_3BCD;
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 || x == f64::INFINITY {
        return if x == 0.0 { f64::NEG_INFINITY } else { x };
    }
    let subnormal = x < f64::MIN_POSITIVE;
    let bits = (if subnormal { x * power_of_2(52) } else { x }).to_bits().cast_signed();
    // x = 2ᵏ·(1 + f), 1 + f from √½ to √2
    let k = (bits - SQRT_HALF_BITS) >> 52;
    let f = f64::from_bits((bits - (k << 52)).cast_unsigned()) - 1.0;
    let k = (if subnormal { k - 52 } else { k }) as f64;
    // With g = f / (2 + f): ln(1 + f) = 2·atanh g = f − f²/2 + g·(f²/2 + w·P(w))
    let g = f / (2.0 + f);
    let w = g * g;
    let half_square = 0.5 * f * f;
    let rest = g.mul_add(w.mul_add(polynomial(w, &LN), half_square), k * LN_2_LOW) - half_square;
    let high = k.mul_add(LN_2, f);
    let low = k.mul_add(LN_2, -high) + f;
    high + (low + rest)
}

/// eˣ: its Taylor series around the nearest whole number of ln 2, times a power of 2.
pub(crate) fn exp(x: f64) -> f64 {
    // 1/n! from n = 0 on; the first term left out is below 2⁻⁵⁸ for |r| ≤ ln 2 / 2.
    const TERMS: [f64; 14] = inverse_factorials(0, 1);
    // Beyond, the result is 0 or ∞ anyway.
    const RANGE: f64 = 800.0;
    if x.is_nan() {
        return f64::NAN;
    }
    let x = if x > RANGE { RANGE } else { x };
    let x = if x < -RANGE { -RANGE } else { x };
    let k = (x * LOG2_E).round();
    let r = k.mul_add(-LN_2_LOW, k.mul_add(-LN_2, x));
    let (k, mantissa) = (k as i64, polynomial(r, &TERMS));
    // In two parts, because 2ᵏ alone may be out of range; only the last product can round.
    mantissa * power_of_2(k / 2) * power_of_2(k - k / 2)
}

/// cos(π·x) for 0 ≤ x ≤ 1, by the Taylor series of sin(π·(½ − x)).
pub(crate) fn cos_of_half_turns(x: f64) -> f64 {
    // ±1/n! of odd n; the first term left out is below 2⁻⁵⁹ for |u| ≤ π/2.
    const TERMS: [f64; 11] = alternating(inverse_factorials(1, 2));
    let u = PI * (0.5 - x);
    u * polynomial(u * u, &TERMS)
}

/// 1/n! for n = first, first + step, …
const fn inverse_factorials<const N: usize>(first: usize, step: usize) -> [f64; N] {
    let mut terms = [1.0; N];
    let (mut factorial, mut n, mut i) = (1.0, 1, 0);
    while i < N {
        // Exact up to 22!, and rounded to 53 bits beyond it is never needed.
        while n <= first + i * step {
            factorial *= n as f64;
            n += 1;
        }
        terms[i] = 1.0 / factorial;
        i += 1;
    }
    terms
}

const fn alternating<const N: usize>(mut terms: [f64; N]) -> [f64; N] {
    let mut i = 1;
    while i < N {
        terms[i] = -terms[i];
        i += 2;
    }
    terms
}

/// baseⁿ by repeated squaring, each product kept as a sum of two floats. 0⁰ = 1, and NaN⁰ too.
pub(crate) fn powi(base: f64, mut n: u64) -> f64 {
    let mut power = (base, 0.0);
    let mut result = (1.0, 0.0);
    loop {
        if n & 1 == 1 {
            result = product(result, power);
        }
        n >>= 1;
        if n == 0 {
            return if result.0.is_nan() { f64::NAN } else { result.0 };
        }
        power = product(power, power);
    }
}

/// (a₀ + a₁)·(b₀ + b₁)
fn product(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let high = a.0 * b.0;
    if !high.is_finite() || high == 0.0 {
        return (high, 0.0); // −0 too
    }
    let low = a.0.mul_add(b.0, -high) + a.0.mul_add(b.1, a.1 * b.0);
    let sum = high + low;
    (sum, (high - sum) + low)
}

/// 2ᵏ, −1022 ≤ k ≤ 1023
fn power_of_2(k: i64) -> f64 {
    f64::from_bits(((k + 1023) << 52).cast_unsigned())
}

/// Σ coefficients[i]·xⁱ by Horner's rule.
fn polynomial<const N: usize>(x: f64, coefficients: &[f64; N]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum: f64, c| sum.mul_add(x, *c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The floats from `a` to `b`.
    fn steps_between(a: f64, b: f64) -> u64 {
        let place = |x: f64| {
            let magnitude = (x.to_bits() & (u64::MAX >> 1)).cast_signed();
            if x.is_sign_negative() { -magnitude } else { magnitude }
        };
        place(a).abs_diff(place(b))
    }

    // std is within one unit in the last place here, so two are allowed between it and ours.
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        #[expect(clippy::disallowed_methods, reason = "std is what we compare with")]
        fn ln_is_that_of_std(
            x in prop::num::f64::POSITIVE | prop::num::f64::SUBNORMAL | prop::num::f64::NORMAL
        ) {
            let x = x.abs();
            prop_assert!(steps_between(ln(x), f64::ln(x)) <= 1, "{x:e}: {:e}", ln(x));
        }

        #[test]
        #[expect(clippy::disallowed_methods, reason = "std is what we compare with")]
        fn ln_near_1_is_that_of_std(x in 0.5..2.0) {
            prop_assert!(steps_between(ln(x), f64::ln(x)) <= 1, "{x:e}: {:e}", ln(x));
        }

        #[test]
        #[expect(clippy::disallowed_methods, reason = "std is what we compare with")]
        fn exp_is_that_of_std(x in prop_oneof![-745.0..709.7, -1.0..1.0]) {
            prop_assert!(steps_between(exp(x), f64::exp(x)) <= 2, "{x:e}: {:e}", exp(x));
        }

        #[test]
        #[expect(clippy::disallowed_methods, reason = "std is what we compare with")]
        fn cos_of_half_turns_is_that_of_std(x in 0.0..=1.0) {
            let (found, expected) = (cos_of_half_turns(x), f64::cos(PI * x));
            prop_assert!((found - expected).abs() <= 4e-16, "{x:e}: {found:e} {expected:e}");
        }

        /// pow of std takes the exponent as f64, exact up to 2⁵³.
        #[test]
        #[expect(clippy::disallowed_methods, reason = "std is what we compare with")]
        fn powi_is_the_power_of_std(
            base in prop_oneof![0.9..1.1, -3.0..3.0, 0.999_999..1.000_001],
            n in prop_oneof![0_u64..2000, 0_u64..1 << 40],
        ) {
            let expected = f64::powf(base, n as f64);
            prop_assert!(steps_between(powi(base, n), expected) <= 1, "{base:e}^{n}: {expected:e}");
        }
    }

    #[test]
    fn special_values_are_as_stated() {
        const INF: f64 = f64::INFINITY;
        let table: [(f64, f64); 25] = [
            (exp(0.0), 1.0),
            (exp(-0.0), 1.0),
            (exp(-INF), 0.0),
            (exp(INF), INF),
            (exp(-f64::NAN), f64::NAN),
            (cos_of_half_turns(0.0), 1.0),
            (cos_of_half_turns(0.5), 0.0),
            (cos_of_half_turns(1.0), -1.0),
            (ln(1.0), 0.0),
            (ln(0.0), -INF),
            (ln(-0.0), -INF),
            (ln(INF), INF),
            (ln(-INF), f64::NAN),
            (ln(-f64::NAN), f64::NAN),
            (powi(0.0, 0), 1.0),
            (powi(f64::NAN, 0), 1.0),
            (powi(-f64::NAN, 3), f64::NAN),
            (powi(-0.0, 3), -0.0),
            (powi(-0.0, 2), 0.0),
            (powi(INF, 2), INF),
            (powi(-INF, 3), -INF),
            (powi(-2.0, 1023), -power_of_2(1023)),
            (powi(2.0, 1024), INF),
            (powi(0.5, 1074), f64::from_bits(1)),
            (powi(-1.0, u64::MAX), -1.0),
        ];
        for (i, (result, expected)) in table.into_iter().enumerate() {
            assert_eq!(result.to_bits(), expected.to_bits(), "row {i}: {result:e}");
        }
    }
}
