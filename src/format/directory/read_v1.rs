//! The reader of version 1 of the directory form. Directories of this version stay readable forever:
//! after the release this changes only to compile.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::entries::Directory;
use super::manifest::MANIFEST;
use super::manifest_v1::{ExtraEntry, Manifest, TensorEntry};
use super::{EXTRA, TENSORS, extra_file, is_tensor_file, npy, tensor_file};
use crate::bytes::fs::Fs;
use crate::bytes::{Budget, Digest, matches};
use crate::format::content::{
    self, Admission, Description, Expected, Listed, Part, Section, is_section_id,
};
use crate::format::error::Fault;
use crate::format::inspection::{Parsed, SectionInfo, TensorInfo};
use crate::format::{FormatError, Limits};
use crate::tensor::{DType, Tensor};

const TENSORS_PREFIX: &str = "tensors/";
const EXTRA_PREFIX: &str = "extra/";

/// Reads and checks everything in the directory `root`, whose manifest has these members beside its
/// digest.
pub(super) fn parse<F: Fs>(
    root: &Directory<'_, F>,
    members: &[u8],
    sha256: Digest,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Parsed<'static>, FormatError> {
    let manifest = Manifest::read(members, limits, budget)?;
    let Manifest { version, architecture, tensors, extra, .. } = manifest;
    limits.check_sections(extra.len() as u64)?;
    check_sections(&extra)?;

    let whole = Part { name: MANIFEST, offset: 0, bytes: members };
    let mut names = BTreeSet::from([MANIFEST]);
    names.extend((!tensors.is_empty()).then_some(TENSORS));
    names.extend((!extra.is_empty()).then_some(EXTRA));
    root.check_names(&names)?;
    let payloads = read_extra(root, &extra, budget)?;
    let part = |section: Section| {
        payloads.get(section.id()).map(|(name, bytes)| Part { name, offset: 0, bytes })
    };
    let graph = whole.checked_graph(architecture, limits)?;
    let description = Description::read(graph, part, limits, budget)?;
    let unknown = extra.iter().filter(|entry| Section::from_id(&entry.section).is_none());
    let unknown: BTreeSet<_> = unknown.map(|entry| entry.section.as_str()).collect();
    let plan = plan(&description, &tensors, &unknown, whole, budget)?;
    let (tensors, infos) = read_tensors(root, plan)?;
    let sections = extra.into_iter().map(|entry| info(entry, &description)).collect();
    let checkpoint = description.with_tensors(tensors);
    Ok(Parsed::new(version, sha256, sections, infos, checkpoint))
}

fn info(entry: ExtraEntry, description: &Description) -> SectionInfo {
    SectionInfo {
        known: Section::from_id(&entry.section).is_some_and(|section| !description.passes(section)),
        id: entry.section,
        critical: entry.critical,
        file: Some(entry.file),
        offset: 0,
        length: entry.length,
        crc32c: None,
        sha256: entry.sha256,
    }
}

/// As in the file form, but without the sections that the manifest itself stands for.
fn check_sections(extra: &[ExtraEntry]) -> Result<(), FormatError> {
    let mut admission = Admission::default();
    for ExtraEntry { file, section: id, critical, .. } in extra {
        let rule = if !is_section_id(id) {
            "has a name that no section can have"
        } else if *file != format!("{EXTRA_PREFIX}{}", extra_file(id)) {
            "does not stand in the file of its name"
        } else if Section::from_id(id).is_some_and(|section| !Section::EXTRA.contains(&section)) {
            "belongs into the manifest itself"
        } else {
            admission.admit(id, *critical, MANIFEST, 0)?;
            continue;
        };
        let id = id.clone();
        return Err(FormatError::damaged(MANIFEST, 0, Fault::Section { id, rule }));
    }
    Ok(())
}

/// The files in `extra/` by section, each with its path and bytes.
fn read_extra<'m, F: Fs>(
    root: &Directory<'_, F>,
    extra: &'m [ExtraEntry],
    budget: &mut Budget,
) -> Result<BTreeMap<&'m str, (&'m str, Vec<u8>)>, FormatError> {
    let mut payloads = BTreeMap::new();
    if extra.is_empty() {
        return Ok(payloads);
    }
    let directory = root.sub(EXTRA)?;
    let files: BTreeMap<&str, &ExtraEntry> = extra
        .iter()
        .map(|entry| (entry.file.strip_prefix(EXTRA_PREFIX).unwrap_or(&entry.file), entry))
        .collect();
    directory.check_names(&files.keys().copied().collect())?;
    for (name, entry) in files {
        budget.reserve(entry.length, "a file of the directory")?;
        let bytes = directory.read(name, &[], entry.length)?;
        check_digest(&entry.file, "the file", entry.sha256, Digest::of(&bytes))?;
        payloads.insert(entry.section.as_str(), (entry.file.as_str(), bytes));
    }
    Ok(payloads)
}

