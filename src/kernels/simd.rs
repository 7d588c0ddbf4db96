//! Vectors of 16 f32 lanes: the operations that every instruction set gives with the same bits.

use std::fmt::Debug;

/// Lanes in a vector.
pub(crate) const LANES: usize = 16;

/// A token that proves the machine has an instruction set, and the operations it gives.
///
/// Every operation acts lane by lane and rounds to nearest, ties to even. `mul_add` rounds once.
/// Comparisons with NaN are false. Integer vectors hold the bit patterns of f32 lanes.
pub(crate) trait Simd: Copy + Send + Sync + Debug {
    /// 16 × f32
    type F: Copy;
    /// 16 × u32
    type I: Copy;
    /// 16 × bool
    type M: Copy;
    /// How many vectors of accumulators fit the registers beside what a kernel's inner loop holds.
    const ACCUMULATORS: usize;

    fn splat(self, value: f32) -> Self::F;
    fn vector(self, values: [f32; LANES]) -> Self::F;
    fn to_array(self, a: Self::F) -> [f32; LANES];

    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    fn sqrt(self, a: Self::F) -> Self::F;
    /// a·b + c, rounded once.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// a > b
    fn gt(self, a: Self::F, b: Self::F) -> Self::M;
    /// a ≥ b
    fn ge(self, a: Self::F, b: Self::F) -> Self::M;
    /// a = b; false only for NaN where both are the same value.
    fn eq(self, a: Self::F, b: Self::F) -> Self::M;
    /// `a` where a > b, else `b`.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a` where the mask is set, else `b`.
    fn select(self, mask: Self::M, a: Self::F, b: Self::F) -> Self::F;

    /// Bit l: lane l.
    fn mask_bits(self, mask: Self::M) -> u16;
    /// The inverse of [`mask_bits`](Self::mask_bits).
    fn mask(self, bits: u16) -> Self::M;

    fn splat_bits(self, bits: u32) -> Self::I;
    fn bits(self, a: Self::F) -> Self::I;
    fn float(self, a: Self::I) -> Self::F;
    fn and(self, a: Self::I, b: Self::I) -> Self::I;
    fn or(self, a: Self::I, b: Self::I) -> Self::I;
    fn xor(self, a: Self::I, b: Self::I) -> Self::I;
    /// Wrapping.
    fn add_bits(self, a: Self::I, b: Self::I) -> Self::I;
    /// Wrapping.
    fn sub_bits(self, a: Self::I, b: Self::I) -> Self::I;
    fn shl<const N: u32>(self, a: Self::I) -> Self::I;
    /// Fills with zeros.
    fn shr<const N: u32>(self, a: Self::I) -> Self::I;
    /// The i32 in each lane as f32.
    fn i32_to_f32(self, a: Self::I) -> Self::F;
    /// The nearest i32 of each lane, ties to even; any value for lanes that do not fit.
    fn round_to_i32(self, a: Self::F) -> Self::I;

    /// Reads 16 values at `source`.
    ///
    /// # Safety
    /// `source` is valid for reads of 16 f32.
    unsafe fn load_ptr(self, source: *const f32) -> Self::F;

    /// Writes 16 values to `target`.
    ///
    /// # Safety
    /// `target` is valid for writes of 16 f32.
    unsafe fn store_ptr(self, a: Self::F, target: *mut f32);

    /// a·b + c where the mask is set, else c.
    #[inline(always)]
    fn mul_add_where(self, mask: Self::M, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        self.select(mask, self.mul_add(a, b, c), c)
    }

    /// The first 16 values of `source`.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    fn load(self, source: &[f32]) -> Self::F {
        self.vector(*source.first_chunk().expect("16 values"))
    }

    /// Up to 16 values; zeros where `source` is shorter.
    #[inline(always)]
    fn load_partial(self, source: &[f32]) -> Self::F {
        if source.len() >= LANES {
            return self.load(source);
        }
        self.vector(filled_up(source))
    }

    /// Writes to the first 16 values of `target`.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    fn store(self, a: Self::F, target: &mut [f32]) {
        *target.first_chunk_mut().expect("16 values") = self.to_array(a);
    }

    /// Writes as many lanes as `target` has room for.
    #[inline(always)]
    fn store_partial(self, a: Self::F, target: &mut [f32]) {
        if target.len() >= LANES {
            return self.store(a, target);
        }
        fill(target, &self.to_array(a));
    }

    /// −a, the sign of NaN flipped too.
    #[inline(always)]
    fn neg(self, a: Self::F) -> Self::F {
        self.float(self.xor(self.bits(a), self.splat_bits(0x8000_0000)))
    }

    /// |a|
    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        self.float(self.and(self.bits(a), self.splat_bits(0x7FFF_FFFF)))
    }

    /// The sum of the lanes by halving: lane l + lane l + 8, then 4, 2, 1.
    #[inline(always)]
    fn sum_lanes(self, a: Self::F) -> f32 {
        let mut lanes = self.to_array(a);
        for half in [8, 4, 2, 1] {
            for lane in 0..half {
                lanes[lane] += lanes[lane + half];
            }
        }
        lanes[0]
    }
}

/// `source` and zeros. Out of line, and told to be rare: loops over whole vectors keep their registers.
#[cold]
#[inline(never)]
fn filled_up(source: &[f32]) -> [f32; LANES] {
    let mut values = [0.0; LANES];
    values[..source.len()].copy_from_slice(source);
    values
}

/// Fills `target` with the first of `values`. Out of line as [`filled_up`].
#[cold]
#[inline(never)]
fn fill(target: &mut [f32], values: &[f32; LANES]) {
    target.copy_from_slice(&values[..target.len()]);
}

#[cfg(test)]
mod tests;
