//! Reading. A file's structures point at each other by addresses. The walk from the root goes down the
//! groups to a bounded depth, and reads no more bytes of structures than the file has a few times over,
//! so that no circle, no overlap and no tree of links makes it long; what it keeps in memory is taken
//! off a budget first. A member that is sound but not followed, or not decoded, stays in the tree as
//! what was refused.

mod array;
mod attribute;
mod btree;
mod chunk_index;
mod chunks;
mod dataset;
mod datatype;
mod filters;
mod fractal;
mod global_heap;
mod header;
mod links;

use std::collections::BTreeMap;

use super::checksum::lookup3;
use super::{Group, Hdf5Error, MAX_DEPTH, NOWHERE, Node, SIGNATURE, start};
use crate::bytes::{Budget, Reader};
use global_heap::Collection;
use header::Kind;
use links::Link;

/// How often over the bytes of a file may be read as structures. Once or twice is usual; a group that
/// several names lead to is read for each.
const MAX_READS: u64 = 4;

/// How often over the bytes of a file its compressed chunks may become in memory, and how many bytes
/// they may be in any case. Weights hardly shrink; moments of an optimizer that are all zero do.
const MAX_INFLATED: (u64, u64) = (16, 64 << 20);

/// Bytes of memory that a group or dataset takes, name and attributes left out.
const NODE: u64 = 256;

const SUPERBLOCK: &str = "the superblock";

/// Reads a file: the tree from its root group. Contiguous little-endian numbers stay where they are;
/// what is decoded into memory is taken off `budget`.
///
/// # Errors
/// See [`Hdf5Error`]; the first thing that is damaged, or beyond the budget, with its place in the tree.
/// What is only not supported becomes a [`Node::Refused`].
pub fn read<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Group<'a>, Hdf5Error> {
    let (bytes, root) = superblock(bytes)?;
    let length = bytes.len() as u64;
    let mut file = File {
        bytes,
        structures: length.saturating_mul(MAX_READS),
        unwritten: length,
        inflated: length.saturating_mul(MAX_INFLATED.0).max(MAX_INFLATED.1),
        budget,
        path: String::new(),
        open: Vec::new(),
        collections: BTreeMap::new(),
    };
    match file.node(root)? {
        Node::Group(group) => Ok(group),
        Node::Dataset(_) | Node::Refused(_) => {
            Err(Hdf5Error::Missing { what: "the root group", offset: root })
        }
    }
}

/// A file that is read.
struct File<'a, 'b> {
    bytes: &'a [u8],
    /// How many bytes may still be read as structures.
    structures: u64,
    /// How many bytes of values that were never written may still be filled in.
    unwritten: u64,
    /// How many bytes compressed chunks may still become.
    inflated: u64,
    budget: &'b mut Budget,
    /// From the root to what is read.
    path: String,
    /// The headers of the groups on the way from the root to what is read.
    open: Vec<u64>,
    /// The collections of the global heap that were read, by address.
    collections: BTreeMap<u64, Collection<'a>>,
}

impl<'a> File<'a, '_> {
    /// What the object header at `address` describes.
    fn node(&mut self, address: u64) -> Result<Node<'a>, Hdf5Error> {
        self.budget.reserve(NODE, "a group or dataset")?;
        let messages = self.header(address)?;
        let attributes = self.attributes(&messages)?;
        if messages.has(Kind::Layout) {
            return self.dataset(&messages, attributes).map(Node::Dataset);
        }
        if self.open.contains(&address) {
            return Err(Hdf5Error::Circle { offset: address });
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Hdf5Error::Depth { limit: MAX_DEPTH });
        }
        self.open.push(address);
        let mut members = BTreeMap::new();
        for link in self.links(&messages)? {
            let node = self.member(&link).map_err(|error| error.of_member(&link.name))?;
            insert(&mut members, link.name, node)?;
        }
        self.open.pop();
        Ok(Node::Group(Group { attributes, members }))
    }

    /// What a link leads to.
    fn member(&mut self, link: &Link) -> Result<Node<'a>, Hdf5Error> {
        let (outside, groups) = (self.path.len(), self.open.len());
        self.path.push('/');
        self.path.push_str(&link.name);
        let found = link.target.clone().and_then(|address| self.node(address));
        let node = match found {
            Err(error) if error.is_refusal() => {
                self.budget.reserve(NODE + self.path.len() as u64, "a member that is refused")?;
                Node::Refused(error.at(&self.path))
            }
            found => found?,
        };
        self.path.truncate(outside);
        self.open.truncate(groups);
        Ok(node)
    }

    /// A reader from `address` to the end of the file.
    fn from(&self, address: u64, what: &'static str) -> Result<Reader<'a>, Hdf5Error> {
        let at = usize::try_from(address).ok();
        let Some((_, rest)) = at.and_then(|at| self.bytes.split_at_checked(at)) else {
            return Err(Hdf5Error::Outside { what, address, end: self.bytes.len() as u64 });
        };
        Ok(Reader::new(rest, address))
    }

    /// Takes `length` bytes, which stand at `offset`, off those that may be read as structures.
    fn charge(&mut self, length: u64, what: &'static str, offset: u64) -> Result<(), Hdf5Error> {
        let overlap = Hdf5Error::Overlap { what, offset, limit: MAX_READS };
        self.structures = self.structures.checked_sub(length).ok_or(overlap)?;
        Ok(())
    }

    /// A structure of `length` bytes.
    fn structure(
        &mut self,
        address: u64,
        length: u64,
        what: &'static str,
    ) -> Result<Reader<'a>, Hdf5Error> {
        self.charge(length, what, address)?;
        Ok(self.from(address, what)?.sub(length, what)?)
    }

    /// A structure of `length` bytes that begins with `signature` and ends with its checksum; the
    /// reader stands between the two.
    fn checked(
        &mut self,
        address: u64,
        length: u64,
        signature: [u8; 4],
        what: &'static str,
    ) -> Result<Reader<'a>, Hdf5Error> {
        let mut whole = self.structure(address, length, what)?;
        let mut body = whole.sub(length.saturating_sub(4), what)?;
        let bytes = body.peek();
        expect_signature(&mut body, signature, what)?;
        check(bytes, &mut whole, what, address)?;
        Ok(body)
    }

    /// A text in memory of its own.
    fn text(&mut self, bytes: &[u8], what: &'static str, offset: u64) -> Result<String, Hdf5Error> {
        self.budget.reserve(bytes.len() as u64, what)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Hdf5Error::Text { what, offset })?;
        Ok(text.to_owned())
    }
}

