//! Datasets in chunks: how chunks divide them, and how they are put together again (specification,
//! IV.A.2.i and VII).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::dataset::{LAYOUT, Values};
use super::filters::{Filter, MAX_INFLATION};
use super::{File, NOWHERE, integer};
use crate::bytes::Reader;
use crate::wire::hdf5::Hdf5Error;

const CHUNK: &str = "a chunk";

/// Bytes of memory that the place of a chunk takes, its extents left out.
const CHUNK_MEMORY: u64 = 160;

/// A chunk that is stored.
pub(super) struct Chunk<'a> {
    stored: Reader<'a>,
    /// Each filter that was left out has a bit here.
    left_out: u32,
}

/// The chunks that a dataset is divided into, and those that are stored.
pub(super) struct Chunks<'a, 'v> {
    /// Extents of the dataset, in values.
    extents: &'v [u64],
    /// Extents of a chunk, in values.
    chunk: Vec<u64>,
    /// Bytes of a chunk.
    pub(super) bytes: u64,
    /// By the place of their first value.
    stored: BTreeMap<Vec<u64>, Chunk<'a>>,
}

impl Chunks<'_, '_> {
    pub(super) fn rank(&self) -> u64 {
        self.extents.len() as u64
    }

    /// How many chunks the whole dataset has; `None` where a `u64` cannot tell.
    pub(super) fn count(&self) -> Option<u64> {
        let along = self.extents.iter().zip(&self.chunk).map(|(dim, chunk)| dim.div_ceil(*chunk));
        along.into_iter().try_fold(1_u64, |all, count| all.checked_mul(count))
    }

    /// Where chunk `number` in C order has its first value.
    pub(super) fn origin(&self, mut number: u64) -> Vec<u64> {
        let mut origin: Vec<u64> = (self.extents.iter().zip(&self.chunk).rev())
            .map(|(dim, chunk)| {
                let count = dim.div_ceil(*chunk).max(1);
                let at = number % count;
                number /= count;
                at.saturating_mul(*chunk)
            })
            .collect();
        origin.reverse();
        origin
    }

    /// Whether a chunk can have its first value there.
    fn is_origin(&self, origin: &[u64]) -> bool {
        let mut dims = origin.iter().zip(self.extents.iter().zip(&self.chunk));
        dims.all(|(at, (dim, chunk))| at < dim && at % chunk == 0)
    }
}

