//! Models as Keras reads them: `.keras` archives and `.h5` files.

mod classes;
mod compile;
mod network;
mod weights;

use serde_json::{Value, json};

use super::error::KerasError;
use super::{CONFIG, METADATA, WEIGHTS};
use crate::model::Checkpoint;
use crate::wire::{hdf5, zip};
use network::Described;

/// The version of Keras whose words are used.
const VERSION: &str = "3.15.1";

/// The `.keras` file of `checkpoint`.
pub(in crate::format) fn archive(checkpoint: &Checkpoint<'_>) -> Result<Vec<u8>, KerasError> {
    let described = Described::of(&checkpoint.graph)?;
    let compile = match &checkpoint.compile {
        Some(settings) => compile::compile(settings)?,
        None => Value::Null,
    };
    let config = described.model(compile).to_string();
    let metadata = json!({"keras_version": VERSION, "date_saved": "1980-01-01@00:00:00"});
    let metadata = metadata.to_string();
    let tree = weights::by_class(checkpoint, &described);
    let weights = hdf5::write(&tree)?.concat();
    let members = [
        (METADATA, metadata.as_bytes()),
        (CONFIG, config.as_bytes()),
        (WEIGHTS, weights.as_slice()),
    ];
    Ok(zip::write(&members)?)
}
