//! A tensor as it stands in a file: element type, shape, little-endian bytes.

use std::borrow::Cow;

use super::{DType, Shape};

/// A tensor as files hold it: little-endian, row-major (C order). Its bytes are borrowed from a
/// running model when it is saved, so saving needs no second copy of the parameters.
///
/// Two tensors are equal when element type, shape and **every bit** are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor<'a> {
    dtype: DType,
    shape: Shape,
    bytes: Cow<'a, [u8]>,
}

/// Why bytes, element type and shape do not make a tensor, or not the one asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    #[error("a {dtype} tensor of shape {shape} takes {expected} bytes, found {found}")]
    Length { dtype: DType, shape: Shape, expected: u64, found: u64 },
    #[error("a {dtype} tensor of shape {shape} is larger than this machine can address")]
    TooLarge { dtype: DType, shape: Shape },
    #[error("expected a {expected} tensor, found {found}")]
    DType { expected: DType, found: DType },
}

/// The bytes of f32 values (on a little-endian machine without a copy).
pub(crate) fn little_endian(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        Cow::Owned(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

impl<'a> Tensor<'a> {
    /// Checks that `bytes` are exactly what `dtype` and `shape` take.
    pub fn new(
        dtype: DType,
        shape: impl Into<Shape>,
        bytes: impl Into<Cow<'a, [u8]>>,
    ) -> Result<Self, TensorError> {
        let (shape, bytes) = (shape.into(), bytes.into());
        let Some(expected) = shape.checked_elements().and_then(|n| n.checked_mul(dtype.size()))
        else {
            return Err(TensorError::TooLarge { dtype, shape });
        };
        if expected != bytes.len() {
            let (expected, found) = (expected as u64, bytes.len() as u64);
            return Err(TensorError::Length { dtype, shape, expected, found });
        }
        Ok(Self { dtype, shape, bytes })
    }

    /// Borrows f32 values (on a little-endian machine without a copy).
    pub fn from_f32(shape: impl Into<Shape>, values: &'a [f32]) -> Result<Self, TensorError> {
        Self::new(DType::F32, shape, little_endian(values))
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The values of an f32 tensor, every NaN payload kept.
    pub fn to_f32(&self) -> Result<Vec<f32>, TensorError> {
        let mut values = vec![0.0; self.bytes.len() / 4];
        self.copy_to_f32(&mut values)?;
        Ok(values)
    }

    /// Copies the values of an f32 tensor into `values`, which has as many elements.
    pub fn copy_to_f32(&self, values: &mut [f32]) -> Result<(), TensorError> {
        if self.dtype != DType::F32 {
            return Err(TensorError::DType { expected: DType::F32, found: self.dtype });
        }
        if self.bytes.len() != values.len() * 4 {
            let (dtype, shape) = (self.dtype, self.shape.clone());
            let (expected, found) = (values.len() as u64 * 4, self.bytes.len() as u64);
            return Err(TensorError::Length { dtype, shape, expected, found });
        }
        for (value, bytes) in values.iter_mut().zip(self.bytes.as_chunks::<4>().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        Ok(())
    }

    /// The same tensor owning its bytes.
    pub fn into_owned(self) -> Tensor<'static> {
        let Self { dtype, shape, bytes } = self;
        Tensor { dtype, shape, bytes: Cow::Owned(bytes.into_owned()) }
    }
}
