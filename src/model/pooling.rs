//! Pooling: its settings.

use super::{Padding, Padding1d};

/// Max or average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// The largest value of the window, the first of several equal ones; NaN wins.
    Max,
    /// The mean over the real cells of the window: padding does not count.
    Average,
}

/// Pooling over windows of an NHWC image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2d {
    pub kind: PoolKind,
    /// Height, width.
    pub pool: [usize; 2],
    pub strides: [usize; 2],
    pub padding: Padding,
}

impl Pool2d {
    /// Square windows side by side, no padding.
    pub fn new(kind: PoolKind, size: usize) -> Self {
        Self { kind, pool: [size; 2], strides: [size; 2], padding: Padding::Valid }
    }

    /// [`Pool2d::new`] of the largest value.
    pub fn max(size: usize) -> Self {
        Self::new(PoolKind::Max, size)
    }

    /// [`Pool2d::new`] of the mean.
    pub fn average(size: usize) -> Self {
        Self::new(PoolKind::Average, size)
    }
}

/// Pooling over windows of a sequence: a [`Pool2d`] of images of height 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool1d {
    pub kind: PoolKind,
    pub pool: usize,
    pub strides: usize,
    pub padding: Padding1d,
}

impl Pool1d {
    /// Windows side by side, no padding.
    pub fn new(kind: PoolKind, size: usize) -> Self {
        Self { kind, pool: size, strides: size, padding: Padding1d::Valid }
    }

    /// [`Pool1d::new`] of the largest value.
    pub fn max(size: usize) -> Self {
        Self::new(PoolKind::Max, size)
    }

    /// [`Pool1d::new`] of the mean.
    pub fn average(size: usize) -> Self {
        Self::new(PoolKind::Average, size)
    }
}

/// Pooling over a whole sequence: (steps, C) to (C), or to (1, C) if `keep_dims`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalPool1d {
    pub kind: PoolKind,
    pub keep_dims: bool,
}

/// Pooling over a whole image: (H, W, C) to (C), or to (1, 1, C) if `keep_dims`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalPool2d {
    pub kind: PoolKind,
    pub keep_dims: bool,
}
