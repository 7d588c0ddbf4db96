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

/// The longest message of protocol buffers, in bytes: their readers count them in 32 bits.
pub(crate) const MAX_MESSAGE: u64 = (1 << 31) - 1;

pub mod floats;
pub(crate) mod gzip;
pub mod hdf5;
pub mod idx;
pub mod npy;
pub mod onnx;
pub mod png;
pub mod protobuf;
pub mod safetensors;
pub mod tensorflow;
pub mod zip;
