//! Directories with all they hold: flushed, looked through, removed.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::bytes::fs::{Fs, Kind};

/// Flushes every file and directory in `directory`, and itself last.
pub(super) fn sync<F: Fs>(fs: &F, directory: &F::File) -> io::Result<()> {
    for name in fs.names(directory)? {
        let inner = fs.open(directory, &name?)?;
        if fs.stat(&inner)?.kind == Kind::Directory {
            sync(fs, &inner)?;
        } else {
            fs.sync(&inner)?;
        }
    }
    fs.sync(directory)
}

/// The first path in `directory`, relative to it, that `owns` does not know.
pub(super) fn find_foreign<F: Fs>(
    fs: &F,
    directory: &F::File,
    owns: &dyn Fn(&Path) -> bool,
) -> io::Result<Option<PathBuf>> {
    search(fs, directory, Path::new(""), owns)
}

fn search<F: Fs>(
    fs: &F,
    directory: &F::File,
    path: &Path,
    owns: &dyn Fn(&Path) -> bool,
) -> io::Result<Option<PathBuf>> {
    for name in fs.names(directory)? {
        let name = name?;
        let path = path.join(&name);
        if !owns(&path) {
            return Ok(Some(path));
        }
        if fs.stat_name(directory, &name)?.kind == Kind::Directory
            && let Some(found) = search(fs, &fs.open(directory, &name)?, &path, owns)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Removes the directory of that name and all that `owns` knows in it. What it does not know keeps
/// itself and what it stands in from being removed.
pub(super) fn remove<F: Fs>(
    fs: &F,
    parent: &F::File,
    name: &OsStr,
    owns: &dyn Fn(&Path) -> bool,
) -> io::Result<()> {
    empty(fs, &fs.open(parent, name)?, Path::new(""), owns)?;
    fs.remove_directory(parent, name)
}

fn empty<F: Fs>(
    fs: &F,
    directory: &F::File,
    path: &Path,
    owns: &dyn Fn(&Path) -> bool,
) -> io::Result<()> {
    let names: Vec<_> = fs.names(directory)?.collect::<io::Result<_>>()?;
    for name in names {
        let path = path.join(&name);
        if !owns(&path) {
            continue;
        }
        if fs.stat_name(directory, &name)?.kind == Kind::Directory {
            empty(fs, &fs.open(directory, &name)?, &path, owns)?;
            fs.remove_directory(directory, &name)?;
        } else {
            fs.remove_file(directory, &name)?;
        }
    }
    Ok(())
}
