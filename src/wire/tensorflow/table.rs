//! A sorted table of keys and values, as LevelDB and TensorFlow write it
//! (`tensorflow/core/lib/io/format.h`, `table_format.txt`):
//!
//! ```text
//! data blocks · metaindex block (empty) · index block · footer
//! block   entries, u32 restart offsets, u32 their number, then u8 compression (0: none),
//!         u32 masked CRC-32C of all before it
//! entry   varint length shared with the key before, length of the rest, length of the value;
//!         the rest of the key, the value
//! index   an entry for each data block: a key not below its last one; offset and size as varints
//! footer  offset and size of metaindex and index as varints, zeros up to 40 bytes, u64 magic
//! ```

use std::collections::BTreeMap;

use super::error::TableError;
use crate::bytes::{Budget, ReadError, Reader, crc32c, crc32c_append, matches};

const MAGIC: u64 = 0xDB47_7524_8B80_FB57;
const FOOTER: usize = 48;
const TRAILER: u64 = 5;

/// Entries between two keys that stand in full.
const RESTART: usize = 16;

/// The keys of a table take so many times its bytes at most, or [`FREE`]: each may repeat the one before.
const TIMES: u64 = 16;
const FREE: u64 = 8 << 20;

/// A block is closed when it has so many bytes, as in TensorFlow.
const BLOCK: usize = 256 << 10;

/// The CRC-32C as it is stored: a checksum of what holds checksums says less than one of what does not.
pub(super) fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// A number in groups of seven bits, the least first, each but the last with the highest bit set.
pub(super) fn varint(reader: &mut Reader<'_>, what: &'static str) -> Result<u64, TableError> {
    let offset = reader.offset();
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = reader.u8(what)?;
        let bits = u64::from(byte & 0x7F);
        // No more than 64 bits, and no zeros in front: each number is written in one way.
        if bits << shift >> shift != bits || shift > 0 && byte == 0 {
            break;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(TableError::Varint { what, offset })
}

pub(super) fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            into.push(low);
            return;
        }
        into.push(low | 0x80);
    }
}

/// Where a block stands, without its trailer.
#[derive(Clone, Copy)]
struct Handle {
    offset: u64,
    size: u64,
}

impl Handle {
    fn read(reader: &mut Reader<'_>) -> Result<Self, TableError> {
        let offset = varint(reader, "the place of a block")?;
        Ok(Self { offset, size: varint(reader, "the size of a block")? })
    }

    fn end(self) -> u64 {
        self.offset.saturating_add(self.size).saturating_add(TRAILER)
    }
}

/// An entry: its key, and its value, which borrows from the table.
pub type TableEntry<'t> = (Vec<u8>, &'t [u8]);

/// Reads all of a table. Every byte of it is checked: blocks by their checksums, and that nothing stands
/// between them.
///
/// # Errors
/// If it is none, damaged, or its keys take more memory than is left of `budget`.
pub fn read_table<'t>(
    bytes: &'t [u8],
    budget: &mut Budget,
) -> Result<Vec<TableEntry<'t>>, TableError> {
    let (blocks, footer) = bytes
        .len()
        .checked_sub(FOOTER)
        .and_then(|end| bytes.split_at_checked(end))
        .ok_or(TableError::Magic)?;
    let blocks_end = blocks.len() as u64;
    let mut footer = Reader::new(footer, blocks_end);
    let mut handles = footer.sub(FOOTER as u64 - 8, "the footer")?;
    if footer.u64("the magic number")? != MAGIC {
        return Err(TableError::Magic);
    }
    let (metaindex, index) = (Handle::read(&mut handles)?, Handle::read(&mut handles)?);
    if handles.peek().iter().any(|&byte| byte != 0) {
        return Err(TableError::Padding);
    }
    let keys = &mut Keys { taken: 0, allowed: blocks_end.saturating_mul(TIMES).max(FREE), budget };
    block(blocks, metaindex, keys)?;
    let (mut entries, mut end) = (Vec::new(), 0);
    for (_, value) in block(blocks, index, keys)? {
        let mut value = Reader::new(value, index.offset);
        let handle = Handle::read(&mut value)?;
        value.finish("the place of a block")?;
        follows(end, handle.offset)?;
        end = handle.end();
        entries.extend(block(blocks, handle, keys)?);
    }
    follows(end, metaindex.offset)?;
    follows(metaindex.end(), index.offset)?;
    follows(index.end(), blocks_end)?;
    let unordered = entries.windows(2).find(|pair| pair.first() >= pair.last());
    if let Some([_, (key, _)]) = unordered {
        return Err(TableError::Order { key: key.escape_ascii().to_string() });
    }
    Ok(entries)
}

/// What the keys take.
struct Keys<'b> {
    taken: u64,
    allowed: u64,
    budget: &'b mut Budget,
}

