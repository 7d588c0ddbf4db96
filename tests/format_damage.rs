//! Damaged, foreign and hostile files are refused, each with its own words, and never with a panic.
//! Tests of single rules are named after their number in docs/FORMAT.md.

mod format_support;

use std::fs;

use format_support::container::{Container, Section, header_block, section_block, sha256};
use format_support::{checkpoints, small};
use keepnet::format::*;
use keepnet::*;
use proptest::prelude::*;
use proptest::sample::Index;

fn bytes() -> Vec<u8> {
    to_bytes(&small()).unwrap()
}

fn container() -> Container {
    Container::take_apart(&bytes())
}

fn read(bytes: &[u8]) -> Result<Checkpoint<'_>, FormatError> {
    from_bytes(bytes, &Limits::default())
}

/// The words with which `bytes` are refused as damaged.
#[track_caller]
fn damage(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    error.to_string()
}

/// The words with which `bytes` are refused, though they are not damaged.
#[track_caller]
fn refusal(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err();
    assert!(!error.is_corrupt(), "{error}");
    error.to_string()
}

#[track_caller]
fn assert_says(words: &str, parts: &[&str]) {
    for part in parts {
        assert!(words.contains(part), "{part:?} is not in: {words}");
    }
}

#[test]
fn the_container_of_the_tests_is_that_of_the_crate() {
    assert!(container().put_together() == bytes());
}

#[test]
fn every_changed_byte_is_refused() {
    let good = bytes();
    assert!(read(&good).is_ok());
    let mut bad = good.clone();
    for at in 0..good.len() {
        for change in (0..8).map(|bit| 1 << bit).chain([0xFF]) {
            bad[at] ^= change;
            assert!(read(&bad).is_err(), "byte {at} xor {change:02x}");
            bad[at] = good[at];
        }
    }
}

#[test]
fn every_shorter_file_is_refused() {
    let good = bytes();
    for length in 1..good.len() {
        let words = damage(&good[..length]);
        assert!(words.contains("cut short"), "{length}: {words}");
    }
}

#[test]
fn every_longer_file_is_refused() {
    let good = bytes();
    for more in [1, 2, 63, 64, 65, 4096] {
        for byte in [0, 0xFF] {
            let longer = [good.as_slice(), &vec![byte; more]].concat();
            assert_says(&damage(&longer), &["goes on for", &more.to_string(), "footer"]);
        }
    }
    assert_says(&damage(&[good.as_slice(), &good].concat()), &["goes on for"]);
}

