//! PNG: any bytes are read or refused, within the memory allowed; what is read comes back from what
//! is written.
#![no_main]

use keepnet::wire::png::{read_png, write_png};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = read_png(bytes, 1 << 20) {
        let again = read_png(&write_png(&image), 16 << 20).expect("what was written can be read");
        assert_eq!([image.height(), image.width()], [again.height(), again.width()]);
        assert_eq!(image.channels(), again.channels());
        assert!(image.pixels() == again.pixels());
    }
});
