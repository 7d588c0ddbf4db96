//! DIRECTORY.md, chapters 2 and 3: files and writing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use keepnet::format::*;
use keepnet::{Checkpoint, DType, NamedTensor, Tensor};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::format_support::container::{Container, sha256};
use crate::format_support::refusal::{
    assert_damaged, assert_says, bytes, container, directory_error, edit, files, hexadecimal, saved,
};
use crate::format_support::{assert_same_bits, small};

pub(crate) fn manifest(path: &Path) -> String {
    fs::read_to_string(path.join("manifest.json")).unwrap()
}

/// The manifest as JSON.
pub(crate) fn members(path: &Path) -> serde_json::Value {
    serde_json::from_str(&manifest(path)).unwrap()
}

pub(crate) fn load_it(path: &Path) {
    assert_same_bits(&load(path, &Limits::default()).unwrap(), &small());
}

/// A fresh copy of the small model whose manifest has been changed and sealed again is refused as
/// damaged.
#[track_caller]
pub(crate) fn refused(from: &str, to: &str, parts: &[&str]) {
    let (_home, path) = saved();
    edit(&path, from, to);
    assert_damaged(&path, &["manifest.json"]);
    assert_damaged(&path, parts);
}

#[test]
fn d_5_files_of_tensors() {
    let (_home, path) = saved();
    let mut names: Vec<_> = files(&path.join("tensors"))
        .into_iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    let (parameters, slots) = (
        ["conv2d-kernel", "conv2d-bias", "dense-kernel", "dense-bias"],
        ["momentum-", "velocity-"],
    );
    let expected = (parameters.iter().map(|name| name.to_string()))
        .chain(slots.iter().flat_map(|slot| parameters.map(|name| format!("{slot}{name}"))))
        .chain(["proof-dense".to_owned()]);
    let expected: Vec<_> =
        expected.enumerate().map(|(number, name)| format!("{number:04}-{name}.npy")).collect();
    assert_eq!(names, expected);
    // Cut after 64 characters, not bytes; what is no letter, digit or `_` becomes `-`.
    let graph = keepnet::Sequential::new([2]).named(
        &format!("ü/..\\\"{}", "é".repeat(70)),
        keepnet::LayerSpec::BatchNormalization(keepnet::BatchNormalization::default()),
    );
    let home = tempfile::tempdir().unwrap();
    let odd = home.path().join("odd");
    graph.build(0).unwrap().save(&odd).unwrap();
    let name = format!("tensors/0000-{}.npy", "-".repeat(64));
    assert!(odd.join(name).is_file(), "{:?}", files(&odd));

    let tensor = "tensors/0000-conv2d-kernel.npy";
    for other in [
        "../../../etc/passwd",
        "/etc/passwd",
        "tensors/0001-conv2d-bias.npy",
        "tensors/../tensors/0000-conv2d-kernel.npy",
        "tensors/0-conv2d-kernel.npy",
        "",
    ] {
        refused(tensor, other, &["should be tensors/0000-conv2d"]);
    }
}

#[test]
fn d_6_files_of_sections() {
    let (_home, path) = saved();
    for entry in members(&path)["extra"].as_array().unwrap() {
        let id = entry["section"].as_str().unwrap();
        let file = entry["file"].as_str().unwrap();
        assert_eq!(file, format!("extra/{id}.json"));
        assert!(path.join(file).is_file());
    }
    for (from, to, words) in [
        ("extra/compile.json", "extra/../../compile.json", "does not stand in the file"),
        ("extra/compile.json", "extra/compile.bin", "does not stand in the file"),
        ("extra/compile.json", "/etc/passwd", "does not stand in the file"),
        ("\"section\": \"compile\"", "\"section\": \"../compile\"", "no section can have"),
        ("\"section\": \"compile\"", "\"section\": \"\"", "no section can have"),
        ("\"section\": \"compile\"", "\"section\": \"Compile\"", "no section can have"),
    ] {
        refused(from, to, &[words]);
    }
}

