//! The programs that the forms are of, each asked once for what it answers to all files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use keepnet::Graph;
use serde_json::{Value, json};

use super::peers::{kerases, onnxruntime, pytorch};
use super::{View, apart, inputs};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    Keras,
    TfKeras,
    TensorFlow,
    PyTorch,
    OnnxRuntime,
}

impl Program {
    const ALL: [Self; 5] =
        [Self::Keras, Self::TfKeras, Self::TensorFlow, Self::PyTorch, Self::OnnxRuntime];

    /// As `answers.py` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Keras => "keras",
            Self::TfKeras => "tf_keras",
            Self::TensorFlow => "tensorflow",
            Self::PyTorch => "torch",
            Self::OnnxRuntime => "onnxruntime",
        }
    }

    fn python(self) -> Option<String> {
        match self {
            Self::Keras | Self::TfKeras | Self::TensorFlow => kerases(),
            Self::PyTorch => pytorch(),
            Self::OnnxRuntime => onnxruntime(),
        }
    }
}

/// A model in the form number `to`, made from that in the form number `from`.
pub(crate) struct Case {
    pub(crate) view: View,
    pub(crate) program: Program,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// The files that programs are asked for, in a folder.
pub(crate) struct Runtimes<'a> {
    home: &'a Path,
    folders: usize,
    pythons: BTreeMap<Program, String>,
    /// With the folder of its file, what `answers.py` is told of it, and keepnet's answers.
    cases: Vec<(Case, PathBuf, Value, Vec<f32>)>,
}

impl<'a> Runtimes<'a> {
    pub(crate) fn new(home: &'a Path) -> Self {
        let pythons = Program::ALL.into_iter().filter_map(|it| Some((it, it.python()?))).collect();
        Self { home, folders: 0, pythons, cases: Vec::new() }
    }

    /// Whether a program is there and takes what a network has become. tf-keras has no `hard_silu`; a module
    /// of PyTorch takes weights by their names, some of which other forms change.
    pub(crate) fn runs(&self, program: Program, network: &Graph, made: &Graph) -> bool {
        let is_taken = match program {
            Program::TfKeras => network.name() != "depthwise",
            Program::PyTorch => names(network) == names(made),
            _ => true,
        };
        self.pythons.contains_key(&program) && is_taken
    }

    /// A new folder.
    pub(crate) fn folder(&mut self) -> PathBuf {
        self.folders += 1;
        let folder = self.home.join(self.folders.to_string());
        fs::create_dir(&folder).unwrap();
        folder
    }

    /// Asks for the answers to a model in a folder of its own, which are to be `right`.
    pub(crate) fn add(&mut self, case: Case, graph: &Graph, path: &Path, right: &[f32]) {
        let x = inputs(graph).to_array();
        let bytes: Vec<u8> = x.iter().flat_map(|value| value.to_le_bytes()).collect();
        let folder = path.parent().unwrap().to_path_buf();
        fs::write(folder.join("input"), bytes).unwrap();
        let told = json!({
            "model": path, "network": graph.name(), "input": folder.join("input"),
            "shape": x.shape(), "answers": folder.join("answers"),
        });
        self.cases.push((case, folder, told, right.to_vec()));
    }

    /// What each program answers: how far that is from what is right.
    pub(crate) fn ask(self) -> Vec<(Case, f32)> {
        for (program, python) in &self.pythons {
            let told: Vec<&Value> = (self.cases.iter())
                .filter(|(case, ..)| case.program == *program)
                .map(|(_, _, told, _)| told)
                .collect();
            let cases = self.home.join("cases.json");
            fs::write(&cases, json!(told).to_string()).unwrap();
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversions/answers.py");
            let mut command = Command::new(python);
            command.arg("-B").arg(script).arg(program.name()).arg(cases);
            assert!(command.status().unwrap().success(), "{program:?} failed, see above");
        }
        let apart = |(case, folder, _, right): (Case, PathBuf, _, Vec<f32>)| {
            let bytes = fs::read(folder.join("answers")).unwrap();
            let values = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            (case, apart(&right, &values.collect::<Vec<_>>()))
        };
        self.cases.into_iter().map(apart).collect()
    }
}

fn names(graph: &Graph) -> BTreeSet<String> {
    graph.parameters().iter().map(|parameter| graph.tensor_name(parameter)).collect()
}
