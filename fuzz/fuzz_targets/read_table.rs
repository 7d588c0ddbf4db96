//! The tables of TensorFlow, and the bundles that they are the index of: any bytes are read or refused;
//! what is read comes back from what is written.
#![no_main]

use std::collections::BTreeMap;

use keepnet::bytes::Budget;
use keepnet::wire::tensorflow::{Index, read_table, write_table};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let budget = &mut Budget::new(32 << 20);
    let Ok(entries) = read_table(bytes, budget) else { return };
    let entries: BTreeMap<_, _> =
        entries.into_iter().map(|(key, value)| (key, value.to_vec())).collect();
    let written = write_table(&entries);
    let again = read_table(&written, &mut Budget::new(64 << 20)).expect("it was just written");
    assert!(
        again
            .iter()
            .map(|(key, value)| (key, *value))
            .eq(entries.iter().map(|(key, value)| (key, value.as_slice())))
    );
    let Ok(index) = Index::read(bytes, budget) else { return };
    let shards = index.shards.min(4);
    let Ok(bundle) = index.with_shards(vec![bytes.to_vec(); shards as usize]) else { return };
    for key in bundle.entries().keys() {
        let _ = (bundle.tensor(key), bundle.text(key));
    }
});