fn check_digest(
    file: &str,
    what: &str,
    expected: Digest,
    found: Digest,
) -> Result<(), FormatError> {
    if matches(expected, found) {
        return Ok(());
    }
    let what = what.to_owned();
    Err(FormatError::damaged(file, 0, Fault::Digest { what, expected, found }))
}

type Tensors = Vec<(Expected, Tensor<'static>)>;
type Read = ((Expected, Tensor<'static>), TensorInfo);

/// Holds the entries against what the description calls for.
fn plan<'m>(
    description: &Description,
    entries: &'m [TensorEntry],
    unknown: &BTreeSet<&str>,
    manifest: Part<'_>,
    budget: &mut Budget,
) -> Result<Vec<Planned<'m>>, FormatError> {
    let found: Vec<_> = entries
        .iter()
        .map(|entry| (entry.role, entry.name.as_str(), content::shape_of(&entry.shape)))
        .collect();
    let listed = description.listed(&found, unknown).map_err(|error| manifest.fault(error))?;
    let mut plan = Vec::with_capacity(entries.len());
    for (number, (entry, Listed { tensor, known })) in entries.iter().zip(listed).enumerate() {
        let name = tensor_file(number, tensor.role, description.slots(), &tensor.name);
        let file = entry.file.strip_prefix(TENSORS_PREFIX);
        // The names of slots that are passed over are not known.
        let any = |file: &str| !known && is_tensor_file(file, number);
        let Some(name) = file.filter(|&file| file == name || any(file)) else {
            let (what, expected) = ("the file of a tensor", format!("{TENSORS_PREFIX}{name}"));
            let found = entry.file.clone();
            return Err(manifest.fault(Fault::Value { what, expected, found }));
        };
        let (dtype, length) =
            content::layout(&tensor, &entry.dtype).map_err(|fault| manifest.fault(fault))?;
        budget.reserve(length, "a tensor")?;
        plan.push(Planned { tensor, known, entry, name, dtype, length });
    }
    Ok(plan)
}

/// Holds the files against their entries.
fn read_tensors<F: Fs>(
    root: &Directory<'_, F>,
    plan: Vec<Planned<'_>>,
) -> Result<(Tensors, Vec<TensorInfo>), FormatError> {
    if plan.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let directory = root.sub(TENSORS)?;
    directory.check_names(&plan.iter().map(|planned| planned.name).collect())?;
    let read = plan.into_par_iter().filter_map(|planned| planned.read(&directory).transpose());
    Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

/// A tensor whose entry agrees with the description.
struct Planned<'m> {
    tensor: Expected,
    /// Whether the description calls for it; else it is passed over.
    known: bool,
    entry: &'m TensorEntry,
    /// In `tensors/`.
    name: &'m str,
    dtype: DType,
    length: u64,
}

impl Planned<'_> {
    fn read<F: Fs>(self, directory: &Directory<'_, F>) -> Result<Option<Read>, FormatError> {
        let Self { tensor: expected, known, entry, name, dtype, length } = self;
        let header = npy::header(dtype, &expected.shape);
        let bytes = directory.read(name, &header, length)?;
        check_digest(&entry.file, "the numbers", entry.sha256, Digest::of(&bytes))?;
        let whole = Digest::of_parts([header.as_slice(), &bytes]);
        check_digest(&entry.file, "the file", entry.file_sha256, whole)?;
        if !known {
            return Ok(None);
        }
        let tensor = Tensor::new(dtype, expected.shape.clone(), bytes)
            .map_err(|error| FormatError::damaged(&entry.file, 0, Fault::Tensor(error)))?;
        let (file, offset) = (Some(entry.file.clone()), header.len() as u64);
        let info = TensorInfo::new(&expected, &tensor, file, offset, entry.sha256);
        Ok(Some(((expected, tensor), info)))
    }
}
