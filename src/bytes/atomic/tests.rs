use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::disk::{Disk, RealDisk};
use super::{AtomicError, Stands, Step, replace_dir, replace_dir_on, write_file, write_file_on};

/// Fails call number `fail_at` to any of the disk's operations.
struct Failing {
    calls: Cell<usize>,
    fail_at: usize,
}

impl Failing {
    fn new(fail_at: usize) -> Self {
        Self { calls: Cell::new(0), fail_at }
    }

    fn call(&self, done: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let call = self.calls.get();
        self.calls.set(call + 1);
        if call == self.fail_at { Err(io::Error::other("injected")) } else { done() }
    }
}

impl Disk for Failing {
    fn sync(&self, file: &File) -> io::Result<()> {
        self.call(|| RealDisk.sync(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|| RealDisk.rename(from, to))
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|| RealDisk.rename_new(from, to))
    }
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.call(|| RealDisk.exchange(one, other))
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn owns(path: &Path) -> bool {
    path == Path::new("a") || path == Path::new("sub") || path == Path::new("sub/b")
}

fn fill(text: &'static str) -> impl Fn(&Path) -> io::Result<()> {
    move |directory| {
        fs::write(directory.join("a"), text)?;
        fs::create_dir(directory.join("sub"))?;
        fs::write(directory.join("sub/b"), text)
    }
}

#[test]
fn a_file_is_old_or_new_whichever_call_fails() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    // sync of the file, rename, sync of the parent
    for fail_at in 0..4 {
        write_file(&path, |out| out.write_all(b"old")).unwrap();
        let result = write_file_on(&Failing::new(fail_at), &path, |out| out.write_all(b"new"));
        let (found, expected) = match result {
            Ok(()) => (fail_at == 3, "new"),
            Err(AtomicError::Io { stands: Stands::New, step, .. }) => {
                (fail_at == 2 && step == Step::SyncParent, "new")
            }
            Err(AtomicError::Io { stands: Stands::Old, .. }) => (fail_at < 2, "old"),
            Err(error) => panic!("{error}"),
        };
        assert!(found, "call {fail_at}");
        assert_eq!(fs::read_to_string(&path).unwrap(), expected, "call {fail_at}");
        assert_eq!(names(home.path()), ["model"], "no scratch file stays, call {fail_at}");
    }
}

#[test]
fn a_directory_is_old_or_new_whichever_call_fails() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    // syncs of a, sub/b, sub and the directory, exchange, sync of the parent
    for fail_at in 0..7 {
        replace_dir(&path, &owns, fill("old")).unwrap();
        let result = replace_dir_on(&Failing::new(fail_at), &path, &owns, fill("new"));
        assert_eq!(result.is_ok(), fail_at == 6, "call {fail_at}");
        let expected = if fail_at < 5 { "old" } else { "new" };
        assert_eq!(fs::read_to_string(path.join("a")).unwrap(), expected, "call {fail_at}");
        assert_eq!(fs::read_to_string(path.join("sub/b")).unwrap(), expected, "call {fail_at}");
        let strays = names(home.path()).len() - 1;
        assert_eq!(strays, usize::from(fail_at == 5), "the old one is kept until all is flushed");
    }
}

#[test]
fn a_first_directory_stands_whole_or_not_at_all() {
    for fail_at in 0..7 {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model");
        let result = replace_dir_on(&Failing::new(fail_at), &path, &owns, fill("new"));
        assert_eq!(result.is_ok(), fail_at == 6, "call {fail_at}");
        let expected: &[&str] = if fail_at < 5 { &[] } else { &["model"] };
        assert_eq!(names(home.path()), expected, "call {fail_at}");
    }
}

#[test]
fn a_failing_writer_leaves_the_old_file() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    write_file(&path, |out| out.write_all(b"old")).unwrap();
    let error = write_file(&path, |out| {
        out.write_all(&[0; 100_000])?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    })
    .unwrap_err();
    assert!(matches!(error, AtomicError::Io { step: Step::Write, stands: Stands::Old, .. }));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(home.path()), ["model"]);
}

#[test]
fn strays_of_dead_writers_are_removed_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    let target = super::Target::new(&path).unwrap();
    let stray = |path: &Path| {
        let scratch = super::Scratch::file(&super::Target::new(path).unwrap()).unwrap();
        let name = scratch.path().to_owned();
        drop(scratch);
        fs::write(&name, "half").unwrap();
        name
    };
    let dead = stray(&path);
    let of_another_target = stray(&home.path().join("model2"));
    let similar = home.path().join(format!("{}-note", dead.file_name().unwrap().display()));
    fs::write(&similar, "mine").unwrap();
    let linked = home.path().join(format!("{}0", dead.file_name().unwrap().display()));
    std::os::unix::fs::symlink(&similar, &linked).unwrap();
    let alive = super::Scratch::file(&target).unwrap();

    write_file(&path, |out| out.write_all(b"new")).unwrap();
    assert!(!dead.exists());
    for kept in [&of_another_target, &similar, &linked, &alive.path().to_owned()] {
        assert!(kept.exists(), "{}", kept.display());
    }
}

#[test]
fn stray_directories_are_removed_if_all_they_hold_is_ours() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    let stray = || {
        let scratch = super::Scratch::directory(&super::Target::new(&path).unwrap()).unwrap();
        let name = scratch.path().to_owned();
        drop(scratch);
        fs::create_dir(&name).unwrap();
        name
    };
    let (ours, mixed) = (stray(), stray());
    fs::write(ours.join("a"), "half").unwrap();
    fs::write(mixed.join("thesis.tex"), "mine").unwrap();
    replace_dir(&path, &owns, fill("new")).unwrap();
    assert!(!ours.exists());
    assert!(mixed.join("thesis.tex").exists());
}

#[test]
fn a_directory_with_foreign_files_is_not_replaced() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    fs::create_dir_all(path.join("sub")).unwrap();
    fs::write(path.join("sub/thesis.tex"), "mine").unwrap();
    let error = replace_dir(&path, &owns, fill("new")).unwrap_err();
    assert!(
        matches!(&error, AtomicError::Foreign { found } if found == Path::new("sub/thesis.tex"))
    );
    assert_eq!(names(&path), ["sub"]);
}

#[test]
fn what_cannot_be_replaced_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let (file, directory) = (home.path().join("file"), home.path().join("directory"));
    fs::write(&file, "mine").unwrap();
    fs::create_dir(&directory).unwrap();
    let error = write_file(&directory, |_| Ok(())).unwrap_err();
    assert!(matches!(error, AtomicError::Occupied { found: "directory", .. }));
    let error = replace_dir(&file, &owns, fill("new")).unwrap_err();
    assert!(matches!(error, AtomicError::Occupied { found: "file", .. }));
    assert!(matches!(write_file(Path::new(".."), |_| Ok(())), Err(AtomicError::NoName)));
}

#[test]
fn where_directories_cannot_be_exchanged_overwriting_is_refused() {
    struct NoExchange;
    impl Disk for NoExchange {
        fn exchange(&self, _: &Path, _: &Path) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    replace_dir_on(&NoExchange, &path, &owns, fill("old")).unwrap();
    let error = replace_dir_on(&NoExchange, &path, &owns, fill("new")).unwrap_err();
    assert!(matches!(error, AtomicError::NoExchange { .. }));
    assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "old");
    assert_eq!(names(home.path()), ["model"]);
}