impl Keys<'_> {
    fn reserve(&mut self, length: u64) -> Result<(), TableError> {
        self.taken = self.taken.saturating_add(length);
        if self.taken > self.allowed {
            return Err(TableError::Keys { allowed: self.allowed });
        }
        let entry = size_of::<TableEntry<'_>>() as u64 * 2;
        Ok(self.budget.reserve(length.saturating_add(entry), "the keys of the tensors")?)
    }
}

fn follows(expected: u64, found: u64) -> Result<(), TableError> {
    if expected == found { Ok(()) } else { Err(TableError::Gap { expected, found }) }
}

/// The entries of the block at `handle`, whose checksum is checked.
fn block<'t>(
    blocks: &'t [u8],
    handle: Handle,
    keys: &mut Keys<'_>,
) -> Result<Vec<TableEntry<'t>>, TableError> {
    let Handle { offset, size } = handle;
    let mut reader = Reader::new(blocks, 0);
    reader.take(offset, "what stands before a block")?;
    let content = reader.take(size, "a block")?;
    let kind = reader.u8("the compression of a block")?;
    let expected = reader.u32("the checksum of a block")?;
    let found = mask(crc32c_append(crc32c(content), &[kind]));
    if !matches(expected, found) {
        return Err(TableError::Checksum { offset, expected, found });
    }
    let by = match kind {
        0 => None,
        1 => Some("snappy"),
        _ => Some("an unknown method"),
    };
    if let Some(by) = by {
        return Err(TableError::Compressed { offset, by });
    }
    let end = offset.saturating_add(size);
    let (rest, restarts) = content.split_last_chunk::<4>().ok_or(ReadError::Truncated {
        what: "a block",
        offset,
        expected: 4,
        found: size,
    })?;
    let found = u32::from_le_bytes(*restarts);
    let room = (rest.len() as u64).checked_sub(u64::from(found).saturating_mul(4));
    let length = room.ok_or(TableError::Restarts { offset: end, found })?;
    let mut reader = Reader::new(rest, offset).sub(length, "the entries of a block")?;
    let mut entries = Vec::new();
    let mut last: &[u8] = &[];
    while !reader.is_empty() {
        let shared = varint(&mut reader, "a key")?;
        let own = varint(&mut reader, "a key")?;
        let value = varint(&mut reader, "a value")?;
        let kept = usize::try_from(shared).ok().and_then(|shared| last.get(..shared));
        let kept = kept.ok_or_else(|| {
            let length = last.len() as u64;
            TableError::Prefix { offset: reader.offset(), shared, length }
        })?;
        let own = reader.take(own, "a key")?;
        let value = reader.take(value, "a value")?;
        keys.reserve((kept.len() + own.len()) as u64)?;
        entries.push(([kept, own].concat(), value));
        last = entries.last().map_or(&[], |(key, _)| key.as_slice());
    }
    Ok(entries)
}

/// A table of these entries.
pub fn write_table(entries: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let (mut table, mut index) = (Vec::new(), Block::new(1));
    let mut data = Block::new(RESTART);
    for (key, value) in entries {
        data.put(key, value);
        if data.bytes.len() >= BLOCK {
            let last = std::mem::replace(&mut data, Block::new(RESTART));
            index.put(key, &last.finish(&mut table));
        }
    }
    if !data.bytes.is_empty() {
        let last = data.last.clone();
        index.put(&last, &data.finish(&mut table));
    }
    let mut footer = Block::new(1).finish(&mut table);
    footer.extend(index.finish(&mut table));
    footer.resize(FOOTER - 8, 0);
    table.extend(footer);
    table.extend(MAGIC.to_le_bytes());
    table
}

/// A block that is being written.
struct Block {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    /// Entries between two keys that stand in full, and since the last one.
    every: usize,
    since: usize,
    last: Vec<u8>,
}

impl Block {
    fn new(every: usize) -> Self {
        Self { bytes: Vec::new(), restarts: vec![0], every, since: 0, last: Vec::new() }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        if self.since == self.every {
            // A block is closed long before it has 4 GiB, unless a value alone has.
            self.restarts.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
            self.since = 0;
        }
        let shared = match self.since {
            0 => 0,
            _ => self.last.iter().zip(key).take_while(|(last, key)| last == key).count(),
        };
        let (_, own) = key.split_at_checked(shared).unwrap_or((&[], key));
        for length in [shared, own.len(), value.len()] {
            put_varint(&mut self.bytes, length as u64);
        }
        self.bytes.extend(own);
        self.bytes.extend(value);
        self.last = key.to_vec();
        self.since += 1;
    }

    /// Puts the block behind the others, and tells where it stands.
    fn finish(self, table: &mut Vec<u8>) -> Vec<u8> {
        let Self { mut bytes, restarts, .. } = self;
        let count = u32::try_from(restarts.len()).unwrap_or(u32::MAX);
        bytes.extend(restarts.into_iter().chain([count]).flat_map(u32::to_le_bytes));
        let (offset, size) = (table.len(), bytes.len());
        bytes.push(0);
        table.extend(&bytes);
        table.extend(mask(crc32c(&bytes)).to_le_bytes());
        let mut handle = Vec::new();
        put_varint(&mut handle, offset as u64);
        put_varint(&mut handle, size as u64);
        handle
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<TableEntry<'_>>, TableError> {
        read_table(bytes, &mut Budget::new(1 << 24))
    }

