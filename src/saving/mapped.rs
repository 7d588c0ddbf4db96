//! A model whose parameters stay in its file.

use std::ops::Deref;

use super::within;
use crate::bytes::MappedFile;
use crate::error::Error;
use crate::format::{Limits, Mapped, SaveOptions};
use crate::model::Proof;
use crate::nn::{Model, Verification};

/// A model that predicts from parameters that lie in its file. To open one takes milliseconds,
/// however large it is: a page of the file is read when it is first needed, and processes that map
/// one file share its memory.
///
/// It is opened **before** its parameters are checked; [`verify`](Self::verify) reads and checks
/// them all. What training needs stays in the file; [`Model::load`] loads it, and a clone of the
/// model has parameters of its own.
///
/// ```no_run
/// use keepnet::{MappedFile, MappedModel};
///
/// # fn main() -> Result<(), keepnet::Error> {
/// // SAFETY: the model is installed once and never written to.
/// let file = unsafe { MappedFile::open("model.knet") }?;
/// let model = MappedModel::new(file)?;
/// model.verify()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MappedModel {
    model: Model,
    proof: Option<Proof<'static>>,
    file: Mapped,
}

impl MappedModel {
    /// Reads and checks everything in `file` but the numbers, which must be in the file form.
    ///
    /// # Errors
    /// If anything that was read is wrong.
    pub fn new(file: MappedFile) -> Result<Self, Error> {
        Self::with_limits(file, &Limits::default())
    }

    /// Opens within other limits than the default ones.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if a limit is exceeded.
    pub fn with_limits(file: MappedFile, limits: &Limits) -> Result<Self, Error> {
        let (checkpoint, file) = Mapped::open(file, limits)?;
        let kept = SaveOptions { history: true, metadata: true, ..SaveOptions::weights_only() };
        let proof = checkpoint.proof.clone();
        let model = within(kept.apply(checkpoint), limits, Some(file.path()))?;
        Ok(Self { model, proof, file })
    }

    /// Reads all of the file and checks it as [`Model::load`] does, then lets the model answer the
    /// probe saved with it. `None` where no proof was saved.
    ///
    /// # Errors
    /// If anything is wrong: do not believe what the model predicted so far.
    pub fn verify(&self) -> Result<Option<Verification>, Error> {
        self.file.check()?;
        Ok(self.proof.as_ref().map(|proof| self.model.verify(proof)).transpose()?)
    }
}

impl Deref for MappedModel {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}
