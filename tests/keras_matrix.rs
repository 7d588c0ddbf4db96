//! keepnet beside Keras 3 and tf-keras: every model of the matrix answers as Keras does, both take what
//! keepnet saves of it, and training goes on as in Keras.
//!
//! It runs where the environment variable `KEEPNET_KERAS_PYTHON` names a Python with both; without it the
//! tests say so and pass. What Keras makes is kept in `target/keras-matrix` and `target/keras-train`,
//! until the scripts that make it change.

mod keras_support;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use keepnet::bytes::Budget;
use keepnet::format;
use keepnet::format::keras::Reader;
use keepnet::model::{Clipping, Sgd};
use keepnet::wire::{hdf5, npy};
use keepnet::{
    Activation, Checkpoint, Dataset, FitOptions, Layer, LayerSpec, Loss, Model, NodeId, Optimizer,
    Samples, SaveOptions, Sequential, Shape, Targets,
};
use keras_support::{Case, larger, named, variable};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The Python to run, if one with both Kerases is named.
fn python() -> Option<&'static str> {
    static PYTHON: OnceLock<Option<String>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let Ok(python) = std::env::var("KEEPNET_KERAS_PYTHON") else {
            println!("passed over: KEEPNET_KERAS_PYTHON names no Python with keras and tf_keras");
            return None;
        };
        let program =
            "import importlib.util as u; assert u.find_spec('keras') and u.find_spec('tf_keras')";
        let output = Command::new(&python).args(["-c", program]).output();
        let has_both = output.is_ok_and(|output| output.status.success());
        assert!(has_both, "KEEPNET_KERAS_PYTHON={python} is no Python with keras and tf_keras");
        Some(python)
    });
    python.as_deref()
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

