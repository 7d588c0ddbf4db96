use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{AtomicError, Contents, Owned, Stands, replace_directory, write_file, write_file_on};
use crate::bytes::fs::simulated::{Image, SimulatedFs, Trouble};
use crate::bytes::fs::{Fs, Kind, RealFs, Rename};

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const OWNED: Owned<'_> = Owned {
    mark: ("a", b"mark"),
    owns: &|path| [Path::new("a"), Path::new("sub"), Path::new("sub/b")].contains(&path),
};

fn fill<F: Fs>(text: &str) -> impl Fn(&Contents<'_, F>) -> io::Result<()> {
    move |contents| {
        contents.file("a", &[b"mark ", text.as_bytes()])?;
        contents.directory("sub")?.file("b", &[text.as_bytes()])
    }
}

/// One of the two ways to save, with a text as the model.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    File,
    Directory,
}

impl Form {
    pub(super) fn save<F: Fs>(self, fs: &F, text: &str) -> Result<(), AtomicError> {
        let path = Path::new("model");
        match self {
            Self::File => write_file_on(fs, path, |out| out.write_all(text.as_bytes())).map(drop),
            Self::Directory => replace_directory(fs, path, &[OWNED], fill(text)),
        }
    }

    /// The text that was saved; `None` if nothing stands there.
    fn load<F: Fs>(self, fs: &F) -> Option<String> {
        let model = fs.open_path(Path::new("model")).ok()?;
        let read = |mut file: F::File| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        };
        match self {
            Self::File => Some(read(model)),
            Self::Directory => {
                let sub = fs.open(&model, OsStr::new("sub")).unwrap();
                let text = read(fs.open(&sub, OsStr::new("b")).unwrap());
                assert_eq!(read(fs.open(&model, OsStr::new("a")).unwrap()), format!("mark {text}"));
                Some(text)
            }
        }
    }
}

/// Every call fails in turn, alone or with all after it. What stands is what the outcome says, and
/// where calls go on to succeed nothing else stays.
#[test]
fn the_old_or_the_new_stands_whichever_call_fails() {
    for (form, before) in [
        (Form::File, None),
        (Form::File, Some("old")),
        (Form::Directory, None),
        (Form::Directory, Some("old")),
    ] {
        let fresh = SimulatedFs::new(Image::empty(), 4, Trouble::default());
        if let Some(text) = before {
            form.save(&fresh, text).unwrap();
        }
        let image = fresh.image();
        for persistent in [false, true] {
            for call in 0.. {
                let fail = Some((call, Errno::IO));
                let trouble = Trouble { fail, persistent, ..Trouble::default() };
                let fs = SimulatedFs::new(image.clone(), 4, trouble);
                let result = form.save(&fs, "new");
                let untroubled = fs.calls() <= call;
                let after = SimulatedFs::new(fs.image(), 4, Trouble::default());
                let found = form.load(&after);
                let case = format!("{form:?} over {before:?}, call {call}: {result:?}");
                match result {
                    Ok(()) => assert_eq!(found.as_deref(), Some("new"), "{case}"),
                    Err(AtomicError::Io { stands: Stands::New, .. }) => {
                        assert_eq!(found.as_deref(), Some("new"), "{case}");
                    }
                    Err(AtomicError::Io { stands: Stands::Nothing, .. }) => {
                        assert_eq!((before, &found), (None, &None), "{case}");
                    }
                    Err(AtomicError::Io { stands: Stands::Old, .. }) => {
                        assert_eq!(found.as_deref(), before, "{case}");
                    }
                    Err(error) => panic!("{case}: {error}"),
                }
                form.save(&after, "next").unwrap();
                assert_eq!(form.load(&after).as_deref(), Some("next"), "{case}");
                assert_eq!(after.image().names().collect::<Vec<_>>(), ["model"], "{case}");
                if untroubled {
                    assert!(call > 8, "{form:?} makes more calls than {call}");
                    break;
                }
            }
        }
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
    assert!(error.to_string().ends_with("is untouched; make room or save elsewhere"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(home.path()), ["model"]);
}

fn target<'f>(path: &Path, kind: Kind) -> super::Target<'f, RealFs> {
    super::Target::open(&RealFs, path, kind).unwrap()
}

/// A scratch file for `path` whose writer is dead.
fn stray(path: &Path) -> PathBuf {
    let target = target(path, Kind::File);
    let scratch = super::Scratch::file(&target).unwrap();
    let stray = path.with_file_name(scratch.name());
    drop(scratch);
    fs::write(&stray, "half").unwrap();
    stray
}

#[test]
fn strays_of_dead_writers_are_removed_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    let dead = stray(&path);
    let of_another_target = stray(&home.path().join("model2"));
    let similar = home.path().join(format!("{}-note", dead.file_name().unwrap().display()));
    fs::write(&similar, "mine").unwrap();
    let linked = home.path().join(format!("{}0", dead.file_name().unwrap().display()));
    symlink(&similar, &linked).unwrap();
    let target = target(&path, Kind::File);
    let alive = super::Scratch::file(&target).unwrap();

    write_file(&path, |out| out.write_all(b"new")).unwrap();
    assert!(!dead.exists());
    for kept in [&of_another_target, &similar, &linked, &home.path().join(alive.name())] {
        assert!(kept.exists(), "{}", kept.display());
    }
}

#[test]
fn stray_directories_are_removed_if_all_they_hold_is_ours() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    let stray = || {
        let stray = stray(&path);
        fs::remove_file(&stray).unwrap();
        fs::create_dir(&stray).unwrap();
        stray
    };
    let (ours, mixed) = (stray(), stray());
    fs::write(ours.join("a"), "half").unwrap();
    fs::write(mixed.join("a"), "half").unwrap();
    fs::write(mixed.join("thesis.tex"), "mine").unwrap();
    replace_directory(&RealFs, &path, &[OWNED], fill("new")).unwrap();
    assert!(!ours.exists());
    assert_eq!(names(&mixed), ["a", "thesis.tex"]);
}

