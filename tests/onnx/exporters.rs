//! Files of other programs, made on the spot and read, beside what onnxruntime answers to them.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use keepnet::format::Limits;
use keepnet::format::keras::Notice;
use keepnet::*;
use serde_json::Value;

use super::peers::{onnxruntime, python};
use super::reading::larger;
use super::script;

/// The axes of numbers of the file in the order of keepnet's shapes: channels last.
fn channels_last(shape: &[usize], values: &[f32]) -> (Vec<usize>, Vec<f32>) {
    let [batch, channels, sides @ ..] = shape else { panic!("{shape:?}") };
    let cells: usize = sides.iter().product();
    let turned = (0..batch * cells * channels).map(|index| {
        let (channel, cell) = (index % channels, index / channels % cells);
        let sample = index / channels / cells;
        values[(sample * channels + channel) * cells + cell]
    });
    ([&[*batch], sides, &[*channels]].concat(), turned.collect())
}

/// How far the answers of the model that `case` tells of are from the right ones, or why it is refused.
fn compare(folder: &Path, case: &Value) -> Result<f32, String> {
    let path = folder.join(case["model"].as_str().unwrap());
    let (model, report) =
        Model::load_reported(&path, &Limits::default()).map_err(|error| error.to_string())?;
    let turned: Vec<String> = report
        .iter()
        .flat_map(|report| &report.notices)
        .filter_map(|notice| match notice {
            Notice::ChannelsLast { name } => Some(name.clone()),
            _ => None,
        })
        .collect();
    let numbers = |entry: &Value| {
        let bytes = fs::read(folder.join(entry["file"].as_str().unwrap())).unwrap();
        let values: Vec<f32> =
            bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let shape = entry["shape"].as_array().unwrap().iter();
        let shape: Vec<usize> =
            shape.map(|dim| usize::try_from(dim.as_u64().unwrap()).unwrap()).collect();
        let is_told = turned.iter().any(|name| entry["name"] == **name);
        let is_turned = entry["first"].as_bool().unwrap_or(is_told);
        assert_eq!(
            is_told, is_turned,
            "{path:?}: whether channels come first in {}",
            entry["name"]
        );
        match is_turned {
            true => channels_last(&shape, &values),
            false => (shape, values),
        }
    };
    let inputs: Vec<Samples> = case["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let (shape, values) = numbers(entry);
            Samples::new(shape[0], &shape[1..], values).unwrap()
        })
        .collect();
    let answers = model.predict_all(&inputs).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let outputs = case["outputs"].as_array().unwrap();
    assert_eq!(answers.len(), outputs.len(), "{path:?}");
    let mut worst = 0.0_f32;
    for (answer, entry) in answers.iter().zip(outputs) {
        let (shape, values) = numbers(entry);
        assert_eq!(answer.shape(), shape, "{path:?}");
        let off = answer.iter().zip(values).map(|(a, b)| (a - b).abs() / larger(b.abs(), 1.0));
        worst = off.fold(worst, larger);
    }
    Ok(worst)
}

/// Reads every model of a folder that one of the scripts has made.
fn compare_all(folder: &Path) {
    let (mut failed, mut worst) = (Vec::new(), 0.0_f32);
    let (mut count, mut refused) = (0, 0);
    let mut entries: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries.iter().filter(|path| path.extension() == Some(OsStr::new("json"))) {
        let case: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let name = &case["model"];
        count += 1;
        match (compare(folder, &case), case["refused"].as_str()) {
            (Ok(_), Some(words)) => failed.push(format!("{name} is read, not refused: {words}")),
            (Ok(off), None) if off <= 1e-5 => worst = larger(worst, off),
            (Ok(off), None) => failed.push(format!("{name}: off by {off}")),
            (Err(error), Some(words)) if error.contains(words) => refused += 1,
            (Err(_), None) if case["optional"] == true => refused += 1,
            (Err(error), _) => failed.push(format!("{name}: {error}")),
        }
    }
    let read = count - refused - failed.len();
    println!("{count} files: {read} read, within {worst:.1e}, {refused} refused as expected");
    assert!(read > 0 && failed.is_empty(), "{failed:#?}");
}

/// Reads what a script makes.
fn made_by(python: &str, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    assert!(script(python, name).arg(folder.path()).status().unwrap().success(), "{name} failed");
    compare_all(folder.path());
}

/// Small files of each exporter, with what onnxruntime 1.32 answered.
#[test]
fn golden_files_answer_as_in_onnxruntime() {
    compare_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_onnx"));
}

#[test]
fn files_of_both_exporters_of_pytorch_answer_as_in_onnxruntime() {
    let modules = ["torch", "onnx", "onnxscript", "onnxruntime"];
    let Some(python) = python("KEEPNET_TORCH_PYTHON", &modules) else { return };
    made_by(&python, "make_torch.py");
}

#[test]
fn files_of_keras_and_tf2onnx_answer_as_in_onnxruntime() {
    let modules = ["keras", "tensorflow", "tf2onnx", "onnxruntime"];
    let Some(python) = python("KEEPNET_KERAS_PYTHON", &modules) else { return };
    made_by(&python, "make_keras.py");
}

#[test]
fn models_of_the_package_onnx_answer_as_they_should() {
    let Some(python) = onnxruntime() else { return };
    made_by(&python, "make_package.py");
}

#[test]
fn operators_are_read_or_refused_by_name() {
    let Some(python) = onnxruntime() else { return };
    made_by(&python, "make_operators.py");
}
