//! The values of an npy file as f32.

use super::NpyError;
use crate::tensor::DType;

/// Converts values in file order; `bytes` holds a whole number of them.
pub(super) fn to_f32(bytes: &[u8], dtype: DType, big_endian: bool) -> Result<Vec<f32>, NpyError> {
    /// Values of type `$number`, taken through `$convert`.
    macro_rules! converted {
        ($number:ty, $convert:expr) => {{
            let from_bytes =
                if big_endian { <$number>::from_be_bytes } else { <$number>::from_le_bytes };
            let values = bytes.as_chunks().0.iter().map(|chunk| from_bytes(*chunk));
            converted(values, dtype, $convert)
        }};
    }
    match dtype {
        DType::F32 => converted!(f32, Some),
        DType::F64 => converted!(f64, nearest),
        DType::Bool => converted!(u8, |value| (value <= 1).then_some(f32::from(value))),
        DType::I8 => converted!(i8, |value| Some(f32::from(value))),
        DType::I16 => converted!(i16, |value| Some(f32::from(value))),
        DType::I32 => converted!(i32, |value| exact(value.into(), value as f32)),
        DType::I64 => converted!(i64, |value| exact(value.into(), value as f32)),
        DType::U8 => converted!(u8, |value| Some(f32::from(value))),
        DType::U16 => converted!(u16, |value| Some(f32::from(value))),
        DType::U32 => converted!(u32, |value| exact(value.into(), value as f32)),
        DType::U64 => converted!(u64, |value| exact(value.into(), value as f32)),
        DType::F16 | DType::BF16 => Err(NpyError::Convert { dtype }),
    }
}

fn converted<T: Copy + ToString>(
    values: impl ExactSizeIterator<Item = T>,
    dtype: DType,
    convert: impl Fn(T) -> Option<f32>,
) -> Result<Vec<f32>, NpyError> {
    let mut converted = Vec::with_capacity(values.len());
    for (index, value) in values.enumerate() {
        let inexact = || NpyError::Inexact { dtype, value: value.to_string(), index };
        converted.push(convert(value).ok_or_else(inexact)?);
    }
    Ok(converted)
}

/// `rounded`, if it still is `value`.
#[expect(clippy::cast_possible_truncation, reason = "an f32 of 64-bit origin fits 128 bits")]
fn exact(value: i128, rounded: f32) -> Option<f32> {
    (rounded as i128 == value).then_some(rounded)
}

/// The nearest f32; `None` where a finite value would become infinite.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
fn nearest(value: f64) -> Option<f32> {
    if value.is_nan() {
        return Some(f32::NAN);
    }
    let rounded = value as f32;
    (rounded.is_finite() || value.is_infinite()).then_some(rounded)
}