#[test]
fn every_file_answers_as_in_keras() {
    if python().is_none() {
        return;
    }
    let (mut faults, mut lines) = (Vec::new(), Vec::new());
    let (mut loaded, mut refused) = (0, 0);
    let cases = Case::all(matrix());
    for case in &cases {
        for file in case.files() {
            let name = format!("{}/{}", case.name, file.file_name().unwrap().display());
            let mut line = json!({
                "file": name,
                "classes": case.classes(),
                // What computes with less than f32 is told apart: its difference is Keras' own.
                "is_half": case.tolerance() > 1e-5,
            });
            let answer = case.load(&file);
            if case.refuse().is_some() {
                match answer {
                    Ok(_) => faults.push(format!("{name} loads, though {:?}", case.refuse())),
                    Err(error) if !error.contains("layer `") => {
                        faults.push(format!("{name}: {error}"))
                    }
                    Err(_) => refused += 1,
                }
                lines.push(line);
                continue;
            }
            let (model, report) = match answer {
                Ok(loaded) => loaded,
                Err(error) => {
                    faults.push(format!("{name}: {error}"));
                    continue;
                }
            };
            loaded += 1;
            match case.compare(&model) {
                Err(fault) => faults.push(format!("{name}: {fault}")),
                Ok(apart) => line["apart"] = apart.into(),
            }
            let trained = case.compiled().filter(|&(_, steps)| steps > 0);
            if let Some((optimizer, _)) = trained {
                line["optimizer"] = optimizer.into();
                line["restored"] = report.optimizer_steps.is_some().into();
            }
            lines.push(line);
            let Some((optimizer, iterations)) = trained else { continue };
            if let Some(steps) = report.optimizer_steps {
                if steps != iterations {
                    faults.push(format!("{name}: {steps} steps, Keras took {iterations}"));
                }
                if let Err(fault) = case.compare_moments(&model.to_checkpoint()) {
                    faults.push(format!("{name}: {fault}"));
                }
            } else if report.notices.is_empty() {
                faults.push(format!("{name}: the state of {optimizer} is lost without a word"));
            }
        }
    }
    note("keras-read.jsonl", &lines);
    println!("{} models: {} files, {loaded} loaded, {refused} refused", cases.len(), lines.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(cases.len() >= 590 && loaded >= 1000);
}

/// What keepnet cannot save for Keras, which has no layer for it: gelu by tanh.
const UNWRITTEN: &[&str] = &["k2-net-functions-legacy", "k3-net-functions"];

fn is_unwritten(case: &Case) -> bool {
    UNWRITTEN.contains(&case.name.as_str())
}

/// Weights alone give the model that the whole file gives: put into the architecture of that file and of its
/// text, and into a model that is there already.
#[test]
fn weights_alone_go_into_their_architecture() {
    if python().is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (mut files, mut faults) = (0, Vec::new());
    let cases = Case::all(matrix());
    let with_weights = |case: &&Case| case.refuse().is_none() && !case.weights().is_empty();
    for case in cases.iter().filter(with_weights) {
        let whole =
            case.files().into_iter().find_map(|file| Some((case.load(&file).ok()?.0, file)));
        let Some((model, whole)) = whole else { continue };
        let expected = parameters(&model);
        let text = home.path().join("model.json");
        let hdf5 = case.files().into_iter().find(|file| file.extension() == Some(OsStr::new("h5")));
        let text = hdf5.map(|hdf5| fs::write(&text, architecture(&hdf5)).map(|()| text).unwrap());
        for file in case.weights() {
            files += 1;
            let name = format!("{}/{}", case.name, file.file_name().unwrap().display());
            for architecture in [Some(&whole), text.as_ref()].into_iter().flatten() {
                match Model::load_with_weights(architecture, &file, case.options()) {
                    Ok((found, _)) if parameters(&found) == expected => {}
                    Ok(_) => faults.push(format!("{name}: other weights")),
                    Err(error) => faults.push(format!("{name}: {error}")),
                }
            }
            let mut own = Model::new(model.graph().clone(), 1);
            let found = own.load_weights_from(&file);
            // Models inside the model are part of it now.
            let is_flat = !model.graph().layers().iter().any(|layer| layer.name.contains('/'));
            if is_flat && !is_unwritten(case) {
                match found {
                    Ok(_) if parameters(&own) == expected => {}
                    Ok(_) => faults.push(format!("{name} into a model: other weights")),
                    Err(error) => faults.push(format!("{name} into a model: {error}")),
                }
            }
            let error = Model::load(&file).unwrap_err().to_string();
            assert!(error.contains("--architecture"), "{name}: {error}");
        }
    }
    println!("{files} files of weights alone");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(files >= 300);
}

fn parameters(model: &Model) -> Vec<Vec<u8>> {
    let tensors = model.to_checkpoint().tensors;
    tensors.iter().map(|named| named.tensor.bytes().to_vec()).collect()
}

/// What `to_json` of Keras gives, out of an `.h5` file of a whole model.
fn architecture(file: &Path) -> String {
    let bytes = fs::read(file).unwrap();
    let root = hdf5::read(&bytes, &mut Budget::new(1 << 28)).unwrap();
    let text = |name: &str| root.attributes.get(name).and_then(hdf5::Array::as_text);
    let mut config: Value = serde_json::from_str(text("model_config").unwrap()).unwrap();
    config["keras_version"] = text("keras_version").into();
    config.to_string()
}

/// A Keras that is asked what it makes of files that keepnet saved for it.
struct Asked {
    /// As `check.py` calls it.
    name: &'static str,
    reader: Reader,
    /// Whether what it says of `.h5` and `.weights.h5` files is of the optimizer too.
    hdf5_has_state: bool,
}

const BOTH: [Asked; 2] = [
    Asked { name: "keras3", reader: Reader::Keras3, hdf5_has_state: false },
    Asked { name: "tfkeras", reader: Reader::TfKeras2, hdf5_has_state: true },
];

/// What both Kerases say of files that keepnet saved.
#[test]
fn both_kerases_take_what_is_saved() {
    if python().is_none() {
        return;
    }
    let cases = Case::all(matrix());
    let trained = Case::all(started());
    let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
    let out = target("keras-written");
    let mut faults = Vec::new();
    if out.exists() {
        fs::remove_dir_all(&out).unwrap();
    }
    for asked in &BOTH {
        let own = if asked.reader == Reader::Keras3 { "k3-" } else { "k2-" };
        let folders = [".keras", ".h5"].map(|form| out.join(format!("{}{form}", asked.name)));
        folders.iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
        for case in cases.iter().filter(|case| case.refuse().is_none()) {
            // What only tf-keras has made, Keras 3 takes too; tf-keras lacks much of what only Keras 3 has.
            let new = case.name.strip_prefix("k2-").map(|name| format!("k3-{name}"));
            let is_new = own == "k3-" && new.is_some_and(|new| !names.contains(new.as_str()));
            if case.name.starts_with(own) || is_new {
                faults.extend(save_again(case, &folders, asked).err());
            }
        }
        for case in trained.iter().filter(|case| own == "k3-" || case.name.starts_with(own)) {
            save_to_train_on(case, &folders, asked);
            save_for_the_other(case, &folders[0], asked);
        }
    }
    for form in [".keras", ".h5"] {
        let checks = BOTH.map(|asked| {
            let folder = out.join(format!("{}{form}", asked.name));
            let answers = out.join(format!("{}{form}.jsonl", asked.name));
            let mut check = script("check.py");
            check.arg(&folder).args(["--writer", asked.name]);
            let check = check.stdout(File::create(&answers).unwrap()).spawn().unwrap();
            (folder, answers, check)
        });
        for (folder, answers, mut check) in checks {
            check.wait().unwrap();
            faults.extend(judged(&folder, &answers));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// What was not well of what a Keras said of the files in a folder.
fn judged(folder: &Path, answers: &Path) -> Vec<String> {
    let answers = fs::read_to_string(answers).unwrap();
    let answers: Vec<Value> =
        answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| {
        path.extension().is_some_and(|extension| extension == "keras" || extension == "h5")
    });
    let name = folder.file_name().unwrap().display();
    assert_eq!(answers.len(), files.count(), "{name} did not come to the end");
    let (well, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| {
        let file = answer["file"].as_str().unwrap();
        let case = [".weights.h5", ".keras", ".h5"].iter().find_map(|end| file.strip_suffix(end));
        is_well(case.unwrap(), answer, folder)
    });
    let count = |key: &str| well.iter().filter(|answer| answer[key] == true).count();
    println!(
        "{name}: {} files, {} as they must be, {} with all moments, {} trained on to the same losses",
        answers.len(),
        well.len(),
        count("slots_ok"),
        count("losses_ok"),
    );
    bad.into_iter().map(|answer| format!("{name}: {answer}")).collect()
}

/// Whether `check.py` found all to be as it must: loaded, trained on, and predictions as keepnet's are,
/// beyond 1 in proportion to the largest.
fn is_well(name: &str, answer: &Value, folder: &Path) -> bool {
    let outputs = ["", "0", "1", "2"].map(|number| folder.join(format!("{name}.y{number}.npy")));
    let largest =
        outputs.iter().filter_map(|path| fs::read(path).ok()).fold(1.0, |largest, bytes| {
            let outputs = npy::read(&bytes).unwrap();
            outputs.iter().fold(largest, |largest, output| larger(largest, output.abs()))
        });
    let is_fine = |key: &str| answer.get(key).is_none_or(|said| *said == true || said == "ok");
    answer["load"] == "ok"
        && answer["apart"].as_f64().is_none_or(|apart| apart <= 1e-5 * f64::from(largest))
        && ["fit", "iterations_ok", "slots_ok", "losses_ok"].into_iter().all(is_fine)
}

/// Saves a model for Keras as `.keras` in the first folder, with its weights alone beside it, and as `.h5` in
/// the second; with keepnet's predictions, and with what Keras' own optimizer remembered. What keepnet reads
/// of it is the same to the bit.
fn save_again(case: &Case, folders: &[PathBuf; 2], asked: &Asked) -> Result<(), String> {
    let loaded = case.files().into_iter().find_map(|file| case.load(&file).ok());
    let Some((model, report)) = loaded else { return Ok(()) };
    let name = &case.name;
    let options = SaveOptions { target: asked.reader, ..SaveOptions::default() };
    for (folder, form) in folders.iter().zip(["keras", "h5"]) {
        let path = folder.join(format!("{name}.{form}"));
        match (model.save_with(&path, options), is_unwritten(case)) {
            (Ok(()), false) => {}
            (Ok(()), true) => return Err(format!("{name} is saved: take it from `UNWRITTEN`")),
            (Err(_), true) => return Ok(()),
            (Err(error), false) => return Err(format!("{name}: {error}")),
        }
        let (saved, again) = (model.to_checkpoint(), case.load(&path).unwrap().0);
        assert_eq!(numbers(&saved), numbers(&again.to_checkpoint()), "{name}.{form}");
    }
    let outputs = model.predict_all(&case.inputs()).unwrap();
    for folder in folders {
        put(folder, name, "x", &case.arrays("inputs"));
        put(folder, name, "y", &outputs);
    }
    let is_trained = report.optimizer_steps.is_some();
    if is_trained || name.contains("-net-") || name.contains("normalization") {
        let weights = folders[0].join(format!("{name}.weights.h5"));
        format::save_weights(&model.to_checkpoint(), &weights, asked.reader).unwrap();
    }
    if let Some(steps) = report.optimizer_steps {
        for folder in &folders[..if asked.hdf5_has_state { 2 } else { 1 }] {
            let mut told = json!({"iterations": steps});
            // The legacy optimizers have another order, and tf-keras keeps a momentum that it does not use.
            let is_same = !name.contains("legacy") && !remembers_nothing(&model);
            if is_of(case, asked) && is_same {
                let moments = case.moments_in_order();
                put(folder, name, "slots", &[ndarray::Array1::from(moments).into_dyn()]);
                told["slots"] = format!("{name}.slots.npy").into();
            }
            fs::write(folder.join(format!("{name}.train.json")), told.to_string()).unwrap();
        }
    }
    Ok(())
}

/// Whether its optimizer has no moments.
fn remembers_nothing(model: &Model) -> bool {
    model.compiled().is_some_and(|settings| settings.optimizer.slots().is_empty())
}

/// Whether that Keras made it.
fn is_of(case: &Case, asked: &Asked) -> bool {
    case.name.starts_with(if asked.reader == Reader::Keras3 { "k3-" } else { "k2-" })
}

/// `<name>.x.npy` for one array, `<name>.x0.npy` … for several.
fn put(folder: &Path, name: &str, letter: &str, arrays: &[ndarray::ArrayD<f32>]) {
    for (number, array) in arrays.iter().enumerate() {
        let number = if arrays.len() == 1 { String::new() } else { number.to_string() };
        let path = folder.join(format!("{name}.{letter}{number}.npy"));
        npy::write(&array.view(), File::create(path).unwrap()).unwrap();
    }
}

/// Saves a model that has been trained, and says with which losses its training must go on.
fn save_to_train_on(case: &Case, folders: &[PathBuf; 2], asked: &Asked) {
    let start = if case.name.contains("legacy") { "start.h5" } else { "start.keras" };
    let (model, _) = case.load(&case.folder.join(start)).unwrap();
    let options = SaveOptions { target: asked.reader, ..SaveOptions::default() };
    let name = format!("trained-{}", case.name);
    for (folder, form) in folders.iter().zip(["keras", "h5"]) {
        model.save_with(folder.join(format!("{name}.{form}")), options).unwrap();
        if form == "h5" && !asked.hdf5_has_state {
            continue;
        }
        let told = json!({
            "iterations": model.steps(),
            "x": case.folder.join("x.npy"),
            "t": case.folder.join("t.npy"),
            "losses": case.array("losses-onednn0.npy").iter().copied().collect::<Vec<f32>>(),
        });
        fs::write(folder.join(format!("{name}.train.json")), told.to_string()).unwrap();
    }
}

/// What Keras 3 loads of keepnet and saves again is the same in every bit of every tensor.
#[test]
fn what_keras_saves_again_is_the_same() {
    if python().is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (cases, trained) = (Case::all(matrix()), Case::all(started()));
    let parts = ["k3-optimizer-", "k3-net-", "k3-schedule-", "normalization"];
    let is_asked = |case: &&Case| parts.iter().any(|part| case.name.contains(part));
    let is_written = |case: &&Case| case.refuse().is_none() && !is_unwritten(case);
    let own = cases.iter().filter(is_asked).filter(is_written);
    let own = own.filter_map(|case| Some((case, case.load(case.files().first()?).ok()?.0)));
    let trained = trained.iter().filter(|case| case.name.starts_with("k3-"));
    let trained =
        trained.map(|case| (case, case.load(&case.folder.join("start.keras")).unwrap().0));
    let models: Vec<_> = own.chain(trained).collect();
    for (case, model) in &models {
        model.save(home.path().join(format!("{}.keras", case.name))).unwrap();
    }
    let done = Command::new(python().unwrap()).args(["-c", SAVE_AGAIN]).arg(home.path()).status();
    assert!(done.unwrap().success());
    let mut faults = Vec::new();
    for (case, model) in &models {
        let again = case.load(&home.path().join(format!("{}.again.keras", case.name))).unwrap().0;
        let (saved, again) = (model.to_checkpoint(), again.to_checkpoint());
        let steps = [&saved, &again].map(|it| it.optimizer.as_ref().map(|state| state.step));
        if numbers(&saved) != numbers(&again) || steps[0] != steps[1] {
            faults.push(format!("{}: steps {steps:?}", case.name));
        }
    }
    println!("{} models saved again by Keras 3", models.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(models.len() >= 60);
}

/// Loads every file of a folder in Keras 3 and saves it beside.
const SAVE_AGAIN: &str = "
import os, sys
from pathlib import Path
os.environ |= {'KERAS_BACKEND': 'tensorflow', 'TF_CPP_MIN_LOG_LEVEL': '3', 'CUDA_VISIBLE_DEVICES': '-1'}
import keras
for path in sorted(Path(sys.argv[1]).glob('*.keras')):
    keras.backend.clear_session()
    keras.models.load_model(path).save(path.with_suffix('.again.keras'))
";

/// Saves a trained model for the Keras that is not asked. It opens the file, predicts the same and can train.
fn save_for_the_other(case: &Case, folder: &Path, asked: &Asked) {
    let start = if case.name.contains("legacy") { "start.h5" } else { "start.keras" };
    let (model, _) = case.load(&case.folder.join(start)).unwrap();
    let target = match asked.reader {
        Reader::Keras3 => Reader::TfKeras2,
        _ => Reader::Keras3,
    };
    let name = format!("crossed-{}", case.name);
    let options = SaveOptions { target, ..SaveOptions::default() };
    model.save_with(folder.join(format!("{name}.keras")), options).unwrap();
    let batch = case.array("x.npy").index_axis(ndarray::Axis(0), 0).to_owned();
    let outputs = model.predict_all(&[Samples::from(batch.clone())]).unwrap();
    put(folder, &name, "x", &[batch]);
    put(folder, &name, "y", &outputs);
}

/// An `.h5` file has its optimizer's settings in the Keras that it is saved for.
#[test]
fn hdf5_files_keep_the_settings_of_the_optimizer() {
    let Some(python) = python() else { return };
    let home = tempfile::tempdir().unwrap();
    let mut model =
        Sequential::new(Shape::vector(2)).dense(1, Activation::Linear).build(1).unwrap();
    let sgd = Sgd { momentum: 0.5, nesterov: true };
    let settings = Optimizer {
        learning_rate: 0.25,
        weight_decay: 0.125,
        clipping: Clipping::Norm(2.0),
        ..sgd.into()
    };
    model.compile(settings, Loss::MeanSquaredError).unwrap();
    for (keras, target) in [("keras", Reader::Keras3), ("tf_keras", Reader::TfKeras2)] {
        let path = home.path().join(format!("{keras}.h5"));
        model.save_with(&path, SaveOptions { target, ..SaveOptions::default() }).unwrap();
        let script = format!(
            "import json, sys, {keras} as k
given = k.models.load_model(sys.argv[1]).optimizer.get_config()
print([float(given[key]) for key in ('learning_rate', 'momentum', 'nesterov', 'weight_decay', 'clipnorm')])"
        );
        let mut command = Command::new(python);
        let command = command.args(["-c", &script]).arg(&path);
        let command = command.env("KERAS_BACKEND", "tensorflow").env("CUDA_VISIBLE_DEVICES", "-1");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.trim(), "[0.25, 0.5, 1.0, 0.125, 2.0]", "{keras}: {errors}");
    }
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
    let page = include_str!("../docs/MIGRATING.md");
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

/// The bytes of all parameters and of all that the optimizer remembers.
fn numbers(checkpoint: &Checkpoint<'_>) -> Vec<Vec<u8>> {
    let slots = checkpoint.optimizer.iter().flat_map(|state| &state.slots);
    let slots = slots.flat_map(|slot| &slot.tensors);
    checkpoint.tensors.iter().chain(slots).map(|named| named.tensor.bytes().to_vec()).collect()
}

/// Where the difference is larger, and how large it may be: all of Keras' own runs share what makes it.
const MORE: &[(&str, f32)] = &[
    // `epsilon` is added to the root of the mean square there, not under it.
    ("k2-legacy-rmsprop", 400.0),
    // Keras takes β₁ᵗ and β₂ᵗ in f32: at first 1 − β₂ᵗ is 10⁻⁵ of itself away from the truth.
    ("-adam-", 15.0),
    ("-amsgrad-", 15.0),
];

/// The samples in a batch of `train_on.py`.
const BATCH: usize = 8;

/// Ten more steps: losses to 1e-4, weights and moments within three times the difference that Keras
/// shows to itself, which is told in units of it, or of the last place of f32 where it shows less.
#[test]
fn training_goes_on_as_in_keras() {
    if python().is_none() {
        return;
    }
    let (mut faults, mut lines) = (Vec::new(), Vec::new());
    for case in Case::all(started()) {
        for file in ["start.keras", "start.h5"] {
            let name = format!("{}/{file}", case.name);
            let (mut model, report) = case.load(&case.folder.join(file)).unwrap();
            if report.optimizer_steps.is_none() {
                // tf-keras leaves the state of its legacy optimizers out of `.keras`.
                assert!(
                    name.starts_with("k2-legacy-") && file == "start.keras",
                    "{name}: {report:?}"
                );
                continue;
            }
            let start = model.to_checkpoint().into_owned();
            let losses = losses(&case, &mut model);
            let [weights, moments] = trained_apart(&case, &start, &model.to_checkpoint());
            println!("{name}: losses {losses:.1e}, weights {weights:.1}, moments {moments:.1}");
            lines.push(
                json!({"start": name, "losses": losses, "weights": weights, "moments": moments}),
            );
            let more = MORE.iter().find(|(part, _)| name.contains(part));
            let limit = more.map_or(3.0, |&(_, limit)| limit);
            if !(losses <= 1e-4 && weights <= limit && moments <= limit) {
                faults.push(format!(
                    "{name}: losses {losses:e}, weights {weights}, moments {moments}"
                ));
            }
        }
    }
    note("keras-trained.jsonl", &lines);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The largest relative difference of a loss from Keras' over the ten batches.
fn losses(case: &Case, model: &mut Model) -> f32 {
    let (x, t) = (case.array("x.npy"), case.array("t.npy"));
    let expected = case.array("losses-onednn0.npy");
    let options =
        FitOptions { epochs: 1, batch_size: x.shape()[1], shuffle: false, ..Default::default() };
    let steps = x.outer_iter().zip(t.outer_iter()).zip(&expected).map(|((x, t), &expected)| {
        let shape = Shape::new(x.shape()[1..].to_vec());
        let values: Vec<f32> = x.iter().copied().collect();
        let x = Samples::new(x.shape()[0], shape, values).unwrap();
        let classes: Vec<u32> = t.iter().map(|&class| class as u32).collect();
        let batch = Dataset::new(x, Targets::Classes(classes.into())).unwrap();
        let history = model.fit(&batch, &options).unwrap();
        let loss = history.epochs.last().unwrap().get("loss").unwrap();
        (loss as f32 - expected).abs() / expected.abs()
    });
    steps.fold(0.0, larger)
}

/// How far weights and moments are from Keras' without oneDNN, in units of how far Keras is then from
/// itself with oneDNN or XLA.
fn trained_apart(case: &Case, start: &Checkpoint<'_>, checkpoint: &Checkpoint<'_>) -> [f32; 2] {
    let numbers = ["weights", "optimizer"].map(|kind| case.array(&format!("{kind}-onednn0.npy")));
    let [weights, moments] = [0, 1].map(|kind| {
        named(case.tensors(["weights", "slots"][kind]), numbers[kind].as_slice().unwrap())
    });
    let mut apart = [0.0_f32; 2];
    // The weights stand in the order of the layers, as keepnet's do.
    assert_eq!(weights.len(), checkpoint.tensors.len());
    for ((own, before), (_, theirs)) in checkpoint.tensors.iter().zip(&start.tensors).zip(&weights)
    {
        let unit = larger(case.keras_apart("weights"), last_place(theirs));
        let mut expected = own.tensor.to_f32().unwrap().to_vec();
        if case.name.starts_with("k2-") && own.name.ends_with("/moving_variance") {
            as_of_samples(&mut expected, &before.tensor.to_f32().unwrap(), &own.name, checkpoint);
        }
        apart[0] = larger(apart[0], farthest(&expected, theirs) / unit);
    }
    for slot in &checkpoint.optimizer.as_ref().unwrap().slots {
        for own in &slot.tensors {
            let theirs = variable(&moments, &slot.name, &own.name).unwrap();
            let unit = larger(case.keras_apart("optimizer"), last_place(theirs));
            apart[1] = larger(apart[1], farthest(&own.tensor.to_f32().unwrap(), theirs) / unit);
        }
    }
    apart
}

/// A moving variance after the ten steps, as tf-keras has it: it takes the variance of a batch of images
/// for that of a sample, n / (n - 1) of what Keras 3 and keepnet take, n being the batch and its places.
fn as_of_samples(variance: &mut [f32], before: &[f32], name: &str, checkpoint: &Checkpoint<'_>) {
    let graph = &checkpoint.graph;
    let is_it = |layer: &Layer| name.strip_suffix("/moving_variance") == Some(&layer.name);
    let number = graph.layers().iter().position(is_it).unwrap();
    let LayerSpec::BatchNormalization(norm) = &graph.layers()[number].spec else {
        panic!("{name} is of no normalization");
    };
    if !graph.layers()[number].trainable {
        return;
    }
    let node = graph.nodes().iter().position(|node| node.layer == number).unwrap();
    let places = graph.shape(NodeId(node)).elements() / variance.len();
    let n = (BATCH * places) as f64;
    for (after, &before) in variance.iter_mut().zip(before) {
        // What is left of the variance before the ten steps.
        let left = (0..10).fold(f64::from(before), |left, _| left * norm.momentum);
        *after = (left + (f64::from(*after) - left) * n / (n - 1.0)) as f32;
    }
}

/// The last place of the largest number.
fn last_place(numbers: &[f32]) -> f32 {
    f32::EPSILON * numbers.iter().fold(0.0_f32, |largest, number| larger(largest, number.abs()))
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, larger)
}
