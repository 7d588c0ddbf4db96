//! Foreign syntax (IDX, npy, …): bytes to arrays and back. Knows no layer.

pub(crate) mod gzip;
pub mod idx;
pub mod npy;
