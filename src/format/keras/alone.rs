//! Weights and architectures that stand alone: `.weights.h5` of Keras 3 and tf-keras, `.h5` of
//! `save_weights` of Keras 2, and the JSON text that `to_json` gives.

use std::path::Path;

use serde_json::Value;

use super::blueprint::Blueprint;
use super::kept;
use super::network::Network;
use super::open::{dialect, parse, with_parts};
use super::write::Described;
use super::{KerasError, VERSION};
use crate::bytes::Budget;
use crate::bytes::fs::Fs;
use crate::format::kept::Kept;
use crate::format::report::{Loaded, Notice};
use crate::format::{self, Format, FormatError, Kind, Limits, LoadOptions, whole};
use crate::model::{Checkpoint, CompileSettings, Graph};

/// What layers there are, from wherever that was read.
pub(in crate::format) enum Architecture {
    /// Of a model of keepnet.
    Own(Box<Checkpoint<'static>>),
    /// What Keras builds a model from.
    Keras { config: Value, compile: Option<Value>, version: Option<String> },
}

/// A network without weights.
pub(in crate::format) struct Untrained {
    pub(in crate::format) graph: Graph,
    pub(in crate::format) compile: Option<CompileSettings>,
    pub(in crate::format) notices: Vec<Notice>,
}

impl Architecture {
    /// Reads what stands at `path`: a text of `to_json`, or a model in any form.
    pub(in crate::format) fn read_on<F: Fs>(
        fs: &F,
        path: &Path,
        limits: &Limits,
    ) -> Result<Self, FormatError> {
        match Format::detect_on(fs, path) {
            Ok(Format::File | Format::Directory | Format::Safetensors | Format::SavedModel) => {
                let checkpoint = format::load_on(fs, path, limits)?;
                Ok(Self::Own(Box::new(checkpoint)))
            }
            Ok(form) => Self::of_model(fs, path, form, limits).map_err(|error| error.at(path)),
            Err(error) => match error.cause() {
                FormatError::OtherKind { found: Kind::Architecture } => {
                    Self::of_text(fs, path, limits).map_err(|error| error.at(path))
                }
                _ => Err(error),
            },
        }
    }

    fn of_model<F: Fs>(
        fs: &F,
        path: &Path,
        form: Format,
        limits: &Limits,
    ) -> Result<Self, FormatError> {
        with_parts(fs, path, form, limits, |parts, budget| {
            if let Some(Kept::Checkpoint(checkpoint)) = kept::read(parts, limits, budget)? {
                return Ok(Self::Own(checkpoint));
            }
            let (config, compile) = (parts.config()?.clone(), parts.compile.cloned());
            Ok(Self::Keras { config, compile, version: parts.version.map(str::to_owned) })
        })
    }

    fn of_text<F: Fs>(fs: &F, path: &Path, limits: &Limits) -> Result<Self, FormatError> {
        let io = |source| FormatError::Io { action: "read it", source };
        let file = fs.open_path(path).map_err(io)?;
        let text = whole::read(fs, file, &mut Budget::new(limits.memory))?;
        let config = parse(&text, "the architecture", limits)?;
        let compile = config.get("compile_config").filter(|compile| !compile.is_null()).cloned();
        let version = config.get(VERSION).and_then(Value::as_str).map(str::to_owned);
        Ok(Self::Keras { config, compile, version })
    }

    /// The layers as a graph, and what it was compiled with.
    pub(in crate::format) fn into_network(
        self,
        options: &LoadOptions,
    ) -> Result<Untrained, KerasError> {
        match self {
            Self::Own(own) => {
                Ok(Untrained { graph: own.graph, compile: own.compile, notices: Vec::new() })
            }
            Self::Keras { config, compile, version } => {
                let network = Network::parse(&config)?;
                let dialect = dialect(version.as_deref());
                let blueprint = Blueprint::new(&network, dialect, compile.as_ref(), options)?;
                let Blueprint { graph, compile, notices, .. } = blueprint;
                Ok(Untrained { graph, compile, notices })
            }
        }
    }

    /// Loads the weights at `path` into these layers. The compile settings come along, and what the
    /// optimizer remembers if it stands beside the weights.
    pub(in crate::format) fn with_weights_on<F: Fs>(
        &self,
        fs: &F,
        path: &Path,
        options: &LoadOptions,
    ) -> Result<Loaded, FormatError> {
        match self {
            Self::Own(checkpoint) => load_weights_on(fs, checkpoint, path, &options.limits),
            Self::Keras { config, compile, version } => {
                let network = Network::parse(config)?;
                let dialect = dialect(version.as_deref());
                let blueprint = Blueprint::new(&network, dialect, compile.as_ref(), options)?;
                fill(fs, blueprint, path, &options.limits)
            }
        }
    }
}

/// Loads the weights at `path` into a model: its layers stand in the file as keepnet saves them for
/// Keras.
pub(in crate::format) fn load_weights_on<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    limits: &Limits,
) -> Result<Loaded, FormatError> {
    let described = Described::of(&checkpoint.graph)?;
    fill(fs, Blueprint::of(checkpoint, &described), path, limits)
}

fn fill<F: Fs>(
    fs: &F,
    blueprint: Blueprint<'_>,
    path: &Path,
    limits: &Limits,
) -> Result<Loaded, FormatError> {
    let filled = match Format::detect_on(fs, path)? {
        form @ (Format::Keras | Format::Hdf5) => {
            with_parts(fs, path, form, limits, |parts, budget| {
                Ok(blueprint.filled_from(parts, budget)?)
            })
        }
        found => Err(FormatError::NotWeights { found }),
    };
    filled.map_err(|error| error.at(path))
}
