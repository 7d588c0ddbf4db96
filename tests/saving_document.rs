//! The code of `docs/SAVING.md` is that of `examples/saving.rs`, and it does what it says.

use keepnet::train::data::{Split, mnist};

#[allow(dead_code, reason = "the example's `main` is not for tests")]
#[path = "../examples/saving.rs"]
mod saving;

const DOCUMENT: &str = include_str!("../docs/SAVING.md");
const EXAMPLE: &str = include_str!("../examples/saving.rs");

#[test]
fn the_code_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = mnist::embedded().expect("the embedded data");
    let data = Split { train: data.train.take(512), validation: data.validation.take(100) };
    saving::run(folder.path(), data).expect("what the document promises");
}

#[test]
fn the_document_shows_the_code_that_runs() {
    let example = lines(EXAMPLE);
    let blocks: Vec<&str> = DOCUMENT.split("```rust\n").skip(1).collect();
    assert!(blocks.len() >= 5, "the document has examples");
    for block in blocks {
        let block = lines(block.split("```").next().expect("a block ends"));
        let shown = example.windows(block.len()).any(|window| window == block);
        assert!(shown, "not in the example:\n{}", block.join("\n"));
    }
}

/// Without indentation and empty lines.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}
