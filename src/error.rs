//! One error for programs that do not care which part of keepnet it came from.

use crate::bytes::MapError;
use crate::format::FormatError;
use crate::model::GraphError;
use crate::nn::ModelError;
use crate::train::TrainError;
use crate::train::data::DataError;

/// Anything that can go wrong in keepnet. Every other error turns into it by `?`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Map(#[from] MapError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Train(#[from] TrainError),
}

impl Error {
    /// Whether a model file is at fault: damaged, or made to mislead.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Format(error) if error.is_corrupt())
    }

    /// Whether a file is no model that can be believed: damaged, of another kind, or newer than this
    /// keepnet.
    pub fn refuses_model(&self) -> bool {
        matches!(self, Self::Format(error) if error.refuses_model())
    }
}
