//! HDF5: any bytes are read or refused; what is read comes back from what is written.
#![no_main]

use keepnet::bytes::Budget;
use keepnet::wire::hdf5::{read, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(tree) = read(bytes, &mut Budget::new(32 << 20)) else { return };
    // Types that are not read, texts with zeros in them and large attributes are not written.
    let Ok(written) = write(&tree) else { return };
    let written = written.concat();
    let again = read(&written, &mut Budget::new(128 << 20)).expect("what was written can be read");
    assert_eq!(tree, again);
});
