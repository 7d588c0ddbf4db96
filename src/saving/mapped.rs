//! A model whose parameters stay in its file.

use std::collections::BTreeMap;

use ndarray::ArrayD;

use super::within;
use crate::bytes::MappedFile;
use crate::error::Error;
use crate::format::{Limits, Mapped, SaveOptions};
use crate::model::{Graph, Proof};
use crate::nn::{Model, ModelError, Verification};
use crate::report::Summary;
use crate::tensor::Samples;

/// A model that predicts from parameters that lie in its file. To open one takes milliseconds,
/// however large it is: a page of the file is read when it is first needed, and processes that map
/// one file share its memory.
///
/// It is opened **before** its parameters are checked; [`verify`](Self::verify) reads and checks
/// them all. What training needs stays in the file.
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
///
/// It is no [`Model`] and gives none: saved, numbers that nobody has checked would get digests and
/// a proof of their own. [`Model::load`] checks them all and loads the rest of the file too.
///
/// ```compile_fail,E0599
/// fn launder(mapped: &keepnet::MappedModel) {
///     mapped.save("copy.knet");
/// }
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
        let kept = SaveOptions { metadata: true, ..SaveOptions::weights_only() };
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

    /// The output for each sample, as of [`Model::predict`].
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn predict(&self, input: &Samples) -> Result<ArrayD<f32>, ModelError> {
        self.model.predict(input)
    }

    /// All outputs for all inputs, as of [`Model::predict_all`].
    ///
    /// # Errors
    /// As [`Model::predict_all`].
    pub fn predict_all(&self, inputs: &[Samples]) -> Result<Vec<ArrayD<f32>>, ModelError> {
        self.model.predict_all(inputs)
    }

    /// The network, with the shapes that it takes and gives.
    pub fn graph(&self) -> &Graph {
        self.model.graph()
    }

    /// The table of the network's layers, to be printed.
    pub fn summary(&self) -> Summary {
        self.model.summary()
    }

    /// The notes that were saved with the model.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.model.metadata
    }
}
