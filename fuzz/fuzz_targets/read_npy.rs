//! npy: any bytes are read or refused; what is read comes back from what is written.
#![no_main]

use keepnet::wire::npy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = npy::read(bytes) {
        let mut written = Vec::new();
        npy::write(&array.view(), &mut written).expect("what was read can be written");
        let again = npy::read(&written).expect("what was written can be read");
        assert_eq!(array.shape(), again.shape());
        assert!(array.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
});
