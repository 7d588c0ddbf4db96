//! keepnet trains convolutional networks on the CPU and keeps them: a saved model comes back **bit
//! for bit**.
//!
//! ```
//! use keepnet::train::data::mnist;
//! use keepnet::{Activation, FitOptions, Loss, Model, Optimizer, Sequential, Shape};
//!
//! # fn main() -> Result<(), keepnet::Error> {
//! # let directory = std::env::temp_dir().join(format!("keepnet-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory).expect("a temporary directory");
//! # let path = directory.join("mnist.knet");
//! let data = mnist::embedded()?;
//! let mut model = Sequential::new(Shape::image(28, 28, 1))
//!     .conv2d(32, 3, Activation::Relu)
//!     .max_pool2d(2)
//!     .flatten()
//!     .dense(10, Activation::Softmax)
//!     .build(42)?;
//! model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy)?;
//! # let data = mnist::embedded().map(|d| keepnet::train::data::Split { train: d.train.take(256), validation: d.validation.take(32) })?;
//! model.fit(&data.train, &FitOptions { epochs: 1, batch_size: 128, ..Default::default() })?;
//!
//! model.save(&path)?; // "mnist.knet"
//! let again = Model::load(&path)?;
//! let images = &data.validation.inputs()[0];
//! assert_eq!(again.predict(images)?, model.predict(images)?); // every bit
//! # std::fs::remove_dir_all(&directory).expect("ours");
//! # Ok(())
//! # }
//! ```
//!
//! [`Model::load`] takes the files of other programs too: `.keras` and `.h5` of Keras, SavedModels of TensorFlow,
//! ONNX files, such as PyTorch exports; and with [`Model::load_with_weights`] `.safetensors` of anybody.
//! `model.save("m.keras")`, `"m.h5"`, `"m.onnx"` and `"m.safetensors"` write them, [`Model::save_as`] SavedModels. What is read of each
//! is in `docs/INTEROP.md`.
//!
//! From the ground up: [`tensor`] and [`bytes`]; the kernels; [`model`], which is plain data, and
//! the operations; [`nn`], networks that run, and [`wire`], foreign syntax; [`train`], [`format`](mod@format) and
//! [`report`]. `docs/ARCHITECTURE.md` says what may import what, and why.

#[doc(hidden)]
pub mod benchable;
pub mod bytes;
#[doc(hidden)]
pub mod demo;
mod error;
pub mod format;
mod kernels;
pub mod model;
pub mod nn;
mod ops;
pub mod report;
mod saving;
pub mod tensor;
pub mod train;
pub mod wire;

pub use bytes::{MapError, MappedFile};
pub use error::Error;
pub use format::{LoadOptions, SaveOptions};
pub use kernels::{FloatEnvironmentError, IsaError, instruction_set};
pub use model::*;
pub use nn::{LoadReport, Mismatch, Model, ModelError, Verification, Weights};
pub use saving::{
    CheckpointError, CheckpointFolder, Doubt, MappedModel, NewestCheckpoint, newest_checkpoint,
    newest_checkpoint_with, verify,
};
pub use tensor::{DType, Samples, Shape, Targets, Tensor};
pub use train::callbacks::{EarlyStopping, ModelCheckpoint, Monitor, ReduceOnPlateau};
pub use train::{
    Callback, CallbackError, CallbackStates, Dataset, Evaluation, FitOptions, Moment,
    ResumeOptions, StepReport, Stop, TrainError,
};

/// The code of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

/// So does that of the guide for users of Keras.
#[cfg(doctest)]
#[doc = include_str!("../docs/MIGRATING.md")]
mod migrating {}
