//! Saving and loading: where running models meet the formats.

mod folder;
mod mapped;

use std::path::Path;

use crate::error::Error;
use crate::format::{self, Format, Limits, LoadOptions, SaveOptions, keras};
use crate::model::Checkpoint;
use crate::nn::{Model, SHARD, Verification};

pub use folder::{
    CheckpointError, CheckpointFolder, Doubt, NewestCheckpoint, newest_checkpoint,
    newest_checkpoint_with,
};
pub use mapped::MappedModel;

impl Model {
    /// Saves the model at `path`, everything that training needs to go on included. The extension
    /// chooses the form: `.knet` for one file; a trailing `/` or no extension for the directory form;
    /// `.keras` and `.h5` for Keras, `.safetensors`. What other programs have no words for stands beside,
    /// for keepnet.
    ///
    /// What stood there before is replaced in one step: whatever happens, the old model or the new
    /// one can be loaded. (A model that takes more memory than the default [`Limits`] allow is saved
    /// too, and loaded by [`load_with`](Self::load_with).)
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
        self.save_reported(path, options).map(drop)
    }

    /// Saves, and tells what Keras will not see of the model if it is saved for Keras.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_reported(
        &self,
        path: impl AsRef<Path>,
        options: SaveOptions,
    ) -> Result<Vec<keras::Hidden>, Error> {
        let path = path.as_ref();
        self.save_as(path, Format::for_saving(path)?, options)
    }

    /// Saves in that form, whatever the name: as a SavedModel for TensorFlow, say.
    ///
    /// ```
    /// use keepnet::format::{Format, SaveOptions};
    /// # use keepnet::{Activation, Model, Sequential};
    /// # fn main() -> Result<(), keepnet::Error> {
    /// # let home = std::env::temp_dir().join(format!("keepnet-savedmodel-{}", std::process::id()));
    /// # std::fs::create_dir_all(&home).expect("a temporary directory");
    /// # let path = home.join("digits");
    /// # let model = Sequential::new([4]).dense(2, Activation::Softmax).build(1)?;
    /// model.save_as(&path, Format::SavedModel, SaveOptions::default())?;
    /// let again = Model::load(&path)?;
    /// assert_eq!(again.to_checkpoint().tensors, model.to_checkpoint().tensors); // every bit
    /// # std::fs::remove_dir_all(&home).expect("ours");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_as(
        &self,
        path: impl AsRef<Path>,
        form: Format,
        options: SaveOptions,
    ) -> Result<Vec<keras::Hidden>, Error> {
        let checkpoint = self.checkpoint_for(options)?;
        Ok(format::save_reported(&checkpoint, path.as_ref(), form, options.recipient())?)
    }

    /// Saves the parameters alone, as `save_weights` of Keras does and for its `load_weights`: as
    /// `.weights.h5`, with what the optimizer remembers in the order of Keras 3, or as `.h5` in the way of
    /// Keras 2. In one step, as [`save`](Self::save).
    ///
    /// # Errors
    /// If the name ends in anything else, or the weights cannot be written.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let target = keras::Reader::default();
        Ok(format::save_weights(&self.to_checkpoint(), path.as_ref(), target)?)
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
        let path = path.as_ref();
        within(format::load(path, limits)?, limits, Some(path))
    }

    /// Loads, and tells what became of the model if another program than keepnet has saved it. A model
    /// of Keras that takes any size is given its shapes here:
    ///
    /// ```no_run
    /// use keepnet::format::LoadOptions;
    /// use keepnet::{Model, Shape};
    ///
    /// # fn main() -> Result<(), keepnet::Error> {
    /// let input_shapes = vec![Shape::image(224, 224, 3)]; // for (None, None, 3)
    /// let options = LoadOptions { input_shapes, ..Default::default() };
    /// let (model, report) = Model::load_reported("any_size.keras", options)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`load_with`](Self::load_with), and if the shapes of its inputs are not those asked for.
    pub fn load_reported(
        path: impl AsRef<Path>,
        options: impl Into<LoadOptions>,
    ) -> Result<(Self, Option<keras::Report>), Error> {
        let (path, options) = (path.as_ref(), options.into());
        let limits = options.limits;
        let (checkpoint, report) = format::load_reported(path, options)?;
        Ok((within(checkpoint, &limits, Some(path))?, report))
    }

    /// Puts the weights that stand alone at `weights`, in a `.safetensors` file or in a `.weights.h5` or
    /// `.h5` file of Keras, into the architecture at `architecture`: the text that `to_json` of Keras gives, or a model in any
    /// form. Tells what became of them.
    ///
    /// # Errors
    /// As [`load`](Self::load), and if the weights are not those of the architecture.
    pub fn load_with_weights(
        architecture: impl AsRef<Path>,
        weights: impl AsRef<Path>,
        options: impl Into<LoadOptions>,
    ) -> Result<(Self, keras::Report), Error> {
        let (architecture, options) = (architecture.as_ref(), options.into());
        let limits = options.limits;
        let (checkpoint, report) =
            format::load_with_weights(architecture, weights.as_ref(), options)?;
        Ok((within(checkpoint, &limits, Some(architecture))?, report))
    }

    /// Takes the parameters from the weights at `path`, as `load_weights` of Keras does: a `.weights.h5`
    /// or `.h5` file, or a whole model of Keras of the same layers; or a `.safetensors` file. If the model is compiled and the file
    /// holds what the optimizer remembers, that too. A fit that was under way is forgotten. Tells what
    /// became of the weights.
    ///
    /// [`load_weights`](Self::load_weights) takes those of a model of keepnet, by their names. Models
    /// inside the model became part of it when it was loaded:
    /// [`load_with_weights`](Self::load_with_weights) knows them still.
    ///
    /// # Errors
    /// If a weight is missing, too many or of another shape. The model is as it was then.
    pub fn load_weights_from(&mut self, path: impl AsRef<Path>) -> Result<keras::Report, Error> {
        let own = self.to_checkpoint();
        let (found, report) = format::load_weights(&own, path.as_ref(), &Limits::default())?;
        let (tensors, optimizer) = (found.tensors, found.optimizer.or(own.optimizer));
        let mut model = Self::assemble(Checkpoint { tensors, optimizer, ..own })?;
        model.forget_fit();
        *self = model;
        Ok(report)
    }

    /// Loads from the bytes of a `.knet` file.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_bytes_with(bytes, &Limits::default())
    }

    /// Loads from the bytes of a `.knet` file, within other limits than the default ones.
    ///
    /// # Errors
    /// As [`load_with`](Self::load_with).
    pub fn from_bytes_with(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        within(format::from_bytes(bytes, limits)?, limits, None)
    }

    /// The model that a checkpoint describes, unless running it takes more than `limits` allow: a
    /// few bytes of architecture can ask for any amount of memory.
    ///
    /// # Errors
    /// As [`from_checkpoint`](Self::from_checkpoint), and if a limit is exceeded.
    pub fn from_checkpoint_within(
        checkpoint: &Checkpoint<'_>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        within(checkpoint.borrowed(), limits, None)
    }
}

/// The model of a checkpoint, read from `path` if from any, as far as the limits allow.
fn within(
    checkpoint: Checkpoint<'_>,
    limits: &Limits,
    path: Option<&Path>,
) -> Result<Model, Error> {
    let checked = limits.check_network(&checkpoint.graph, SHARD, checkpoint.compile.is_some());
    checked.map_err(|error| match path {
        Some(path) => error.at(path),
        None => error,
    })?;
    Ok(Model::assemble(checkpoint)?)
}

/// Checks the model at `path` in every part, then lets it answer the probe saved with it. `None`
/// where no proof was saved.
///
/// # Errors
/// As [`Model::load`].
pub fn verify(path: impl AsRef<Path>) -> Result<Option<Verification>, Error> {
    let (path, limits) = (path.as_ref(), Limits::default());
    let mut checkpoint = format::load(path, &limits)?;
    let proof = checkpoint.proof.take();
    let model = within(checkpoint, &limits, Some(path))?;
    Ok(proof.map(|proof| model.verify(&proof)).transpose()?)
}
