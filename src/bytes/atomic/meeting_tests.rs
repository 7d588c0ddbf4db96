//! What fails, and what others do, between two calls.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use rustix::io::Errno;

use super::tests::Form;
use super::{AtomicError, Step, create_directories, write_file_on};
use crate::bytes::fs::simulated::{Image, SimulatedFs, Trouble};
use crate::bytes::fs::{Fs, Lock, RealFs, Rename, Stat, open_directory};

/// What becomes of a save of which one call fails, for each call in turn: the step that the error
/// names, or nothing if the save succeeds all the same.
fn outcomes(form: Form, before: Option<&str>, errno: Errno) -> Vec<Option<Step>> {
    let fresh = SimulatedFs::new(Image::empty(), 4, Trouble::default());
    if let Some(text) = before {
        form.save(&fresh, text).unwrap();
    }
    let outcome = |call| {
        let trouble = Trouble { fail: Some((call, errno)), ..Trouble::default() };
        let fs = SimulatedFs::new(fresh.image(), 4, trouble);
        let result = form.save(&fs, "new");
        (fs.calls() > call).then_some(match result {
            Ok(()) => None,
            Err(AtomicError::Io { step, .. }) => Some(step),
            Err(AtomicError::NoFolder { .. }) => Some(Step::Look),
            Err(error) => panic!("{form:?} over {before:?}, call {call}: {error}"),
        })
    };
    (0..).map_while(outcome).collect()
}

#[test]
fn an_error_names_the_step_that_failed() {
    const LOOK: Option<Step> = Some(Step::Look);
    // Strays that stay, locks that cannot be had, a new file that does not tell what it is.
    const NONE: Option<Step> = None;
    let [create, write, sync, rename, sync_parent] =
        [Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncParent].map(Some);
    let directory = [LOOK, NONE, create, write, sync, rename, sync_parent];
    let file = [directory.as_slice(), &[NONE]].concat();
    // Whether the old directory may be replaced is looked at before and after; then it is removed.
    let look = [LOOK, NONE, LOOK].as_slice();
    let exchanged =
        [look, &[NONE, create, write, sync, rename], look, &[rename, sync_parent, NONE]].concat();
    for (form, before, expected) in [
        (Form::File, None, file.as_slice()),
        (Form::File, Some("old"), &file),
        (Form::Directory, None, &directory),
        (Form::Directory, Some("old"), &exchanged),
    ] {
        let mut steps = outcomes(form, before, Errno::IO);
        steps.dedup();
        assert_eq!(steps, expected, "{form:?} over {before:?}");
    }
}

/// A process of the same number, in another container, may have made a scratch copy of that name, and
/// another saver may have taken a scratch directory for a stray before it was opened.
#[test]
fn a_scratch_name_that_cannot_be_had_gives_way_to_another() {
    let failures = |form, errno| {
        let steps = outcomes(form, None, errno).into_iter();
        steps.filter(|&step| step == Some(Step::Create)).count()
    };
    for (form, errno, forgiven) in [
        (Form::File, Errno::EXIST, 1),
        (Form::Directory, Errno::EXIST, 2),
        (Form::Directory, Errno::NOENT, 1),
    ] {
        let found = failures(form, errno);
        assert_eq!(found, failures(form, Errno::IO) - forgiven, "{form:?}, {errno}");
    }
}

/// The file system of the machine, on which another does something right before the first lock.
struct Visited<'v>(Mutex<Option<&'v (dyn Fn() + Sync)>>);

impl Fs for Visited<'_> {
    type File = File;

    fn try_lock(&self, file: &File, lock: Lock) -> io::Result<bool> {
        if let Some(visit) = self.0.lock().unwrap().take() {
            visit();
        }
        RealFs.try_lock(file, lock)
    }

    fn open_path(&self, path: &Path) -> io::Result<File> {
        RealFs.open_path(path)
    }

    fn open(&self, directory: &File, name: &OsStr) -> io::Result<File> {
        RealFs.open(directory, name)
    }

    fn read_exact_at(&self, file: &File, into: &mut [u8], offset: u64) -> io::Result<()> {
        RealFs.read_exact_at(file, into, offset)
    }

    fn create_file(&self, directory: &File, name: &OsStr) -> io::Result<File> {
        RealFs.create_file(directory, name)
    }

    fn create_directory(&self, directory: &File, name: &OsStr) -> io::Result<()> {
        RealFs.create_directory(directory, name)
    }

    fn rename(&self, directory: &File, from: &OsStr, to: &OsStr, how: Rename) -> io::Result<()> {
        RealFs.rename(directory, from, to, how)
    }

    fn remove_file(&self, directory: &File, name: &OsStr) -> io::Result<()> {
        RealFs.remove_file(directory, name)
    }

    fn remove_directory(&self, directory: &File, name: &OsStr) -> io::Result<()> {
        RealFs.remove_directory(directory, name)
    }

    fn names(&self, directory: &File) -> io::Result<impl Iterator<Item = io::Result<OsString>>> {
        RealFs.names(directory)
    }

    fn stat(&self, file: &File) -> io::Result<Stat> {
        RealFs.stat(file)
    }

    fn stat_name(&self, directory: &File, name: &OsStr) -> io::Result<Stat> {
        RealFs.stat_name(directory, name)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        RealFs.sync(file)
    }
}

/// Until it is locked, a scratch file looks like that of a dead writer.
#[test]
fn a_scratch_file_that_another_saver_removed_is_made_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    let visit = || {
        for entry in fs::read_dir(home.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    };
    let fs = Visited(Mutex::new(Some(&visit)));
    write_file_on(&fs, &path, |out| out.write_all(b"new")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn a_directory_that_is_replaced_while_it_is_opened_is_opened_again() {
    let home = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| home.path().join(name));
    fs::create_dir(&old).unwrap();
    fs::create_dir(&new).unwrap();
    let meetings = Cell::new(0);
    let open = || {
        meetings.set(meetings.get() + 1);
        RealFs.open_path(if meetings.get() == 1 { &old } else { &new })
    };
    let opened = open_directory(&RealFs, open).unwrap();
    let identity = |file| RealFs.stat(file).unwrap().identity;
    assert_eq!(identity(&opened), identity(&RealFs.open_path(&new).unwrap()));
}

#[test]
#[cfg(target_os = "linux")]
fn a_lock_that_fails_is_not_tried_forever() {
    use rustix::fs::{Mode, OFlags};
    // What is open only as a place in the file system cannot be locked.
    let opened = rustix::fs::open(".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let error = RealFs.try_lock(&opened.into(), Lock::Shared).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::BADF.raw_os_error()));
}

#[test]
fn directories_are_made_where_they_are_missing() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a/b/c");
    create_directories(&path).unwrap();
    assert!(path.is_dir());
    create_directories(&path).unwrap();
    fs::write(path.join("file"), "").unwrap();
    assert!(create_directories(&path.join("file/d")).is_err());
}