#[test]
fn d_7_all_files_are_there() {
    let (_home, path) = saved();
    let found: Vec<_> = files(&path);
    let members = members(&path);
    let listed =
        members["tensors"].as_array().unwrap().len() + members["extra"].as_array().unwrap().len();
    assert_eq!(found.len(), listed + 1);
    for file in found {
        if file.ends_with("manifest.json") {
            continue;
        }
        let (_home, copy) = saved();
        let name = file.strip_prefix(&path).unwrap();
        fs::remove_file(copy.join(name)).unwrap();
        assert_damaged(&copy, &[name.to_str().unwrap(), "missing"]);
    }
    for name in ["tensors", "extra"] {
        let (_home, copy) = saved();
        fs::remove_dir_all(copy.join(name)).unwrap();
        assert_damaged(&copy, &[name, "missing"]);
    }
    // Without tensors and sections there are no directories for them.
    let home = tempfile::tempdir().unwrap();
    let bare = home.path().join("bare");
    let model = keepnet::Sequential::new([4]).flatten().build(0).unwrap();
    model.save_with(&bare, SaveOptions::weights_only()).unwrap();
    assert_eq!(fs::read_dir(&bare).unwrap().count(), 1);
    load(&bare, &Limits::default()).unwrap();
}

#[test]
fn d_8_nothing_else_is_in_the_directory() {
    for extra in ["notes.txt", "tensors/x", "tensors/0000-conv2d-kernel.npy~", "extra/x.bin", ".x"]
    {
        let (_home, path) = saved();
        fs::write(path.join(extra), "x").unwrap();
        assert_damaged(&path, &[extra, "the manifest does not name it"]);
    }
    for extra in ["code", "tensors/more"] {
        let (_home, path) = saved();
        fs::create_dir(path.join(extra)).unwrap();
        assert_damaged(&path, &[extra, "the manifest does not name it"]);
    }
}

const OF_EACH_KIND: [&str; 3] =
    ["manifest.json", "tensors/0000-conv2d-kernel.npy", "extra/history.json"];

#[test]
fn d_9_files_are_regular_and_have_one_name() {
    let (_home, path) = saved();
    for file in files(&path) {
        let metadata = fs::symlink_metadata(&file).unwrap();
        assert!(metadata.is_file() && std::os::unix::fs::MetadataExt::nlink(&metadata) == 1);
    }
    for name in OF_EACH_KIND {
        let (home, path) = saved();
        let (inside, outside) = (path.join(name), home.path().join("outside"));
        fs::rename(&inside, &outside).unwrap();
        symlink(&outside, &inside).unwrap();
        assert_damaged(&path, &[name, "symbolic link"]);
        fs::remove_file(&inside).unwrap();
        fs::hard_link(&outside, &inside).unwrap();
        assert_damaged(&path, &[name, "hard link"]);
        fs::remove_file(&inside).unwrap();
        let make = |kind| mknodat(CWD, &inside, kind, Mode::RUSR, 0).unwrap();
        make(FileType::Fifo);
        assert_damaged(&path, &[name, "no regular file"]);
        fs::remove_file(&inside).unwrap();
        // It cannot even be opened.
        make(FileType::Socket);
        let error = directory_error(&path);
        assert!(matches!(error.cause(), FormatError::Io { .. }), "{error}");
    }
}

#[test]
fn d_10_directories_are_true() {
    for name in ["tensors", "extra"] {
        let (home, path) = saved();
        assert!(fs::symlink_metadata(path.join(name)).unwrap().is_dir());
        let outside = home.path().join("outside");
        fs::rename(path.join(name), &outside).unwrap();
        symlink(&outside, path.join(name)).unwrap();
        assert_damaged(&path, &[name]);
        fs::remove_file(path.join(name)).unwrap();
        fs::write(path.join(name), "x").unwrap();
        assert_damaged(&path, &[name]);
    }
    // The path of the user may lead through links.
    let (home, path) = saved();
    symlink(&path, home.path().join("link")).unwrap();
    load_it(&home.path().join("link"));
}

