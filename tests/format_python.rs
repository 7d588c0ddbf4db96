//! A reader in another language, written from `docs/FORMAT.md` and `docs/DIRECTORY.md` alone
//! (`tests/format_reader/read.py`), reads what keepnet writes and refuses what is damaged.
//!
//! It needs a Python with NumPy: the one that the environment variable `KEEPNET_PYTHON` names, or else
//! `python3`. Without the variable, where there is none, the tests say so and pass; with it, as in
//! `.ci/run`, they fail.

mod format_support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use format_support::container::Container;
use format_support::newer::{newer_schema, with_tensor_of};
use format_support::refusal::{edit, files, hexadecimal, saved};
use format_support::{checkpoints, small};
use keepnet::format::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;

/// The Python to run, if there is one with NumPy.
fn python() -> Option<String> {
    let asked = std::env::var("KEEPNET_PYTHON").ok();
    let python = asked.clone().unwrap_or_else(|| "python3".to_owned());
    let has_numpy = Command::new(&python).args(["-c", "import numpy"]).output();
    if has_numpy.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(asked.is_none(), "KEEPNET_PYTHON={python} is no Python with NumPy");
    println!("passed over: {python} is no Python with NumPy");
    None
}

/// What the reader says of each of `paths`.
fn read(python: &str, paths: &[PathBuf]) -> BTreeMap<String, Value> {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format_reader/read.py");
    let output =
        Command::new(python).arg("-B").arg(reader).arg("--json").args(paths).output().unwrap();
    let answers: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let refused = answers.values().any(|answer| answer.get("refused").is_some());
    assert_eq!(output.status.code(), Some(i32::from(refused)));
    assert_eq!(answers.len(), paths.len());
    answers
}

/// Whether the reader found at `path` what keepnet finds there.
#[track_caller]
fn assert_agrees(answer: &Value, path: &Path) {
    assert!(answer.get("refused").is_none(), "{}: {}", path.display(), answer["refused"]);
    let (checkpoint, inspection) = load_and_inspect(path, &Limits::default()).unwrap();
    let tensors = answer["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), inspection.tensors.len());
    for (found, expected) in tensors.iter().zip(&inspection.tensors) {
        assert_eq!(found["name"], expected.name);
        assert_eq!(found["role"], serde_json::to_value(expected.role).unwrap());
        assert_eq!(found["dtype"], expected.dtype);
        assert_eq!(found["shape"], serde_json::json!(expected.shape));
        assert_eq!(found["sha256"], expected.sha256.to_string());
    }
    assert_eq!(answer["metadata"], serde_json::json!(checkpoint.metadata));
    assert_eq!(answer["architecture"]["name"], checkpoint.graph.name());
    let layers = answer["architecture"]["layers"].as_array().unwrap();
    let names: Vec<_> = checkpoint.graph.layers().iter().map(|layer| layer.name.as_str()).collect();
    let found: Vec<_> = layers.iter().map(|layer| layer["name"].as_str().unwrap()).collect();
    assert_eq!(found, names);
    assert_eq!(answer["skipped"], serde_json::json!(inspection.skipped));
}

#[test]
fn it_reads_what_keepnet_writes() {
    let Some(python) = python() else { return };
    let home = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    let random = checkpoints();
    let random = (0..60).map(|_| random.new_tree(&mut runner).unwrap().current());
    let bare = SaveOptions::weights_only().apply(small());
    let mut paths = Vec::new();
    for (number, checkpoint) in [small(), bare].into_iter().chain(random).enumerate() {
        let file = home.path().join(format!("{number}.knet"));
        fs::write(&file, to_bytes(&checkpoint).unwrap()).unwrap();
        paths.push(file);
        if number < 30 {
            let directory = home.path().join(number.to_string());
            save(&checkpoint, &directory, Format::Directory).unwrap();
            paths.push(directory);
        }
    }
    // A section of a newer minor version.
    let mut newer = Container::take_apart(&to_bytes(&small()).unwrap());
    newer.version = [1, 3, 0];
    newer.sections.insert(2, format_support::container::Section::new("thumbnail", false, b"!"));
    let mut later = vec![newer.put_together(), with_tensor_of("ema").put_together()];
    later.extend(["compile", "optimizer", "training", "history", "proof"].map(newer_schema));
    for (number, bytes) in later.into_iter().enumerate() {
        let file = home.path().join(format!("newer-{number}.knet"));
        fs::write(&file, bytes).unwrap();
        paths.push(file);
    }

    let answers = read(&python, &paths);
    println!("{} models", paths.len());
    for path in paths {
        assert_agrees(&answers[path.to_str().unwrap()], &path);
    }
}

#[test]
fn it_reads_the_golden_files() {
    let Some(python) = python() else { return };
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let entries = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path());
    let paths: Vec<_> = entries
        .filter(|path| path.is_dir() || path.extension().is_some_and(|ending| ending == "knet"))
        .collect();
    assert!(paths.len() >= 12);
    let answers = read(&python, &paths);
    for path in paths {
        assert_agrees(&answers[path.to_str().unwrap()], &path);
    }
}

