//! Damaged files are refused, each with its own words, and never with a panic. The single rules have
//! their tests in `format_musts`.

mod format_support;

use std::fs;

use format_support::container::Container;
use format_support::refusal::{assert_says, bytes, container, damage, read};
use format_support::{checkpoints, small};
use keepnet::format::*;
use proptest::prelude::*;
use proptest::sample::Index;

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
fn a_failing_save_leaves_the_old_model() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.knet");
    save(&small(), &path, Format::File).unwrap();
    let mut unfit = small();
    unfit.tensors.pop();
    assert!(save(&unfit, &path, Format::File).is_err());
    assert!(fs::read(&path).unwrap() == bytes());
    // There is no such folder.
    let error = save(&small(), &home.path().join("none/model.knet"), Format::File).unwrap_err();
    assert!(!error.is_corrupt());
    assert_says(&error.to_string(), &["none/model.knet", "does not exist; create it first"]);
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
