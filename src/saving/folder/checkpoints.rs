//! The checkpoints in a folder: told by their names, looked at, saved and rotated, on any file
//! system.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::{CheckpointError, cannot};
use crate::bytes::atomic::{create_directories_on, remove_abandoned_files};
use crate::bytes::fs::{self, Fs, Kind, Stat};
use crate::error::Error;
use crate::format::{self, Format, FormatError, Limits};
use crate::model::{Checkpoint, DataRecord, Graph};

const PREFIX: &str = "step-";
const SUFFIX: &str = ".knet";

fn name_of(step: u64) -> String {
    format!("{PREFIX}{step:07}{SUFFIX}")
}

/// The step whose checkpoint has exactly that name.
fn step_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    number.parse().ok().filter(|&step| name_of(step) == name)
}

/// An open folder of checkpoints.
pub(super) struct Checkpoints<'f, F: Fs> {
    fs: &'f F,
    path: &'f Path,
    folder: F::File,
}

/// What tells a training from others.
#[derive(Debug, PartialEq)]
struct Training {
    graph: Graph,
    seed: u64,
    data: DataRecord,
}

/// The checkpoints of a training that this process has saved, or read and found sound. They are not
/// read again as long as they are the same files, unchanged.
#[derive(Debug, Default)]
pub(super) struct Known {
    of: Option<Training>,
    files: BTreeMap<u64, Stat>,
}

/// What stands under the name of a checkpoint.
enum Found {
    /// Nothing, or nothing that is a sound model.
    NoCheckpoint,
    /// A sound one of that step and that training, all of which is known.
    Ours(Stat),
    /// A sound model, but another.
    Another,
}

impl<'f, F: Fs> Checkpoints<'f, F> {
    /// Makes the folder if it is not there. Scratch files of checkpoints whose writers are dead go;
    /// their steps may never be saved again.
    pub(super) fn create(fs: &'f F, path: &'f Path) -> Result<Self, CheckpointError> {
        let folder = create_directories_on(fs, path).map_err(cannot("make the folder", path))?;
        let is_checkpoint = |name: &str| step_of(name).is_some();
        remove_abandoned_files(fs, &folder, is_checkpoint, format::SIGNATURE);
        Ok(Self { fs, path, folder })
    }

    /// Changes nothing.
    pub(super) fn open(fs: &'f F, path: &'f Path) -> Result<Self, CheckpointError> {
        let folder = fs::open_folder(fs, path).map_err(cannot("open the folder", path))?;
        Ok(Self { fs, path, folder })
    }

    pub(super) fn path_of(&self, step: u64) -> PathBuf {
        self.path.join(name_of(step))
    }

    /// The steps of which checkpoints are there by name, ascending.
    pub(super) fn steps(&self) -> Result<Vec<u64>, CheckpointError> {
        let read = || -> io::Result<Vec<u64>> {
            let mut steps = Vec::new();
            for name in self.fs.names(&self.folder)? {
                steps.extend(name?.to_str().and_then(step_of));
            }
            steps.sort_unstable();
            Ok(steps)
        };
        read().map_err(cannot("read the folder", self.path))
    }

