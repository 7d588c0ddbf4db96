//! What the manifests of all versions have in common: canonical JSON whose last member is the digest
//! of all before it, and the version, by which the reader is chosen.

use serde::Deserialize;

use super::entries::Directory;
use crate::bytes::fs::Fs;
use crate::bytes::{Budget, Digest, matches};
use crate::format::error::Fault;
use crate::format::{FormatError, Kind, Limits, Version};

pub(in crate::format) const MANIFEST: &str = "manifest.json";

/// The first bytes of every manifest of every version.
pub(super) const MARKER: &[u8] = b"{\n  \"format\": \"keepnet directory\",\n";

/// What follows the text that the digest is of, around the digest's 64 digits.
const BEFORE_DIGEST: &[u8] = b",\n  \"sha256\": \"";
const AFTER_DIGEST: &[u8] = b"\"\n}\n";
/// How the canonical text of the other members ends, which gives way to the digest.
const END: &[u8] = b"\n}\n";

/// The bytes of the manifest in `root`.
pub(super) fn read<F: Fs>(
    root: &Directory<'_, F>,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Vec<u8>, FormatError> {
    let (_, length) = root.file(MANIFEST)?;
    limits.check_manifest(length)?;
    budget.reserve(length, "the manifest")?;
    root.read(MANIFEST, &[], length)
}

/// The text of a manifest whose members but the digest are `members`.
pub(super) fn seal(mut members: Vec<u8>) -> Vec<u8> {
    members.truncate(members.len().saturating_sub(END.len()));
    let digest = Digest::of(&members).to_string();
    members.extend([BEFORE_DIGEST, digest.as_bytes(), AFTER_DIGEST].concat());
    members
}

/// The members but the digest of a manifest of a version that is known, and the digest.
pub(super) fn unseal(text: &[u8]) -> Result<(Vec<u8>, Digest), FormatError> {
    let Some((body, digits)) = split(text) else {
        if !text.starts_with(MARKER) {
            return Err(FormatError::OtherKind { found: Kind::Directory });
        }
        return Err(damaged(Fault::CutShort {
            what: "the manifest with its digest",
            expected: (MARKER.len() + BEFORE_DIGEST.len() + 64 + AFTER_DIGEST.len()) as u64,
            found: text.len() as u64,
        }));
    };
    let sha256 = Digest::of(body);
    if !matches(digits, sha256.to_string().as_bytes()) {
        let expected = String::from_utf8_lossy(digits).into_owned();
        let (what, found) = ("its digest", sha256.to_string());
        return Err(damaged(Fault::Value { what, expected, found }));
    }
    let members = [body, END].concat();
    check_version(&members)?;
    Ok((members, sha256))
}

/// A newer version may have members that this one does not know, so this looks at nothing else. A
/// manifest without a version is for the reader of the first version to refuse.
fn check_version(members: &[u8]) -> Result<(), FormatError> {
    #[derive(Deserialize)]
    struct Head {
        version: AnyVersion,
    }
    #[derive(Deserialize)]
    struct AnyVersion {
        major: u16,
        minor: u16,
        least_reader_minor: u16,
    }
    let Ok(Head { version }) = serde_json::from_slice(members) else { return Ok(()) };
    let AnyVersion { major, minor, least_reader_minor } = version;
    let version = Version { major, minor, least_reader_minor };
    version.check("the directory format", MANIFEST, MARKER.len() as u64)
}

/// The text before the digest, and the digest's digits.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = text.strip_suffix(AFTER_DIGEST)?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    Some((rest.strip_suffix(BEFORE_DIGEST)?, digits))
}

fn damaged(fault: Fault) -> FormatError {
    FormatError::damaged(MANIFEST, 0, fault)
}
