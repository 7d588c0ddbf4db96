//! IDX, the format of MNIST: an element type, extents, values. Byte layout, big-endian throughout
//! (from the page of the MNIST database):
//!
//! ```text
//! 0   2  zero
//! 2   1  element type: 08 u8, 09 i8, 0B i16, 0C i32, 0D f32, 0E f64
//! 3   1  rank
//! 4  4r  extents, outermost first, u32 each
//!        values in C order
//! ```

use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

use byteorder::{BigEndian, ReadBytesExt, WriteBytesExt};

use super::gzip::{MAX_EXPANSION, Unpacked};
use crate::tensor::{DType, Shape};

/// The content of an IDX file.
#[derive(Clone, Debug, PartialEq)]
pub struct Idx {
    shape: Shape,
    values: Values,
}

/// The values of an IDX file, in C order. They are shared, so that a data set takes them over
/// without a copy.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Values {
    U8(Arc<[u8]>),
    I8(Arc<[i8]>),
    I16(Arc<[i16]>),
    I32(Arc<[i32]>),
    F32(Arc<[f32]>),
    F64(Arc<[f64]>),
}

/// Why bytes are not an IDX file. Offsets count the bytes of the file once unpacked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdxError {
    #[error("not an IDX file: expected two zero bytes at offset 0, found {found:02x?}")]
    Magic { found: [u8; 2] },
    #[error(
        "unknown element type {found:#04x} at offset 2, expected one of 08, 09, 0b, 0c, 0d, 0e"
    )]
    ElementType { found: u8 },
    #[error("the file ends at offset {found}, expected {expected} bytes")]
    Truncated { expected: u64, found: u64 },
    #[error("expected the end of the file at offset {expected}, found further bytes")]
    Trailing { expected: u64 },
    #[error(
        "the header at offset 4 claims {shape} values of type {dtype}, more than any file holds"
    )]
    TooLarge { dtype: DType, shape: Shape },
    #[error("the header claims {claimed} bytes, but {packed} packed bytes hold at most {possible}")]
    Expansion { claimed: u64, packed: u64, possible: u64 },
    #[error("the file takes {claimed} bytes, the limit is {limit}")]
    Limit { claimed: u64, limit: u64 },
    #[error("the gzip data is damaged (found at offset {offset} of what it holds)")]
    Gzip { offset: u64 },
    #[error("cannot read at offset {offset}: {kind}")]
    Read { offset: u64, kind: io::ErrorKind },
    #[error("{shape} values expected, found {found}")]
    Count { shape: Shape, found: usize },
    #[error("an extent of {shape} does not fit the format's 32 bits, or its rank the format's 8")]
    Extent { shape: Shape },
}

impl Idx {
    /// `values` of the extents `shape`, as a file can hold them.
    pub fn new(shape: impl Into<Shape>, values: Values) -> Result<Self, IdxError> {
        let shape = shape.into();
        let fits = |&extent: &usize| u32::try_from(extent).is_ok();
        if shape.rank() > 255 || !shape.dims().iter().all(fits) {
            return Err(IdxError::Extent { shape });
        }
        if shape.checked_elements() != Some(values.len()) {
            return Err(IdxError::Count { shape, found: values.len() });
        }
        Ok(Self { shape, values })
    }

    /// Reads a whole file of `stored` bytes, plain or packed by gzip, which its content tells.
    ///
    /// What the header claims is compared with `stored` and with `limit`, the largest number of
    /// (unpacked) bytes to accept, before the values get their one allocation.
    pub fn read(reader: impl Read, stored: u64, limit: u64) -> Result<Self, IdxError> {
        let Unpacked { packed, reader } = Unpacked::new(reader)
            .map_err(|error| IdxError::Read { offset: 0, kind: error.kind() })?;
        let mut source = Source { reader, packed, offset: 0, expected: 4 };
        let [zero0, zero1, code, rank] = source.array()?;
        if [zero0, zero1] != [0, 0] {
            return Err(IdxError::Magic { found: [zero0, zero1] });
        }
        let dtype = dtype_of(code).ok_or(IdxError::ElementType { found: code })?;
        source.expected += 4 * u64::from(rank);
        let mut dims = Vec::with_capacity(usize::from(rank));
        for _ in 0..rank {
            dims.push(u32::from_be_bytes(source.array()?) as usize);
        }
        let shape = Shape::from(dims);
        let Some((count, claimed)) = sizes(&shape, dtype, source.expected) else {
            return Err(IdxError::TooLarge { dtype, shape });
        };
        source.expected = claimed;
        check_claim(claimed, stored, packed, limit)?;
        let values = source.values(code, count)?;
        source.finish()?;
        Ok(Self { shape, values })
    }

