//! What Keras has no words for, kept where Keras does not look: in the group `/keepnet` of the HDF5
//! file. So a model that keepnet wrote for Keras comes back to keepnet as it was, and checked as in
//! keepnet's own forms.
//!
//! ```text
//! /keepnet                  attribute `sha256`: of the index
//! /keepnet/index            JSON: which texts the model stood beside, what is kept, where each tensor
//!                           of the model stands in the file; with the SHA-256 of each
//! /keepnet/sections/<id>    sections of the file form, in its words (docs/FORMAT.md)
//! /keepnet/tensors/<number> tensors that Keras has no place for
//! ```
//!
//! If the texts that Keras builds the model from have changed, somebody has edited the model in Keras'
//! way: what is kept is of another model then, and passed over.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::error::KerasError;
use super::report::Notice;
use crate::bytes::{Budget, Digest, matches, sha256_each};
use crate::format::content::{
    Admission, Description, Expected, Item, Listed, Part, Role, Section, json,
};
use crate::format::error::Fault;
use crate::format::{FormatError, Limits, Version};
use crate::model::Checkpoint;
use crate::tensor::{Shape, Tensor};
use crate::wire::hdf5::{Array, Dataset, Group, Node};

pub(super) const GROUP: &str = "keepnet";

const SECTIONS: &str = "sections";
const TENSORS: &str = "tensors";
const INDEX: &str = "index";
const SHA256: &str = "sha256";

/// What the index is called in messages.
const INDEX_PART: &str = "keepnet/index";

/// The text of the index.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    version: Version,
    /// What Keras builds the model from.
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

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorEntry {
    /// From the root of the file.
    path: String,
    role: Role,
    name: String,
    /// Of the numbers, as in the file form.
    sha256: Digest,
}

/// The group that keeps what is `described` and those of its tensors that have no place elsewhere:
/// `places` has the paths of the others by their numbers.
///
/// # Errors
/// If a text could not be read again within the default limits.
pub(super) fn group<'c>(
    description: &Description,
    items: &[Item<'c>],
    mut places: BTreeMap<usize, String>,
    texts: &[(&'static str, &[u8])],
) -> Result<Group<'c>, FormatError> {
    let (mut sections, mut entries) = (Group::default(), Vec::new());
    for section in Section::ALL {
        let Some(text) = description.payload(section)? else { continue };
        let (id, sha256) = (section.id().to_owned(), Digest::of(&text));
        sections.members.insert(id.clone(), bytes(text));
        entries.push(SectionEntry { section: id, critical: section.critical(), sha256 });
    }
    let regions: Vec<_> = items.iter().map(|item| item.tensor.bytes()).collect();
    let (mut others, mut tensors) = (Group::default(), Vec::new());
    for (number, (item, sha256)) in items.iter().zip(sha256_each(&regions)).enumerate() {
        let path = places.remove(&number).unwrap_or_else(|| {
            let dataset = Dataset::from(item.tensor.borrowed());
            others.members.insert(number.to_string(), Node::Dataset(dataset));
            format!("{GROUP}/{TENSORS}/{number}")
        });
        tensors.push(TensorEntry { path, role: item.role, name: item.name.to_owned(), sha256 });
    }
    let digests = texts.iter().map(|(name, text)| ((*name).to_owned(), Digest::of(text)));
    let index =
        Index { version: Version::CURRENT, texts: digests.collect(), sections: entries, tensors };
    let index = json::to_text(&index);
    let attributes = [(SHA256.to_owned(), Array::text(Digest::of(&index).to_string()))];
    let members = [
        (INDEX.to_owned(), bytes(index)),
        (SECTIONS.to_owned(), Node::Group(sections)),
        (TENSORS.to_owned(), Node::Group(others)),
    ];
    Ok(Group { attributes: attributes.into(), members: members.into() })
}

/// Text as a dataset of bytes: HDF5's own texts cannot hold everything.
fn bytes(text: Vec<u8>) -> Node<'static> {
    let array = Array::Opaque { shape: Shape::vector(text.len()), size: 1, bytes: text.into() };
    Node::Dataset(Dataset::from(array))
}

