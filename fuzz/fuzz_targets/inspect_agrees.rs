//! What `inspect` accepts, `load` accepts, with the same names and shapes; what one refuses, the other
//! refuses in the same words. Bytes that start as JSON are tried as a manifest; files of Keras are left
//! out, which `inspect` does not tell of.
#![no_main]

use keepnet::NamedTensor;
use keepnet::format::{Format, Limits, inspect, load};
use keepnet_fuzz::format_support::held::held;
use keepnet_fuzz::{directory_with, file_with};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = match bytes.first() {
        Some(b'{') => directory_with(bytes).to_owned(),
        _ => file_with(bytes),
    };
    if matches!(Format::detect(&path), Ok(Format::Keras | Format::Hdf5)) {
        return;
    }
    let (inspected, loaded) = (inspect(&path), load(&path, &Limits::default()));
    let (inspection, checkpoint) = match (inspected, loaded) {
        (Ok(inspection), Ok(checkpoint)) => (inspection, checkpoint),
        (Err(one), Err(other)) => return assert_eq!(one.to_string(), other.to_string()),
        (one, other) => {
            panic!("inspect: {:?}, load: {:?}", one.map(drop), other.map(drop));
        }
    };
    let told: Vec<_> = (inspection.tensors.iter())
        .map(|tensor| (tensor.role, tensor.name.as_str(), tensor.dtype, tensor.shape.as_slice()))
        .collect();
    let held = held(&checkpoint).into_iter().map(|(role, NamedTensor { name, tensor })| {
        (role, name.as_str(), tensor.dtype().name(), tensor.shape().dims())
    });
    assert_eq!(told, held.collect::<Vec<_>>());
    assert_eq!(inspection.name, checkpoint.graph.name());
    assert_eq!(inspection.layers, checkpoint.graph.layers().len());
    assert_eq!(inspection.metadata, checkpoint.metadata);
    assert_eq!(inspection.history.is_some(), checkpoint.history.is_some());
    assert_eq!(inspection.proof.is_some(), checkpoint.proof.is_some());
    assert_eq!(inspection.optimizer_step, checkpoint.optimizer.map(|state| state.step));
});
