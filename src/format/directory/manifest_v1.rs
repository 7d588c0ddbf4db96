//! What the manifest of version 1 says, as JSON: these types are the text.

use serde::{Deserialize, Serialize};

use super::manifest::{MANIFEST, seal};
use crate::bytes::{Budget, Digest};
use crate::format::content::json;
use crate::format::content::{GraphJson, Part, Role, SCHEMA, check_schema};
use crate::format::{FormatError, Limits, Version};

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

/// What is read before the rest, since a newer schema may have members that this one does not know.
#[derive(Deserialize)]
struct SchemaHead {
    architecture: AnySchema,
}

#[derive(Deserialize)]
struct AnySchema {
    schema: u64,
}

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
        seal(json::to_text(self))
    }

    /// Reads the members of a manifest other than its digest.
    pub(super) fn read(
        members: &[u8],
        limits: &Limits,
        budget: &mut Budget,
    ) -> Result<Self, FormatError> {
        if let Ok(SchemaHead { architecture }) = serde_json::from_slice(members) {
            check_schema(Some(architecture.schema), SCHEMA, "the schema of the architecture")?;
        }
        limits.check_manifest(members.len() as u64)?;
        let limits = Limits { text: u64::MAX, ..*limits };
        Part { name: MANIFEST, offset: 0, bytes: members }.json(&limits, budget)
    }
}
