//! A model that loads within narrow limits can be run and saved again.
#![no_main]

use keepnet::format::Limits;
use keepnet::model::NodeId;
use keepnet::{Model, Samples, SaveOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits =
        Limits { memory: 16 << 20, tables: 1 << 20, activations: 1 << 20, ..Limits::default() };
    let Ok(mut model) = Model::from_bytes_with(bytes, &limits) else { return };
    let graph = model.graph();
    let zeros = |&node: &NodeId| {
        let shape = graph.shape(node).clone();
        let values = vec![0.0_f32; shape.elements()];
        Samples::new(1, shape, values).expect("as many as the shape says")
    };
    let inputs: Vec<Samples> = graph.inputs().iter().map(zeros).collect();
    let outputs = model.predict_all(&inputs).expect("the inputs fit");
    assert_eq!(outputs.len(), graph.outputs().len());
    model.forget_passed_over();
    let saved = model.to_bytes(SaveOptions::default()).expect("what was loaded can be saved");
    Model::from_bytes(&saved).expect("what was saved can be loaded");
});
