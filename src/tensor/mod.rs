//! Shapes, element types, and the three carriers of numbers: a stored [`Tensor`], the [`Samples`]
//! a model is fed with, and the [`Targets`] it is trained towards.

mod aligned;
mod dtype;
mod memory;
mod permute;
mod samples;
mod shape;
mod stored;

pub(crate) use aligned::Aligned;
pub use dtype::DType;
pub(crate) use memory::{Memory, Shared, Values};
pub(crate) use samples::Content;
pub use samples::{Samples, SamplesError, Targets};
pub use shape::Shape;
pub(crate) use stored::{Bytes, little_endian};
pub use stored::{Tensor, TensorError};
