//! The functions against f64, and the instruction sets against each other.
//!
//! A test takes every 257th bit pattern. `KEEPNET_TEST_STRIDE=1` takes all 2³²; the errors stated
//! in `docs/DETERMINISM.md` were measured so.

use super::super::elementwise::{Unary, unary};
use super::super::isa::Isa;
use super::*;

/// Makes a function a [`Unary`] of the same name, and with its reference a [`Function`].
macro_rules! function {
    ($name:ident, $reference:expr, ulps: $ulps:expr) => {
        function!($name, $reference, ulps: $ulps, of: |_, truth| truth)
    };
    ($name:ident, $reference:expr, ulps: $ulps:expr, of: $of:expr) => {{
        #[derive(Clone, Copy)]
        struct Applied;
        impl Unary for Applied {
            #[inline(always)]
            fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
                $name(s, x)
            }
        }
        Function {
            name: stringify!($name),
            run: |isa, y, x| unary(isa, Applied, y, x),
            reference: $reference,
            ulps: $ulps,
            of: $of,
        }
    }};
}

struct Function {
    name: &'static str,
    run: fn(Isa, &mut [f32], &[f32]),
    reference: fn(f64) -> f64,
    /// The largest error, in units in the last place of
    ulps: f64,
    /// this function of the argument and the true result: the true result itself, but where terms
    /// cancel.
    of: fn(f64, f64) -> f64,
}

#[expect(clippy::disallowed_methods, reason = "the reference is the f64 of std")]
fn functions() -> [Function; 7] {
    [
        function!(exp, f64::exp, ulps: 1.0),
        function!(expm1, f64::exp_m1, ulps: 1.0),
        function!(tanh, f64::tanh, ulps: 1.0),
        function!(sigmoid, |x| 1.0 / (1.0 + (-x).exp()), ulps: 1.0),
        function!(softplus, |x| if x > 40.0 { x } else { x.exp().ln_1p() }, ulps: 1.0),
        function!(
            gelu,
            |x| if x < -40.0 { 0.0 } else { x * reference_erfc(-x / 2.0_f64.sqrt()) / 2.0 },
            ulps: 1.7
        ),
        function!(
            gelu_derivative,
            reference_gelu_derivative,
            ulps: 2.1,
            of: |x, truth| if density_term(x) > truth.abs() { density_term(x) } else { truth }
        ),
    ]
}

