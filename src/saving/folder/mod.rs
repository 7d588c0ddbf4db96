//! A folder of checkpoints: written beside training, rotated, and searched for the newest that can
//! be believed.

mod checkpoints;
mod newest;
#[cfg(test)]
mod power_loss_tests;

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::bytes::fs::RealFs;
use crate::error::Error;
use crate::model::Checkpoint;
use crate::nn::Model;
use crate::train::CallbackError;
use crate::train::callbacks::CheckpointStore;
use checkpoints::{Checkpoints, Known};
pub use newest::{Doubt, NewestCheckpoint, newest_checkpoint, newest_checkpoint_with};

/// What can go wrong with a folder of checkpoints.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    #[error(transparent)]
    Model(#[from] Error),
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{} is a sound model that is not of this training, or of a newer keepnet; keep checkpoints in another \
         folder",
        path.display()
    )]
    Foreign { path: PathBuf },
    #[error("nothing was saved: the model has done {done} steps, not the {step} of the checkpoint")]
    Step { step: u64, done: u64 },
    /// The folder, or what stands in the place of the checkpoint, cannot be looked at.
    #[error("the checkpoint of step {step} was not saved, and all others stand: {source}")]
    NotSaved { step: u64, source: Box<Self> },
    #[error("the checkpoint of step {step} is saved, but older ones stay beside it: {source}")]
    NotRotated { step: u64, source: Box<Self> },
    #[error("the thread that saves checkpoints has panicked")]
    Panicked,
}

/// Keeps checkpoints as `step-0000450.knet` in a folder, numbered by the optimizer's steps.
///
/// A checkpoint is copied, then saved by a thread of its own while training goes on; the next one
/// waits until it stands. Older ones go when the new one is on the disk, so that whatever happens, all
/// that were to stay before it are there, or all that are to stay after it.
///
/// The best one is never removed before a better one stands. Where it is gone or damaged, the others are
/// rotated without it.
///
/// A file is removed only if its name is that of a checkpoint, it is sound in every byte, and it holds
/// a step of that number of the same training: what somebody has put there, changed or damaged
/// stays, and what a newer keepnet has written in part. What was saved or read here and has not changed since, by the file system's word, is not
/// read once more. A damaged file of the name of a new checkpoint is replaced; a sound one of another training,
/// or one that cannot be read, is not, and saving fails.
#[derive(Debug)]
pub struct CheckpointFolder {
    folder: PathBuf,
    saving: Option<JoinHandle<(Result<(), CheckpointError>, Known)>>,
    known: Known,
    saved: u64,
    held_up: Duration,
}

impl CheckpointFolder {
    /// Makes the folder if it is not there. Removes what processes have left there that died while
    /// they saved a checkpoint.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, CheckpointError> {
        let folder = folder.into();
        Checkpoints::create(&RealFs, &folder)?;
        Ok(Self {
            folder,
            saving: None,
            known: Known::default(),
            saved: 0,
            held_up: Duration::ZERO,
        })
    }

    /// The steps of which checkpoints are there by name, ascending.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>, CheckpointError> {
        self.checkpoints()?.steps()
    }

    /// Whether all sound checkpoints that are there are of the training that `model` is in, and wholly
    /// known to this keepnet.
    ///
    /// # Errors
    /// If the folder, or what may be a sound checkpoint, cannot be read.
    pub fn belongs_to(&self, model: &Model) -> Result<bool, CheckpointError> {
        Ok(!self.checkpoints()?.hold_another(&model.to_checkpoint())?)
    }

    /// How many checkpoints were made.
    pub fn saved(&self) -> u64 {
        self.saved
    }

    /// How long training has waited for them.
    pub fn held_up(&self) -> Duration {
        self.held_up
    }

    fn checkpoints(&self) -> Result<Checkpoints<'_, RealFs>, CheckpointError> {
        Checkpoints::open(&RealFs, &self.folder)
    }

    fn wait(&mut self) -> Result<(), CheckpointError> {
        let Some(saving) = self.saving.take() else { return Ok(()) };
        let (saved, known) = saving.join().map_err(|_| CheckpointError::Panicked)?;
        self.known = known;
        saved
    }

    fn begin(
        &mut self,
        model: &Model,
        step: u64,
        last: usize,
        best: Option<u64>,
    ) -> Result<(), CheckpointError> {
        self.wait()?;
        let proof = model.prove().map_err(Error::from)?;
        let checkpoint = Checkpoint { proof, ..model.to_checkpoint() }.into_owned();
        let folder = self.folder.clone();
        let mut known = mem::take(&mut self.known);
        let save = move || {
            let saved = Checkpoints::open(&RealFs, &folder)
                .map_err(|source| CheckpointError::NotSaved { step, source: source.into() })
                .and_then(|folder| folder.keep(&checkpoint, step, last, best, &mut known));
            (saved, known)
        };
        let started = thread::Builder::new().name("checkpoint".to_owned()).spawn(save);
        self.saving = Some(started.map_err(cannot("start to save into", &self.folder))?);
        self.saved += 1;
        Ok(())
    }
}

impl CheckpointStore for CheckpointFolder {
    fn keep(
        &mut self,
        model: &Model,
        step: u64,
        last: usize,
        best: Option<u64>,
    ) -> Result<(), CallbackError> {
        let started = Instant::now();
        let begun = self.begin(model, step, last, best);
        self.held_up += started.elapsed();
        Ok(begun?)
    }

    fn finish(&mut self) -> Result<(), CallbackError> {
        let started = Instant::now();
        let waited = self.wait();
        self.held_up += started.elapsed();
        Ok(waited?)
    }
}

/// What is being saved when training fails is saved all the same.
impl Drop for CheckpointFolder {
    fn drop(&mut self) {
        // Training has failed already: there is nobody to be told of another error.
        let _ = self.wait();
    }
}

fn cannot(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::Io { action, path, source }
}
