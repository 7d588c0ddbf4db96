//! The code of `docs/SAVING.md` is that of the examples, and it does what it says.

#![allow(dead_code, reason = "the examples' `main` is not for tests")]

use keepnet::train::data::{Split, mnist};

#[path = "../examples/checkpoint_resume.rs"]
mod checkpoint_resume;
#[path = "../examples/deploy.rs"]
mod deploy;
#[path = "../examples/saving.rs"]
mod saving;
#[path = "../examples/share.rs"]
mod share;
#[path = "../examples/transfer_learning.rs"]
mod transfer_learning;

const DOCUMENT: &str = include_str!("../docs/SAVING.md");
const EXAMPLES: [&str; 5] = [
    include_str!("../examples/checkpoint_resume.rs"),
    include_str!("../examples/deploy.rs"),
    include_str!("../examples/saving.rs"),
    include_str!("../examples/share.rs"),
    include_str!("../examples/transfer_learning.rs"),
];

#[test]
fn the_code_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    saving::run(folder.path(), some(512)).expect("what the document promises");
}

#[test]
fn a_run_that_was_cut_off_ends_in_the_same_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    checkpoint_resume::run(folder.path(), &some(1_024)).expect("what the document promises");
}

#[test]
fn a_program_that_only_predicts_believes_what_proves_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    deploy::run(folder.path(), &some(512)).expect("what the document promises");
}

#[test]
fn a_body_that_was_taken_over_learns_a_new_task_sooner() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    transfer_learning::run(folder.path(), &some(8_000)).expect("what the document promises");
}

#[test]
fn what_was_shared_is_checked_by_its_receiver() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    share::run(folder.path(), &some(512)).expect("what the document promises");
}

/// The first images of those that are embedded.
fn some(images: usize) -> Split {
    let data = mnist::embedded().expect("the embedded data");
    Split { train: data.train.take(images), validation: data.validation.take(images / 4) }
}

#[test]
fn the_document_shows_the_code_that_runs() {
    let examples = EXAMPLES.map(lines);
    let blocks: Vec<&str> = DOCUMENT.split("```rust\n").skip(1).collect();
    assert!(blocks.len() >= 5, "the document has examples");
    for block in blocks {
        let block = lines(block.split("```").next().expect("a block ends"));
        let shown = |example: &Vec<&str>| example.windows(block.len()).any(|lines| lines == block);
        assert!(examples.iter().any(shown), "in no example:\n{}", block.join("\n"));
    }
}

/// Without indentation and empty lines.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}
