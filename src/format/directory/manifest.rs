//! The manifest: canonical JSON whose last member is the digest of all before it.

use serde::{Deserialize, Serialize};

use crate::bytes::{Budget, Digest, matches};
use crate::format::content::json;
use crate::format::content::{GraphJson, Part, Role, SCHEMA, check_schema};
use crate::format::error::Fault;
use crate::format::{FormatError, Kind, Limits, Version};

pub(in crate::format) const MANIFEST: &str = "manifest.json";

/// The first bytes of every manifest of every version.
pub(super) const MARKER: &[u8] = b"{\n  \"format\": \"keepnet directory\",\n";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: Marker,
    pub(super) version: Version,
    pub(super) architecture: GraphJson,
    /// In the order of files.
    pub(super) tensors: Vec<TensorEntry>,
    /// In the order of the file form's sections.
    pub(super) extra: Vec<ExtraEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Marker {
    #[serde(rename = "keepnet directory")]
    Directory,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TensorEntry {
    pub(super) file: String,
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) dtype: String,
    pub(super) shape: Vec<u64>,
    /// Of the numbers, as in the file form.
    pub(super) sha256: Digest,
    /// Of the whole file, as `sha256sum` gives it.
    pub(super) file_sha256: Digest,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtraEntry {
    pub(super) file: String,
    pub(super) section: String,
    pub(super) critical: bool,
    pub(super) length: u64,
    pub(super) sha256: Digest,
}

/// What is read before anything else, since a newer version may have members that this one does
/// not know.
#[derive(Deserialize)]
struct VersionHead {
    version: AnyVersion,
}

#[derive(Deserialize)]
struct AnyVersion {
    major: u16,
    minor: u16,
    least_reader_minor: u16,
}

#[derive(Deserialize)]
struct SchemaHead {
    architecture: AnySchema,
}

#[derive(Deserialize)]
struct AnySchema {
    schema: u64,
}

/// What follows the text that the digest is of, around the digest's 64 digits.
const BEFORE_DIGEST: &[u8] = b",\n  \"sha256\": \"";
const AFTER_DIGEST: &[u8] = b"\"\n}\n";
/// How the canonical text of the other members ends, which gives way to the digest.
const END: &[u8] = b"\n}\n";

impl Manifest {
    pub(super) fn new(
        architecture: GraphJson,
        tensors: Vec<TensorEntry>,
        extra: Vec<ExtraEntry>,
    ) -> Self {
        let (format, version) = (Marker::Directory, Version::CURRENT);
        Self { format, version, architecture, tensors, extra }
    }

    pub(super) fn to_text(&self) -> Vec<u8> {
        let mut text = json::to_text(self);
        text.truncate(text.len().saturating_sub(END.len()));
        let digest = Digest::of(&text).to_string();
        text.extend([BEFORE_DIGEST, digest.as_bytes(), AFTER_DIGEST].concat());
        text
    }

    /// Reads a manifest, and gives its digest too.
    pub(super) fn read(
        text: &[u8],
        limits: &Limits,
        budget: &mut Budget,
    ) -> Result<(Self, Digest), FormatError> {
        let part = Part { name: MANIFEST, offset: 0, bytes: text };
        let Some((body, digits)) = split(text) else {
            if !text.starts_with(MARKER) {
                return Err(FormatError::OtherKind { found: Kind::Directory });
            }
            return Err(part.fault(Fault::CutShort {
                what: "the manifest with its digest",
                expected: (MARKER.len() + BEFORE_DIGEST.len() + 64 + AFTER_DIGEST.len()) as u64,
                found: text.len() as u64,
            }));
        };
        let found = Digest::of(body);
        if !matches(digits, found.to_string().as_bytes()) {
            let expected = String::from_utf8_lossy(digits).into_owned();
            let (what, found) = ("its digest", found.to_string());
            return Err(part.fault(Fault::Value { what, expected, found }));
        }
        let members = [body, END].concat();
        let part = Part { bytes: &members, ..part };
        if let Ok(VersionHead { version }) = serde_json::from_slice(&members) {
            let AnyVersion { major, minor, least_reader_minor } = version;
            let version = Version { major, minor, least_reader_minor };
            version.check("the directory format", MANIFEST, MARKER.len() as u64)?;
        }
        if let Ok(SchemaHead { architecture }) = serde_json::from_slice(&members) {
            check_schema(Some(architecture.schema), SCHEMA, "the schema of the architecture")?;
        }
        Ok((part.json(limits, budget)?, found))
    }
}

/// The text before the digest, and the digest's digits.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = text.strip_suffix(AFTER_DIGEST)?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    Some((rest.strip_suffix(BEFORE_DIGEST)?, digits))
}