#[test]
fn zeroed_blocks_and_spliced_files_are_refused() {
    let good = bytes();
    for block in 0..good.len() / 64 {
        let mut bad = good.clone();
        bad[block * 64..][..64].fill(0);
        // A block of padding is zero already, but no padding is that long.
        assert!(read(&bad).is_err(), "block {block}");
    }
    let mut other = small();
    other.training = None;
    let other = to_bytes(&other).unwrap();
    for cut in (64..good.len().min(other.len())).step_by(64) {
        let spliced = [&good[..cut], &other[cut..]].concat();
        if spliced != good && spliced != other {
            assert!(read(&spliced).is_err(), "cut at {cut}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_changes_are_refused(
        checkpoint in checkpoints(),
        changes in prop::collection::vec((any::<Index>(), 1..=255_u8), 1..4),
    ) {
        let good = to_bytes(&checkpoint).unwrap();
        let mut bad = good.clone();
        for (at, change) in changes {
            *at.get_mut(&mut bad) ^= change;
        }
        prop_assert!(bad == good || read(&bad).is_err());
    }

    /// With checksums that agree, so that everything behind them is reached.
    #[test]
    fn random_sections_do_no_harm(
        checkpoint in checkpoints(),
        section in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut container = Container::take_apart(&to_bytes(&checkpoint).unwrap());
        let section = section.get_mut(&mut container.sections);
        if section.payload.is_empty() {
            return Ok(());
        }
        for (at, byte) in changes {
            *at.get_mut(&mut section.payload) = byte;
        }
        let changed = container.put_together();
        if let Ok(checkpoint) = read(&changed) {
            // What is accepted is the one way to write what was read.
            prop_assert!(to_bytes(&checkpoint).unwrap() == changed);
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(read(&bytes).is_err());
    }
}

#[test]
fn f1_the_signature() {
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

#[test]
fn f2_versions() {
    let with = |version| Container { version, ..container() }.put_together();
    assert_says(&refusal(&with([2, 0, 0])), &["version 2", "newer keepnet", "up to 1"]);
    assert_says(&refusal(&with([65535, 3, 3])), &["version 65535"]);
    assert_says(&refusal(&with([1, 1, 1])), &["version 1.1", "up to 1.0"]);
    assert_says(&damage(&with([0, 9, 0])), &["major version"]);
    assert_says(&damage(&with([1, 0, 1])), &["least minor version"]);
    assert!(read(&with([1, 9, 0])).is_ok());
}

#[test]
fn f3_what_is_reserved_in_the_header_is_zero() {
    let mut bad = bytes();
    bad[20] = 1;
    let crc = crc32c::crc32c(&bad[..60]);
    bad[60..64].copy_from_slice(&crc.to_le_bytes());
    assert_says(&damage(&bad), &["header", "byte 14", "zero"]);
}

#[test]
fn f4_blocks_are_sealed() {
    let mut bad = bytes();
    bad[8] ^= 2; // the major version
    assert_says(&damage(&bad), &["the header", "byte 0", "CRC-32C"]);
    let mut bad = bytes();
    bad[64 + 16] ^= 1; // the length of the first section
    assert_says(&damage(&bad), &["a section header", "byte 64", "CRC-32C"]);
}

#[test]
fn f5_ids_and_flags_of_sections() {
    for id in ["", "Graph", "a b", "é"] {
        let mut bad = container();
        bad.sections.insert(1, Section::new(id, false, b""));
        assert_says(&damage(&bad.put_together()), &["the id"]);
    }
    let good = bytes();
    let block = section_block("note\0x", 0, 0, 0, sha256(b""));
    assert_says(&damage(&[&good[..64], &block, &good[64..]].concat()), &["the id"]);
    let block = section_block("note", 2, 0, 0, sha256(b""));
    let bad = [&good[..64], &block, &good[64..]].concat();
    assert_says(&damage(&bad), &["the flags", "byte 64"]);
    let bad = container().with("compile", |section| section.critical = true);
    assert_says(&damage(&bad), &["`compile`", "wrong critical flag"]);
    let bad = container().with("index", |section| section.critical = false);
    assert_says(&damage(&bad), &["`index`", "wrong critical flag"]);
}

#[test]
fn f6_order_and_number_of_sections() {
    let mut swapped = container();
    swapped.sections.swap(1, 2);
    assert_says(&damage(&swapped.put_together()), &["out of order"]);
    let mut twice = container();
    twice.sections.insert(1, twice.sections[1].clone());
    assert_says(&damage(&twice.put_together()), &["`compile`", "twice"]);
    for id in ["architecture", "index", "tensors"] {
        let mut without = container();
        without.sections.retain(|section| section.id != id);
        assert_says(&damage(&without.put_together()), &[id, "is missing"]);
    }
}

#[test]
fn f7_unknown_sections() {
    let mut newer = container();
    newer.version = [1, 3, 0];
    newer.sections.insert(2, Section::new("thumbnail", false, b"picture"));
    let bytes = newer.put_together();
    format_support::assert_same_bits(&read(&bytes).unwrap(), &small());
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("newer.knet");
    fs::write(&path, &bytes).unwrap();
    assert_eq!(inspect(&path).unwrap().skipped, ["thumbnail"]);
    let error = unpack(&path, &home.path().join("model")).unwrap_err();
    assert_says(&error.to_string(), &["newer.knet", "thumbnail", "would be lost"]);

    newer.sections.insert(4, Section::new("thumbnail", false, b"another"));
    assert_says(&damage(&newer.put_together()), &["thumbnail", "twice"]);
    newer.sections.remove(4);
    newer.sections[2].critical = true;
    assert_says(&refusal(&newer.put_together()), &["`thumbnail`", "critical", "update"]);
    // Its checksums are checked all the same.
    newer.sections[2] =
        Section { digest: Some([0; 32]), ..Section::new("thumbnail", false, b"picture") };
    assert_says(&damage(&newer.put_together()), &["thumbnail", "SHA-256"]);
}

#[test]
fn f8_checksums_of_payloads() {
    let good = bytes();
    // The padding of the first section, with the CRC right and then wrong.
    let length = u64::from_le_bytes(good[64 + 16..][..8].try_into().unwrap()) as usize;
    assert_ne!(length % 64, 0);
    let mut bad = good.clone();
    bad[128 + length] = 1;
    assert_says(&damage(&bad), &["section `architecture`", "byte 128", "CRC-32C"]);
    let region = 128..128 + length.next_multiple_of(64);
    let crc = crc32c::crc32c(&bad[region]);
    let digest = good[64 + 28..64 + 60].try_into().unwrap();
    let block = section_block("architecture", 1, length as u64, crc, digest);
    bad[64..128].copy_from_slice(&block);
    let mut blocks = bad[..128].to_vec();
    let mut at = 128 + length.next_multiple_of(64);
    while at + 64 < bad.len() {
        blocks.extend(&bad[at..at + 64]);
        let length = u64::from_le_bytes(bad[at + 16..][..8].try_into().unwrap()) as usize;
        at += 64 + length.next_multiple_of(64);
    }
    let footer = section_block("footer", 1, bad.len() as u64, 0, sha256(&blocks));
    let end = bad.len() - 64;
    bad[end..].copy_from_slice(&footer);
    assert_says(&damage(&bad), &["section `architecture`", "padding", "zero"]);
    let bad = container().with("history", |section| section.digest = Some([1; 32]));
    assert_says(&damage(&bad), &["section `history`", "SHA-256", "0101"]);
    let bad = container().with("tensors", |section| section.digest = Some([1; 32]));
    assert_says(&damage(&bad), &["section `tensors`", "SHA-256", "0101"]);
}

#[test]
fn f9_the_footer() {
    let good = bytes();
    let (body, footer) = good.split_at(good.len() - 64);
    let digest = footer[28..60].try_into().unwrap();
    let with = |block: [u8; 64]| [body, &block].concat();
    let length = good.len() as u64;
    assert!(with(section_block("footer", 1, length, 0, digest)) == good);
    let words = damage(&with(section_block("footer", 1, length + 64, 0, digest)));
    assert_says(&words, &["the footer", "length of the file"]);
    let words = damage(&with(section_block("footer", 1, length, 0, [2; 32])));
    assert_says(&words, &["the footer", "SHA-256", "0202"]);
    assert_says(&damage(&with(section_block("footer", 0, length, 0, digest))), &["flags"]);
    assert_says(&damage(&with(section_block("footer", 1, length, 9, digest))), &["CRC-32C"]);
    // A header vouched for by no footer: the version changed and sealed again.
    let bad = [header_block([1, 1, 0]).as_slice(), &good[64..]].concat();
    assert_says(&damage(&bad), &["the footer", "SHA-256"]);
}

#[test]
fn f10_json_is_canonical() {
    let id = "architecture";
    for (from, to, words) in [
        ("\"trainable\": true", "\"trainable\":  true", "canonical"),
        ("\"trainable\": true", "\"trainable\": true,\n    \"trainable\": true", "duplicate field"),
        ("\"trainable\": true", "\"trainable\": true,\n    \"code\": \"x\"", "unknown field"),
        ("\"kernel_l2\": 0.0", "\"kernel_l2\": 0.00", "canonical"),
        ("\"kernel_l2\": 0.0", "\"kernel_l2\": 0", "canonical"),
        ("\"kernel_l2\": 0.0", "\"kernel_l2\": \"inf\"", "cannot be understood"),
        ("\"softmax\"", "\"lambda\"", "unknown variant `lambda`"),
        ("\"flatten\"", "\"\\u0066latten\"", "canonical"),
        ("}]\n}\n", "}]\n}\n\n", "canonical"),
        ("}]\n}\n", "}]\n} {}", "trailing"),
        ("\"filters\": 2", "\"filters\": -2", "invalid value"),
    ] {
        let words_found = damage(&container().replacing(id, from, to));
        assert_says(&words_found, &["section `architecture`", words]);
    }
    let twice = "\"author\": \"Eve\",\n  \"author\"";
    let bad = container().replacing("metadata", "\"author\"", twice);
    assert_says(&damage(&bad), &["section `metadata`", "a key may be repeated"]);
    let bad = container().with("metadata", |section| section.payload = b"{}\n".to_vec());
    assert_says(&damage(&bad), &["`metadata`", "holds nothing"]);
    let nested = container().with("metadata", |s| s.payload = "[".repeat(1_000_000).into_bytes());
    assert_says(&damage(&nested), &["section `metadata`", "cannot be understood"]);
}

#[test]
fn f11_schemas() {
    for id in ["architecture", "compile"] {
        let newer = container().replacing(id, "\"schema\": 1", "\"schema\": 2");
        assert_says(&refusal(&newer), &["schema", "2", "newer keepnet"]);
        let none = container().replacing(id, "\"schema\": 1", "\"schema\": 0");
        assert_says(&damage(&none), &["no schema 0"]);
    }
}

#[test]
fn f12_the_architecture_is_a_network() {
    let id = "architecture";
    for (from, to, words) in [
        ("\"inputs\": [1]", "\"inputs\": [3]", "earlier node"),
        ("\"filters\": 2", "\"filters\": 0", "filters"),
        ("\"units\": 2", "\"units\": 1152921504606846976", "larger than 2³² − 1 elements"),
        ("\"strides\": [1, 1]", "\"strides\": [0, 1]", "stride"),
        ("\"name\": \"flatten\"", "\"name\": \"conv2d\"", "two layers"),
        (
            "\"shape\": [4, 4, 1]",
            "\"shape\": [4, 18446744073709551615, 1]",
            "larger than 2³² − 1 elements",
        ),
    ] {
        let words_found = damage(&container().replacing(id, from, to));
        assert_says(&words_found, &["section `architecture`", words]);
    }
    let long = format!("\"shape\": [4, 4{}]", ", 1".repeat(40));
    let bad = container().replacing(id, "\"shape\": [4, 4, 1]", &long);
    assert_says(&damage(&bad), &["42 dimensions", "31"]);
}

#[test]
fn f13_the_index_is_what_the_architecture_calls_for() {
    // Another shape, another name, another number of tensors.
    let bad = container().replacing("architecture", "\"units\": 2", "\"units\": 3");
    assert_says(&damage(&bad), &["section `index`", "dense/kernel", "8×3", "8×2"]);
    let bad = container().replacing("architecture", "\"name\": \"dense\"", "\"name\": \"dance\"");
    assert_says(&damage(&bad), &["section `index`", "dance/kernel", "dense/kernel"]);
    let bad = container().replacing("architecture", "\"use_bias\": true", "\"use_bias\": false");
    assert_says(&damage(&bad), &["section `index`"]);
    let bad = container().replacing("architecture", "\"trainable\": true", "\"trainable\": false");
    assert!(read(&bad).is_ok(), "the input layer has nothing to train");
    let mut without = container();
    without.sections.retain(|section| section.id != "proof");
    assert_says(&damage(&without.put_together()), &["section `index`", "12 tensors, found 13"]);
    let cut = container().with("index", |section| section.payload.truncate(100));
    assert_says(&damage(&cut), &["section `index`", "cannot be decoded"]);
}

/// The first record of the small model's index: role, name, dtype, shape, offset, length, digest.
const NAME: usize = 4;
const DTYPE: usize = NAME + 8 + "conv2d/kernel".len();
const RANK: usize = DTYPE + 8 + "float32".len();
const OFFSET: usize = RANK + 8 + 4 * 8;
const LENGTH: usize = OFFSET + 8;
const DIGEST: usize = LENGTH + 8;

fn index_with(at: usize, bytes: &[u8]) -> Vec<u8> {
    container().with("index", |section| {
        assert_eq!(&section.payload[NAME + 8..][..13], b"conv2d/kernel");
        section.payload[at..at + bytes.len()].copy_from_slice(bytes);
    })
}

#[test]
fn f14_records_claim_no_more_than_there_is() {
    for claim in [1 << 20, 1 << 32, 1 << 60, u64::MAX] {
        for at in [NAME, DTYPE, RANK] {
            let words = damage(&index_with(at, &claim.to_le_bytes()));
            assert_says(&words, &["section `index`", "cannot be decoded"]);
        }
    }
    assert_says(&damage(&index_with(0, &9_u32.to_le_bytes())), &["section `index`", "decoded"]);
    assert_says(&damage(&index_with(NAME + 8, b"\xFF")), &["section `index`", "decoded"]);
    assert_says(&damage(&index_with(DTYPE + 8, b"complex")), &["element type", "complex"]);
    assert_says(&damage(&index_with(RANK + 8, &[0xFF; 8])), &["conv2d/kernel", "3×3×1×2"]);
}

#[test]
fn f15_tensors_stand_one_after_the_other() {
    for wrong in [1, 64, u64::MAX] {
        let words = damage(&index_with(OFFSET, &wrong.to_le_bytes()));
        assert_says(&words, &["section `index`", "the offset of a tensor should be 0"]);
        let words = damage(&index_with(LENGTH, &wrong.to_le_bytes()));
        assert_says(&words, &["section `index`", "the length of a tensor should be 72"]);
    }
    assert_says(
        &damage(&index_with(DIGEST, &[0; 32])),
        &["section `tensors`", "conv2d/kernel", "SHA-256"],
    );
    let bad = container().with("tensors", |section| section.payload[80] = 1);
    assert_says(&damage(&bad), &["section `tensors`", "padding"]);
    let bad = container().with("tensors", |section| section.payload[3] ^= 1);
    assert_says(&damage(&bad), &["section `tensors`", "conv2d/kernel", "SHA-256"]);
    let bad = container().with("tensors", |section| section.payload.extend([0; 64]));
    assert_says(&damage(&bad), &["section `tensors`", "goes on for 64 bytes"]);
    let bad = container().with("tensors", |s| s.payload.truncate(s.payload.len() - 64));
    assert_says(&damage(&bad), &["section `tensors`", "cut short"]);
}

#[test]
fn f16_the_other_records() {
    for id in ["optimizer", "training", "proof"] {
        let bad = container().with(id, |section| section.payload.push(0));
        assert_says(&damage(&bad), &[&format!("section `{id}`"), "goes on for 1 bytes"]);
        let bad =
            container().with(id, |section| section.payload.truncate(section.payload.len() - 1));
        assert_says(&damage(&bad), &[&format!("section `{id}`"), "decoded"]);
    }
    let bad = container().with("history", |section| section.payload.push(0));
    assert_says(&damage(&bad), &["section `history`", "decoded"]);
    // Two values of one epoch with one name: `loss` and `val_loss`, the latter cut.
    let bad = container().with("history", |section| {
        let text = [section.payload[..16].to_vec(), section.payload[16..36].repeat(2)].concat();
        section.payload = text;
    });
    assert_says(&damage(&bad), &["section `history`", "two figures", "loss"]);
    // Adam's slots with another name.
    let bad = container().with("optimizer", |section| section.payload[24] = b'M');
    assert_says(&damage(&bad), &["section `optimizer`", "momentum", "Momentum"]);
    let bad = container().replacing("compile", "\"output\": \"dense\"", "\"output\": \"x\"");
    assert_says(&damage(&bad), &["section `compile`", "outputs with a loss"]);
}

#[test]
fn f17_limits() {
    let with = |limits| from_bytes(&bytes(), &limits).map(drop).unwrap_err();
    let limits = Limits::default();
    for (limits, name) in [
        (Limits { memory: 1000, ..limits }, "Limits::memory"),
        (Limits { text: 100, ..limits }, "Limits::text"),
        (Limits { tensors: 5, ..limits }, "Limits::tensors"),
    ] {
        let error = with(limits);
        assert!(!error.is_corrupt());
        assert_says(&error.to_string(), &[name]);
    }
}

#[test]
fn f18_what_does_not_fit_together_is_not_written() {
    let refused = |change: &dyn Fn(&mut Checkpoint<'static>)| {
        let mut checkpoint = small();
        change(&mut checkpoint);
        let error = to_bytes(&checkpoint).unwrap_err();
        assert!(matches!(error, FormatError::Unfit(_)) && !error.is_corrupt());
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model");
        assert!(save(&checkpoint, &path, Format::Directory).is_err() && !path.exists());
        error.to_string()
    };
    let first = |c: &Checkpoint<'static>| c.tensors[0].clone();
    assert_says(&refused(&|c| drop(c.tensors.pop())), &["parameter \"dense/bias\""]);
    assert_says(&refused(&|c| c.tensors.swap(0, 1)), &["conv2d/kernel", "conv2d/bias"]);
    assert_says(&refused(&|c| c.tensors[0].name = "x/y".into()), &["conv2d/kernel", "x/y"]);
    assert_says(&refused(&|c| c.tensors.push(first(c))), &["should be", "conv2d/kernel"]);
    assert_says(
        &refused(&|c| {
            let bytes = c.tensors[0].tensor.bytes().to_vec();
            c.tensors[0].tensor = Tensor::new(DType::F32, [18], bytes).unwrap();
        }),
        &["conv2d/kernel", "3×3×1×2", "18"],
    );
    let slots = |c: &mut Checkpoint<'static>| c.optimizer.as_mut().unwrap().slots.clone();
    assert_says(
        &refused(&|c| drop(c.optimizer.as_mut().unwrap().slots.pop())),
        &["velocity", "momentum"],
    );
    assert_says(
        &refused(&|c| drop(c.optimizer.as_mut().unwrap().slots[1].tensors.pop())),
        &["slot 1", "dense/bias"],
    );
    assert_says(
        &refused(&|c| {
            c.compile = None;
            let twice = [slots(c), slots(c)].concat();
            c.optimizer.as_mut().unwrap().slots = twice;
        }),
        &["two slots", "momentum"],
    );
    assert_says(&refused(&|c| c.compile.as_mut().unwrap().losses.clear()), &["loss"]);
    assert_says(&refused(&|c| c.proof.as_mut().unwrap().samples = 2), &["output", "2×2", "1×2"]);
    assert_says(
        &refused(&|c| {
            let values = &mut c.history.as_mut().unwrap().epochs[0].values;
            values.push(("loss".into(), 1.0));
        }),
        &["two figures", "loss"],
    );
    assert_says(
        &refused(&|c| {
            c.history.as_mut().unwrap().epochs[0].values[0].0 = "x".repeat(70_000);
        }),
        &["an epoch's record", "65536"],
    );
}

#[test]
fn f18_more_dimensions_than_can_be_read_are_not_written() {
    let of_rank = |rank| {
        let graph = Sequential::new(vec![1; rank]).layer(Activation::Relu).graph().unwrap();
        Checkpoint {
            graph,
            tensors: Vec::new(),
            compile: None,
            optimizer: None,
            training: None,
            history: None,
            metadata: Default::default(),
            proof: None,
        }
    };
    assert!(read(&to_bytes(&of_rank(31)).unwrap()).is_ok());
    let error = to_bytes(&of_rank(32)).unwrap_err();
    assert_says(&error.to_string(), &["32 dimensions", "31"]);
}

#[test]
fn a_failing_save_leaves_the_old_model() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.knet");
    save(&small(), &path, Format::File).unwrap();
    let mut unfit = small();
    unfit.tensors.pop();
    assert!(save(&unfit, &path, Format::File).is_err());
    assert!(fs::read(&path).unwrap() == bytes());
    // The directory cannot be written: there is none.
    let error = save(&small(), &home.path().join("none/model.knet"), Format::File).unwrap_err();
    assert!(!error.is_corrupt());
    assert_says(&error.to_string(), &["none/model.knet", "cannot create"]);
}

#[test]
fn errors_name_the_file() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.knet");
    let mut bad = bytes();
    bad[100] ^= 1;
    fs::write(&path, &bad).unwrap();
    let error = load(&path, &Limits::default()).unwrap_err();
    assert!(error.is_corrupt());
    assert_says(&error.to_string(), &["model.knet: ", "section header", "byte 64"]);
    assert!(inspect(&path).unwrap_err().is_corrupt());
    let error = load(&home.path().join("none.knet"), &Limits::default()).unwrap_err();
    assert!(!error.is_corrupt());
    assert_says(&error.to_string(), &["none.knet: cannot look at it"]);
    let error = load(home.path(), &Limits::default()).unwrap_err();
    assert_says(&error.to_string(), &["directory without a `manifest.json`"]);
}
