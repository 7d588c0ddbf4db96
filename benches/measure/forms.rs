//! W1 in the forms of other programs: what each of these measures.

use std::error::Error;
use std::path::{Path, PathBuf};

use keepnet::format::{Format, SaveOptions};
use keepnet::{Error as KeepnetError, Model};

use crate::in_turn::{Work, timed};
use crate::without_kept;

/// A model that is saved and loaded.
pub(crate) struct Forms<'a> {
    model: &'a Model,
    /// Of a file system in memory, where there is one: what is timed writes there, keepnet and others.
    memory: Option<&'a Path>,
    /// Of a file system on a disk, where what keepnet writes is flushed.
    disk: &'a Path,
}

impl<'a> Forms<'a> {
    pub(crate) fn new(model: &'a Model, memory: Option<&'a Path>, disk: &'a Path) -> Self {
        Self { model, memory, disk }
    }

    /// Where the files of all programs are.
    pub(crate) fn folder(&self) -> &'a Path {
        self.memory.unwrap_or(self.disk)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Saves it where flushing costs nothing.
    pub(crate) fn save(&self, form: Format, name: &str, options: SaveOptions) -> Option<Work<'a>> {
        self.memory.map(|memory| self.saving(memory.join(name), form, options))
    }

    /// Saves it, flushed and put in place.
    pub(crate) fn save_flushed(
        &self,
        form: Format,
        name: &str,
        options: SaveOptions,
    ) -> Option<Work<'a>> {
        Some(self.saving(self.disk.join(name), form, options))
    }

    fn saving(&self, path: PathBuf, form: Format, options: SaveOptions) -> Work<'a> {
        let model = self.model;
        timed(move || model.save_as(&path, form, options))
    }

    /// Loads a whole model.
    pub(crate) fn load(&self, name: &str) -> Option<Work<'a>> {
        let path = self.path(name);
        Some(timed(move || Model::load(&path)))
    }

    /// Loads weights alone into the model's architecture.
    pub(crate) fn load_weights(&self, name: &str) -> Result<Option<Work<'a>>, KeepnetError> {
        let path = self.path(name);
        let mut model = Model::from_checkpoint(&self.model.to_checkpoint())?;
        Ok(Some(timed(move || model.load_weights_from(&path))))
    }

    /// Puts the model there, whole.
    pub(crate) fn put(
        &self,
        form: Format,
        name: &str,
        options: SaveOptions,
    ) -> Result<(), KeepnetError> {
        self.model.save_as(self.path(name), form, options).map(drop)
    }

    /// Puts the model there, without what keepnet keeps beside.
    pub(crate) fn put_bare(&self, form: Format, name: &str) -> Result<(), Box<dyn Error>> {
        self.put(form, name, SaveOptions::default())?;
        without_kept::strip(&self.path(name))
    }
}
