//! Foreign syntax (IDX, npy, ZIP, …): bytes to arrays and back. Knows no layer.

// What is parsed here may be hostile.
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

pub(crate) mod gzip;
pub mod hdf5;
pub mod idx;
pub mod npy;
pub mod png;
pub mod zip;
