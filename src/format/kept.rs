//! What another program has no words for, kept in its files where it does not look. So a model that
//! keepnet wrote for it comes back to keepnet as it was, and checked as in keepnet's own forms.
//!
//! A container has named texts and named tensors. Of these are keepnet's:
//!
//! ```text
//! keepnet/sha256            of the index, in hexadecimal digits
//! keepnet/index             JSON: which parts the model stood beside, what is kept, where each tensor
//!                           of the model stands in the container; with the SHA-256 of each
//! keepnet/sections/<id>     sections of the file form, in its words (docs/FORMAT.md)
//! keepnet/tensors/<number>  tensors that the other program has no place for
//! ```
//!
//! If the parts that the other program builds the model from have changed, somebody has edited the model
//! in its way: what is kept is of another model then, and passed over.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::content::{
    Admission, ContentError, Description, Expected, Item, Listed, Part, Role, Section, json,
};
use super::error::Fault;
use super::{FormatError, Limits, Version};
use crate::bytes::{Budget, Digest, matches, sha256_each};
use crate::model::{Checkpoint, Graph};
use crate::tensor::Tensor;

/// What begins the name of everything that is kept.
pub(super) const PREFIX: &str = "keepnet/";

/// What begins the names of tensors that have no place elsewhere.
pub(super) const TENSORS: &str = "keepnet/tensors/";

pub(super) const INDEX: &str = "keepnet/index";
pub(super) const SHA256: &str = "keepnet/sha256";

fn section_name(id: &str) -> String {
    format!("{PREFIX}sections/{id}")
}

/// The text of the index.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    version: Version,
    /// What the other program builds the model from.
    texts: BTreeMap<String, Digest>,
    /// In the order of the file form.
    sections: Vec<SectionEntry>,
    /// In the order of the file form.
    tensors: Vec<TensorEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionEntry {
    section: String,
    critical: bool,
    sha256: Digest,
}

/// A tensor of the model, and where it stands.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TensorEntry {
    /// Its name in the container.
    pub(super) path: String,
    pub(super) role: Role,
    /// As in the file form.
    pub(super) name: String,
    /// Of the numbers, as in the file form.
    sha256: Digest,
}

/// What a container is to keep.
pub(super) struct Keep<'c> {
    /// Each is UTF-8.
    pub(super) texts: Vec<(String, Vec<u8>)>,
    /// Those that have no place elsewhere.
    pub(super) tensors: Vec<(String, Tensor<'c>)>,
}

/// Where texts and tensors are kept, when they are read.
pub(super) trait Container {
    /// The text of that name, if there is one.
    fn text(&self, name: &str, budget: &mut Budget) -> Result<Option<Cow<'_, [u8]>>, FormatError>;

    /// The tensors that stand at these places, in this order, as the file form has them; of a model with
    /// that graph. What is not borrowed is paid for from the budget.
    ///
    /// # Errors
    /// [`missing`] if one is not there.
    fn tensors(
        &self,
        graph: &Graph,
        entries: &[TensorEntry],
        budget: &mut Budget,
    ) -> Result<Vec<Tensor<'_>>, FormatError>;
}

/// Says that what should stand at `path` does not.
pub(super) fn missing(path: &str) -> FormatError {
    FormatError::damaged(path, 0, Fault::Missing)
}

/// What is to be kept of `checkpoint`. `place` gives the name that a tensor has in the container if the
/// other program has a place for it, by its number in the order of files; `parts` are what that program
/// builds the model from, by names.
///
/// # Errors
/// If the checkpoint contradicts itself, or could not be read again within the default limits.
pub(super) fn keep<'c>(
    checkpoint: &'c Checkpoint<'_>,
    mut place: impl FnMut(usize, &Item<'c>) -> Option<String>,
    parts: &[(&str, &[u8])],
) -> Result<Keep<'c>, FormatError> {
    let (description, items) = Description::of(checkpoint)?;
    description.check_limits()?;
    let (mut texts, mut sections) = (Vec::new(), Vec::new());
    for section in Section::ALL {
        let Some(text) = description.payload(section)? else { continue };
        let (id, sha256) = (section.id().to_owned(), Digest::of(&text));
        texts.push((section_name(&id), text));
        sections.push(SectionEntry { section: id, critical: section.critical(), sha256 });
    }
    let regions: Vec<_> = items.iter().map(|item| item.tensor.bytes()).collect();
    let (mut others, mut tensors) = (Vec::new(), Vec::new());
    for (number, (item, sha256)) in items.iter().zip(sha256_each(&regions)).enumerate() {
        let path = place(number, item).unwrap_or_else(|| {
            let path = format!("{TENSORS}{number}");
            others.push((path.clone(), item.tensor.borrowed()));
            path
        });
        tensors.push(TensorEntry { path, role: item.role, name: item.name.to_owned(), sha256 });
    }
    let digests = parts.iter().map(|(name, part)| ((*name).to_owned(), Digest::of(part)));
    let index = Index { version: Version::CURRENT, texts: digests.collect(), sections, tensors };
    let index = json::to_text(&index);
    texts.push((SHA256.to_owned(), Digest::of(&index).to_string().into_bytes()));
    texts.push((INDEX.to_owned(), index));
    Ok(Keep { texts, tensors: others })
}

