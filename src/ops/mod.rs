//! Forward and backward of every layer as free functions over slices.
