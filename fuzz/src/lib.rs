//! What several targets share: models made of the fuzzer's bytes, and places to put files.

pub mod json;

#[path = "../../tests/format_support/mod.rs"]
pub mod format_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use keepnet::bytes::Budget;
use keepnet::format::{Format, Limits, from_bytes, load, save, to_bytes};
use keepnet::model::NodeId;
use keepnet::wire::{hdf5, zip};
use keepnet::{Activation, Checkpoint, Model, Samples};
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;

use format_support::container::sha256;
use format_support::{assert_same_bits, checkpoints, small};

thread_local! {
    static CHECKPOINTS: BoxedStrategy<Checkpoint<'static>> = checkpoints().boxed();
}

/// The checkpoint that the tests' generator makes of `bytes` as its seed. (With the bytes themselves for
/// its chance, it would not come to an end once they do.)
pub fn checkpoint(bytes: &[u8]) -> Option<Checkpoint<'static>> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &sha256(bytes));
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    CHECKPOINTS.with(|all| all.new_tree(&mut runner).ok().map(|tree| tree.current()))
}

/// What was read can be written, and what was written is read as the same.
pub fn assert_kept(checkpoint: &Checkpoint<'_>) -> Vec<u8> {
    let mut checkpoint = checkpoint.borrowed();
    if !checkpoint.passed_over.is_empty() {
        assert!(to_bytes(&checkpoint).is_err(), "what was passed over would be lost");
        checkpoint.passed_over.clear();
    }
    let checkpoint = &checkpoint;
    let written = to_bytes(checkpoint).expect("what was read can be written");
    let again = from_bytes(&written, &Limits::default()).expect("what was written can be read");
    assert_same_bits(checkpoint, &again);
    written
}

/// Little enough for a network to be run at once.
pub const NARROW: Limits = Limits {
    memory: 32 << 20,
    text: 1 << 20,
    tensors: 1 << 10,
    sections: 1 << 8,
    nodes: 1 << 10,
    tables: 1 << 20,
    activations: 1 << 20,
};

/// The model runs. If Keras has words for it, it comes back from what is written for Keras: in every bit
/// with what keepnet keeps there, and with the same answers without, but for what is written as a sum.
pub fn assert_kept_for_keras(model: &Model) {
    let answers = answers(model);
    let checkpoint = model.to_checkpoint();
    let graph = model.graph();
    let is_sum = |node| match graph.activation(NodeId(node)) {
        Activation::Threshold { threshold, value } => threshold == value && threshold > 0.0,
        _ => false,
    };
    let is_rounded = (0..graph.nodes().len()).any(is_sum);
    for (form, name) in [(Format::Keras, "again.keras"), (Format::Hdf5, "again.h5")] {
        let path = scratch().join(name);
        if save(&checkpoint, &path, form).is_err() {
            continue;
        }
        let again = load(&path, &Limits::default()).expect("what was written can be read");
        assert_same_bits(&checkpoint, &again);
        let bytes = fs::read(&path).expect("just written");
        let bare = if form == Format::Keras { bare_archive(&bytes) } else { bare_hdf5(&bytes) };
        fs::write(&path, bare).expect("a file");
        let again = Model::load(&path).expect("Keras' part of it can be read");
        assert!(is_rounded || answers == self::answers(&again), "other answers as {form}");
    }
}

/// The bits of what the model answers to numbers between −1 and 1. Every NaN has the same.
fn answers(model: &Model) -> Vec<Vec<u32>> {
    let numbers = |&node: &NodeId| {
        let shape = model.graph().shape(node).clone();
        let values = (0..shape.elements()).map(|index| (index * 97 % 251) as f32 / 125.0 - 1.0);
        Samples::new(1, shape, values.collect::<Vec<_>>()).expect("as many as the shape says")
    };
    let inputs: Vec<Samples> = model.graph().inputs().iter().map(numbers).collect();
    let outputs = model.predict_all(&inputs).expect("the inputs fit");
    assert_eq!(outputs.len(), model.graph().outputs().len());
    outputs.iter().map(|output| output.iter().map(|number| number.to_bits()).collect()).collect()
}

