//! The operations on AVX-512F: one register a vector.

use std::arch::x86_64::*;

use super::isa::Kernel;
use super::simd::{LANES, Simd};

/// A machine with AVX-512F.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(super) fn new() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }

    /// Compiles `kernel` with AVX-512 and runs it.
    pub(super) fn enter<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx2,fma")]
        fn compiled<K: Kernel>(kernel: K, simd: Avx512) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` exists, so `new` has found AVX-512F; every such machine has AVX2.
        unsafe { compiled(kernel, self) }
    }
}

/// Calls intrinsics that need no more than AVX-512F.
macro_rules! avx512 {
    ($call:expr) => {{
        // SAFETY: the token `self` exists, so the machine has AVX-512F. The intrinsics in question
        // act on registers alone.
        unsafe { $call }
    }};
}

impl Simd for Avx512 {
    type F = __m512;
    type I = __m512i;
    type M = __mmask16;
    const ACCUMULATORS: usize = 24;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        avx512!(_mm512_set1_ps(value))
    }
    #[inline(always)]
    fn vector(self, values: [f32; LANES]) -> Self::F {
        // SAFETY: any 64 bytes are a vector.
        unsafe { std::mem::transmute::<[f32; LANES], __m512>(values) }
    }
    #[inline(always)]
    fn to_array(self, a: Self::F) -> [f32; LANES] {
        // SAFETY: any 64 bytes are 16 f32.
        unsafe { std::mem::transmute::<__m512, [f32; LANES]>(a) }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        avx512!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        avx512!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        avx512!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        avx512!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: Self::F) -> Self::F {
        avx512!(_mm512_sqrt_ps(a))
    }
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        avx512!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn gt(self, a: Self::F, b: Self::F) -> Self::M {
        avx512!(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b))
    }
    #[inline(always)]
    fn ge(self, a: Self::F, b: Self::F) -> Self::M {
        avx512!(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(a, b))
    }
    #[inline(always)]
    fn eq(self, a: Self::F, b: Self::F) -> Self::M {
        avx512!(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b))
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        // Gives the second where the two are equal or unordered.
        avx512!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn select(self, mask: Self::M, a: Self::F, b: Self::F) -> Self::F {
        avx512!(_mm512_mask_blend_ps(mask, b, a))
    }
    #[inline(always)]
    fn mask_bits(self, mask: Self::M) -> u16 {
        mask
    }
    #[inline(always)]
    fn mask(self, bits: u16) -> Self::M {
        bits
    }
    #[inline(always)]
    fn mul_add_where(self, mask: Self::M, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        avx512!(_mm512_mask3_fmadd_ps(a, b, c, mask))
    }
    #[inline(always)]
    fn splat_bits(self, bits: u32) -> Self::I {
        avx512!(_mm512_set1_epi32(bits.cast_signed()))
    }
    #[inline(always)]
    fn bits(self, a: Self::F) -> Self::I {
        avx512!(_mm512_castps_si512(a))
    }
    #[inline(always)]
    fn float(self, a: Self::I) -> Self::F {
        avx512!(_mm512_castsi512_ps(a))
    }
    #[inline(always)]
    fn and(self, a: Self::I, b: Self::I) -> Self::I {
        avx512!(_mm512_and_si512(a, b))
    }
    #[inline(always)]
    fn or(self, a: Self::I, b: Self::I) -> Self::I {
        avx512!(_mm512_or_si512(a, b))
    }
    #[inline(always)]
    fn xor(self, a: Self::I, b: Self::I) -> Self::I {
        avx512!(_mm512_xor_si512(a, b))
    }
    #[inline(always)]
    fn add_bits(self, a: Self::I, b: Self::I) -> Self::I {
        avx512!(_mm512_add_epi32(a, b))
    }
    #[inline(always)]
    fn sub_bits(self, a: Self::I, b: Self::I) -> Self::I {
        avx512!(_mm512_sub_epi32(a, b))
    }
    #[inline(always)]
    fn shl<const N: u32>(self, a: Self::I) -> Self::I {
        avx512!(_mm512_slli_epi32::<N>(a))
    }
    #[inline(always)]
    fn shr<const N: u32>(self, a: Self::I) -> Self::I {
        avx512!(_mm512_srli_epi32::<N>(a))
    }
    #[inline(always)]
    fn i32_to_f32(self, a: Self::I) -> Self::F {
        avx512!(_mm512_cvtepi32_ps(a))
    }
    #[inline(always)]
    fn round_to_i32(self, a: Self::F) -> Self::I {
        avx512!(_mm512_cvtps_epi32(a))
    }
    #[inline(always)]
    fn load_partial(self, source: &[f32]) -> Self::F {
        if source.len() >= LANES {
            return self.load(source);
        }
        let lanes = (1 << source.len()) - 1;
        // SAFETY: only lanes that `source` has are read.
        unsafe { _mm512_maskz_loadu_ps(lanes, source.as_ptr()) }
    }
    #[inline(always)]
    fn store_partial(self, a: Self::F, target: &mut [f32]) {
        if target.len() >= LANES {
            return self.store(a, target);
        }
        let lanes = (1 << target.len()) - 1;
        // SAFETY: only lanes that `target` has are written.
        unsafe { _mm512_mask_storeu_ps(target.as_mut_ptr(), lanes, a) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, a: Self::F, target: *mut f32) {
        // SAFETY: the caller vouches for 16 f32 at `target`; the store needs no alignment.
        unsafe { _mm512_storeu_ps(target, a) }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, source: *const f32) -> Self::F {
        // SAFETY: the caller vouches for 16 f32 at `source`; the load needs no alignment.
        unsafe { _mm512_loadu_ps(source) }
    }
}
