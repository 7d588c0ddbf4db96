//! Foreign syntax (IDX, npy, …): bytes to arrays and back. Knows no layer.

pub mod png;
