//! The directory form is read with containment, and every change in it shows. Tests of single
//! rules are named after their number in docs/DIRECTORY.md.

mod format_support;

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

use format_support::container::sha256;
use format_support::small;
use keepnet::format::*;
use tempfile::TempDir;

fn saved() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    save(&small(), &path, Format::Directory).unwrap();
    (home, path)
}

fn read(path: &Path) -> Result<(), FormatError> {
    load(path, &Limits::default()).map(drop)
}

/// The words with which the directory is refused as damaged.
#[track_caller]
fn damage(path: &Path, parts: &[&str]) {
    let error = read(path).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    assert_says(&error.to_string(), parts);
}

#[track_caller]
fn assert_says(words: &str, parts: &[&str]) {
    for part in parts {
        assert!(words.contains(part), "{part:?} is not in: {words}");
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

/// The manifest with a change, sealed again.
fn edit(path: &Path, from: &str, to: &str) {
    let manifest = path.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let (body, _) = text
        .split_once(",\n  \"sha256\": \"")
        .map_or_else(|| panic!("no digest"), |_| text.rsplit_once(",\n  \"sha256\": \"").unwrap());
    assert!(body.contains(from), "{from} is not in\n{body}");
    let body = body.replacen(from, to, 1);
    let digest: String = sha256(body.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
    fs::write(manifest, format!("{body},\n  \"sha256\": \"{digest}\"\n}}\n")).unwrap();
}

#[test]
fn every_changed_byte_of_every_file_is_refused() {
    let (_home, path) = saved();
    read(&path).unwrap();
    for file in files(&path) {
        let good = fs::read(&file).unwrap();
        // Changed in place: truncating a file makes some file systems flush it each time.
        let handle = fs::OpenOptions::new().write(true).open(&file).unwrap();
        for (at, &byte) in good.iter().enumerate() {
            for change in [1 << (at % 8), 0xFF] {
                handle.write_all_at(&[byte ^ change], at as u64).unwrap();
                assert!(read(&path).is_err(), "{} byte {at} xor {change:02x}", file.display());
            }
            handle.write_all_at(&[byte], at as u64).unwrap();
        }
        for length in (0..good.len()).rev().step_by(7) {
            handle.set_len(length as u64).unwrap();
            assert!(read(&path).is_err(), "{} cut to {length}", file.display());
        }
        handle.write_all_at(&[good.as_slice(), b"\n"].concat(), 0).unwrap();
        assert!(read(&path).is_err(), "{} with a byte more", file.display());
        handle.set_len(good.len() as u64).unwrap();
    }
    read(&path).unwrap();
}

#[test]
fn d1_the_manifest() {
    let (_home, path) = saved();
    let text = fs::read(path.join("manifest.json")).unwrap();
    fs::write(path.join("manifest.json"), &text[..text.len() - 1]).unwrap();
    damage(&path, &["manifest.json", "cut short"]);
    fs::write(path.join("manifest.json"), "{\"name\": \"my app\"}").unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error.cause(), FormatError::OtherKind { .. }), "{error}");
    fs::remove_file(path.join("manifest.json")).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error.cause(), FormatError::OtherKind { .. }), "{error}");
}

#[test]
fn d2_versions_and_schemas() {
    for (from, to, words) in [
        ("\"major\": 1", "\"major\": 2", "version 2"),
        ("\"major\": 1,", "\"major\": 2,\n    \"patch\": 1,", "version 2"),
        ("\"least_reader_minor\": 0", "\"least_reader_minor\": 1", "version"),
        ("\"schema\": 1", "\"schema\": 2", "schema"),
    ] {
        let (_home, path) = saved();
        edit(&path, "\"minor\": 0", "\"minor\": 1");
        edit(&path, from, to);
        let error = read(&path).unwrap_err();
        assert!(matches!(error.cause(), FormatError::Version { .. }), "{error}");
        assert_says(&error.to_string(), &[words, "newer keepnet"]);
    }
    let (_home, path) = saved();
    edit(&path, "\"minor\": 0", "\"minor\": 1");
    read(&path).unwrap();
}

#[test]
fn d3_the_manifest_is_canonical() {
    for (from, to) in [
        ("\"minor\": 0", "\"minor\":  0"),
        ("\"minor\": 0", "\"minor\": 0,\n    \"minor\": 0"),
        ("\"minor\": 0", "\"minor\": 0,\n    \"more\": 0"),
        ("\"tensors\": [", "\"tensors\": [ "),
    ] {
        let (_home, path) = saved();
        edit(&path, from, to);
        damage(&path, &["manifest.json", "JSON"]);
    }
}

#[test]
fn d4_no_path_is_taken_from_the_manifest() {
    for (from, to, words) in [
        ("tensors/0000-conv2d-kernel.npy", "../../../etc/passwd", "should be tensors/0000-conv2d"),
        ("tensors/0000-conv2d-kernel.npy", "/etc/passwd", "should be tensors/0000-conv2d"),
        ("tensors/0000-conv2d-kernel.npy", "tensors/0001-conv2d-bias.npy", "should be tensors/0"),
        ("extra/compile.json", "extra/../../compile.json", "does not stand in the file"),
        ("\"section\": \"compile\"", "\"section\": \"../compile\"", "no section can have"),
        ("\"section\": \"compile\"", "\"section\": \"index\"", "does not stand in the file"),
    ] {
        let (_home, path) = saved();
        edit(&path, from, to);
        damage(&path, &["manifest.json", words]);
    }
}

