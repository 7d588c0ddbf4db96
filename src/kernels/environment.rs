//! Whether the processor computes as IEEE 754 says. A host program can set the rounding mode, or
//! have subnormal numbers flushed to zero, in each thread; every kernel would then compute other
//! bits, so work is refused instead.

use std::hint::black_box;

/// A setting of the thread's floating-point environment under which results would have other bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FloatEnvironmentError {
    /// Sums are not rounded to the nearest number, ties to even.
    #[error(
        "this thread's floating-point unit does not round to nearest; \
         restore the default rounding mode before calling"
    )]
    RoundingMode,
    /// Results below the least normal number become zero.
    #[error(
        "this thread's floating-point unit flushes subnormal results to zero (FTZ); \
         switch that off before calling"
    )]
    FlushToZero,
    /// Operands below the least normal number count as zero.
    #[error(
        "this thread's floating-point unit takes subnormal operands for zero (DAZ); \
         switch that off before calling"
    )]
    DenormalsAreZero,
}

/// Checks the calling thread, by arithmetic, in a few nanoseconds.
pub(crate) fn check() -> Result<(), FloatEnvironmentError> {
    const ULP: f32 = f32::EPSILON;
    let one = black_box(1.0_f32);
    // Downwards and towards zero give 1 first; upwards gives 1 + ulp second.
    let up = one + black_box(0.75 * ULP);
    let down = one + black_box(0.25 * ULP);
    if up.to_bits() != (1.0 + ULP).to_bits() || down.to_bits() != 1.0_f32.to_bits() {
        return Err(FloatEnvironmentError::RoundingMode);
    }
    // 2⁻¹⁴⁹·2⁴⁰ is normal: only the operand can have been flushed.
    let from_subnormal = black_box(f32::from_bits(1)) * black_box(1_099_511_627_776.0);
    if from_subnormal.to_bits() == 0 {
        return Err(FloatEnvironmentError::DenormalsAreZero);
    }
    let to_subnormal = black_box(f32::MIN_POSITIVE) * black_box(0.5);
    if to_subnormal.to_bits() == 0 {
        return Err(FloatEnvironmentError::FlushToZero);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_starts_well() {
        assert_eq!(check(), Ok(()));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn settings_that_change_bits_are_found() {
        const DEFAULT: u32 = 0x1F80; // all exceptions masked, to nearest
        // Bits of MXCSR: Intel 64 and IA-32 Architectures Software Developer's Manual 1, 10.2.3
        let settings = [
            (DEFAULT | 1 << 13, Err(FloatEnvironmentError::RoundingMode)), // down
            (DEFAULT | 2 << 13, Err(FloatEnvironmentError::RoundingMode)), // up
            (DEFAULT | 3 << 13, Err(FloatEnvironmentError::RoundingMode)), // towards zero
            (DEFAULT | 1 << 15, Err(FloatEnvironmentError::FlushToZero)),
            (DEFAULT | 1 << 6, Err(FloatEnvironmentError::DenormalsAreZero)),
            (DEFAULT, Ok(())),
        ];
        for (setting, expected) in settings {
            load_mxcsr(setting);
            let found = check();
            load_mxcsr(DEFAULT);
            assert_eq!(found, expected, "{setting:#x}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn load_mxcsr(value: u32) {
        // SAFETY: reads four bytes that are there. The compiler may take the default environment for
        // granted; between this call and the one that restores it, only `check` runs, whose
        // operands it cannot see.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &value, options(nostack, readonly)) }
    }
}
