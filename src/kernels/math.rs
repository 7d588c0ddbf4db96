//! Elementary functions of f32 vectors, the same bits on every instruction set.
//!
//! Each function reduces its argument to a short interval, takes a polynomial there (its
//! coefficients from `docs/fit-functions.py`), and carries what rounding would lose in a second
//! float, so that the last operation makes most of the error. `docs/DETERMINISM.md` states
//! errors, special values and signs of zero; every NaN in becomes the NaN [`NAN`] out.

use std::f32::consts::{LN_2, LOG2_E};

use super::simd::Simd;

/// The NaN that every computation gives.
pub(crate) const NAN: f32 = f32::from_bits(0x7FC0_0000);

/// ln 2 − [`LN_2`]
const LN_2_LOW: f32 = -1.904_654_2e-9;

const INV_SQRT_2_PI: f32 = 0.398_942_3;

/// 1/√(2π) − [`INV_SQRT_2_PI`]
const INV_SQRT_2_PI_LOW: f32 = -1.133_517e-8;

/// (eʳ − 1 − r) / r², |r| ≤ ln 2 / 2
const EXP: [f32; 6] =
    [0.5, 0.166_666_64, 0.041_666_46, 0.008_333_895, 0.001_393_541_6, 1.957_022e-4];

/// (ln(1 + f) − f) / f², √½ ≤ 1 + f ≤ √2
const LN: [f32; 10] = [
    -0.5,
    0.333_333_1,
    -0.250_000_15,
    0.200_022_27,
    -0.166_677_27,
    0.142_175_63,
    -0.124_097_47,
    0.119_054_13,
    -0.116_551_46,
    0.066_841_56,
];

/// e^(z²/2)·(1 + z)·Φ(−z) = center + t·slope, t = (z − 2.5) / (z + 2.5), 0 ≤ z ≤ 15
const TAIL_CENTER: f32 = 0.494_659_66;
const TAIL_SLOPE: [f32; 10] = [
    -0.091_587_484,
    -0.037_716_698,
    0.046_062_98,
    -0.008_699_492,
    -0.006_048_068_4,
    0.001_282_888_2,
    0.001_264_893_2,
    2.332_323_7e-6,
    -2.276_928_3e-4,
    -6.406_522e-5,
];

/// eˣ
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    // e⁻¹⁰⁴ rounds to 0 and e⁸⁹ to ∞.
    let e = PowerOfE::new(s, clamp(s, x, -104.0, 89.0));
    unless_nan(s, x, scale(s, e.high, e.exponent))
}

/// eˣ − 1
#[inline(always)]
pub(crate) fn expm1<S: Simd>(s: S, x: S::F) -> S::F {
    let (half, _) = half_expm1(s, clamp(s, x, -20.0, 89.0));
    let y = s.add(half, half);
    // x itself where x²/2 is lost in rounding: keeps −0 and the last bit of subnormals.
    let small = s.gt(s.splat(EPSILON_4TH), s.abs(x));
    unless_nan(s, x, s.select(small, x, y))
}

/// The hyperbolic tangent of x.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    // With h = (e^(−2|x|) − 1) / 2: tanh |x| = −h / (1 + h). It rounds to 1 from 9.02 on.
    let a = at_most(s, s.abs(x), 10.0);
    let (high, low) = half_expm1(s, s.mul(a, s.splat(-2.0)));
    let one = s.splat(1.0);
    let divisor = s.add(one, high);
    let divisor_low = s.add(s.add(s.sub(one, divisor), high), low);
    let y = quotient(s, (s.neg(high), s.neg(low)), (divisor, divisor_low));
    unless_nan(s, x, copy_sign(s, y, x))
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    // With t = e^(−|x|) = e·2ᵏ: 1 / (1 + t) for x ≥ 0, else t / (1 + t), multiplied by 2ᵏ last.
    let one = s.splat(1.0);
    let zero = s.splat(0.0);
    let e = PowerOfE::new(s, s.neg(at_most(s, s.abs(x), 105.0)));
    let factor = scale(s, one, e.exponent);
    let divisor = s.mul_add(e.high, factor, one);
    let divisor_low = s.mul_add(e.high, factor, s.sub(one, divisor));
    let divisor_low = s.mul_add(e.low, factor, divisor_low);
    let positive = s.ge(x, zero);
    let dividend = (s.select(positive, one, e.high), s.select(positive, zero, e.low));
    let y = quotient(s, dividend, (divisor, divisor_low));
    unless_nan(s, x, s.select(positive, y, scale(s, y, e.exponent)))
}

