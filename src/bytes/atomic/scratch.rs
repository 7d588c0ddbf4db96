//! Scratch copies: how they are named, held, and recognised when their writer died.

use std::ffi::{OsStr, OsString};
use std::io;
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
            let name = format!("{}{:x}-{count:x}", prefix(&target.name), std::process::id());
            let name = OsString::from(name);
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

/// A hash stands for the target's name, which may itself be as long as a name can be.
fn prefix(name: &OsStr) -> String {
    let digest = Digest::of(name.as_encoded_bytes()).to_string();
    format!(".keepnet-scratch-{}-", digest.get(..16).unwrap_or(&digest))
}

/// Removes scratch files for `target` that no living writer holds. Failing to is no failure.
pub(super) fn remove_stray_files<F: Fs>(target: &Target<'_, F>) {
    for name in strays(target) {
        remove_unheld(target, &name, Kind::File, &|_| true);
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
        remove_unheld(target, &name, Kind::Directory, owns);
    }
}

/// Names beside the target that only scratch copies for it have.
fn strays<F: Fs>(target: &Target<'_, F>) -> Vec<OsString> {
    let prefix = prefix(&target.name);
    let is_scratch = |name: &OsString| {
        name.to_str().and_then(|name| name.strip_prefix(&prefix)).is_some_and(|rest| {
            let numbers = rest.split_once('-');
            numbers.is_some_and(|(process, count)| is_hex(process) && is_hex(count))
        })
    };
    let names = target.fs.names(&target.parent).into_iter().flatten();
    names.flatten().filter(is_scratch).collect()
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Removes what has that name if it is of that kind, nobody holds it, and, if it is a directory,
/// `owns` knows all in it. A link is never followed, so that nothing outside is locked or removed.
pub(super) fn remove_unheld<F: Fs>(
    target: &Target<'_, F>,
    name: &OsStr,
    kind: Kind,
    owns: &dyn Fn(&Path) -> bool,
) {
    let Target { fs, parent, .. } = target;
    let remove = || -> io::Result<()> {
        // A pipe or a device is not even opened.
        if fs.stat_name(parent, name)?.kind != kind {
            return Ok(());
        }
        let handle = fs.open(parent, name)?;
        let held = fs.stat(&handle)?;
        let unheld = held.kind == kind && fs.try_lock(&handle, Lock::Exclusive)?;
        // Its writer may have finished since it was opened.
        if !unheld || fs.stat_name(parent, name)?.identity != held.identity {
            return Ok(());
        }
        match kind {
            Kind::Directory if tree::find_foreign(*fs, &handle, owns)?.is_some() => Ok(()),
            Kind::Directory => tree::remove(*fs, parent, name, owns),
            _ => fs.remove_file(parent, name),
        }
    };
    // What cannot be removed now can be at the next save.
    let _ = remove();
}
