//! Any model at all comes back bit for bit, from the file form, from the directory form, and by way of
//! one into the other; and the same model gives the same bytes.
#![no_main]

use std::fs;

use keepnet::format::{Format, Limits, load, pack, save};
use keepnet_fuzz::format_support::assert_same_bits;
use keepnet_fuzz::{assert_kept, checkpoint, scratch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(checkpoint) = checkpoint(bytes) else { return };
    let file = assert_kept(&checkpoint);
    let (directory, packed) = (scratch().join("written"), scratch().join("packed.knet"));
    save(&checkpoint, &directory, Format::Directory).expect("what fits a file fits a directory");
    let again = load(&directory, &Limits::default()).expect("what was written can be read");
    assert_same_bits(&checkpoint, &again);
    pack(&directory, &packed).expect("what was read can be written");
    assert!(fs::read(&packed).expect("just written") == file);
});