/// ln(1 + eˣ)
#[inline(always)]
pub(crate) fn softplus<S: Simd>(s: S, x: S::F) -> S::F {
    // max(x, 0) + ln(1 + t), t = e^(−|x|)
    let one = s.splat(1.0);
    let e = PowerOfE::new(s, s.neg(at_most(s, s.abs(x), 105.0)));
    let t = scale(s, e.high, e.exponent);
    let t_low = scale(s, e.low, e.exponent);
    let u = s.add(one, t);
    let (high, low) = ln_sum(s, u, s.add(s.sub(one, u), t));
    // The slope 1 / (1 + t) is near enough to 1 − t / 2 for what is so small.
    let low = s.add(low, s.mul_add(s.mul(t_low, s.splat(-0.5)), t, t_low));
    let positive = s.gt(x, s.splat(0.0));
    let (sum, lost) = two_sum(s, s.select(positive, x, s.splat(0.0)), high);
    let y = s.add(sum, s.add(lost, low));
    // Above 20, t is lost in rounding (and ∞ must not reach the sum's error).
    unless_nan(s, x, s.select(s.gt(x, s.splat(20.0)), x, y))
}

/// x·Φ(x), Φ the distribution function of the standard normal
#[inline(always)]
pub(crate) fn gelu<S: Simd>(s: S, x: S::F) -> S::F {
    let near = clamp(s, x, -15.0, 15.0); // beyond, Φ(−|x|) and |x|·Φ(−|x|) are 0
    let z = s.abs(near);
    let (tail, exponent) = normal_tail(s, z);
    let right = s.mul_add(s.neg(z), scale(s, tail, exponent), x);
    let left = scale(s, s.mul(near, tail), exponent);
    unless_nan(s, x, s.select(s.gt(x, s.splat(0.0)), right, left))
}

/// The derivative of [`gelu`], Φ(x) + x·φ(x)
#[inline(always)]
pub(crate) fn gelu_derivative<S: Simd>(s: S, x: S::F) -> S::F {
    let z = at_most(s, s.abs(x), 15.0);
    let e = exp_of_half_square(s, z);
    // z·φ(z) / 2^exponent
    let product = s.mul(z, e.high);
    let product_low = s.mul_add(z, e.low, s.mul_add(z, e.high, s.neg(product)));
    let factor = s.splat(INV_SQRT_2_PI);
    let density_low = s.mul_add(product, s.splat(INV_SQRT_2_PI_LOW), s.mul(product_low, factor));
    let density = s.mul_add(product, factor, density_low);
    let left = scale(s, s.sub(tail_of(s, z, &e), density), e.exponent);
    let right = s.sub(s.splat(1.0), left);
    unless_nan(s, x, s.select(s.gt(x, s.splat(0.0)), right, left))
}

/// Below this |x|, x²/2 is less than a quarter of the last bit of x.
const EPSILON_4TH: f32 = f32::EPSILON / 4.0;

/// eˣ = (high + low)·2^exponent, high between 0.7 and 1.42 and low below its last bit.
struct PowerOfE<S: Simd> {
    high: S::F,
    low: S::F,
    exponent: S::I,
}

impl<S: Simd> PowerOfE<S> {
    /// For |x| up to 150.
    #[inline(always)]
    fn new(s: S, x: S::F) -> Self {
        let one = s.splat(1.0);
        let (exponent, r, rest) = reduce_exp(s, x);
        let (p, p_low) = quick_two_sum(s, r, rest);
        let (high, low) = quick_two_sum(s, one, p);
        Self { high, low: s.add(low, p_low), exponent }
    }
}

/// (k, r, rest) with eˣ = 2ᵏ·(1 + r + rest), where r is exact, |r| ≤ ln 2 / 2 and |rest| < 0.08.
#[inline(always)]
fn reduce_exp<S: Simd>(s: S, x: S::F) -> (S::I, S::F, S::F) {
    let k = s.round_to_i32(s.mul(x, s.splat(LOG2_E)));
    let k_float = s.i32_to_f32(k);
    // Exact: for k ≠ 0 both terms are multiples of 2⁻²⁵, and the difference is below ½.
    let r = s.mul_add(k_float, s.splat(-LN_2), x);
    let r_low = s.mul(k_float, s.splat(-LN_2_LOW));
    let sum = s.add(r, r_low);
    let rest = s.mul_add(s.mul(sum, sum), polynomial(s, sum, &EXP), r_low);
    (k, r, rest)
}

