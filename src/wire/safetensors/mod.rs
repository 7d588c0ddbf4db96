//! safetensors (<https://github.com/huggingface/safetensors>, version 0.8): named tensors, and texts about
//! them.
//!
//! ```text
//! 8 bytes   length N of the header, little-endian
//! N bytes   JSON that begins with `{`, spaces behind it: {"name": {"dtype": "F32", "shape": [2],
//!           "data_offsets": [0, 8]}, …, "__metadata__": {"key": "text", …}}
//! the rest  the numbers, little-endian in C order; offsets count from here
//! ```
//!
//! ```
//! use keepnet::Tensor;
//! use keepnet::bytes::Budget;
//! use keepnet::wire::safetensors::{File, read};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut file = File::default();
//! file.metadata.insert("format".into(), "pt".into());
//! file.tensors.insert("fc.bias".into(), Tensor::from_f32([2], &[0.5, -0.5])?);
//! let bytes = file.to_pieces()?.concat();
//! assert_eq!(read(&bytes, &mut Budget::new(1 << 20))?, file);
//! # Ok(())
//! # }
//! ```
//!
//! **Read** is what the rules of the format allow, and nothing else: no name twice, on any level; no byte of
//! the numbers that belongs to no tensor or to two; nothing behind the last. Tensors borrow from the bytes.
//!
//! **Written** is the file that the crate `safetensors` writes: tensors by the size of their elements, the
//! largest first, then by name; the header padded so that the numbers begin at a multiple of 8.

mod header;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::bytes::{Budget, BudgetError, ReadError, Reader};
use crate::tensor::{DType, Shape, Tensor};
use header::{Entry, Info, parse};

/// The most bytes of a header, as in the crate `safetensors`.
pub const MAX_HEADER: u64 = 100_000_000;

/// The name in the header that no tensor can have.
pub const METADATA: &str = "__metadata__";

/// Bytes that decoding may take for each of the header, at their largest: two empty texts and their map
/// entry for `"":"",`.
const DECODED: u64 = 32;

/// What a file holds. No tensor is called `__metadata__`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File<'a> {
    pub metadata: BTreeMap<String, String>,
    pub tensors: BTreeMap<String, Tensor<'a>>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    #[error("the file is cut short: {0}")]
    CutShort(#[from] ReadError),
    #[error("the header takes {length} bytes, the format allows {MAX_HEADER}")]
    HeaderLength { length: u64 },
    #[error("the header must begin with {{ and end with }} and spaces, nothing else")]
    HeaderEnds,
    #[error("the header cannot be understood: {message}")]
    Header { message: String },
    #[error("the header has two entries `{name}`")]
    Duplicate { name: String },
    #[error("tensor `{name}` has element type {dtype}, which the format does not have")]
    UnknownType { name: String, dtype: String },
    #[error("tensor `{name}` has element type {dtype}, which keepnet has none for; save it as F32")]
    Type { name: String, dtype: &'static str },
    #[error(
        "tensor `{name}` stands from byte {begin} to {end} of the numbers, expected from {expected} on"
    )]
    Place { name: String, expected: u64, begin: u64, end: u64 },
    #[error("tensor `{name}` of shape {shape} is larger than this machine can address")]
    TooLarge { name: String, shape: Shape },
    #[error("tensor `{name}` takes {expected} bytes by its type and shape, but has {found}")]
    Length { name: String, expected: u64, found: u64 },
    #[error("the tensors take {expected} bytes of numbers, the file has {found}")]
    DataLength { expected: u64, found: u64 },
    #[error("no tensor can be called `{METADATA}`")]
    Reserved,
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

impl SafetensorsError {
    /// Whether the file breaks a rule of the format; else it has something that is not read.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Type { .. } | Self::Budget(_))
    }
}

/// Reads a file. The tensors borrow from `bytes`; the header is paid for from the budget.
///
/// # Errors
/// If a rule of the format is broken, or an element type is none of keepnet's.
pub fn read<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<File<'a>, SafetensorsError> {
    let mut reader = Reader::new(bytes, 0);
    let length = reader.u64("the length of the header")?;
    if length > MAX_HEADER {
        return Err(SafetensorsError::HeaderLength { length });
    }
    let header = reader.take(length, "the header")?;
    budget.reserve(length.saturating_mul(DECODED), "the header")?;
    let (metadata, infos) = parse(header)?;
    let mut in_order: Vec<_> = infos.into_iter().collect();
    in_order.sort_by_key(|(_, info)| info.data_offsets);
    let mut tensors = BTreeMap::new();
    let mut expected = 0;
    for (name, info) in in_order {
        let (begin, end) = info.data_offsets;
        if begin != expected || end < begin {
            return Err(SafetensorsError::Place { name, expected, begin, end });
        }
        let dtype = dtype(&name, &info.dtype)?;
        let tensor = tensor(&name, dtype, info, reader.take(end - begin, "a tensor")?)?;
        tensors.insert(name, tensor);
        expected = end;
    }
    match reader.remaining() {
        0 => Ok(File { metadata, tensors }),
        left => {
            let found = expected.saturating_add(left);
            Err(SafetensorsError::DataLength { expected, found })
        }
    }
}