    /// Writes the file, unpacked.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let mut out = BufWriter::new(out);
        let rank = u8::try_from(self.shape.rank()).map_err(io::Error::other)?;
        out.write_all(&[0, 0, self.values.code(), rank])?;
        for &extent in self.shape.dims() {
            out.write_u32::<BigEndian>(u32::try_from(extent).map_err(io::Error::other)?)?;
        }
        match &self.values {
            Values::U8(values) => out.write_all(values),
            Values::I8(values) => out.write_all(bytemuck::cast_slice(values)),
            Values::I16(values) => values.iter().try_for_each(|&v| out.write_i16::<BigEndian>(v)),
            Values::I32(values) => values.iter().try_for_each(|&v| out.write_i32::<BigEndian>(v)),
            Values::F32(values) => values.iter().try_for_each(|&v| out.write_f32::<BigEndian>(v)),
            Values::F64(values) => values.iter().try_for_each(|&v| out.write_f64::<BigEndian>(v)),
        }?;
        out.flush()
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    pub fn values(&self) -> &Values {
        &self.values
    }
}

impl Values {
    pub fn dtype(&self) -> DType {
        match self {
            Self::U8(_) => DType::U8,
            Self::I8(_) => DType::I8,
            Self::I16(_) => DType::I16,
            Self::I32(_) => DType::I32,
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::U8(_) => 0x08,
            Self::I8(_) => 0x09,
            Self::I16(_) => 0x0b,
            Self::I32(_) => 0x0c,
            Self::F32(_) => 0x0d,
            Self::F64(_) => 0x0e,
        }
    }
}

fn dtype_of(code: u8) -> Option<DType> {
    Some(match code {
        0x08 => DType::U8,
        0x09 => DType::I8,
        0x0b => DType::I16,
        0x0c => DType::I32,
        0x0d => DType::F32,
        0x0e => DType::F64,
        _ => return None,
    })
}

/// How many values the shape holds and how long the file is, header included.
fn sizes(shape: &Shape, dtype: DType, header: u64) -> Option<(usize, u64)> {
    let count = shape.checked_elements()?;
    let bytes = (count as u64).checked_mul(dtype.size() as u64)?;
    Some((count, bytes.checked_add(header)?))
}

/// Compares the length that the header claims with what is there, before anything is allocated.
fn check_claim(claimed: u64, stored: u64, packed: bool, limit: u64) -> Result<(), IdxError> {
    if packed {
        let possible = stored.saturating_mul(MAX_EXPANSION);
        if claimed > possible {
            return Err(IdxError::Expansion { claimed, packed: stored, possible });
        }
    } else if claimed > stored {
        return Err(IdxError::Truncated { expected: claimed, found: stored });
    } else if claimed < stored {
        return Err(IdxError::Trailing { expected: claimed });
    }
    if claimed > limit {
        return Err(IdxError::Limit { claimed, limit });
    }
    Ok(())
}

/// The unpacked bytes of a file, counted.
struct Source<R> {
    reader: R,
    packed: bool,
    offset: u64,
    /// How many bytes the file has at least, by what was read of it so far.
    expected: u64,
}

impl<R: Read> Source<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], IdxError> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes).map_err(|error| self.error(&error))?;
        Ok(bytes)
    }

    fn values(&mut self, code: u8, count: usize) -> Result<Values, IdxError> {
        Ok(match code {
            0x08 => Values::U8(self.filled(count, Self::read_exact)?),
            0x09 => Values::I8(self.filled(count, Self::read_i8_into)?),
            0x0b => Values::I16(self.filled(count, Self::read_i16_into::<BigEndian>)?),
            0x0c => Values::I32(self.filled(count, Self::read_i32_into::<BigEndian>)?),
            0x0d => Values::F32(self.filled(count, Self::read_f32_into::<BigEndian>)?),
            0x0e => Values::F64(self.filled(count, Self::read_f64_into::<BigEndian>)?),
            found => return Err(IdxError::ElementType { found }),
        })
    }

    /// `count` values in the allocation they keep: a `Vec` would be copied to be shared.
    fn filled<T: Copy + Default>(
        &mut self,
        count: usize,
        read: impl FnOnce(&mut Self, &mut [T]) -> io::Result<()>,
    ) -> Result<Arc<[T]>, IdxError> {
        let mut values: Arc<[T]> = std::iter::repeat_n(T::default(), count).collect();
        read(self, Arc::make_mut(&mut values)).map_err(|error| self.error(&error))?;
        Ok(values)
    }

    /// Nothing may follow; for packed content this also checks gzip's own checksum.
    fn finish(&mut self) -> Result<(), IdxError> {
        match io::copy(&mut self.reader.by_ref().take(1), &mut io::sink()) {
            Ok(0) => Ok(()),
            Ok(_) => Err(IdxError::Trailing { expected: self.expected }),
            Err(_) if self.packed => Err(IdxError::Gzip { offset: self.offset }),
            Err(error) => Err(self.error(&error)),
        }
    }

    fn error(&self, error: &io::Error) -> IdxError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                IdxError::Truncated { expected: self.expected, found: self.offset }
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if self.packed => {
                IdxError::Gzip { offset: self.offset }
            }
            kind => IdxError::Read { offset: self.offset, kind },
        }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.offset += count as u64;
        Ok(count)
    }
}
