//! Training: compile, fit, evaluate, optimizers, callbacks, data.

mod callback;
mod compile;
pub mod data;
mod error;
mod evaluate;
mod fit;
pub(crate) mod optimizer;
mod schedule;

pub use callback::{Callback, StepReport};
pub use data::Dataset;
pub use error::TrainError;
pub use evaluate::Evaluation;
pub use fit::FitOptions;
