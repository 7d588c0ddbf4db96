//! Models of Keras: `.keras` archives and their unpacked directories, `.h5` files of whole models.
//!
//! Whatever Keras of any age has written is brought into one description ([`network`]), which is then
//! built as a [`Graph`](crate::model::Graph) ([`build`], [`layers`]). Numbers are found by the order of
//! the layers, as Keras finds them ([`weights`], [`optimizer`]). Nothing in a file is ever executed.

mod broadcast;
mod build;
mod compile;
mod doctor;
mod error;
mod json;
mod kept;
mod layers;
mod network;
mod operators;
mod optimizer;
mod report;
mod weights;
mod write;

use serde_json::Value;

pub use doctor::{Container, Diagnosis, Effect, Finding, Problem, Reader, diagnose};
pub use error::{KerasError, Owner};
pub use report::{Hidden, Notice, Report};

use std::io::Read;
use std::path::Path;

use super::{Format, FormatError, Kind, Limits};
use crate::bytes::Budget;
use crate::bytes::fs::{self, Fs};
use crate::model::Checkpoint;
#[cfg(fuzzing)]
use crate::model::{CompileSettings, Graph};
use crate::wire::hdf5::{self, Group};
use crate::wire::zip::Archive;
use kept::Kept;
use layers::Dialect;
use network::Network;
use weights::Weights;

pub(super) use write::save;

/// The members of a `.keras` file.
pub(super) const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.weights.h5";
const METADATA: &str = "metadata.json";

/// The attributes of an `.h5` file.
const MODEL: &str = "model_config";
const COMPILE: &str = "training_config";
const VERSION: &str = "keras_version";

/// A model, and what is to be told of it.
pub(super) struct Loaded {
    pub(super) checkpoint: Checkpoint<'static>,
    pub(super) report: Report,
}

/// Loads what stands at `path`, in that form.
pub(super) fn load_on<F: Fs>(
    fs: &F,
    path: &Path,
    form: Format,
    limits: &Limits,
) -> Result<Loaded, FormatError> {
    with_parts(fs, path, form, limits, |parts, budget| parts.load_kept_or(limits, budget))
}