/// (eˣ − 1) / 2 as a sum of two floats, for x between −20 and 89: half, for then it cannot overflow.
#[inline(always)]
fn half_expm1<S: Simd>(s: S, x: S::F) -> (S::F, S::F) {
    let (k, r, rest) = reduce_exp(s, x);
    let half_power = power_of_2(s, s.sub_bits(k, s.splat_bits(1)));
    let (base, base_low) = two_sum(s, half_power, s.splat(-0.5));
    let high = s.mul_add(half_power, r, base);
    let low = s.mul_add(half_power, r, s.sub(base, high));
    let low = s.add(s.mul_add(half_power, rest, low), base_low);
    quick_two_sum(s, high, low)
}

/// (k, m) with u = 2ᵏ·m and m from √½ to √2; u is normal and positive.
#[inline(always)]
fn binade<S: Simd>(s: S, u: S::F) -> (S::I, S::F) {
    // Adds what lies between √½ and 1, so that the exponent steps at √½.
    let bits = s.bits(u);
    let shifted = s.add_bits(bits, s.splat_bits(1.0_f32.to_bits() - SQRT_HALF_BITS));
    let k = s.sub_bits(s.shr::<23>(shifted), s.splat_bits(127));
    (k, s.float(s.sub_bits(bits, s.shl::<23>(k))))
}

const SQRT_HALF_BITS: u32 = 0x3F35_04F3;

/// ln((1 + f + f_low)·2ᵏ) as a sum of two floats.
#[inline(always)]
fn ln_reduced<S: Simd>(s: S, k: S::F, f: S::F, f_low: S::F) -> (S::F, S::F) {
    let high = s.mul_add(k, s.splat(LN_2), f);
    let low = s.add(s.mul_add(k, s.splat(LN_2), s.neg(high)), f);
    let rest = s.mul_add(s.mul(f, f), polynomial(s, f, &LN), s.mul(k, s.splat(LN_2_LOW)));
    let rest = s.add(rest, s.mul_add(s.neg(f), f_low, f_low)); // f_low / (1 + f)
    (high, s.add(low, rest))
}

/// ln(u + u_low) as a sum of two floats, for u not below 2⁻²⁴ and u_low below its last bit.
#[inline(always)]
fn ln_sum<S: Simd>(s: S, u: S::F, u_low: S::F) -> (S::F, S::F) {
    let (k, m) = binade(s, u);
    // The factor 2⁻ᵏ is no number from k = 127 on, but there u_low is lost anyway.
    let low = s.mul(u_low, power_of_2(s, s.sub_bits(s.splat_bits(0), k)));
    let low = s.select(s.gt(s.splat(1e9), u), low, s.splat(0.0));
    let (f, f_low) = quick_two_sum(s, s.sub(m, s.splat(1.0)), low);
    ln_reduced(s, s.i32_to_f32(k), f, f_low)
}

/// e^(−z²/2), 0 ≤ z ≤ 15
#[inline(always)]
fn exp_of_half_square<S: Simd>(s: S, z: S::F) -> PowerOfE<S> {
    let minus_half = s.splat(-0.5);
    let square = s.mul(z, z);
    let square_low = s.mul_add(z, z, s.neg(square));
    let e = PowerOfE::new(s, s.mul(square, minus_half));
    let low = s.mul_add(s.mul(square_low, minus_half), e.high, e.low);
    let (high, low) = quick_two_sum(s, e.high, low);
    PowerOfE { high, low, exponent: e.exponent }
}

/// (q, k) with Φ(−z) = q·2ᵏ, 0 ≤ z ≤ 15
#[inline(always)]
fn normal_tail<S: Simd>(s: S, z: S::F) -> (S::F, S::I) {
    let e = exp_of_half_square(s, z);
    (tail_of(s, z, &e), e.exponent)
}

