//! Why a command could not be carried out, and the exit status that says so.

use std::io;
use std::path::PathBuf;

use keepnet::bytes::atomic::AtomicError;
use keepnet::format::keras::KerasError;
use keepnet::format::onnx::OnnxError;
use keepnet::format::operations::LoweringError;
use keepnet::format::{Format, FormatError, SavedModelError};
use keepnet::train::data::DataError;
use keepnet::wire::npy::NpyError;
use keepnet::wire::png::{ImageError, PngError};
use keepnet::{IsaError, ModelError, Shape, TrainError};

use crate::outcome::Exit;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("{}: {source}", path.display())]
    Model { path: PathBuf, source: Box<ModelError> },
    #[error("{}: {source}", path.display())]
    Train { path: PathBuf, source: Box<TrainError> },
    #[error("{}: cannot read it: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: it is longer than the {limit} bytes that are read; split it", path.display())]
    TooLong { path: PathBuf, limit: u64 },
    #[error("{}: {source}", path.display())]
    Npy { path: PathBuf, source: NpyError },
    #[error("{}: {source}", path.display())]
    Png { path: PathBuf, source: PngError },
    #[error(
        "{}: input `{input}` of the model takes no pictures: {source}; give it an .npy file",
        path.display()
    )]
    NoPicture { path: PathBuf, input: String, source: ImageError },
    #[error(
        "{}: neither a NumPy array nor a PNG picture; save arrays with `numpy.save`, pictures as \
         PNG", path.display()
    )]
    InputKind { path: PathBuf },
    #[error(
        "{}: an array of shape {found}, but input `{input}` takes {expected}, where N counts the \
         samples; reshape it", path.display()
    )]
    ArrayShape { path: PathBuf, input: String, expected: String, found: Shape },
    #[error("{}: cannot write it: {source}", path.display())]
    Write { path: PathBuf, source: AtomicError },
    #[error("{}: it is trained, but cannot be saved: {source}", path.display())]
    Save { path: PathBuf, source: Box<keepnet::Error> },
    #[error("{} on {data}: {source}", path.display())]
    Evaluate { path: PathBuf, data: String, source: Box<TrainError> },
    #[error(
        "{}: it has no compile settings, so no loss to be measured by, and its output is no \
         softmax vector", path.display()
    )]
    NotCompiled { path: PathBuf },
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("cannot put this into JSON: {0}")]
    Json(serde_json::Error),
    #[error("cannot start {threads} threads: {source}")]
    Threads { threads: u16, source: rayon::ThreadPoolBuildError },

    #[error(transparent)]
    Isa(#[from] IsaError),
    #[error("{what} `{argument}` names none of the model's {what}s ({known}); write NAME=FILE")]
    NoName { what: &'static str, argument: String, known: String },
    #[error("input `{input}` of the model is given nothing; add `--input {input}=FILE`")]
    NoInput { input: String },
    #[error("output `{output}` is asked for twice")]
    OutputTwice { output: String },
    #[error(
        "input `{input}` is given an .npy file among other files; give it one array, or pictures"
    )]
    Mixed { input: String },
    #[error("--invert is for pictures; turn {} over where it was made", path.display())]
    Invert { path: PathBuf },
    #[error("{}: this is {what} itself, which would be lost; write to another path", path.display())]
    SamePath { path: PathBuf, what: &'static str },
    #[error("{option} is for {whose}, but OUT has the {form} form; leave it out")]
    NoEffect { option: &'static str, whose: &'static str, form: Format },
    #[error(
        "{}: the name asks for the {named} form, --to for the {asked} form; change one of them",
        path.display()
    )]
    OtherName { path: PathBuf, named: Format, asked: Format },
    #[error("{}: this lies inside {}, which would be spoilt; write elsewhere", path.display(), input.display())]
    Inside { path: PathBuf, input: PathBuf },
}

impl Failure {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Format(error) if error.refuses_model() => Exit::Corrupt,
            Self::Format(_)
            | Self::Data(_)
            | Self::Model { .. }
            | Self::Train { .. }
            | Self::Read { .. }
            | Self::TooLong { .. }
            | Self::Npy { .. }
            | Self::Png { .. }
            | Self::NoPicture { .. }
            | Self::InputKind { .. }
            | Self::ArrayShape { .. }
            | Self::Write { .. }
            | Self::Save { .. }
            | Self::Evaluate { .. }
            | Self::NotCompiled { .. }
            | Self::Output(_)
            | Self::Json(_)
            | Self::Threads { .. } => Exit::Failed,
            Self::Isa(_)
            | Self::NoName { .. }
            | Self::NoInput { .. }
            | Self::OutputTwice { .. }
            | Self::Mixed { .. }
            | Self::Invert { .. }
            | Self::SamePath { .. }
            | Self::NoEffect { .. }
            | Self::OtherName { .. }
            | Self::Inside { .. } => Exit::Usage,
        }
    }

    /// What to do, where the message does not say it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Format(error) if error.is_corrupt() => {
                Some("the model is not as it was saved; take another copy of it")
            }
            Self::Format(error) if is_of_any_size(error) => Some(
                "sides are given as height,width,channels, in this order whatever that of the file: \
                 `--input-shape 224,224,3`",
            ),
            Self::NotCompiled { .. } => Some(
                "load it in a program, call `Model::compile` with the loss it was trained with, \
                 and save it again",
            ),
            Self::Npy { source: NpyError::Magic { .. }, .. } => {
                Some("save the array with `numpy.save`")
            }
            _ => None,
        }
    }
}

/// Whether the file leaves open how large its samples are.
fn is_of_any_size(error: &FormatError) -> bool {
    matches!(
        error.cause(),
        FormatError::Keras(KerasError::OpenShape { .. })
            | FormatError::Onnx(OnnxError::Lowering(LoweringError::OpenShape { .. }))
            | FormatError::SavedModel(SavedModelError::Lowering(LoweringError::OpenShape { .. }))
    )
}
