//! SavedModels in which nothing describes the layers, read by their operations: they answer as in
//! TensorFlow.

use std::fs;
use std::path::Path;

use keepnet::format::keras::Notice;
use keepnet::format::{Format, Limits, save};
use keepnet::*;
use serde_json::Value;

use crate::networks::networks;
use crate::peers::kerases;
use crate::runtime::{arguments, model, numbers as given, run};

/// The shape of some samples, and their numbers.
fn numbers(folder: &Path, entry: &Value) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(folder.join(entry["file"].as_str().unwrap())).unwrap();
    let shape = entry["shape"].as_array().unwrap().iter();
    let shape = shape.map(|dim| usize::try_from(dim.as_u64().unwrap()).unwrap()).collect();
    (shape, bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// The larger one; NaN wins.
fn larger(a: f32, b: f32) -> f32 {
    if a >= b || a.is_nan() { a } else { b }
}

fn apart(found: f32, expected: f32) -> f32 {
    (found - expected).abs() / larger(expected.abs(), 1.0)
}

/// How far what keepnet answers is from what TensorFlow did, relative to numbers above 1.
fn off(folder: &Path, case: &Value) -> Result<f32, String> {
    let path = folder.join(case["name"].as_str().unwrap());
    let (model, report) =
        Model::load_reported(&path, &Limits::default()).map_err(|error| error.to_string())?;
    assert!(report.unwrap().writer.unwrap().starts_with("TensorFlow 2."));
    let inputs = case["inputs"].as_array().unwrap().iter().map(|entry| {
        let (shape, values) = numbers(folder, entry);
        Samples::new(shape[0], &shape[1..], values).unwrap()
    });
    let answers = model.predict_all(&inputs.collect::<Vec<_>>()).map_err(|it| it.to_string())?;
    let mut off = 0.0_f32;
    let expected = case["outputs"].as_array().unwrap();
    assert_eq!(answers.len(), expected.len());
    for (answer, entry) in answers.iter().zip(expected) {
        let (shape, values) = numbers(folder, entry);
        if *answer.shape() != shape[..] {
            return Err(format!("{:?} instead of {shape:?}", answer.shape()));
        }
        let pairs = answer.iter().copied().zip(values);
        off = pairs.fold(off, |most, (found, expected)| larger(most, apart(found, expected)));
    }
    Ok(off)
}

#[test]
fn graphs_without_layers_answer_as_in_tensorflow() {
    let Some(python) = kerases() else { return };
    let home = tempfile::tempdir().unwrap();
    run(&python, "make_graphs.py", home.path());
    let cases = fs::read_to_string(home.path().join("made.json")).unwrap();
    let cases: Value = serde_json::from_str(&cases).unwrap();
    let mut failed = Vec::new();
    for case in cases.as_array().unwrap() {
        match off(home.path(), case) {
            Ok(off) if off <= 1e-5 => println!("{}: at most {off} apart", case["name"]),
            Ok(off) => failed.push(format!("{}: {off} apart", case["name"])),
            Err(error) => failed.push(format!("{}: {error}", case["name"])),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    let groups = Model::load(home.path().join("keras-groups")).unwrap();
    let is_grouped = |layer: &&Layer| matches!(layer.spec, LayerSpec::GroupNormalization(_));
    assert_eq!(groups.graph().layers().iter().filter(is_grouped).count(), 4);
    let (_, report) = Model::load_reported(home.path().join("half"), &Limits::default()).unwrap();
    // What goes in, and the weights.
    let told = ["mixed_1", "first", "last"].map(|layer| {
        let value = layer.to_owned();
        Notice::Unrounded { value, to: "float16" }
    });
    let mut notices = report.unwrap().notices;
    notices.sort_by_key(|notice| told.iter().position(|told| told == notice));
    assert_eq!(notices, told);
    let error = Model::load(home.path().join("unknown")).unwrap_err();
    assert!(error.to_string().contains("no layer for Cumsum (×2), Sin (×1);"), "{error}");
}

/// The places of names in the order of a signature.
fn sorted<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<usize> {
    let names = arguments(names);
    let mut places: Vec<usize> = (0..names.len()).collect();
    places.sort_by_key(|&place| &names[place]);
    places
}

#[test]
fn what_keepnet_writes_it_reads_by_the_operations_alone() {
    let home = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    for graph in networks() {
        let (name, model) = (graph.name(), model(&graph, 7));
        let path = home.path().join(name);
        save(&model.to_checkpoint(), &path, Format::SavedModel).unwrap();
        fs::remove_dir_all(path.join("assets.extra")).unwrap();
        let again = match Model::load(&path) {
            Ok(again) => again,
            Err(error) => {
                failed.push(format!("{name}: {error}"));
                continue;
            }
        };
        let inputs = graph.inputs().iter().map(|&input| {
            let shape = graph.shape(input);
            Samples::new(3, shape.clone(), given(3 * shape.elements(), 5)).unwrap()
        });
        let inputs: Vec<_> = inputs.collect();
        let expected = model.predict_all(&inputs).unwrap();
        let names = graph.inputs().iter().map(|&input| graph.layer_of(input).name.as_str());
        let inputs: Vec<_> = sorted(names).into_iter().map(|it| inputs[it].clone()).collect();
        match again.predict_all(&inputs) {
            Ok(found) => {
                let outputs = sorted(graph.outputs().iter().map(|output| output.name.as_str()));
                let expected = outputs.into_iter().flat_map(|place| expected[place].iter());
                let pairs = found.iter().flatten().zip(expected);
                let off = pairs.fold(0.0, |most, (a, b)| larger(most, apart(*a, *b)));
                if off > 1e-5 || found.len() != graph.outputs().len() {
                    failed.push(format!("{name}: {off} apart"));
                }
            }
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
