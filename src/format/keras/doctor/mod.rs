//! Which Keras opens a file, and what stands in the way. Each rule is what Keras 3.15 and tf-keras 2.21
//! were seen to do; a file of which nothing is found may still surprise another release.

mod compile;
mod layers;
mod problem;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::error::{KerasError, Owner};
use super::json::Object;
use super::kept::GROUP;
use super::layers::Dialect;
use super::open::{Parts, with_parts};
use super::weights;
use crate::bytes::fs::RealFs;
use crate::format::{Format, FormatError, Limits, names_weights};
use crate::wire::hdf5::Group;

use Reader::{Keras3, TfKeras2};
pub use problem::{Effect, Problem, Reader};

/// What a model of Keras is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Container {
    /// A ZIP archive: `.keras`.
    Archive,
    /// The members of such an archive in a directory.
    Folder,
    /// An HDF5 file: `.h5`.
    Hdf5,
}

/// What a file of Keras is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// A whole model.
    Model,
    /// Weights alone, without the layers that they are of.
    Weights,
}

/// A problem that one Keras has, with something in the file or with all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub reader: Reader,
    pub problem: Problem,
    pub owner: Option<Owner>,
}

/// What can be told of a model of Keras without building it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Diagnosis {
    pub container: Container,
    pub content: Content,
    /// Such as `Keras 3.15.1`, or `keepnet`, where the file tells.
    pub writer: Option<String>,
    /// Whose words the file is taken to be written in: 2 or 3.
    pub dialect: u32,
    /// The classes of layers by their names, those of models inside the model included. Where weights stand
    /// alone, as far as the names of groups tell them.
    pub layers: BTreeMap<String, usize>,
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// The worst of what `reader` makes of the file; `None` if nothing is found.
    pub fn worst(&self, reader: Reader) -> Option<Effect> {
        let own = self.findings.iter().filter(|finding| finding.reader == reader);
        own.map(|finding| finding.problem.effect()).min()
    }
}

/// Tells of the model of Keras at `path` which Keras opens it, and what stands in the way.
///
/// # Errors
/// If it is no model of Keras, or too damaged to be understood.
pub fn diagnose(path: &Path, limits: &Limits) -> Result<Diagnosis, FormatError> {
    let form = Format::detect(path)?;
    if !matches!(form, Format::Keras | Format::Hdf5) {
        return Err(FormatError::NotOfKeras { found: form }.at(path));
    }
    let diagnosis = with_parts(&RealFs, path, form, limits, |parts, _| Ok(examine(parts, path)?));
    diagnosis.map_err(|error| error.at(path))
}

fn examine(parts: &Parts<'_>, path: &Path) -> Result<Diagnosis, KerasError> {
    let mut exam = Exam {
        container: parts.container,
        is_keras2: parts.dialect() == Dialect::Keras2,
        layers: BTreeMap::new(),
        findings: Vec::new(),
    };
    exam.groups(parts);
    let content = match parts.config() {
        Ok(config) => {
            exam.name(path);
            exam.model(config, false);
            Content::Model
        }
        Err(KerasError::WeightsAlone) => {
            exam.weights(parts.root, path)?;
            Content::Weights
        }
        Err(error) => return Err(error),
    };
    if let Some(compile) = parts.compile {
        exam.compile(compile);
    }
    exam.optimizer_state(parts);
    Ok(Diagnosis {
        container: parts.container,
        content,
        writer: match parts.root.group(GROUP) {
            Ok(Some(_)) => Some("keepnet".to_owned()),
            _ => parts.version.map(|version| format!("Keras {version}")),
        },
        dialect: if exam.is_keras2 { 2 } else { 3 },
        layers: exam.layers,
        findings: exam.findings,
    })
}

struct Exam {
    container: Container,
    is_keras2: bool,
    layers: BTreeMap<String, usize>,
    findings: Vec<Finding>,
}

impl Exam {
    pub(super) fn find(&mut self, reader: Reader, problem: Problem, owner: Option<&Owner>) {
        let finding = Finding { reader, problem, owner: owner.cloned() };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    pub(super) fn both(&mut self, problem: Problem, owner: Option<&Owner>) {
        self.find(Keras3, problem.clone(), owner);
        self.find(TfKeras2, problem, owner);
    }

    pub(super) fn is_hdf5(&self) -> bool {
        self.container == Container::Hdf5
    }

    fn name(&mut self, path: &Path) {
        let container = self.container;
        let has = |name: &str| has_extension(path, name);
        match container {
            Container::Folder => self.find(TfKeras2, Problem::Folder, None),
            // tf-keras looks into the file.
            Container::Hdf5 if !has("h5") && !has("hdf5") => {
                self.find(Keras3, Problem::FileName { container }, None);
            }
            Container::Archive if !has("keras") => {
                self.both(Problem::FileName { container }, None);
            }
            _ => {}
        }
    }

    /// Weights alone: Keras chooses by the end of the name where it looks for them.
    fn weights(&mut self, root: &Group<'_>, path: &Path) -> Result<(), KerasError> {
        let is_hdf5 = ["h5", "hdf5"].iter().any(|it| has_extension(path, it));
        let (ending, fits) = match weights::named(root)? {
            Some(_) => (".h5", is_hdf5 && !names_weights(path)),
            None => (".weights.h5", names_weights(path)),
        };
        if !fits {
            self.both(Problem::WeightsName { ending }, None);
        }
        for name in weights::groups(root) {
            *self.layers.entry(name).or_default() += 1;
        }
        Ok(())
    }

    fn groups(&mut self, parts: &Parts<'_>) {
        let names = || parts.root.members.keys();
        if names().any(|name| name.contains('\\')) {
            self.both(Problem::Backslashes, None);
        }
        if names().any(|name| name == "_layer_checkpoint_dependencies") {
            self.both(Problem::OldGroups, None);
        }
    }

    /// What is refused is no optimizer's state to keepnet.
    fn optimizer_state(&mut self, parts: &Parts<'_>) {
        let group = |path| parts.root.group(path).ok().flatten();
        let stored = group("optimizer_weights");
        if self.is_hdf5() && stored.is_some_and(|group| !group.members.is_empty()) {
            self.find(Keras3, Problem::OptimizerOfHdf5, None);
        }
        let Some(vars) = group("optimizer/vars") else { return };
        let second = vars.dataset("1").ok().flatten();
        let rate = second.is_some_and(|second| second.array.shape().rank() == 0);
        if rate {
            self.find(TfKeras2, Problem::OptimizerOfKeras3, None);
        } else if self.is_keras2 {
            self.find(Keras3, Problem::OptimizerOfKeras2, None);
        }
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|it| it.eq_ignore_ascii_case(extension))
}

fn owner(object: &Object<'_>) -> Owner {
    let name = object.config.get("name").or_else(|| object.whole.get("name"));
    Owner { class: object.class.to_owned(), name: name.and_then(Value::as_str).map(str::to_owned) }
}
