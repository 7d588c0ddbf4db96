//! What is saved comes back in every bit, in both forms and from one form through the other.

mod format_support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use format_support::held::held;
use format_support::{assert_same_bits, checkpoints, small};
use keepnet::format::*;
use keepnet::*;
use proptest::prelude::*;

fn limits() -> Limits {
    Limits::default()
}

/// Every file under `directory` with its bytes.
fn tree(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(inner) = pending.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn bytes_come_back_in_every_bit(checkpoint in checkpoints()) {
        let bytes = to_bytes(&checkpoint).unwrap();
        let read = from_bytes(&bytes, &limits()).unwrap();
        assert_same_bits(&checkpoint, &read);
        prop_assert!(to_bytes(&read).unwrap() == bytes, "the same checkpoint gave other bytes");
        prop_assert_eq!(bytes.len() % 64, 0);
    }

}

proptest! {
    // Few, because every save waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn forms_turn_into_each_other_byte_for_byte(checkpoint in checkpoints()) {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let (file, directory) = (path("model.knet"), path("model"));
        save(&checkpoint, &file, Format::File).unwrap();
        save(&checkpoint, &directory, Format::Directory).unwrap();
        prop_assert!(fs::read(&file).unwrap() == to_bytes(&checkpoint).unwrap());

        assert_same_bits(&checkpoint, &load(&file, &limits()).unwrap());
        assert_same_bits(&checkpoint, &load(&directory, &limits()).unwrap());

        unpack(&file, &path("unpacked")).unwrap();
        prop_assert!(tree(&path("unpacked")) == tree(&directory));
        pack(&directory, &path("packed.knet")).unwrap();
        prop_assert!(fs::read(path("packed.knet")).unwrap() == fs::read(&file).unwrap());
    }

    #[test]
    fn inspection_agrees_with_what_was_saved(checkpoint in checkpoints()) {
        let home = tempfile::tempdir().unwrap();
        let (file, directory) = (home.path().join("model.knet"), home.path().join("model"));
        save(&checkpoint, &file, Format::File).unwrap();
        save(&checkpoint, &directory, Format::Directory).unwrap();
        let (of_file, of_directory) = (inspect(&file).unwrap(), inspect(&directory).unwrap());
        let bytes = fs::read(&file).unwrap();
        let tensors = held(&checkpoint);
        prop_assert_eq!(of_file.tensors.len(), tensors.len());
        for ((info, other), &(role, named)) in
            of_file.tensors.iter().zip(&of_directory.tensors).zip(&tensors)
        {
            prop_assert_eq!((info.role, other.role), (role, role));
            prop_assert_eq!(&info.shape, named.tensor.shape().dims());
            prop_assert_eq!(&info.name, &named.name);
            prop_assert_eq!(info.offset % 64, 0);
            let range = info.offset as usize..(info.offset + info.length) as usize;
            prop_assert_eq!(&bytes[range], named.tensor.bytes());
            prop_assert_eq!(info.sha256, other.sha256);
            let array = fs::read(directory.join(other.file.as_ref().unwrap())).unwrap();
            prop_assert_eq!(&array[other.offset as usize..], named.tensor.bytes());
        }
        prop_assert_eq!(of_file.optimizer_step, checkpoint.optimizer.as_ref().map(|o| o.step));
        prop_assert!(of_file.skipped.is_empty());
        prop_assert!(serde_json::to_string(&of_file).is_ok());
    }
}

/// The bytes of both forms at version 1.0, as the first program that wrote them gave them. If this
/// fails, files that exist would be written differently now: that takes a new version.
#[test]
fn the_bytes_of_version_1_stay_as_they_are() {
    let home = tempfile::tempdir().unwrap();
    let (file, directory) = (home.path().join("model.knet"), home.path().join("model"));
    save(&small(), &file, Format::File).unwrap();
    save(&small(), &directory, Format::Directory).unwrap();
    let digest = |path| inspect(path).unwrap().sha256.to_string();
    assert_eq!(digest(&file), "5232fd9d59d2331e5c31bab88583e75ff67116f735990388ed64b5ca20ef14b0");
    assert_eq!(
        digest(&directory),
        "9acbaddbcab4a797ef2d83553f8efb4ffceecf02bb9375313419ef7872e7c146"
    );
}

/// A property says nothing about what its generator never gives.
#[test]
fn the_generator_reaches_every_kind_of_layer() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut kinds = std::collections::BTreeSet::new();
    let (mut shared, mut joined, mut outputs) = (0, 0, 0);
    for _ in 0..2000 {
        let graph = format_support::graphs().new_tree(&mut runner).unwrap().current();
        kinds.extend(graph.layers().iter().map(|layer| layer.spec.kind()));
        shared += usize::from(graph.nodes().len() > graph.layers().len());
        joined += usize::from(graph.nodes().iter().any(|node| node.inputs.len() > 1));
        outputs += usize::from(graph.outputs().len() > 1);
    }
    assert_eq!(kinds.len(), 49, "{kinds:?}");
    assert!(shared > 100 && joined > 100 && outputs > 100, "{shared} {joined} {outputs}");
}

