//! The file form: one file of sections. `docs/FORMAT.md` is its specification; the names of the
//! rules there (F1, F2, …) are those of the tests.

mod block;
mod read_v1;
mod write;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::inspection::Parsed;
use super::kind::check_signature;
use super::{FormatError, Limits, Version};
use crate::bytes::{Budget, Reader, atomic};
use crate::model::Checkpoint;
use block::Header;

pub(super) use block::SIGNATURE;
pub(super) use write::Plan;

/// Reads and checks everything in the file form.
pub(super) fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Parsed<'a>, FormatError> {
    check_signature(bytes)?;
    let mut reader = Reader::new(bytes, 0);
    let Header { version, block } = Header::read(&mut reader)?;
    version.check("the file format", "the header", 8)?;
    match version {
        // Version 2 will be another arm, and this one will stay.
        Version { major: 1, .. } => read_v1::parse(reader, version, block, limits),
        Version { major, .. } => {
            let (what, found) = ("the file format", format!("version {major}"));
            let supported = Version::CURRENT.major.to_string();
            Err(FormatError::Version { what, found, supported })
        }
    }
}

/// The bytes of the file at `path`, if it may be one of ours.
pub(super) fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, FormatError> {
    let io = |source| FormatError::Io { action: "read it", source };
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut bytes = Budget::new(limits.memory).vec(length, "the file")?;
    file.take(length).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

pub(super) fn save(checkpoint: &Checkpoint<'_>, path: &Path) -> Result<(), FormatError> {
    let plan = Plan::new(checkpoint)?;
    Ok(atomic::write_file(path, |out| plan.write(out))?)
}
