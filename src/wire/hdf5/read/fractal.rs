//! Links and attributes that are too many, or too large, for an object header: their messages stand in
//! a fractal heap, and a B-tree lists them (specification, III.G).

use std::collections::BTreeMap;

use super::btree::{Records, bytes_for};
use super::{File, NOWHERE, check, expect_signature, integer, version};
use crate::bytes::Reader;
use crate::wire::hdf5::Hdf5Error;

const HEAP: &str = "a fractal heap";
const OBJECT: &str = "an object of a fractal heap";

/// Bytes of memory that the place of a block or of a huge object takes.
const PLACE_MEMORY: u64 = 96;

/// A fractal heap, with all places in it.
struct Heap<'a> {
    /// Bytes of an ID, which names an object, and in it of an offset into the heap and of a length.
    id_size: u64,
    offset_size: u64,
    length_size: u64,
    /// The blocks that hold objects, with the offsets of their first bytes, in rising order.
    blocks: Vec<(u64, Reader<'a>)>,
    /// The objects that no block could hold, by number.
    huge: BTreeMap<u64, Reader<'a>>,
}

/// How a heap is divided into blocks: a table of rows, whose blocks are twice as large from row to row,
/// the first two excepted. From a size on, blocks are such tables themselves.
struct Division {
    /// Where the heap's header stands, of which each block tells.
    heap: u64,
    offset_size: u64,
    /// Blocks in a row, and their size in the first two.
    width: u64,
    first: u64,
    /// The largest block that holds objects.
    largest: u64,
    /// Whether blocks that hold objects have checksums.
    checked: bool,
}

