//! Headers that lie about what stands behind them.

use std::fs;
use std::path::Path;

use keepnet::format::{Format, Limits, load_weights, save};
use keepnet::model::Checkpoint;

use super::Tried;
use super::format_support::small;

/// Holes of others that these files would use.
pub(crate) const KNOWN: &[&str] = &["safetensors#401"];

fn file(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
}

fn tensor(name: &str, dtype: &str, shape: &str, offsets: &str) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
}

fn one(dtype: &str, shape: &str, offsets: &str) -> String {
    format!("{{{}}}", tensor("a", dtype, shape, offsets))
}

fn two(first: &str, second: &str) -> String {
    format!("{{{},{}}}", tensor("a", "U8", "[2]", first), tensor("b", "U8", "[2]", second))
}

/// Both as a model and as weights of one.
fn refused(tried: &mut Tried, path: &Path, what: &str, bytes: &[u8], reason: &str) {
    fs::write(path, bytes).unwrap();
    let bare = Checkpoint::new(small().graph, Vec::new());
    tried.refused_by(what, path, reason, || load_weights(&bare, path, &Limits::default()));
    tried.refused(what, path, "");
}

pub(crate) fn try_all(tried: &mut Tried) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.safetensors");
    for length in [1 << 63, u64::MAX, u64::MAX - 7, 100_000_001_u64] {
        let bytes = [&length.to_le_bytes()[..], b"{}"].concat();
        let what = format!("a header of {length} bytes");
        let reason = match length {
            ..1_000_000_000 => "the format allows 100000000",
            _ => "of a kind unknown to keepnet",
        };
        refused(tried, &path, &what, &bytes, reason);
    }
    let beyond = [&100_000_000_u64.to_le_bytes()[..], b"{}"].concat();
    refused(tried, &path, "a header beyond the file", &beyond, "cut short");
    refused(tried, &path, "7 bytes", &[0; 7], "of a kind unknown");
    refused(tried, &path, "no byte", &[], "an empty file");
    let f32s = one("F32", "[1]", "[0,4]");
    let cases: &[(&str, String, usize, &str)] = &[
        ("a space before it", format!(" {f32s}"), 4, "of a kind unknown"),
        ("a line feed behind it", format!("{f32s}\n"), 4, "must begin with {"),
        ("nothing", String::new(), 0, "of a kind unknown"),
        ("two objects", "{}{}".to_owned(), 0, "cannot be understood"),
        (
            "brackets",
            format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20)),
            0,
            "of a kind unknown",
        ),
        (
            "10^6 brackets in a member",
            format!("{{\"a\":{}1{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20)),
            0,
            "cannot be understood",
        ),
        (
            "10^6 brackets in the metadata",
            format!("{{\"__metadata__\":{}", "{\"a\":".repeat(1 << 20)) + "}",
            0,
            "cannot be understood",
        ),
        (
            "a tensor twice",
            format!("{{{0},{0}}}", tensor("a", "F32", "[1]", "[0,4]")),
            4,
            "two entries `a`",
        ),
        (
            "a tensor twice, once escaped",
            format!(
                "{{{},{}}}",
                tensor("a", "F32", "[1]", "[0,4]"),
                tensor("\\u0061", "F32", "[1]", "[4,8]")
            ),
            8,
            "two entries `a`",
        ),
        ("metadata twice", r#"{"__metadata__":{},"__metadata__":{}}"#.to_owned(), 0, "two entries"),
        ("a text twice", r#"{"__metadata__":{"k":"1","k":"2"}}"#.to_owned(), 0, "two entries `k`"),
        (
            "a member twice",
            r#"{"a":{"dtype":"F32","dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#.to_owned(),
            4,
            "duplicate field",
        ),
        (
            "one more member",
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":0}}"#.to_owned(),
            4,
            "unknown field",
        ),
        ("a number in the metadata", r#"{"__metadata__":{"k":1}}"#.to_owned(), 0, "understood"),
        (
            "a tensor of the reserved name",
            format!("{{{}}}", tensor("__metadata__", "F32", "[1]", "[0,4]")),
            4,
            "cannot be understood",
        ),
        ("tensors that overlap", two("[0,2]", "[1,3]"), 3, "expected from 2 on"),
        ("one place for two tensors", two("[0,2]", "[0,2]"), 2, "expected from 2 on"),
        ("a hole", two("[0,2]", "[3,5]"), 5, "expected from 2 on"),
        ("a hole at the start", one("U8", "[2]", "[1,3]"), 3, "expected from 0 on"),
        ("an end before the beginning", one("F32", "[1]", "[4,0]"), 4, "expected from 0 on"),
        (
            "no numbers in a place of others",
            format!(
                "{{{},{}}}",
                tensor("a", "U8", "[4]", "[0,4]"),
                tensor("b", "U8", "[0]", "[2,2]")
            ),
            4,
            "expected from 4 on",
        ),
        ("bytes behind the last", one("F32", "[1]", "[0,4]"), 5, "the file has 5"),
        ("too few bytes", one("F32", "[1]", "[0,4]"), 3, "cut short"),
        ("2^64 − 1 bytes", one("F32", "[1]", "[0,18446744073709551615]"), 4, "cut short"),
        ("an offset of 2^64", one("F32", "[1]", "[0,18446744073709551616]"), 4, "understood"),
        ("2^60 numbers", one("F32", "[1152921504606846976]", "[0,4]"), 4, "takes 461168601842738"),
        ("2^63 × 4 numbers", one("F32", "[9223372036854775808,4]", "[0,4]"), 4, "is larger than"),
        (
            "2^120 numbers",
            one("U8", "[1152921504606846976,1152921504606846976]", "[0,0]"),
            0,
            "larger",
        ),
        ("a length below 0", one("F32", "[-1]", "[0,4]"), 4, "cannot be understood"),
        ("half a number", one("F32", "[1.5]", "[0,6]"), 6, "cannot be understood"),
        ("another length", one("F32", "[2]", "[0,4]"), 4, "takes 8 bytes"),
        ("another size of a type", one("F64", "[1]", "[0,4]"), 4, "takes 8 bytes"),
        ("a type of no size", one("F0", "[1]", "[0,4]"), 4, "which the format does not have"),
        ("a type of half a byte", one("F4", "[2]", "[0,1]"), 1, "which keepnet has none for"),
        (
            "no shape",
            r#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#.to_owned(),
            4,
            "missing field",
        ),
        ("a list for a tensor", r#"{"a":["F32",[1],[0,4]]}"#.to_owned(), 4, "understood"),
        ("a zero in a name", "{\"a\u{0}\":0}".to_owned(), 0, "cannot be understood"),
        (
            "a path for a name",
            format!("{{{}}}", tensor("../../etc/passwd", "F32", "[1]", "[0,4]")),
            4,
            "no module of the file is called so",
        ),
        (
            "a shape of 65,536 axes",
            one("U8", &format!("[{}1]", "1,".repeat((1 << 16) - 1)), "[0,1]"),
            1,
            "",
        ),
        (
            "100,000 tensors in one place",
            {
                let tensors = (0..100_000)
                    .map(|number| tensor(&format!("{number}"), "U8", "[2]", "[0,2]"))
                    .collect::<Vec<_>>();
                format!("{{{}}}", tensors.join(","))
            },
            2,
            "expected from 2 on",
        ),
        (
            "200,000 texts of no name",
            format!("{{\"__metadata__\":{{{}}}}}", [r#""":"""#; 200_000].join(",")),
            0,
            "two entries ``",
        ),
    ];
    for (what, header, data, reason) in cases {
        refused(tried, &path, what, &file(header, *data), reason);
    }
    sparse(tried, &path);
    kept(tried, &path);
}

/// A file of gigabytes that takes none on the disk.
fn sparse(tried: &mut Tried, path: &Path) {
    let header = one("F32", "[1]", "[0,4]");
    fs::write(path, file(&header, 4)).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_len(16 << 30).unwrap();
    tried.refused("16 GiB of nothing", path, "bytes of memory");
}

/// What keepnet keeps in its own files, changed.
fn kept(tried: &mut Tried, path: &Path) {
    save(&small(), path, Format::Safetensors).unwrap();
    let own = fs::read(path).unwrap();
    let length = u64::from_le_bytes(own[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&own[8..8 + length]).unwrap();
    for (key, value) in [
        ("keepnet/index", "[".repeat(1_000_000)),
        ("keepnet/index", String::new()),
        ("keepnet/sha256", "0".repeat(64)),
        ("keepnet/sections/architecture", "{}".to_owned()),
        ("layout", "../../x".to_owned()),
    ] {
        let mut header = header.clone();
        header["__metadata__"][key] = value.into();
        let header = serde_json::to_string(&header).unwrap();
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &own[8 + length..]];
        fs::write(path, bytes.concat()).unwrap();
        tried.refused(&format!("another {key}"), path, "");
    }
}
