//! Which checkpoint to go on from, and with which data.

use std::path::PathBuf;

use super::failure::Failure;
use super::options::Options;
use super::screen::Screen;
use crate::error::Error;
use crate::nn::Model;
use crate::saving::{Doubt, NewestCheckpoint, newest_checkpoint};
use crate::train::data::mnist;

/// What `keepnet resume` is asked for.
#[derive(Debug)]
pub struct Resume {
    /// The folder of checkpoints.
    pub checkpoints: PathBuf,
    pub out: PathBuf,
    /// A folder of the MNIST kind, in place of what the checkpoint says of its data.
    pub data: Option<PathBuf>,
    /// Steps from one further checkpoint to the next.
    pub checkpoint_every: u64,
    pub ascii: bool,
    pub quiet: bool,
    pub json: bool,
}

impl Resume {
    /// As the program `demo` would be asked.
    pub(super) fn options(&self) -> Options {
        Options {
            epochs: None,
            batch_size: None,
            seed: None,
            schedule: None,
            early_stopping: None,
            limit: None,
            data: self.data.clone(),
            download: None,
            out: self.out.clone(),
            all_formats: false,
            resume: true,
            checkpoint_dir: Some(self.checkpoints.clone()),
            checkpoint_every: self.checkpoint_every,
            threads: None,
            ascii: self.ascii,
            quiet: self.quiet,
            json: self.json,
        }
    }
}

/// The model of the newest checkpoint that can be believed, and where it stands. Says which were
/// passed over.
pub(super) fn newest(request: &Resume, screen: &mut Screen) -> Result<(Model, PathBuf), Failure> {
    let folder = &request.checkpoints;
    if !folder.exists() {
        return Err(Failure::NoCheckpoint { folder: folder.clone() });
    }
    let NewestCheckpoint { found, skipped } = newest_checkpoint(folder)?;
    for (path, doubt) in &skipped {
        let why = match doubt {
            // Without the path, which stands there already.
            Doubt::Model(Error::Format(error)) => error.cause().to_string(),
            doubt => doubt.to_string(),
        };
        screen.line(format_args!("Passed over {}: {why}", path.display()))?;
    }
    match found {
        Some((path, model)) => Ok((model, path)),
        None if skipped.is_empty() => Err(Failure::NoCheckpoint { folder: folder.clone() }),
        None => Err(Failure::NoSoundCheckpoint { folder: folder.clone(), count: skipped.len() }),
    }
}

/// The folder that the data comes from; `None` for the images in the program.
pub(super) fn source(request: &Resume, model: &Model) -> Result<Option<PathBuf>, Failure> {
    if let Some(data) = &request.data {
        return Ok(Some(data.clone()));
    }
    let source = model.fit_under_way().and_then(|fit| fit.data.source.clone());
    match source.as_deref() {
        Some(mnist::EMBEDDED) => Ok(None),
        Some(folder) if PathBuf::from(folder).is_dir() => Ok(Some(folder.into())),
        source => Err(Failure::UnknownSource { named: source.map(str::to_owned) }),
    }
}