    fn small() -> Vec<u8> {
        let entries = ["", "a", "aa", "ab", "b/c/d", "b/c/e"].map(|key| (key.into(), key.into()));
        write_table(&entries.into())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            entries in prop::collection::btree_map(
                prop::collection::vec(97_u8..100, 0..12),
                prop::collection::vec(any::<u8>(), 0..40),
                0..200,
            ),
        ) {
            let table = write_table(&entries);
            let found: BTreeMap<_, _> =
                read(&table).unwrap().into_iter().map(|(key, value)| (key, value.to_vec())).collect();
            prop_assert_eq!(found, entries);
        }

        #[test]
        fn numbers_come_back(value: u64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(varint(&mut Reader::new(&bytes, 0), "it"), Ok(value));
        }
    }

    #[test]
    fn many_entries_stand_in_several_blocks() {
        let entries: BTreeMap<_, _> =
            (0..4000_u32).map(|key| (key.to_be_bytes().to_vec(), vec![7; 200])).collect();
        let table = write_table(&entries);
        let found = read(&table).unwrap();
        assert_eq!(found.len(), entries.len());
        assert!(found.iter().zip(&entries).all(|(found, entry)| found.0 == *entry.0));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let table = small();
        for (at, bit) in (0..table.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut damaged = table.clone();
            damaged[at] ^= 1 << bit;
            assert!(read(&damaged).is_err(), "bit {bit} of byte {at}");
        }
        for length in 0..table.len() {
            assert!(read(&table[..length]).is_err(), "{length} bytes");
        }
        assert!(read(&[&[0], table.as_slice()].concat()).is_err());
    }

    /// The content of the first block of [`small`], changed under a checksum that agrees.
    fn with_first_block(kind: u8, change: impl Fn(&mut Vec<u8>)) -> Result<(), TableError> {
        let entries: BTreeMap<Vec<u8>, Vec<u8>> = [(b"aa".to_vec(), b"v".to_vec())].into();
        let table = write_table(&entries);
        let mut content = table[..6 + 8].to_vec();
        change(&mut content);
        let mut changed = content.clone();
        changed.push(kind);
        changed.extend(mask(crc32c(&changed)).to_le_bytes());
        let (mut index, mut handle) = (Block::new(1), Vec::new());
        put_varint(&mut handle, 0);
        put_varint(&mut handle, content.len() as u64);
        index.put(b"aa", &handle);
        let mut footer = Block::new(1).finish(&mut changed);
        footer.extend(index.finish(&mut changed));
        footer.resize(FOOTER - 8, 0);
        changed.extend(footer);
        changed.extend(MAGIC.to_le_bytes());
        read(&changed).map(drop)
    }

    #[test]
    fn what_no_table_says_is_refused_by_name() {
        assert_eq!(with_first_block(0, |_| {}), Ok(()));
        let snappy = TableError::Compressed { offset: 0, by: "snappy" };
        assert_eq!(with_first_block(1, |_| {}), Err(snappy));
        let prefix = with_first_block(0, |content| content[0] = 9);
        assert!(
            matches!(prefix, Err(TableError::Prefix { shared: 9, length: 0, .. })),
            "{prefix:?}"
        );
        let long = with_first_block(0, |content| content[1] = 100);
        assert!(matches!(long, Err(TableError::Read(_))), "{long:?}");
        let restarts = with_first_block(0, |content| content[10] = 200);
        assert!(matches!(restarts, Err(TableError::Restarts { found: 200, .. })), "{restarts:?}");
        let overlong = [0xFF; 11];
        let found = varint(&mut Reader::new(&overlong, 3), "it");
        assert_eq!(found, Err(TableError::Varint { what: "it", offset: 3 }));
    }

    /// A few bytes must not ask for much memory: each of these keys repeats the one before.
    #[test]
    fn keys_that_share_much_are_counted() {
        let mut block = Block::new(usize::MAX);
        let long = vec![b'k'; 60_000];
        block.put(&long, b"");
        for number in 0..2000_u32 {
            block.put(&[long.as_slice(), &number.to_be_bytes()].concat(), b"");
        }
        let mut table = Vec::new();
        let (mut index, handle) = (Block::new(1), block.finish(&mut table));
        index.put(b"z", &handle);
        let mut footer = Block::new(1).finish(&mut table);
        footer.extend(index.finish(&mut table));
        footer.resize(FOOTER - 8, 0);
        table.extend(footer);
        table.extend(MAGIC.to_le_bytes());
        assert!(table.len() < 100_000);
        assert_eq!(read(&table), Err(TableError::Keys { allowed: FREE }));
    }
}