impl<'a> File<'a, '_> {
    /// The messages in the heap that the records of the tree name, in the tree's order.
    pub(super) fn dense(
        &mut self,
        heap: u64,
        tree: u64,
        records: Records,
    ) -> Result<Vec<Reader<'a>>, Hdf5Error> {
        let heap = self.fractal_heap(heap)?;
        let mut messages = Vec::new();
        for mut record in self.tree_records(tree, records)? {
            // Of a link, the hash of its name.
            record.take(if records == Records::LinkNames { 4 } else { 0 }, HEAP)?;
            self.budget.reserve(size_of::<Reader<'_>>() as u64, HEAP)?;
            messages.push(heap.object(record.sub(heap.id_size, HEAP)?)?);
        }
        Ok(messages)
    }

    fn fractal_heap(&mut self, address: u64) -> Result<Heap<'a>, Hdf5Error> {
        let mut head = self.checked(address, 146, *b"FRHP", HEAP)?;
        version(&mut head, &[0], HEAP)?;
        let id_size = u64::from(head.u16(HEAP)?);
        if head.u16(HEAP)? != 0 {
            return Err(Hdf5Error::Unsupported { what: "a fractal heap with filters" });
        }
        let checked = head.u8(HEAP)? & 2 != 0;
        let most = u64::from(head.u32(HEAP)?);
        // The next number of a huge object; the tree of those.
        head.take(8, HEAP)?;
        let huge = head.u64(HEAP)?;
        // Free space, and figures of what is there.
        head.take(10 * 8, HEAP)?;
        let offset = head.offset();
        let width = u64::from(head.u16(HEAP)?);
        let (first, largest) = (head.u64(HEAP)?, head.u64(HEAP)?);
        let bits = head.u16(HEAP)?;
        let powers = [width, first, largest].into_iter().all(u64::is_power_of_two);
        if !powers || first > largest || largest > 1 << 32 || bits > 64 {
            let (what, expected) = ("the division of a fractal heap", "one by powers of two");
            return Err(Hdf5Error::Value { what, offset, expected, found: width });
        }
        head.take(2, HEAP)?;
        let (root, rows) = (head.u64(HEAP)?, head.u16(HEAP)?);
        let length_size = u64::from(largest.ilog2()).div_ceil(8).min(bytes_for(most));
        let offset_size = u64::from(bits).div_ceil(8);
        let division = Division { heap: address, offset_size, width, first, largest, checked };
        let mut blocks = Vec::new();
        if root == NOWHERE {
            // Nothing stands in it.
        } else if rows == 0 {
            self.direct_block(&division, root, first, 0, &mut blocks)?;
        } else {
            self.indirect_block(&division, root, u64::from(rows), 0, &mut blocks)?;
        }
        let mut objects = BTreeMap::new();
        if huge != NOWHERE {
            // An ID of such a size tells the place itself, instead of a number in the tree.
            if id_size > 16 {
                return Err(Hdf5Error::Unsupported { what: "a fractal heap with long IDs" });
            }
            for mut record in self.tree_records(huge, Records::HugeObjects)? {
                let (address, length) = (record.u64(HEAP)?, record.u64(HEAP)?);
                let number = record.u64(HEAP)?;
                self.budget.reserve(PLACE_MEMORY, HEAP)?;
                objects.insert(number, self.structure(address, length, OBJECT)?);
            }
        }
        Ok(Heap { id_size, offset_size, length_size, blocks, huge: objects })
    }

    /// A block that is a table of others, with so many rows.
    fn indirect_block(
        &mut self,
        division: &Division,
        address: u64,
        rows: u64,
        mut start: u64,
        blocks: &mut Vec<(u64, Reader<'a>)>,
    ) -> Result<(), Hdf5Error> {
        // What is in the last row must be counted by 64 bits, too.
        if rows + u64::from(division.first.ilog2()) > 64 {
            let (what, expected) = ("the rows of a fractal heap", "64 at most");
            return Err(Hdf5Error::Value { what, offset: address, expected, found: rows });
        }
        let before = 4 + 1 + 8 + division.offset_size;
        let length = (rows.saturating_mul(division.width).saturating_mul(8)).saturating_add(before);
        let mut block = self.checked(address, length.saturating_add(4), *b"FHIB", HEAP)?;
        division.owned(&mut block)?;
        for row in 0..rows {
            let size = division.first << row.saturating_sub(1);
            for _ in 0..division.width {
                match block.u64(HEAP)? {
                    NOWHERE => {}
                    child if size <= division.largest => {
                        self.direct_block(division, child, size, start, blocks)?;
                    }
                    child => {
                        // As many rows as make up its size: fewer than there are here.
                        let row_size = division.first.ilog2() + division.width.ilog2();
                        let rows = u64::from(size.ilog2().saturating_sub(row_size)) + 1;
                        self.indirect_block(division, child, rows, start, blocks)?;
                    }
                }
                start = start.saturating_add(size);
            }
        }
        Ok(())
    }

    /// A block that holds objects.
    fn direct_block(
        &mut self,
        division: &Division,
        address: u64,
        size: u64,
        start: u64,
        blocks: &mut Vec<(u64, Reader<'a>)>,
    ) -> Result<(), Hdf5Error> {
        let whole = self.structure(address, size, HEAP)?;
        let mut block = whole.clone();
        expect_signature(&mut block, *b"FHDB", HEAP)?;
        division.owned(&mut block)?;
        if division.checked {
            // It counts itself as zero.
            let mut bytes = self.budget.vec(size, HEAP)?;
            let at = whole.remaining().saturating_sub(block.remaining());
            bytes.extend(whole.clone().take(at, HEAP)?);
            bytes.extend([0; 4]);
            let mut rest = block.clone();
            rest.take(4, HEAP)?;
            bytes.extend(rest.peek());
            check(&bytes, &mut block, HEAP, address)?;
        }
        self.budget.reserve(PLACE_MEMORY, HEAP)?;
        blocks.push((start, whole));
        Ok(())
    }
}

impl Division {
    /// Checks a block's version and owner, and passes over its offset.
    fn owned(&self, block: &mut Reader<'_>) -> Result<(), Hdf5Error> {
        version(block, &[0], HEAP)?;
        let (offset, found) = (block.offset(), block.u64(HEAP)?);
        if found != self.heap {
            let (what, expected) = ("the owner of a block", "the heap that it is of");
            return Err(Hdf5Error::Value { what, offset, expected, found });
        }
        block.take(self.offset_size, HEAP)?;
        Ok(())
    }
}

impl<'a> Heap<'a> {
    /// The object that an ID names.
    fn object(&self, mut id: Reader<'a>) -> Result<Reader<'a>, Hdf5Error> {
        let at = id.offset();
        let missing = Hdf5Error::Missing { what: OBJECT, offset: at };
        match id.u8(OBJECT)? {
            0x00 => {
                // An object's offset counts the blocks' own heads.
                let offset = integer(&mut id, self.offset_size, OBJECT)?;
                let length = integer(&mut id, self.length_size, OBJECT)?;
                let next = self.blocks.partition_point(|(start, _)| *start <= offset);
                let block = next.checked_sub(1).and_then(|number| self.blocks.get(number));
                let (start, mut block) = block.cloned().ok_or(missing)?;
                block.take(offset.saturating_sub(start), OBJECT)?;
                Ok(block.sub(length, OBJECT)?)
            }
            0x10 => {
                let number = integer(&mut id, self.id_size.saturating_sub(1).min(8), OBJECT)?;
                self.huge.get(&number).cloned().ok_or(missing)
            }
            // Tiny ones stand in the ID itself.
            tiny @ 0x20..0x30 => Ok(id.sub(u64::from(tiny & 0x0F) + 1, OBJECT)?),
            found => {
                let (what, expected) = ("the kind of a heap's object", "0, 16 or 32 to 47");
                let found = u64::from(found);
                Err(Hdf5Error::Value { what, offset: at, expected, found })
            }
        }
    }
}
