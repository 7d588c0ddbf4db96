//! The calls on which safety against crashes rests, in one place so that tests can fail each.

use std::fs::{self, File};
use std::io;
use std::path::Path;

pub(super) trait Disk {
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Renames where nothing stands yet.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match rename_with(from, to, Flag::NoReplace) {
            // Without the flag a rename still refuses to replace a directory that is not empty.
            Err(error) if is_unsupported(&error) => fs::rename(from, to),
            result => result,
        }
    }

    /// Exchanges the two in one step.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        rename_with(one, other, Flag::Exchange)
    }
}

pub(super) struct RealDisk;

impl Disk for RealDisk {}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

enum Flag {
    NoReplace,
    Exchange,
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_with(from: &Path, to: &Path, flag: Flag) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    let flags = match flag {
        Flag::NoReplace => RenameFlags::NOREPLACE,
        Flag::Exchange => RenameFlags::EXCHANGE,
    };
    Ok(renameat_with(CWD, from, CWD, to, flags)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_with(_: &Path, _: &Path, _: Flag) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