/// A reader that has opened the old directory reads it to the end; the next save removes it.
#[test]
fn a_directory_that_is_being_read_stays_whole() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    let save = |text| replace_directory(&RealFs, &path, &[OWNED], fill(text)).unwrap();
    save("old");
    let open = || super::fs::open_directory(&RealFs, || RealFs.open_path(&path)).unwrap();
    let old = open();
    save("new");
    let sub = RealFs.open(&old, OsStr::new("sub")).unwrap();
    let mut text = String::new();
    RealFs.open(&sub, OsStr::new("b")).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), names(home.path()).len()), ("old", 2));
    drop(old);
    let newest = open();
    save("newer");
    drop(newest);
    save("newest");
    assert_eq!(names(home.path()), ["model"]);
}

#[test]
fn a_directory_with_foreign_files_is_not_replaced() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    let replace = || replace_directory(&RealFs, &path, &[OWNED], fill("new")).unwrap_err();
    fs::create_dir_all(path.join("sub")).unwrap();
    let found = |error| match error {
        AtomicError::Foreign { found } => found,
        error => panic!("{error}"),
    };
    assert_eq!(found(replace()), Path::new("sub"), "no mark");
    fs::write(path.join("a"), "my own").unwrap();
    assert_eq!(found(replace()), Path::new("a"), "another mark");
    fs::write(path.join("a"), "mark").unwrap();
    fs::write(path.join("sub/thesis.tex"), "mine").unwrap();
    assert_eq!(found(replace()), Path::new("sub/thesis.tex"));
    assert_eq!(names(&path), ["a", "sub"]);
    assert_eq!(names(home.path()), ["model"]);
}

