//! What keepnet writes, and what onnx and onnxruntime make of it.

use std::fs;
use std::path::Path;

use keepnet::format::{Format, save};
use keepnet::*;
use serde_json::{Value, json};

use super::networks::filled;
use super::peers::onnxruntime;
use super::{SAMPLES, inputs, layers, numbers, script};

/// Puts the file, what it is fed with and what keepnet answers into `folder`.
fn write(folder: &Path, name: &str, graph: Graph) -> Value {
    let model = filled(graph);
    let graph = model.graph();
    let path = folder.join(format!("{name}.onnx"));
    save(&model.to_checkpoint(), &path, Format::Onnx).unwrap_or_else(|error| panic!("{error}"));
    let put = |file: String, values: Vec<f32>| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(folder.join(&file), bytes).unwrap();
        file
    };
    let fed = graph.inputs().iter().enumerate().map(|(number, &node)| {
        let shape = graph.shape(node).batched(SAMPLES);
        let file = put(format!("{name}.in{number}"), numbers(number, shape.iter().product()));
        json!({"name": graph.layer_of(node).name, "shape": shape, "file": file})
    });
    let fed: Vec<Value> = fed.collect();
    let answers = model.predict_all(&inputs(graph)).unwrap();
    let given =
        graph.outputs().iter().zip(answers).enumerate().map(|(number, (output, answer))| {
            let shape = answer.shape().to_vec();
            let file = put(format!("{name}.out{number}"), answer.into_raw_vec_and_offset().0);
            json!({"name": output.name, "shape": shape, "file": file})
        });
    let given: Vec<Value> = given.collect();
    json!({"model": format!("{name}.onnx"), "inputs": fed, "outputs": given})
}

#[test]
fn onnxruntime_answers_as_keepnet() {
    let Some(python) = onnxruntime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cases: Vec<Value> = layers::whole()
        .into_iter()
        .chain(layers::single())
        .map(|(name, graph)| write(folder.path(), &name, graph))
        .collect();
    fs::write(folder.path().join("cases.json"), Value::from(cases).to_string()).unwrap();
    let status = script(&python, "check.py").arg(folder.path()).status().unwrap();
    assert!(status.success(), "see above");
}
