//! Training: compile, fit, evaluate, optimizers, callbacks, data.

mod callback;
pub mod callbacks;
mod compile;
pub mod data;
mod epochs;
mod error;
mod evaluate;
mod fit;
pub(crate) mod optimizer;
mod resume;
mod schedule;

pub use callback::{Callback, CallbackError, CallbackStates, Moment, StepReport, Stop};
pub use data::Dataset;
pub use error::{CallbackFailure, TrainError};
pub use evaluate::Evaluation;
pub use fit::FitOptions;
pub use resume::ResumeOptions;
