//! A folder to run the program in, and the models that stand in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keepnet::model::{BatchNormalization, GraphBuilder, Merge};
use keepnet::wire::npy;
use keepnet::{
    Activation, Dataset, Dense, FitOptions, LayerSpec, Loss, Model, Optimizer, Samples, Sequential,
    Shape,
};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Place {
    dir: TempDir,
}

/// How a run of the program went.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// With `digits.knet` in it.
    pub(crate) fn with_digits() -> (Self, Model) {
        let (place, model) = (Self::new(), digits());
        model.save(place.path("digits.knet")).unwrap();
        (place, model)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn write_npy(&self, name: &str, samples: &Samples) {
        let mut bytes = Vec::new();
        npy::write(&samples.to_array().view(), &mut bytes).unwrap();
        self.write(name, bytes);
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keepnet"));
        command.current_dir(self.dir.path()).args(arguments);
        command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm").env_remove("RAYON_NUM_THREADS");
        command
    }

    /// Runs `keepnet` with those arguments, in the folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::from(self.command(arguments).output().unwrap())
    }

    /// Runs what must succeed, and gives what it printed.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{arguments:?}");
        run.stdout
    }

    /// What a run with `--json` printed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(run.status, 0, "{}", run.stderr);
        run.json()
    }

    /// Runs what must fail in one line with that status; gives the line.
    pub(crate) fn fails(&self, status: i32, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(
            (run.status, run.stdout.as_str()),
            (status, ""),
            "{arguments:?}: {}",
            run.stderr
        );
        let mut lines = run.stderr.lines().filter(|line| !line.starts_with("note:"));
        let error = lines.next().unwrap();
        assert!(error.starts_with("error: "), "{}", run.stderr);
        assert!(lines.all(|line| line.starts_with("hint: ")), "{}", run.stderr);
        error.to_owned()
    }
}

impl From<Output> for Run {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        Self {
            status: status.code().expect("no signal ends it"),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}

impl Run {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// A trained model of 28×28 images.
pub(crate) fn digits() -> Model {
    let mut model = Sequential::new(Shape::image(28, 28, 1))
        .name("digits")
        .conv2d(4, 3, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(10, Activation::Softmax)
        .build(42)
        .unwrap();
    model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy).unwrap();
    model.metadata.insert("author".to_owned(), "Ada".to_owned());
    let labels: Vec<u32> = (0..20).map(|sample| sample % 10).collect();
    let data = Dataset::new(images(20), labels).unwrap();
    model.fit(&data, &FitOptions { batch_size: 8, ..FitOptions::default() }).unwrap();
    model
}

/// Images of 28×28 with a pattern of period 251, so that swapped rows show.
pub(crate) fn images(count: usize) -> Samples {
    let values: Vec<f32> = (0..count * 784).map(|i| (i % 251) as f32 / 250.0).collect();
    Samples::new(count, Shape::image(28, 28, 1), values).unwrap()
}

/// A model with inputs `left` and `right` of 2×2×3, outputs `class` of 4 and `map` of 2×2×3; not
/// compiled.
pub(crate) fn pair() -> Model {
    let mut builder = GraphBuilder::new();
    let left = builder.input("left", [2, 2, 3]);
    let right = builder.input("right", [2, 2, 3]);
    let sum = builder.named("sum", Merge::Add, &[left, right]);
    let norm = builder.named("norm", BatchNormalization::default(), &[sum]);
    let flat = builder.named("flat", LayerSpec::Flatten, &[norm]);
    let head = Dense { activation: Activation::Softmax, ..Dense::new(4) };
    let head = builder.named("head", head, &[flat]);
    builder.output("class", head);
    builder.output("map", norm);
    Model::new(builder.build("pair").unwrap(), 7)
}

/// Every file under `dir`, with its bytes.
pub(crate) fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push((path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
