//! keepnet beside Keras 3 and tf-keras: every model of the matrix answers as Keras does, both take what
//! keepnet saves of it, and training goes on as in Keras.
//!
//! It runs where the environment variable `KEEPNET_KERAS_PYTHON` names a Python with both; without it the
//! tests say so and pass. What Keras makes is kept in `target/keras-matrix` and `target/keras-train`,
//! until the scripts that make it change.

#[path = "../keras_support/mod.rs"]
mod keras_support;
#[path = "../peers/mod.rs"]
mod peers;
mod reading;
mod training;
mod writing;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use keras_support::Case;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The Python to run, if one with both Kerases is named.
fn python() -> Option<&'static str> {
    static PYTHON: OnceLock<Option<String>> = OnceLock::new();
    PYTHON.get_or_init(peers::kerases).as_deref()
}

fn target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name)
}

/// The scripts of `tests/keras`, one of which is run.
fn script(name: &str) -> Command {
    let mut command = Command::new(python().expect("it was asked for"));
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keras");
    command.arg("-B").arg(home.join(name));
    command
}

/// What `name` writes into a folder of `target`, made anew where the scripts have changed.
fn made_by(name: &str, folder: &str) -> PathBuf {
    let out = target(folder);
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keras");
    let scripts = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path());
    let scripts: BTreeSet<_> =
        scripts.filter(|path| path.extension() == Some(OsStr::new("py"))).collect();
    let mut digest = Sha256::new();
    scripts.iter().for_each(|path| digest.update(fs::read(path).unwrap()));
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let mark = out.join("made-by.sha256");
    if fs::read_to_string(&mark).is_ok_and(|found| found == digest) {
        return out;
    }
    if out.exists() {
        fs::remove_dir_all(&out).unwrap();
    }
    assert!(script(name).arg(&out).status().unwrap().success(), "{name} failed");
    fs::write(mark, digest).unwrap();
    out
}

fn matrix() -> &'static Path {
    static MATRIX: OnceLock<PathBuf> = OnceLock::new();
    MATRIX.get_or_init(|| made_by("make.py", "keras-matrix"))
}

fn started() -> &'static Path {
    static STARTED: OnceLock<PathBuf> = OnceLock::new();
    STARTED.get_or_init(|| made_by("train_on.py", "keras-train"))
}

/// What came of a test, a line of JSON for each file: `tests/keras/tables.py` makes the tables of
/// `docs/KERAS-MATRIX.md` of it.
fn note(name: &str, lines: &[Value]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(target(name), text).unwrap();
}

/// What keepnet cannot save for Keras, which has no layer for it: gelu by tanh.
const UNWRITTEN: &[&str] = &["k2-net-functions-legacy", "k3-net-functions"];

fn is_unwritten(case: &Case) -> bool {
    UNWRITTEN.contains(&case.name.as_str())
}

/// The scripts of `docs/MIGRATING.md`, in its order, on the 10,000 digits that are here.
#[test]
fn the_scripts_of_the_documentation_run() {
    let Some(python) = python() else { return };
    let home = tempfile::tempdir().unwrap();
    let digits = home.path().join("mnist");
    fs::create_dir(&digits).unwrap();
    for kind in ["images-idx3", "labels-idx1"] {
        let data = format!("data/train-{}-10k-{}-ubyte.gz", &kind[..6], &kind[7..]);
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join(data);
        for part in ["train", "t10k"] {
            fs::copy(&data, digits.join(format!("{part}-{kind}-ubyte.gz"))).unwrap();
        }
    }
    let page = include_str!("../../docs/MIGRATING.md");
    let scripts: Vec<_> = page.split("```python\n").skip(1).collect();
    let scripts: Vec<_> = scripts.iter().map(|text| text.split("```").next().unwrap()).collect();
    let [train, predict, train_on, weights] = scripts[..] else { panic!("{scripts:#?}") };
    // The third and the fourth go on where the first one ended.
    for script in [format!("{train}{train_on}{weights}"), predict.to_owned()] {
        let mut command = Command::new(python);
        let command = command.args(["-c", &script]).current_dir(home.path());
        let command = command.env("KERAS_BACKEND", "tensorflow").env("CUDA_VISIBLE_DEVICES", "-1");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
