//! What can be wrong with data.

use std::io;
use std::path::PathBuf;

use super::mnist::Attempts;
use crate::bytes::atomic::AtomicError;
use crate::tensor::{DType, SamplesError, Shape};
use crate::wire::idx::IdxError;

/// Why there is no data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    #[error(transparent)]
    Samples(#[from] SamplesError),
    #[error("{what} {index} has {found} samples, input 0 has {expected}")]
    Count { what: &'static str, index: usize, expected: usize, found: usize },
    #[error("a data set needs at least one {what}")]
    Empty { what: &'static str },
    #[error("target {class} has no name, there are {names}")]
    ClassName { class: u32, names: usize },
    #[error("only class targets can be split by class, target 0 holds values")]
    NotClasses,
    #[error("cannot hold back {asked} of {available} samples")]
    Split { asked: usize, available: usize },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    NotWritten { path: PathBuf, source: AtomicError },
    #[error("{}: {source}", path.display())]
    Idx { path: PathBuf, source: IdxError },
    #[error("{}: there is no {name}, {name}.gz or {dotted} here", dir.display())]
    Missing { dir: PathBuf, name: String, dotted: String },
    #[error("{}: expected {expected}, found {found} values of type {dtype}", path.display())]
    Content { path: PathBuf, expected: &'static str, dtype: DType, found: Shape },
    #[error("{}: {images} images, but {labels} labels in {}", path.display(), labels_path.display())]
    Labels { path: PathBuf, images: usize, labels_path: PathBuf, labels: usize },
    #[error("{}: images of {found}, those to train with are of {expected}", path.display())]
    ImageShape { path: PathBuf, expected: Shape, found: Shape },
    #[error("{attempts}; put the four files into {} yourself", dir.display())]
    Download { dir: PathBuf, attempts: Attempts },
}
