//! Saving and loading: where running models meet the formats.

use std::path::Path;

use crate::error::Error;
use crate::format::{self, Format, Limits, SaveOptions};
use crate::model::Checkpoint;
use crate::nn::{Model, Verification};

impl Model {
    /// Saves the model at `path`, everything that training needs to go on included. The extension
    /// chooses the form: `.knet` for one file; a trailing `/` or no extension for the directory form.
    ///
    /// What stood there before is replaced in one step: whatever happens, the old model or the new
    /// one can be loaded.
    ///
    /// # Errors
    /// If the form is unknown or the model cannot be written; the message says what stands at
    /// `path` then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.save_with(path, SaveOptions::default())
    }

    /// Saves what `options` ask for.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_with(&self, path: impl AsRef<Path>, options: SaveOptions) -> Result<(), Error> {
        let path = path.as_ref();
        let form = Format::for_saving(path)?;
        Ok(format::save(&self.checkpoint_for(options)?, path, form)?)
    }

    /// The bytes that [`save_with`](Self::save_with) would write to a `.knet` file.
    ///
    /// # Errors
    /// As [`save`](Self::save), short of writing.
    pub fn to_bytes(&self, options: SaveOptions) -> Result<Vec<u8>, Error> {
        Ok(format::to_bytes(&self.checkpoint_for(options)?)?)
    }

    fn checkpoint_for(&self, options: SaveOptions) -> Result<Checkpoint<'_>, Error> {
        let proof = if options.proof { self.prove()? } else { None };
        Ok(options.apply(Checkpoint { proof, ..self.to_checkpoint() }))
    }

    /// Loads the model at `path`, whichever form it has; the content decides, not the name.
    ///
    /// # Errors
    /// If anything about it is wrong: a damaged file is refused, never half believed.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::load_with(path, &Limits::default())
    }

    /// Loads within other limits than the default ones.
    ///
    /// # Errors
    /// As [`load`](Self::load), and if a limit is exceeded.
    pub fn load_with(path: impl AsRef<Path>, limits: &Limits) -> Result<Self, Error> {
        let model = |checkpoint: Checkpoint<'_>| Self::from_checkpoint(&checkpoint);
        Ok(format::load_then(path.as_ref(), limits, model)??)
    }

    /// Loads from the bytes of a `.knet` file.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self::from_checkpoint(&format::from_bytes(bytes, &Limits::default())?)?)
    }
}

/// Checks the model at `path` in every part, then lets it answer the probe saved with it. `None`
/// where no proof was saved.
///
/// # Errors
/// As [`Model::load`].
pub fn verify(path: impl AsRef<Path>) -> Result<Option<Verification>, Error> {
    let verified = |checkpoint: Checkpoint<'_>| {
        let model = Model::from_checkpoint(&checkpoint)?;
        checkpoint.proof.as_ref().map(|proof| model.verify(proof)).transpose()
    };
    Ok(format::load_then(path.as_ref(), &Limits::default(), verified)??)
}
