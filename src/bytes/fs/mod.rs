//! The calls of the operating system on which saving, and opening what was saved, rest. They stand
//! behind one trait so that tests can fail each of them and take the power away after any.
//!
//! But for the path that a user gives, every name is looked up in an open directory and never
//! followed if it is a link. So nothing that happens to the path meanwhile leads elsewhere.

mod real;
#[cfg(test)]
pub(crate) mod simulated;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::path::Path;

pub(crate) use real::RealFs;

/// Calls that a signal interrupts are made again.
pub(crate) trait Fs: Sync {
    /// An open file or directory. Closed, and its lock let go, when dropped.
    type File: Read + Write + Send + Sync;

    /// Opens for reading what stands at a path of the user's, which may lead through links.
    fn open_path(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens for reading, without waiting for the other end of a pipe.
    fn open(&self, directory: &Self::File, name: &OsStr) -> io::Result<Self::File>;

    /// Fills `into` with the bytes at `offset`; `UnexpectedEof` where the file has fewer.
    fn read_exact_at(&self, file: &Self::File, into: &mut [u8], offset: u64) -> io::Result<()>;

    /// Opens a file for reading and writing where nothing stood.
    fn create_file(&self, directory: &Self::File, name: &OsStr) -> io::Result<Self::File>;

    fn create_directory(&self, directory: &Self::File, name: &OsStr) -> io::Result<()>;

    fn rename(
        &self,
        directory: &Self::File,
        from: &OsStr,
        to: &OsStr,
        how: Rename,
    ) -> io::Result<()>;

    fn remove_file(&self, directory: &Self::File, name: &OsStr) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_directory(&self, directory: &Self::File, name: &OsStr) -> io::Result<()>;

    /// All names in the directory, in any order.
    fn names(
        &self,
        directory: &Self::File,
    ) -> io::Result<impl Iterator<Item = io::Result<OsString>>>;

    fn stat(&self, file: &Self::File) -> io::Result<Stat>;

    fn stat_name(&self, directory: &Self::File, name: &OsStr) -> io::Result<Stat>;

    /// Flushes to the disk what a file or a directory holds; not the name it stands under.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Whether the lock could be had at once.
    fn try_lock(&self, file: &Self::File, lock: Lock) -> io::Result<bool>;
}

/// What happens to what stands under the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rename {
    /// It goes.
    Replace,
    /// The call fails.
    New,
    /// It gets the old name, in one step.
    Exchange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Shared,
    Exclusive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) kind: Kind,
    pub(crate) length: u64,
    /// How many names it has.
    pub(crate) links: u64,
    /// Nobody may write to it.
    pub(crate) read_only: bool,
    /// Device and inode: what tells it from all others.
    pub(crate) identity: (u64, u64),
    /// When its bytes, its names or its rights last changed: seconds and nanoseconds.
    pub(crate) changed: (i64, i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Link,
    /// A pipe, a device, a socket.
    Special,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link => "symbolic link",
            Self::Special => "device, pipe or the like",
        }
    }
}

/// Opens a folder at a path of the user's; the empty path is here.
pub(crate) fn open_folder<F: Fs>(fs: &F, path: &Path) -> io::Result<F::File> {
    fs.open_path(if path.as_os_str().is_empty() { Path::new(".") } else { path })
}

/// How often a directory may be replaced between two steps of opening it before that is an error.
const MEETINGS: usize = 10_000;

/// Opens a directory so that nobody who saves takes it apart while it is open, even if another has
/// replaced it: savers leave alone what others hold locked. `open` opens what stands at its path.
///
/// # Errors
/// If there is none; `NotADirectory` if something else is there.
pub(crate) fn open_directory<F: Fs>(
    fs: &F,
    open: impl Fn() -> io::Result<F::File>,
) -> io::Result<F::File> {
    for _ in 0..MEETINGS {
        let directory = open()?;
        let opened = fs.stat(&directory)?;
        if opened.kind != Kind::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        // Where there are no locks, nothing keeps it from being taken apart.
        let held = fs.try_lock(&directory, Lock::Shared).unwrap_or(true);
        // It may have been replaced between the opening and the lock.
        if held && fs.stat(&open()?)?.identity == opened.identity {
            return Ok(directory);
        }
        std::thread::yield_now();
    }
    Err(io::ErrorKind::ResourceBusy.into())
}
