//! Bytes in and out: bounded reading, budgets, checksums, atomic files. Knows no tensor and no
//! layer. Everything here may be handed hostile bytes, so nothing here panics on them.

#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod atomic;
mod budget;
mod checksum;
pub(crate) mod fs;
mod mapped;
mod reader;

pub use budget::{Budget, BudgetError};
pub use checksum::{Digest, DigestError, Hasher, crc32c, crc32c_append, matches, sha256_each};
pub(crate) use checksum::{crc32c_combine, each_in_parallel};
pub use mapped::{MapError, MappedFile};
pub use reader::{ReadError, Reader};
