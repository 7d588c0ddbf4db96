//! What the user's paths refer to.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use keepnet::format::{self, FormatError, Limits};
use keepnet::model::Checkpoint;
use keepnet::nn::SHARD;
use keepnet::{Model, ModelError};

use crate::failure::Failure;

/// The most bytes that are read of a file of arrays or pictures.
const LIMIT: u64 = 8 << 30;

/// Loads the model at `path`.
pub(crate) fn load(path: &Path) -> Result<Model, Failure> {
    runnable(path, &format::load(path, &Limits::default())?)
}

/// The model that `checkpoint`, read from `path`, describes. A few bytes can describe layers larger
/// than any memory: those are refused before they are run.
pub(crate) fn runnable(path: &Path, checkpoint: &Checkpoint<'_>) -> Result<Model, Failure> {
    let training = checkpoint.compile.is_some();
    let checked = Limits::default().check_network(&checkpoint.graph, SHARD, training);
    checked.map_err(|source| FormatError::At { path: path.to_owned(), source: source.into() })?;
    Model::from_checkpoint(checkpoint).map_err(|source| in_model(path, source))
}

pub(crate) fn in_model(path: &Path, source: ModelError) -> Failure {
    Failure::Model { path: path.to_owned(), source: Box::new(source) }
}

/// All bytes of a file that is no model.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > LIMIT => {
            Err(Failure::TooLong { path: path.to_owned(), limit: LIMIT })
        }
        Ok(_) => Ok(bytes),
        Err(source) => Err(Failure::Read { path: path.to_owned(), source }),
    }
}

/// Refuses an `output` that is `input` under whatever name, or lies inside it. `what` the input is,
/// for the message.
pub(crate) fn keep_apart(input: &Path, output: &Path, what: &'static str) -> Result<(), Failure> {
    // A path that leads nowhere is the business of whoever opens it.
    let (Some(from), Some(to)) = (place(input), place(output)) else {
        return Ok(());
    };
    if from == to {
        return Err(Failure::SamePath { path: output.to_owned(), what });
    }
    if to.starts_with(&from) {
        return Err(Failure::Inside { path: output.to_owned(), input: input.to_owned() });
    }
    Ok(())
}

/// Where `path` leads, or what is written to it would stand.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(existing) = fs::canonicalize(path) {
        return Some(existing);
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Some(fs::canonicalize(parent).ok()?.join(path.file_name()?))
}
