//! safetensors: any bytes are read or refused; what is read comes back from what is written. What is a model
//! within narrow limits comes back in every bit in either layout; what is weights for a small network, in
//! every bit too.
#![no_main]

use keepnet::Checkpoint;
use keepnet::bytes::Budget;
use keepnet::format::safetensors::Layout;
use keepnet::format::{Format, Limits, load, load_weights, save_reported};
use keepnet::wire::safetensors::read;
use keepnet_fuzz::format_support::{assert_same_bits, small};
use keepnet_fuzz::{NARROW, file_with, scratch};
use libfuzzer_sys::fuzz_target;

const LAYOUTS: [Layout; 2] = [Layout::Keras, Layout::Torch];

fn saved(checkpoint: &Checkpoint<'_>, layout: Layout) -> Option<Checkpoint<'static>> {
    let path = scratch().join("again.safetensors");
    // Not every network has a layout in PyTorch.
    save_reported(checkpoint, &path, Format::Safetensors, layout).ok()?;
    Some(load(&path, &Limits::default()).expect("what was written can be read"))
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = read(bytes, &mut Budget::new(32 << 20)) else { return };
    let written = file.to_pieces().expect("what was read can be written").concat();
    let again = read(&written, &mut Budget::new(64 << 20)).expect("what was written can be read");
    assert_eq!(file, again);
    let path = file_with(bytes);
    if let Ok(mut checkpoint) = load(&path, &NARROW) {
        checkpoint.passed_over.clear();
        let again = LAYOUTS.map(|layout| saved(&checkpoint, layout));
        again.iter().flatten().for_each(|again| assert_same_bits(&checkpoint, again));
    }
    let bare = Checkpoint::new(small().graph, Vec::new());
    if let Ok((weights, _)) = load_weights(&bare, &path, &NARROW) {
        for again in LAYOUTS.map(|layout| saved(&weights, layout)) {
            assert_same_bits(&weights, &again.expect("small has both layouts"));
        }
    }
});