#[test]
fn options_leave_out_what_they_say() {
    let all = SaveOptions::default().apply(small());
    assert_same_bits(&all, &small());
    let bare = SaveOptions::weights_only().apply(small());
    let Checkpoint { compile, optimizer, training, history, metadata, proof, .. } = &bare;
    assert!(compile.is_none() && optimizer.is_none() && training.is_none());
    assert!(history.is_none() && metadata.is_empty() && proof.is_none());
    assert_eq!(bare.tensors, small().tensors);
    let without_history = SaveOptions { history: false, ..SaveOptions::default() }.apply(small());
    assert_same_bits(&Checkpoint { history: None, ..small() }, &without_history);
}

#[test]
fn saving_again_replaces_either_form() {
    let home = tempfile::tempdir().unwrap();
    for (name, format) in [("model.knet", Format::File), ("model", Format::Directory)] {
        let path = home.path().join(name);
        save(&small(), &path, format).unwrap();
        let bare = SaveOptions::weights_only().apply(small());
        save(&bare, &path, format).unwrap();
        assert_same_bits(&load(&path, &limits()).unwrap(), &bare);
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "no scratch copies stay");
}

#[test]
fn readers_beside_writers_see_whole_models() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.knet");
    let (one, other) = (small(), SaveOptions::weights_only().apply(small()));
    save(&one, &path, Format::File).unwrap();
    std::thread::scope(|scope| {
        let writer = |checkpoint| {
            let path = &path;
            move || (0..20).for_each(|_| save(checkpoint, path, Format::File).unwrap())
        };
        let writers = [scope.spawn(writer(&one)), scope.spawn(writer(&other))];
        while writers.iter().any(|writer| !writer.is_finished()) {
            let bytes = fs::read(&path).unwrap();
            let read = from_bytes(&bytes, &limits()).unwrap();
            assert_same_bits(&read, if read.proof.is_some() { &one } else { &other });
        }
    });
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "no scratch copies stay");
}

#[test]
fn a_directory_that_is_no_model_is_not_replaced() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("website");
    fs::create_dir(&path).unwrap();
    save(&small(), &path, Format::Directory).unwrap();
    // An empty directory may be filled; one with another program's manifest may not be replaced.
    fs::remove_dir_all(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("manifest.json"), "{\"name\": \"my app\"}").unwrap();
    let error = save(&small(), &path, Format::Directory).unwrap_err();
    assert!(error.to_string().contains("no part of a saved model"), "{error}");
    assert_eq!(tree(&path).len(), 1);
    // Nor one with a note beside the model.
    let path = home.path().join("model");
    save(&small(), &path, Format::Directory).unwrap();
    fs::write(path.join("tensors/notes.txt"), "mine").unwrap();
    let error = save(&small(), &path, Format::Directory).unwrap_err();
    assert!(error.to_string().contains("tensors/notes.txt"), "{error}");
    assert!(path.join("tensors/notes.txt").exists());
}

#[test]
fn the_path_chooses_the_form() {
    let home = tempfile::tempdir().unwrap();
    let existing = home.path().join("v1.knet");
    fs::create_dir(&existing).unwrap();
    let form = |path: &str| Format::for_saving(Path::new(path)).ok();
    assert_eq!(form("a/mnist.knet"), Some(Format::File));
    assert_eq!(form("a/mnist.KNET"), Some(Format::File));
    assert_eq!(form("mnist_model/"), Some(Format::Directory));
    assert_eq!(form("mnist.v2/"), Some(Format::Directory));
    assert_eq!(form("mnist_model"), Some(Format::Directory));
    assert_eq!(form(existing.to_str().unwrap()), Some(Format::Directory));
    let error = Format::for_saving(Path::new("mnist.pkl")).unwrap_err();
    assert!(!error.is_corrupt());
    assert!(error.to_string().contains("`.pkl`") && error.to_string().contains("`.knet`"));
}

#[test]
fn packing_asks_for_the_right_form() {
    let home = tempfile::tempdir().unwrap();
    let (file, directory) = (home.path().join("model.knet"), home.path().join("model"));
    save(&small(), &file, Format::File).unwrap();
    save(&small(), &directory, Format::Directory).unwrap();
    let error = pack(&file, &home.path().join("x")).unwrap_err();
    assert!(matches!(error.cause(), FormatError::OtherForm { found: Format::File, .. }));
    let error = unpack(&directory, &home.path().join("x")).unwrap_err();
    assert!(matches!(error.cause(), FormatError::OtherForm { found: Format::Directory, .. }));
}
