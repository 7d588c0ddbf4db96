//! Writing files and directories so that a reader finds the old or the new one, never a part.
//!
//! What is promised, on file systems that keep the promises of POSIX:
//!
//! - Until the one call that puts the new content in place (a rename; for a directory that replaces
//!   another, an exchange), what stood there is untouched. If anything fails before, the error says
//!   so and the scratch copy is removed.
//! - The content, and for directories every file and directory of it, is flushed to the disk before
//!   that call, and the parent directory after it. If that last flush fails, the new content
//!   stands but a loss of power may bring the old one back; the error says so.
//! - A process killed on the way leaves a scratch file or directory, named
//!   `.keepnet-scratch-<16 digits for the target's name>-<process>-<count>`. Its writer holds it
//!   locked while it lives. The next write to the same target removes those that nobody holds.
//! - Nothing else is ever removed. A directory is replaced only if all it holds belongs to what is
//!   saved.
//!
//! What is not promised: a symbolic link to a file is replaced by the file, not followed; owner and
//! permissions of the old file are not carried over; there must be room for both copies.

mod disk;
mod scratch;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::{ffi::OsStr, fmt};

use disk::{Disk, RealDisk};
use scratch::Scratch;

/// Why something was not written, or not for certain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AtomicError {
    #[error("cannot {step}: {source}; {stands}")]
    Io { step: Step, stands: Stands, source: io::Error },
    #[error("this path ends in no name under which something could be saved")]
    NoName,
    #[error("a {found} stands here, where a {expected} would be written; save under another name")]
    Occupied { expected: &'static str, found: &'static str },
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
            Self::Old => "what was saved there before is untouched",
            Self::New => "the new model stands, but a loss of power may bring back the old one",
        })
    }
}

impl Step {
    /// Names the step that failed while the old content still stands.
    fn failed(self, source: io::Error) -> AtomicError {
        AtomicError::Io { step: self, stands: Stands::Old, source }
    }
}

/// Writes the file at `path` through `write`, replacing the file that may stand there.
///
/// # Errors
/// As described for the [module](self).
pub fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), AtomicError> {
    write_file_on(&RealDisk, path, write)
}

fn write_file_on(
    disk: &dyn Disk,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), AtomicError> {
    let target = Target::new(path)?;
    match kind_of(&target.path)? {
        Some("directory") => {
            return Err(AtomicError::Occupied { expected: "file", found: "directory" });
        }
        _ => scratch::remove_stray_files(&target),
    }
    let mut scratch = Scratch::file(&target).map_err(|e| Step::Create.failed(e))?;
    let mut writer = BufWriter::with_capacity(64 * 1024, scratch.handle());
    write(&mut writer).and_then(|()| writer.flush()).map_err(|e| Step::Write.failed(e))?;
    drop(writer);
    disk.sync(scratch.handle()).map_err(|e| Step::Sync.failed(e))?;
    disk.rename(scratch.path(), &target.path).map_err(|e| Step::Rename.failed(e))?;
    scratch.keep();
    sync_parent(disk, &target)
}

/// Fills a directory through `write`, which is given the path of an empty scratch directory, and
/// puts it at `path`. A directory that stands there is exchanged with it and then removed, if
/// `owns` says of every path in it (relative to it) that it belongs to what is saved.
///
/// # Errors
/// As described for the [module](self).
pub fn replace_dir(
    path: &Path,
    owns: &dyn Fn(&Path) -> bool,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), AtomicError> {
    replace_dir_on(&RealDisk, path, owns, write)
}

fn replace_dir_on(
    disk: &dyn Disk,
    path: &Path,
    owns: &dyn Fn(&Path) -> bool,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), AtomicError> {
    let target = Target::new(path)?;
    let existing = kind_of(&target.path)?;
    match existing {
        None => {}
        Some("directory") => {
            let foreign = find_foreign(&target.path, owns).map_err(|e| Step::Look.failed(e))?;
            if let Some(found) = foreign {
                return Err(AtomicError::Foreign { found });
            }
        }
        Some(found) => return Err(AtomicError::Occupied { expected: "directory", found }),
    }
    scratch::remove_stray_directories(&target, owns);
    let mut scratch = Scratch::directory(&target).map_err(|e| Step::Create.failed(e))?;
    write(scratch.path()).map_err(|e| Step::Write.failed(e))?;
    sync_tree(disk, scratch.path()).map_err(|e| Step::Sync.failed(e))?;
    if existing.is_none() {
        disk.rename_new(scratch.path(), &target.path).map_err(|e| Step::Rename.failed(e))?;
        scratch.keep();
        return sync_parent(disk, &target);
    }
    disk.exchange(scratch.path(), &target.path).map_err(|source| match source.kind() {
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput => {
            AtomicError::NoExchange { source }
        }
        _ => Step::Rename.failed(source),
    })?;
    scratch.keep();
    sync_parent(disk, &target)?;
    // The old directory now has the scratch name. If it cannot be removed it is a stray, and the
    // next save removes it.
    scratch::remove_owned(scratch.path(), owns);
    Ok(())
}

/// Where something is to stand: its parent directory, its name, and both together.
struct Target {
    parent: PathBuf,
    path: PathBuf,
    name: std::ffi::OsString,
}

impl Target {
    fn new(path: &Path) -> Result<Self, AtomicError> {
        let name = path.file_name().ok_or(AtomicError::NoName)?.to_owned();
        let parent = match path.parent() {
            Some(parent) if parent.as_os_str() != OsStr::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self { path: parent.join(&name), parent, name })
    }
}

fn kind_of(path: &Path) -> Result<Option<&'static str>, AtomicError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Some("directory")),
        Ok(metadata) if metadata.is_symlink() => Ok(Some("symbolic link")),
        Ok(_) => Ok(Some("file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Step::Look.failed(error)),
    }
}

fn sync_parent(disk: &dyn Disk, target: &Target) -> Result<(), AtomicError> {
    File::open(&target.parent)
        .and_then(|parent| disk.sync(&parent))
        .map_err(|source| AtomicError::Io { step: Step::SyncParent, stands: Stands::New, source })
}

/// Flushes every file and directory under `directory`, and itself last.
fn sync_tree(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(disk, &entry.path())?;
        } else {
            disk.sync(&File::open(entry.path())?)?;
        }
    }
    disk.sync(&File::open(directory)?)
}

/// The first path in `directory`, relative to it, that `owns` does not know.
fn find_foreign(directory: &Path, owns: &dyn Fn(&Path) -> bool) -> io::Result<Option<PathBuf>> {
    let mut pending = vec![PathBuf::new()];
    while let Some(inner) = pending.pop() {
        for entry in fs::read_dir(directory.join(&inner))? {
            let entry = entry?;
            let relative = inner.join(entry.file_name());
            if !owns(&relative) {
                return Ok(Some(relative));
            }
            if entry.file_type()?.is_dir() {
                pending.push(relative);
            }
        }
    }
    Ok(None)
}
