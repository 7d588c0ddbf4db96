//! SavedModels of TensorFlow: what keepnet writes runs there and comes back in every bit, and what
//! tf-keras, Keras 3 and TensorFlow wrote is read.
//!
//! TensorFlow runs where the environment variable `KEEPNET_KERAS_PYTHON` names a Python with it and
//! tf-keras; without it those tests say so and pass.

mod folders;
#[path = "../format_support/mod.rs"]
mod format_support;
mod golden;
mod graphs;
mod kept;
mod keras;
mod layers;
#[path = "../networks/mod.rs"]
mod networks;
#[path = "../peers/mod.rs"]
mod peers;
mod runtime;
mod signatures;

use std::fs;
use std::path::{Path, PathBuf};

use keepnet::format::{FormatError, Limits, load};
use keepnet::model::Checkpoint;

/// Every file below `path`.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> Result<Checkpoint<'static>, FormatError> {
    load(path, &Limits::default())
}
