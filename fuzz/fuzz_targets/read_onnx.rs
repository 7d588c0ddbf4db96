//! ONNX: any bytes are read as a file, or refused. What is read within narrow limits runs, and comes back
//! from what is written.
#![no_main]

use keepnet::Model;
use keepnet::format::{Format, Limits, load, save};
use keepnet_fuzz::format_support::assert_same_bits;
use keepnet_fuzz::{NARROW, file_with, scratch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // What begins otherwise is taken for no file of ONNX.
    if !bytes.starts_with(&[8]) {
        return;
    }
    let path = file_with(bytes);
    let Ok((mut model, _)) = Model::load_reported(&path, &NARROW) else { return };
    model.forget_passed_over();
    let checkpoint = model.to_checkpoint();
    let path = scratch().join("again.onnx");
    if save(&checkpoint, &path, Format::Onnx).is_ok() {
        let again = load(&path, &Limits::default()).expect("what was written can be read");
        assert_same_bits(&checkpoint, &again);
    }
});
