//! SavedModels: any file in the place of one of keepnet's or of tf-keras' is read or refused; what is read
//! within narrow limits comes back from what is written. The first byte chooses the file.
#![no_main]

use keepnet::Model;
use keepnet::format::{Format, Limits, load, save};
use keepnet_fuzz::format_support::assert_same_bits;
use keepnet_fuzz::{NARROW, savedmodel_with, scratch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&which, content)) = bytes.split_first() else { return };
    let path = savedmodel_with(which, content);
    let Ok((mut model, report)) = Model::load_reported(path, &NARROW) else { return };
    assert!(report.is_some());
    model.forget_passed_over();
    let again = scratch().join("again");
    save(&model.to_checkpoint(), &again, Format::SavedModel).expect("TensorFlow has all layers");
    let found = load(&again, &Limits::default()).expect("what was written can be read");
    assert_same_bits(&model.to_checkpoint(), &found);
});