/// What was found in a container.
pub(super) enum Kept {
    Checkpoint(Box<Checkpoint<'static>>),
    /// It is of another model than the rest, of which this part has changed.
    Edited {
        part: String,
    },
}

/// Reads what `container` keeps and checks every tensor of the model. `parts` are as for [`keep`].
///
/// # Errors
/// As for the file form.
pub(super) fn read(
    container: &impl Container,
    parts: &[(&str, &[u8])],
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Kept, FormatError> {
    let text = container.text(INDEX, budget)?.ok_or_else(|| missing(INDEX))?;
    let stored = container.text(SHA256, budget)?;
    let stored = stored.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
    check(INDEX, stored.ok_or_else(|| missing(SHA256))?, &text)?;
    let unbounded = Limits { text: u64::MAX, ..*limits };
    let part = Part { name: INDEX, offset: 0, bytes: &text };
    let index: Index = part.json(&unbounded, budget)?;
    index.version.check("what keepnet keeps in the file", INDEX, 0)?;
    if let Some(part) = changed(&index.texts, parts) {
        return Ok(Kept::Edited { part: part.to_owned() });
    }
    let sections = sections(container, &index.sections, limits, budget)?;
    let part = |section: Section| {
        let (name, bytes) = sections.get(section.id())?;
        Some(Part { name, offset: 0, bytes })
    };
    let architecture = part(Section::Architecture);
    let graph = architecture.ok_or_else(|| missing(&section_name(Section::Architecture.id())))?;
    let graph = graph.graph(limits, budget)?;
    let description = Description::read(graph, part, limits, budget)?;
    let is_known = |id: &str| Section::from_id(id).is_some_and(|id| !description.passes(id));
    let ids = index.sections.iter().map(|entry| entry.section.as_str());
    let passed_over: Vec<String> = ids.filter(|id| !is_known(id)).map(str::to_owned).collect();
    // Else a few bytes could ask for many copies of one tensor.
    let mut paths = BTreeSet::new();
    if let Some(again) = index.tensors.iter().find(|entry| !paths.insert(&entry.path)) {
        let (what, name) = ("places of tensors", again.path.clone());
        return Err(FormatError::damaged(INDEX, 0, ContentError::Duplicate { what, name }));
    }
    let tensors = container.tensors(description.graph(), &index.tensors, budget)?;
    let tensors = checked(&index, tensors, &description, budget)?;
    let checkpoint = Checkpoint { passed_over, ..description.with_tensors(tensors) };
    Ok(Kept::Checkpoint(Box::new(checkpoint)))
}

/// The first part that is not the one that the model stood beside.
fn changed<'n>(
    expected: &'n BTreeMap<String, Digest>,
    parts: &[(&'n str, &[u8])],
) -> Option<&'n str> {
    let is_same = |(name, part): &(&str, &[u8])| expected.get(*name) == Some(&Digest::of(part));
    let other = parts.iter().find(|part| !is_same(part)).map(|(name, _)| *name);
    let is_there = |name: &str| parts.iter().any(|(part, _)| *part == name);
    other.or_else(|| expected.keys().map(String::as_str).find(|name| !is_there(name)))
}

/// The texts of sections by their ids, each with its name in the container.
type Sections<'f> = BTreeMap<String, (String, Cow<'f, [u8]>)>;

fn sections<'f>(
    container: &'f impl Container,
    entries: &[SectionEntry],
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Sections<'f>, FormatError> {
    limits.check_sections(entries.len() as u64)?;
    let mut admission = Admission::default();
    let mut sections = BTreeMap::new();
    for SectionEntry { section, critical, sha256 } in entries {
        admission.admit(section, *critical, INDEX, 0)?;
        let name = section_name(section);
        let text = container.text(&name, budget)?.ok_or_else(|| missing(&name))?;
        check(&name, *sha256, &text)?;
        sections.insert(section.clone(), (name, text));
    }
    Ok(sections)
}

/// The tensors that the description calls for.
fn checked(
    index: &Index,
    stored: Vec<Tensor<'_>>,
    description: &Description,
    budget: &mut Budget,
) -> Result<Vec<(Expected, Tensor<'static>)>, FormatError> {
    let found: Vec<_> = (index.tensors.iter().zip(&stored))
        .map(|(entry, tensor)| (entry.role, entry.name.as_str(), tensor.shape().clone()))
        .collect();
    let unknown = index.sections.iter().map(|entry| entry.section.as_str());
    let unknown: BTreeSet<_> = unknown.filter(|id| Section::from_id(id).is_none()).collect();
    let listed = description
        .listed(&found, &unknown)
        .map_err(|error| FormatError::damaged(INDEX, 0, error))?;
    let regions: Vec<_> = stored.iter().map(|tensor| tensor.bytes()).collect();
    let digests = sha256_each(&regions);
    let mut tensors = Vec::with_capacity(listed.len());
    for (((entry, tensor), found), listed) in
        index.tensors.iter().zip(stored).zip(digests).zip(listed)
    {
        check_digest(&entry.path, entry.sha256, found)?;
        let Listed { tensor: expected, known } = listed;
        if known {
            if tensor.is_borrowed() {
                budget.reserve(tensor.bytes().len() as u64, "a tensor")?;
            }
            tensors.push((expected, tensor.into_owned()));
        }
    }
    Ok(tensors)
}

fn check(part: &str, expected: Digest, bytes: &[u8]) -> Result<(), FormatError> {
    check_digest(part, expected, Digest::of(bytes))
}

fn check_digest(part: &str, expected: Digest, found: Digest) -> Result<(), FormatError> {
    if matches(expected, found) {
        return Ok(());
    }
    let what = "the values".to_owned();
    Err(FormatError::damaged(part, 0, Fault::Digest { what, expected, found }))
}
