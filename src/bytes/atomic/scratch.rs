//! Scratch copies: how they are named, held, and recognised when their writer died.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Target, tree};
use crate::bytes::Digest;
use crate::bytes::fs::{Fs, Kind, Lock};

/// A scratch file or directory beside its target, locked while this value lives. Removed when
/// dropped, unless [`keep`](Self::keep) was called.
pub(super) struct Scratch<'t, F: Fs> {
    target: &'t Target<'t, F>,
    name: OsString,
    handle: F::File,
    kept: bool,
}

impl<'t, F: Fs> Scratch<'t, F> {
    pub(super) fn file(target: &'t Target<'t, F>) -> io::Result<Self> {
        Self::create(target, |name| target.fs.create_file(&target.parent, name))
    }

    pub(super) fn directory(target: &'t Target<'t, F>) -> io::Result<Self> {
        let Target { fs, parent, .. } = target;
        Self::create(target, |name| {
            fs.create_directory(parent, name)?;
            fs.open(parent, name).map_err(|error| match error.kind() {
                // Until it is locked it looks like a stray, and may be removed: another name, then.
                io::ErrorKind::NotFound => io::ErrorKind::AlreadyExists.into(),
                _ => error,
            })
        })
    }

    fn create(
        target: &'t Target<'t, F>,
        make: impl Fn(&OsStr) -> io::Result<F::File>,
    ) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let mut name = OsString::from(PREFIX);
            name.push(label(&target.name));
            name.push(format!("-{:x}-{count:x}", std::process::id()));
            let handle = match make(&name) {
                Ok(handle) => handle,
                // Another process of this number, perhaps in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            let scratch = Self { target, name, handle, kept: false };
            // Shared, so that readers may hold it too once it stands in its place. Between creation
            // and lock it looked like a stray, and may have been removed.
            if target.fs.try_lock(&scratch.handle, Lock::Shared)?
                && target.fs.stat(&scratch.handle)?.links > 0
            {
                return Ok(scratch);
            }
        }
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    pub(super) fn handle(&self) -> &F::File {
        &self.handle
    }

    pub(super) fn handle_mut(&mut self) -> &mut F::File {
        &mut self.handle
    }

    /// The content has been put in place: what now has the scratch name is not ours to drop.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }
}

impl<F: Fs> Drop for Scratch<'_, F> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // Best effort: what stays behind is recognised as a stray.
        let Target { fs, parent, .. } = self.target;
        if fs.remove_file(parent, &self.name).is_err() {
            let _ = tree::remove(*fs, parent, &self.name, &|_| true);
        }
    }
}

const PREFIX: &str = ".keepnet-scratch-";

/// A name can be as long as the system allows, so that no letter more would fit.
const LONGEST: usize = 64;

/// What stands for the target's name in those of its scratch copies: the name itself, or a hash of a
/// long one.
fn label(target: &OsStr) -> Cow<'_, OsStr> {
    if target.len() <= LONGEST {
        return target.into();
    }
    let digest = Digest::of(target.as_encoded_bytes()).to_string();
    OsString::from(digest.get(..16).unwrap_or(&digest)).into()
}

/// The label in the name of a scratch copy; `None` for all other names.
fn label_in(name: &OsStr) -> Option<&[u8]> {
    let rest = name.as_encoded_bytes().strip_prefix(PREFIX.as_bytes())?;
    let mut parts = rest.rsplitn(3, |&byte| byte == b'-');
    let (count, process) = (parts.next()?, parts.next()?);
    (is_hex(count) && is_hex(process)).then(|| parts.next()).flatten()
}

fn is_hex(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_hexdigit)
}

/// Removes scratch files for `target` that no living writer holds. Failing to is no failure.
pub(super) fn remove_stray_files<F: Fs>(target: &Target<'_, F>) {
    let Target { fs, parent, .. } = target;
    for name in strays(target) {
        // What cannot be removed now can be at the next save.
        let _ = remove_file(*fs, parent, &name, |_| Ok(true));
    }
}

