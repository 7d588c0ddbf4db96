//! What keepnet writes comes back to it, or is refused.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use keepnet::format::keras::Notice;
use keepnet::format::{Format, Limits, load_reported, save};
use keepnet::model::Checkpoint;
use keepnet::nn::Model;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::format_support::{assert_same_bits, checkpoints, small};
use crate::{files, read};

proptest! {
    // Few, because every save waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn everything_comes_back_in_every_bit(checkpoint in checkpoints()) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model");
        save(&checkpoint, &path, Format::SavedModel).unwrap();
        let (found, report) = load_reported(&path, &Limits::default()).unwrap();
        assert_same_bits(&checkpoint, &found);
        prop_assert!(report.unwrap().is_proven);
        let bytes = |path: &Path| -> Vec<_> {
            files(path).iter().map(|file| fs::read(file).unwrap()).collect()
        };
        let before = bytes(&path);
        save(&found, &path, Format::SavedModel).unwrap();
        prop_assert!(bytes(&path) == before, "the same checkpoint gave other bytes");
    }
}

fn saved() -> (TempDir, std::path::PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    save(&small(), &path, Format::SavedModel).unwrap();
    (home, path)
}

#[test]
fn no_changed_byte_gives_another_model() {
    let (_home, path) = saved();
    let checkpoint = small();
    for file in files(&path) {
        // What TensorFlow runs may be another model then, and that is what is read, with a notice.
        let of_tensorflow = file.ends_with("saved_model.pb");
        let whole = fs::read(&file).unwrap();
        let judge = |what: &str| match load_reported(&path, &Limits::default()) {
            Ok((_, Some(report))) if of_tensorflow && !report.is_proven => {
                let is_told = |it: &Notice| matches!(it, Notice::Edited { .. });
                assert!(report.notices.iter().any(is_told), "{what}");
            }
            Ok((found, _)) => assert_same_bits(&checkpoint, &found),
            Err(error) => assert!(error.is_corrupt() || of_tensorflow, "{what}: {error}"),
        };
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            fs::write(&file, bytes).unwrap();
            judge(&format!("byte {place}"));
        }
        fs::write(&file, &whole).unwrap();
        let cut = fs::File::options().write(true).open(&file).unwrap();
        for length in (0..whole.len()).rev() {
            cut.set_len(length as u64).unwrap();
            assert!(read(&path).is_err(), "{} cut to {length}", file.display());
        }
        fs::write(&file, [&whole[..], b"\0"].concat()).unwrap();
        judge("a zero behind it");
        println!("{}: {} bytes, each flipped and cut off", file.display(), whole.len());
        fs::write(&file, whole).unwrap();
    }
    assert_same_bits(&checkpoint, &read(&path).unwrap());
}

#[test]
fn links_are_not_followed() {
    let (home, path) = saved();
    let elsewhere = home.path().join("elsewhere");
    for file in files(&path) {
        fs::rename(&file, &elsewhere).unwrap();
        symlink(&elsewhere, &file).unwrap();
        let says = read(&path).unwrap_err().to_string();
        assert!(says.contains("symbolic link"), "{says}");
        fs::remove_file(&file).unwrap();
        fs::hard_link(&elsewhere, &file).unwrap();
        let says = read(&path).unwrap_err().to_string();
        assert!(says.contains("hard link"), "{says}");
        fs::remove_file(&file).unwrap();
        fs::rename(&elsewhere, &file).unwrap();
    }
    for folder in ["variables", "assets.extra"] {
        fs::rename(path.join(folder), &elsewhere).unwrap();
        symlink(&elsewhere, path.join(folder)).unwrap();
        let says = read(&path).unwrap_err().to_string();
        assert!(says.contains("symbolic link"), "{says}");
        fs::remove_file(path.join(folder)).unwrap();
        fs::rename(&elsewhere, path.join(folder)).unwrap();
    }
    assert!(read(&path).is_ok());
}

