//! The file system of the machine.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::{Fs, Kind, Lock, Rename, Stat};

pub(crate) struct RealFs;

/// A pipe must not make the opening wait.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

impl Fs for RealFs {
    type File = File;

    fn open_path(&self, path: &Path) -> io::Result<File> {
        let opened = retry_on_intr(|| rustix::fs::openat(CWD, path, READ, Mode::empty()));
        Ok(opened?.into())
    }

    fn open(&self, directory: &File, name: &OsStr) -> io::Result<File> {
        let flags = READ | OFlags::NOFOLLOW;
        let opened = retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()));
        Ok(opened?.into())
    }

    fn read_exact_at(&self, file: &File, into: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(into, offset)
    }

    fn create_file(&self, directory: &File, name: &OsStr) -> io::Result<File> {
        // Some network file systems lock only what is open for reading and for writing.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        Ok(retry_on_intr(|| rustix::fs::openat(directory, name, flags, mode))?.into())
    }

    fn create_directory(&self, directory: &File, name: &OsStr) -> io::Result<()> {
        let mode = Mode::from_raw_mode(0o777);
        Ok(retry_on_intr(|| rustix::fs::mkdirat(directory, name, mode))?)
    }

    fn rename(&self, directory: &File, from: &OsStr, to: &OsStr, how: Rename) -> io::Result<()> {
        let plain = || retry_on_intr(|| rustix::fs::renameat(directory, from, directory, to));
        let flagged = || retry_on_intr(|| rename_with(directory, from, to, how));
        Ok(match how {
            Rename::Replace => plain(),
            Rename::Exchange => flagged(),
            // Without the flag a rename still refuses to replace a directory that is not empty.
            Rename::New => match flagged() {
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => plain(),
                result => result,
            },
        }?)
    }

    fn remove_file(&self, directory: &File, name: &OsStr) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::unlinkat(directory, name, AtFlags::empty()))?)
    }

    fn remove_directory(&self, directory: &File, name: &OsStr) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR))?)
    }

    fn names(&self, directory: &File) -> io::Result<impl Iterator<Item = io::Result<OsString>>> {
        let entries = retry_on_intr(|| Dir::read_from(directory))?.map(|entry| {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            Ok(name)
        });
        Ok(entries.filter(|name| !name.as_ref().is_ok_and(|name| name == "." || name == "..")))
    }

    fn stat(&self, file: &File) -> io::Result<Stat> {
        Ok(stat(&retry_on_intr(|| rustix::fs::fstat(file))?))
    }

    fn stat_name(&self, directory: &File, name: &OsStr) -> io::Result<Stat> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(stat(&retry_on_intr(|| rustix::fs::statat(directory, name, flags))?))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn try_lock(&self, file: &File, lock: Lock) -> io::Result<bool> {
        loop {
            let result = match lock {
                Lock::Shared => file.try_lock_shared(),
                Lock::Exclusive => file.try_lock(),
            };
            match result {
                Ok(()) => return Ok(true),
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

#[allow(
    trivial_numeric_casts,
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    reason = "the numbers have other widths on other systems; none is negative"
)]
fn stat(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Link,
            _ => Kind::Special,
        },
        length: stat.st_size as u64,
        links: stat.st_nlink as u64,
        read_only: stat.st_mode & 0o222 == 0,
        identity: (stat.st_dev as u64, stat.st_ino as u64),
        changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_with(directory: &File, from: &OsStr, to: &OsStr, how: Rename) -> rustix::io::Result<()> {
    use rustix::fs::{RenameFlags, renameat_with};

    let flags = match how {
        Rename::Replace => RenameFlags::empty(),
        Rename::New => RenameFlags::NOREPLACE,
        Rename::Exchange => RenameFlags::EXCHANGE,
    };
    renameat_with(directory, from, directory, to, flags)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_with(_: &File, _: &OsStr, _: &OsStr, _: Rename) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}
