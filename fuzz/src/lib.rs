//! What several targets share: models made of the fuzzer's bytes, and places to put files.

#[path = "../../tests/format_support/mod.rs"]
pub mod format_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use keepnet::Checkpoint;
use keepnet::format::{Format, Limits, from_bytes, save, to_bytes};
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

/// A file of the file form.
pub fn file_with(bytes: &[u8]) -> PathBuf {
    let path = scratch().join("model.knet");
    fs::write(&path, bytes).expect("a file");
    path
}