#[test]
fn d_11_tensors_are_those_called_for() {
    let (_home, path) = saved();
    let tensors = members(&path)["tensors"].clone();
    let first = &tensors[0];
    let described = (&first["role"], &first["name"], &first["dtype"], &first["shape"]);
    let shape = serde_json::json!([3, 3, 1, 2]);
    let expected = (&"parameter".into(), &"conv2d/kernel".into(), &"float32".into(), &shape);
    assert_eq!(described, expected);
    assert_eq!(tensors[8]["role"], serde_json::json!({"slot": 1}));
    assert_eq!(tensors[12]["role"], "proof_output");
    for (from, to, words) in [
        ("\"name\": \"conv2d/kernel\"", "\"name\": \"conv2d/core\"", "conv2d/core"),
        ("\"role\": \"parameter\"", "\"role\": \"proof_output\"", "proof's output"),
        ("\"shape\": [3, 3, 1, 2]", "\"shape\": [3, 3, 2, 1]", "3×3×2×1"),
        ("\"dtype\": \"float32\"", "\"dtype\": \"float\"", "element type"),
        ("\"units\": 2", "\"units\": 3", "8×3"),
    ] {
        refused(from, to, &[words]);
    }
    let text = manifest(&path);
    let entry = text.find("{\n    \"file\": \"tensors/0000").unwrap();
    let next = text.find("{\n    \"file\": \"tensors/0001").unwrap();
    refused(&text[entry..next], "", &["conv2d/kernel"]);
}

#[test]
fn d_12_headers_of_arrays() {
    let (_home, path) = saved();
    let array = fs::read(path.join("tensors/0000-conv2d-kernel.npy")).unwrap();
    let text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 1, 2), }";
    assert_eq!(array[..10], *b"\x93NUMPY\x01\x00\x76\x00");
    assert_eq!(array[10..10 + text.len()], *text);
    assert!(array[10 + text.len()..127].iter().all(|&byte| byte == b' '));
    assert_eq!(array[127], b'\n');
    for (dtype, descr) in DType::ALL.into_iter().zip([
        "<f2", "|V2", "<f4", "<f8", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "|b1",
    ]) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model");
        let mut checkpoint = small();
        let tensor = Tensor::new(dtype, [2], vec![1; 2 * dtype.size()]).unwrap();
        checkpoint.tensors[1] = NamedTensor::new("conv2d/bias", tensor);
        save(&checkpoint, &path, Format::Directory).unwrap();
        let array = fs::read(path.join("tensors/0001-conv2d-bias.npy")).unwrap();
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}");
        assert_eq!(array[10..10 + text.len()], *text.as_bytes());
        assert_same_bits(&load(&path, &Limits::default()).unwrap(), &checkpoint);
    }
    // Another shape of as many numbers, another version, another space.
    for (at, byte) in [(10 + 54, b'1'), (6, 2), (100, b'\t'), (12, b'D')] {
        let mut bad = array.clone();
        bad[at] = byte;
        fs::write(path.join("tensors/0000-conv2d-kernel.npy"), &bad).unwrap();
        let parts = ["tensors/0000-conv2d-kernel.npy", "the header of the array"];
        assert_damaged(&path, &parts);
    }
}

#[test]
fn d_13_numbers_of_arrays() {
    let (_home, path) = saved();
    let name = "tensors/0000-conv2d-kernel.npy";
    let array = fs::read(path.join(name)).unwrap();
    assert_eq!(array[128..], *small().tensors[0].tensor.bytes());
    fs::write(path.join(name), [array.as_slice(), &[0; 3]].concat()).unwrap();
    assert_damaged(&path, &[name, "goes on for 3 bytes"]);
    for length in [array.len() - 1, 128, 127, 0] {
        fs::write(path.join(name), &array[..length]).unwrap();
        let lengths = format!("takes {} bytes, {length} are left", array.len());
        assert_damaged(&path, &[name, "cut short", &lengths]);
    }
}

#[test]
fn d_14_digests_of_arrays() {
    let array = |path: &Path| inspect(path).unwrap().tensors[0].clone();
    let (_home, path) = saved();
    let file = fs::read(path.join(array(&path).file.unwrap())).unwrap();
    let (numbers, whole) = (hexadecimal(&sha256(&file[128..])), hexadecimal(&sha256(&file)));
    let entry = &members(&path)["tensors"][0];
    assert_eq!(entry["sha256"], numbers.as_str());
    assert_eq!(entry["file_sha256"], whole.as_str());
    let wrong = "0".repeat(64);
    for (digest, what) in [(&numbers, "the numbers"), (&whole, "the file")] {
        let (_home, path) = saved();
        edit(&path, digest, &wrong);
        let what = format!("SHA-256 of {what}");
        assert_damaged(&path, &["tensors/0000", &what, &wrong, digest]);
        for other in [&digest.to_uppercase(), &digest[1..]] {
            refused(digest, other, &["JSON"]);
        }
    }
}

