//! What keepnet writes, in TensorFlow: each way of loading gives keepnet's predictions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use keepnet::format::{Format, save};
use keepnet::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::format_support::graphs;
use crate::layers::{WORDS, graphs as more};
use crate::networks::networks;
use crate::peers::kerases;

/// Runs a script of this folder.
pub(crate) fn run(python: &str, script: &str, folder: &Path) {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/savedmodel");
    let mut command = Command::new(python);
    command.arg("-B").arg(home.join(script)).arg(folder);
    assert!(command.status().unwrap().success(), "{script} failed");
}

/// Numbers between −1 and 1, always the same.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

/// Names as keepnet gives them to TensorFlow, in this order.
pub(crate) fn arguments<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let argument = |name: &str| {
        let lower = name.to_ascii_lowercase();
        let plain = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
        let plain: String = plain.collect();
        let starts = plain.starts_with(|c: char| c.is_ascii_lowercase());
        let plain = if starts { plain } else { format!("argument_{plain}") };
        let numbered = (1..).map(|number| format!("{plain}_{number}"));
        let mut free = std::iter::once(plain.clone()).chain(numbered);
        free.find(|name| taken.insert(name.clone())).unwrap()
    };
    names.into_iter().map(argument).collect()
}

/// The same of inputs, which are given by name in Python.
fn parameters<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let names: Vec<_> = names
        .into_iter()
        .map(|name| match WORDS.contains(&&*name.to_lowercase()) {
            true => format!("{name}_"),
            false => name.to_owned(),
        })
        .collect();
    arguments(names.iter().map(String::as_str))
}

/// A model with parameters that are not those it starts with, as moving averages.
pub(crate) fn model(graph: &Graph, seed: u64) -> Model {
    let mut model = Model::new(graph.clone(), seed);
    for (number, parameter) in graph.parameters().iter().enumerate() {
        if parameter.shape.rank() > 1 && parameter.learned {
            continue;
        }
        let values = numbers(parameter.shape.elements(), seed + number as u64);
        let is_positive = ["moving_variance", "variance", "gamma"].contains(&parameter.name);
        let name = graph.tensor_name(parameter);
        for (place, value) in model.parameter_mut(&name).unwrap().iter_mut().zip(values) {
            *place = if is_positive { 1.0 + 0.5 * value } else { 0.2 * value };
        }
    }
    model
}

/// Saves a model, what it is given and what it gives.
fn case(home: &Path, name: &str, graph: &Graph, samples: usize, tolerance: f64) -> Value {
    let folder = home.join(name);
    fs::create_dir_all(&folder).unwrap();
    let model = model(graph, 7);
    save(&model.to_checkpoint(), &folder.join("model"), Format::SavedModel).unwrap();
    let write = |name: String, values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(folder.join(&name), bytes).unwrap();
        name
    };
    let names = graph.inputs().iter().map(|&input| graph.layer_of(input).name.as_str());
    let (mut inputs, mut given) = (Vec::new(), Vec::new());
    for (number, (name, &input)) in parameters(names).into_iter().zip(graph.inputs()).enumerate() {
        let shape = graph.shape(input);
        let values = numbers(samples * shape.elements(), number as u64);
        let file = write(format!("input-{number}"), &values);
        inputs.push(json!({"name": name, "file": file, "shape": shape.batched(samples)}));
        given.push(Samples::new(samples, shape.clone(), values).unwrap());
    }
    let names = arguments(graph.outputs().iter().map(|output| output.name.as_str()));
    let results = model.predict_all(&given).unwrap();
    let outputs: Vec<_> = (names.into_iter().zip(results).enumerate())
        .map(|(number, (name, result))| {
            let values: Vec<f32> = result.iter().copied().collect();
            let file = write(format!("output-{number}"), &values);
            json!({"name": name, "file": file, "shape": result.shape()})
        })
        .collect();
    let parameters = graph.parameters().iter();
    let trained = parameters.clone().filter(|parameter| graph.is_trained(parameter)).count();
    json!({
        "name": name, "inputs": inputs, "outputs": outputs, "tolerance": tolerance,
        "variables": parameters.count(), "trained": trained,
    })
}

fn check(home: &Path, python: &str, ways: &str, cases: &[Value]) {
    fs::write(home.join("cases.json"), json!({"ways": ways, "cases": cases}).to_string()).unwrap();
    run(python, "check.py", home);
}

#[test]
fn tensorflow_gives_our_predictions_whichever_way_it_loads() {
    let Some(python) = kerases() else { return };
    let home = tempfile::tempdir().unwrap();
    let case = |graph: &Graph| case(home.path(), graph.name(), graph, 5, 1e-6);
    let cases: Vec<_> = networks().iter().chain(&more()).map(case).collect();
    check(home.path(), &python, "all", &cases);
}

/// Any graph of any layers with any settings. Some of these make large numbers of small ones.
#[test]
fn tensorflow_has_operations_for_every_layer() {
    let Some(python) = kerases() else { return };
    let home = tempfile::tempdir().unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut cases = Vec::new();
    for number in 0..400 {
        let graph = graphs().new_tree(&mut runner).unwrap().current();
        // Where numbers are infinite, what is computed of them depends on the order.
        let overflows = |layer: &Layer| match &layer.spec {
            LayerSpec::Rescaling(rescaling) => (rescaling.scale as f32).is_infinite(),
            _ => false,
        };
        if graph.layers().iter().any(overflows) {
            continue;
        }
        cases.push(case(home.path(), &number.to_string(), &graph, 3, 1e-4));
    }
    check(home.path(), &python, "signature", &cases);
}
