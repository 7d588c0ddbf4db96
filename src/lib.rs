//! keepnet trains convolutional networks on the CPU and keeps them: a saved model comes back bit
//! for bit.

pub mod bytes;
pub mod format;
mod kernels;
pub mod model;
pub mod nn;
mod ops;
pub mod report;
pub mod tensor;
pub mod train;
pub mod wire;

pub use kernels::FloatEnvironmentError;
pub use model::*;
pub use nn::{LoadReport, Model, ModelError};
pub use tensor::{DType, Samples, Shape, Targets, Tensor};
pub use train::{Callback, Dataset, Evaluation, FitOptions, StepReport, TrainError};
