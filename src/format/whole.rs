//! A file as a whole.

use std::io::Read;

use super::FormatError;
use crate::bytes::Budget;
use crate::bytes::fs::Fs;

/// All bytes of an opened file.
pub(super) fn read<F: Fs>(
    fs: &F,
    mut file: F::File,
    budget: &mut Budget,
) -> Result<Vec<u8>, FormatError> {
    let io = |source| FormatError::Io { action: "read it", source };
    let length = fs.stat(&file).map_err(io)?.length;
    let mut bytes = budget.vec(length, "the file")?;
    file.by_ref().take(length).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}
