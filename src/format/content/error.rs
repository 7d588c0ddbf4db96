//! What does not fit together in a checkpoint.

use super::SectionId;
use crate::model::{SettingsError, TrainingStateError};
use crate::tensor::Shape;

/// Why the parts of a checkpoint do not belong together, or cannot be written down. Checked before
/// writing and after reading alike.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    #[error("the architecture needs {expected} {what}, found {found}")]
    Count { what: String, expected: usize, found: usize },
    #[error("tensor {number} should be the {expected}, but is the {found}")]
    Tensor { number: usize, expected: String, found: String },
    #[error("the {tensor} should have shape {expected}, but has {found}")]
    Shape { tensor: String, expected: Shape, found: Shape },
    #[error("the {tensor} is larger than this machine can address")]
    TooLarge { tensor: String },
    #[error("the optimizer that is set keeps slots {expected:?}, found {found:?}")]
    Slots { expected: Vec<String>, found: Vec<String> },
    #[error(
        "it is of section {section:?}, which is not there, or whose tensors are of another role"
    )]
    NoSection { section: SectionId },
    #[error(
        "sections {sections:?} of a newer keepnet were passed over when it was read, and would be lost; \
         update keepnet, or give them up with `forget_passed_over`"
    )]
    PassedOver { sections: Vec<String> },
    #[error("tensor {number} of section {section:?} is listed twice")]
    OtherTwice { section: SectionId, number: u32 },
    #[error("tensors of sections that are not known must stand after all others")]
    OtherBefore,
    #[error("{found} slots per parameter, the most is {limit}")]
    SlotCount { found: usize, limit: usize },
    #[error("two {what} are named {name:?}")]
    Duplicate { what: &'static str, name: String },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    TrainingState(#[from] TrainingStateError),
    #[error("a proof is over 1 to {limit} samples, found {found}")]
    ProofSamples { found: u32, limit: u32 },
    #[error("a probe is drawn from `low` to a greater `high`, both finite, found {low} and {high}")]
    ProbeRange { low: f64, high: f64 },
    #[error("{what} has {rank} dimensions, the most is {limit}")]
    Rank { what: String, rank: usize, limit: usize },
    #[error("{what} takes {found} bytes, the most is {limit}")]
    TooLong { what: &'static str, found: u64, limit: u64 },
}
