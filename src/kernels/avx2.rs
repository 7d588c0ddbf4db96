//! The operations on AVX2 and FMA: two registers a vector.

use std::arch::x86_64::*;

use super::isa::Kernel;
use super::simd::{LANES, Simd};

/// A machine with AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(super) fn new() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }

    /// Compiles `kernel` with AVX2 and FMA and runs it.
    pub(super) fn enter<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<K: Kernel>(kernel: K, simd: Avx2) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` exists, so `new` has found AVX2 and FMA.
        unsafe { compiled(kernel, self) }
    }
}

/// Calls intrinsics that need no more than AVX2 and FMA.
macro_rules! avx2 {
    ([$low:expr, $high:expr]) => {{
        // SAFETY: the token `self` exists, so the machine has AVX2 and FMA. The intrinsics in
        // question act on registers alone.
        let low = unsafe { $low };
        // SAFETY: as above.
        let high = unsafe { $high };
        [low, high]
    }};
}

impl Simd for Avx2 {
    type F = [__m256; 2];
    type I = [__m256i; 2];
    type M = [__m256; 2];
    const ACCUMULATORS: usize = 6;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        avx2!([_mm256_set1_ps(value), _mm256_set1_ps(value)])
    }
    #[inline(always)]
    fn vector(self, values: [f32; LANES]) -> Self::F {
        // SAFETY: any 64 bytes are two vectors.
        unsafe { std::mem::transmute::<[f32; LANES], [__m256; 2]>(values) }
    }
    #[inline(always)]
    fn to_array(self, a: Self::F) -> [f32; LANES] {
        // SAFETY: any 64 bytes are 16 f32.
        unsafe { std::mem::transmute::<[__m256; 2], [f32; LANES]>(a) }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        avx2!([_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        avx2!([_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        avx2!([_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        avx2!([_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn sqrt(self, a: Self::F) -> Self::F {
        avx2!([_mm256_sqrt_ps(a[0]), _mm256_sqrt_ps(a[1])])
    }
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        avx2!([_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])])
    }
    #[inline(always)]
    fn gt(self, a: Self::F, b: Self::F) -> Self::M {
        avx2!([_mm256_cmp_ps::<_CMP_GT_OQ>(a[0], b[0]), _mm256_cmp_ps::<_CMP_GT_OQ>(a[1], b[1])])
    }
    #[inline(always)]
    fn ge(self, a: Self::F, b: Self::F) -> Self::M {
        avx2!([_mm256_cmp_ps::<_CMP_GE_OQ>(a[0], b[0]), _mm256_cmp_ps::<_CMP_GE_OQ>(a[1], b[1])])
    }
    #[inline(always)]
    fn eq(self, a: Self::F, b: Self::F) -> Self::M {
        avx2!([_mm256_cmp_ps::<_CMP_EQ_OQ>(a[0], b[0]), _mm256_cmp_ps::<_CMP_EQ_OQ>(a[1], b[1])])
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        // Gives the second where the two are equal or unordered.
        avx2!([_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn select(self, mask: Self::M, a: Self::F, b: Self::F) -> Self::F {
        avx2!([_mm256_blendv_ps(b[0], a[0], mask[0]), _mm256_blendv_ps(b[1], a[1], mask[1])])
    }
    #[inline(always)]
    fn mask_bits(self, mask: Self::M) -> u16 {
        let [low, high] = avx2!([_mm256_movemask_ps(mask[0]), _mm256_movemask_ps(mask[1])]);
        (low | high << 8) as u16
    }
    #[inline(always)]
    fn mask(self, bits: u16) -> Self::M {
        let bits = i32::from(bits);
        // SAFETY: any 64 bytes are two vectors.
        let lanes = unsafe {
            std::mem::transmute::<[i32; LANES], Self::I>(std::array::from_fn(|lane| 1 << lane))
        };
        let bits = avx2!([_mm256_set1_epi32(bits), _mm256_set1_epi32(bits)]);
        let set = avx2!([_mm256_and_si256(bits[0], lanes[0]), _mm256_and_si256(bits[1], lanes[1])]);
        let set =
            avx2!([_mm256_cmpeq_epi32(set[0], lanes[0]), _mm256_cmpeq_epi32(set[1], lanes[1])]);
        avx2!([_mm256_castsi256_ps(set[0]), _mm256_castsi256_ps(set[1])])
    }
    #[inline(always)]
    fn splat_bits(self, bits: u32) -> Self::I {
        let bits = bits.cast_signed();
        avx2!([_mm256_set1_epi32(bits), _mm256_set1_epi32(bits)])
    }
    #[inline(always)]
    fn bits(self, a: Self::F) -> Self::I {
        avx2!([_mm256_castps_si256(a[0]), _mm256_castps_si256(a[1])])
    }
    #[inline(always)]
    fn float(self, a: Self::I) -> Self::F {
        avx2!([_mm256_castsi256_ps(a[0]), _mm256_castsi256_ps(a[1])])
    }
    #[inline(always)]
    fn and(self, a: Self::I, b: Self::I) -> Self::I {
        avx2!([_mm256_and_si256(a[0], b[0]), _mm256_and_si256(a[1], b[1])])
    }
    #[inline(always)]
    fn or(self, a: Self::I, b: Self::I) -> Self::I {
        avx2!([_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])])
    }
    #[inline(always)]
    fn xor(self, a: Self::I, b: Self::I) -> Self::I {
        avx2!([_mm256_xor_si256(a[0], b[0]), _mm256_xor_si256(a[1], b[1])])
    }
    #[inline(always)]
    fn add_bits(self, a: Self::I, b: Self::I) -> Self::I {
        avx2!([_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])])
    }
    #[inline(always)]
    fn sub_bits(self, a: Self::I, b: Self::I) -> Self::I {
        avx2!([_mm256_sub_epi32(a[0], b[0]), _mm256_sub_epi32(a[1], b[1])])
    }
    #[inline(always)]
    fn shl<const N: u32>(self, a: Self::I) -> Self::I {
        let count = [N; 8];
        // SAFETY: any 32 bytes are a vector.
        let count = unsafe { std::mem::transmute::<[u32; 8], __m256i>(count) };
        avx2!([_mm256_sllv_epi32(a[0], count), _mm256_sllv_epi32(a[1], count)])
    }
    #[inline(always)]
    fn shr<const N: u32>(self, a: Self::I) -> Self::I {
        let count = [N; 8];
        // SAFETY: any 32 bytes are a vector.
        let count = unsafe { std::mem::transmute::<[u32; 8], __m256i>(count) };
        avx2!([_mm256_srlv_epi32(a[0], count), _mm256_srlv_epi32(a[1], count)])
    }
    #[inline(always)]
    fn i32_to_f32(self, a: Self::I) -> Self::F {
        avx2!([_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])])
    }
    #[inline(always)]
    fn round_to_i32(self, a: Self::F) -> Self::I {
        avx2!([_mm256_cvtps_epi32(a[0]), _mm256_cvtps_epi32(a[1])])
    }
    #[inline(always)]
    unsafe fn store_ptr(self, a: Self::F, target: *mut f32) {
        // SAFETY: the caller vouches for 16 f32 at `target`; the store needs no alignment.
        unsafe { _mm256_storeu_ps(target, a[0]) };
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(target.wrapping_add(8), a[1]) }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, source: *const f32) -> Self::F {
        // SAFETY: the caller vouches for 16 f32 at `source`; the load needs no alignment.
        let low = unsafe { _mm256_loadu_ps(source) };
        // SAFETY: the second half of those 16.
        let high = unsafe { source.add(8) };
        // SAFETY: as above.
        let high = unsafe { _mm256_loadu_ps(high) };
        [low, high]
    }
}
