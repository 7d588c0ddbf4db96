//! Every operation of every instruction set against `Portable`, over random bit patterns.

use super::super::isa::{Isa, Kernel};
use super::*;

/// What a lane must have in common with that of `Portable`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Same {
    /// Every bit.
    Bits,
    /// Every bit, or NaN on both: which payload and sign an arithmetic operation gives to NaN differs
    /// between compilers and machines, so that kernels put [`NAN`](super::super::math::NAN) instead.
    ValueOrNan,
    /// Every bit, where the lane of `a` fits an i32.
    IfItFits,
}

/// All operations on one set of arguments.
struct Operations {
    a: [f32; LANES],
    b: [f32; LANES],
    c: [f32; LANES],
}

impl Kernel for Operations {
    type Output = Vec<(&'static str, Same, [u32; LANES])>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let (a, b, c) = (s.vector(self.a), s.vector(self.b), s.vector(self.c));
        let (i, j) = (s.bits(a), s.bits(b));
        let lanes = |x: S::F| s.to_array(x).map(f32::to_bits);
        let mask = |m: S::M| lanes(s.select(m, b, c));
        let integers = |x: S::I| lanes(s.float(x));
        let mut stored = [0.0; LANES];
        s.store(a, &mut stored);
        let mut stored_partly = [0.0; LANES];
        s.store_partial(a, &mut stored_partly[..5]);
        let mut written = [0.0; LANES];
        // SAFETY: the array has 16 values.
        unsafe { s.store_ptr(a, written.as_mut_ptr()) };
        // SAFETY: as above.
        let loaded = unsafe { s.load_ptr(self.a.as_ptr()) };
        vec![
            ("splat", Same::Bits, lanes(s.splat(self.a[0]))),
            ("vector", Same::Bits, lanes(a)),
            ("add", Same::ValueOrNan, lanes(s.add(a, b))),
            ("sub", Same::ValueOrNan, lanes(s.sub(a, b))),
            ("mul", Same::ValueOrNan, lanes(s.mul(a, b))),
            ("div", Same::ValueOrNan, lanes(s.div(a, b))),
            ("sqrt", Same::ValueOrNan, lanes(s.sqrt(a))),
            ("mul_add", Same::ValueOrNan, lanes(s.mul_add(a, b, c))),
            ("gt", Same::Bits, mask(s.gt(a, b))),
            ("max", Same::Bits, lanes(s.max(a, b))),
            ("ge", Same::Bits, mask(s.ge(a, b))),
            ("eq", Same::Bits, mask(s.eq(a, b))),
            ("mask_bits", Same::Bits, [u32::from(s.mask_bits(s.gt(a, b))); LANES]),
            ("mask", Same::Bits, mask(s.mask(self.a[1].to_bits() as u16))),
            ("mul_add_where", Same::ValueOrNan, lanes(s.mul_add_where(s.gt(a, b), a, b, c))),
            ("splat_bits", Same::Bits, integers(s.splat_bits(self.a[0].to_bits()))),
            ("and", Same::Bits, integers(s.and(i, j))),
            ("or", Same::Bits, integers(s.or(i, j))),
            ("xor", Same::Bits, integers(s.xor(i, j))),
            ("add_bits", Same::Bits, integers(s.add_bits(i, j))),
            ("sub_bits", Same::Bits, integers(s.sub_bits(i, j))),
            ("shl", Same::Bits, integers(s.shl::<23>(i))),
            ("shr", Same::Bits, integers(s.shr::<23>(i))),
            ("i32_to_f32", Same::Bits, lanes(s.i32_to_f32(i))),
            ("round_to_i32", Same::IfItFits, integers(s.round_to_i32(a))),
            ("store_ptr", Same::Bits, written.map(f32::to_bits)),
            ("load_ptr", Same::Bits, lanes(loaded)),
            ("load", Same::Bits, lanes(s.load(&self.a))),
            ("load_partial", Same::Bits, lanes(s.load_partial(&self.a[..7]))),
            ("store", Same::Bits, stored.map(f32::to_bits)),
            ("store_partial", Same::Bits, stored_partly.map(f32::to_bits)),
            ("neg", Same::Bits, lanes(s.neg(a))),
            ("abs", Same::Bits, lanes(s.abs(a))),
            ("sum_lanes", Same::ValueOrNan, [s.sum_lanes(a).to_bits(); LANES]),
        ]
    }
}

fn check(a: [f32; LANES], b: [f32; LANES], c: [f32; LANES]) {
    let sets = Isa::available();
    let portable = sets[0].run(Operations { a, b, c });
    for isa in &sets[1..] {
        let found = isa.run(Operations { a, b, c });
        for ((name, same, found), (_, _, expected)) in found.into_iter().zip(&portable) {
            for lane in 0..LANES {
                let (found, expected) = (found[lane], expected[lane]);
                let nan = |bits: u32| f32::from_bits(bits).is_nan();
                let excused = match same {
                    Same::Bits => false,
                    Same::ValueOrNan => nan(found) && nan(expected),
                    Same::IfItFits => a[lane].is_nan() || a[lane].abs() >= 2_147_483_648.0,
                };
                assert!(
                    excused || found == expected,
                    "{name} on {isa:?}: {found:#010x}, not {expected:#010x}, of {:e}, {:e}, {:e}",
                    a[lane],
                    b[lane],
                    c[lane],
                );
            }
        }
    }
}

#[test]
fn instruction_sets_agree_on_random_bits() {
    // SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014)
    let mut state = 0_u64;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 32) as u32
    };
    for round in 0..20_000 {
        // Any bits, and exponents near each other, where sums cancel and round.
        let near = |bits: u32| (bits & 0x83FF_FFFF) | 0x3C00_0000;
        let mut vector = || {
            std::array::from_fn(|_| {
                f32::from_bits(if round % 2 == 0 { next() } else { near(next()) })
            })
        };
        check(vector(), vector(), vector());
    }
}

#[test]
fn instruction_sets_agree_on_special_values() {
    let special = [
        0.0,
        -0.0,
        f32::from_bits(1),
        -f32::from_bits(0x007F_FFFF),
        f32::MIN_POSITIVE,
        1.0,
        -1.5,
        2.5,
        8_388_607.5,
        2_147_483_520.0,
        -2_147_483_648.0,
        f32::MAX,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::from_bits(0x7FA0_1234), // signalling NaN
        f32::from_bits(0xFFC0_0001),
    ];
    for shift in 0..LANES {
        for other in 0..LANES {
            let rotated = |by: usize| std::array::from_fn(|lane| special[(lane + by) % LANES]);
            check(special, rotated(shift), rotated(other));
        }
    }
}