/// Φ(−z) / 2^e.exponent, e = e^(−z²/2), 0 ≤ z ≤ 15
#[inline(always)]
fn tail_of<S: Simd>(s: S, z: S::F, e: &PowerOfE<S>) -> S::F {
    let center = s.splat(2.5);
    let t = s.div(s.sub(z, center), s.add(z, center));
    let slope = polynomial(s, t, &TAIL_SLOPE);
    let change = s.mul(t, slope);
    let change_low = s.mul_add(t, slope, s.neg(change));
    let (flat, flat_low) = quick_two_sum(s, s.splat(TAIL_CENTER), change);
    let flat_low = s.add(flat_low, change_low);
    let dividend = s.mul(e.high, flat);
    let dividend_low = s.mul_add(e.high, flat, s.neg(dividend));
    let dividend_low = s.mul_add(e.high, flat_low, s.mul_add(e.low, flat, dividend_low));
    quotient(s, (dividend, dividend_low), two_sum(s, z, s.splat(1.0)))
}

/// Σ coefficients[i]·xⁱ by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::F, coefficients: &[f32; N]) -> S::F {
    let mut sum = s.splat(coefficients[N - 1]);
    for i in (0..N - 1).rev() {
        sum = s.mul_add(sum, x, s.splat(coefficients[i]));
    }
    sum
}

/// a + b and what its rounding lost, exactly.
#[inline(always)]
fn two_sum<S: Simd>(s: S, a: S::F, b: S::F) -> (S::F, S::F) {
    let sum = s.add(a, b);
    let b_part = s.sub(sum, a);
    let a_part = s.sub(sum, b_part);
    (sum, s.add(s.sub(a, a_part), s.sub(b, b_part)))
}

/// As [`two_sum`], for a = 0 or |a| ≥ |b|.
#[inline(always)]
fn quick_two_sum<S: Simd>(s: S, a: S::F, b: S::F) -> (S::F, S::F) {
    let sum = s.add(a, b);
    (sum, s.add(s.sub(a, sum), b))
}

/// (a₀ + a₁) / (b₀ + b₁)
#[inline(always)]
fn quotient<S: Simd>(s: S, a: (S::F, S::F), b: (S::F, S::F)) -> S::F {
    let inverse = s.div(s.splat(1.0), b.0);
    let q = s.mul(a.0, inverse);
    let rest = s.mul_add(s.neg(q), b.0, a.0);
    let rest = s.add(rest, s.mul_add(s.neg(q), b.1, a.1));
    s.mul_add(rest, inverse, q)
}

/// 2ᵏ, −126 ≤ k ≤ 127
#[inline(always)]
fn power_of_2<S: Simd>(s: S, k: S::I) -> S::F {
    s.float(s.shl::<23>(s.add_bits(k, s.splat_bits(127))))
}

/// x·2ᵏ, −252 ≤ k ≤ 254, in two steps of which at most the second rounds or overflows.
#[inline(always)]
fn scale<S: Simd>(s: S, x: S::F, k: S::I) -> S::F {
    // ⌊k / 2⌋; the shift wants a number that is not negative.
    let half = s.shr::<1>(s.add_bits(k, s.splat_bits(256)));
    let half = s.sub_bits(half, s.splat_bits(128));
    let rest = s.sub_bits(k, half);
    s.mul(s.mul(x, power_of_2(s, half)), power_of_2(s, rest))
}

/// x within low and high; NaN stays.
#[inline(always)]
fn clamp<S: Simd>(s: S, x: S::F, low: f32, high: f32) -> S::F {
    let low = s.splat(low);
    let x = s.select(s.gt(low, x), low, x);
    at_most(s, x, high)
}

/// x up to high; NaN stays.
#[inline(always)]
fn at_most<S: Simd>(s: S, x: S::F, high: f32) -> S::F {
    let high = s.splat(high);
    s.select(s.gt(x, high), high, x)
}

/// |y| with the sign of x, for y that is not negative.
#[inline(always)]
fn copy_sign<S: Simd>(s: S, y: S::F, x: S::F) -> S::F {
    let sign = s.and(s.bits(x), s.splat_bits(0x8000_0000));
    s.float(s.or(s.and(s.bits(y), s.splat_bits(0x7FFF_FFFF)), sign))
}

/// `y`, or [`NAN`] where x is NaN.
#[inline(always)]
fn unless_nan<S: Simd>(s: S, x: S::F, y: S::F) -> S::F {
    s.select(s.eq(x, x), y, s.splat(NAN))
}

#[cfg(test)]
mod tests;