#[test]
fn d5_nothing_else_is_in_the_directory() {
    for extra in ["notes.txt", "tensors/x", "tensors/0000-conv2d-kernel.npy~", "extra/x.bin", ".x"]
    {
        let (_home, path) = saved();
        fs::write(path.join(extra), "x").unwrap();
        damage(&path, &[extra, "the manifest does not name it"]);
    }
    let (_home, path) = saved();
    fs::create_dir(path.join("code")).unwrap();
    damage(&path, &["code", "the manifest does not name it"]);
    for missing in ["tensors/0000-conv2d-kernel.npy", "extra/history.bin"] {
        let (_home, path) = saved();
        fs::remove_file(path.join(missing)).unwrap();
        damage(&path, &[missing, "missing"]);
    }
}

#[test]
fn d6_links_and_special_files() {
    for name in ["manifest.json", "tensors/0000-conv2d-kernel.npy", "extra/history.bin"] {
        let (home, path) = saved();
        let (inside, outside) = (path.join(name), home.path().join("outside"));
        fs::rename(&inside, &outside).unwrap();
        symlink(&outside, &inside).unwrap();
        damage(&path, &[name, "symbolic link"]);
        fs::remove_file(&inside).unwrap();
        fs::hard_link(&outside, &inside).unwrap();
        damage(&path, &[name, "hard link"]);
        fs::remove_file(&inside).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &inside,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        damage(&path, &[name, "no regular file"]);
    }
    for name in ["tensors", "extra"] {
        let (home, path) = saved();
        let outside = home.path().join("outside");
        fs::rename(path.join(name), &outside).unwrap();
        symlink(&outside, path.join(name)).unwrap();
        damage(&path, &[name]);
    }
}

#[test]
fn no_link_is_replaced_by_a_directory() {
    let (home, path) = saved();
    let link = home.path().join("link");
    symlink(&path, &link).unwrap();
    let error = save(&small(), &link, Format::Directory).unwrap_err();
    assert_says(&error.to_string(), &["link", "symbolic link"]);
    assert!(link.is_symlink());
    read(&path).unwrap();
}

#[test]
fn d7_arrays_are_those_of_numpy() {
    let (_home, path) = saved();
    let array = fs::read(path.join("tensors/0000-conv2d-kernel.npy")).unwrap();
    let text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 1, 2), }";
    assert_eq!(array[..10], *b"\x93NUMPY\x01\x00\x76\x00");
    assert_eq!(array[10..10 + text.len()], *text);
    assert_eq!(array[128..], *small().tensors[0].tensor.bytes());
    // Another shape of as many numbers, with digests that agree.
    let mut names: Vec<_> = files(&path.join("tensors"))
        .into_iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names.first().unwrap(), "0000-conv2d-kernel.npy");
    assert_eq!(names[4], "0004-momentum-conv2d-kernel.npy");
    assert_eq!(names.last().unwrap(), "0012-proof-dense.npy");
    let mut bad = array;
    bad[10 + 54..10 + 55].copy_from_slice(b"1");
    fs::write(path.join("tensors/0000-conv2d-kernel.npy"), &bad).unwrap();
    damage(&path, &["tensors/0000-conv2d-kernel.npy", "the header of the array"]);
}

#[test]
fn d7_both_digests_of_an_array() {
    let array = |path: &Path| inspect(path).unwrap().tensors[0].clone();
    let (_home, path) = saved();
    let numbers = array(&path).sha256.to_string();
    edit(&path, &numbers, &"0".repeat(64));
    damage(&path, &["tensors/0000", "SHA-256 of the numbers", "00000", &numbers]);
    let (_home, path) = saved();
    let file = fs::read(path.join(array(&path).file.unwrap())).unwrap();
    let whole: String = sha256(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    edit(&path, &whole, &"0".repeat(64));
    damage(&path, &["tensors/0000", "SHA-256 of the file", "00000", &whole]);
}

#[test]
fn d8_sections_of_newer_versions() {
    let entry = "{
    \"file\": \"extra/thumbnail.bin\",
    \"section\": \"thumbnail\",
    \"critical\": false,
    \"length\": 1,
    \"sha256\": \"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\"
  }, {
    \"file\": \"extra/compile.json\"";
    let (home, path) = saved();
    fs::write(path.join("extra/thumbnail.bin"), "x").unwrap();
    edit(&path, "{\n    \"file\": \"extra/compile.json\"", entry);
    read(&path).unwrap();
    assert_eq!(inspect(&path).unwrap().skipped, ["thumbnail"]);
    let error = pack(&path, &home.path().join("packed.knet")).unwrap_err();
    assert_says(&error.to_string(), &["thumbnail", "would be lost"]);
    edit(&path, "\"critical\": false", "\"critical\": true");
    let error = read(&path).unwrap_err();
    assert!(matches!(error.cause(), FormatError::UnknownSection { .. }), "{error}");
}

#[test]
fn d9_lengths_are_checked_before_memory_is_taken() {
    for (from, to) in [
        ("\"length\": 32", "\"length\": 1152921504606846976"),
        ("\"units\": 2", "\"units\": 100000000000"),
    ] {
        let (_home, path) = saved();
        edit(&path, from, to);
        assert!(read(&path).is_err());
    }
    let (_home, path) = saved();
    let error = load(&path, &Limits { text: 100, ..Limits::default() }).unwrap_err();
    assert_says(&error.to_string(), &["the manifest takes", "Limits::text"]);
    let error = load(&path, &Limits { memory: 1 << 10, ..Limits::default() }).unwrap_err();
    assert!(!error.is_corrupt());
    assert_says(&error.to_string(), &["Limits::memory"]);
}
