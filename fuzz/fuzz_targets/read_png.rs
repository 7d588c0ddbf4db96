//! PNG: any bytes are read or refused, within the memory allowed.
#![no_main]

use keepnet::wire::png::read_png;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_png(bytes, 16 << 20);
});
