//! FORMAT.md, chapter 2: the records of the index.

use crate::format_support::container::Container;
use crate::format_support::refusal::{assert_says, container, damage};
use crate::{u64_at, written};

/// The words with which a change to the index of the small model is refused.
#[track_caller]
fn refused(change: impl FnOnce(&mut Vec<u8>), parts: &[&str]) {
    let words = damage(&container().with("index", |section| change(&mut section.payload)));
    assert_says(&words, &["section `index`"]);
    assert_says(&words, parts);
}

/// The bytes of the first record besides the name of its tensor: role, length of the name, element
/// type, four dimensions, offset, length, digest.
const BESIDES: usize = 4 + 8 + (8 + 7) + (8 + 4 * 8) + 8 + 8 + 32;

#[test]
fn f_25_length_of_records() {
    let named = |length: usize| {
        move |index: &mut Vec<u8>| {
            let rest = index[12 + "conv2d/kernel".len()..].to_vec();
            let name = vec![b'x'; length - BESIDES];
            let start = [&[0; 4][..], &(name.len() as u64).to_le_bytes(), &name].concat();
            *index = [start, rest].concat();
        }
    };
    refused(named(65_536), &["should be the parameter \"conv2d/kernel\""]);
    refused(named(65_537), &["cannot be decoded"]);
}

#[test]
fn f_26_numbers_in_a_record_claim_no_more_than_there_is() {
    for file in written() {
        // Walking by the numbers of bytes and items ends where the section ends.
        let mut container = Container::take_apart(&file);
        let index = &container.section("index").payload;
        let mut at = 0;
        while at < index.len() {
            at += if matches!(index[at], 0 | 2) { 4 } else { 8 };
            for _ in ["name", "element type"] {
                at += 8 + u64_at(index, at) as usize;
            }
            at += 8 + 8 * u64_at(index, at) as usize + 8 + 8 + 32;
        }
        assert_eq!(at, index.len());
    }
    // Of the name, the element type, the dimensions of the first tensor.
    let (name, dtype) = (4, 4 + 8 + "conv2d/kernel".len());
    let rank = dtype + 8 + "float32".len();
    for claim in [1 << 16, 1 << 20, 1 << 32, 1 << 60, u64::MAX] {
        for at in [name, dtype, rank] {
            let change = |index: &mut Vec<u8>| {
                index[at..at + 8].copy_from_slice(&u64::to_le_bytes(claim));
            };
            refused(change, &["cannot be decoded"]);
        }
    }
}

#[test]
fn f_27_text_and_choices_are_valid() {
    for file in written() {
        for record in crate::tensors::index(&file) {
            assert!(record.role <= 3 && std::str::from_utf8(&record.name).is_ok());
        }
    }
    let set = |at: usize, byte: u8| move |payload: &mut Vec<u8>| payload[at] = byte;
    for role in [9, 0xFF] {
        refused(set(0, role), &["cannot be decoded"]);
    }
    refused(set(12, 0xFF), &["cannot be decoded"]);
}

#[test]
fn f_29_the_index_holds_whole_records() {
    refused(|index| index.truncate(100), &["cannot be decoded"]);
    refused(|index| index.push(0), &["cannot be decoded"]);
    refused(|index| index.truncate(index.len() - 1), &["cannot be decoded"]);
}
