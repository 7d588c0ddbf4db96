//! Models of ONNX (`.onnx`).
//!
//! Writing turns every layer into operators (`write`). Reading turns operators into the operations that
//! graphs of TensorFlow have too (`read`), and these into layers ([`operations`](super::operations)). What
//! keepnet alone knows stands where no runtime looks (`kept`).

mod error;
mod kept;
mod read;
mod write;

use std::path::Path;

use super::kept::Kept;
use super::report::{Loaded, Notice, Report};
use super::{FormatError, LoadOptions, whole};
use crate::bytes::Budget;
use crate::bytes::fs::Fs;
use crate::wire::onnx;

pub use error::OnnxError;
pub(super) use write::save;

/// Loads the file at `path`, and the numbers that stand in files beside it.
pub(super) fn load_on<F: Fs>(
    fs: &F,
    path: &Path,
    options: &LoadOptions,
) -> Result<Loaded, FormatError> {
    let budget = &mut Budget::new(options.limits.memory);
    let io = |source| FormatError::Io { action: "read it", source };
    let bytes = whole::read(fs, fs.open_path(path).map_err(io)?, budget)?;
    let model = onnx::read(bytes.into(), budget).map_err(OnnxError::from)?;
    let edited = match kept::is_there(&model) {
        true => match kept::read(&model, &options.limits, budget)? {
            Kept::Checkpoint(checkpoint) => {
                let report = Report::of_own(&checkpoint);
                return Ok(Loaded { checkpoint: *checkpoint, report });
            }
            Kept::Edited { part } => Some(Notice::Edited { part }),
        },
        // Whoever took it out left that keepnet wrote the file, or it was cut short.
        false => (model.producer_name == kept::PRODUCER)
            .then(|| Notice::Edited { part: "`metadata_props`".to_owned() }),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut folder = read::Folder::open(fs, folder.unwrap_or_else(|| Path::new(".")))?;
    let mut loaded = read::load(&model, &mut folder, options, budget)?;
    loaded.report.notices.extend(edited);
    Ok(loaded)
}
