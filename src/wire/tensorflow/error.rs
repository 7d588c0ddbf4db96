//! Why the parts of a SavedModel could not be read.

use crate::bytes::{BudgetError, ReadError};
use crate::wire::protobuf::ProtobufError;

/// Why a message could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    #[error("{what} cannot be decoded: {message}")]
    Malformed { what: &'static str, message: String },
    #[error("{what} cannot be decoded: {error}")]
    Protobuf { what: &'static str, error: ProtobufError },
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

/// Why a table could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    #[error("it does not end as a table of TensorFlow does; it may be cut short")]
    Magic,
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Budget(#[from] BudgetError),
    #[error("{what} at byte {offset} is no number as TensorFlow writes it")]
    Varint { what: &'static str, offset: u64 },
    #[error(
        "the CRC-32C of the block at byte {offset} should be {expected:08x}, but is {found:08x}"
    )]
    Checksum { offset: u64, expected: u32, found: u32 },
    #[error("the block at byte {offset} is compressed by {by}, which no bundle of TensorFlow is")]
    Compressed { offset: u64, by: &'static str },
    #[error("the padding of the footer should be zero")]
    Padding,
    #[error(
        "the blocks should follow each other without gaps, but one is said to stand at byte {found} instead of {expected}"
    )]
    Gap { expected: u64, found: u64 },
    #[error("the block at byte {offset} has {found} restart points, for which it has no room")]
    Restarts { offset: u64, found: u32 },
    #[error("the key before byte {offset} shares {shared} bytes with one of {length}")]
    Prefix { offset: u64, shared: u64, length: u64 },
    #[error("the keys would take more than {allowed} bytes, which those of true tables do not")]
    Keys { allowed: u64 },
    #[error("the keys should ascend, but `{key}` does not")]
    Order { key: String },
}

/// Why a bundle, or a tensor in it, could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    #[error("the index of the tensors is damaged: {0}")]
    Table(#[from] TableError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the index has no header")]
    NoHeader,
    #[error("the tensors are big-endian, which keepnet does not read")]
    BigEndian,
    #[error("there should be 1 to {limit} shards, not {found}")]
    Shards { limit: u32, found: i64 },
    #[error("a key is no text: `{key}`")]
    Key { key: String },
    #[error("the {what} of `{key}` is {found}, which cannot be")]
    Entry { key: String, what: &'static str, found: i64 },
    #[error(
        "`{key}` is said to stand at bytes {offset} to {end} of shard {shard}, which has {length}"
    )]
    Outside { key: String, shard: u32, offset: u64, end: u64, length: u64 },
    #[error("`{first}` and `{second}` overlap")]
    Overlap { first: String, second: String },
    #[error("the CRC-32C of `{key}` should be {expected:08x}, but is {found:08x}")]
    Checksum { key: String, expected: u32, found: u32 },
    #[error("`{key}` of shape {shape} takes {expected} bytes, the index says {found}")]
    Size { key: String, shape: String, expected: u64, found: u64 },
    #[error("the texts of `{key}` are damaged: {error}")]
    Texts { key: String, error: TableError },
    #[error(
        "`{key}` is stored in parts, which keepnet does not put together; save it without a partitioner"
    )]
    Sliced { key: String },
}

impl MessageError {
    /// Whether the bytes are at fault, not the limits.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Budget(_))
    }
}

impl TableError {
    /// Whether the bytes are at fault, not the limits.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Budget(_) | Self::Compressed { .. })
    }
}

impl BundleError {
    /// Whether the bytes are at fault, not the limits or what keepnet knows.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Table(error) => error.is_damage(),
            Self::Message(error) => error.is_damage(),
            Self::BigEndian | Self::Sliced { .. } => false,
            _ => true,
        }
    }
}