#[test]
fn d_15_sections_that_are_listed() {
    let (_home, path) = saved();
    let extra = members(&path)["extra"].clone();
    let ids: Vec<_> =
        extra.as_array().unwrap().iter().map(|entry| entry["section"].as_str().unwrap()).collect();
    let all = Container::take_apart(&bytes()).sections;
    let inner: Vec<_> = all[1..all.len() - 2].iter().map(|section| section.id.as_str()).collect();
    assert_eq!(ids, inner);
    assert!(extra.as_array().unwrap().iter().all(|entry| entry["critical"] == false));
    for id in ["architecture", "index", "tensors"] {
        let from = "\"file\": \"extra/compile.json\",\n    \"section\": \"compile\"";
        let file = if id == "architecture" { "architecture.json" } else { &format!("{id}.bin") };
        let to = format!("\"file\": \"extra/{file}\",\n    \"section\": \"{id}\"");
        refused(from, &to, &[id, "belongs into the manifest"]);
    }
    refused("\"critical\": false", "\"critical\": true", &["wrong critical flag"]);
    let text = manifest(&path);
    let start = text.find("{\n    \"file\": \"extra/compile.json").unwrap();
    let end = text.find("{\n    \"file\": \"extra/optimizer.json").unwrap();
    let after = text[end..].find("\n  }, ").unwrap() + end + "\n  }, ".len();
    let (first, second) = (&text[start..end], &text[end..after]);
    let (both, swapped) = (format!("{first}{second}"), format!("{second}{first}"));
    refused(&both, &swapped, &["out of order"]);
    refused(&both, &format!("{first}{first}{second}"), &["stands twice"]);
}

/// Gives a file of `extra/` another content, with every digest right.
pub(crate) fn replace(path: &Path, name: &str, content: &[u8]) {
    let good = fs::read(path.join(name)).unwrap();
    fs::write(path.join(name), content).unwrap();
    edit(path, &hexadecimal(&sha256(&good)), &hexadecimal(&sha256(content)));
    let before = manifest(path);
    let (_, rest) = before.split_once(&format!("\"{name}\"")).unwrap();
    let (member, _) = rest.split_once(",\n    \"sha256\"").unwrap();
    let length = good.len().to_string();
    let other = member.replace(&length, &content.len().to_string());
    edit(path, &format!("\"{name}\"{member}"), &format!("\"{name}\"{other}"));
}

#[test]
fn d_16_contents_are_those_of_the_file_form() {
    let (_home, path) = saved();
    for section in container().sections {
        let file = |ending: &str| path.join(format!("extra/{}.{ending}", section.id));
        let content = fs::read(file("json")).or_else(|_| fs::read(file("bin")));
        if let Ok(content) = content {
            assert!(content == section.payload, "{}", section.id);
        }
    }
    // Their rules apply, with every digest right.
    let replaced = |name: &str, content: &[u8], parts: &[&str]| {
        let (_home, path) = saved();
        replace(&path, name, content);
        assert_damaged(&path, parts);
    };
    replaced("extra/metadata.json", b"{}\n", &["metadata", "holds nothing"]);
    replaced("extra/metadata.json", b"{ }\n", &["metadata", "canonical"]);
    replaced("extra/history.json", b"[]", &["history", "cannot be understood"]);
    replaced("extra/proof.json", b"{}\n", &["proof", "missing field"]);
    refused("\"filters\": 2", "\"filters\": 0", &["filters"]);
}

#[test]
fn d_17_lengths_and_digests_of_sections() {
    let (_home, path) = saved();
    for entry in members(&path)["extra"].as_array().unwrap() {
        let content = fs::read(path.join(entry["file"].as_str().unwrap())).unwrap();
        assert_eq!(entry["length"], content.len());
        assert_eq!(entry["sha256"], hexadecimal(&sha256(&content)).as_str());
    }
    let name = "extra/history.json";
    let good = fs::read(path.join(name)).unwrap();
    let with = |content: &[u8], parts: &[&str]| {
        fs::write(path.join(name), content).unwrap();
        assert_damaged(&path, &[name]);
        assert_damaged(&path, parts);
    };
    with(&good[1..], &["cut short"]);
    with(&[good.as_slice(), b"xyz"].concat(), &["goes on for 3 bytes"]);
    with(&good.iter().map(|byte| byte ^ 1).collect::<Vec<_>>(), &["SHA-256 of the file"]);
}

