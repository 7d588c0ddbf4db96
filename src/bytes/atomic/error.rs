//! Why something was not written, and what stands where it would have been.

use std::path::PathBuf;
use std::{fmt, io};

/// Why something was not written, or not for certain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AtomicError {
    #[error("cannot {step}: {source}; {stands}{}", advice(source))]
    Io { step: Step, stands: Stands, source: io::Error },
    #[error("this path ends in no name under which something could be saved")]
    NoName,
    #[error("the folder `{}` does not exist; create it first", folder.display())]
    NoFolder { folder: PathBuf },
    #[error("a {found} stands here, where a {expected} would be written; save under another name")]
    Occupied { expected: &'static str, found: &'static str },
    #[error("the {found} that stands here is read-only; make it writable or save elsewhere")]
    ReadOnly { found: &'static str },
    #[error(
        "the directory holds `{}`, which is no part of a saved model and would be lost; \
         save under another name", found.display()
    )]
    Foreign { found: PathBuf },
    #[error(
        "this system cannot exchange two directories in one step ({source}), so a directory that \
         exists is not overwritten; save under another name or remove it first"
    )]
    NoExchange { source: io::Error },
}

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Looking at the target and the directory around it.
    Look,
    /// Creating the scratch file or directory.
    Create,
    /// Writing it.
    Write,
    /// Flushing it to the disk.
    Sync,
    /// Putting it in place.
    Rename,
    /// Flushing the parent directory.
    SyncParent,
}

/// What stands at the target after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Nothing, as before.
    Nothing,
    /// Whatever stood there before.
    Old,
    /// The new content, which a loss of power may still undo.
    New,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Look => "look at the target",
            Self::Create => "create a scratch copy beside the target",
            Self::Write => "write the scratch copy",
            Self::Sync => "flush the scratch copy to the disk",
            Self::Rename => "put the new copy in place",
            Self::SyncParent => "flush the parent directory to the disk",
        })
    }
}

impl fmt::Display for Stands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing was saved",
            Self::Old => "what was saved there before is untouched",
            Self::New => "the new one stands, but a loss of power may bring back the old one",
        })
    }
}

/// What to do, where the system's words do not say it.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; save where you may write"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room or save elsewhere"
        }
        _ => "",
    }
}
