//! The operations in plain Rust: correct everywhere, and the definition of the others.

use super::simd::{LANES, Simd};

/// Any machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

#[inline(always)]
fn map<T: Copy, R>(a: [T; LANES], f: impl Fn(T) -> R) -> [R; LANES] {
    std::array::from_fn(|lane| f(a[lane]))
}

#[inline(always)]
fn zip<T: Copy, U: Copy, R>(a: [T; LANES], b: [U; LANES], f: impl Fn(T, U) -> R) -> [R; LANES] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

impl Simd for Portable {
    type F = [f32; LANES];
    type I = [u32; LANES];
    type M = [bool; LANES];
    const ACCUMULATORS: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        [value; LANES]
    }
    #[inline(always)]
    fn vector(self, values: [f32; LANES]) -> Self::F {
        values
    }
    #[inline(always)]
    fn to_array(self, a: Self::F) -> [f32; LANES] {
        a
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn sqrt(self, a: Self::F) -> Self::F {
        map(a, f32::sqrt)
    }
    // Where the target has no instruction for it, each lane is a call of a library function: written
    // out sixteen times wherever vectors are multiplied, that is most of the code of a program.
    #[cfg_attr(all(target_arch = "x86_64", not(target_feature = "fma")), inline(never))]
    #[cfg_attr(not(all(target_arch = "x86_64", not(target_feature = "fma"))), inline(always))]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
    }
    #[inline(always)]
    fn gt(self, a: Self::F, b: Self::F) -> Self::M {
        zip(a, b, |a, b| a > b)
    }
    #[inline(always)]
    fn ge(self, a: Self::F, b: Self::F) -> Self::M {
        zip(a, b, |a, b| a >= b)
    }
    #[inline(always)]
    fn eq(self, a: Self::F, b: Self::F) -> Self::M {
        zip(a, b, |a, b| a == b)
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn select(self, mask: Self::M, a: Self::F, b: Self::F) -> Self::F {
        std::array::from_fn(|lane| if mask[lane] { a[lane] } else { b[lane] })
    }
    #[inline(always)]
    fn mask_bits(self, mask: Self::M) -> u16 {
        (0..LANES).fold(0, |bits, lane| bits | u16::from(mask[lane]) << lane)
    }
    #[inline(always)]
    fn mask(self, bits: u16) -> Self::M {
        std::array::from_fn(|lane| bits >> lane & 1 == 1)
    }
    #[inline(always)]
    fn splat_bits(self, bits: u32) -> Self::I {
        [bits; LANES]
    }
    #[inline(always)]
    fn bits(self, a: Self::F) -> Self::I {
        map(a, f32::to_bits)
    }
    #[inline(always)]
    fn float(self, a: Self::I) -> Self::F {
        map(a, f32::from_bits)
    }
    #[inline(always)]
    fn and(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn or(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |a, b| a | b)
    }
    #[inline(always)]
    fn xor(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |a, b| a ^ b)
    }
    #[inline(always)]
    fn add_bits(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, u32::wrapping_add)
    }
    #[inline(always)]
    fn sub_bits(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, u32::wrapping_sub)
    }
    #[inline(always)]
    fn shl<const N: u32>(self, a: Self::I) -> Self::I {
        map(a, |a| a << N)
    }
    #[inline(always)]
    fn shr<const N: u32>(self, a: Self::I) -> Self::I {
        map(a, |a| a >> N)
    }
    #[inline(always)]
    fn i32_to_f32(self, a: Self::I) -> Self::F {
        map(a, |a| a.cast_signed() as f32)
    }
    #[inline(always)]
    fn round_to_i32(self, a: Self::F) -> Self::I {
        map(a, |a| (a.round_ties_even() as i32).cast_unsigned())
    }
    #[inline(always)]
    unsafe fn store_ptr(self, a: Self::F, target: *mut f32) {
        // SAFETY: the caller vouches for 16 f32; an array of f32 has no stricter alignment.
        unsafe { target.cast::<[f32; LANES]>().write(a) }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, source: *const f32) -> Self::F {
        // SAFETY: the caller vouches for 16 f32; an array of f32 has no stricter alignment.
        unsafe { source.cast::<[f32; LANES]>().read() }
    }
}
