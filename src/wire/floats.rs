//! Floating-point numbers of other sizes as f32.

use crate::bytes::{Budget, BudgetError};
use crate::tensor::{DType, Tensor};

/// The numbers as f32, if they are floating-point ones. Those that are f32 already are borrowed; of
/// float16 and bfloat16 each has an equal f32; of float64 the nearest is taken.
///
/// # Errors
/// Where the converted numbers take more memory than is left of `budget`.
pub fn to_f32<'t>(
    tensor: &'t Tensor<'_>,
    budget: &mut Budget,
) -> Result<Option<Tensor<'t>>, BudgetError> {
    let bytes = tensor.bytes();
    let count = (bytes.len() / tensor.dtype().size()) as u64;
    let mut converted = budget.vec(
        if tensor.dtype() == DType::F32 { 0 } else { count.saturating_mul(4) },
        "numbers as float32",
    )?;
    let mut put = |value: f32| converted.extend(value.to_le_bytes());
    match tensor.dtype() {
        DType::F32 => return Ok(Some(tensor.borrowed())),
        DType::F16 => {
            let halves = bytes.as_chunks().0.iter().map(|half| u16::from_le_bytes(*half));
            halves.for_each(|half| put(half_to_f32(half)));
        }
        DType::BF16 => {
            let halves = bytes.as_chunks().0.iter().map(|half| u16::from_le_bytes(*half));
            halves.for_each(|half| put(f32::from_bits(u32::from(half) << 16)));
        }
        DType::F64 => {
            let doubles = bytes.as_chunks().0.iter().map(|double| f64::from_le_bytes(*double));
            doubles.for_each(|double| put(nearest(double)));
        }
        _ => return Ok(None),
    }
    Ok(Tensor::new(DType::F32, tensor.shape().clone(), converted).ok())
}

/// The f32 that is equal to a half (IEEE 754 binary16); of a NaN the payload is kept.
fn half_to_f32(half: u16) -> f32 {
    let sign = u32::from(half >> 15) << 31;
    let (exponent, fraction) = (u32::from(half >> 10 & 0x1F), u32::from(half & 0x3FF));
    let bits = match exponent {
        // A subnormal half is its fraction times 2⁻²⁴, exactly.
        0 => (fraction as f32 * f32::from_bits((127 - 24) << 23)).to_bits(),
        0x1F => 0x7F80_0000 | fraction << 13,
        _ => (exponent + 127 - 15) << 23 | fraction << 13,
    };
    f32::from_bits(sign | bits)
}

/// The nearest f32, ties to even. Every NaN becomes the same, since what a conversion makes of its
/// payload differs between processors.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
fn nearest(double: f64) -> f32 {
    if double.is_nan() { f32::NAN } else { double as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every half, by the definition of binary16.
    #[test]
    fn a_half_is_its_sign_exponent_and_fraction() {
        for half in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(half >> 10 & 0x1F), f64::from(half & 0x3FF));
            // 2ᵉ by its bits.
            let power = |e: i32| f64::from_bits(u64::try_from(e + 1023).unwrap() << 52);
            let magnitude = match exponent {
                0 => fraction * power(-24),
                0x1F if fraction == 0.0 => f64::INFINITY,
                0x1F => f64::NAN,
                _ => (1.0 + fraction / 1024.0) * power(exponent - 15),
            };
            let found = half_to_f32(half);
            assert_eq!(found.is_sign_negative(), half >> 15 == 1);
            assert!(magnitude.is_nan() && found.is_nan() || f64::from(found.abs()) == magnitude);
            if exponent > 0 {
                assert_eq!(found.to_bits() >> 13 & 0x3FF, u32::from(half & 0x3FF), "{half:04x}");
            }
        }
    }

    #[test]
    fn floats_become_f32_and_integers_do_not() {
        let mut budget = Budget::new(8);
        let of = |dtype: DType, bytes: &[u8]| {
            Tensor::new(dtype, [bytes.len() / dtype.size()], bytes.to_vec()).unwrap()
        };
        let doubles = of(DType::F64, &[0.1_f64.to_le_bytes(), f64::MAX.to_le_bytes()].concat());
        let expected = Tensor::from_f32([2], &[0.1, f32::INFINITY]).unwrap();
        assert_eq!(to_f32(&doubles, &mut budget), Ok(Some(expected.clone())));
        // The budget is spent; what is f32 already takes nothing.
        let one = of(DType::BF16, &[0x80, 0x3F]);
        assert!(to_f32(&one, &mut budget).is_err());
        assert_eq!(to_f32(&expected, &mut budget), Ok(Some(expected.borrowed())));
        let found = to_f32(&one, &mut Budget::new(4));
        assert_eq!(found, Ok(Some(Tensor::from_f32([1], &[1.0]).unwrap())));
        assert_eq!(to_f32(&of(DType::I32, &[1, 0, 0, 0]), &mut Budget::new(4)), Ok(None));
    }
}
