//! Keras: any bytes are read as a `.keras` archive or an `.h5` file, or refused. What is read within
//! narrow limits runs, and comes back from what is written in both forms.
#![no_main]

use keepnet::Model;
use keepnet::format::keras::diagnose;
use keepnet_fuzz::{NARROW, assert_kept_for_keras, file_with};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if !(bytes.starts_with(b"PK") || bytes.starts_with(b"\x89HDF")) {
        return;
    }
    let path = file_with(bytes);
    let diagnosis = diagnose(&path, &NARROW);
    let Ok((mut model, report)) = Model::load_reported(&path, &NARROW) else { return };
    diagnosis.expect("what is read has a diagnosis");
    assert!(report.is_some());
    model.forget_passed_over();
    assert_kept_for_keras(&model);
});
