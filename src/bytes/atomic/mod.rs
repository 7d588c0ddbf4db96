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
//!   `.keepnet-scratch-<target>-<process>-<count>`, where 16 digits stand for the target if its name
//!   is long. Its writer holds it locked while it lives. The next write to the same target removes
//!   those that nobody holds.
//! - Whoever reads a directory holds it locked too. One that is replaced meanwhile stays whole under
//!   a scratch name, until a later write to the same target finds it free.
//! - Nothing else is ever removed. A directory is replaced only if all it holds belongs to what is
//!   saved. A link, a device, or what is marked read-only is not replaced at all.
//!
//! What is not promised: owner and permissions of the old file are not carried over; there must be
//! room for both copies.

mod error;
#[cfg(test)]
mod meeting_tests;
mod scratch;
#[cfg(test)]
mod tests;
mod tree;

use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::fs::{self, Fs, Kind, RealFs, Rename, Stat};
pub use error::{AtomicError, Stands, Step};
use scratch::Scratch;
pub(crate) use scratch::remove_abandoned_files;

/// Writes the file at `path` through `write`, replacing the file that may stand there.
///
/// # Errors
/// As described for the [module](self).
pub fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), AtomicError> {
    write_file_on(&RealFs, path, write).map(drop)
}

/// Tells what the new file is, if the file system does.
pub(crate) fn write_file_on<F: Fs>(
    fs: &F,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Option<Stat>, AtomicError> {
    let target = Target::open(fs, path, Kind::File)?;
    scratch::remove_stray_files(&target);
    let mut scratch = Scratch::file(&target).map_err(target.failed(Step::Create))?;
    let mut writer = BufWriter::with_capacity(64 * 1024, scratch.handle_mut());
    let written = write(&mut writer).and_then(|()| writer.flush());
    // What is left in it after a failure is not written once more.
    drop(writer.into_parts());
    written.map_err(target.failed(Step::Write))?;
    fs.sync(scratch.handle()).map_err(target.failed(Step::Sync))?;
    target.put(scratch.name(), Rename::Replace).map_err(target.failed(Step::Rename))?;
    scratch.keep();
    target.sync_parent()?;
    Ok(fs.stat(scratch.handle()).ok())
}

/// Makes the directory at `path` and those it lies in, where they are missing, and flushes the names
/// of what it made: what is saved in there is not lost with them.
///
/// # Errors
/// If one of them can be neither made nor flushed.
pub fn create_directories(path: &Path) -> io::Result<()> {
    create_directories_on(&RealFs, path).map(drop)
}

/// Opens the directory too.
pub(crate) fn create_directories_on<F: Fs>(fs: &F, path: &Path) -> io::Result<F::File> {
    match (fs::open_folder(fs, path), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            let parent = create_directories_on(fs, parent)?;
            if let Some(name) = path.file_name() {
                match fs.create_directory(&parent, name) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(error);
                    }
                    // Another may have made it, and not flushed it yet.
                    _ => fs.sync(&parent)?,
                }
            }
            fs::open_folder(fs, path)
        }
        (Ok(directory), _) if fs.stat(&directory)?.kind != Kind::Directory => {
            Err(io::ErrorKind::NotADirectory.into())
        }
        (opened, _) => opened,
    }
}

/// What tells a directory that may be replaced: one kind of those that are saved.
pub(crate) struct Owned<'o> {
    /// A file that every whole one holds, and how that begins.
    pub(crate) mark: (&'o str, &'o [u8]),
    /// Whether a path in it, relative to it, can be one that was written there.
    pub(crate) owns: &'o dyn Fn(&Path) -> bool,
}

