//! Why the program ends early, and what it says then.

use std::error::Error as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::bytes::atomic::AtomicError;
use crate::error::Error;
use crate::kernels::IsaError;
use crate::nn::ModelError;
use crate::saving::CheckpointError;
use crate::train::CallbackError;
use crate::train::TrainError;
use crate::train::data::DataError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Keepnet(#[from] Error),
    #[error("cannot write to {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    NotWritten { path: PathBuf, source: AtomicError },
    #[error("cannot save to {}: {problem}; choose another folder with --out", path.display())]
    Occupied { path: PathBuf, problem: &'static str },
    #[error("cannot read {} back: {source}", path.display())]
    ReadBack { path: PathBuf, source: io::Error },
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("cannot start the threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error(transparent)]
    Isa(#[from] IsaError),
    #[error("cannot catch Ctrl-C: {0}")]
    Signal(#[from] ctrlc::Error),
    #[error("there is no {} to resume; leave out --resume to start anew", path.display())]
    NothingToResume { path: PathBuf },
    #[error("{} was not made by this program, so it cannot tell how to go on", path.display())]
    NotOurs { path: PathBuf },
    #[error(
        "the model was trained with {setting} {before}, not {now}; give the same to go on, or leave \
         out --resume to start anew"
    )]
    OtherSetting { setting: &'static str, before: String, now: String },
    #[error("the model was trained on other data; give the same to go on, or leave out --resume")]
    OtherData,
    #[error(
        "the model was trained by arithmetic of revision {before}, this is {now}: it would not go \
         on to the same bits; leave out --resume to start anew"
    )]
    OtherArithmetic { before: u32, now: u32 },
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("cannot save a checkpoint: {0}")]
    Callback(CallbackError),
    #[error(
        "{} holds checkpoints of an earlier run; go on with `keepnet resume {} --out OUT`, or choose \
         another folder", folder.display(), folder.display()
    )]
    FolderInUse { folder: PathBuf },
    #[error(
        "there is no checkpoint in {} yet: the run ended before its first; start it again, with \
         `demo --checkpoint-dir {}` and the options it was given",
        folder.display(), folder.display()
    )]
    NoCheckpoint { folder: PathBuf },
    #[error(
        "none of the {count} checkpoints in {} can be believed; start again with `demo \
         --checkpoint-dir` and another folder", folder.display()
    )]
    NoSoundCheckpoint { folder: PathBuf, count: usize },
    #[error(
        "the checkpoint's data came from {}, which is not here; say where it is with --data DIR",
        named.as_deref().unwrap_or("an unknown place")
    )]
    UnknownSource { named: Option<String> },
    #[error(
        "{different} parameters or predictions of the loaded models did not come back bit for bit"
    )]
    Different { different: usize },
}

impl Failure {
    /// Says on standard error what went wrong, in one line, and gives the exit status.
    pub(crate) fn tell(&self) -> ExitCode {
        if !self.is_broken_pipe() {
            // Where standard error is closed too, nobody is left to be told.
            let _ = writeln!(io::stderr(), "error: {}", self.with_causes());
        }
        self.exit_code()
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            // As a shell reports a program that SIGPIPE ended.
            _ if self.is_broken_pipe() => ExitCode::from(141),
            Self::OtherSetting { .. }
            | Self::OtherData
            | Self::FolderInUse { .. }
            | Self::UnknownSource { .. }
            | Self::Isa(_) => ExitCode::from(2),
            Self::NoSoundCheckpoint { .. } => ExitCode::from(3),
            Self::Keepnet(error) if error.is_corrupt() => ExitCode::from(3),
            _ => ExitCode::FAILURE,
        }
    }

    fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The message, and those of its causes that are not part of it.
    fn with_causes(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.contains(&text) {
                line = format!("{line}: {text}");
            }
            cause = error.source();
        }
        line.replace(char::is_control, " ")
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Keepnet(error.into())
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::Keepnet(error.into())
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        Self::Keepnet(error.into())
    }
}
