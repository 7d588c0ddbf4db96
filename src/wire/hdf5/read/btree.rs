//! B-trees of version 2, which list what stands in a fractal heap (specification, III.A.2).

use super::{File, NOWHERE, integer, version};
use crate::bytes::Reader;
use crate::wire::hdf5::Hdf5Error;

const TREE: &str = "a B-tree";

/// Before the records of a node: signature, version, kind; behind them, the checksum.
const NODE_OVERHEAD: u64 = 10;

/// How many levels a tree may have.
const MAX_LEVELS: u16 = 32;

/// What the records of a tree are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Records {
    HugeObjects,
    LinkNames,
    AttributeNames,
}

impl Records {
    fn kind(self) -> u8 {
        match self {
            Self::HugeObjects => 1,
            Self::LinkNames => 5,
            Self::AttributeNames => 8,
        }
    }
}

/// How a B-tree's nodes are laid out.
struct Tree {
    kind: u8,
    node_size: u64,
    record_size: u64,
}

/// What a node says of its children.
#[derive(Clone, Copy)]
struct Child {
    /// The most records that a child can hold with all below it.
    most: u64,
    /// Bytes in which the number of a child's records is stored, and that of all below it.
    count_size: u64,
    below_size: u64,
}

impl<'a> File<'a, '_> {
    /// All records of the tree at `address`, in their order.
    pub(super) fn tree_records(
        &mut self,
        address: u64,
        records: Records,
    ) -> Result<Vec<Reader<'a>>, Hdf5Error> {
        let mut head = self.checked(address, 38, *b"BTHD", TREE)?;
        version(&mut head, &[0], TREE)?;
        let offset = head.offset();
        let kind = head.u8(TREE)?;
        let (node_size, record_size) = (u64::from(head.u32(TREE)?), u64::from(head.u16(TREE)?));
        let depth = head.u16(TREE)?;
        // How full a node is when it is split or merged.
        head.take(2, TREE)?;
        let (root, count) = (head.u64(TREE)?, u64::from(head.u16(TREE)?));
        let total = head.u64(TREE)?;
        if kind != records.kind() || record_size == 0 || node_size < NODE_OVERHEAD {
            let (what, expected) = ("the kind of a B-tree", "that of its place");
            return Err(Hdf5Error::Value { what, offset, expected, found: u64::from(kind) });
        }
        if depth > MAX_LEVELS {
            return Err(Hdf5Error::Depth { limit: usize::from(MAX_LEVELS) });
        }
        // What nodes can hold follows from their size, from the leaves up.
        let room = node_size - NODE_OVERHEAD;
        let most = room / record_size;
        let mut child = Child { most, count_size: bytes_for(most), below_size: 0 };
        let mut levels = vec![child];
        for _ in 0..depth {
            let pointer = 8 + child.count_size + child.below_size;
            let own = room.saturating_sub(pointer) / (record_size + pointer);
            let most = own.saturating_add(1).saturating_mul(child.most).saturating_add(own);
            child = Child { most, below_size: bytes_for(most), ..child };
            levels.push(child);
        }
        let mut all = Vec::new();
        if root != NOWHERE {
            let tree = Tree { kind, node_size, record_size };
            self.tree_node(&tree, &levels, root, count, &mut all)?;
        }
        if all.len() as u64 != total {
            let (what, expected) = ("the number of records in a B-tree", "that of its nodes");
            return Err(Hdf5Error::Value { what, offset, expected, found: total });
        }
        Ok(all)
    }

    /// The records of a node, which are `count`, and below it.
    fn tree_node(
        &mut self,
        tree: &Tree,
        levels: &[Child],
        address: u64,
        count: u64,
        records: &mut Vec<Reader<'a>>,
    ) -> Result<(), Hdf5Error> {
        let below = levels.split_last().map_or(&[][..], |(_, below)| below);
        let child = below.last();
        let pointer = child.map_or(0, |child| 8 + child.count_size + child.below_size);
        let children = if child.is_some() { count.saturating_add(1) } else { 0 };
        let length = (count.saturating_mul(tree.record_size))
            .saturating_add(children.saturating_mul(pointer))
            .saturating_add(NODE_OVERHEAD);
        if length > tree.node_size {
            let (what, expected) =
                ("the number of records in a node", "as many as it has room for");
            return Err(Hdf5Error::Value { what, offset: address, expected, found: count });
        }
        let signature = if child.is_some() { *b"BTIN" } else { *b"BTLF" };
        let mut node = self.checked(address, length, signature, TREE)?;
        version(&mut node, &[0], TREE)?;
        let (offset, found) = (node.offset(), node.u8(TREE)?);
        if found != tree.kind {
            let (what, expected) = ("the kind of a B-tree's node", "that of its tree");
            return Err(Hdf5Error::Value { what, offset, expected, found: u64::from(found) });
        }
        let mut own = node.sub(count.saturating_mul(tree.record_size), TREE)?;
        // A child, a record, a child, … and a child at the end.
        for number in 0..count.max(children) {
            if let Some(child) = child {
                let address = node.u64(TREE)?;
                let count = integer(&mut node, child.count_size, TREE)?;
                node.take(child.below_size, TREE)?;
                self.tree_node(tree, below, address, count, records)?;
            }
            if number < count {
                self.budget.reserve(size_of::<Reader<'_>>() as u64, TREE)?;
                records.push(own.sub(tree.record_size, TREE)?);
            }
        }
        Ok(())
    }
}

/// In how many bytes a number up to `most` is stored.
pub(super) fn bytes_for(most: u64) -> u64 {
    u64::from(most.checked_ilog2().unwrap_or(0)) / 8 + 1
}