/// What was found in the group.
pub(super) enum Kept {
    Checkpoint(Box<Checkpoint<'static>>),
    /// It is of another model than the rest of the file.
    PassedOver(Notice),
}

/// Reads what the group in `root` keeps, if there is one, and checks every tensor of the model.
///
/// # Errors
/// As for the file form.
pub(super) fn read(
    root: &Group<'_>,
    texts: &[(&'static str, &[u8])],
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Option<Kept>, FormatError> {
    let Some(group) = root.group(GROUP).map_err(KerasError::from)? else { return Ok(None) };
    let missing = |part: &str| FormatError::damaged(part, 0, Fault::Missing);
    let text = text_of(group, INDEX)?.ok_or_else(|| missing(INDEX_PART))?;
    let stored = group.attributes.get(SHA256).and_then(Array::as_text);
    let stored = stored.and_then(|text| text.parse().ok());
    check(INDEX_PART, stored.ok_or_else(|| missing("keepnet/@sha256"))?, text)?;
    let unbounded = Limits { text: u64::MAX, ..*limits };
    let part = Part { name: INDEX_PART, offset: 0, bytes: text };
    let index: Index = part.json(&unbounded, budget)?;
    index.version.check("what keepnet keeps in the file", INDEX_PART, 0)?;
    if let Some(part) = changed(&index.texts, texts) {
        return Ok(Some(Kept::PassedOver(Notice::Edited { part })));
    }
    let sections = sections(group, &index.sections, limits)?;
    let part = |section: Section| {
        let (name, bytes) = sections.get(section.id())?;
        Some(Part { name, offset: 0, bytes })
    };
    let architecture = part(Section::Architecture);
    let graph = architecture.ok_or_else(|| missing("keepnet/sections/architecture"))?;
    let graph = graph.graph(limits, budget)?;
    let description = Description::read(graph, part, limits, budget)?;
    let is_known = |id: &str| Section::from_id(id).is_some_and(|id| !description.passes(id));
    let ids = index.sections.iter().map(|entry| entry.section.as_str());
    let passed_over: Vec<String> = ids.filter(|id| !is_known(id)).map(str::to_owned).collect();
    let tensors = tensors(root, &index, &description, budget)?;
    let checkpoint = Checkpoint { passed_over, ..description.with_tensors(tensors) };
    Ok(Some(Kept::Checkpoint(Box::new(checkpoint))))
}

/// The first of the texts that is not the one that the model stood beside.
fn changed(
    expected: &BTreeMap<String, Digest>,
    texts: &[(&'static str, &[u8])],
) -> Option<&'static str> {
    let is_same = |(name, text): &(&str, &[u8])| expected.get(*name) == Some(&Digest::of(text));
    let other = texts.iter().find(|text| !is_same(text)).map(|(name, _)| *name);
    other.or_else(|| (texts.len() != expected.len()).then_some(super::COMPILE))
}

/// The texts of the sections, each with its path.
fn sections<'f>(
    group: &'f Group<'_>,
    entries: &[SectionEntry],
    limits: &Limits,
) -> Result<BTreeMap<String, (String, &'f [u8])>, FormatError> {
    limits.check_sections(entries.len() as u64)?;
    let mut admission = Admission::default();
    let mut sections = BTreeMap::new();
    for SectionEntry { section, critical, sha256 } in entries {
        admission.admit(section, *critical, INDEX_PART, 0)?;
        let path = format!("{GROUP}/{SECTIONS}/{section}");
        let text = text_of(group, &format!("{SECTIONS}/{section}"))?;
        let text = text.ok_or_else(|| FormatError::damaged(&path, 0, Fault::Missing))?;
        check(&path, *sha256, text)?;
        sections.insert(section.clone(), (path, text));
    }
    Ok(sections)
}

/// The tensors that the description calls for, checked.
fn tensors(
    root: &Group<'_>,
    index: &Index,
    description: &Description,
    budget: &mut Budget,
) -> Result<Vec<(Expected, Tensor<'static>)>, FormatError> {
    let stored = index.tensors.iter().map(|entry| {
        let dataset = root.dataset(&entry.path).map_err(KerasError::from)?;
        let tensor = dataset.and_then(|dataset| dataset.array.tensor());
        tensor.ok_or_else(|| FormatError::damaged(&entry.path, 0, Fault::Missing))
    });
    let stored = stored.collect::<Result<Vec<_>, _>>()?;
    let entries = || index.tensors.iter().zip(&stored);
    let found: Vec<_> = entries()
        .map(|(entry, tensor)| (entry.role, entry.name.as_str(), tensor.shape().clone()))
        .collect();
    let unknown = index.sections.iter().map(|entry| entry.section.as_str());
    let unknown: BTreeSet<_> = unknown.filter(|id| Section::from_id(id).is_none()).collect();
    let listed = description
        .listed(&found, &unknown)
        .map_err(|error| FormatError::damaged(INDEX_PART, 0, error))?;
    let regions: Vec<_> = stored.iter().map(|tensor| tensor.bytes()).collect();
    let mut tensors = Vec::with_capacity(listed.len());
    for (((entry, tensor), found), listed) in entries().zip(sha256_each(&regions)).zip(listed) {
        check_digest(&entry.path, entry.sha256, found)?;
        let Listed { tensor: expected, known } = listed;
        if known {
            budget.reserve(tensor.bytes().len() as u64, "a tensor")?;
            tensors.push((expected, tensor.borrowed().into_owned()));
        }
    }
    Ok(tensors)
}

/// The bytes of a text that [`bytes`] wrote.
fn text_of<'g>(group: &'g Group<'_>, path: &str) -> Result<Option<&'g [u8]>, KerasError> {
    Ok(match group.dataset(path)?.map(|dataset| &dataset.array) {
        Some(Array::Opaque { size: 1, bytes, .. }) => Some(bytes),
        _ => None,
    })
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
