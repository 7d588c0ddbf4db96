//! Data sets: samples with their targets, the embedded part of MNIST, folders of IDX files,
//! downloads.

mod dataset;
mod error;
mod fingerprint;
pub mod mnist;
mod split;

pub use dataset::Dataset;
pub use error::DataError;
pub use split::Split;
