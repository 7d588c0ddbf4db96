//! The file form as memory: opened without a look at the numbers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::Header;
use super::read_v1::{self, Numbers};
use super::source::{Source, shared};
use crate::bytes::{Budget, MappedFile};
use crate::format::{FormatError, Limits};
use crate::model::Checkpoint;
use crate::tensor::Memory;

/// A mapped file of which everything but the numbers has been checked.
#[derive(Debug)]
pub(crate) struct Mapped {
    path: PathBuf,
    memory: Arc<Memory>,
    numbers: Numbers,
}

impl Mapped {
    /// Reads what `file` says beside the numbers. Those of the checkpoint lie in the file.
    ///
    /// # Errors
    /// Whatever is wrong with what was read.
    pub(crate) fn open(
        file: MappedFile,
        limits: &Limits,
    ) -> Result<(Checkpoint<'static>, Self), FormatError> {
        let path = file.path().to_owned();
        let memory = Arc::new(Memory::Mapped(Box::new(file)));
        let opened = Self::outline(&memory, limits).map_err(|error| error.at(&path))?;
        let (checkpoint, numbers) = opened;
        Ok((checkpoint, Self { path, memory, numbers }))
    }

    fn outline(
        memory: &Arc<Memory>,
        limits: &Limits,
    ) -> Result<(Checkpoint<'static>, Numbers), FormatError> {
        let (source, budget) = (memory.bytes(), &mut Budget::new(limits.memory));
        let Header { version, block } = super::header(&source)?;
        let (outline, numbers) = read_v1::outline(&source, version, block, limits, budget)?;
        let places = numbers.groups().into_iter().flatten();
        let contents = places.map(|place| shared(memory, place)).collect();
        let parsed = outline.with_tensors(&numbers, contents)?;
        Ok((parsed.checkpoint, numbers))
    }

    /// Where the file stands.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all numbers and checks them.
    ///
    /// # Errors
    /// The first that is damaged.
    pub(crate) fn check(&self) -> Result<(), FormatError> {
        let budget = &mut Budget::new(0);
        let read = self.memory.bytes().tensors(&self.numbers.groups(), budget);
        let sums: Vec<_> = match read {
            Ok(read) => read.into_iter().map(|(_, sums)| sums).collect(),
            Err(error) => return Err(error.at(&self.path)),
        };
        self.numbers.check(&sums).map_err(|error| error.at(&self.path))
    }
}
