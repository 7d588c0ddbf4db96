//! The members of a group: kept as a symbol table (specification, III.A-C), in messages of its header
//! (IV.A.2.g), or dense.

use super::btree::Records;
use super::header::{Kind, Messages};
use super::{File, NOWHERE, expect_signature, integer, version};
use crate::bytes::Reader;
use crate::wire::hdf5::{Hdf5Error, is_name};

const TABLE: &str = "a group's symbol table";
const NAMES: &str = "a group's names";
const LINK: &str = "a link";
const SOFT: &str = "a soft link";

/// Bytes of memory that a link takes, its name left out.
const LINK_MEMORY: u64 = 64;

/// How many levels a B-tree may have: with two children each, more than any file has entries.
pub(super) const MAX_LEVELS: u8 = 32;

/// A name in a group, and the header that it leads to, or why it is not followed.
pub(super) struct Link {
    pub(super) name: String,
    pub(super) target: Result<u64, Hdf5Error>,
}

impl<'a> File<'a, '_> {
    /// The links of a group.
    pub(super) fn links(&mut self, messages: &Messages<'a>) -> Result<Vec<Link>, Hdf5Error> {
        let mut links = Vec::new();
        let table = messages.only(Kind::SymbolTable, TABLE)?;
        let info = messages.only(Kind::LinkInfo, "the information on links")?;
        match (table, info) {
            (Some(mut table), None) => {
                let (tree, heap) = (table.u64(TABLE)?, table.u64(TABLE)?);
                let names = self.local_heap(heap)?;
                self.symbols(tree, MAX_LEVELS, &names, &mut links)?;
            }
            (None, Some(mut info)) => {
                for message in messages.all(Kind::Link) {
                    links.push(self.link(message)?);
                }
                version(&mut info, &[0], LINK)?;
                let tracked = info.u8(LINK)? & 1 != 0;
                info.take(if tracked { 8 } else { 0 }, LINK)?;
                let (heap, tree) = (info.u64(LINK)?, info.u64(LINK)?);
                if heap != NOWHERE {
                    for message in self.dense(heap, tree, Records::LinkNames)? {
                        links.push(self.link(message)?);
                    }
                }
            }
            (Some(_), Some(_)) => {
                return Err(Hdf5Error::Twice { what: "a list of links", offset: messages.offset });
            }
            (None, None) => {
                let what = "an object that is neither group nor dataset (a committed datatype)";
                return Err(Hdf5Error::Unsupported { what });
            }
        }
        Ok(links)
    }

    /// The bytes of a local heap, in which names stand.
    fn local_heap(&mut self, address: u64) -> Result<Reader<'a>, Hdf5Error> {
        let mut heap = self.structure(address, 32, NAMES)?;
        expect_signature(&mut heap, *b"HEAP", NAMES)?;
        version(&mut heap, &[0], NAMES)?;
        heap.take(3, NAMES)?;
        let length = heap.u64(NAMES)?;
        // What is free.
        heap.take(8, NAMES)?;
        let data = heap.u64(NAMES)?;
        self.structure(data, length, NAMES)
    }

    /// The entries below a node of a group's B-tree (version 1).
    fn symbols(
        &mut self,
        address: u64,
        levels: u8,
        names: &Reader<'a>,
        links: &mut Vec<Link>,
    ) -> Result<(), Hdf5Error> {
        let mut head = self.structure(address, 8, TABLE)?;
        if head.peek().starts_with(b"SNOD") {
            head.take(4, TABLE)?;
            version(&mut head, &[1], TABLE)?;
            head.take(1, TABLE)?;
            let length = u64::from(head.u16(TABLE)?) * 40;
            let mut entries = self.structure(address.saturating_add(8), length, TABLE)?;
            while !entries.is_empty() {
                links.push(self.symbol(entries.sub(40, TABLE)?, names.clone())?);
            }
            return Ok(());
        }
        expect_signature(&mut head, *b"TREE", TABLE)?;
        let (offset, kind) = (head.offset(), head.u8(TABLE)?);
        if kind != 0 {
            let (what, expected, found) = ("the kind of a B-tree", "0", u64::from(kind));
            return Err(Hdf5Error::Value { what, offset, expected, found });
        }
        let Some(levels) = levels.checked_sub(1) else {
            return Err(Hdf5Error::Depth { limit: usize::from(MAX_LEVELS) });
        };
        head.take(1, TABLE)?;
        let length = u64::from(head.u16(TABLE)?) * 16;
        // Its siblings; then keys and children in turn.
        let mut entries = self.structure(address.saturating_add(24), length, TABLE)?;
        while !entries.is_empty() {
            entries.take(8, TABLE)?;
            let child = entries.u64(TABLE)?;
            self.symbols(child, levels, names, links)?;
        }
        Ok(())
    }

    /// An entry of a symbol table: where the name stands, the address, what is known already.
    fn symbol(&mut self, mut entry: Reader<'a>, mut names: Reader<'a>) -> Result<Link, Hdf5Error> {
        let (name, address) = (entry.u64(TABLE)?, entry.u64(TABLE)?);
        let cached = entry.u32(TABLE)?;
        names.take(name, NAMES)?;
        let (offset, rest) = (names.offset(), names.peek());
        let end = rest.iter().position(|&byte| byte == 0);
        let name = end.and_then(|end| rest.get(..end));
        let name = name.ok_or(Hdf5Error::Missing { what: "the end of a name", offset })?;
        // Entries may share a name, however long.
        self.charge(name.len() as u64, NAMES, offset)?;
        let name = self.name(name, offset)?;
        let is_soft = cached == 2;
        let target = if is_soft { Err(Hdf5Error::Link { kind: SOFT }) } else { Ok(address) };
        Ok(Link { name, target })
    }

    /// A link in a message.
    fn link(&mut self, mut message: Reader<'a>) -> Result<Link, Hdf5Error> {
        version(&mut message, &[1], LINK)?;
        let flags = message.u8(LINK)?;
        let kind = if flags & 8 == 0 { 0 } else { message.u8(LINK)? };
        // The order of creation; the character set.
        message.take(if flags & 4 == 0 { 0 } else { 8 }, LINK)?;
        message.take(u64::from(flags >> 4 & 1), LINK)?;
        let length = integer(&mut message, 1 << (flags & 3), LINK)?;
        let offset = message.offset();
        let name = self.name(message.take(length, LINK)?, offset)?;
        let kind = match kind {
            0 => return Ok(Link { name, target: Ok(message.u64(LINK)?) }),
            1 => SOFT,
            64 => "an external link, into another file",
            _ => "a link of a user's own kind",
        };
        Ok(Link { name, target: Err(Hdf5Error::Link { kind }) })
    }

    fn name(&mut self, bytes: &[u8], offset: u64) -> Result<String, Hdf5Error> {
        self.budget.reserve(LINK_MEMORY, LINK)?;
        let name = self.text(bytes, "a name", offset)?;
        if is_name(&name) { Ok(name) } else { Err(Hdf5Error::Name { name }) }
    }
}
