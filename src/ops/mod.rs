//! Forward and backward of every layer as free functions over slices.

#[allow(dead_code, reason = "the layers that stand on it are to come")]
pub(crate) mod random;
