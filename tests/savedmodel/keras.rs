//! What tf-keras saved as a directory: the layers, the weights, and what the optimizer remembers, which
//! tf-keras itself does not load.

use std::fs;
use std::path::Path;

use keepnet::format::Limits;
use keepnet::*;
use serde_json::Value;

use crate::peers::kerases;
use crate::runtime::run;

fn floats(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn models_of_tf_keras_answer_as_there_and_remember_as_much() {
    let Some(python) = kerases() else { return };
    let home = tempfile::tempdir().unwrap();
    run(&python, "make.py", home.path());
    let cases = fs::read_to_string(home.path().join("made.json")).unwrap();
    let cases: Value = serde_json::from_str(&cases).unwrap();
    for case in cases.as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let folder = home.path().join(name);
        let (model, report) =
            Model::load_reported(folder.join("model"), &Limits::default()).unwrap();
        let report = report.unwrap();
        assert_eq!(report.optimizer_steps, case["steps"].as_u64(), "{name}: {:?}", report.notices);
        assert!(report.writer.unwrap().starts_with("Keras 2."), "{name}");

        let shape = model.graph().shape(model.graph().inputs()[0]).clone();
        let inputs = floats(&folder.join("inputs"));
        let samples = Samples::new(inputs.len() / shape.elements(), shape, inputs).unwrap();
        let found: Vec<f32> = model.predict(&samples).unwrap().into_iter().collect();
        let expected = floats(&folder.join("outputs"));
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-5, "{name}: {found} instead of {expected}");
        }

        let state = model.to_checkpoint().optimizer.unwrap();
        let slots = case["slots"].as_object().unwrap();
        assert_eq!(state.slots.len(), slots.len(), "{name}");
        for slot in &state.slots {
            let sum = |named: &NamedTensor<'_>| {
                named.tensor.to_f32().unwrap().into_iter().map(f64::from).sum::<f64>()
            };
            let found: Vec<f64> = slot.tensors.iter().map(sum).collect();
            let expected = slots[&slot.name].as_array().unwrap().iter();
            let expected: Vec<f64> = expected.map(|sum| sum.as_f64().unwrap()).collect();
            assert_eq!(found.len(), expected.len(), "{name}, {}", slot.name);
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-9, "{name}, {}: {found}", slot.name);
            }
        }
    }
}
