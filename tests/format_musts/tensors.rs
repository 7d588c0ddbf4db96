//! FORMAT.md, chapter 2: the index and the numbers.

use keepnet::format::{Limits, from_bytes, to_bytes};
use keepnet::{DType, Tensor};

use crate::format_support::container::{Container, sha256};
use crate::format_support::refusal::{assert_says, container, damage, read};
use crate::format_support::{assert_same_bits, small};
use crate::{u32_at, u64_at, written};

/// A record of the index.
pub(crate) struct Record {
    pub(crate) role: u32,
    pub(crate) name: Vec<u8>,
    dtype: Vec<u8>,
    shape: Vec<u64>,
    offset: u64,
    length: u64,
    pub(crate) digest: [u8; 32],
}

/// The records of a file's index, read as the document says.
pub(crate) fn index(file: &[u8]) -> Vec<Record> {
    let mut container = Container::take_apart(file);
    let bytes = &container.section("index").payload;
    let (mut at, mut records) = (0, Vec::new());
    while at < bytes.len() {
        let role = u32_at(bytes, at);
        at += if role % 2 == 1 { 8 } else { 4 };
        let mut text = || {
            let length = u64_at(bytes, at) as usize;
            at += 8 + length;
            bytes[at - length..at].to_vec()
        };
        let (name, dtype) = (text(), text());
        let rank = u64_at(bytes, at) as usize;
        let shape = (1..=rank).map(|axis| u64_at(bytes, at + 8 * axis)).collect();
        at += 8 + 8 * rank;
        let (offset, length) = (u64_at(bytes, at), u64_at(bytes, at + 8));
        let digest = bytes[at + 16..at + 48].try_into().unwrap();
        at += 48;
        records.push(Record { role, name, dtype, shape, offset, length, digest });
    }
    records
}

/// The payload of `tensors`.
fn numbers(file: &[u8]) -> Vec<u8> {
    Container::take_apart(file).section("tensors").payload.clone()
}

/// The first record of the small model's index: role, name, dtype, shape, offset, length, digest.
const NAME: usize = 4;
const DTYPE: usize = NAME + 8 + "conv2d/kernel".len();
const RANK: usize = DTYPE + 8 + "float32".len();
const OFFSET: usize = RANK + 8 + 4 * 8;
const LENGTH: usize = OFFSET + 8;
const DIGEST: usize = LENGTH + 8;
const END: usize = DIGEST + 32;

fn index_with(at: usize, bytes: &[u8]) -> Vec<u8> {
    container().with("index", |section| {
        assert_eq!(&section.payload[NAME + 8..][..13], b"conv2d/kernel");
        section.payload[at..at + bytes.len()].copy_from_slice(bytes);
    })
}

#[test]
fn f_33_the_index_is_complete() {
    for file in written() {
        let checkpoint = read(&file).unwrap();
        let trained = (checkpoint.graph.parameters().iter())
            .filter(|parameter| checkpoint.graph.is_trained(parameter))
            .count();
        let slots = checkpoint.optimizer.as_ref().map_or(0, |optimizer| optimizer.slots.len());
        let outputs = checkpoint.proof.as_ref().map_or(0, |_| checkpoint.graph.outputs().len());
        let fit = checkpoint.training.as_ref().and_then(|training| training.fit.as_ref());
        let weights = fit.map_or(0, |fit| {
            fit.callbacks.values().filter(|callback| callback.weights.is_some()).count()
        });
        let parameters = checkpoint.graph.parameters().len();
        let expected = parameters + slots * trained + outputs + weights * parameters;
        assert_eq!(index(&file).len(), expected);
    }
    let bad = container().replacing("architecture", "\"use_bias\": true", "\"use_bias\": false");
    assert_says(&damage(&bad), &["section `index`"]);
    let mut without = container();
    without.sections.retain(|section| section.id != "proof");
    assert_says(&damage(&without.put_together()), &["section `index`", "12 tensors, found 13"]);
    let twice = container().with("index", |section| {
        let first = section.payload[..END].to_vec();
        section.payload.extend(first);
    });
    assert_says(&damage(&twice), &["section `index`", "13 tensors, found 14"]);
    let missing = container().with("index", |section| drop(section.payload.drain(..END)));
    assert_says(&damage(&missing), &["section `index`", "conv2d/kernel"]);
}