#[test]
fn it_refuses_damaged_files() {
    let Some(python) = python() else { return };
    let home = tempfile::tempdir().unwrap();
    let good = to_bytes(&small()).unwrap();
    let mut bad: Vec<(String, Vec<u8>)> = Vec::new();
    for at in (0..good.len()).step_by(13) {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        bad.push((format!("bit of byte {at}"), flipped));
    }
    for length in (0..good.len()).step_by(97) {
        bad.push((format!("cut to {length}"), good[..length].to_vec()));
    }
    for more in [1, 64, 4096] {
        bad.push((format!("{more} more"), [good.clone(), vec![0; more]].concat()));
    }
    // With checksums that agree.
    let container = || Container::take_apart(&good);
    for id in ["architecture", "index", "tensors"] {
        let mut without = container();
        without.sections.retain(|section| section.id != id);
        bad.push((format!("without {id}"), without.put_together()));
    }
    for place in 0..container().sections.len() - 1 {
        let mut swapped = container();
        swapped.sections.swap(place, place + 1);
        bad.push((format!("sections {place} swapped"), swapped.put_together()));
        let mut twice = container();
        twice.sections.insert(place, twice.sections[place].clone());
        bad.push((format!("section {place} twice"), twice.put_together()));
        let mut other = container();
        other.sections[place].critical ^= true;
        bad.push((format!("section {place} with another flag"), other.put_together()));
    }
    for version in [[0, 0, 0], [2, 0, 0], [1, 0, 1], [1, 1, 1]] {
        let other = Container { version, ..container() };
        bad.push((format!("version {version:?}"), other.put_together()));
    }
    for (from, to) in [
        ("\"schema\": 1", "\"schema\": 3"),
        ("\"trainable\": true", "\"trainable\":  true"),
        ("\"kernel_l2\": 0.0", "\"kernel_l2\": 0.00"),
        ("\"name\": \"dense\"", "\"name\": \"dance\""),
        ("\"use_bias\": true", "\"use_bias\": false"),
        ("\"name\": \"conv2d\",", "\"name\": \"x\",\n    \"name\": \"conv2d\","),
    ] {
        bad.push((format!("{to} in it"), container().replacing("architecture", from, to)));
    }
    bad.push(("a hole".into(), container().with("tensors", |section| section.payload[80] = 1)));
    bad.push(("more numbers".into(), container().with("tensors", |s| s.payload.extend([0; 64]))));
    bad.push(("a number".into(), container().with("tensors", |section| section.payload[3] ^= 1)));
    bad.push(("another text".into(), b"loss: 0.25".to_vec()));

    let path = |number: usize| home.path().join(format!("{number}.knet"));
    for (number, (_, bytes)) in bad.iter().enumerate() {
        fs::write(path(number), bytes).unwrap();
    }
    let paths: Vec<_> = (0..bad.len()).map(path).collect();
    let answers = read(&python, &paths);
    println!("{} damaged files", bad.len());
    for (path, (what, _)) in paths.iter().zip(&bad) {
        assert!(answers[path.to_str().unwrap()].get("refused").is_some(), "{what} is taken");
    }
}

#[test]
fn it_refuses_damaged_directories() {
    let Some(python) = python() else { return };
    let mut bad: Vec<(String, tempfile::TempDir, PathBuf)> = Vec::new();
    let mut with = |what: String, change: &dyn Fn(&Path)| {
        let (home, path) = saved();
        change(&path);
        bad.push((what, home, path));
    };
    let (_home, good) = saved();
    for file in files(&good) {
        let name = file.strip_prefix(&good).unwrap();
        let length = fs::read(&file).unwrap().len();
        for at in [0, length / 3, length / 2, length - 1] {
            with(format!("byte {at} of {}", name.display()), &|path| {
                let mut bytes = fs::read(path.join(name)).unwrap();
                bytes[at] ^= 1;
                fs::write(path.join(name), bytes).unwrap();
            });
        }
        with(format!("{} missing", name.display()), &|path| {
            fs::remove_file(path.join(name)).unwrap();
        });
        with(format!("{} cut", name.display()), &|path| {
            fs::write(path.join(name), &fs::read(path.join(name)).unwrap()[..length - 1]).unwrap();
        });
        with(format!("{} a link", name.display()), &|path| {
            let outside = path.parent().unwrap().join("outside");
            fs::rename(path.join(name), &outside).unwrap();
            std::os::unix::fs::symlink(&outside, path.join(name)).unwrap();
        });
    }
    for extra in ["notes.txt", "tensors/x", "extra/x.bin"] {
        with(format!("{extra} more"), &|path| fs::write(path.join(extra), "x").unwrap());
    }
    for (from, to) in [
        ("tensors/0000-conv2d-kernel.npy", "../outside"),
        ("extra/compile.json", "extra/../../compile.json"),
        ("\"minor\": 0", "\"minor\":  0"),
        ("\"major\": 1", "\"major\": 2"),
        ("\"critical\": false", "\"critical\": true"),
        ("\"shape\": [3, 3, 1, 2]", "\"shape\": [3, 3, 2, 1]"),
    ] {
        with(format!("{to} in it"), &|path| edit(path, from, to));
    }
    let paths: Vec<_> = bad.iter().map(|(_, _, path)| path.clone()).collect();
    let answers = read(&python, &paths);
    println!("{} damaged directories", bad.len());
    for (what, _, path) in &bad {
        assert!(answers[path.to_str().unwrap()].get("refused").is_some(), "{what} is taken");
    }
}

/// The reader's checksum is that of the document.
#[test]
fn it_knows_the_checksum() {
    let Some(python) = python() else { return };
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format_reader");
    let program = "import read; print('%08x' % read.crc32c(b'123456789'))";
    let output = Command::new(&python).args(["-B", "-c", program]).current_dir(home).output();
    assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap().trim(), "e3069283");
    assert_eq!(hexadecimal(&crc32c::crc32c(b"123456789").to_be_bytes()), "e3069283");
}