/// Fills a directory through `write`, which is given an empty scratch directory, and puts it at
/// `path`. A directory that stands there is exchanged with it and then removed, if it is empty or one of
/// those that are `owned`.
///
/// # Errors
/// As described for the [module](self).
pub(crate) fn replace_directory<F: Fs>(
    fs: &F,
    path: &Path,
    owned: &[Owned<'_>],
    write: impl FnOnce(&Contents<'_, F>) -> io::Result<()>,
) -> Result<(), AtomicError> {
    let target = Target::open(fs, path, Kind::Directory)?;
    if target.stands == Stands::Old {
        target.check_replaceable(owned)?;
    }
    let owns = |path: &Path| owned.iter().any(|owned| (owned.owns)(path));
    scratch::remove_stray_directories(&target, &owns);
    let mut scratch = Scratch::directory(&target).map_err(target.failed(Step::Create))?;
    fs.open(&target.parent, scratch.name())
        .and_then(|directory| write(&Contents { fs, directory }))
        .map_err(target.failed(Step::Write))?;
    tree::sync(fs, scratch.handle()).map_err(target.failed(Step::Sync))?;
    match target.put(scratch.name(), Rename::New) {
        Ok(()) => {
            scratch.keep();
            target.sync_parent()
        }
        Err(error) if is_taken(&error) => {
            // Looked at once more: it may be of another since.
            target.check_replaceable(owned)?;
            target.put(scratch.name(), Rename::Exchange).map_err(|source| {
                if matches!(source.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
                {
                    AtomicError::NoExchange { source }
                } else {
                    target.failed(Step::Rename)(source)
                }
            })?;
            scratch.keep();
            target.sync_parent()?;
            // The old directory now has the scratch name.
            scratch::remove_stray_directory(&target, scratch.name(), &owns);
            Ok(())
        }
        Err(error) => Err(target.failed(Step::Rename)(error)),
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty)
}

/// A directory that is being filled.
pub(crate) struct Contents<'f, F: Fs> {
    fs: &'f F,
    directory: F::File,
}

impl<F: Fs> Contents<'_, F> {
    /// Makes a directory in it.
    pub(crate) fn directory(&self, name: &str) -> io::Result<Self> {
        self.fs.create_directory(&self.directory, name.as_ref())?;
        let directory = self.fs.open(&self.directory, name.as_ref())?;
        Ok(Self { fs: self.fs, directory })
    }

    /// Makes a file in it that holds the pieces in order.
    pub(crate) fn file(&self, name: &str, pieces: &[&[u8]]) -> io::Result<()> {
        let mut file = self.fs.create_file(&self.directory, name.as_ref())?;
        pieces.iter().try_for_each(|piece| file.write_all(piece))
    }
}

/// Where something is to stand: a name in an open directory.
struct Target<'f, F: Fs> {
    fs: &'f F,
    parent: F::File,
    name: OsString,
    /// [`Stands::Old`] or [`Stands::Nothing`].
    stands: Stands,
}

impl<'f, F: Fs> Target<'f, F> {
    /// Where something of that kind is to stand, if it can.
    fn open(fs: &'f F, path: &Path, kind: Kind) -> Result<Self, AtomicError> {
        let name = path.file_name().ok_or(AtomicError::NoName)?.to_owned();
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let look = |source| AtomicError::Io { step: Step::Look, stands: Stands::Old, source };
        let parent = fs::open_folder(fs, folder).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => AtomicError::NoFolder { folder: folder.to_owned() },
            _ => look(error),
        })?;
        let stands = match fs.stat_name(&parent, &name) {
            Ok(found) if found.kind != kind => {
                let (expected, found) = (kind.name(), found.kind.name());
                return Err(AtomicError::Occupied { expected, found });
            }
            Ok(found) if found.read_only => {
                return Err(AtomicError::ReadOnly { found: kind.name() });
            }
            Ok(_) => Stands::Old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stands::Nothing,
            Err(error) => return Err(look(error)),
        };
        Ok(Self { fs, parent, name, stands })
    }

    /// Names the step that failed while what stood there still stands.
    fn failed(&self, step: Step) -> impl Fn(io::Error) -> AtomicError + use<F> {
        let stands = self.stands;
        move |source| AtomicError::Io { step, stands, source }
    }

    /// Whether the directory that stands there may be replaced: it is empty, or what was saved,
    /// damaged perhaps, and nothing else.
    fn check_replaceable(&self, owned: &[Owned<'_>]) -> Result<(), AtomicError> {
        let fs = self.fs;
        let foreign = || {
            let directory = fs::open_directory(fs, || fs.open(&self.parent, &self.name))?;
            let Some(first) = fs.names(&directory)?.next().transpose()? else {
                return Ok(None);
            };
            for &Owned { mark: (name, beginning), owns } in owned {
                let mut start = Vec::new();
                match fs.open(&directory, name.as_ref()) {
                    Ok(file) => file.take(beginning.len() as u64).read_to_end(&mut start)?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                return match start == beginning {
                    true => tree::find_foreign(fs, &directory, owns),
                    false => Ok(Some(PathBuf::from(name))),
                };
            }
            Ok(Some(PathBuf::from(first)))
        };
        match foreign() {
            Ok(None) => Ok(()),
            Ok(Some(found)) => Err(AtomicError::Foreign { found }),
            Err(error) => Err(self.failed(Step::Look)(error)),
        }
    }

    fn put(&self, scratch: &OsStr, how: Rename) -> io::Result<()> {
        self.fs.rename(&self.parent, scratch, &self.name, how)
    }

    fn sync_parent(&self) -> Result<(), AtomicError> {
        let (step, stands) = (Step::SyncParent, Stands::New);
        self.fs.sync(&self.parent).map_err(|source| AtomicError::Io { step, stands, source })
    }
}
