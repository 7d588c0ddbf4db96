//! What both Kerases make of files that keepnet has saved.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use keepnet::format;
use keepnet::format::keras::{Notice, Reader};
use keepnet::model::{Clipping, Sgd};
use keepnet::wire::npy;
use keepnet::{
    Activation, Checkpoint, Loss, Model, Optimizer, Samples, SaveOptions, Sequential, Shape,
};
use serde_json::{Value, json};

use super::keras_support::{Case, larger};
use super::{is_unwritten, matrix, python, script, started, target};

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
            // Of what leads to no output nothing is saved.
            let is_left_out = |notice: &_| matches!(notice, Notice::LayerLeftOut { .. });
            let is_whole = !report.notices.iter().any(is_left_out);
            if is_of(case, asked) && is_same && is_whole {
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

/// The bytes of all parameters and of all that the optimizer remembers.
fn numbers(checkpoint: &Checkpoint<'_>) -> Vec<Vec<u8>> {
    let slots = checkpoint.optimizer.iter().flat_map(|state| &state.slots);
    let slots = slots.flat_map(|slot| &slot.tensors);
    checkpoint.tensors.iter().chain(slots).map(|named| named.tensor.bytes().to_vec()).collect()
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
