//! Why a model could not be read or written.

use std::io;
use std::path::{Path, PathBuf};

use super::content::ContentError;
use super::keras::KerasError;
use super::kind::{Format, Kind};
use super::onnx::OnnxError;
use super::safetensors::WeightsError;
use super::savedmodel::SavedModelError;
use crate::bytes::atomic::AtomicError;
use crate::bytes::{BudgetError, Digest, ReadError};
use crate::model::{GraphError, Shapes};
use crate::tensor::TensorError;

/// Why a model could not be read or written. Grouped by what is at fault: the file
/// ([`is_corrupt`](Self::is_corrupt)), its version or kind, the caller's limits or wishes, or the
/// system.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Names the file or directory in which `source` was met.
    #[error("{}: {source}", path.display())]
    At { path: PathBuf, source: Box<Self> },
    /// The bytes are not what was written, or were never a valid model. `part` is a section or,
    /// in the directory form, a file; `offset` counts from the start of the file.
    #[error("the model is damaged in {part} at byte {offset}: {fault}")]
    Damaged { part: String, offset: u64, fault: Box<Fault> },
    /// Models are made of directories and of regular files with one name, so that nothing leads out of them.
    #[error("`{part}` is not taken for a part of the model: {rule}")]
    Entry { part: String, rule: &'static str },
    #[error("this is not a model saved by keepnet but {found}")]
    OtherKind { found: Kind },
    #[error(transparent)]
    Keras(#[from] KerasError),
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    #[error(transparent)]
    Safetensors(#[from] WeightsError),
    #[error(transparent)]
    SavedModel(#[from] SavedModelError),
    #[error("this is the {found} form of a model, not the {expected} form")]
    OtherForm { expected: Format, found: Format },
    #[error(
        "{what} {found} was made by a newer keepnet: this one reads up to {supported}; update it"
    )]
    Version { what: &'static str, found: String, supported: String },
    #[error(
        "section `{id}` at byte {offset} is marked as critical and unknown to this keepnet; \
         update it"
    )]
    UnknownSection { id: String, offset: u64 },
    /// Only `inspect` and loading pass over such sections.
    #[error(
        "section `{id}` is unknown to this keepnet and would be lost; update it to convert the file"
    )]
    WouldLose { id: String },
    #[error("{what} takes {found}, the limit is {limit}; raise `Limits::{name}` to read it")]
    Limit { what: &'static str, name: &'static str, limit: u64, found: u64 },
    /// The architecture asks for more than may be spent on running it.
    #[error(
        "with layer `{layer}` the network takes {found} bytes of {name} to run, the limit is \
         {limit}; raise `Limits::{name}` to run it"
    )]
    Layer { layer: String, name: &'static str, limit: u64, found: u64 },
    /// The architecture is sound, but larger than keepnet counts.
    #[error("{0}")]
    TooLarge(GraphError),
    #[error("{0}; raise `Limits::memory` to read it")]
    Memory(#[from] BudgetError),
    /// The checkpoint contradicts itself; nothing was written.
    #[error("this checkpoint cannot be saved: {0}")]
    Unfit(#[from] ContentError),
    #[error(
        "`.{extension}` is no extension of a known format; take `.knet` for one file, a directory \
         (ending in `/` or without an extension), `.keras` or `.h5` for Keras, `.safetensors` or `.onnx`; \
         a SavedModel is a directory too: `Model::save_as` and `--to savedmodel` write one"
    )]
    Extension { extension: String },
    #[error(
        "this is a model of Keras, which has no {what}; `keepnet doctor` tells of it, `keepnet verify` \
         checks it, and `keepnet convert` makes one that has"
    )]
    OfKeras { what: &'static str },
    #[error(
        "the {found} form of a model has no {what}; `keepnet verify` checks it, and `keepnet convert` makes \
         one that has"
    )]
    HasNone { found: Format, what: &'static str },
    #[error("this is the {found} form of keepnet, no model of Keras; `keepnet verify` checks it")]
    NotOfKeras { found: Format },
    #[error(
        "this is the {found} form of keepnet, a whole model; weights alone stand in `.weights.h5`, \
         other files of Keras and `.safetensors`"
    )]
    NotWeights { found: Format },
    #[error(
        "weights alone are saved as `.weights.h5`, or as `.h5` for Keras 2; `save` takes whole models"
    )]
    WeightsExtension,
    #[error(
        "`.weights.h5` is the name of weights alone; `Model::save_weights` and `keepnet convert` save \
         them, a whole model is `.keras` or `.h5`"
    )]
    WeightsName,
    /// Of [`LoadOptions::input_shapes`](super::LoadOptions::input_shapes).
    #[error(
        "the model takes {expected}, not {found}; images are given as height,width,channels, whatever the \
         order in the file; leave the shapes out where the file has them"
    )]
    InputShapes { expected: Shapes, found: Shapes },
    #[error("cannot {action}: {source}")]
    Io { action: &'static str, source: io::Error },
    #[error(transparent)]
    NotSaved(#[from] AtomicError),
}

/// What is wrong with bytes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    #[error(
        "the signature is {found:02x?} instead of {expected:02x?}, as if the file had been \
         transferred as text; transfer it as binary"
    )]
    Signature { expected: [u8; 8], found: [u8; 8] },
    #[error("it is cut short: {what} takes {expected} bytes, {found} are left; copy it again")]
    CutShort { what: &'static str, expected: u64, found: u64 },
    #[error("it goes on for {found} bytes after the end of {what}")]
    Extended { what: &'static str, found: u64 },
    #[error("the CRC-32C of {what} should be {expected:08x}, but is {found:08x}")]
    Crc { what: &'static str, expected: u32, found: u32 },
    #[error("the SHA-256 of {what} should be {expected}, but is {found}")]
    Digest { what: String, expected: Digest, found: Digest },
    #[error("{what} should be zero")]
    NotZero { what: &'static str },
    #[error("{what} should be {expected}, but is {found}")]
    Value { what: &'static str, expected: String, found: String },
    #[error("section `{id}` {rule}")]
    Section { id: String, rule: &'static str },
    #[error("the JSON cannot be understood: {message}")]
    Json { message: String },
    #[error(
        "the JSON is not in its one canonical form, first here; a key may be repeated, or the text \
         was edited"
    )]
    NotCanonical,
    #[error("{what} cannot be decoded: {message}")]
    Record { what: &'static str, message: String },
    #[error("the architecture is no network: {0}")]
    Graph(GraphError),
    #[error("{0}")]
    Content(ContentError),
    #[error("{0}")]
    Tensor(TensorError),
    #[error("it is missing")]
    Missing,
}

impl FormatError {
    /// Whether the file itself is at fault: damaged, or made to mislead. Not so for a file of
    /// another kind or a newer version, one beyond the limits given, or trouble of the system.
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::At { source, .. } => source.is_corrupt(),
            Self::Damaged { .. } | Self::Entry { .. } => true,
            Self::Keras(error) => error.is_corrupt(),
            Self::Onnx(error) => error.is_corrupt(),
            Self::Safetensors(error) => error.is_corrupt(),
            Self::SavedModel(error) => error.is_corrupt(),
            Self::OtherKind { .. }
            | Self::OtherForm { .. }
            | Self::OfKeras { .. }
            | Self::HasNone { .. }
            | Self::NotOfKeras { .. }
            | Self::NotWeights { .. }
            | Self::WeightsExtension
            | Self::WeightsName
            | Self::Version { .. }
            | Self::UnknownSection { .. }
            | Self::WouldLose { .. }
            | Self::Limit { .. }
            | Self::Layer { .. }
            | Self::TooLarge(_)
            | Self::Memory(_)
            | Self::Unfit(_)
            | Self::Extension { .. }
            | Self::InputShapes { .. }
            | Self::Io { .. }
            | Self::NotSaved(_) => false,
        }
    }

    /// Whether this is no model that can be believed: damaged, of another kind, or newer than this
    /// keepnet. Programs say so by an exit status of its own.
    pub fn refuses_model(&self) -> bool {
        let newer = |cause: &Self| {
            matches!(
                cause,
                Self::OtherKind { .. }
                    | Self::Version { .. }
                    | Self::UnknownSection { .. }
                    | Self::Keras(KerasError::WeightsAlone)
                    | Self::Safetensors(WeightsError::Alone)
            )
        };
        self.is_corrupt() || newer(self.cause())
    }

    /// What is wrong, without the path.
    pub fn cause(&self) -> &Self {
        match self {
            Self::At { source, .. } => source.cause(),
            cause => cause,
        }
    }

    /// What is wrong, for whoever names the path himself.
    pub(crate) fn without_path(self) -> Self {
        match self {
            Self::At { source, .. } => source.without_path(),
            cause => cause,
        }
    }

    pub(crate) fn at(self, path: &Path) -> Self {
        Self::At { path: path.to_owned(), source: Box::new(self) }
    }

    /// Whether something that was looked for is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Damaged { fault, .. } if matches!(**fault, Fault::Missing))
    }

    pub(super) fn damaged(part: impl Into<String>, offset: u64, fault: impl Into<Fault>) -> Self {
        Self::Damaged { part: part.into(), offset, fault: Box::new(fault.into()) }
    }

    /// Names the part in which reading ran out of bytes, or had some left.
    pub(super) fn reading(part: &str) -> impl Fn(ReadError) -> Self {
        move |error| match error {
            ReadError::Truncated { what, offset, expected, found } => {
                Self::damaged(part, offset, Fault::CutShort { what, expected, found })
            }
            ReadError::Trailing { what, offset, found } => {
                Self::damaged(part, offset, Fault::Extended { what, found })
            }
        }
    }
}

impl From<GraphError> for Fault {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

impl From<ContentError> for Fault {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}
