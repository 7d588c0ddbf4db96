//! The files of a SavedModel.

use std::borrow::Cow;
use std::path::Path;

use prost::bytes::Bytes;

use super::error::SavedModelError;
use super::{BUNDLE, EXTRA, INDEX, KEPT, KERAS, MODEL, VARIABLES};
use crate::bytes::Budget;
use crate::bytes::fs::Fs;
use crate::format::content::is_section_id;
use crate::format::directory::Directory;
use crate::format::kept::{self, Container, TensorEntry, missing};
use crate::format::{FormatError, Limits};
use crate::model::Graph;
use crate::tensor::Tensor;
use crate::wire::tensorflow::{Bundle, Index, shard_name};

/// How SavedModels are written that keepnet does not read.
const OTHERS: [&str; 2] = ["saved_model.pbtxt", "saved_model.cpb"];

/// Whether a SavedModel, or a directory of versions of one, stands at `path`.
pub(in crate::format) fn is_one<F: Fs>(fs: &F, path: &Path) -> Result<bool, FormatError> {
    let root = Directory::open(fs, path)?;
    let names = root.names()?;
    let is_whole = |name: &String| name == MODEL || OTHERS.contains(&name.as_str());
    if names.iter().any(is_whole) {
        return Ok(true);
    }
    let newest = newest(&root, &names).map_err(|error| error.at(path))?;
    Ok(newest.is_some())
}

/// The number of a version that a directory of that name is for TensorFlow Serving.
pub(super) fn version(name: &str) -> Option<u64> {
    name.parse().ok().filter(|_| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The newest version in a directory of such, if there is any. Files of such names are none.
///
/// # Errors
/// If a link stands where the newest version would.
fn newest<'f, F: Fs>(
    root: &Directory<'f, F>,
    names: &[String],
) -> Result<Option<Directory<'f, F>>, FormatError> {
    let number = |name: &String| Some((version(name)?, name.clone()));
    let mut versions: Vec<_> = names.iter().filter_map(number).collect();
    versions.sort_unstable();
    while let Some((_, name)) = versions.pop() {
        let Some(version) = root.sub_if_one(&name)? else { continue };
        if version.names()?.iter().any(|name| name == MODEL) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// All of them but what keepnet keeps, in memory.
pub(super) struct Files<'f, F: Fs> {
    pub(super) model: Bytes,
    /// `keras_metadata.pb`, if it is there.
    pub(super) keras: Option<Bytes>,
    pub(super) bundle: Option<Bundle>,
    extra: Option<Directory<'f, F>>,
}

/// `None` for what is missing.
fn present<T>(found: Result<T, FormatError>) -> Result<Option<T>, FormatError> {
    match found {
        Err(error) if error.is_missing() => Ok(None),
        found => found.map(Some),
    }
}

impl<'f, F: Fs> Files<'f, F> {
    /// Reads what stands at `path`. The checksum of every tensor is checked.
    pub(super) fn read(
        fs: &'f F,
        path: &Path,
        limits: &Limits,
        budget: &mut Budget,
    ) -> Result<Self, FormatError> {
        let root = Directory::open(fs, path)?;
        let names = root.names()?;
        if names.iter().any(|name| name == MODEL) {
            return Self::of(&root, limits, budget);
        }
        if let Some(version) = newest(&root, &names)? {
            return Self::of(&version, limits, budget);
        }
        match OTHERS.into_iter().find(|other| names.iter().any(|name| name == other)) {
            Some(name) => Err(SavedModelError::OtherWriting { name }.into()),
            None => Err(missing(MODEL)),
        }
    }

    fn of(
        root: &Directory<'f, F>,
        limits: &Limits,
        budget: &mut Budget,
    ) -> Result<Self, FormatError> {
        let model = root.content(MODEL, budget)?.into();
        let keras = present(root.content(KERAS, budget))?.map(Bytes::from);
        let bundle = match present(root.sub(VARIABLES))? {
            Some(variables) => read_bundle(&variables, limits, budget)?,
            None => None,
        };
        let extra = present(root.sub(EXTRA))?;
        let extra = extra.map(|extra| present(extra.sub(KEPT))).transpose()?.flatten();
        Ok(Self { model, keras, bundle, extra })
    }

    /// What keepnet keeps in it, if it wrote it.
    pub(super) fn kept(&self) -> Option<Own<'_, 'f, F>> {
        Some(Own { texts: self.extra.as_ref()?, bundle: self.bundle.as_ref() })
    }
}

fn read_bundle<F: Fs>(
    variables: &Directory<'_, F>,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Option<Bundle>, FormatError> {
    // Where there are no variables, TensorFlow leaves the directory empty.
    let Some(index) = present(variables.content(INDEX, budget))? else { return Ok(None) };
    let index = Index::read(&index, budget).map_err(SavedModelError::from)?;
    limits.check_tensors(index.len() as u64)?;
    let shards = (0..index.shards).map(|number| {
        let name = format!("{BUNDLE}{}", shard_name(number, index.shards));
        variables.content(&name, budget)
    });
    let shards = shards.collect::<Result<_, _>>()?;
    Ok(Some(index.with_shards(shards).map_err(SavedModelError::from)?))
}

/// What keepnet keeps in a SavedModel: texts as files, tensors in the bundle.
pub(super) struct Own<'o, 'f, F: Fs> {
    texts: &'o Directory<'f, F>,
    bundle: Option<&'o Bundle>,
}

/// Where the text of that name stands: the directory in `assets.extra/keepnet`, if any, and the file.
/// No other names are taken from what is read.
pub(super) fn place_of(text: &str) -> Option<(Option<&str>, &str)> {
    let name = text.strip_prefix(kept::PREFIX)?;
    let (folder, file) = match name.split_once('/') {
        None => (None, name),
        Some((folder, file)) => (Some(folder), file),
    };
    let is_plain = |name: &str| is_section_id(name);
    (is_plain(file) && folder.is_none_or(is_plain)).then_some((folder, file))
}

impl<F: Fs> Container for Own<'_, '_, F> {
    fn text(&self, name: &str, budget: &mut Budget) -> Result<Option<Cow<'_, [u8]>>, FormatError> {
        let text = match place_of(name) {
            None => return Ok(None),
            Some((None, file)) => present(self.texts.content(file, budget))?,
            Some((Some(folder), file)) => match present(self.texts.sub(folder))? {
                Some(folder) => present(folder.content(file, budget))?,
                None => None,
            },
        };
        Ok(text.map(Cow::Owned))
    }

    fn tensors(
        &self,
        _graph: &Graph,
        entries: &[TensorEntry],
        _budget: &mut Budget,
    ) -> Result<Vec<Tensor<'_>>, FormatError> {
        let tensor = |entry: &TensorEntry| {
            let found = self.bundle.map(|bundle| bundle.tensor(&entry.path)).transpose();
            found.map_err(SavedModelError::from)?.flatten().ok_or_else(|| missing(&entry.path))
        };
        entries.iter().map(tensor).collect()
    }
}
