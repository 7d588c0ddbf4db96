//! A file as memory. To read that is to trust everybody who may change the file, which no type can
//! express: so opening one is unsafe, and nothing else outside of the kernels is.

#![allow(unsafe_code)]

use std::io;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::fs::{Fs, Kind, RealFs};

/// A file that the system shows as memory: a page of it is read from the disk when it is first
/// looked at.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    map: Mmap,
}

/// Why a file could not be mapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    #[error(
        "{}: only a file can be mapped, not a directory; `keepnet pack` makes one file of a \
         model's directory", path.display()
    )]
    Directory { path: PathBuf },
    #[error("{}: only a file can be mapped, not a {found}", path.display())]
    NoFile { path: PathBuf, found: &'static str },
    #[error("{}: cannot map it: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl MappedFile {
    /// Maps the file at `path`. None of it is read yet.
    ///
    /// # Errors
    /// If there is no file, or the system cannot map it.
    ///
    /// # Safety
    ///
    /// As long as the result lives:
    ///
    /// - nobody may write to the file, in this process or in another: what the compiler takes for
    ///   constant would change;
    /// - nobody may make it shorter: a look at what is gone ends the process (`SIGBUS`).
    ///
    /// To remove it or to put another file in its place, as every save of keepnet does, is no harm:
    /// the old file stays whole until nobody has it open. A copy over it (`cp`, `rsync --inplace`,
    /// a synchronised folder) writes into it.
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Self, MapError> {
        let path = path.as_ref().to_owned();
        let opened = RealFs.open_path(&path);
        let opened = opened.and_then(|file| RealFs.stat(&file).map(|stat| (file, stat.kind)));
        let file = match opened {
            Ok((file, Kind::File)) => file,
            Ok((_, Kind::Directory)) => return Err(MapError::Directory { path }),
            Ok((_, kind)) => return Err(MapError::NoFile { path, found: kind.name() }),
            Err(source) => return Err(MapError::Io { path, source }),
        };
        // SAFETY: the caller vouches that nobody changes the file while it is mapped. The mapping is
        // as long as the file is now, and keeps it open.
        match unsafe { Mmap::map(&file) } {
            Ok(map) => Ok(Self { path, map }),
            Err(source) => Err(MapError::Io { path, source }),
        }
    }

    /// As it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}
