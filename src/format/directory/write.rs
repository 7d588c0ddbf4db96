//! Writing the directory form.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path};

use super::manifest::{ExtraEntry, MANIFEST, MARKER, Manifest, TensorEntry};
use super::{EXTRA, TENSORS, extra_file, npy, tensor_file};
use crate::bytes::atomic::{self, AtomicError};
use crate::bytes::{Digest, sha256_each};
use crate::format::FormatError;
use crate::format::content::{Description, Section, is_section_id};
use crate::model::Checkpoint;

pub(in crate::format) fn save(checkpoint: &Checkpoint<'_>, path: &Path) -> Result<(), FormatError> {
    let (description, items) = Description::of(checkpoint)?;
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
    check_replaceable(path)?;
    Ok(atomic::replace_dir(path, &is_ours, |scratch| {
        if !manifest.tensors.is_empty() {
            fs::create_dir(scratch.join(TENSORS))?;
        }
        for ((entry, header), region) in manifest.tensors.iter().zip(&headers).zip(&regions) {
            write(&scratch.join(&entry.file), &[header, region])?;
        }
        if !manifest.extra.is_empty() {
            fs::create_dir(scratch.join(EXTRA))?;
        }
        for (entry, payload) in manifest.extra.iter().zip(&payloads) {
            write(&scratch.join(&entry.file), &[payload])?;
        }
        write(&scratch.join(MANIFEST), &[&manifest.to_text()])
    })?)
}

fn write(path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    pieces.iter().try_for_each(|piece| file.write_all(piece))
}

/// A directory that is replaced is empty or a model of ours, damaged perhaps. The names of what
/// else it holds are checked by [`atomic::replace_dir`].
fn check_replaceable(path: &Path) -> Result<(), AtomicError> {
    let Ok(mut entries) = fs::read_dir(path) else {
        // There is no directory: fine, or for `replace_dir` to say.
        return Ok(());
    };
    let Some(Ok(first)) = entries.next() else {
        return Ok(());
    };
    let mut start = Vec::new();
    let manifest = File::open(path.join(MANIFEST));
    let read = manifest.and_then(|file| file.take(MARKER.len() as u64).read_to_end(&mut start));
    match read {
        Ok(_) if start == MARKER => Ok(()),
        Ok(_) => Err(AtomicError::Foreign { found: MANIFEST.into() }),
        Err(_) => Err(AtomicError::Foreign { found: first.file_name().into() }),
    }
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
