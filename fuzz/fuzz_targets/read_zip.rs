//! ZIP: the members of an archive of any bytes are read or refused; what is read comes back from what is
//! written.
#![no_main]

use keepnet::bytes::Budget;
use keepnet::wire::zip::{Archive, write};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 3] = ["config.json", "metadata.json", "model.weights.h5"];

fuzz_target!(|bytes: &[u8]| {
    let Ok(archive) = Archive::read(bytes) else { return };
    let budget = &mut Budget::new(32 << 20);
    let found = NAMES.map(|name| archive.get(name, budget).ok().flatten());
    let members = NAMES.iter().zip(&found);
    let pieces: Vec<(&str, [&[u8]; 1])> =
        members.filter_map(|(name, content)| Some((*name, [content.as_deref()?]))).collect();
    let members: Vec<(&str, &[&[u8]])> =
        pieces.iter().map(|(name, pieces)| (*name, pieces.as_slice())).collect();
    let mut written = Vec::new();
    write(&members, &mut written).expect("what was read can be written");
    let again = Archive::read(&written).expect("what was written can be read");
    for (name, content) in NAMES.iter().zip(found) {
        assert_eq!(again.get(name, &mut Budget::new(0)), Ok(content));
    }
});
