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
pub mod keras;
mod kind;
mod limits;
mod options;
#[cfg(test)]
mod power_loss_tests;
mod version;

use std::path::Path;

use crate::bytes::Budget;
use crate::bytes::fs::{Fs, RealFs, Stat};
use crate::model::Checkpoint;

pub use content::{ContentError, Role, SectionId};
pub use error::{Fault, FormatError};
pub(crate) use file::Mapped;
pub use inspection::{EpochInfo, Inspection, ProofInfo, SectionInfo, TensorInfo};
pub use kind::{Format, Kind};
pub use limits::Limits;
pub use options::{LoadOptions, SaveOptions};
pub use version::Version;

use inspection::Parsed;

/// How the file form begins.
pub(crate) const SIGNATURE: &[u8] = &file::SIGNATURE;

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
    save_reported(checkpoint, path, format).map(drop)
}

/// Saves, and tells what Keras will not see of the model if it is saved for Keras.
///
/// # Errors
/// As [`save`].
pub fn save_reported(
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    format: Format,
) -> Result<Vec<keras::Hidden>, FormatError> {
    save_reported_on(&RealFs, checkpoint, path, format).map(|(_, hidden)| hidden)
}

/// Tells what a new file is, if the file system does.
pub(crate) fn save_on<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    format: Format,
) -> Result<Option<Stat>, FormatError> {
    save_reported_on(fs, checkpoint, path, format).map(|(stat, _)| stat)
}

fn save_reported_on<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    format: Format,
) -> Result<(Option<Stat>, Vec<keras::Hidden>), FormatError> {
    let saved = match format {
        Format::File => file::save(fs, checkpoint, path).map(|stat| (stat, Vec::new())),
        Format::Directory => directory::save(fs, checkpoint, path).map(|()| (None, Vec::new())),
        Format::Keras | Format::Hdf5 => keras::save(fs, checkpoint, path, format),
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
    };
    options.check(&loaded.0.graph).map_err(|error| error.at(path))?;
    Ok(loaded)
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
        Format::Keras | Format::Hdf5 => Err(FormatError::OfKeras { what: "checksums to inspect" }),
    };
    then(found, parsed.map_err(|error| error.at(path))?)
}
