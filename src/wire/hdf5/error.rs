//! Why bytes are not read as HDF5, or a tree is not written.

use crate::bytes::{BudgetError, ReadError};

/// Why bytes are not read as HDF5, or a tree is not written. Offsets and addresses are bytes from the
/// start of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Hdf5Error {
    #[error("not an HDF5 file: it does not start with 89 48 44 46 0d 0a 1a 0a")]
    NotHdf5,
    #[error(
        "the file is cut short: it should have {expected} bytes, found {found}; copy it once more"
    )]
    CutShort { expected: u64, found: u64 },
    #[error("damaged: {0}")]
    Read(#[from] ReadError),
    #[error("damaged: {what} should stand at byte {address}, but the file ends at byte {end}")]
    Outside { what: &'static str, address: u64, end: u64 },
    #[error(
        "damaged: {what} at byte {offset} should start with \"{}\", found \"{}\"",
        expected.escape_ascii(),
        found.escape_ascii()
    )]
    Signature { what: &'static str, offset: u64, expected: [u8; 4], found: [u8; 4] },
    #[error("damaged: {what} at byte {offset} should be {expected}, found {found}")]
    Value { what: &'static str, offset: u64, expected: &'static str, found: u64 },
    #[error("damaged: the checksum of {what} at byte {offset} does not agree")]
    Checksum { what: &'static str, offset: u64 },
    #[error("damaged: {what} at byte {offset} is not UTF-8")]
    Text { what: &'static str, offset: u64 },
    #[error(
        "damaged: the compressed chunk at byte {offset} cannot be inflated to {expected} bytes"
    )]
    Inflate { offset: u64, expected: u64 },
    #[error("damaged: {what} is missing, of what stands at byte {offset}")]
    Missing { what: &'static str, offset: u64 },
    #[error("damaged: {what} stands twice in the object header at byte {offset}")]
    Twice { what: &'static str, offset: u64 },
    #[error("damaged: the name {name:?} stands twice in one place")]
    SameName { name: String },
    #[error("{name:?} cannot be a name: names have one character or more, no slash and no zero")]
    Name { name: String },
    #[error("the group at byte {offset} lies within itself: store it in one place")]
    Circle { offset: u64 },
    #[error(
        "damaged: up to {what} at byte {offset}, the file would be read {limit} times over: its \
         structures overlap, or too many links lead to the same groups"
    )]
    Overlap { what: &'static str, offset: u64, limit: u64 },
    #[error("groups lie in each other more than {limit} deep")]
    Depth { limit: usize },
    #[error("{claimed} bytes are claimed for an array, of which {stored} are stored")]
    Claim { claimed: u64, stored: u64 },
    #[error(
        "its chunks would be inflated to {needed} bytes, but of what compressed data may make of a file \
         of this size, {left} are left: store the data without compression"
    )]
    Inflation { needed: u64, left: u64 },
    #[error("{0}")]
    Budget(#[from] BudgetError),
    #[error("version {found} of {what}, at byte {offset}, is not supported; {REWRITE}")]
    Version { what: &'static str, offset: u64, found: u8 },
    #[error("it is {kind}, which is not followed: store the data itself")]
    Link { kind: &'static str },
    #[error("filter {number} ({name:?}) is not supported: store the data without, or with gzip")]
    Filter { number: u16, name: String },
    #[error("{what} is not supported; {REWRITE}")]
    Unsupported { what: &'static str },
    #[error("{what} {name:?} takes {found} bytes; the most that HDF5 holds there is {limit}")]
    TooLong { what: &'static str, name: String, found: u64, limit: u64 },
    #[error("{found} values cannot have the shape {shape}")]
    Shape { shape: crate::tensor::Shape, found: u64 },
    #[error("a text with a zero in it would be cut there: {text:?}")]
    Zero { text: String },
    /// The same, of what stands at `path`, or of the attribute behind `@`.
    #[error("{path}: {source}")]
    At { path: String, source: Box<Self> },
}

/// What helps where a file is sound but of a kind that nobody writes by default.
const REWRITE: &str = "write the file anew with h5py's default settings";

impl Hdf5Error {
    /// The same, of the member `name` of what it was of.
    pub(super) fn of_member(self, name: &str) -> Self {
        self.below("/", name)
    }

    /// The same, of the attribute `name` of what it was of.
    pub(super) fn of_attribute(self, name: &str) -> Self {
        self.below("@", name)
    }

    fn below(self, mark: &str, name: &str) -> Self {
        match self {
            Self::At { path, source } => Self::At { path: format!("{mark}{name}{path}"), source },
            source => Self::At { path: format!("{mark}{name}"), source: Box::new(source) },
        }
    }

    /// The same, of what stands at `path` of the file, which ends with the member that it was of.
    pub(super) fn at(self, path: &str) -> Self {
        self.below("", path)
    }

    /// The same, whatever it was of.
    pub(super) fn without_path(&self) -> Self {
        match self {
            Self::At { source, .. } => source.without_path(),
            source => source.clone(),
        }
    }

    /// Whether only what it is of cannot be read. Damage may reach further, and a budget that is spent
    /// is spent for all.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::At { source, .. } => source.is_refusal(),
            Self::Circle { .. }
            | Self::Claim { .. }
            | Self::Depth { .. }
            | Self::Filter { .. }
            | Self::Inflation { .. }
            | Self::Link { .. }
            | Self::Unsupported { .. }
            | Self::Version { .. } => true,
            _ => false,
        }
    }

    /// Whether the file is at fault, not a limit or what this reader knows.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::At { source, .. } => source.is_damage(),
            Self::Budget(_)
            | Self::Circle { .. }
            | Self::Depth { .. }
            | Self::Filter { .. }
            | Self::Inflation { .. }
            | Self::Link { .. }
            | Self::TooLong { .. }
            | Self::Unsupported { .. }
            | Self::Version { .. } => false,
            _ => true,
        }
    }
}
