//! Codecs: [`Checkpoint`] to bytes and back, for every form a model is kept in.
//!
//! The two native forms hold the same content. The **file form** (`docs/FORMAT.md`) is one file of
//! sections under checksums; the **directory form** (`docs/DIRECTORY.md`) is a manifest and one
//! NumPy array per tensor. [`pack`] and [`unpack`] turn one into the other and back, byte for byte.
//!
//! ```text
//! file form                          directory form
//! ┌ header   signature, version      model/
//! ├ section  architecture (JSON)     ├ manifest.json   architecture, index, digests, versions
//! ├ section  compile … proof         ├ extra/          compile.json … proof.json
//! ├ section  index (records)         │
//! ├ section  tensors (64-byte        └ tensors/        0000-conv2d-kernel.npy …
//! │          aligned numbers)
//! └ footer   length, SHA-256 of all
//! ```
//!
//! Reading takes nothing on trust: see [`Limits`] for what it may cost and [`FormatError`] for what
//! it refuses. Writing is atomic: see [`crate::bytes::atomic`].

#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod content;
mod directory;
mod error;
mod file;
mod inspection;
mod kept;
pub mod keras;
mod kind;
mod limits;
pub mod onnx;
pub mod operations;
mod options;
#[cfg(test)]
mod power_loss_tests;
mod report;
pub mod safetensors;
mod savedmodel;
mod version;
mod whole;

use std::path::Path;

use crate::bytes::Budget;
use crate::bytes::atomic::Owned;
use crate::bytes::fs::{Fs, RealFs, Stat};
use crate::model::{Checkpoint, CompileSettings, Graph};

pub use content::{ContentError, Role, SectionId};
pub use error::{Fault, FormatError};
pub(crate) use file::Mapped;
pub use inspection::{EpochInfo, Inspection, ProofInfo, SectionInfo, TensorInfo};
pub use kind::{Format, Kind, names_weights};
pub use limits::Limits;
pub use options::{LoadOptions, Recipient, SaveOptions};
pub use savedmodel::SavedModelError;
pub use version::Version;

use inspection::Parsed;
use report::Loaded;

/// How the file form begins.
pub(crate) const SIGNATURE: &[u8] = &file::SIGNATURE;

/// What a directory may be that is replaced: a model in either of the forms that are directories, whichever is
/// saved in its place.
const SAVED_DIRECTORIES: [Owned<'static>; 2] = [directory::OWNED, savedmodel::OWNED];

/// The file form of `checkpoint`. The same checkpoint always gives the same bytes.
///
/// # Errors
/// [`FormatError::Unfit`] if the checkpoint contradicts itself.
pub fn to_bytes(checkpoint: &Checkpoint<'_>) -> Result<Vec<u8>, FormatError> {
    Ok(file::Plan::new(checkpoint)?.to_bytes())
}

/// Reads the file form. The tensors borrow from `bytes`.
///
/// # Errors
/// Whatever is wrong with the bytes; [`FormatError::is_corrupt`] tells damage from the rest.
pub fn from_bytes<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Checkpoint<'a>, FormatError> {
    let budget = &mut Budget::new(limits.memory);
    Ok(file::parse(bytes, limits, budget)?.checkpoint)
}

/// Saves `checkpoint` at `path` in that form, replacing what was saved there before in one step.
///
/// # Errors
/// [`FormatError::Unfit`], or [`FormatError::NotSaved`], which says what stands at `path` now.
pub fn save(checkpoint: &Checkpoint<'_>, path: &Path, format: Format) -> Result<(), FormatError> {
    save_reported(checkpoint, path, format, Recipient::default()).map(drop)
}

/// Saves for the program that is to read it, if it is saved for another than keepnet, and tells what that
/// will not see of the model. Any Keras reads what was saved for the other; it may not train on from there.
///
/// # Errors
/// As [`save`].
pub fn save_reported(
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    format: Format,
    recipient: impl Into<Recipient>,
) -> Result<Vec<keras::Hidden>, FormatError> {
    let saved = save_reported_on(&RealFs, checkpoint, path, format, recipient.into());
    saved.map(|(_, hidden)| hidden)
}

/// Saves the parameters alone, for `load_weights` of Keras: as `.weights.h5`, or as `.h5` in the way of
/// Keras 2. Into `.weights.h5` goes what the optimizer remembers too, in the order of `target`.
///
/// # Errors
/// As [`save`], and [`FormatError::WeightsExtension`] for another name.
pub fn save_weights(
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    target: keras::Reader,
) -> Result<(), FormatError> {
    let arrangement = match Format::for_saving(path) {
        Err(FormatError::WeightsName) => keras::Arrangement::ByClass(target),
        Ok(Format::Hdf5) => keras::Arrangement::ByName,
        _ => return Err(FormatError::WeightsExtension.at(path)),
    };
    let saved = keras::save_weights(&RealFs, checkpoint, path, arrangement);
    saved.map_err(|error| error.at(path))
}