impl<'a> File<'a, '_> {
    /// The values of a dataset in chunks.
    pub(super) fn chunked(
        &mut self,
        version: u8,
        mut layout: Reader<'a>,
        values: &Values,
    ) -> Result<Vec<u8>, Hdf5Error> {
        let flags = if version == 3 { 0 } else { layout.u8(LAYOUT)? };
        if flags & 1 != 0 && !values.filters.is_empty() {
            let what = "a dataset of which the chunks at the edges are not filtered";
            return Err(Hdf5Error::Unsupported { what });
        }
        let (offset, rank) = (layout.offset(), layout.u8(LAYOUT)?);
        // Version 3 has the address of the index here, and extents of 4 bytes.
        let tree = if version == 3 { Some(layout.u64(LAYOUT)?) } else { None };
        let width = if version == 3 { 4 } else { u64::from(layout.u8(LAYOUT)?) };
        let mut chunk = Vec::new();
        for _ in 0..rank {
            chunk.push(integer(&mut layout, width, LAYOUT)?);
        }
        // The last one is the size of a value.
        let size = u64::from(values.datatype.size);
        let bytes = chunk.iter().try_fold(1_u64, |all, &dim| {
            all.checked_mul(dim).filter(|&all| all > 0 && all <= u64::from(u32::MAX))
        });
        let fits = chunk.pop() == Some(size) && chunk.len() == values.extents.len();
        let Some(bytes) = bytes.filter(|_| fits) else {
            return Err(Hdf5Error::Value {
                what: "the number of dimensions of chunks",
                offset,
                expected: "one more than the dataset's, with extents that fit",
                found: u64::from(rank),
            });
        };
        let extents = values.extents.as_slice();
        let mut chunks = Chunks { extents, chunk, bytes, stored: BTreeMap::new() };
        match tree {
            Some(address) => self.chunk_tree(address, &mut chunks)?,
            None => self.chunk_index(&mut layout, flags, &mut chunks)?,
        }

        let is_deflated = values.filters.contains(&Filter::Deflate);
        let inflation = if is_deflated { MAX_INFLATION } else { 1 };
        let stored = chunks.stored.values().fold(0_u64, |all, chunk| {
            let most = chunk.stored.remaining().saturating_mul(inflation);
            all.saturating_add(most.min(chunks.bytes))
        });
        if is_deflated {
            let inflation = Hdf5Error::Inflation { needed: stored, left: self.inflated };
            self.inflated = self.inflated.checked_sub(stored).ok_or(inflation)?;
        }
        let mut all = self.filled(values, stored)?;
        for (origin, chunk) in &chunks.stored {
            let bytes = self.unfiltered(chunk, values, chunks.bytes)?;
            let outside = Hdf5Error::Value {
                what: "the extent of a chunk",
                offset: chunk.stored.offset(),
                expected: "within the dataset",
                found: chunk.stored.remaining(),
            };
            place(&bytes, origin, &chunks, size, &mut all).ok_or(outside)?;
        }
        Ok(all)
    }

    /// Notes that a chunk is stored in `length` bytes at `address`, if it is.
    pub(super) fn note(
        &mut self,
        chunks: &mut Chunks<'a, '_>,
        origin: Vec<u64>,
        address: u64,
        length: u64,
        left_out: u32,
    ) -> Result<(), Hdf5Error> {
        if address == NOWHERE {
            return Ok(());
        }
        self.budget.reserve(CHUNK_MEMORY + 8 * chunks.rank(), CHUNK)?;
        let stored = self.structure(address, length, CHUNK)?;
        let is_new = chunks.is_origin(&origin) && !chunks.stored.contains_key(&origin);
        if !is_new {
            let found = origin.first().copied().unwrap_or(0);
            let (what, expected) = ("the place of a chunk", "one of the dataset's, used once");
            return Err(Hdf5Error::Value { what, offset: address, expected, found });
        }
        chunks.stored.insert(origin, Chunk { stored, left_out });
        Ok(())
    }

    /// The bytes of a chunk before it was filtered. What a filter takes of the budget is not given back,
    /// which bounds the work as well.
    fn unfiltered(
        &mut self,
        chunk: &Chunk<'a>,
        values: &Values,
        whole: u64,
    ) -> Result<Cow<'a, [u8]>, Hdf5Error> {
        let offset = chunk.stored.offset();
        let mut bytes = Cow::Borrowed(chunk.stored.peek());
        for (number, filter) in (0_u32..).zip(&values.filters).collect::<Vec<_>>().iter().rev() {
            if chunk.left_out >> number & 1 == 0 {
                bytes = filter.undo(bytes, whole, offset, self.budget)?;
            }
        }
        let found = bytes.len() as u64;
        if found != whole {
            let (what, expected) = ("the length of a chunk", "that of its values");
            return Err(Hdf5Error::Value { what, offset, expected, found });
        }
        Ok(bytes)
    }
}

/// Copies what of a chunk lies within the dataset, row by row along the last dimension.
fn place(
    bytes: &[u8],
    origin: &[u64],
    chunks: &Chunks<'_, '_>,
    size: u64,
    all: &mut [u8],
) -> Option<()> {
    // Of each dimension but the last, the last first: extent within the dataset, of the chunk, of
    // the dataset, and the place of the chunk.
    let mut dims: Vec<[u64; 4]> = Vec::new();
    for ((&origin, &dim), &chunk) in origin.iter().zip(chunks.extents).zip(&chunks.chunk).rev() {
        dims.push([dim.checked_sub(origin)?.min(chunk), chunk, dim, origin]);
    }
    let (last, outer) = dims.split_first().unwrap_or((&[1, 1, 1, 0], &[]));
    let [extent, chunk, dim, start] = *last;
    let row = usize::try_from(extent.checked_mul(size)?).ok()?;
    for number in 0..outer.iter().map(|[extent, ..]| extent).product::<u64>() {
        let (mut rest, mut from, mut to) = (number, 0_u64, start);
        let (mut from_step, mut to_step) = (chunk, dim);
        for [extent, chunk, dim, origin] in outer {
            let at = rest.checked_rem(*extent)?;
            rest /= extent;
            from = from.checked_add(at.checked_mul(from_step)?)?;
            to = to.checked_add(origin.checked_add(at)?.checked_mul(to_step)?)?;
            (from_step, to_step) = (from_step.checked_mul(*chunk)?, to_step.checked_mul(*dim)?);
        }
        let row_at = |values: u64| {
            let start = usize::try_from(values.checked_mul(size)?).ok()?;
            Some(start..start.checked_add(row)?)
        };
        all.get_mut(row_at(to)?)?.copy_from_slice(bytes.get(row_at(from)?)?);
    }
    Some(())
}
