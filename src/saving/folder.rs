//! A folder of checkpoints: written beside training, rotated, and searched for the newest that can
//! be believed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::bytes::atomic::create_directories;
use crate::error::Error;
use crate::format::{self, Format, Limits};
use crate::model::Checkpoint;
use crate::nn::{Model, Verification};
use crate::train::CallbackError;
use crate::train::callbacks::CheckpointStore;

/// What can go wrong with a folder of checkpoints.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    #[error(transparent)]
    Model(#[from] Error),
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{} is a sound checkpoint of another training; keep checkpoints in another folder",
        path.display()
    )]
    Foreign { path: PathBuf },
    #[error("the thread that saves checkpoints has panicked")]
    Panicked,
}

/// Keeps checkpoints as `step-0000450.knet` in a folder, numbered by the optimizer's steps.
///
/// A checkpoint is copied, then saved by a thread of its own while training goes on; the next one
/// waits until it stands. A file is removed only if its name is that of a checkpoint, it is sound in
/// every byte, and it holds a step of that number of the same training: what somebody has put
/// there, changed or damaged stays. A damaged file of the name of a new checkpoint is replaced; a sound
/// one of another training is not, and saving fails.
#[derive(Debug)]
pub struct CheckpointFolder {
    folder: PathBuf,
    saving: Option<JoinHandle<Result<(), CheckpointError>>>,
    saved: u64,
    held_up: Duration,
}

/// The newest checkpoint of a folder that can be believed, if there is one.
#[derive(Debug)]
pub struct NewestCheckpoint {
    pub found: Option<(PathBuf, Model)>,
    /// Newer ones, and why they cannot.
    pub skipped: Vec<(PathBuf, Doubt)>,
}

/// Why a checkpoint is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Doubt {
    #[error(transparent)]
    Model(#[from] Error),
    #[error("its model does not answer as it did when it was saved")]
    Answers,
    #[error("it holds step {found}, not that of its name")]
    Step { found: u64 },
    #[error("no training is under way in it")]
    NoFit,
}

impl CheckpointFolder {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, CheckpointError> {
        let folder = folder.into();
        create_directories(&folder).map_err(cannot("make the folder", &folder))?;
        Ok(Self { folder, saving: None, saved: 0, held_up: Duration::ZERO })
    }

    /// The steps of which checkpoints are there by name, ascending.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>, CheckpointError> {
        steps_in(&self.folder)
    }

    /// Whether all sound checkpoints that are there are of the training that `model` is in.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn belongs_to(&self, model: &Model) -> Result<bool, CheckpointError> {
        let checkpoint = model.to_checkpoint();
        let other = |step: u64| is_another(&path_of(&self.folder, step), step, &checkpoint);
        Ok(!self.steps()?.into_iter().any(other))
    }

    /// How many checkpoints were made.
    pub fn saved(&self) -> u64 {
        self.saved
    }

    /// How long training has waited for them.
    pub fn held_up(&self) -> Duration {
        self.held_up
    }

    fn wait(&mut self) -> Result<(), CheckpointError> {
        match self.saving.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(_)) => Err(CheckpointError::Panicked),
        }
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
        let save = move || {
            let path = path_of(&folder, step);
            if is_another(&path, step, &checkpoint) {
                return Err(CheckpointError::Foreign { path });
            }
            format::save(&checkpoint, &path, Format::File).map_err(Error::from)?;
            rotate(&folder, &checkpoint, step, last, best)
        };
        let started = thread::Builder::new().spawn(save);
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

/// The newest checkpoint in `folder` that is sound in every part, answers its probe, and holds a fit
/// under way.
///
/// # Errors
/// If the folder cannot be read.
pub fn newest_checkpoint(folder: &Path) -> Result<NewestCheckpoint, CheckpointError> {
    let mut skipped = Vec::new();
    for step in steps_in(folder)?.into_iter().rev() {
        let path = path_of(folder, step);
        match believed(&path, step) {
            Ok(model) => return Ok(NewestCheckpoint { found: Some((path, model)), skipped }),
            Err(doubt) => skipped.push((path, doubt)),
        }
    }
    Ok(NewestCheckpoint { found: None, skipped })
}

fn believed(path: &Path, step: u64) -> Result<Model, Doubt> {
    let checkpoint = format::load(path, &Limits::default()).map_err(Error::from)?;
    let model = Model::from_checkpoint_within(&checkpoint, &Limits::default())?;
    if model.steps() != step {
        return Err(Doubt::Step { found: model.steps() });
    }
    if model.fit_under_way().is_none() {
        return Err(Doubt::NoFit);
    }
    if let Some(proof) = &checkpoint.proof {
        let verification = model.verify(proof).map_err(Error::from)?;
        if matches!(verification, Verification::Different { .. }) {
            return Err(Doubt::Answers);
        }
    }
    Ok(model)
}

const SUFFIX: &str = ".knet";
const PREFIX: &str = "step-";

fn path_of(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("{PREFIX}{step:07}{SUFFIX}"))
}

/// The steps whose checkpoints have exactly the names that [`path_of`] gives.
fn steps_in(folder: &Path) -> Result<Vec<u64>, CheckpointError> {
    let failed = || cannot("read the folder", folder);
    let mut steps = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX));
        let step = number.and_then(|number| number.parse().ok());
        steps.extend(step.filter(|&step| path_of(folder, step) == path));
    }
    steps.sort_unstable();
    Ok(steps)
}

/// Removes checkpoints older than the `last` newest, and not `best`, of the training that
/// `checkpoint`, of step `step`, belongs to.
fn rotate(
    folder: &Path,
    checkpoint: &Checkpoint<'_>,
    step: u64,
    last: usize,
    best: Option<u64>,
) -> Result<(), CheckpointError> {
    // What is to stay for a better one goes only when that one stands.
    if best.is_some_and(|best| !path_of(folder, best).exists()) {
        return Ok(());
    }
    let older = steps_in(folder)?.into_iter().rev().filter(|&older| older < step);
    let ours = older.filter(|&old| is_of(&path_of(folder, old), old, checkpoint));
    for old in ours.skip(last.saturating_sub(1)).filter(|&old| Some(old) != best) {
        let path = path_of(folder, old);
        fs::remove_file(&path).map_err(cannot("remove the old checkpoint", &path))?;
    }
    Ok(())
}

/// Whether the file at `path` is sound, but no checkpoint of step `step` of that training.
fn is_another(path: &Path, step: u64, of: &Checkpoint<'_>) -> bool {
    path.exists() && format::load(path, &Limits::default()).is_ok() && !is_of(path, step, of)
}

/// Whether the file at `path` is sound and a checkpoint of step `step` of that training.
fn is_of(path: &Path, step: u64, of: &Checkpoint<'_>) -> bool {
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    let Some(found) = is_file.then(|| format::load(path, &Limits::default()).ok()).flatten() else {
        return false;
    };
    let identity = |checkpoint: &Checkpoint<'_>| {
        let state = checkpoint.training.as_ref()?;
        Some((state.seed, state.fit.as_ref()?.data.clone()))
    };
    found.graph == of.graph
        && found.optimizer.as_ref().is_some_and(|state| state.step == step)
        && identity(&found).is_some()
        && identity(&found) == identity(of)
}

fn cannot(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::Io { action, path, source }
}