/// Tells what a new file is, if the file system does.
pub(crate) fn save_on<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    format: Format,
) -> Result<Option<Stat>, FormatError> {
    save_reported_on(fs, checkpoint, path, format, Recipient::default()).map(|(stat, _)| stat)
}

fn save_reported_on<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    format: Format,
    Recipient { target, layout }: Recipient,
) -> Result<(Option<Stat>, Vec<keras::Hidden>), FormatError> {
    let saved = match format {
        Format::File => file::save(fs, checkpoint, path).map(|stat| (stat, Vec::new())),
        Format::Directory => directory::save(fs, checkpoint, path).map(|()| (None, Vec::new())),
        Format::Keras | Format::Hdf5 => keras::save(fs, checkpoint, path, format, target),
        Format::Onnx => onnx::save(fs, checkpoint, path).map(|stat| (stat, Vec::new())),
        Format::Safetensors => {
            safetensors::save(fs, checkpoint, path, layout).map(|stat| (stat, Vec::new()))
        }
        Format::SavedModel => savedmodel::save(fs, checkpoint, path).map(|()| (None, Vec::new())),
    };
    saved.map_err(|error| error.at(path))
}

/// Loads what stands at `path`, in whatever native form it is.
///
/// # Errors
/// As [`from_bytes`], with the path.
pub fn load(path: &Path, limits: &Limits) -> Result<Checkpoint<'static>, FormatError> {
    load_on(&RealFs, path, limits)
}

pub(crate) fn load_on<F: Fs>(
    fs: &F,
    path: &Path,
    limits: &Limits,
) -> Result<Checkpoint<'static>, FormatError> {
    load_reported_on(fs, path, &limits.into()).map(|(checkpoint, _)| checkpoint)
}

/// Loads what stands at `path` and tells what became of it, if another program than keepnet wrote it.
///
/// # Errors
/// As [`load`], and if the shapes of its inputs are not those asked for.
pub fn load_reported(
    path: &Path,
    options: impl Into<LoadOptions>,
) -> Result<(Checkpoint<'static>, Option<keras::Report>), FormatError> {
    load_reported_on(&RealFs, path, &options.into())
}

fn load_reported_on<F: Fs>(
    fs: &F,
    path: &Path,
    options: &LoadOptions,
) -> Result<(Checkpoint<'static>, Option<keras::Report>), FormatError> {
    let loaded = match Format::detect_on(fs, path)? {
        Format::File | Format::Directory => {
            with_parsed(fs, path, None, &options.limits, |_, parsed| Ok((parsed.checkpoint, None)))?
        }
        form @ (Format::Keras | Format::Hdf5) => {
            let loaded = keras::load_on(fs, path, form, options).map_err(|error| error.at(path))?;
            (loaded.checkpoint, Some(loaded.report))
        }
        Format::Onnx => {
            let loaded = onnx::load_on(fs, path, options).map_err(|error| error.at(path))?;
            (loaded.checkpoint, Some(loaded.report))
        }
        Format::Safetensors => {
            let loaded = safetensors::load_on(fs, path, &options.limits);
            let loaded = loaded.map_err(|error| error.at(path))?;
            (loaded.checkpoint, Some(loaded.report))
        }
        Format::SavedModel => {
            let loaded = savedmodel::load_on(fs, path, options).map_err(|error| error.at(path))?;
            (loaded.checkpoint, Some(loaded.report))
        }
    };
    options.check(&loaded.0.graph).map_err(|error| error.at(path))?;
    Ok(loaded)
}

/// Loads the weights that stand alone at `weights`, in a `.safetensors` file or in a `.weights.h5` or `.h5`
/// file of Keras, into the architecture at `architecture`: the text that `to_json` of Keras gives, or a model in any form. What it
/// was compiled with comes along, and what the optimizer remembers if it stands beside the weights. Tells
/// what became of the weights.
///
/// # Errors
/// As [`load`], and if the weights are not those of the architecture: the error names the layer.
pub fn load_with_weights(
    architecture: &Path,
    weights: &Path,
    options: impl Into<LoadOptions>,
) -> Result<(Checkpoint<'static>, keras::Report), FormatError> {
    let options = options.into();
    let found = keras::Architecture::read_on(&RealFs, architecture, &options.limits)?;
    let Loaded { checkpoint, report } = match Format::detect(weights)? {
        Format::Safetensors => {
            let network = found.into_network(&options);
            let network = network.map_err(|error| FormatError::from(error).at(architecture))?;
            safetensors_into(&network.graph, network.compile.as_ref(), weights, &options.limits)
                .map(|loaded| loaded.with_notices(network.notices))?
        }
        _ => found.with_weights_on(&RealFs, weights, &options)?,
    };
    options.check(&checkpoint.graph).map_err(|error| error.at(architecture))?;
    Ok((checkpoint, report))
}

