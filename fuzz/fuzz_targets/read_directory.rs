//! The directory form: any manifest beside the files of a small model is read or refused, and what is
//! read can be written and read again.
#![no_main]

use keepnet::format::{Limits, load};
use keepnet_fuzz::{assert_kept, directory_with};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|manifest: &[u8]| {
    let limits = Limits { memory: 64 << 20, ..Limits::default() };
    if let Ok(checkpoint) = load(directory_with(manifest), &limits) {
        assert_kept(&checkpoint);
    }
});
