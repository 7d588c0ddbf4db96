//! The parts of a saved model, whichever form it is saved in.

use std::collections::BTreeSet;
use std::fmt;

use bincode::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::format::FormatError;
use crate::format::error::Fault;

/// A part of a saved model. The order is that of the file form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::format) enum Section {
    Architecture,
    Compile,
    Optimizer,
    Training,
    History,
    Metadata,
    Proof,
    Index,
    Tensors,
}

/// How the payload of a section is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Encoding {
    /// JSON, bounded by `Limits::text`.
    Text,
    /// Records, bounded by `Limits::memory`.
    Records,
    /// The numbers themselves.
    Numbers,
}

impl Section {
    pub(in crate::format) const ALL: [Self; 9] = [
        Self::Architecture,
        Self::Compile,
        Self::Optimizer,
        Self::Training,
        Self::History,
        Self::Metadata,
        Self::Proof,
        Self::Index,
        Self::Tensors,
    ];

    /// The sections that the directory form keeps as files of their own; its manifest and its
    /// arrays hold the others.
    pub(in crate::format) const EXTRA: [Self; 6] = [
        Self::Compile,
        Self::Optimizer,
        Self::Training,
        Self::History,
        Self::Metadata,
        Self::Proof,
    ];

    pub(in crate::format) const fn id(self) -> &'static str {
        match self {
            Self::Architecture => "architecture",
            Self::Compile => "compile",
            Self::Optimizer => "optimizer",
            Self::Training => "training",
            Self::History => "history",
            Self::Metadata => "metadata",
            Self::Proof => "proof",
            Self::Index => "index",
            Self::Tensors => "tensors",
        }
    }

    pub(in crate::format) fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.id() == id)
    }

    /// Whether a reader that does not know the section must refuse the file. Without the others a
    /// model still predicts.
    pub(in crate::format) const fn critical(self) -> bool {
        match self {
            Self::Architecture | Self::Index | Self::Tensors => true,
            Self::Compile
            | Self::Optimizer
            | Self::Training
            | Self::History
            | Self::Metadata
            | Self::Proof => false,
        }
    }

    pub(in crate::format) const fn encoding(self) -> Encoding {
        match self {
            Self::Architecture
            | Self::Compile
            | Self::Optimizer
            | Self::Training
            | Self::History
            | Self::Metadata
            | Self::Proof => Encoding::Text,
            Self::Index => Encoding::Records,
            Self::Tensors => Encoding::Numbers,
        }
    }
}

/// Admits the sections of a model one by one: known ones in their order and with their flag, others
/// if they are ancillary, each once.
#[derive(Default)]
pub(in crate::format) struct Admission<'s> {
    last: Option<Section>,
    unknown: BTreeSet<&'s str>,
}

impl<'s> Admission<'s> {
    /// # Errors
    /// What is wrong with the section `id`, which stands in `part` at `offset`.
    pub(in crate::format) fn admit(
        &mut self,
        id: &'s str,
        critical: bool,
        part: &str,
        offset: u64,
    ) -> Result<(), FormatError> {
        let rule = match Section::from_id(id) {
            Some(section) if section.critical() != critical => "has the wrong critical flag",
            Some(section) if self.last >= Some(section) => "stands twice or out of order",
            Some(section) => {
                self.last = Some(section);
                return Ok(());
            }
            None if critical => {
                return Err(FormatError::UnknownSection { id: id.to_owned(), offset });
            }
            None if self.unknown.insert(id) => return Ok(()),
            None => "stands twice",
        };
        Err(FormatError::damaged(part, offset, Fault::Section { id: id.to_owned(), rule }))
    }
}

/// The id of a section as it stands in a record: filled up with zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct SectionId([u8; 12]);

impl SectionId {
    /// `None` if no section can have that id.
    pub fn new(id: &str) -> Option<Self> {
        let mut bytes = [0; 12];
        bytes.get_mut(..id.len())?.copy_from_slice(id.as_bytes());
        is_section_id(id).then_some(Self(bytes))
    }

    /// `None` if the bytes of a record are no id.
    pub fn as_str(&self) -> Option<&str> {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        let id = std::str::from_utf8(self.0.get(..length)?).ok()?;
        (Self::new(id)? == *self).then_some(id)
    }
}

impl fmt::Debug for SectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.escape_ascii(), f)
    }
}

impl Serialize for SectionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str().unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for SectionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        let no_id = || serde::de::Error::custom(format_args!("no section can be called `{id}`"));
        Self::new(&id).ok_or_else(no_id)
    }
}

/// The id of the file form's footer, which no section has.
pub(in crate::format) const FOOTER: &str = "footer";

/// Whether `id` may name a section, of this version or another: 1 to 12 lower-case ASCII letters,
/// digits or underscores, and not the name of the footer.
pub(in crate::format) fn is_section_id(id: &str) -> bool {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=12).contains(&id.len()) && id != FOOTER && id.bytes().all(allowed)
}
