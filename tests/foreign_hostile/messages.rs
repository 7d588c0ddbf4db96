//! Decoding messages takes no more memory than `Limits::memory` allows, whatever the limit.

use std::fs;

use keepnet::format::{Format, Limits, load, save};
use prost::encoding::encode_varint;

use super::format_support::small;
use super::peak_memory;

fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_varint(number << 3 | 2, &mut bytes);
    encode_varint(content.len() as u64, &mut bytes);
    [&bytes, content].concat()
}

/// `content` in these fields, the outermost first, and the innermost so often.
fn within(fields: &[u64], count: usize, content: &[u8]) -> Vec<u8> {
    let (last, outer) = fields.split_last().unwrap();
    let many = field(*last, content).repeat(count);
    outer.iter().rev().fold(many, |inside, number| field(*number, &inside))
}

/// Where many small messages, texts or numbers can stand in `saved_model.pb`.
const SAVED_MODEL: &[(&[u64], &[u8])] = &[
    (&[2], b""),
    (&[2, 1, 4], b""),
    (&[2, 2, 1], b""),
    (&[2, 2, 1], b"\x2a\x00"),
    (&[2, 2, 1], b"\x0a\x01n\x12\x01o\x1a\x01i\x2a\x05\x0a\x01T\x12\x00"),
    (&[2, 2, 1], b"\x2a\x04\x12\x02\x0a\x00"),
    (&[2, 2, 1], b"\x2a\x04\x12\x02\x42\x00"),
    (&[2, 2, 1, 3], b"i"),
    (&[2, 2, 1, 5, 2, 1, 2], b""),
    (&[2, 2, 1, 5, 2, 1, 3], b"\x01"),
    (&[2, 2, 1, 5, 2, 1, 6], b"\x01\x02\x03"),
    (&[2, 2, 1, 5, 2, 1, 7], b""),
    (&[2, 2, 1, 5, 2, 7, 2], b""),
    (&[2, 2, 1, 5, 2, 8, 8], b""),
    (&[2, 2, 1, 5, 2, 8, 10], b"\x01"),
    (&[2, 2, 1, 5, 2, 8, 5], b"\x00\x00\x00\x00"),
    (&[2, 2, 2, 1], b""),
    (&[2, 2, 2, 1], b"\x22\x00"),
    (&[2, 2, 2, 1, 1, 2], b""),
    (&[2, 2, 2, 1, 3], b""),
    (&[2, 5], b"\x0a\x01a"),
    (&[2, 5, 2, 1], b""),
    (&[2, 7, 1], b""),
    (&[2, 7, 1], b"\x0a\x00"),
    (&[2, 7, 1, 1], b""),
    (&[2, 7, 1, 8, 2], b""),
    (&[2, 7, 2], b""),
    (&[2, 7, 2, 2, 2], b"\x01\x02"),
    (&[2, 7, 2, 2, 4, 52, 1], b""),
    (&[2, 7, 2, 2, 4, 53, 1], b""),
];

/// The same of an ONNX file.
const ONNX: &[(&[u64], &[u8])] = &[
    (&[7, 1], b""),
    (&[7, 1], b"\x0a\x01a\x12\x01b\x1a\x01c\x22\x01d\x2a\x00"),
    (&[7, 1, 1], b""),
    (&[7, 1, 5], b""),
    (&[7, 1, 5], b"\x2a\x00"),
    (&[7, 1, 5, 7], b"\x00\x00\x00\x00"),
    (&[7, 1, 5, 8], b"\x01\x02"),
    (&[7, 5], b""),
    (&[7, 5, 1], b"\x01"),
    (&[7, 5, 11], b"\x01\x02"),
    (&[7, 5, 13], b""),
    (&[7, 11], b"\x12\x00"),
    (&[7, 11, 2, 1, 2, 1], b""),
    (&[7, 15], b""),
    (&[8], b""),
    (&[14], b""),
    (&[20], b""),
    (&[20, 1, 5], b""),
    (&[25], b""),
];

pub(crate) fn take_no_more_than_the_limit() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("model");
    save(&small(), &folder, Format::SavedModel).unwrap();
    fs::remove_dir_all(folder.join("assets.extra")).unwrap();
    fs::remove_dir_all(folder.join("variables")).unwrap();
    let (model, onnx) = (folder.join("saved_model.pb"), home.path().join("model.onnx"));
    let (mut tried, mut decoded, mut closest) = (0, 0, 0);
    let mut check = |start: &[u8],
                     cases: &[(&[u64], &[u8])],
                     file: &std::path::Path,
                     path: &std::path::Path| {
        for (fields, content) in cases {
            for count in [1, 5, 9, 33, 1_000, 4_097, 30_000] {
                let bytes = [start, &within(fields, count, content)].concat();
                fs::write(file, &bytes).unwrap();
                for memory in (16..26).map(|bits| 1 << bits) {
                    let limits = Limits { memory, ..Limits::default() };
                    let (loaded, peak) = peak_memory::peak(|| load(path, &limits).map(drop));
                    let what =
                        format!("{count} × {content:?} in {fields:?}, {memory} bytes: {loaded:?}");
                    // Before anything else, the first MiB is searched for an HDF5 file.
                    let allowed = memory.max(3 * bytes.len().min(1 << 20) as u64);
                    // What is not counted: names, texts of errors.
                    assert!(peak <= allowed + (64 << 10), "{what}: {peak}");
                    let error = loaded.map_or_else(|error| error.to_string(), |()| String::new());
                    let refused =
                        error.contains("bytes of memory") || error.contains("programs write");
                    tried += 1;
                    decoded += usize::from(!refused);
                    if !refused && count == 30_000 {
                        closest = closest.max(100 * peak / allowed);
                        break;
                    }
                }
            }
        }
    };
    check(b"\x08\x01", SAVED_MODEL, &model, &folder);
    check(b"\x08\x08", ONNX, &onnx, &onnx);
    assert!(decoded > 100 && decoded < tried);
    println!(
        "{tried} files of many small messages, {decoded} decoded, with {closest} % of the limit at most"
    );
}