/// In one line that says what to do.
#[test]
fn what_cannot_be_replaced_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = |name| home.path().join(name);
    fs::write(path("file"), "mine").unwrap();
    fs::create_dir(path("directory")).unwrap();
    symlink("file", path("link")).unwrap();
    fs::write(path("read-only"), "mine").unwrap();
    fs::set_permissions(path("read-only"), fs::Permissions::from_mode(0o444)).unwrap();
    fs::write(path("nothing"), "").unwrap();
    let before = names(home.path());

    let file = |name| write_file(&path(name), |_| Ok(())).unwrap_err().to_string();
    let directory = |name| {
        let error = replace_directory(&RealFs, &path(name), &[OWNED], fill("new")).unwrap_err();
        error.to_string()
    };
    let wording = [
        (file("directory"), "a directory stands here, where a file would be written; save under"),
        (directory("file"), "a file stands here, where a directory would be written; save under"),
        (file("link"), "a symbolic link stands here, where a file would be written; save under"),
        (directory("link"), "a symbolic link stands here, where a directory would be written"),
        (file("read-only"), "the file that stands here is read-only; make it writable or save"),
        (file("missing/model"), "missing` does not exist; create it first"),
        (file("file/model"), "cannot look at the target: "),
        (file(".."), "this path ends in no name"),
    ];
    for (found, expected) in wording {
        assert!(found.contains(expected) && !found.contains('\n'), "{found}");
    }
    assert!(matches!(
        write_file(Path::new("/dev/null"), |_| Ok(())),
        Err(AtomicError::Occupied { found: "device, pipe or the like", .. })
    ));
    // A name alone stands in the directory in which one works; tests work in the crate's.
    assert!(matches!(
        write_file(Path::new("src"), |_| Ok(())),
        Err(AtomicError::Occupied { found: "directory", .. })
    ));
    assert_eq!(names(home.path()), before);
    assert_eq!(fs::read(path("read-only")).unwrap(), b"mine");
}

#[test]
fn where_directories_cannot_be_exchanged_overwriting_is_refused() {
    let fs = SimulatedFs::new(Image::empty(), 4, Trouble::default());
    Form::Directory.save(&fs, "old").unwrap();
    let image = fs.image();
    let refused = (0..).find_map(|call| {
        let trouble = Trouble { fail: Some((call, Errno::INVAL)), ..Trouble::default() };
        let fs = SimulatedFs::new(image.clone(), 4, trouble);
        let refused =
            matches!(Form::Directory.save(&fs, "new"), Err(AtomicError::NoExchange { .. }));
        refused.then_some(fs)
    });
    let fs = refused.unwrap();
    assert_eq!(Form::Directory.load(&fs).as_deref(), Some("old"));
    assert_eq!(fs.image().names().collect::<Vec<_>>(), ["model"]);
}

/// Another saver can be first to put something where nothing stood.
#[test]
fn a_directory_that_appears_meanwhile_is_exchanged() {
    let fs = SimulatedFs::new(Image::empty(), 4, Trouble::default());
    replace_directory(&fs, Path::new("model"), &[OWNED], |contents| {
        Form::Directory.save(&fs, "theirs").unwrap();
        fill("ours")(contents)
    })
    .unwrap();
    assert_eq!(Form::Directory.load(&fs).as_deref(), Some("ours"));
    assert_eq!(fs.image().names().collect::<Vec<_>>(), ["model"]);
}

#[test]
fn the_simulation_renames_as_the_system_does() {
    let home = tempfile::tempdir().unwrap();
    let real = RealFs.open_path(home.path()).unwrap();
    let simulated = SimulatedFs::new(Image::empty(), 4, Trouble::default());
    let root = simulated.open_path(Path::new(".")).unwrap();
    fn run<F: Fs>(fs: &F, root: &F::File) -> Vec<Result<(), io::ErrorKind>> {
        let [a, b, c] = ["a", "b", "c"].map(OsStr::new);
        let make = |name| fs.create_directory(root, name);
        let rename = |from, to, how| fs.rename(root, from, to, how);
        let calls = [
            make(a),
            make(a),
            rename(a, b, Rename::New),
            make(a),
            rename(a, b, Rename::New),
            rename(a, c, Rename::Exchange),
            rename(a, b, Rename::Exchange),
            fs.create_file(root, c).map(drop),
            fs.create_file(root, c).map(drop),
            fs.remove_file(root, a),
            fs.remove_directory(root, c),
            fs.remove_file(root, c),
            fs.remove_file(root, c),
            fs.remove_directory(root, a),
            fs.open(root, a).map(drop),
            fs.stat_name(root, a).map(drop),
        ];
        calls.map(|call| call.map_err(|error| error.kind())).into()
    }
    assert_eq!(run(&simulated, &root), run(&RealFs, &real));
    let list = |names: Vec<_>| names.into_iter().collect::<io::Result<Vec<_>>>().unwrap();
    assert_eq!(
        list(simulated.names(&root).unwrap().collect()),
        list(RealFs.names(&real).unwrap().collect())
    );
}
