//! Models as Keras reads them: `.keras` archives and `.h5` files, in words that Keras 2 and 3 both
//! understand. What they have no words for stands where Keras does not look ([`kept`]).

mod classes;
mod compile;
mod network;
mod order;
mod state;
mod weights;

use std::path::Path;

use serde_json::{Value, json};

use super::Reader;
use super::error::KerasError;
use super::{COMPILE, CONFIG, METADATA, MODEL, VERSION, WEIGHTS, kept};
use crate::bytes::atomic;
use crate::bytes::fs::{Fs, Stat};
use crate::format::report::Hidden;
use crate::format::{self, Format, FormatError};
use crate::model::Checkpoint;
use crate::wire::hdf5::{self, Array, Group};
use crate::wire::zip;
use compile::Compiled;
pub(super) use network::Described;
use weights::Weights;

/// The versions of Keras whose words are used in `.keras` and `.h5` files.
const KERAS_3: &str = "3.15.1";
const KERAS_2: &str = "2.15.0";

const BACKEND: &str = "tensorflow";

/// Saves `checkpoint` at `path` for `target`, and tells what of it that will not see.
pub(in crate::format) fn save<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    form: Format,
    target: Reader,
) -> Result<(Option<Stat>, Vec<Hidden>), FormatError> {
    let described = Described::of(&checkpoint.graph)?;
    let mut hidden = Vec::new();
    let compiled = checkpoint.compile.as_ref().map(compile::compile).transpose();
    let compiled = compiled.unwrap_or_else(|reason| {
        hidden.push(Hidden::Compile { reason });
        None
    });
    let mut state =
        compiled.as_ref().and_then(|_| state::variables(checkpoint, &described, target));
    let stat = match form {
        Format::Hdf5 => {
            // Keras 3 cannot take it from there, and could not train then.
            if target == Reader::Keras3 && state.take().is_some() {
                hidden.push(Hidden::OptimizerState);
            }
            let weights = weights::of_model(checkpoint, &described, state);
            save_whole(fs, checkpoint, path, &described, weights, (compiled, target))?
        }
        _ => {
            let weights = weights::by_class(checkpoint, &described, state);
            save_archive(fs, checkpoint, path, &described, weights, (compiled, target))?
        }
    };
    Ok((stat, hidden))
}

fn save_archive<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    described: &Described,
    weights: Weights<'_>,
    (compiled, target): (Option<Compiled>, Reader),
) -> Result<Option<Stat>, FormatError> {
    let config = described.archived(compiled.map_or(Value::Null, Compiled::archived)).to_string();
    let root = with_kept(weights, checkpoint, &[(CONFIG, config.as_bytes())])?;
    let pieces = hdf5::write(&root).map_err(KerasError::from)?;
    let weights: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
    let version = match target {
        Reader::Keras3 => KERAS_3,
        Reader::TfKeras2 => KERAS_2,
    };
    let metadata = json!({"keras_version": version, "date_saved": "1980-01-01@00:00:00"});
    let metadata = metadata.to_string();
    let members: [(&str, &[&[u8]]); 3] =
        [(METADATA, &[metadata.as_bytes()]), (CONFIG, &[config.as_bytes()]), (WEIGHTS, &weights)];
    Ok(atomic::write_file_on(fs, path, |out| zip::write(&members, out))?)
}

fn save_whole<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    described: &Described,
    weights: Weights<'_>,
    (compiled, target): (Option<Compiled>, Reader),
) -> Result<Option<Stat>, FormatError> {
    let mut texts = vec![(MODEL, described.whole().to_string())];
    let compiled = compiled.map(|compiled| match target {
        Reader::Keras3 => compiled.whole(),
        Reader::TfKeras2 => registered(compiled.whole()),
    });
    texts.extend(compiled.map(|compiled| (COMPILE, compiled.to_string())));
    let bytes: Vec<_> = texts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let mut root = with_kept(weights, checkpoint, &bytes)?;
    texts.extend([("backend", BACKEND.to_owned()), (VERSION, KERAS_2.to_owned())]);
    let attributes = texts.into_iter().map(|(name, text)| (name.to_owned(), Array::text(text)));
    root.attributes.extend(attributes);
    write(fs, path, &root)
}

/// The compile settings of an `.h5` file with the optimizer named as tf-keras names it there. Else it would
/// take its optimizer of before Keras 2.11, which has other settings, variables and arithmetic. Keras 3
/// takes an optimizer of that class for it, but with none of these settings.
fn registered(mut compiled: Value) -> Value {
    if let Some(Value::Object(optimizer)) = compiled.get_mut("optimizer_config") {
        optimizer.retain(|key, _| matches!(key.as_str(), "class_name" | "config"));
        if let Some(Value::String(class)) = optimizer.get_mut("class_name") {
            class.insert_str(0, "Custom>");
        }
        if let Some(Value::Object(config)) = optimizer.get_mut("config") {
            config.insert("is_legacy_optimizer".to_owned(), json!(false));
        }
    }
    compiled
}

/// How weights stand in a file of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Arrangement {
    /// `.weights.h5`: as in `.keras`, with the optimizer's state as that Keras has it.
    ByClass(Reader),
    /// `.h5`: as in whole models of `.h5`.
    ByName,
}

/// Saves the parameters of `checkpoint` alone at `path`.
pub(in crate::format) fn save_weights<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    arrangement: Arrangement,
) -> Result<(), FormatError> {
    let described = Described::of(&checkpoint.graph)?;
    let Weights { root, .. } = match arrangement {
        Arrangement::ByName => weights::by_name(checkpoint, &described),
        Arrangement::ByClass(target) => {
            let is_known = |compile| compile::compile(compile).is_ok();
            let state = checkpoint.compile.as_ref().filter(|compile| is_known(compile));
            let state = state.and_then(|_| state::variables(checkpoint, &described, target));
            weights::by_class(checkpoint, &described, state)
        }
    };
    write(fs, path, &root).map(drop)
}

fn write<F: Fs>(fs: &F, path: &Path, root: &Group<'_>) -> Result<Option<Stat>, FormatError> {
    let pieces = hdf5::write(root).map_err(KerasError::from)?;
    let written = atomic::write_file_on(fs, path, |out| {
        pieces.iter().try_for_each(|piece| out.write_all(piece))
    });
    Ok(written?)
}

/// The tree with everything that Keras has no place for. `texts` are what Keras builds the model from.
fn with_kept<'c>(
    weights: Weights<'c>,
    checkpoint: &'c Checkpoint<'_>,
    texts: &[(&'static str, &[u8])],
) -> Result<Group<'c>, FormatError> {
    let Weights { mut root, mut places } = weights;
    let keep = format::kept::keep(checkpoint, |number, _| places.remove(&number), texts)?;
    kept::put(&mut root, keep);
    Ok(root)
}