#[test]
fn f_34_roles_and_names_of_tensors() {
    let file = to_bytes(&small()).unwrap();
    let found: Vec<_> = (index(&file).into_iter())
        .map(|record| (record.role, String::from_utf8(record.name).unwrap()))
        .collect();
    let parameters = ["conv2d/kernel", "conv2d/bias", "dense/kernel", "dense/bias"];
    let of_role = |role| parameters.map(|name| (role, name.to_owned()));
    let proof = (2, "dense".to_owned());
    assert_eq!(found, [&of_role(0)[..], &of_role(1), &of_role(1), &[proof]].concat());

    let bad = container().replacing("architecture", "\"name\": \"dense\"", "\"name\": \"dance\"");
    assert_says(&damage(&bad), &["section `index`", "dance/kernel", "dense/kernel"]);
    let bad = index_with(0, &2_u32.to_le_bytes());
    assert_says(&damage(&bad), &["section `index`", "parameter \"conv2d/kernel\"", "proof"]);
    let bad = index_with(NAME + 8, b"conv2d/Kernel");
    assert_says(&damage(&bad), &["section `index`", "conv2d/kernel", "conv2d/Kernel"]);
    // A frozen layer has no slots; the input layer had none before.
    let frozen = |layer: &str| {
        let from = format!("\"name\": \"{layer}\",\n    \"trainable\": true");
        container().replacing("architecture", &from, &from.replace("true", "false"))
    };
    assert_says(&damage(&frozen("dense")), &["section `index`", "slot 0"]);
    assert!(read(&frozen("input")).is_ok());
}

#[test]
fn f_35_shapes_of_tensors() {
    let file = to_bytes(&small()).unwrap();
    let shapes: Vec<_> = index(&file).into_iter().map(|record| record.shape).collect();
    assert_eq!(shapes[..4], [vec![3, 3, 1, 2], vec![2], vec![8, 2], vec![2]]);
    assert_eq!(shapes[12], [1, 2]);
    let bad = container().replacing("architecture", "\"units\": 2", "\"units\": 3");
    assert_says(&damage(&bad), &["section `index`", "dense/kernel", "8×3", "8×2"]);
    // As many numbers in another shape, and more than there are.
    let bad = index_with(RANK + 8, &[9, 1].map(u64::to_le_bytes).concat());
    assert_says(&damage(&bad), &["section `index`", "conv2d/kernel", "3×3×1×2", "9×1×1×2"]);
    assert_says(&damage(&index_with(RANK + 8, &[0xFF; 8])), &["conv2d/kernel", "3×3×1×2"]);
}

#[test]
fn f_36_element_types() {
    const NAMES: [&str; 13] = [
        "float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8",
        "uint16", "uint32", "uint64", "bool",
    ];
    for file in written() {
        assert!(index(&file).iter().all(|r| NAMES.iter().any(|name| name.as_bytes() == r.dtype)));
    }
    for dtype in DType::ALL {
        let mut checkpoint = small();
        let bytes = vec![1; 2 * dtype.size()];
        checkpoint.tensors[1].tensor = Tensor::new(dtype, [2], bytes).unwrap();
        let file = to_bytes(&checkpoint).unwrap();
        assert_eq!(index(&file)[1].dtype, dtype.name().as_bytes());
        assert_same_bits(&read(&file).unwrap(), &checkpoint);
    }
    for name in [b"complex", b"Float32", b"float31"] {
        let words = damage(&index_with(DTYPE + 8, name));
        assert_says(&words, &["element type", std::str::from_utf8(name).unwrap()]);
    }
}

#[test]
fn f_37_lengths_of_tensors() {
    for file in written() {
        for record in index(&file) {
            let name = std::str::from_utf8(&record.dtype).unwrap();
            let size = DType::from_name(name).unwrap().size() as u64;
            assert_eq!(record.length, record.shape.iter().product::<u64>() * size);
        }
    }
    for wrong in [0, 71, 73, 1 << 60, u64::MAX] {
        let words = damage(&index_with(LENGTH, &wrong.to_le_bytes()));
        assert_says(&words, &["section `index`", "the length of a tensor should be 72"]);
    }
    // Half as many bytes per number.
    let words = damage(&index_with(DTYPE + 8, b"float16"));
    assert_says(&words, &["section `index`", "the length of a tensor should be 36"]);
}

