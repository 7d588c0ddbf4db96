//! Values: from the bytes that are stored to little-endian numbers and text.

use std::borrow::Cow;

use super::File;
use super::datatype::{Class, Datatype, Padding};
use crate::bytes::Reader;
use crate::tensor::{Shape, Tensor};
use crate::wire::hdf5::{Array, Hdf5Error};

const TEXT: &str = "a text";

/// The bytes of an array as they are stored.
pub(super) enum Stored<'a> {
    /// Where they stand in the file.
    File(Reader<'a>),
    /// Put together in memory.
    Memory(Vec<u8>),
}

impl<'a> File<'a, '_> {
    /// The array of this type and these extents, whose bytes `stored` gives, told how many they are.
    pub(super) fn array(
        &mut self,
        Datatype { size, class }: Datatype,
        extents: Vec<u64>,
        stored: impl FnOnce(&mut Self, u64) -> Result<Stored<'a>, Hdf5Error>,
    ) -> Result<Array<'a>, Hdf5Error> {
        let claim = Hdf5Error::Claim { claimed: u64::MAX, stored: self.bytes.len() as u64 };
        let length = extents.iter().try_fold(u64::from(size), |all, &dim| all.checked_mul(dim));
        let length = length.ok_or_else(|| claim.clone())?;
        let shape: Result<Vec<usize>, _> = extents.into_iter().map(usize::try_from).collect();
        let shape = Shape::from(shape.map_err(|_| claim.clone())?);
        if let Class::Unread(kind) = class {
            return Ok(Array::Unread { shape, kind });
        }
        let (bytes, offset) = match stored(self, length)? {
            Stored::File(reader) => (Cow::Borrowed(reader.peek()), reader.offset()),
            Stored::Memory(bytes) => (Cow::Owned(bytes), 0),
        };
        Ok(match class {
            Class::Number { dtype, big_endian } => {
                let bytes = if big_endian && dtype.size() > 1 {
                    let mut little = self.budget.vec(length, "numbers")?;
                    for value in bytes.chunks_exact(dtype.size()) {
                        little.extend(value.iter().rev());
                    }
                    Cow::Owned(little)
                } else {
                    bytes
                };
                Array::Numbers(Tensor::new(dtype, shape, bytes).map_err(|_| claim)?)
            }
            Class::Opaque => Array::Opaque { shape, size, bytes },
            Class::Text(padding) => {
                let texts =
                    self.texts(&bytes, offset, size, |_, value| Ok(padding.strip(value.peek())))?;
                Array::Text { shape, texts }
            }
            Class::HeapText => {
                let texts = self.texts(&bytes, offset, size, |file, value| {
                    // What reads them with C sees no further than the first zero.
                    Ok(Padding::Terminated.strip(file.heap_text(value)?))
                })?;
                Array::Text { shape, texts }
            }
            Class::Unread(kind) => Array::Unread { shape, kind },
        })
    }

    /// The texts of which each has `size` of `bytes`, which `text` makes characters of.
    fn texts<'v>(
        &mut self,
        bytes: &'v [u8],
        offset: u64,
        size: u32,
        text: impl Fn(&mut Self, &mut Reader<'v>) -> Result<&'v [u8], Hdf5Error>,
    ) -> Result<Vec<String>, Hdf5Error>
    where
        'a: 'v,
    {
        let size = u64::from(size);
        let count = (bytes.len() as u64).checked_div(size).unwrap_or(0);
        self.budget.reserve(count.saturating_mul(size_of::<String>() as u64), TEXT)?;
        let mut texts = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let mut values = Reader::new(bytes, offset);
        for _ in 0..count {
            let mut value = values.sub(size, TEXT)?;
            let at = value.offset();
            let bytes = text(self, &mut value)?;
            texts.push(self.text(bytes, TEXT, at)?);
        }
        Ok(texts)
    }
}
