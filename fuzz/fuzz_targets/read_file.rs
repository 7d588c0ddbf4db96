//! The file form: any bytes are read or refused, and what is read can be written and read again.
#![no_main]

use keepnet::format::{Limits, from_bytes};
use keepnet_fuzz::assert_kept;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { memory: 64 << 20, ..Limits::default() };
    if let Ok(checkpoint) = from_bytes(bytes, &limits) {
        assert_kept(&checkpoint);
    }
});
