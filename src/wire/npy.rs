//! npy, NumPy's file of one array, versions 1.0 and 2.0 (numpy/lib/format.py, NEP 1):
//!
//! ```text
//! 0   6  93 "NUMPY"
//! 6   2  version: major, minor
//! 8   2  length of the header, little-endian (version 2.0: 4 bytes)
//! 10     header: a Python dict literal of 'descr', 'fortran_order' and 'shape', padded with
//!        spaces and ended by a newline so that the values start at a multiple of 64
//!        values, in C or Fortran order
//! ```
//!
//! The header is parsed by a grammar of its own, never evaluated; objects (pickles) are refused.

mod header;
mod values;

use std::io::{self, BufWriter, Write};

use ndarray::{ArrayD, ArrayView, Dimension};

pub use header::Header;

use crate::tensor::{DType, Shape};

/// Why bytes are not an npy file, or not one that gives f32 values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    #[error("not an npy file: expected it to start with 93 4e 55 4d 50 59, found {found:02x?}")]
    Magic { found: [u8; 6] },
    #[error("npy version {major}.{minor} at offset 6 is not supported, expected 1.0 or 2.0")]
    Version { major: u8, minor: u8 },
    #[error("the header takes {found} bytes, the limit is {limit}")]
    HeaderLength { found: usize, limit: usize },
    #[error("header, offset {offset}: expected {expected}, found {found}")]
    Header { offset: usize, expected: &'static str, found: String },
    #[error("the header lacks the key '{key}'")]
    MissingKey { key: &'static str },
    #[error("header, offset {offset}: the key '{key}' stands there again")]
    DuplicateKey { offset: usize, key: &'static str },
    #[error("arrays of type {descr} are not supported, only plain numbers and bool are")]
    ElementType { descr: String },
    #[error("an array of {dtype} does not convert to float32, save it as float32")]
    Convert { dtype: DType },
    #[error("the {dtype} {value} at index {index} (in file order) has no equal float32")]
    Inexact { dtype: DType, value: String, index: usize },
    #[error("the header claims {shape} values of type {dtype}, more than any file holds")]
    TooLarge { dtype: DType, shape: Shape },
    #[error("the file ends at offset {found}, expected {expected} bytes")]
    Truncated { expected: u64, found: u64 },
    #[error("expected the end of the file at offset {expected}, found {found} bytes")]
    Trailing { expected: u64, found: u64 },
}

/// Reads a whole npy file as f32 values, in C order.
///
/// float32 keeps every bit. bool and integers must be exactly representable. float64 is rounded to
/// the nearest float32; a finite one beyond float32's range is refused. A NaN of float64 becomes
/// [`f32::NAN`].
pub fn read(bytes: &[u8]) -> Result<ArrayD<f32>, NpyError> {
    let (header, content) = Header::parse(bytes)?;
    let values = values::to_f32(content, header.dtype, header.big_endian)?;
    let too_large = |_| NpyError::TooLarge { dtype: header.dtype, shape: header.shape.clone() };
    let dims = header.shape.dims();
    if !header.fortran_order {
        return ArrayD::from_shape_vec(dims, values).map_err(too_large);
    }
    let reversed: Vec<usize> = dims.iter().rev().copied().collect();
    let transposed = ArrayD::from_shape_vec(reversed, values).map_err(too_large)?;
    Ok(transposed.reversed_axes().as_standard_layout().into_owned())
}

/// Writes f32 values in C order, little-endian: the bytes that `numpy.save` writes.
pub fn write<D: Dimension>(array: &ArrayView<'_, f32, D>, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    let header = Header::new(DType::F32, array.shape()).to_bytes();
    out.write_all(&header.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?)?;
    array.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))?;
    out.flush()
}
