//! Models as Keras reads them: `.keras` archives and `.h5` files, in words that Keras 2 and 3 both
//! understand. What they have no words for stands where Keras does not look ([`kept`]).

mod classes;
mod compile;
mod network;
mod order;
mod weights;

use std::path::Path;

use serde_json::{Value, json};

use super::error::KerasError;
use super::report::Hidden;
use super::{COMPILE, CONFIG, METADATA, MODEL, VERSION, WEIGHTS, kept};
use crate::bytes::atomic;
use crate::bytes::fs::{Fs, Stat};
use crate::format::content::Description;
use crate::format::{Format, FormatError};
use crate::model::Checkpoint;
use crate::wire::hdf5::{self, Array, Group, Node};
use crate::wire::zip;
use compile::Compiled;
pub(super) use network::Described;
use weights::Weights;

/// The versions of Keras whose words are used in `.keras` and `.h5` files.
const KERAS_3: &str = "3.15.1";
const KERAS_2: &str = "2.15.0";

const BACKEND: &str = "tensorflow";

/// Saves `checkpoint` at `path`, and tells what of it Keras will not see.
pub(in crate::format) fn save<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    form: Format,
) -> Result<(Option<Stat>, Vec<Hidden>), FormatError> {
    let described = Described::of(&checkpoint.graph)?;
    let mut hidden = Vec::new();
    let compiled = checkpoint.compile.as_ref().map(compile::compile).transpose();
    let compiled = compiled.unwrap_or_else(|reason| {
        hidden.push(Hidden::Compile { reason });
        None
    });
    let stat = match form {
        Format::Hdf5 => {
            if compiled.is_some() && checkpoint.optimizer.is_some() {
                hidden.push(Hidden::OptimizerState);
            }
            save_whole(fs, checkpoint, path, &described, compiled)?
        }
        _ => save_archive(fs, checkpoint, path, &described, compiled)?,
    };
    Ok((stat, hidden))
}

fn save_archive<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    described: &Described,
    compiled: Option<Compiled>,
) -> Result<Option<Stat>, FormatError> {
    let weights = weights::by_class(checkpoint, described, compiled.is_some());
    let config = described.archived(compiled.map_or(Value::Null, Compiled::archived)).to_string();
    let root = with_kept(weights, checkpoint, &[(CONFIG, config.as_bytes())])?;
    let pieces = hdf5::write(&root).map_err(KerasError::from)?;
    let weights: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
    let metadata = json!({"keras_version": KERAS_3, "date_saved": "1980-01-01@00:00:00"});
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
    compiled: Option<Compiled>,
) -> Result<Option<Stat>, FormatError> {
    let weights = weights::by_name(checkpoint, described);
    let mut texts = vec![(MODEL, described.whole().to_string())];
    texts.extend(compiled.map(|compiled| (COMPILE, compiled.whole().to_string())));
    let bytes: Vec<_> = texts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let mut root = with_kept(weights, checkpoint, &bytes)?;
    texts.extend([("backend", BACKEND.to_owned()), (VERSION, KERAS_2.to_owned())]);
    let attributes = texts.into_iter().map(|(name, text)| (name.to_owned(), Array::text(text)));
    root.attributes.extend(attributes);
    let pieces = hdf5::write(&root).map_err(KerasError::from)?;
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
    let Weights { mut root, places } = weights;
    let (description, items) = Description::of(checkpoint)?;
    description.check_limits()?;
    let kept = kept::group(&description, &items, places, texts)?;
    root.members.insert(kept::GROUP.to_owned(), Node::Group(kept));
    Ok(root)
}