#[test]
fn d_18_sections_of_newer_versions() {
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
    let passed_over = vec!["thumbnail".to_owned()];
    let expected = Checkpoint { passed_over, ..small() };
    assert_same_bits(&load(&path, &Limits::default()).unwrap(), &expected);
    assert_eq!(inspect(&path).unwrap().skipped, ["thumbnail"]);
    let error = pack(&path, &home.path().join("packed.knet")).unwrap_err();
    assert_says(&error.to_string(), &["thumbnail", "would be lost"]);
    edit(&path, "\"critical\": false", "\"critical\": true");
    let error = directory_error(&path);
    assert!(matches!(error.cause(), FormatError::UnknownSection { .. }), "{error}");
    let (_home, path) = saved();
    fs::write(path.join("extra/thumbnail.bin"), "y").unwrap();
    edit(&path, "{\n    \"file\": \"extra/compile.json\"", entry);
    assert_damaged(&path, &["extra/thumbnail.bin", "SHA-256"]);
}

#[test]
fn d_19_lengths_are_compared_before_memory_is_taken() {
    let history = "\"section\": \"history\",\n    \"critical\": false,\n    \"length\": ";
    for (from, to, damaged) in [
        (history.to_owned(), format!("{history}1152921504606846"), false),
        ("\"units\": 2".to_owned(), "\"units\": 100000000000".to_owned(), false),
        ("\"units\": 2".to_owned(), "\"units\": 100000000".to_owned(), true),
    ] {
        let (_home, path) = saved();
        edit(&path, &from, &to);
        assert_eq!(directory_error(&path).is_corrupt(), damaged, "{to}");
    }
    let (_home, path) = saved();
    let error = load(&path, &Limits { text: 100, tensors: 1, ..Limits::default() }).unwrap_err();
    assert_says(&error.to_string(), &["the manifest takes", "Limits::text"]);
    let error = load(&path, &Limits { memory: 1 << 10, ..Limits::default() }).unwrap_err();
    assert!(!error.is_corrupt());
    assert_says(&error.to_string(), &["Limits::memory"]);
}

#[test]
fn d_20_packing_and_unpacking_are_inverse() {
    let (home, path) = saved();
    let packed = home.path().join("packed.knet");
    pack(&path, &packed).unwrap();
    assert!(fs::read(&packed).unwrap() == bytes());
    let unpacked = home.path().join("unpacked");
    unpack(&packed, &unpacked).unwrap();
    let content = |root: &Path| {
        let mut all: Vec<_> = (files(root).into_iter())
            .map(|file| (file.strip_prefix(root).unwrap().to_owned(), fs::read(&file).unwrap()))
            .collect();
        all.sort();
        all
    };
    assert!(content(&unpacked) == content(&path));
}

#[test]
fn d_21_only_models_are_replaced() {
    let (_home, path) = saved();
    let bare = || SaveOptions::weights_only().apply(small());
    save(&bare(), &path, Format::Directory).unwrap();
    assert_same_bits(&load(&path, &Limits::default()).unwrap(), &bare());
    // Damaged, but with nothing else in it.
    fs::write(path.join("tensors/0000-conv2d-kernel.npy"), "x").unwrap();
    save(&small(), &path, Format::Directory).unwrap();
    load_it(&path);
    for name in [
        "notes.txt",
        "tensors/notes.txt",
        "tensors/summer-2026.npy",
        "tensors/007-bond.npy",
        "extra/notes.txt",
        "extra/My.json",
    ] {
        let (_home, path) = saved();
        fs::write(path.join(name), "mine").unwrap();
        let error = save(&bare(), &path, Format::Directory).unwrap_err();
        assert_says(&error.to_string(), &["no part of a saved model", name]);
        assert_eq!(fs::read_to_string(path.join(name)).unwrap(), "mine");
        fs::remove_file(path.join(name)).unwrap();
        load_it(&path);
    }
    let (_home, path) = saved();
    fs::write(path.join("manifest.json"), "{\"name\": \"my app\"}").unwrap();
    assert!(save(&bare(), &path, Format::Directory).is_err());
    assert_eq!(manifest(&path), "{\"name\": \"my app\"}");
}