#[expect(clippy::disallowed_methods, reason = "the reference is the f64 of std")]
fn reference_erf(x: f64) -> f64 {
    if x.abs() > 2.0 {
        return 1.0_f64.copysign(x) - reference_erfc(x.abs()).copysign(x);
    }
    // 2/√π·e^(−x²)·Σ 2ⁿ·x^(2n+1) / (2n+1)!!, whose terms have one sign
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > 1e-18 * sum.abs() {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[expect(clippy::disallowed_methods, reason = "the reference is the f64 of std")]
fn reference_erfc(x: f64) -> f64 {
    if x < 2.0 {
        return 1.0 - reference_erf(x);
    }
    if x > 27.0 {
        return 0.0;
    }
    // e^(−x²)/√π / (x + ½/(x + 1/(x + 1½/(x + …))))
    let fraction = (1..120).rev().fold(x, |rest, n| x + f64::from(n) / 2.0 / rest);
    (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI / 2.0 / fraction
}

/// Φ(x) + x·φ(x)
fn reference_gelu_derivative(x: f64) -> f64 {
    let x = x.clamp(-40.0, 40.0); // beyond, 0 and 1 in f32
    reference_erfc(-x / 2.0_f64.sqrt()) / 2.0 + density_term(x).copysign(x)
}

/// |x|·φ(x)
#[expect(clippy::disallowed_methods, reason = "the reference is the f64 of std")]
fn density_term(x: f64) -> f64 {
    let x = x.abs().clamp(0.0, 40.0);
    x * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

fn stride() -> usize {
    std::env::var("KEEPNET_TEST_STRIDE").map_or(257, |stride| stride.parse().expect("a number"))
}

/// Calls `f` with all f32 whose bits are a multiple of the stride, a block at a time.
fn for_inputs(stride: usize, mut f: impl FnMut(&[f32])) {
    let mut patterns = (0..=u32::MAX).step_by(stride).map(f32::from_bits);
    loop {
        let block: Vec<f32> = patterns.by_ref().take(1 << 14).collect();
        if block.is_empty() {
            return;
        }
        f(&block);
    }
}

/// Numbers where something changes, and their neighbours.
fn edges() -> Vec<f32> {
    let ends = [0.0, f32::from_bits(1), f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, f32::NAN];
    let turns = [0.5, 0.75, 0.866_025_4, 1.0, 10.0, 15.0, 20.0, 88.722_84, 89.0, 103.972_08, 105.0];
    let powers = (0..255).map(|exponent| f32::from_bits(exponent << 23));
    let all: Vec<f32> = ends.into_iter().chain(turns).chain(powers).collect();
    let near = |x: f32| [-1, 0, 1].map(|step| x.to_bits().saturating_add_signed(step));
    let positive: Vec<u32> = all.into_iter().flat_map(near).collect();
    positive.iter().flat_map(|bits| [*bits, bits | 0x8000_0000]).map(f32::from_bits).collect()
}

/// The distance of y from `truth` in units in the last place of `of`, or 2⁻¹⁴⁹ where they are smaller.
fn error_in_ulps(y: f32, truth: f64, of: f64) -> f64 {
    const BEYOND: f64 = 340_282_366_920_938_463_463_374_607_431_768_211_456.0; // 2¹²⁸
    if truth.is_nan() {
        return if y.to_bits() == NAN.to_bits() { 0.0 } else { f64::INFINITY };
    }
    if y.is_nan() {
        return f64::INFINITY;
    }
    let y = if y.is_infinite() { BEYOND.copysign(y.into()) } else { y.into() };
    let truth = truth.clamp(-BEYOND, BEYOND);
    let of = of.clamp(-BEYOND, BEYOND);
    let exponent = ((of.abs().to_bits() >> 52) as i64 - 1023).clamp(-126, 127);
    let ulp = f64::from_bits(((exponent - 23 + 1023) as u64) << 52);
    (y - truth).abs() / ulp
}

#[test]
fn errors_stay_within_the_bounds() {
    let functions = functions();
    std::thread::scope(|scope| {
        for function in &functions {
            scope.spawn(move || {
                let mut worst = (0.0, 0.0, 0.0);
                let mut check = |x: &[f32]| {
                    let mut y = vec![0.0; x.len()];
                    (function.run)(Isa::current(), &mut y, x);
                    for (&x, y) in x.iter().zip(y) {
                        let truth = (function.reference)(x.into());
                        let error = error_in_ulps(y, truth, (function.of)(x.into(), truth));
                        if error > worst.0 {
                            worst = (error, x, y);
                        }
                    }
                };
                check(&edges());
                for_inputs(stride(), check);
                let (error, x, y) = worst;
                println!("{}: {error:.4} ulp at {x:e} ({y:e})", function.name);
                assert!(error <= function.ulps, "{}({x:e}) = {y:e}: {error} ulp", function.name);
            });
        }
    });
}

#[test]
fn instruction_sets_agree_in_every_bit() {
    let functions = functions();
    let check = |x: &[f32]| {
        for function in &functions {
            let results = Isa::available().into_iter().map(|isa| {
                let mut y = vec![0.0; x.len()];
                (function.run)(isa, &mut y, x);
                (isa, y)
            });
            let results: Vec<_> = results.collect();
            for (isa, y) in &results[1..] {
                for ((x, y), portable) in x.iter().zip(y).zip(&results[0].1) {
                    let name = function.name;
                    assert_eq!(y.to_bits(), portable.to_bits(), "{name}({x:e}) on {isa:?}");
                }
            }
        }
    };
    check(&edges());
    for_inputs(16 * stride() + 1, check);
}

#[test]
fn special_values_are_as_stated() {
    const INF: f32 = f32::INFINITY;
    const TINY: f32 = f32::from_bits(1);
    // function, (x, y) pairs
    let table: [(&str, &[(f32, f32)]); 7] = [
        ("exp", &[(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (TINY, 1.0), (-104.0, 0.0)]),
        (
            "expm1",
            &[(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (TINY, TINY), (-TINY, -TINY)],
        ),
        (
            "tanh",
            &[(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (TINY, TINY), (-TINY, -TINY)],
        ),
        ("sigmoid", &[(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (-104.0, 0.0)]),
        ("softplus", &[(0.0, LN_2), (INF, INF), (-INF, 0.0), (-104.0, 0.0), (100.0, 100.0)]),
        (
            "gelu",
            &[(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -0.0), (100.0, 100.0), (-100.0, -0.0)],
        ),
        ("gelu_derivative", &[(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, -0.0), (20.0, 1.0)]),
    ];
    let nans = [f32::from_bits(0x7FA0_1234), f32::from_bits(0xFFFF_FFFF)].map(|x| (x, NAN));
    for (function, (name, pairs)) in functions().iter().zip(table) {
        assert_eq!(function.name, name);
        for &(x, expected) in pairs.iter().chain(&nans) {
            for isa in Isa::available() {
                let mut y = [0.0];
                (function.run)(isa, &mut y, &[x]);
                assert_eq!(y[0].to_bits(), expected.to_bits(), "{name}({x:e}) = {:e}", y[0]);
            }
        }
    }
}

/// An edit that changes a bit raises the arithmetic revision; so that none does unawares, these are
/// hashes of the results over every 65,537th bit pattern, printed by this test when it fails.
#[test]
fn results_are_those_of_this_arithmetic_revision() {
    let digests = [
        ("exp", 0xDF3A_3D48_5385_28F3),
        ("expm1", 0x00DD_68D8_291C_96EC),
        ("tanh", 0x1BA8_4A71_3A61_8789),
        ("sigmoid", 0x7F53_F6A1_CE0F_3C7B),
        ("softplus", 0xDB6B_CB0A_C964_C653),
        ("gelu", 0x38C3_18A4_018C_D092),
        ("gelu_derivative", 0x19F9_81EC_77B1_70B4),
    ];
    let found = functions().map(|function| {
        let mut digest = 0xCBF2_9CE4_8422_2325_u64; // FNV-1a
        for_inputs(65_537, |x| {
            let mut y = vec![0.0; x.len()];
            (function.run)(Isa::current(), &mut y, x);
            for byte in y.iter().flat_map(|y| y.to_le_bytes()) {
                digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            }
        });
        (function.name, digest)
    });
    assert!(found == digests, "{found:#018X?}");
}