/// Loads the weights at `path` as [`load_with_weights`], into the graph of `checkpoint` and with its compile
/// settings.
///
/// # Errors
/// As [`load_with_weights`].
pub fn load_weights(
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    limits: &Limits,
) -> Result<(Checkpoint<'static>, keras::Report), FormatError> {
    let Loaded { checkpoint, report } = match Format::detect(path)? {
        Format::Safetensors => {
            safetensors_into(&checkpoint.graph, checkpoint.compile.as_ref(), path, limits)?
        }
        _ => keras::load_weights_on(&RealFs, checkpoint, path, limits)?,
    };
    Ok((checkpoint, report))
}

fn safetensors_into(
    graph: &Graph,
    compile: Option<&CompileSettings>,
    path: &Path,
    limits: &Limits,
) -> Result<Loaded, FormatError> {
    let loaded = safetensors::load_weights_on(&RealFs, graph, compile, path, limits);
    loaded.map_err(|error| error.at(path))
}

/// Loads the architecture alone of what stands at `path`: the text that `to_json` of Keras gives, or a model
/// in any form. [`Model::new`](crate::nn::Model::new) makes a model of it with new parameters.
///
/// # Errors
/// As [`load`].
pub fn load_architecture(
    path: &Path,
    options: impl Into<LoadOptions>,
) -> Result<Graph, FormatError> {
    let options = options.into();
    let found =
        keras::Architecture::read_on(&RealFs, path, &options.limits)?.into_network(&options);
    let graph = found.map_err(|error| FormatError::from(error).at(path))?.graph;
    options.check(&graph).map_err(|error| error.at(path))?;
    Ok(graph)
}

/// Describes what stands at `path` down to places and checksums. Everything is checked, as by
/// [`load`].
///
/// # Errors
/// As [`load`].
pub fn inspect(path: &Path) -> Result<Inspection, FormatError> {
    with_parsed(&RealFs, path, None, &Limits::default(), |form, parsed| {
        Ok(Inspection::new(form, &parsed))
    })
}

/// Loads and describes what stands at `path` in one reading, so that the description is of what
/// was loaded.
///
/// # Errors
/// As [`load`].
pub fn load_and_inspect(
    path: &Path,
    limits: &Limits,
) -> Result<(Checkpoint<'static>, Inspection), FormatError> {
    with_parsed(&RealFs, path, None, limits, |form, parsed| {
        let inspection = Inspection::new(form, &parsed);
        Ok((parsed.checkpoint, inspection))
    })
}

/// Turns the directory form at `directory` into the file form at `file`.
///
/// # Errors
/// As [`load`] and [`save`]; and [`FormatError::WouldLose`] for sections of a newer version.
pub fn pack(directory: &Path, file: &Path) -> Result<(), FormatError> {
    convert(directory, Format::Directory, file, Format::File)
}

/// Turns the file form at `file` into the directory form at `directory`.
///
/// # Errors
/// As [`pack`].
pub fn unpack(file: &Path, directory: &Path) -> Result<(), FormatError> {
    convert(file, Format::File, directory, Format::Directory)
}

fn convert(from: &Path, form: Format, to: &Path, into: Format) -> Result<(), FormatError> {
    with_parsed(&RealFs, from, Some(form), &Limits::default(), |_, parsed| {
        match parsed.checkpoint.passed_over.first() {
            Some(id) => Err(FormatError::WouldLose { id: id.clone() }.at(from)),
            None => save(&parsed.checkpoint, to, into),
        }
    })
}

/// Reads what stands at `path` and hands it on; `form` is the one asked for, if any.
fn with_parsed<F: Fs, T>(
    fs: &F,
    path: &Path,
    form: Option<Format>,
    limits: &Limits,
    then: impl FnOnce(Format, Parsed<'static>) -> Result<T, FormatError>,
) -> Result<T, FormatError> {
    let found = Format::detect_on(fs, path)?;
    if let Some(expected) = form.filter(|&expected| expected != found) {
        return Err(FormatError::OtherForm { expected, found }.at(path));
    }
    let budget = &mut Budget::new(limits.memory);
    let parsed = match found {
        Format::File => file::read(fs, path, limits, budget),
        Format::Directory => directory::parse(fs, path, limits, budget),
        Format::Keras | Format::Hdf5 => Err(FormatError::OfKeras { what: "sections to inspect" }),
        Format::Safetensors | Format::SavedModel | Format::Onnx => {
            Err(FormatError::HasNone { found, what: "sections to inspect" })
        }
    };
    then(found, parsed.map_err(|error| error.at(path))?)
}
