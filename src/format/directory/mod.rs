//! The directory form: a manifest, one NumPy array per tensor, and files for the rest.
//! `docs/DIRECTORY.md` is its specification. No path is ever taken from the manifest: every file
//! has the one name that its number and meaning give it.

mod entries;
mod manifest;
mod manifest_v1;
mod npy;
mod read_v1;
mod write;

use std::path::Path;

use super::content::{Encoding, Role, Section};
use super::inspection::Parsed;
use super::{FormatError, Limits};
use crate::bytes::Budget;
use crate::bytes::fs::Fs;
pub(super) use entries::Directory;
pub(super) use manifest::MANIFEST;
pub(super) use write::{OWNED, save};

const TENSORS: &str = "tensors";
const EXTRA: &str = "extra";

/// The most letters of a tensor's name that its file's name repeats.
const MAX_STEM: usize = 64;

/// Reads and checks everything in the directory form.
pub(super) fn parse<F: Fs>(
    fs: &F,
    path: &Path,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Parsed<'static>, FormatError> {
    let root = Directory::open(fs, path)?;
    let (members, sha256) = manifest::unseal(&manifest::read(&root, limits, budget)?)?;
    // The only major version there is; the next one gets a reader of its own beside this.
    read_v1::parse(&root, &members, sha256, limits, budget)
}

/// The name in `tensors/` of tensor `number`. The number identifies it; the rest is for people:
/// what is no ASCII letter, digit or underscore becomes `-`, and what is too long is cut.
fn tensor_file(number: usize, role: Role, slots: &[String], name: &str) -> String {
    let slot = |slot: u32| slots.get(slot as usize).map_or("slot", String::as_str);
    let full = match role {
        Role::Parameter => name.to_owned(),
        Role::Slot(number) => format!("{}/{name}", slot(number)),
        Role::ProofOutput => format!("proof/{name}"),
        Role::Best(_) => format!("best/{name}"),
        Role::Of { section, .. } => format!("{}/{name}", section.as_str().unwrap_or_default()),
    };
    let readable = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let stem: String = full.chars().take(MAX_STEM).map(readable).collect();
    format!("{number:04}-{stem}.npy")
}

/// Whether `name` is one that tensor `number` of some role and name can have in `tensors/`.
fn is_tensor_file(name: &str, number: usize) -> bool {
    let stem =
        name.strip_suffix(".npy").and_then(|name| name.strip_prefix(&format!("{number:04}-")));
    let readable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    stem.is_some_and(|stem| stem.len() <= MAX_STEM && stem.bytes().all(readable))
}

/// The name in `extra/` of the section of that id.
fn extra_file(id: &str) -> String {
    match Section::from_id(id).map(Section::encoding) {
        Some(Encoding::Text) => format!("{id}.json"),
        Some(Encoding::Records | Encoding::Numbers) | None => format!("{id}.bin"),
    }
}