/// Opens what stands at `path`, in that form, and hands its parts on.
fn with_parts<F: Fs, T>(
    fs: &F,
    path: &Path,
    form: Format,
    limits: &Limits,
    then: impl FnOnce(&Parts<'_>, &mut Budget) -> Result<T, FormatError>,
) -> Result<T, FormatError> {
    let budget = &mut Budget::new(limits.memory);
    let io = |source| FormatError::Io { action: "read it", source };
    let opened = fs.open_path(path).map_err(io)?;
    if fs.stat(&opened).map_err(io)?.kind == fs::Kind::Directory {
        let folder = fs::open_directory(fs, || fs.open_path(path)).map_err(io)?;
        let [config, metadata, weights] = [CONFIG, METADATA, WEIGHTS].map(|name| {
            fs.open(&folder, name.as_ref()).ok().map(|file| content(fs, file, budget)).transpose()
        });
        let config = config?.ok_or(KerasError::Missing { part: CONFIG })?;
        let weights = weights?.ok_or(KerasError::Missing { part: WEIGHTS })?;
        let metadata = metadata?;
        let members = Members { config: &config, metadata: metadata.as_deref(), weights: &weights };
        return members.open(Container::Folder, limits, budget, then);
    }
    let bytes = content(fs, opened, budget)?;
    match form {
        Format::Hdf5 => read_hdf5(&bytes, limits, budget, then),
        _ => read_archive(&bytes, limits, budget, then),
    }
}

fn content<F: Fs>(fs: &F, mut file: F::File, budget: &mut Budget) -> Result<Vec<u8>, FormatError> {
    let io = |source| FormatError::Io { action: "read it", source };
    let length = fs.stat(&file).map_err(io)?.length;
    let mut bytes = budget.vec(length, "the file")?;
    file.by_ref().take(length).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

/// Reads a `.keras` file.
fn read_archive<T>(
    bytes: &[u8],
    limits: &Limits,
    budget: &mut Budget,
    then: impl FnOnce(&Parts<'_>, &mut Budget) -> Result<T, FormatError>,
) -> Result<T, FormatError> {
    let archive = Archive::read(bytes).map_err(KerasError::from)?;
    if !archive.has(CONFIG) {
        return Err(FormatError::OtherKind { found: Kind::Zip });
    }
    let [config, weights, metadata] =
        [CONFIG, WEIGHTS, METADATA].map(|name| archive.get(name, budget).map_err(KerasError::from));
    let config = config?.ok_or(KerasError::Missing { part: CONFIG })?;
    let weights = weights?.ok_or(KerasError::Missing { part: WEIGHTS })?;
    let metadata = metadata?;
    let members = Members { config: &config, metadata: metadata.as_deref(), weights: &weights };
    members.open(Container::Archive, limits, budget, then)
}

/// The members of a `.keras` file, wherever they stood.
struct Members<'m> {
    config: &'m [u8],
    metadata: Option<&'m [u8]>,
    weights: &'m [u8],
}

impl Members<'_> {
    fn open<T>(
        &self,
        container: Container,
        limits: &Limits,
        budget: &mut Budget,
        then: impl FnOnce(&Parts<'_>, &mut Budget) -> Result<T, FormatError>,
    ) -> Result<T, FormatError> {
        let metadata = self.metadata.map(|text| parse(text, METADATA, limits)).transpose()?;
        let version = metadata.as_ref().and_then(|value| value.get(VERSION)?.as_str());
        let texts = vec![(CONFIG, self.config)];
        let config = parse(self.config, CONFIG, limits)?;
        let root = hdf5::read(self.weights, budget).map_err(KerasError::from)?;
        let compile = config.get("compile_config").filter(|compile| !compile.is_null());
        then(&Parts { container, texts, config: &config, compile, version, root: &root }, budget)
    }
}

/// Reads an `.h5` file of a whole model.
fn read_hdf5<T>(
    bytes: &[u8],
    limits: &Limits,
    budget: &mut Budget,
    then: impl FnOnce(&Parts<'_>, &mut Budget) -> Result<T, FormatError>,
) -> Result<T, FormatError> {
    const CONFIG: &str = "the attribute `model_config`";
    let root = hdf5::read(bytes, budget).map_err(KerasError::from)?;
    let text = |name: &str| root.attributes.get(name).and_then(hdf5::Array::as_text);
    let texts = [MODEL, COMPILE].map(|name| text(name).map(|text| (name, text.as_bytes())));
    let texts = texts.into_iter().flatten().collect();
    let config = text(MODEL).ok_or(KerasError::Missing { part: CONFIG })?;
    let config = parse(config.as_bytes(), CONFIG, limits)?;
    let compile =
        text(COMPILE).map(|text| parse(text.as_bytes(), "the attribute `training_config`", limits));
    let compile = compile.transpose()?;
    let parts = Parts {
        container: Container::Hdf5,
        texts,
        config: &config,
        compile: compile.as_ref(),
        version: text(VERSION),
        root: &root,
    };
    then(&parts, budget)
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
    limits: &Limits,
) -> Result<(Graph, Option<CompileSettings>), KerasError> {
    let config = parse(text, CONFIG, limits)?;
    let network = Network::parse(&config)?;
    let dialect = if is_keras2 { Dialect::Keras2 } else { Dialect::Keras3 };
    let built = build::build(&network, dialect, limits.nodes)?;
    let compile = config.get("compile_config").filter(|compile| !compile.is_null());
    let compile = compile.and_then(|it| compile::compile(it, &built.graph, &mut Vec::new()));
    Ok((built.graph, compile))
}

fn parse(text: &[u8], part: &'static str, limits: &Limits) -> Result<Value, KerasError> {
    let (length, limit) = (text.len() as u64, limits.text);
    if length > limit {
        return Err(KerasError::TooLong { part, length, limit });
    }
    json::parse(text, part, limit)
}

/// What both kinds of files hold.
struct Parts<'p> {
    container: Container,
    /// The texts that Keras reads, by their names.
    texts: Vec<(&'static str, &'p [u8])>,
    config: &'p Value,
    compile: Option<&'p Value>,
    version: Option<&'p str>,
    root: &'p Group<'p>,
}

impl Parts<'_> {
    fn dialect(&self) -> Dialect {
        match self.version {
            Some(version) if version.starts_with(['1', '2']) => Dialect::Keras2,
            _ => Dialect::Keras3,
        }
    }

    /// What keepnet kept in a file of its own, and else what Keras reads.
    fn load_kept_or(&self, limits: &Limits, budget: &mut Budget) -> Result<Loaded, FormatError> {
        match kept::read(self.root, &self.texts, limits, budget)? {
            Some(Kept::Checkpoint(checkpoint)) => {
                let report = Report {
                    writer: Some("keepnet".to_owned()),
                    optimizer_steps: checkpoint.optimizer.as_ref().map(|state| state.step),
                    notices: Vec::new(),
                };
                Ok(Loaded { checkpoint: *checkpoint, report })
            }
            Some(Kept::PassedOver(notice)) => {
                let mut loaded = self.load(limits, budget)?;
                loaded.report.notices.push(notice);
                Ok(loaded)
            }
            None => Ok(self.load(limits, budget)?),
        }
    }

    fn load(&self, limits: &Limits, budget: &mut Budget) -> Result<Loaded, KerasError> {
        let dialect = self.dialect();
        let network = Network::parse(self.config)?;
        let built = build::build(&network, dialect, limits.nodes)?;
        let mut weights = Weights { graph: &built.graph, budget, notices: built.notices };
        let stored = self.root.group("model_weights");
        let tensors = match stored {
            Some(group) => weights.by_name(group, &built.layers)?,
            None => weights.by_class(self.root, &built.layers)?,
        };
        let trained = weights.trained(&built.layers);
        let compile = self
            .compile
            .and_then(|config| compile::compile(config, &built.graph, &mut weights.notices));
        let variables = match stored {
            Some(_) => optimizer::by_name(self.root),
            None => optimizer::by_number(self.root),
        };
        let optimizer = compile.as_ref().zip(variables).and_then(|(compile, variables)| {
            let state = optimizer::state(&variables, &compile.optimizer, &trained, &mut weights);
            state.map_err(|reason| weights.notices.push(Notice::NoOptimizerState { reason })).ok()
        });
        let report = Report {
            writer: self.version.map(|version| format!("Keras {version}")),
            optimizer_steps: optimizer.as_ref().map(|state| state.step),
            notices: weights.notices,
        };
        let checkpoint =
            Checkpoint { compile, optimizer, ..Checkpoint::new(built.graph.clone(), tensors) };
        Ok(Loaded { checkpoint: checkpoint.into_owned(), report })
    }
}
