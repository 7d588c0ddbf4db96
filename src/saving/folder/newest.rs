//! The newest checkpoint that can be believed.

use std::io;
use std::path::{Path, PathBuf};

use super::CheckpointError;
use super::checkpoints::Checkpoints;
use crate::bytes::fs::{Fs, RealFs};
use crate::error::Error;
use crate::format::{self, FormatError, Limits};
use crate::model::Checkpoint;
use crate::nn::{Model, Verification};

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
    /// Their content is not known: the steps done may be among it.
    #[error("its sections {sections:?} are of a newer keepnet; update keepnet")]
    Newer { sections: Vec<String> },
    #[error("it holds step {found}, not that of its name")]
    Step { found: u64 },
    #[error("no training is under way in it")]
    NoFit,
}

/// The newest checkpoint in `folder` that is sound in every part, answers its probe, and holds a fit
/// under way. Nothing in the folder is changed, and training may go on in it meanwhile.
///
/// # Errors
/// If the folder cannot be read.
pub fn newest_checkpoint(folder: impl AsRef<Path>) -> Result<NewestCheckpoint, CheckpointError> {
    newest_checkpoint_with(folder, &Limits::default())
}

/// Within other limits than the default ones: a checkpoint that exceeds them is passed over.
///
/// # Errors
/// As [`newest_checkpoint`].
pub fn newest_checkpoint_with(
    folder: impl AsRef<Path>,
    limits: &Limits,
) -> Result<NewestCheckpoint, CheckpointError> {
    newest_on(&RealFs, folder.as_ref(), limits)
}

/// How often the folder is read anew because checkpoints have been rotated away meanwhile.
const MEETINGS: usize = 1_000;

pub(super) fn newest_on<F: Fs>(
    fs: &F,
    folder: &Path,
    limits: &Limits,
) -> Result<NewestCheckpoint, CheckpointError> {
    let checkpoints = Checkpoints::open(fs, folder)?;
    let mut steps = checkpoints.steps()?;
    let mut meetings = 0;
    loop {
        let newest = newest_of(&checkpoints, fs, &steps, limits);
        let gone = newest.skipped.iter().any(|(_, doubt)| doubt.is_gone());
        // Where one is gone, newer ones stand.
        let now = if gone && meetings < MEETINGS { checkpoints.steps()? } else { steps.clone() };
        if now == steps {
            return Ok(newest);
        }
        steps = now;
        meetings += 1;
    }
}

fn newest_of<F: Fs>(
    checkpoints: &Checkpoints<'_, F>,
    fs: &F,
    steps: &[u64],
    limits: &Limits,
) -> NewestCheckpoint {
    let mut skipped = Vec::new();
    for &step in steps.iter().rev() {
        let path = checkpoints.path_of(step);
        let loaded = format::load_on(fs, &path, limits);
        // Whoever tells of the doubt names the path.
        let loaded = loaded.map_err(|error| Error::from(error.without_path()).into());
        match loaded.and_then(|checkpoint| believe(&checkpoint, step, limits)) {
            Ok(model) => return NewestCheckpoint { found: Some((path, model)), skipped },
            Err(doubt) => skipped.push((path, doubt)),
        }
    }
    NewestCheckpoint { found: None, skipped }
}

fn believe(checkpoint: &Checkpoint<'_>, step: u64, limits: &Limits) -> Result<Model, Doubt> {
    let model = Model::from_checkpoint_within(checkpoint, limits)?;
    if !model.passed_over().is_empty() {
        return Err(Doubt::Newer { sections: model.passed_over().to_owned() });
    }
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

impl Doubt {
    /// Whether nothing stands there any more.
    fn is_gone(&self) -> bool {
        let Self::Model(Error::Format(error)) = self else { return false };
        matches!(
            error.cause(),
            FormatError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound
        )
    }
}
