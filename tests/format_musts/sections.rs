//! FORMAT.md, chapter 1: which sections there are, and the footer.

use std::fs;

use keepnet::Checkpoint;
use keepnet::format::{FormatError, inspect, unpack};

use crate::format_support::container::{
    Container, Section, blocks, header_block, section_block, sha256,
};
use crate::format_support::refusal::{assert_says, bytes, container, damage, read, refusal};
use crate::format_support::{assert_same_bits, small};
use crate::{u32_at, u64_at, written};

const ORDER: [&str; 9] = [
    "architecture",
    "compile",
    "optimizer",
    "training",
    "history",
    "metadata",
    "proof",
    "index",
    "tensors",
];

#[test]
fn f_13_order_of_sections() {
    for file in written() {
        let ids = Container::take_apart(&file).sections.into_iter().map(|section| section.id);
        let places: Vec<_> =
            ids.map(|id| ORDER.iter().position(|&known| known == id).unwrap()).collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    }
    for first in 0..container().sections.len() - 1 {
        let mut swapped = container();
        swapped.sections.swap(first, first + 1);
        assert_says(&damage(&swapped.put_together()), &["out of order"]);
        let mut twice = container();
        let section = twice.sections[first].clone();
        twice.sections.insert(first, section.clone());
        assert_says(&damage(&twice.put_together()), &[&section.id, "twice"]);
    }
}

#[test]
fn f_14_sections_that_must_be_there() {
    let required = ["architecture", "index", "tensors"];
    for file in written() {
        let sections = Container::take_apart(&file).sections;
        assert!(required.iter().all(|id| sections.iter().any(|section| section.id == *id)));
    }
    for id in required {
        let mut without = container();
        without.sections.retain(|section| section.id != id);
        assert_says(&damage(&without.put_together()), &[id, "is missing"]);
    }
}

fn with_thumbnail(place: usize) -> Container {
    let mut newer = container();
    newer.version = [1, 3, 0];
    newer.sections.insert(place, Section::new("thumbnail", false, b"picture"));
    newer
}

#[test]
fn f_15_unknown_ancillary_sections_are_passed_over() {
    for place in 0..=container().sections.len() {
        let file = with_thumbnail(place).put_together();
        let passed_over = vec!["thumbnail".to_owned()];
        assert_same_bits(&read(&file).unwrap(), &Checkpoint { passed_over, ..small() });
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("newer.knet");
    fs::write(&path, with_thumbnail(2).put_together()).unwrap();
    assert_eq!(inspect(&path).unwrap().skipped, ["thumbnail"]);
    // Their checksums are checked all the same.
    let bad = with_thumbnail(2).with("thumbnail", |section| section.digest = Some([0; 32]));
    assert_says(&damage(&bad), &["thumbnail", "SHA-256"]);
    let bad = with_thumbnail(2).with("thumbnail", |section| section.crc = Some(0));
    assert_says(&damage(&bad), &["thumbnail", "CRC-32C"]);
}

#[test]
fn f_16_unknown_critical_sections_are_refused() {
    let newer = with_thumbnail(2).with("thumbnail", |section| section.critical = true);
    assert_says(&refusal(&newer), &["`thumbnail`", "critical", "update"]);
}

#[test]
fn f_17_unknown_sections_stand_once() {
    let mut twice = with_thumbnail(2);
    twice.sections.insert(5, Section::new("thumbnail", false, b"another"));
    assert_says(&damage(&twice.put_together()), &["thumbnail", "twice"]);
    let mut two = with_thumbnail(2);
    two.sections.insert(5, Section::new("notes", false, b"another"));
    assert!(read(&two.put_together()).is_ok());
}

#[test]
fn f_18_conversion_refuses_to_lose_sections() {
    let home = tempfile::tempdir().unwrap();
    let (path, directory) = (home.path().join("newer.knet"), home.path().join("model"));
    fs::write(&path, with_thumbnail(2).put_together()).unwrap();
    let error = unpack(&path, &directory).unwrap_err();
    assert!(matches!(error.cause(), FormatError::WouldLose { .. }));
    assert_says(&error.to_string(), &["newer.knet", "thumbnail", "would be lost"]);
    assert!(!directory.exists());
}

/// The good file up to its footer, and the footer's digest.
fn before_footer() -> (Vec<u8>, [u8; 32]) {
    let good = bytes();
    let (body, footer) = good.split_at(good.len() - 64);
    (body.to_vec(), footer[28..60].try_into().unwrap())
}

#[test]
fn f_19_the_footer() {
    for file in written() {
        let footer = &file[file.len() - 64..];
        assert_eq!(footer[..12], *b"footer\0\0\0\0\0\0");
        assert_eq!((u32_at(footer, 12), u32_at(footer, 24)), (1, 0));
    }
    let (body, digest) = before_footer();
    let length = body.len() as u64 + 64;
    let with = |block: [u8; 64]| [body.as_slice(), &block].concat();
    assert!(with(section_block("footer", 1, length, 0, digest)) == bytes());
    assert_says(&damage(&with(section_block("footer", 0, length, 0, digest))), &["flags"]);
    assert_says(&damage(&with(section_block("footer", 1, length, 9, digest))), &["CRC-32C"]);
    assert!(read(&with(section_block("foot", 1, length, 0, digest))).is_err());
    assert_says(&damage(&body), &["cut short"]);
}

#[test]
fn f_20_length_of_the_file() {
    for file in written() {
        assert_eq!(u64_at(&file, file.len() - 64 + 16), file.len() as u64);
    }
    let (body, digest) = before_footer();
    for length in [0, body.len() as u64, body.len() as u64 + 128, u64::MAX] {
        let footer = section_block("footer", 1, length, 0, digest);
        let words = damage(&[body.as_slice(), &footer].concat());
        assert_says(&words, &["the footer", "length of the file"]);
    }
    for more in [1, 64, 4096] {
        let longer = [bytes(), vec![0; more]].concat();
        assert_says(&damage(&longer), &["goes on for", &more.to_string(), "footer"]);
    }
}

#[test]
fn f_21_the_digest_of_the_footer() {
    for file in written() {
        let mut blocks: Vec<u8> = blocks(&file).iter().flat_map(|(_, block)| *block).collect();
        blocks.truncate(blocks.len() - 64);
        assert_eq!(file[file.len() - 64 + 28..][..32], sha256(&blocks));
    }
    let (body, _) = before_footer();
    let footer = section_block("footer", 1, body.len() as u64 + 64, 0, [2; 32]);
    let words = damage(&[body.as_slice(), &footer].concat());
    assert_says(&words, &["the footer", "SHA-256", "0202"]);
    // A header vouched for by no footer: the version changed and sealed again.
    let bad = [header_block([1, 1, 0]).as_slice(), &bytes()[64..]].concat();
    assert_says(&damage(&bad), &["the footer", "SHA-256"]);
}
