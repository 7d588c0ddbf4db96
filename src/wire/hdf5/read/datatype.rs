//! Datatypes and dataspaces (specification, IV.A.2.d and IV.A.2.b).

use super::version;
use crate::bytes::Reader;
use crate::tensor::DType;
use crate::wire::hdf5::{Hdf5Error, MAX_RANK};

const TYPE: &str = "a datatype";
const SPACE: &str = "a dataspace";

/// What a value is, and how many bytes it takes where it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Datatype {
    pub(super) size: u32,
    pub(super) class: Class,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Class {
    Number {
        dtype: DType,
        big_endian: bool,
    },
    /// Text of a fixed length.
    Text(Padding),
    /// Text that stands in the global heap.
    HeapText,
    Opaque,
    /// A type that is not read, by its name.
    Unread(&'static str),
}

/// What fills a text up to its length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Padding {
    /// Anything behind a zero.
    Terminated,
    Zeros,
    Spaces,
}

impl Padding {
    /// The text without what fills it up.
    pub(super) fn strip(self, text: &[u8]) -> &[u8] {
        let end = match self {
            Self::Terminated => text.iter().position(|&byte| byte == 0),
            Self::Zeros => text.iter().rposition(|&byte| byte != 0).map(|at| at + 1).or(Some(0)),
            Self::Spaces => {
                text.iter().rposition(|&byte| byte != b' ').map(|at| at + 1).or(Some(0))
            }
        };
        end.and_then(|end| text.get(..end)).unwrap_or(text)
    }
}

impl Datatype {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Hdf5Error> {
        let offset = reader.offset();
        let head = reader.u8(TYPE)?;
        let (version, class) = (head >> 4, head & 0x0F);
        let bits = reader.take_array::<3>(TYPE)?;
        let size = reader.u32(TYPE)?;
        if size == 0 {
            let (what, expected) = ("the size of a datatype", "1 or more");
            return Err(Hdf5Error::Value { what, offset, expected, found: 0 });
        }
        let [flags, _, _] = bits;
        let number = |dtype: Option<DType>, other| match dtype {
            Some(dtype) => Class::Number { dtype, big_endian: flags & 1 != 0 },
            None => Class::Unread(other),
        };
        let class = match class {
            0 => number(
                integer_type(size, flags & 8 != 0).filter(|_| is_whole(reader, size)),
                "integers of other than 8, 16, 32 or 64 bits",
            ),
            1 if is_whole(reader, size) => number(
                float_type(size, reader.take_array(TYPE)?, bits),
                "floating-point numbers that are not of IEEE 754",
            ),
            1 => Class::Unread("floating-point numbers with unused bits"),
            2 => Class::Unread("times"),
            3 => match flags & 0x0F {
                0 => Class::Text(Padding::Terminated),
                1 => Class::Text(Padding::Zeros),
                2 => Class::Text(Padding::Spaces),
                _ => Class::Unread("texts padded in an unknown way"),
            },
            4 => Class::Unread("bit fields"),
            5 => Class::Opaque,
            6 => Class::Unread("compound values"),
            7 => Class::Unread("references"),
            8 if is_boolean(version, bits, size, reader)? => {
                Class::Number { dtype: DType::Bool, big_endian: false }
            }
            8 => Class::Unread("enumerations"),
            9 if flags & 0x0F == 1 && size == 16 => Class::HeapText,
            9 => Class::Unread("lists of varying length"),
            10 => Class::Unread("arrays within arrays"),
            _ => Class::Unread("values of an unknown type"),
        };
        Ok(Self { size, class })
    }
}

/// Whether a number fills its bytes: the offset of its first bit, and how many there are, come next.
fn is_whole(reader: &mut Reader<'_>, size: u32) -> bool {
    let bits = (reader.u16(TYPE), reader.u16(TYPE).map(u32::from));
    bits == (Ok(0), Ok(size.saturating_mul(8)))
}

fn integer_type(size: u32, signed: bool) -> Option<DType> {
    Some(match (size, signed) {
        (1, true) => DType::I8,
        (2, true) => DType::I16,
        (4, true) => DType::I32,
        (8, true) => DType::I64,
        (1, false) => DType::U8,
        (2, false) => DType::U16,
        (4, false) => DType::U32,
        (8, false) => DType::U64,
        _ => return None,
    })
}

/// The properties of a float are place and size of exponent and mantissa, and the exponent's bias; the
/// second byte of its bit field is the place of the sign.
fn float_type(size: u32, properties: [u8; 8], [order, sign, _]: [u8; 3]) -> Option<DType> {
    // Little- or big-endian, padded with zeros, the first bit of the mantissa implied.
    if order & !1 != 0x20 {
        return None;
    }
    let [exponent_at, exponent, mantissa_at, mantissa, bias @ ..] = properties;
    let dtype = match (size, exponent, mantissa, u32::from_le_bytes(bias)) {
        (2, 5, 10, 15) => DType::F16,
        (2, 8, 7, 127) => DType::BF16,
        (4, 8, 23, 127) => DType::F32,
        (8, 11, 52, 1023) => DType::F64,
        _ => return None,
    };
    let places = (mantissa_at, exponent_at, sign) == (0, mantissa, mantissa + exponent);
    places.then_some(dtype)
}

/// Whether an enumeration is one of `FALSE`, 0, and `TRUE`, 1, in a byte, as h5py keeps booleans.
fn is_boolean(
    version: u8,
    [low, high, _]: [u8; 3],
    size: u32,
    reader: &mut Reader<'_>,
) -> Result<bool, Hdf5Error> {
    // The type of its values: that of an integer takes 12 bytes.
    let [base, ..] = reader.take_array::<12>(TYPE)?;
    if u16::from_le_bytes([low, high]) != 2 || size != 1 || base & 0x0F != 0 {
        return Ok(false);
    }
    for expected in ["FALSE", "TRUE"] {
        let rest = reader.peek();
        let length = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
        if rest.get(..length) != Some(expected.as_bytes()) {
            return Ok(false);
        }
        // Up to version 2, names are filled up to a multiple of 8 bytes with the zero at their end.
        let end = length.saturating_add(1);
        reader.take(if version < 3 { end.next_multiple_of(8) } else { end } as u64, TYPE)?;
    }
    Ok(reader.take_array(TYPE)? == [0, 1])
}

/// The extents that a dataspace tells; where it has no values at all, those of a list of none.
pub(super) fn extents(reader: &mut Reader<'_>) -> Result<Vec<u64>, Hdf5Error> {
    let version = version(reader, &[1, 2], SPACE)?;
    let (offset, rank) = (reader.offset(), reader.u8(SPACE)?);
    if usize::from(rank) > MAX_RANK {
        let (what, expected, found) = ("the number of dimensions", "32 at most", u64::from(rank));
        return Err(Hdf5Error::Value { what, offset, expected, found });
    }
    // Whether the largest extents are told as well, which is what they may grow to.
    reader.take(1, SPACE)?;
    let kind = reader.u8(SPACE)?;
    if version == 1 {
        reader.take(4, SPACE)?;
    } else if kind == 2 {
        return Ok(vec![0]);
    }
    (0..rank).map(|_| Ok(reader.u64(SPACE)?)).collect()
}
