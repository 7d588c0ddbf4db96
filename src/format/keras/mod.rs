//! Models of Keras: `.keras` archives and their unpacked directories, `.h5` files of whole models.
//!
//! Whatever Keras of any age has written is opened (`open`) and brought into one description
//! (`network`), which is then built as a [`Graph`](crate::model::Graph) (`build`, `layers`) and
//! filled (`blueprint`). Numbers are found by the order of the layers, as Keras finds them (`weights`,
//! `optimizer`). Nothing in a file is ever executed.

mod alone;
mod blueprint;
pub(in crate::format) mod broadcast;
mod build;
mod compile;
mod dead_ends;
mod doctor;
mod error;
mod json;
mod kept;
mod layers;
mod network;
mod objects;
mod open;
mod operators;
mod optimizer;
mod slices;
#[cfg(test)]
mod tests;
mod weights;
mod write;

pub use super::report::{Hidden, Notice, Report};
pub use doctor::{Container, Content, Diagnosis, Effect, Finding, Problem, Reader, diagnose};
pub use error::{KerasError, Owner};

use std::path::Path;

use super::report::Loaded;
use super::{Format, FormatError, LoadOptions};
use crate::bytes::Budget;
use crate::bytes::fs::Fs;
use crate::format::kept::Kept;
#[cfg(fuzzing)]
use crate::model::{CompileSettings, Graph};
use blueprint::Blueprint;
use network::Network;
use open::{Parts, with_parts};

pub(super) use alone::{Architecture, load_weights_on};
pub(super) use objects::{Object, SavedModel};
pub(super) use write::{Arrangement, save, save_weights};

/// The members of a `.keras` file.
pub(super) const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.weights.h5";
const METADATA: &str = "metadata.json";

/// The attributes of an `.h5` file.
const MODEL: &str = "model_config";
const COMPILE: &str = "training_config";
const VERSION: &str = "keras_version";

/// Loads what stands at `path`, in that form.
pub(super) fn load_on<F: Fs>(
    fs: &F,
    path: &Path,
    form: Format,
    options: &LoadOptions,
) -> Result<Loaded, FormatError> {
    let limits = &options.limits;
    with_parts(fs, path, form, limits, |parts, budget| parts.load_kept_or(options, budget))
}

/// The network that a configuration describes, and how it was compiled: all but the numbers, which
/// fuzzing could not guess.
///
/// # Errors
/// If it is none, or none that keepnet runs.
#[cfg(fuzzing)]
pub fn read_config(
    text: &[u8],
    is_keras2: bool,
    limits: &super::Limits,
) -> Result<(Graph, Option<CompileSettings>), KerasError> {
    let config = open::parse(text, CONFIG, limits)?;
    let network = Network::parse(&config)?;
    let dialect = open::dialect(Some(if is_keras2 { "2" } else { "3" }));
    let graph = Blueprint::new(&network, dialect, None, &limits.into())?.graph;
    let compile = config.get("compile_config").filter(|compile| !compile.is_null());
    let compile = compile.and_then(|it| compile::compile(it, &graph, &mut Vec::new()));
    Ok((graph, compile))
}

impl Parts<'_> {
    /// What keepnet kept in a file of its own, and else what Keras reads.
    fn load_kept_or(
        &self,
        options: &LoadOptions,
        budget: &mut Budget,
    ) -> Result<Loaded, FormatError> {
        match kept::read(self, &options.limits, budget)? {
            Some(Kept::Checkpoint(checkpoint)) => {
                let report = Report::of_own(&checkpoint);
                Ok(Loaded { checkpoint: *checkpoint, report })
            }
            Some(Kept::Edited { part }) => {
                let mut loaded = self.load(options, budget)?;
                loaded.report.notices.push(Notice::Edited { part });
                Ok(loaded)
            }
            None => Ok(self.load(options, budget)?),
        }
    }

    fn load(&self, options: &LoadOptions, budget: &mut Budget) -> Result<Loaded, KerasError> {
        let network = Network::parse(self.config()?)?;
        let blueprint = Blueprint::new(&network, self.dialect(), self.compile, options)?;
        blueprint.filled_from(self, budget)
    }
}
