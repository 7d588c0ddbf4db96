//! A file that is read, one that is mapped and one in memory are told the same: what is wrong with
//! one of them is wrong with all, in the same words.
#![allow(unsafe_code)] // files are mapped that nobody else knows of

mod format_support;

use std::fs;
use std::path::Path;

use format_support::container::{Container, Section};
use format_support::refusal::{bytes, container};
use format_support::{assert_same_bits, checkpoints, small};
use keepnet::format::*;
use keepnet::{Checkpoint, MappedFile, MappedModel};
use proptest::prelude::*;
use proptest::sample::Index;

/// What is said of `bytes` in memory, which is what is said of them in a file; with the checkpoint
/// from the file.
fn verdict(bytes: &[u8], path: &Path) -> Result<Checkpoint<'static>, String> {
    fs::write(path, bytes).unwrap();
    let in_memory = from_bytes(bytes, &Limits::default());
    let read = load(path, &Limits::default());
    match (in_memory, read) {
        (Ok(in_memory), Ok(read)) => {
            assert_same_bits(&read, &in_memory);
            Ok(read)
        }
        (Err(in_memory), Err(read)) => {
            assert_eq!(read.cause().to_string(), in_memory.to_string());
            assert_eq!(read.is_corrupt(), in_memory.is_corrupt());
            Err(in_memory.to_string())
        }
        (in_memory, read) => panic!("in memory {in_memory:?}, in a file {read:?}"),
    }
}

/// What is said of the mapped file at `path` in the end.
fn mapped(path: &Path) -> Result<(), String> {
    // SAFETY: the file is this test's own.
    let file = unsafe { MappedFile::open(path) }.unwrap();
    let model = MappedModel::new(file).map_err(|error| error.to_string())?;
    model.verify().map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_changed_byte_is_refused_alike() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.knet");
    let mut bytes = bytes();
    assert!(verdict(&bytes, &path).is_ok());
    for at in 0..bytes.len() {
        let good = bytes[at];
        bytes[at] ^= 1 << (at % 8);
        let words = verdict(&bytes, &path).expect_err("a changed byte");
        assert_eq!(mapped(&path), Err(format!("{}: {words}", path.display())), "byte {at}");
        bytes[at] = good;
    }
}

#[test]
fn every_length_is_refused_alike() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.knet");
    let bytes = bytes();
    for length in 0..bytes.len() {
        let words = verdict(&bytes[..length], &path).expect_err("a shorter file");
        assert_eq!(mapped(&path), Err(format!("{}: {words}", path.display())), "{length} bytes");
    }
    for more in [1, 64, 4096] {
        assert!(verdict(&[bytes.as_slice(), &vec![0; more]].concat(), &path).is_err());
    }
}

/// Larger than what is read at once, before the tensors and behind them.
#[test]
fn unknown_sections_are_passed_over_alike() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.knet");
    for place in [0, container().sections.len()] {
        let mut newer = container();
        newer.version = [1, 3, 0];
        newer.sections.insert(place, Section::new("thumbnail", false, &[7; 300_001]));
        let mut file = newer.put_together();
        let passed_over = vec!["thumbnail".to_owned()];
        let expected = Checkpoint { passed_over, ..small() };
        assert_same_bits(&verdict(&file, &path).unwrap(), &expected);
        let at = file.windows(9).position(|window| window == [7; 9]).unwrap();
        file[at + 200_000] ^= 1;
        let words = verdict(&file, &path).unwrap_err();
        assert!(words.contains("section `thumbnail`") && words.contains("CRC-32C"), "{words}");
    }
}

#[test]
fn what_is_no_file_of_a_model_is_refused_with_words() {
    let home = tempfile::tempdir().unwrap();
    let refused = |path: &Path| {
        // SAFETY: nobody else knows the file.
        let opened = unsafe { MappedFile::open(path) };
        opened.map_err(|error| error.to_string()).err().unwrap_or_else(|| mapped(path).unwrap_err())
    };
    let directory = home.path().join("model");
    save(&small(), &directory, Format::Directory).unwrap();
    for (path, content, words) in [
        (directory, None, "`keepnet pack` makes one file"),
        (home.path().join("missing"), None, "cannot map it: No such file"),
        ("/dev/null".into(), None, "not a device"),
        (home.path().join("empty"), Some(b"".as_slice()), "an empty file"),
        (home.path().join("text"), Some(b"conv2d, dense"), "text"),
    ] {
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let found = refused(&path);
        assert!(found.contains(words) && found.contains(path.to_str().unwrap()), "{found}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With checksums that agree, so that everything behind them is reached.
    #[test]
    fn changed_sections_are_told_the_same(
        checkpoint in checkpoints(),
        section in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..3),
    ) {
        let home = tempfile::tempdir().unwrap();
        let mut container = Container::take_apart(&to_bytes(&checkpoint).unwrap());
        let section = section.get_mut(&mut container.sections);
        if !section.payload.is_empty() {
            for (at, byte) in changes {
                *at.get_mut(&mut section.payload) = byte;
            }
        }
        let _ = verdict(&container.put_together(), &home.path().join("model.knet"));
    }
}
