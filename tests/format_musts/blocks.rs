//! FORMAT.md, chapter 1: header and section headers.

use keepnet::format::{FormatError, Version};

use crate::format_support::container::{
    Container, Section, blocks, header_block, section_block, sha256,
};
use crate::format_support::refusal::{assert_says, bytes, container, damage, read, refusal};
use crate::{u16_at, u32_at, u64_at, written};

#[test]
fn f_1_blocks_are_sealed() {
    for file in written() {
        for (at, block) in blocks(&file) {
            assert_eq!(u32_at(&block, 60), crc32c::crc32c(&block[..60]), "block at {at}");
        }
    }
    for (at, _) in blocks(&bytes()) {
        let part = match at {
            0 => "the header",
            _ => "a section header",
        };
        for byte in [8, 16, 59, 60, 63] {
            let mut bad = bytes();
            bad[at + byte] ^= 2;
            assert_says(&damage(&bad), &[part, &format!("byte {at}"), "CRC-32C"]);
        }
    }
}

#[test]
fn f_2_the_signature() {
    for file in written() {
        assert_eq!(file[..8], [0xB7, 0x4B, 0x4E, 0x54, 0x0D, 0x0A, 0x1A, 0x0A]);
    }
    let text_mode = bytes().into_iter().filter(|&byte| byte != b'\r').collect::<Vec<_>>();
    assert_says(&damage(&text_mode), &["signature", "transferred as text"]);
    let to_utf8 = [b"\xC2".as_slice(), &bytes()].concat();
    assert_says(&damage(&to_utf8), &["signature", "transferred as text"]);
    let seven_bits = bytes().into_iter().map(|byte| byte & 0x7F).collect::<Vec<_>>();
    assert_says(&damage(&seven_bits), &["signature"]);
    for (start, kind) in [
        (b"\x89PNG\r\n\x1a\nxxxx".as_slice(), "PNG"),
        (b"\x89HDF\r\n\x1a\nxxxx", "HDF5"),
        (b"PK\x03\x04xxxxxxxx", "ZIP"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "NumPy"),
        (b"\x1f\x8b\x08\x00\x00\x00", "gzip"),
        (b"\x40\x01\x00\x00\x00\x00\x00\x00{\"__metadata__\"", "safetensors"),
        (b"loss: 0.25\naccuracy: 0.98\n", "text"),
        (b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00", "unknown"),
        (b"", "empty"),
    ] {
        assert_says(&refusal(start), &["not a model saved by keepnet", kind]);
    }
}

fn with_version(version: [u16; 3]) -> Vec<u8> {
    Container { version, ..container() }.put_together()
}

#[test]
fn f_3_versions_fit_together() {
    let Version { major, minor, least_reader_minor } = Version::CURRENT;
    assert!(major >= 1 && least_reader_minor <= minor);
    for file in written() {
        assert_eq!([8, 10, 12].map(|at| u16_at(&file, at)), [major, minor, least_reader_minor]);
    }
    assert_says(&damage(&with_version([0, 9, 0])), &["major version"]);
    assert_says(&damage(&with_version([1, 0, 1])), &["least minor version"]);
    assert_says(&damage(&with_version([1, 5, 6])), &["least minor version"]);
}

#[test]
fn f_4_newer_versions_are_refused() {
    assert_says(&refusal(&with_version([2, 0, 0])), &["version 2", "newer keepnet", "up to 1"]);
    assert_says(&refusal(&with_version([65535, 3, 3])), &["version 65535"]);
    assert_says(&refusal(&with_version([1, 1, 1])), &["version 1.1", "up to 1.0"]);
    // Whatever a later major version makes of the rest of the file.
    let mut later = bytes();
    later[8] = 2;
    later[14..60].fill(7);
    let crc = crc32c::crc32c(&later[..60]);
    later[60..64].copy_from_slice(&crc.to_le_bytes());
    later.truncate(100);
    assert!(matches!(read(&later), Err(FormatError::Version { .. })));
}

#[test]
fn f_5_a_newer_minor_version_is_read() {
    for minor in [1, 9, 65535] {
        let file = with_version([1, minor, 0]);
        let read = read(&file).unwrap();
        crate::format_support::assert_same_bits(&read, &crate::format_support::small());
    }
}

#[test]
fn f_6_reserved_bytes_are_zero() {
    for file in written() {
        assert_eq!(file[14..60], [0; 46]);
    }
    for at in [14, 20, 59] {
        let mut bad = bytes();
        bad[at] = 1;
        let crc = crc32c::crc32c(&bad[..60]);
        bad[60..64].copy_from_slice(&crc.to_le_bytes());
        assert_says(&damage(&bad), &["header", "byte 14", "zero"]);
    }
}

#[test]
fn f_7_ids_of_sections() {
    for file in written() {
        for (_, block) in &blocks(&file)[1..] {
            let length = block[..12].iter().position(|&byte| byte == 0).unwrap_or(12);
            let is_letter = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
            assert!((1..=12).contains(&length) && block[..length].iter().all(is_letter));
            assert!(block[length..12].iter().all(|&byte| byte == 0));
        }
    }
    for id in ["", "Graph", "a b", "é", "a-b", "a.b"] {
        let mut bad = container();
        bad.sections.insert(1, Section::new(id, false, b""));
        assert_says(&damage(&bad.put_together()), &["the id"]);
    }
    let mut longest = container();
    longest.sections.insert(1, Section::new("twelve_12345", false, b""));
    assert!(read(&longest.put_together()).is_ok());
    let good = bytes();
    let block = section_block("note\0x", 0, 0, 0, sha256(b""));
    assert_says(&damage(&[&good[..64], &block, &good[64..]].concat()), &["the id"]);
}

#[test]
fn f_8_flags_of_sections() {
    for file in written() {
        for (_, block) in &blocks(&file)[1..] {
            let id = std::str::from_utf8(&block[..12]).unwrap().trim_end_matches('\0');
            let critical = matches!(id, "architecture" | "index" | "tensors" | "footer");
            assert_eq!(u32_at(block, 12), u32::from(critical), "{id}");
        }
    }
    let good = bytes();
    for flags in [2, 3, 1 << 31] {
        let block = section_block("note", flags, 0, 0, sha256(b""));
        let bad = [&good[..64], &block, &good[64..]].concat();
        assert_says(&damage(&bad), &["the flags", "byte 64"]);
    }
    for Section { id, critical, .. } in container().sections {
        let bad = container().with(&id, |section| section.critical = !critical);
        assert_says(&damage(&bad), &[&format!("`{id}`"), "wrong critical flag"]);
    }
}

#[test]
fn f_9_crc_of_payloads_and_padding() {
    for file in written() {
        for (at, block) in sections(&file) {
            let end = at + 64 + (u64_at(&block, 16) as usize).next_multiple_of(64);
            assert_eq!(u32_at(&block, 24), crc32c::crc32c(&file[at + 64..end]));
        }
    }
    let good = bytes();
    for (at, block) in sections(&good) {
        let length = u64_at(&block, 16) as usize;
        // The first and the last byte of the payload, and the last of the padding.
        for byte in [0, length - 1, length.next_multiple_of(64) - 1] {
            let mut bad = good.clone();
            bad[at + 64 + byte] ^= 1;
            assert_says(&damage(&bad), &["section `", &format!("byte {}", at + 64), "CRC-32C"]);
        }
    }
    let bad = container().with("history", |section| section.crc = Some(7));
    assert_says(&damage(&bad), &["section `history`", "CRC-32C", "00000007"]);
}

#[test]
fn f_10_digests_of_payloads() {
    for file in written() {
        let digests_of_tensors: Vec<u8> =
            crate::tensors::index(&file).into_iter().flat_map(|record| record.digest).collect();
        for (at, block) in sections(&file) {
            let payload = &file[at + 64..][..u64_at(&block, 16) as usize];
            let of = if block.starts_with(b"tensors\0") { &digests_of_tensors } else { payload };
            assert_eq!(block[28..60], sha256(of));
        }
    }
    for Section { id, .. } in container().sections {
        let bad = container().with(&id, |section| section.digest = Some([1; 32]));
        assert_says(&damage(&bad), &[&format!("section `{id}`"), "SHA-256", "0101"]);
    }
}

#[test]
fn f_11_lengths_of_payloads() {
    for file in written() {
        let ends: Vec<_> = sections(&file)
            .iter()
            .map(|(at, block)| at + 64 + (u64_at(block, 16) as usize).next_multiple_of(64))
            .collect();
        // Each ends where the next block begins.
        let starts: Vec<_> = blocks(&file)[2..].iter().map(|&(at, _)| at).collect();
        assert_eq!(ends, starts);
    }
    let header = header_block([1, 0, 0]);
    for length in [257, 320, 1 << 60, u64::MAX - 63, u64::MAX] {
        let block = section_block("architecture", 1, length, 0, [0; 32]);
        let bad = [header.as_slice(), &block, &[b'{'; 256]].concat();
        assert_says(&damage(&bad), &["section `architecture`", "cut short"]);
    }
}

#[test]
fn f_12_padding_is_zero() {
    for file in written() {
        for (at, block) in sections(&file) {
            let length = u64_at(&block, 16) as usize;
            let padding = &file[at + 64 + length..at + 64 + length.next_multiple_of(64)];
            assert!(padding.iter().all(|&byte| byte == 0));
        }
    }
    let padding = |id: &str, change: &dyn Fn(&mut Vec<u8>)| {
        container().with(id, |section| {
            let length = section.payload.len();
            let mut padding = vec![0; length.next_multiple_of(64) - length];
            change(&mut padding);
            section.padding = Some(padding);
        })
    };
    assert!(padding("architecture", &|_| {}) == bytes());
    for id in ["architecture", "optimizer", "index"] {
        let bad = padding(id, &|padding| *padding.last_mut().unwrap() = 1);
        assert_says(&damage(&bad), &[&format!("section `{id}`"), "padding", "zero"]);
        assert!(read(&padding(id, &|padding| padding.extend([0; 64]))).is_err());
        assert!(read(&padding(id, &|padding| padding.clear())).is_err());
    }
}

/// The section headers of a file, each with its offset.
fn sections(file: &[u8]) -> Vec<(usize, [u8; 64])> {
    let mut blocks = blocks(file);
    blocks.pop();
    blocks.remove(0);
    blocks
}
