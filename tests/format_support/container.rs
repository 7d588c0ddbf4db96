//! Taking files of the file form apart and putting them together again with every checksum right,
//! written from docs/FORMAT.md alone: hostile files must be refused for what they say, not for
//! their checksums.

use sha2::{Digest as _, Sha256};

/// A file as sections.
#[derive(Clone)]
pub struct Container {
    /// Major, minor, least minor of a reader.
    pub version: [u16; 3],
    pub sections: Vec<Section>,
}

#[derive(Clone, Default)]
pub struct Section {
    pub id: String,
    pub critical: bool,
    pub payload: Vec<u8>,
    /// That of the payload, if `None`.
    pub digest: Option<[u8; 32]>,
    /// That of the payload and its padding, if `None`.
    pub crc: Option<u32>,
    /// What follows the payload; zeros up to the next multiple of 64, if `None`.
    pub padding: Option<Vec<u8>>,
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn block(fields: &[&[u8]]) -> [u8; 64] {
    let mut block = fields.concat();
    block.resize(60, 0);
    let crc = crc32c::crc32c(&block);
    block.extend(crc.to_le_bytes());
    block.try_into().unwrap()
}

pub fn padded(payload: &[u8]) -> Vec<u8> {
    let mut padded = payload.to_vec();
    padded.resize(payload.len().next_multiple_of(64), 0);
    padded
}

pub fn section_block(id: &str, flags: u32, length: u64, crc: u32, digest: [u8; 32]) -> [u8; 64] {
    let mut name = id.as_bytes().to_vec();
    name.resize(12, 0);
    block(&[&name, &flags.to_le_bytes(), &length.to_le_bytes(), &crc.to_le_bytes(), &digest])
}

pub fn header_block(version: [u16; 3]) -> [u8; 64] {
    block(&[b"\xB7KNT\r\n\x1A\n", version.map(u16::to_le_bytes).as_flattened()])
}

impl Section {
    pub fn new(id: &str, critical: bool, payload: &[u8]) -> Self {
        Self { id: id.into(), critical, payload: payload.into(), ..Self::default() }
    }
}

/// The blocks of a file, each with its offset: header, section headers, footer.
pub fn blocks(bytes: &[u8]) -> Vec<(usize, [u8; 64])> {
    let mut blocks = vec![(0, bytes[..64].try_into().unwrap())];
    let mut at = 64;
    while at < bytes.len() {
        let block: [u8; 64] = bytes[at..at + 64].try_into().unwrap();
        blocks.push((at, block));
        let length = u64::from_le_bytes(block[16..24].try_into().unwrap()) as usize;
        at += 64 + length.next_multiple_of(64);
    }
    blocks
}

impl Container {
    pub fn take_apart(bytes: &[u8]) -> Self {
        let u16_at = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        let version = [u16_at(8), u16_at(10), u16_at(12)];
        let mut sections = Vec::new();
        let mut at = 64;
        loop {
            let id = bytes[at..at + 12].split(|&byte| byte == 0).next().unwrap();
            let id = String::from_utf8(id.to_vec()).unwrap();
            if id == "footer" {
                return Self { version, sections };
            }
            let length = u64_at(at + 16);
            let payload = bytes[at + 64..at + 64 + length].to_vec();
            let digest: [u8; 32] = bytes[at + 28..at + 60].try_into().unwrap();
            let digest = (digest != sha256(&payload)).then_some(digest);
            let critical = bytes[at + 12] == 1;
            sections.push(Section { id, critical, payload, digest, ..Section::default() });
            at += 64 + length.next_multiple_of(64);
        }
    }

    pub fn put_together(&self) -> Vec<u8> {
        let mut bytes = header_block(self.version).to_vec();
        let mut blocks = bytes.clone();
        for Section { id, critical, payload, digest, crc, padding } in &self.sections {
            let region = match padding {
                Some(padding) => [payload.as_slice(), padding].concat(),
                None => padded(payload),
            };
            let crc = crc.unwrap_or_else(|| crc32c::crc32c(&region));
            let digest = digest.unwrap_or_else(|| sha256(payload));
            let flags = u32::from(*critical);
            let block = section_block(id, flags, payload.len() as u64, crc, digest);
            blocks.extend(block);
            bytes.extend(block);
            bytes.extend(region);
        }
        let length = bytes.len() as u64 + 64;
        bytes.extend(section_block("footer", 1, length, 0, sha256(&blocks)));
        bytes
    }

    pub fn section(&mut self, id: &str) -> &mut Section {
        self.sections.iter_mut().find(|section| section.id == id).unwrap()
    }

    /// With one section changed.
    pub fn with(mut self, id: &str, change: impl FnOnce(&mut Section)) -> Vec<u8> {
        change(self.section(id));
        self.put_together()
    }

    /// With the text of one section changed; the text must hold `from`.
    pub fn replacing(self, id: &str, from: &str, to: &str) -> Vec<u8> {
        self.with(id, |section| {
            let text = std::str::from_utf8(&section.payload).unwrap();
            assert!(text.contains(from), "{from} is not in\n{text}");
            section.payload = text.replacen(from, to, 1).into_bytes();
        })
    }
}
