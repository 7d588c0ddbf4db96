//! Scratch copies: how they are named, held, and recognised when their writer died.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Target, find_foreign};
use crate::bytes::Digest;

/// A scratch file or directory beside its target, locked while this value lives. Removed when
/// dropped, unless [`keep`](Self::keep) was called.
pub(super) struct Scratch {
    path: PathBuf,
    handle: File,
    kept: bool,
}

impl Scratch {
    pub(super) fn file(target: &Target) -> io::Result<Self> {
        Self::create(target, |path| File::create_new(path))
    }

    pub(super) fn directory(target: &Target) -> io::Result<Self> {
        Self::create(target, |path| {
            fs::create_dir(path)?;
            File::open(path)
        })
    }

    fn create(target: &Target, make: impl Fn(&Path) -> io::Result<File>) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}{:x}-{count:x}", prefix(target), std::process::id());
            let path = target.parent.join(name);
            let handle = match make(&path) {
                Ok(handle) => handle,
                // Another process of this number, perhaps in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            let scratch = Self { path, handle, kept: false };
            match scratch.handle.try_lock() {
                // Between creation and lock it looked like a stray, and may have been removed.
                Ok(()) if scratch.handle.metadata()?.nlink() > 0 => return Ok(scratch),
                Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn handle(&self) -> &File {
        &self.handle
    }

    /// The content has been put in place: what now has the scratch name is not ours to drop.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.kept {
            // Best effort: what stays behind is recognised as a stray.
            let is_directory = self.handle.metadata().is_ok_and(|metadata| metadata.is_dir());
            let _ = if is_directory {
                fs::remove_dir_all(&self.path)
            } else {
                fs::remove_file(&self.path)
            };
        }
    }
}

/// A hash stands for the target's name, which may itself be as long as a name can be.
fn prefix(target: &Target) -> String {
    let digest = Digest::of(target.name.as_encoded_bytes()).to_string();
    format!(".keepnet-scratch-{}-", digest.get(..16).unwrap_or(&digest))
}

/// Removes scratch files for `target` that no living writer holds. Failing to is no failure.
pub(super) fn remove_stray_files(target: &Target) {
    for_each_stray(target, |path| {
        let _ = fs::remove_file(path);
    });
}

/// Removes scratch directories for `target` that no living writer holds, if `owns` knows all they
/// hold. Failing to is no failure.
pub(super) fn remove_stray_directories(target: &Target, owns: &dyn Fn(&Path) -> bool) {
    for_each_stray(target, |path| remove_owned(path, owns));
}

pub(super) fn remove_owned(directory: &Path, owns: &dyn Fn(&Path) -> bool) {
    let is_directory = fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_dir());
    if is_directory && matches!(find_foreign(directory, owns), Ok(None)) {
        let _ = fs::remove_dir_all(directory);
    }
}

fn for_each_stray(target: &Target, remove: impl Fn(&Path)) {
    let prefix = prefix(target);
    let Ok(entries) = fs::read_dir(&target.parent) else { return };
    for entry in entries.flatten() {
        let is_scratch = entry.file_name().to_str().is_some_and(|name| {
            name.strip_prefix(&prefix).is_some_and(|rest| {
                let numbers = rest.split_once('-');
                numbers.is_some_and(|(process, count)| is_hex(process) && is_hex(count))
            })
        });
        // A link is never followed, so that nothing outside can be locked or removed.
        if !is_scratch || !entry.file_type().is_ok_and(|kind| kind.is_file() || kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        let Ok(handle) = File::open(&path) else { continue };
        if handle.try_lock().is_ok() && names_the_same(&path, &handle) {
            remove(&path);
        }
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether `path` still leads to the file that was opened: its writer may have finished since.
fn names_the_same(path: &Path, handle: &File) -> bool {
    match (fs::symlink_metadata(path), handle.metadata()) {
        (Ok(named), Ok(held)) => (named.dev(), named.ino()) == (held.dev(), held.ino()),
        _ => false,
    }
}