    /// Whether one of them is sound, but not of the training of `checkpoint`.
    pub(super) fn hold_another(
        &self,
        checkpoint: &Checkpoint<'_>,
    ) -> Result<bool, CheckpointError> {
        let known = &mut Known::of(checkpoint);
        for step in self.steps()? {
            if matches!(self.find(step, known)?, Found::Another) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Saves `checkpoint` as that of step `step`. When it is on the disk, and not before, those of its
    /// training go that are older than the `last` newest, and not `best`.
    pub(super) fn keep(
        &self,
        checkpoint: &Checkpoint<'_>,
        step: u64,
        last: usize,
        best: Option<u64>,
        known: &mut Known,
    ) -> Result<(), CheckpointError> {
        known.begin(checkpoint);
        if known.of.is_some() && !known.is_of(checkpoint, step) {
            let done = checkpoint.optimizer.as_ref().map_or(0, |state| state.step);
            return Err(CheckpointError::Step { step, done });
        }
        let path = self.path_of(step);
        match self.find(step, known) {
            Ok(Found::Another) => return Err(CheckpointError::Foreign { path }),
            Ok(Found::NoCheckpoint | Found::Ours(_)) => {}
            Err(source) => return Err(CheckpointError::NotSaved { step, source: source.into() }),
        }
        let saved = format::save_on(self.fs, checkpoint, &path, Format::File);
        match saved.map_err(Error::from)? {
            Some(stat) if known.of.is_some() => known.files.insert(step, stat),
            _ => known.files.remove(&step),
        };
        self.rotate(step, last, best, known)
            .map_err(|source| CheckpointError::NotRotated { step, source: source.into() })
    }

    /// Their removal is not flushed: what a loss of power brings back goes with the next.
    fn rotate(
        &self,
        step: u64,
        last: usize,
        best: Option<u64>,
        known: &mut Known,
    ) -> Result<(), CheckpointError> {
        // What was to stay before a better one goes only when that one stands. An older best one that is
        // gone or damaged does not come back: waiting for it, nothing would go any more.
        if let Some(newer) = best.filter(|&best| best > step)
            && !matches!(self.find(newer, known), Ok(Found::Ours(_)))
        {
            return Ok(());
        }
        let mut ours = Vec::new();
        for older in self.steps()?.into_iter().rev().filter(|&older| older < step) {
            // What cannot be read stays, and counts for nothing.
            if let Ok(Found::Ours(stat)) = self.find(older, known) {
                ours.push((older, stat));
            }
        }
        for (old, stat) in ours.into_iter().skip(last.saturating_sub(1)) {
            if Some(old) != best {
                self.remove(old, &stat)?;
                known.files.remove(&old);
            }
        }
        Ok(())
    }

    /// Removes that checkpoint, if it is still the file that was looked at, unchanged.
    fn remove(&self, step: u64, looked_at: &Stat) -> Result<(), CheckpointError> {
        let name = name_of(step);
        let name = OsStr::new(&name);
        let remove = || -> io::Result<()> {
            if self.fs.stat_name(&self.folder, name)? == *looked_at {
                self.fs.remove_file(&self.folder, name)?;
            }
            Ok(())
        };
        match remove() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(cannot("remove the old checkpoint", &self.path_of(step))(error))
            }
            _ => Ok(()),
        }
    }

    fn find(&self, step: u64, known: &mut Known) -> Result<Found, CheckpointError> {
        let path = self.path_of(step);
        let stat = match self.fs.stat_name(&self.folder, name_of(step).as_ref()) {
            Ok(stat) if stat.kind == Kind::File => stat,
            Ok(_) => return Ok(Found::NoCheckpoint),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Found::NoCheckpoint);
            }
            Err(error) => return Err(cannot("look at the checkpoint", &path)(error)),
        };
        if known.files.get(&step) == Some(&stat) {
            return Ok(Found::Ours(stat));
        }
        match format::load_on(self.fs, &path, &Limits::default()) {
            Ok(found) if known.is_of(&found, step) => {
                known.files.insert(step, stat);
                Ok(Found::Ours(stat))
            }
            Ok(_) => Ok(Found::Another),
            Err(error) if is_no_model(&error) => Ok(Found::NoCheckpoint),
            // It may be sound: of a newer keepnet, or on a disk that fails.
            Err(error) => Err(Error::from(error).into()),
        }
    }
}

impl Known {
    fn of(checkpoint: &Checkpoint<'_>) -> Self {
        Self { of: Training::of(checkpoint), files: BTreeMap::new() }
    }

    /// Forgets the checkpoints of all trainings but that of this one. What no training is under way in
    /// is of none.
    fn begin(&mut self, checkpoint: &Checkpoint<'_>) {
        let known = Self::of(checkpoint);
        if known.of.is_none() || self.of != known.of {
            *self = known;
        }
    }

    /// Whether `found` is a checkpoint of step `step` of this training, which can be gone on from.
    fn is_of(&self, found: &Checkpoint<'_>, step: u64) -> bool {
        found.optimizer.as_ref().is_some_and(|state| state.step == step)
            && found.passed_over.is_empty()
            && self.of.is_some()
            && Training::of(found) == self.of
    }
}

impl Training {
    fn of(checkpoint: &Checkpoint<'_>) -> Option<Self> {
        let state = checkpoint.training.as_ref()?;
        let data = state.fit.as_ref()?.data.clone();
        Some(Self { graph: checkpoint.graph.clone(), seed: state.seed, data })
    }
}

fn is_no_model(error: &FormatError) -> bool {
    error.is_corrupt() || matches!(error.cause(), FormatError::OtherKind { .. })
}
