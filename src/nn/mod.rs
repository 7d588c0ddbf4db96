//! The network that runs: parameters, plan, forward, backward.

mod backward;
mod batch;
mod error;
mod forward;
mod fuse;
#[cfg(test)]
mod gradient_tests;
mod initialize;
mod layout;
mod model;
mod numbers;
mod operation;
mod plan;
mod predict;
mod proof;
#[cfg(test)]
mod reference;
mod transfer;
mod weights;
mod workspace;

pub(crate) use batch::{Batch, Executor};
pub use error::ModelError;
pub use model::Model;
pub(crate) use model::{Arithmetic, Training};
pub use proof::Verification;
pub use transfer::{LoadReport, Mismatch};
pub use weights::Weights;
pub use workspace::SHARD;

/// Raised by any change that can alter one bit of any result (see `docs/DETERMINISM.md`).
pub const ARITHMETIC_REVISION: u32 = 2;
