//! Writing the file form: first everything is planned, then the bytes go out in one stream.

use std::io::{self, Write};

use super::block::{BLOCK, Header, SectionHeader, padding};
use super::sums::{Region, Sums};
use crate::bytes::Digest;
use crate::format::content::{
    ContentError, Description, FOOTER, Item, Section, TensorRecord, encode,
};
use crate::format::{FormatError, Version};
use crate::model::Checkpoint;

/// A file ready to be written. The tensors are borrowed, and hashed once.
pub(in crate::format) struct Plan<'c> {
    sections: Vec<(SectionHeader, Payload<'c>)>,
    length: u64,
}

enum Payload<'c> {
    Bytes(Vec<u8>),
    Tensors(Vec<Region<'c>>),
}

impl<'c> Plan<'c> {
    /// # Errors
    /// Whatever in `checkpoint` does not fit together, or is beyond a limit on texts, tensors or nodes.
    pub(in crate::format) fn new(checkpoint: &'c Checkpoint<'_>) -> Result<Self, FormatError> {
        let (description, items) = Description::of(checkpoint)?;
        description.check_limits()?;
        let tensors: Vec<_> =
            items.iter().map(|item| Region::padded(item.tensor.bytes())).collect();
        let sums = Sums::of_each(tensors.clone());
        let mut index = Some(index(&items, &sums)?);
        let mut tensors = Some(tensors);
        let mut sections = Vec::new();
        let mut length = 2 * BLOCK as u64;
        for section in Section::ALL {
            let (payload, crc32c, sha256) = match section {
                Section::Tensors => {
                    let payload = Payload::Tensors(tensors.take().unwrap_or_default());
                    let digests = sums.iter().map(|sums| sums.sha256.0.as_slice());
                    (payload, Sums::crc32c(&sums), Digest::of_parts(digests))
                }
                section => {
                    let payload = match section {
                        Section::Index => index.take(),
                        section => description.payload(section)?,
                    };
                    let Some(payload) = payload else { continue };
                    let sums = Region::padded(&payload).sums();
                    (Payload::Bytes(payload), Sums::crc32c(&[sums]), sums.sha256)
                }
            };
            let header = SectionHeader {
                id: section.id().to_owned(),
                critical: section.critical(),
                length: payload.length(),
                crc32c,
                sha256,
            };
            let padded = header.length.next_multiple_of(BLOCK as u64);
            length += BLOCK as u64 + padded;
            sections.push((header, payload));
        }
        Ok(Self { sections, length })
    }

    pub(in crate::format) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.reserve_exact(usize::try_from(self.length).unwrap_or(0));
        // Writing to memory does not fail.
        let _ = self.write(&mut bytes);
        bytes
    }

    pub(in crate::format) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let header = Header::write(Version::CURRENT);
        let mut blocks = vec![header];
        out.write_all(&header)?;
        for (header, payload) in &self.sections {
            let header = header.write();
            blocks.push(header);
            out.write_all(&header)?;
            payload.pieces().try_for_each(|piece| out.write_all(piece))?;
        }
        let footer = SectionHeader {
            id: FOOTER.to_owned(),
            critical: true,
            length: self.length,
            crc32c: 0,
            sha256: Digest::of(blocks.as_flattened()),
        };
        out.write_all(&footer.write())
    }
}

impl Payload<'_> {
    /// The bytes in order, padding included.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let (one, many) = match self {
            Self::Bytes(bytes) => (Some(Region::padded(bytes)), [].as_slice()),
            Self::Tensors(tensors) => (None, tensors.as_slice()),
        };
        one.into_iter().chain(many.iter().copied()).flat_map(Region::pieces)
    }

    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            // Every tensor's padding belongs to the payload.
            Self::Tensors(_) => self.pieces().map(|piece| piece.len() as u64).sum(),
        }
    }
}

fn index(items: &[Item<'_>], sums: &[Sums]) -> Result<Vec<u8>, ContentError> {
    let mut index = Vec::new();
    let mut offset = 0;
    for (Item { role, name, tensor }, sums) in items.iter().zip(sums) {
        let length = tensor.bytes().len();
        let record = TensorRecord {
            role: *role,
            name: (*name).to_owned(),
            dtype: tensor.dtype().name().to_owned(),
            shape: tensor.shape().dims().iter().map(|&dim| dim as u64).collect(),
            offset,
            length: length as u64,
            sha256: sums.sha256.0,
        };
        encode(&record, "a record of the index", &mut index)?;
        offset += (length + padding(length).len()) as u64;
    }
    Ok(index)
}
