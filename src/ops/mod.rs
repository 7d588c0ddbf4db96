//! Forward and backward of every layer as free functions over slices.
//!
//! Outputs come first, then caches, inputs and geometry; the caller allocates; the gradient of `x`
//! is `dx`. All slices are of one shard: some samples, one after the other.

pub(crate) mod activation;
pub(crate) mod add;
pub(crate) mod arrange;
pub(crate) mod batch_normalization;
pub(crate) mod broadcast;
pub(crate) mod conv2d;
pub(crate) mod dense;
pub(crate) mod dropout;
pub(crate) mod global_pool2d;
pub(crate) mod group_normalization;
pub(crate) mod layer_normalization;
pub(crate) mod loss;
pub(crate) mod merge;
pub(crate) mod metric;
mod nadam;
pub(crate) mod noise;
pub(crate) mod pool2d;
pub(crate) mod prelu;
pub(crate) mod random;
pub(crate) mod rescaling;
pub(crate) mod softmax;
pub(crate) mod standardize;
pub(crate) mod up_sampling;

#[cfg(test)]
mod tests;
