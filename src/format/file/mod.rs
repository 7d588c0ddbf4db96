//! The file form: one file of sections. `docs/FORMAT.md` is its specification; the names of the
//! rules there (F-1, F-2, …) are those of the tests.

mod block;
mod read_v1;
mod write;

use std::io::Read;
use std::path::Path;

use super::inspection::Parsed;
use super::kind::check_signature;
use super::{FormatError, Limits};
use crate::bytes::fs::Fs;
use crate::bytes::{Budget, Reader, atomic};
use crate::model::Checkpoint;
use block::Header;

pub(super) use block::SIGNATURE;
pub(super) use write::Plan;

/// Reads and checks everything in the file form.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Parsed<'a>, FormatError> {
    check_signature(bytes)?;
    let mut reader = Reader::new(bytes, 0);
    let Header { version, block } = Header::read(&mut reader)?;
    version.check("the file format", "the header", 8)?;
    // The only major version there is; the next one gets a reader of its own beside this.
    read_v1::parse(reader, version, block, limits, budget)
}

/// The bytes of the file at `path`.
pub(super) fn read<F: Fs>(
    fs: &F,
    path: &Path,
    budget: &mut Budget,
) -> Result<Vec<u8>, FormatError> {
    let io = |source| FormatError::Io { action: "read it", source };
    let file = fs.open_path(path).map_err(io)?;
    let length = fs.stat(&file).map_err(io)?.length;
    let mut bytes = budget.vec(length, "the file")?;
    file.take(length).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

pub(super) fn save<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
) -> Result<(), FormatError> {
    let plan = Plan::new(checkpoint)?;
    Ok(atomic::write_file_on(fs, path, |out| plan.write(out))?)
}