fn tensor<'a>(
    name: &str,
    dtype: DType,
    info: Info<'_>,
    bytes: &'a [u8],
) -> Result<Tensor<'a>, SafetensorsError> {
    let dims = info.shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(usize::MAX));
    let shape = Shape::new(dims.collect::<Vec<_>>());
    let length = shape.checked_elements().and_then(|elements| elements.checked_mul(dtype.size()));
    let Some(expected) = length else {
        return Err(SafetensorsError::TooLarge { name: name.to_owned(), shape });
    };
    Tensor::new(dtype, shape, bytes).map_err(|_| {
        let (expected, found) = (expected as u64, bytes.len() as u64);
        SafetensorsError::Length { name: name.to_owned(), expected, found }
    })
}

/// The element types of the format, in the order of the crate `safetensors`, by whose reverse it writes;
/// those that keepnet has.
const TYPES: [(&str, Option<DType>); 22] = [
    ("BOOL", Some(DType::Bool)),
    ("F4", None),
    ("F6_E2M3", None),
    ("F6_E3M2", None),
    ("U8", Some(DType::U8)),
    ("I8", Some(DType::I8)),
    ("F8_E5M2", None),
    ("F8_E4M3", None),
    ("F8_E8M0", None),
    ("F8_E4M3FNUZ", None),
    ("F8_E5M2FNUZ", None),
    ("I16", Some(DType::I16)),
    ("U16", Some(DType::U16)),
    ("F16", Some(DType::F16)),
    ("BF16", Some(DType::BF16)),
    ("I32", Some(DType::I32)),
    ("U32", Some(DType::U32)),
    ("F32", Some(DType::F32)),
    ("C64", None),
    ("F64", Some(DType::F64)),
    ("I64", Some(DType::I64)),
    ("U64", Some(DType::U64)),
];

fn dtype(name: &str, found: &str) -> Result<DType, SafetensorsError> {
    let name = || name.to_owned();
    match TYPES.into_iter().find(|(known, _)| *known == found) {
        Some((_, Some(dtype))) => Ok(dtype),
        Some((dtype, None)) => Err(SafetensorsError::Type { name: name(), dtype }),
        None => {
            let dtype = found.to_owned();
            Err(SafetensorsError::UnknownType { name: name(), dtype })
        }
    }
}

/// The place in [`TYPES`] and the name there.
fn type_of(dtype: DType) -> (usize, &'static str) {
    let found = TYPES.into_iter().enumerate().find(|(_, (_, known))| *known == Some(dtype));
    found.map(|(place, (name, _))| (place, name)).unwrap_or_default()
}

impl File<'_> {
    /// The bytes of the file, in pieces of which the large ones are the tensors' own. The same content
    /// always gives the same bytes.
    ///
    /// # Errors
    /// If a tensor is called `__metadata__`, or the header becomes too long.
    pub fn to_pieces(&self) -> Result<Vec<Cow<'_, [u8]>>, SafetensorsError> {
        if self.tensors.contains_key(METADATA) {
            return Err(SafetensorsError::Reserved);
        }
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        tensors.sort_by_key(|(_, tensor)| std::cmp::Reverse(type_of(tensor.dtype()).0));
        let (mut entries, mut end) = (Vec::with_capacity(tensors.len()), 0_u64);
        for (name, tensor) in &tensors {
            let begin = end;
            end = end.saturating_add(tensor.bytes().len() as u64);
            let shape = tensor.shape().dims().iter().map(|&dim| dim as u64).collect();
            let dtype = type_of(tensor.dtype()).1.into();
            entries.push(Entry { name, info: Info { dtype, shape, data_offsets: (begin, end) } });
        }
        let mut header = header::text(&self.metadata, &entries);
        header.resize(header.len().next_multiple_of(8), b' ');
        let length = header.len() as u64;
        if length > MAX_HEADER {
            return Err(SafetensorsError::HeaderLength { length });
        }
        let mut pieces: Vec<Cow<'_, [u8]>> =
            vec![length.to_le_bytes().to_vec().into(), header.into()];
        pieces.extend(tensors.into_iter().map(|(_, tensor)| Cow::Borrowed(tensor.bytes())));
        Ok(pieces)
    }
}