#[test]
fn the_newest_of_several_versions_is_loaded() {
    let home = tempfile::tempdir().unwrap();
    let versions = home.path().join("digits");
    fs::create_dir(&versions).unwrap();
    for version in ["9", "10", "2"] {
        let mut checkpoint = small();
        checkpoint.metadata.insert("version".to_owned(), version.to_owned());
        save(&checkpoint, &versions.join(version), Format::SavedModel).unwrap();
    }
    assert_eq!(Format::detect(&versions).unwrap(), Format::SavedModel);
    assert_eq!(read(&versions).unwrap().metadata["version"], "10");
    assert_eq!(read(&versions.join("2")).unwrap().metadata["version"], "2");
    symlink(versions.join("9"), versions.join("11")).unwrap();
    assert!(read(&versions).is_err());
}

/// As TensorFlow makes it; no other name makes a folder.
#[test]
fn the_directory_of_versions_is_made_with_the_first_of_them() {
    let home = tempfile::tempdir().unwrap();
    let versions = home.path().join("models/digits");
    for version in ["1", "2", "007"] {
        let mut checkpoint = small();
        checkpoint.metadata.insert("version".to_owned(), version.to_owned());
        save(&checkpoint, &versions.join(version), Format::SavedModel).unwrap();
    }
    for (path, version) in [("1", "1"), ("2", "2"), ("", "007")] {
        assert_eq!(read(&versions.join(path)).unwrap().metadata["version"], version);
    }
    // The folder of versions itself is no place to save to.
    let says = save(&small(), &versions, Format::SavedModel).unwrap_err().to_string();
    assert!(says.contains("the directory holds"), "{says}");
    assert_eq!(read(&versions).unwrap().metadata["version"], "007");
    let other = home.path().join("other/v1");
    let says = save(&small(), &other, Format::SavedModel).unwrap_err().to_string();
    assert!(says.contains("folder") && !home.path().join("other").exists(), "{says}");
    let below = home.path().join("models/digits/1/saved_model.pb/1");
    assert!(save(&small(), &below, Format::SavedModel).is_err());
}

#[test]
fn another_one_replaces_it_and_nothing_else() {
    let (_home, path) = saved();
    assert_eq!(Format::for_saving(&path).unwrap(), Format::SavedModel);
    let mut other = small();
    other.metadata.insert("other".to_owned(), "yes".to_owned());
    save(&other, &path, Format::SavedModel).unwrap();
    assert_eq!(read(&path).unwrap().metadata["other"], "yes");
    fs::write(path.join("variables/notes.txt"), "mine").unwrap();
    let says = save(&small(), &path, Format::SavedModel).unwrap_err().to_string();
    assert!(says.contains("notes.txt"), "{says}");
    assert_eq!(read(&path).unwrap().metadata["other"], "yes");
}

#[test]
fn what_is_edited_elsewhere_is_not_taken_for_what_keepnet_wrote() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    let model = Model::new(small().graph, 7).to_checkpoint().into_owned();
    save(&model, &path, Format::SavedModel).unwrap();
    let file = path.join("saved_model.pb");
    // A tag of a later version, which changes nothing that is read.
    let bytes = [fs::read(&file).unwrap(), vec![0xF8, 0x07, 0x01]].concat();
    fs::write(&file, bytes).unwrap();
    let (found, report) = load_reported(&path, &Limits::default()).unwrap();
    let notices = report.unwrap().notices;
    assert!(matches!(&notices[..], [Notice::Edited { .. }]), "{notices:?}");
    assert!(found.metadata.is_empty() && found.compile.is_none());
    let numbers = |model: &Checkpoint<'_>| {
        let tensors = model.tensors.iter().map(|it| it.tensor.bytes().to_vec());
        tensors.collect::<BTreeSet<_>>()
    };
    assert_eq!(numbers(&found), numbers(&model));
}

/// The lengths that a few bytes can claim.
#[test]
fn hostile_sizes_are_refused_at_once() {
    let (_home, path) = saved();
    let model = path.join("saved_model.pb");
    for bytes in [
        // A graph of 2⁶³ bytes.
        &b"\x08\x01\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f"[..],
        // Messages in messages, 200 deep.
        &[&[0x12, 0x7F][..]; 200].concat(),
        b"",
    ] {
        fs::write(&model, bytes).unwrap();
        assert!(read(&path).is_err());
    }
    fs::write(path.join("variables/variables.index"), vec![0xFF; 1 << 16]).unwrap();
    assert!(read(&path).unwrap_err().is_corrupt());
}