/// Removes the scratch files in `folder` that no living writer holds, for all targets whose names
/// `is_target` knows; but only those that have no other name and begin as what is written there
/// does, with `mark`. Failing to is no failure.
pub(crate) fn remove_abandoned_files<F: Fs>(
    fs: &F,
    folder: &F::File,
    is_target: impl Fn(&str) -> bool,
    mark: &[u8],
) {
    let is_ours = |file: &mut F::File| {
        let mut start = Vec::new();
        file.by_ref().take(mark.len() as u64).read_to_end(&mut start)?;
        // A process that dies leaves a beginning, a loss of power perhaps zeros.
        let ours = mark.starts_with(&start) || start.iter().all(|&byte| byte == 0);
        Ok(ours && fs.stat(file)?.links == 1)
    };
    let is_abandoned = |name: &OsString| {
        let label = label_in(name).and_then(|label| std::str::from_utf8(label).ok());
        label.is_some_and(&is_target)
    };
    for name in names(fs, folder).filter(is_abandoned) {
        // What cannot be removed now can be another time.
        let _ = remove_file(fs, folder, &name, is_ours);
    }
}

/// Removes scratch directories for `target` that nobody holds, if `owns` knows all they hold.
/// Failing to is no failure.
pub(super) fn remove_stray_directories<F: Fs>(
    target: &Target<'_, F>,
    owns: &dyn Fn(&Path) -> bool,
) {
    let strays = strays(target);
    // One may be the old directory after an exchange that is not on the disk yet: taken apart now,
    // it would be what a loss of power brings back.
    if strays.is_empty() || target.fs.sync(&target.parent).is_err() {
        return;
    }
    for name in strays {
        remove_stray_directory(target, &name, owns);
    }
}

/// Removes that scratch directory if nobody holds it and `owns` knows all it holds. Failing to is no
/// failure.
pub(super) fn remove_stray_directory<F: Fs>(
    target: &Target<'_, F>,
    name: &OsStr,
    owns: &dyn Fn(&Path) -> bool,
) {
    let Target { fs, parent, .. } = target;
    let remove = || -> io::Result<()> {
        let Some(unheld) = seize(*fs, parent, name, Kind::Directory)? else { return Ok(()) };
        match tree::find_foreign(*fs, &unheld, owns)? {
            Some(_) => Ok(()),
            None => tree::remove(*fs, parent, name, owns),
        }
    };
    // What cannot be removed now can be at the next save.
    let _ = remove();
}

/// Names beside the target that only scratch copies for it have.
fn strays<F: Fs>(target: &Target<'_, F>) -> Vec<OsString> {
    let label = label(&target.name);
    let is_stray = |name: &OsString| label_in(name) == Some(label.as_encoded_bytes());
    names(target.fs, &target.parent).filter(is_stray).collect()
}

/// All names that can be read.
fn names<F: Fs>(fs: &F, folder: &F::File) -> impl Iterator<Item = OsString> {
    fs.names(folder).into_iter().flatten().flatten()
}

fn remove_file<F: Fs>(
    fs: &F,
    folder: &F::File,
    name: &OsStr,
    is_ours: impl Fn(&mut F::File) -> io::Result<bool>,
) -> io::Result<()> {
    let Some(mut unheld) = seize(fs, folder, name, Kind::File)? else { return Ok(()) };
    if is_ours(&mut unheld)? { fs.remove_file(folder, name) } else { Ok(()) }
}

/// Opens and locks what has that name, if it is of that kind and nobody holds it. A link is never
/// followed, so that nothing outside is locked or removed.
fn seize<F: Fs>(fs: &F, folder: &F::File, name: &OsStr, kind: Kind) -> io::Result<Option<F::File>> {
    // A pipe or a device is not even opened.
    if fs.stat_name(folder, name)?.kind != kind {
        return Ok(None);
    }
    let handle = fs.open(folder, name)?;
    let held = fs.stat(&handle)?;
    let unheld = held.kind == kind && fs.try_lock(&handle, Lock::Exclusive)?;
    // Its writer may have finished since it was opened.
    let still_there = unheld && fs.stat_name(folder, name)?.identity == held.identity;
    Ok(still_there.then_some(handle))
}