/// The file from its superblock up to the end that this tells, and the address of the root group's header
/// (specification, II.A).
fn superblock(bytes: &[u8]) -> Result<(&[u8], u64), Hdf5Error> {
    let start = start(bytes).ok_or(Hdf5Error::NotHdf5)?;
    let bytes = bytes.get(start..).unwrap_or_default();
    let mut reader = Reader::new(bytes, 0);
    reader.take(SIGNATURE.len() as u64, SUPERBLOCK)?;
    let version = version(&mut reader, &[0, 1, 2, 3], SUPERBLOCK)?;
    if version < 2 {
        // The versions of what it points at.
        reader.take(4, SUPERBLOCK)?;
    }
    if reader.take_array(SUPERBLOCK)? != [8, 8] {
        return Err(Hdf5Error::Unsupported { what: "a file with addresses of other than 8 bytes" });
    }
    // Sizes of nodes and flags, of which version 1 has one more.
    reader.take(
        match version {
            0 => 9,
            1 => 13,
            _ => 1,
        },
        SUPERBLOCK,
    )?;
    // Addresses count from here. A block that was put before a finished file is not counted in.
    let base = reader.u64(SUPERBLOCK)?;
    if base != 0 && base != start as u64 {
        return Err(Hdf5Error::Unsupported { what: "a file within a file (with a base address)" });
    }
    // Of free space or of an extension.
    reader.take(8, SUPERBLOCK)?;
    let offset = reader.offset();
    let end = reader.u64(SUPERBLOCK)?;
    let end = end.checked_sub(base).ok_or(Hdf5Error::Value {
        what: "the end of the file",
        offset,
        expected: "behind its beginning",
        found: end,
    })?;
    if version < 2 {
        // The address of a driver's block; of the root's symbol table entry the name.
        reader.take(16, SUPERBLOCK)?;
    }
    let root = reader.u64(SUPERBLOCK)?;
    if version >= 2 {
        let length = usize::try_from(reader.offset()).unwrap_or(usize::MAX);
        let body = bytes.get(..length).unwrap_or_default();
        check(body, &mut reader, SUPERBLOCK, 0)?;
    }
    let whole = usize::try_from(end).ok().and_then(|end| bytes.get(..end));
    let whole = whole.ok_or(Hdf5Error::CutShort { expected: end, found: bytes.len() as u64 })?;
    Ok((whole, root))
}

/// Compares the checksum that comes next with that of `body`, which begins at `offset`.
fn check(
    body: &[u8],
    reader: &mut Reader<'_>,
    what: &'static str,
    offset: u64,
) -> Result<(), Hdf5Error> {
    if crate::bytes::matches(reader.u32(what)?, lookup3(body)) {
        return Ok(());
    }
    Err(Hdf5Error::Checksum { what, offset })
}

fn expect_signature(
    reader: &mut Reader<'_>,
    expected: [u8; 4],
    what: &'static str,
) -> Result<(), Hdf5Error> {
    let offset = reader.offset();
    let found = reader.take_array(what)?;
    if found == expected {
        return Ok(());
    }
    Err(Hdf5Error::Signature { what, offset, expected, found })
}

/// A version, which must be one of those that this reader knows.
fn version(reader: &mut Reader<'_>, known: &[u8], what: &'static str) -> Result<u8, Hdf5Error> {
    let offset = reader.offset();
    let found = reader.u8(what)?;
    if known.contains(&found) {
        return Ok(found);
    }
    Err(Hdf5Error::Version { what, offset, found })
}

/// An integer of 0 to 8 bytes.
fn integer(reader: &mut Reader<'_>, bytes: u64, what: &'static str) -> Result<u64, Hdf5Error> {
    if bytes > 8 {
        let (what, offset) = ("the length of an integer", reader.offset());
        return Err(Hdf5Error::Value { what, offset, expected: "8 bytes at most", found: bytes });
    }
    let taken = reader.take(bytes, what)?;
    Ok(taken.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

fn insert<T>(map: &mut BTreeMap<String, T>, name: String, value: T) -> Result<(), Hdf5Error> {
    if map.contains_key(&name) {
        return Err(Hdf5Error::SameName { name });
    }
    map.insert(name, value);
    Ok(())
}