#[test]
fn f_38_tensors_stand_one_after_the_other() {
    for file in written() {
        let mut expected = 0;
        for record in index(&file) {
            assert_eq!(record.offset, expected);
            expected = (record.offset + record.length).next_multiple_of(64);
        }
    }
    for wrong in [1, 64, 1 << 60, u64::MAX] {
        let words = damage(&index_with(OFFSET, &wrong.to_le_bytes()));
        assert_says(&words, &["section `index`", "the offset of a tensor should be 0"]);
    }
    // The second tensor over the first, and behind a hole.
    let second = END + OFFSET - "kernel".len() + "bias".len() - 3 * 8;
    for wrong in [0_u64, 64, 192] {
        let words = damage(&container().with("index", |section| {
            assert_eq!(u64_at(&section.payload, second), 128);
            section.payload[second..second + 8].copy_from_slice(&wrong.to_le_bytes());
        }));
        assert_says(&words, &["section `index`", "the offset of a tensor should be 128"]);
    }
}

#[test]
fn f_39_zeros_between_tensors() {
    for file in written() {
        let (numbers, mut end) = (numbers(&file), 0);
        for record in index(&file) {
            assert!(numbers[end..record.offset as usize].iter().all(|&byte| byte == 0));
            end = (record.offset + record.length) as usize;
        }
        assert!(numbers[end..].iter().all(|&byte| byte == 0));
        assert_eq!(numbers.len(), end.next_multiple_of(64));
    }
    for at in [72, 80, 127] {
        let bad = container().with("tensors", |section| section.payload[at] = 1);
        assert_says(&damage(&bad), &["section `tensors`", "padding"]);
    }
    let bad = container().with("tensors", |section| *section.payload.last_mut().unwrap() = 1);
    assert_says(&damage(&bad), &["section `tensors`", "padding"]);
    let bad = container().with("tensors", |section| section.payload.extend([0; 64]));
    assert_says(&damage(&bad), &["section `tensors`", "goes on for 64 bytes"]);
    for less in [1, 64] {
        let bad = container().with("tensors", |s| s.payload.truncate(s.payload.len() - less));
        assert_says(&damage(&bad), &["section `tensors`", "cut short"]);
    }
}

#[test]
fn f_40_digests_of_tensors() {
    for file in written() {
        let numbers = numbers(&file);
        for Record { offset, length, digest, .. } in index(&file) {
            assert_eq!(digest, sha256(&numbers[offset as usize..(offset + length) as usize]));
        }
    }
    let parts = ["section `tensors`", "conv2d/kernel", "SHA-256"];
    assert_says(&damage(&index_with(DIGEST, &[0; 32])), &parts);
    let bad = container().with("tensors", |section| section.payload[3] ^= 1);
    assert_says(&damage(&bad), &parts);
}

#[test]
fn f_41_every_bit_of_every_number() {
    // NaNs of every kind, both zeros, infinities, subnormals.
    let bits: [u32; 18] = [
        0x7FC0_0000,
        0xFFC0_1234,
        0x7F80_0001,
        0xFFFF_FFFF,
        0x7F80_0000,
        0xFF80_0000,
        0x8000_0000,
        0,
        1,
        0x807F_FFFF,
        0x0080_0000,
        0x7F7F_FFFF,
        0x3F80_0000,
        0xBF80_0000,
        0x7FA5_5A5A,
        0xFFA5_5A5A,
        0x0000_FFFF,
        0x8000_0001,
    ];
    let bytes = bits.map(u32::to_le_bytes).concat();
    let mut checkpoint = small();
    checkpoint.tensors[0].tensor = Tensor::new(DType::F32, [3, 3, 1, 2], bytes.clone()).unwrap();
    let file = to_bytes(&checkpoint).unwrap();
    assert_eq!(numbers(&file)[..72], bytes);
    let read = from_bytes(&file, &Limits::default()).unwrap();
    assert_eq!(*read.tensors[0].tensor.bytes(), bytes);
}
