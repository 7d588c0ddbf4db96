//! The file form: one file of sections. `docs/FORMAT.md` is its specification; the names of the
//! rules there (F-1, F-2, …) are those of the tests.

mod block;
mod mapped;
mod read_v1;
mod source;
mod sums;
mod write;

use std::path::Path;

use super::inspection::Parsed;
use super::kind::{START, check_signature};
use super::{FormatError, Limits};
use crate::bytes::fs::{Fs, Stat};
use crate::bytes::{Budget, atomic};
use crate::model::Checkpoint;
use block::Header;
use source::{ReadFile, Source, read_block};

pub(super) use block::SIGNATURE;
pub(crate) use mapped::Mapped;
pub(super) use write::Plan;

/// Reads and checks everything in the file form.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Parsed<'a>, FormatError> {
    parse_source(&bytes, limits, budget)
}

/// Reads and checks everything in the file at `path`, each byte once.
pub(super) fn read<F: Fs>(
    fs: &F,
    path: &Path,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Parsed<'static>, FormatError> {
    let io = |source| FormatError::Io { action: "read it", source };
    let file = fs.open_path(path).map_err(io)?;
    let length = fs.stat(&file).map_err(io)?.length;
    parse_source(&ReadFile::new(fs, file, length)?, limits, budget)
}

fn parse_source<'a>(
    source: &impl Source<'a>,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Parsed<'a>, FormatError> {
    let Header { version, block } = header(source)?;
    // The only major version there is; the next one gets a reader of its own beside this.
    read_v1::parse(source, version, block, limits, budget)
}

/// The header of a file of a version that can be read.
fn header<'a>(source: &impl Source<'a>) -> Result<Header, FormatError> {
    let mut start = [0; START];
    let length = usize::try_from(source.length()).unwrap_or(START).min(START);
    let start = start.get_mut(..length).unwrap_or_default();
    source.read(0, start)?;
    check_signature(start)?;
    let header = read_block(source, 0, Header::read)?;
    header.version.check("the file format", "the header", 8)?;
    Ok(header)
}

pub(super) fn save<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
) -> Result<Option<Stat>, FormatError> {
    let plan = Plan::new(checkpoint)?;
    Ok(atomic::write_file_on(fs, path, |out| plan.write(out))?)
}
