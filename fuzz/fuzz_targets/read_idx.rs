//! IDX, plain and packed: any bytes are read or refused; what is read is written as it was.
#![no_main]

use keepnet::wire::idx::Idx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(idx) = Idx::read(bytes, bytes.len() as u64, 64 << 20) {
        let mut written = Vec::new();
        idx.write(&mut written).expect("what was read can be written");
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            assert!(bytes == written);
        }
        let again = Idx::read(written.as_slice(), written.len() as u64, 64 << 20);
        let again = again.expect("what was written can be read");
        // Compared as bytes, since a NaN equals nothing.
        let mut twice = Vec::new();
        again.write(&mut twice).expect("what was read can be written");
        assert!(written == twice);
    }
});
