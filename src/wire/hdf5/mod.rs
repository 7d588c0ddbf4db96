//! HDF5 (HDF5 File Format Specification 3.0), as far as Keras has ever written it: a tree of groups
//! and datasets, both with attributes.
//!
//! ```
//! use keepnet::Tensor;
//! use keepnet::bytes::Budget;
//! use keepnet::wire::hdf5::{Array, Dataset, Group, Node, read, write};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bias = Tensor::from_f32([2], &[0.5, -0.5])?;
//! let mut root = Group::default();
//! root.attributes.insert("backend".into(), Array::text("tensorflow"));
//! root.members.insert("bias:0".into(), Node::Dataset(Dataset::from(bias.borrowed())));
//! let bytes = write(&root)?.concat();
//!
//! let again = read(&bytes, &mut Budget::new(1 << 20))?;
//! let dataset = again.dataset("bias:0")?;
//! assert_eq!(dataset.and_then(|dataset| dataset.array.tensor()), Some(&bias));
//! assert_eq!(again.attributes["backend"].as_text(), Some("tensorflow"));
//! # Ok(())
//! # }
//! ```
//!
//! **Read** are files of any superblock, behind a block of the user's too; groups kept as symbol tables, as links or dense; datasets kept
//! compact, contiguous or in chunks, deflated, shuffled and with a Fletcher checksum; numbers of either
//! byte order and text of any kind. The tree is read at once, but contiguous little-endian numbers stay
//! where they are. What leads out of the file, and what a few bytes can blow up, is neither followed
//! nor decoded: external and soft links, external storage, virtual datasets, filters that are not known,
//! shapes beyond what the file can hold. It stays in the tree as [`Node::Refused`], and who asks for it
//! is told why. Damage of the structures, and trees of links to the same few objects, make the whole
//! file fail.
//!
//! **Written** are superblock 2, links in object headers and contiguous data, so that h5py of any age
//! reads it. The same tree gives the same bytes.

mod checksum;
mod error;
mod read;
mod tree;
mod write;

pub use error::Hdf5Error;
pub use read::read;
pub use tree::{Array, Dataset, Group, Node};
pub use write::write;

/// The first bytes of every file, behind a block of the user's if there is one.
pub const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// The most bytes of the user's before a file that are looked behind.
pub const MAX_USER_BLOCK: usize = 1 << 20;

/// Where a file begins in `bytes`: at 0, or behind a block of the user's of 512, 1024, 2048 … bytes
/// (specification, II.A).
pub fn start(bytes: &[u8]) -> Option<usize> {
    let blocks = std::iter::successors(Some(512), |size| Some(size * 2));
    let places = std::iter::once(0).chain(blocks.take_while(|&size| size <= MAX_USER_BLOCK));
    let begins = |at: &usize| bytes.get(*at..).is_some_and(|rest| rest.starts_with(&SIGNATURE));
    places.into_iter().find(begins)
}

/// How deep groups may lie in each other.
pub const MAX_DEPTH: usize = 64;

/// The most dimensions of an array (HDF5's `H5S_MAX_RANK`).
pub const MAX_RANK: usize = 32;

/// The address that says that nothing is stored.
const NOWHERE: u64 = u64::MAX;

/// The attribute by which Keras tells that two opaque bytes are a bfloat16, and its value.
const OPAQUE_TYPE: (&str, &str) = ("dtype", "bfloat16");

/// Whether a member of a group can have this name: paths could not lead to any other.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | ".") && !name.contains(['/', '\0'])
}
