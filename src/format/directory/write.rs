//! Writing the directory form.

use std::path::{Component, Path};

use super::manifest::{MANIFEST, MARKER};
use super::manifest_v1::{ExtraEntry, Manifest, TensorEntry};
use super::{EXTRA, TENSORS, extra_file, npy, tensor_file};
use crate::bytes::atomic::{self, Owned};
use crate::bytes::fs::Fs;
use crate::bytes::{Digest, sha256_each};
use crate::format::content::{Description, Section, is_section_id};
use crate::format::{FormatError, Limits, SAVED_DIRECTORIES};
use crate::model::Checkpoint;

/// The directory form, for whoever replaces it.
pub(in crate::format) const OWNED: Owned<'static> =
    Owned { mark: (MANIFEST, MARKER), owns: &is_ours };

pub(in crate::format) fn save<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
) -> Result<(), FormatError> {
    let (description, items) = Description::of(checkpoint)?;
    description.check_limits()?;
    let regions: Vec<&[u8]> = items.iter().map(|item| item.tensor.bytes()).collect();
    let mut tensors = Vec::new();
    let mut headers = Vec::new();
    for (number, (item, sha256)) in items.iter().zip(sha256_each(&regions)).enumerate() {
        let header = npy::header(item.tensor.dtype(), item.tensor.shape());
        let name = tensor_file(number, item.role, description.slots(), item.name);
        tensors.push(TensorEntry {
            file: format!("{TENSORS}/{name}"),
            role: item.role,
            name: item.name.to_owned(),
            dtype: item.tensor.dtype().name().to_owned(),
            shape: item.tensor.shape().dims().iter().map(|&dim| dim as u64).collect(),
            sha256,
            file_sha256: Digest::of_parts([header.as_slice(), item.tensor.bytes()]),
        });
        headers.push(header);
    }
    let mut extra = Vec::new();
    let mut payloads = Vec::new();
    for section in Section::EXTRA {
        if let Some(payload) = description.payload(section)? {
            extra.push(ExtraEntry {
                file: format!("{EXTRA}/{}", extra_file(section.id())),
                section: section.id().to_owned(),
                critical: section.critical(),
                length: payload.len() as u64,
                sha256: Digest::of(&payload),
            });
            payloads.push(payload);
        }
    }
    let manifest = Manifest::new(description.architecture(), tensors, extra);
    let text = manifest.to_text();
    Limits::default().check_manifest(text.len() as u64)?;
    Ok(atomic::replace_directory(fs, path, &SAVED_DIRECTORIES, |scratch| {
        if !manifest.tensors.is_empty() {
            let directory = scratch.directory(TENSORS)?;
            for ((entry, header), region) in manifest.tensors.iter().zip(&headers).zip(&regions) {
                directory.file(base(&entry.file), &[header, region])?;
            }
        }
        if !manifest.extra.is_empty() {
            let directory = scratch.directory(EXTRA)?;
            for (entry, payload) in manifest.extra.iter().zip(&payloads) {
                directory.file(base(&entry.file), &[payload])?;
            }
        }
        scratch.file(MANIFEST, &[&text])
    })?)
}

/// The name at the end of a path in the manifest.
fn base(file: &str) -> &str {
    file.rsplit_once('/').map_or(file, |(_, name)| name)
}

/// Whether a path in a directory can be one that this module writes.
fn is_ours(path: &Path) -> bool {
    let names: Vec<&str> = path
        .components()
        .map(|component| match component {
            Component::Normal(name) => name.to_str().unwrap_or_default(),
            _ => "",
        })
        .collect();
    match *names {
        [MANIFEST | TENSORS | EXTRA] => true,
        [TENSORS, name] => name.strip_suffix(".npy").is_some_and(|stem| {
            let number = stem.split_once('-').map_or("", |(number, _)| number);
            number.len() >= 4 && number.bytes().all(|byte| byte.is_ascii_digit())
        }),
        [EXTRA, name] => name
            .strip_suffix(".json")
            .or_else(|| name.strip_suffix(".bin"))
            .is_some_and(is_section_id),
        _ => false,
    }
}
