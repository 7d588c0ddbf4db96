//! Opening a file of Keras, whatever its container: the parts that it holds.

use std::path::Path;

use serde_json::Value;

use super::error::KerasError;
use super::layers::Dialect;
use super::{COMPILE, CONFIG, Container, METADATA, MODEL, VERSION, WEIGHTS, json, weights};
use crate::bytes::Budget;
use crate::bytes::fs::{self, Fs};
use crate::format::directory::Directory;
use crate::format::{Format, FormatError, Kind, Limits, whole};
use crate::wire::hdf5::{self, Group};
use crate::wire::zip::Archive;

/// What the architecture in an `.h5` file is called in messages.
const CONFIG_PART: &str = "the attribute `model_config`";

/// Opens what stands at `path`, in that form, and hands its parts on.
pub(super) fn with_parts<F: Fs, T>(
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
        let folder = Directory::open(fs, path)?;
        let [config, metadata, weights] =
            [CONFIG, METADATA, WEIGHTS].map(|name| match folder.content(name, budget) {
                Err(error) if error.is_missing() => Ok(None),
                content => content.map(Some),
            });
        let (config, metadata, weights) = (config?, metadata?, weights?);
        let config = config.ok_or(KerasError::Missing { part: CONFIG })?;
        let weights = weights.ok_or(KerasError::Missing { part: WEIGHTS })?;
        let members = Members { config: &config, metadata: metadata.as_deref(), weights: &weights };
        return members.open(Container::Folder, limits, budget, then);
    }
    let bytes = whole::read(fs, opened, budget)?;
    match form {
        Format::Hdf5 => read_hdf5(&bytes, limits, budget, then),
        _ => read_archive(&bytes, limits, budget, then),
    }
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
    for part in [CONFIG, METADATA] {
        check_length(part, archive.length(part).unwrap_or(0), limits)?;
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
        let config = Some(&config);
        then(&Parts { container, texts, config, compile, version, root: &root }, budget)
    }
}

/// Reads an `.h5` file, of a whole model or of weights alone.
fn read_hdf5<T>(
    bytes: &[u8],
    limits: &Limits,
    budget: &mut Budget,
    then: impl FnOnce(&Parts<'_>, &mut Budget) -> Result<T, FormatError>,
) -> Result<T, FormatError> {
    let root = hdf5::read(bytes, budget).map_err(KerasError::from)?;
    let text = |name: &str| root.attributes.get(name).and_then(hdf5::Array::as_text);
    let texts = [MODEL, COMPILE].map(|name| text(name).map(|text| (name, text.as_bytes())));
    let texts = texts.into_iter().flatten().collect();
    let part = |name, part| text(name).map(|text| parse(text.as_bytes(), part, limits)).transpose();
    let config = part(MODEL, CONFIG_PART)?;
    let compile = part(COMPILE, "the attribute `training_config`")?;
    let parts = Parts {
        container: Container::Hdf5,
        texts,
        config: config.as_ref(),
        compile: compile.as_ref(),
        version: text(VERSION),
        root: &root,
    };
    then(&parts, budget)
}

pub(super) fn parse(text: &[u8], part: &'static str, limits: &Limits) -> Result<Value, KerasError> {
    check_length(part, text.len() as u64, limits)?;
    json::parse(text, part, limits.text)
}

fn check_length(part: &'static str, length: u64, limits: &Limits) -> Result<(), KerasError> {
    let limit = limits.text;
    match length > limit {
        true => Err(KerasError::TooLong { part, length, limit }),
        false => Ok(()),
    }
}

/// What both kinds of files hold.
pub(super) struct Parts<'p> {
    pub(super) container: Container,
    /// The texts that Keras reads, by their names.
    pub(super) texts: Vec<(&'static str, &'p [u8])>,
    /// The architecture; none where weights stand alone.
    pub(super) config: Option<&'p Value>,
    pub(super) compile: Option<&'p Value>,
    pub(super) version: Option<&'p str>,
    pub(super) root: &'p Group<'p>,
}

impl<'p> Parts<'p> {
    /// The architecture.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn config(&self) -> Result<&'p Value, KerasError> {
        self.config.ok_or_else(|| match weights::is_arrangement(self.root) {
            true => KerasError::WeightsAlone,
            false => KerasError::Missing { part: CONFIG_PART },
        })
    }

    pub(super) fn dialect(&self) -> Dialect {
        dialect(self.version)
    }
}

/// Whose words a file of that version is written in.
pub(super) fn dialect(version: Option<&str>) -> Dialect {
    match version {
        Some(version) if version.starts_with(['1', '2']) => Dialect::Keras2,
        _ => Dialect::Keras3,
    }
}
