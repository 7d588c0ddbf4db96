//! ZIP archives (PKWARE APPNOTE 6.3), as far as Keras writes them: members stored or deflated.
//!
//! Members are read by their names, never extracted. What a few bytes can blow up is bounded by the
//! budget, before it is inflated.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive, ZipVerification};

use crate::bytes::{Budget, BudgetError, matches};

/// The most members an archive may have: Keras writes three.
const MAX_MEMBERS: usize = 1024;

/// How many times a member's stored bytes deflate can give at most: 258 bytes of two bits.
const MAX_INFLATION: u64 = 1032;

/// What is wrong with an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZipError {
    #[error("the archive is damaged: {message}")]
    Damaged { message: String },
    #[error("the archive has more than {MAX_MEMBERS} members")]
    TooMany,
    #[error("the archive holds two members named `{name}`")]
    Duplicate { name: String },
    #[error("member `{name}` is encrypted; save it without a password")]
    Encrypted { name: String },
    #[error("member `{name}` is compressed by method {method}; store or deflate it")]
    Method { name: String, method: u16 },
    #[error("member `{name}` is a symbolic link, which is not followed: store the file itself")]
    Link { name: String },
    #[error("member `{name}` claims {claimed} bytes, more than its {stored} stored ones can hold")]
    Claim { name: String, claimed: u64, stored: u64 },
    #[error("member `{name}` is damaged: {message}")]
    Member { name: String, message: String },
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

/// An archive in memory, and where its members lie.
#[derive(Debug)]
pub struct Archive<'a> {
    members: BTreeMap<String, Member<'a>>,
}

#[derive(Debug)]
struct Member<'a> {
    method: CompressionMethod,
    stored: &'a [u8],
    claim: ZipVerification,
}

impl<'a> Archive<'a> {
    /// Reads the directory of the archive. Directories among its members are passed over.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ZipError> {
        let damaged = |error: rawzip::Error| ZipError::Damaged { message: error.to_string() };
        let archive = ZipArchive::from_slice(bytes).map_err(damaged)?;
        let mut members = BTreeMap::new();
        let mut entries = archive.entries();
        while let Some(entry) = entries.next_entry().map_err(damaged)? {
            let path = entry.file_path();
            let name = String::from_utf8_lossy(path.as_bytes()).into_owned();
            if path.is_dir() {
                continue;
            }
            if entry.flags().is_encrypted() {
                return Err(ZipError::Encrypted { name });
            }
            if entry.mode().is_symlink() {
                return Err(ZipError::Link { name });
            }
            let found = archive.get_entry(entry.wayfinder()).map_err(damaged)?;
            if found.local_header().file_path().as_bytes() != path.as_bytes() {
                let message = "it has another name where it lies".to_owned();
                return Err(ZipError::Member { name, message });
            }
            let (start, end) = found.compressed_data_range();
            let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
            let stored = range.and_then(|(start, end)| bytes.get(start..end)).unwrap_or_default();
            let (method, claim) = (entry.compression_method(), found.claim_verifier());
            if members.insert(name.clone(), Member { method, stored, claim }).is_some() {
                return Err(ZipError::Duplicate { name });
            }
            if members.len() > MAX_MEMBERS {
                return Err(ZipError::TooMany);
            }
        }
        Ok(Self { members })
    }

    pub fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// How many bytes a member claims to have.
    pub fn length(&self, name: &str) -> Option<u64> {
        self.members.get(name).map(|member| member.claim.uncompressed_size)
    }

    /// The content of a member, checked by its length and CRC-32. One that is stored is borrowed.
    pub fn get(&self, name: &str, budget: &mut Budget) -> Result<Option<Cow<'a, [u8]>>, ZipError> {
        let Some(member) = self.members.get(name) else { return Ok(None) };
        let content = match member.method {
            CompressionMethod::STORE => Cow::Borrowed(member.stored),
            CompressionMethod::DEFLATE => Cow::Owned(member.inflate(name, budget)?),
            method => {
                return Err(ZipError::Method { name: name.to_owned(), method: method.as_u16() });
            }
        };
        member.check(&content).map_err(|error| damaged_member(name, &error))?;
        Ok(Some(content))
    }
}

/// Writes an archive of members that are stored, in that order; the content of each is in pieces. The
/// same members give the same bytes.
pub fn write(members: &[(&str, &[&[u8]])], out: &mut dyn Write) -> io::Result<()> {
    let mut writer = rawzip::ZipArchiveWriter::new(out);
    for (name, pieces) in members {
        let (mut entry, config) = writer.new_file(*name).start().map_err(io::Error::other)?;
        let mut output = config.wrap(&mut entry);
        pieces.iter().try_for_each(|piece| output.write_all(piece))?;
        let (_, descriptor) = output.finish().map_err(io::Error::other)?;
        entry.finish(descriptor).map_err(io::Error::other)?;
    }
    writer.finish().map(drop).map_err(io::Error::other)
}

