//! Where the chunks of a dataset stand (specification, III.A.1 and VII).

use super::chunks::Chunks;
use super::dataset::LAYOUT;
use super::links::MAX_LEVELS;
use super::{File, NOWHERE, check, expect_signature, integer, version};
use crate::bytes::Reader;
use crate::wire::hdf5::Hdf5Error;

const INDEX: &str = "the index of chunks";

impl<'a> File<'a, '_> {
    /// The chunks in a B-tree of version 1.
    pub(super) fn chunk_tree(
        &mut self,
        address: u64,
        chunks: &mut Chunks<'a, '_>,
    ) -> Result<(), Hdf5Error> {
        if address == NOWHERE { Ok(()) } else { self.chunk_node(address, MAX_LEVELS, chunks) }
    }

    fn chunk_node(
        &mut self,
        address: u64,
        levels: u8,
        chunks: &mut Chunks<'a, '_>,
    ) -> Result<(), Hdf5Error> {
        let mut head = self.structure(address, 24, INDEX)?;
        expect_signature(&mut head, *b"TREE", INDEX)?;
        let (offset, kind, level) = (head.offset(), head.u8(INDEX)?, head.u8(INDEX)?);
        if kind != 1 {
            let (what, expected, found) = ("the kind of a B-tree", "1", u64::from(kind));
            return Err(Hdf5Error::Value { what, offset, expected, found });
        }
        let Some(levels) = levels.checked_sub(1) else {
            return Err(Hdf5Error::Depth { limit: usize::from(MAX_LEVELS) });
        };
        // A key is a length, filters, and the chunk's place with one dimension more.
        let length = u64::from(head.u16(INDEX)?) * (8 + 8 * (chunks.rank() + 1) + 8);
        let mut entries = self.structure(address.saturating_add(24), length, INDEX)?;
        while !entries.is_empty() {
            let (length, left_out) = (u64::from(entries.u32(INDEX)?), entries.u32(INDEX)?);
            let mut origin = Vec::new();
            for _ in 0..chunks.rank() {
                origin.push(entries.u64(INDEX)?);
            }
            entries.take(8, INDEX)?;
            let address = entries.u64(INDEX)?;
            if level > 0 {
                self.chunk_node(address, levels, chunks)?;
            } else {
                self.note(chunks, origin, address, length, left_out)?;
            }
        }
        Ok(())
    }

    /// The chunks that an index of layout version 4 lists.
    pub(super) fn chunk_index(
        &mut self,
        layout: &mut Reader<'a>,
        flags: u8,
        chunks: &mut Chunks<'a, '_>,
    ) -> Result<(), Hdf5Error> {
        match layout.u8(LAYOUT)? {
            // A single chunk.
            1 => {
                let filtered = flags & 2 != 0;
                let length = if filtered { layout.u64(LAYOUT)? } else { chunks.bytes };
                let left_out = if filtered { layout.u32(LAYOUT)? } else { 0 };
                let (origin, address) = (chunks.origin(0), layout.u64(LAYOUT)?);
                self.note(chunks, origin, address, length, left_out)
            }
            // All chunks, one behind the other.
            2 => {
                let first = layout.u64(LAYOUT)?;
                let length = chunks.count().and_then(|count| count.checked_mul(chunks.bytes));
                if first == NOWHERE {
                    return Ok(());
                }
                self.from(first, INDEX)?.take(length.unwrap_or(u64::MAX), INDEX)?;
                for number in 0..chunks.count().unwrap_or(0) {
                    let (origin, length) = (chunks.origin(number), chunks.bytes);
                    let address = first.saturating_add(number.saturating_mul(length));
                    self.note(chunks, origin, address, length, 0)?;
                }
                Ok(())
            }
            3 => {
                // How many entries a page has; the array tells it, too.
                layout.take(1, LAYOUT)?;
                match layout.u64(LAYOUT)? {
                    NOWHERE => Ok(()),
                    address => self.fixed_array(address, chunks),
                }
            }
            _ => Err(Hdf5Error::Unsupported { what: "a dataset in chunks that can grow" }),
        }
    }

    /// The chunks of a fixed array: one entry for each, in pages if they are many.
    fn fixed_array(&mut self, address: u64, chunks: &mut Chunks<'a, '_>) -> Result<(), Hdf5Error> {
        let mut head = self.checked(address, 28, *b"FAHD", INDEX)?;
        version(&mut head, &[0], INDEX)?;
        let filtered = head.u8(INDEX)? == 1;
        let size = u64::from(head.u8(INDEX)?);
        let page = head.u8(INDEX)?;
        let (offset, count) = (head.offset(), head.u64(INDEX)?);
        let block = head.u64(INDEX)?;
        let page = 1_u64.checked_shl(u32::from(page)).filter(|_| chunks.count() == Some(count));
        let Some(page) = page else {
            let (what, expected) = ("the number of entries of an index", "that of the chunks");
            return Err(Hdf5Error::Value { what, offset, expected, found: count });
        };
        if block == NOWHERE {
            return Ok(());
        }
        let mut entries = |file: &mut Self, mut entries: Reader<'a>, first: u64| {
            for number in first..first.saturating_add(page).min(count) {
                let mut entry = entries.sub(size, INDEX)?;
                let address = entry.u64(INDEX)?;
                let (mut length, mut left_out) = (chunks.bytes, 0);
                if filtered {
                    let width = entry.remaining().saturating_sub(4);
                    length = integer(&mut entry, width, INDEX)?;
                    left_out = entry.u32(INDEX)?;
                }
                let origin = chunks.origin(number);
                file.note(chunks, origin, address, length, left_out)?;
            }
            Ok::<_, Hdf5Error>(())
        };
        // Before the entries: signature, version, whose it is, the header's address.
        let before = 14;
        if count <= page {
            let length = count.saturating_mul(size).saturating_add(before + 4);
            let mut body = self.checked(block, length, *b"FADB", INDEX)?;
            body.take(before - 4, INDEX)?;
            return entries(self, body, 0);
        }
        let pages = count.div_ceil(page);
        let head = pages.div_ceil(8).saturating_add(before + 4);
        let mut bits = self.checked(block, head, *b"FADB", INDEX)?;
        bits.take(before - 4, INDEX)?;
        let (mut address, mut byte) = (block.saturating_add(head), 0);
        for number in 0..pages {
            if number % 8 == 0 {
                byte = bits.u8(INDEX)?;
            }
            let first = number.saturating_mul(page);
            let length = page.min(count.saturating_sub(first)).saturating_mul(size);
            // A page that nothing was written to has no bit.
            if byte >> (7 - number % 8) & 1 == 1 {
                let mut body = self.structure(address, length.saturating_add(4), INDEX)?;
                let whole = body.sub(length, INDEX)?;
                check(whole.peek(), &mut body, INDEX, address)?;
                entries(self, whole, first)?;
            }
            address = address.saturating_add(length).saturating_add(4);
        }
        Ok(())
    }
}
