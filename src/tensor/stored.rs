//! A tensor as it stands in a file: element type, shape, little-endian bytes.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, Range};

use super::memory::{Shared, Values};
use super::{DType, Shape};

/// A tensor as files hold it: little-endian, row-major (C order). Its bytes are borrowed from a
/// running model when it is saved, so saving needs no second copy of the parameters.
///
/// Two tensors are equal when element type, shape and **every bit** are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor<'a> {
    dtype: DType,
    shape: Shape,
    bytes: Bytes<'a>,
}

/// Where the bytes of a tensor stand.
#[derive(Clone)]
pub(crate) enum Bytes<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    Shared(Shared),
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
        let bytes = match bytes.into() {
            Cow::Borrowed(bytes) => Bytes::Borrowed(bytes),
            Cow::Owned(bytes) => Bytes::Owned(bytes),
        };
        Self::of(dtype, shape.into(), bytes)
    }

    /// As [`new`](Self::new), wherever the bytes stand.
    pub(crate) fn of(dtype: DType, shape: Shape, bytes: Bytes<'a>) -> Result<Self, TensorError> {
        let Some(expected) = shape.checked_elements().and_then(|n| n.checked_mul(dtype.size()))
        else {
            return Err(TensorError::TooLarge { dtype, shape });
        };
        let found = bytes.len();
        if expected != found {
            let (expected, found) = (expected as u64, found as u64);
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

    /// The `length` values in which f32 tensors lie at these places, counted in values, if they do: in
    /// memory that they share, the first at its beginning.
    pub(crate) fn together(placed: &[(Self, Range<usize>)], length: usize) -> Option<Values> {
        let shared = |(tensor, place): &'_ (Self, Range<usize>)| match &tensor.bytes {
            Bytes::Shared(bytes) if tensor.dtype == DType::F32 => {
                Some((bytes.clone(), place.start * size_of::<f32>()))
            }
            _ => None,
        };
        let (first, 0) = shared(placed.first()?)? else { return None };
        let behind =
            |placed| shared(placed).is_some_and(|(other, place)| first.has_behind(place, &other));
        if placed.iter().all(behind) { first.values(length) } else { None }
    }

    /// Whether the bytes are somebody else's.
    pub(crate) fn is_borrowed(&self) -> bool {
        matches!(self.bytes, Bytes::Borrowed(_))
    }

    /// The same tensor, borrowing the bytes of this one.
    pub fn borrowed(&self) -> Tensor<'_> {
        let (dtype, shape) = (self.dtype, self.shape.clone());
        Tensor { dtype, shape, bytes: Bytes::Borrowed(&self.bytes) }
    }

    /// The same numbers in another shape; `None` if that has more or fewer.
    pub(crate) fn reshaped(self, shape: Shape) -> Option<Self> {
        Self::of(self.dtype, shape, self.bytes).ok()
    }

    /// The same tensor borrowing from nobody.
    pub fn into_owned(self) -> Tensor<'static> {
        let Self { dtype, shape, bytes } = self;
        let bytes = match bytes {
            Bytes::Borrowed(bytes) => Bytes::Owned(bytes.to_owned()),
            Bytes::Owned(bytes) => Bytes::Owned(bytes),
            Bytes::Shared(bytes) => Bytes::Shared(bytes),
        };
        Tensor { dtype, shape, bytes }
    }
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes.bytes(),
        }
    }
}

/// The same wherever they stand.
impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl PartialEq for Bytes<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes<'_> {}
