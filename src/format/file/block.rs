//! The blocks of 64 bytes that give the file its structure: header, section headers and footer.
//! The last four bytes of each are the CRC-32C of the first sixty. Payloads between them are padded
//! with zeros to a multiple of 64, so that every payload can be mapped as it stands.

use crate::bytes::{Digest, Reader, crc32c, matches};
use crate::format::content::{FOOTER, is_section_id};
use crate::format::error::Fault;
use crate::format::{FormatError, Version};

/// A byte that begins no text, letters, and the line ends and the end-of-file mark that a transfer
/// as text would change; in the manner of PNG.
pub(in crate::format) const SIGNATURE: [u8; 8] = *b"\xB7KNT\r\n\x1A\n";

/// The size of blocks, and what payloads and tensors are aligned to.
pub(super) const BLOCK: usize = 64;

const ID: usize = 12;
const CRITICAL: u32 = 1;

/// The first block of every file of every version.
pub(super) struct Header {
    pub(super) version: Version,
    pub(super) block: [u8; BLOCK],
}

impl Header {
    pub(super) fn write(version: Version) -> [u8; BLOCK] {
        let Version { major, minor, least_reader_minor } = version;
        let version = [major, minor, least_reader_minor].map(u16::to_le_bytes);
        seal(&[&SIGNATURE, version.as_flattened(), &[0; 46]])
    }

    /// Reads a header whose signature has been checked.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let part = "the header";
        let reading = FormatError::reading(part);
        let (block, mut fields) = unseal(reader, part)?;
        fields.take(SIGNATURE.len() as u64, "the signature").map_err(&reading)?;
        let version = Version {
            major: fields.u16("the major version").map_err(&reading)?,
            minor: fields.u16("the minor version").map_err(&reading)?,
            least_reader_minor: fields.u16("the least minor version").map_err(&reading)?,
        };
        // A later major version may use what is reserved in this one.
        if version.major == Version::CURRENT.major {
            let offset = fields.offset();
            if fields.peek().iter().any(|&byte| byte != 0) {
                let fault = Fault::NotZero { what: "what is reserved" };
                return Err(FormatError::damaged(part, offset, fault));
            }
        }
        Ok(Self { version, block })
    }
}

/// What stands before a payload, or, as the footer, at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SectionHeader {
    pub(super) id: String,
    pub(super) critical: bool,
    /// Of the payload, without its padding.
    pub(super) length: u64,
    /// Of the payload and its padding.
    pub(super) crc32c: u32,
    pub(super) sha256: Digest,
}

impl SectionHeader {
    pub(super) fn write(&self) -> [u8; BLOCK] {
        let mut id = [0; ID];
        for (place, byte) in id.iter_mut().zip(self.id.bytes()) {
            *place = byte;
        }
        let flags = if self.critical { CRITICAL } else { 0 };
        seal(&[
            &id,
            &flags.to_le_bytes(),
            &self.length.to_le_bytes(),
            &self.crc32c.to_le_bytes(),
            &self.sha256.0,
        ])
    }

    /// Reads the block, and gives its bytes for the digest of the footer too.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<(Self, [u8; BLOCK]), FormatError> {
        let part = "a section header";
        let offset = reader.offset();
        let reading = FormatError::reading(part);
        let (block, mut fields) = unseal(reader, part)?;
        let id = fields.take_array::<ID>("the id").map_err(&reading)?;
        let flags = fields.u32("the flags").map_err(&reading)?;
        let length = fields.u64("the length").map_err(&reading)?;
        let crc32c = fields.u32("the CRC-32C").map_err(&reading)?;
        let sha256 = Digest(fields.take_array("the digest").map_err(&reading)?);
        let value = |what, expected: &str, found: String| {
            let expected = expected.to_owned();
            FormatError::damaged(part, offset, Fault::Value { what, expected, found })
        };
        let Some(id) = parse_id(&id) else {
            let expected = "1 to 12 lower-case letters, digits or `_`, then zeros";
            return Err(value("the id", expected, format!("{:?}", id.escape_ascii().to_string())));
        };
        if flags & !CRITICAL != 0 {
            return Err(value("the flags", "0 or 1", flags.to_string()));
        }
        Ok((Self { id, critical: flags == CRITICAL, length, crc32c, sha256 }, block))
    }
}

fn parse_id(id: &[u8; ID]) -> Option<String> {
    let length = id.iter().position(|&byte| byte == 0).unwrap_or(ID);
    let (letters, padding) = id.split_at_checked(length)?;
    let text = std::str::from_utf8(letters).ok()?;
    let is_id = (is_section_id(text) || text == FOOTER) && padding.iter().all(|&byte| byte == 0);
    is_id.then(|| text.to_owned())
}

/// The zeros after `length` bytes up to the next multiple of [`BLOCK`].
pub(super) fn padding(length: usize) -> &'static [u8] {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    ZEROS.get(..length.wrapping_neg() % BLOCK).unwrap_or(&ZEROS)
}

/// How many these are.
pub(super) fn padding_of(length: u64) -> u64 {
    length.wrapping_neg() % BLOCK as u64
}

/// The fields, which fill sixty bytes, and their CRC-32C.
fn seal(fields: &[&[u8]]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    for (place, &byte) in block.iter_mut().zip(fields.iter().copied().flatten()) {
        *place = byte;
    }
    if let Some((content, crc)) = block.split_last_chunk_mut::<4>() {
        *crc = crc32c(content).to_le_bytes();
    }
    block
}

/// Reads a block and checks its CRC-32C; gives it whole, and a reader over its sixty bytes.
fn unseal<'a>(
    reader: &mut Reader<'a>,
    part: &str,
) -> Result<([u8; BLOCK], Reader<'a>), FormatError> {
    let reading = FormatError::reading(part);
    let offset = reader.offset();
    let mut whole = reader.sub(BLOCK as u64, "the block").map_err(&reading)?;
    let block = whole.clone().take_array("the block").map_err(&reading)?;
    let content = whole.sub(BLOCK as u64 - 4, "the block").map_err(&reading)?;
    let expected = whole.u32("the CRC-32C of the block").map_err(&reading)?;
    let found = crc32c(content.peek());
    if !matches(expected, found) {
        let fault = Fault::Crc { what: "the block", expected, found };
        return Err(FormatError::damaged(part, offset, fault));
    }
    Ok((block, content))
}