impl Member<'_> {
    fn check(&self, content: &[u8]) -> Result<(), rawzip::Error> {
        let (uncompressed_size, computed) = (content.len() as u64, rawzip::crc32(content));
        let crc = if matches(self.claim.crc, computed) { self.claim.crc } else { computed };
        self.claim.valid(ZipVerification { crc, uncompressed_size })
    }

    fn inflate(&self, name: &str, budget: &mut Budget) -> Result<Vec<u8>, ZipError> {
        let (length, stored) = (self.claim.uncompressed_size, self.stored.len() as u64);
        if length > stored.saturating_mul(MAX_INFLATION) {
            let name = name.to_owned();
            return Err(ZipError::Claim { name, claimed: length, stored });
        }
        let mut content = budget.vec(length, "a member of the archive")?;
        // One byte more shows that there is more than was claimed.
        let mut decoder = DeflateDecoder::new(self.stored).take(length.saturating_add(1));
        decoder.read_to_end(&mut content).map_err(|error| damaged_member(name, &error))?;
        Ok(content)
    }
}

fn damaged_member(name: &str, error: &dyn std::fmt::Display) -> ZipError {
    ZipError::Member { name: name.to_owned(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(members: &[(&str, CompressionMethod, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = rawzip::ZipArchiveWriter::new(&mut bytes);
        for &(name, method, content) in members {
            let builder = writer.new_file(name).compression_method(method);
            let (mut entry, config) = builder.start().unwrap();
            let descriptor = match method {
                CompressionMethod::DEFLATE => {
                    let level = flate2::Compression::default();
                    let encoder = flate2::write::DeflateEncoder::new(&mut entry, level);
                    let mut output = config.wrap(encoder);
                    output.write_all(content).unwrap();
                    let (encoder, descriptor) = output.finish().unwrap();
                    encoder.finish().unwrap();
                    descriptor
                }
                _ => {
                    let mut output = config.wrap(&mut entry);
                    output.write_all(content).unwrap();
                    output.finish().unwrap().1
                }
            };
            entry.finish(descriptor).unwrap();
        }
        writer.finish().unwrap();
        bytes
    }

    fn get(bytes: &[u8], name: &str, budget: u64) -> Result<Option<Vec<u8>>, ZipError> {
        let archive = Archive::read(bytes)?;
        Ok(archive.get(name, &mut Budget::new(budget))?.map(Cow::into_owned))
    }

    const STORED: (&str, CompressionMethod, &[u8]) = ("stored", CompressionMethod::STORE, b"as is");
    const DEFLATED: (&str, CompressionMethod, &[u8]) =
        ("deflated", CompressionMethod::DEFLATE, &[7; 10_000]);

    #[test]
    fn members_are_found_by_name() {
        let bytes = archive(&[STORED, DEFLATED]);
        assert_eq!(get(&bytes, "stored", 0).unwrap().unwrap(), b"as is");
        assert_eq!(get(&bytes, "deflated", 10_000).unwrap().unwrap(), [7; 10_000]);
        assert_eq!(get(&bytes, "other", 0), Ok(None));
    }

    #[test]
    fn what_is_inflated_is_paid_for_before() {
        let bytes = archive(&[DEFLATED]);
        assert!(matches!(get(&bytes, "deflated", 9_999), Err(ZipError::Budget(_))));
    }

    /// 16 MiB of zeros are the most that deflate can make of so little.
    #[test]
    fn what_deflate_cannot_give_is_refused_before_memory_is_taken() {
        let bytes = archive(&[("zeros", CompressionMethod::DEFLATE, &vec![0; 1 << 24])]);
        assert_eq!(get(&bytes, "zeros", 1 << 24).unwrap().unwrap().len(), 1 << 24);
        let mut archive = Archive::read(&bytes).unwrap();
        let member = archive.members.get_mut("zeros").unwrap();
        let stored = member.stored.len() as u64;
        member.claim.uncompressed_size = stored * MAX_INFLATION + 1;
        let refused = archive.get("zeros", &mut Budget::new(u64::MAX));
        assert!(matches!(refused, Err(ZipError::Claim { stored: found, .. }) if found == stored));
    }

    #[test]
    fn a_flipped_bit_of_content_or_claim_is_seen() {
        for (member, name) in [(STORED, "stored"), (DEFLATED, "deflated")] {
            let bytes = archive(&[member]);
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                if let Ok(Some(content)) = get(&bytes, name, 1 << 20) {
                    assert_eq!(content, member.2, "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn two_members_of_one_name_are_refused() {
        let bytes = archive(&[STORED, STORED]);
        let name = "stored".to_owned();
        assert_eq!(get(&bytes, "stored", 0), Err(ZipError::Duplicate { name }));
    }
}