/// An `.h5` file without what keepnet keeps there.
fn bare_hdf5(bytes: &[u8]) -> Vec<u8> {
    let mut root = hdf5::read(bytes, &mut Budget::new(128 << 20)).expect("just read");
    root.members.remove("keepnet").expect("keepnet has written it");
    hdf5::write(&root).expect("it was written before").concat()
}

/// A `.keras` archive without what keepnet keeps there.
fn bare_archive(bytes: &[u8]) -> Vec<u8> {
    let archive = zip::Archive::read(bytes).expect("just read");
    let get = |name| archive.get(name, &mut Budget::new(0)).expect("stored").expect("it is there");
    let weights = bare_hdf5(&get("model.weights.h5"));
    let (config, metadata) = (get("config.json"), get("metadata.json"));
    let members: [(&str, &[&[u8]]); 3] = [
        ("metadata.json", &[&*metadata]),
        ("config.json", &[&*config]),
        ("model.weights.h5", &[weights.as_slice()]),
    ];
    let mut bare = Vec::new();
    zip::write(&members, &mut bare).expect("memory");
    bare
}

/// A folder of this process.
pub fn scratch() -> &'static Path {
    static SCRATCH: LazyLock<TempDir> =
        LazyLock::new(|| tempfile::tempdir().expect("a folder for scratch files"));
    SCRATCH.path()
}

/// A small model in the directory form, with `manifest` in the place of its own.
pub fn directory_with(manifest: &[u8]) -> &'static Path {
    static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = scratch().join("model");
        save(&small(), &path, Format::Directory).expect("a small model");
        path
    });
    fs::write(DIRECTORY.join("manifest.json"), manifest).expect("a manifest");
    &DIRECTORY
}

/// The files of SavedModels that are replaced: of keepnet's small model, of one of tf-keras, and of the same
/// as before TensorFlow 2.5, which has the metadata of Keras in `saved_model.pb`.
pub const SAVEDMODEL: [(&str, &str); 6] = [
    ("old", "saved_model.pb"),
    ("own", "variables/variables.index"),
    ("own", "assets.extra/keepnet/index"),
    ("keras", "saved_model.pb"),
    ("keras", "keras_metadata.pb"),
    ("keras", "variables/variables.index"),
];

/// A SavedModel with `content` in the place of the file that `which` chooses; the others are whole.
pub fn savedmodel_with(which: u8, content: &[u8]) -> PathBuf {
    static WHOLE: LazyLock<PathBuf> = LazyLock::new(|| {
        let golden = "../tests/savedmodel/golden/tf-keras-2.21";
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(golden);
        let path = scratch().join("savedmodel");
        fs::create_dir(&path).expect("a folder");
        save(&small(), &path.join("own"), Format::SavedModel).expect("a small model");
        let data = "variables/variables.data-00000-of-00001";
        let files = ["keras_metadata.pb", "saved_model.pb", "variables/variables.index", data];
        for (model, files) in [("keras", &files[..]), ("old", &files[1..])] {
            fs::create_dir_all(path.join(model).join("variables")).expect("a folder");
            for file in files {
                fs::copy(golden.join(file), path.join(model).join(file)).expect("a file");
            }
        }
        path
    });
    static LAST: Mutex<Option<(PathBuf, Vec<u8>)>> = Mutex::new(None);
    let mut last = LAST.lock().expect("one thread");
    if let Some((file, whole)) = last.take() {
        fs::write(file, whole).expect("a file");
    }
    let which = usize::from(which) % SAVEDMODEL.len();
    let (model, name) = SAVEDMODEL[which];
    let path = WHOLE.join(model);
    let file = path.join(name);
    *last = Some((file.clone(), fs::read(&file).expect("a file")));
    fs::write(file, content).expect("a file");
    path
}

/// A file of the file form.
pub fn file_with(bytes: &[u8]) -> PathBuf {
    let path = scratch().join("model.knet");
    fs::write(&path, bytes).expect("a file");
    path
}
