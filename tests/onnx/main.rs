//! keepnet beside onnx, onnxruntime and the programs that write ONNX files.
//!
//! The tests that need these run where the environment variable `KEEPNET_ONNX_PYTHON` names a Python with
//! onnx and onnxruntime, those of exporters where `KEEPNET_TORCH_PYTHON` names one with PyTorch and
//! `KEEPNET_KERAS_PYTHON` one with Keras and tf2onnx; without them they say so and pass.

mod exporters;
#[path = "../format_support/mod.rs"]
mod format_support;
mod keeping;
mod layers;
#[path = "../networks/mod.rs"]
mod networks;
#[path = "../peers/mod.rs"]
mod peers;
mod reading;
mod writing;

use std::path::{Path, PathBuf};
use std::process::Command;

use keepnet::*;

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx")
}

/// A script of `tests/onnx`.
fn script(python: &str, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg("-B").arg(home().join(name));
    command
}

/// How many samples networks are fed with.
const SAMPLES: usize = 3;

/// Numbers between −2 and 2 for an input.
fn numbers(input: usize, count: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7919 + input * 31) % 1009) as f32 / 252.0 - 2.0).collect()
}

/// Samples for each input.
fn inputs(graph: &Graph) -> Vec<Samples> {
    let samples = |(number, &node): (usize, &NodeId)| {
        let shape = graph.shape(node).clone();
        let values = numbers(number, SAMPLES * shape.elements());
        Samples::new(SAMPLES, shape, values).unwrap()
    };
    graph.inputs().iter().enumerate().map(samples).collect()
}
