//! keepnet beside Keras 3 and tf-keras: every model of the matrix answers as Keras does, both take what
//! keepnet saves of it, and training goes on as in Keras.
//!
//! It runs where the environment variable `KEEPNET_KERAS_PYTHON` names a Python with both; without it the
//! tests say so and pass. What Keras makes is kept in `target/keras-matrix` and `target/keras-train`,
//! until the scripts that make it change.

mod keras_support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use keepnet::wire::npy;
use keepnet::{Checkpoint, Dataset, FitOptions, Model, Samples, Shape, Targets};
use keras_support::{Case, PENDING, larger, named, pending, variable};
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

/// What came of the files with layers of one class.
#[derive(Default)]
struct Row {
    files: u32,
    loaded: u32,
    apart: f32,
}

/// A table that `docs/INTEROP.md` can carry.
fn table(title: &str, rows: &BTreeMap<&str, Row>) -> String {
    let mut table = format!("| {title} | Files | Loaded | Worst difference |\n|---|--:|--:|--:|\n");
    for (name, Row { files, loaded, apart }) in rows {
        writeln!(table, "| {name} | {files} | {loaded} | {apart:.1e} |").unwrap();
    }
    table
}

/// Files that hold no compile settings, or, by the legacy optimizers of tf-keras, no state: nothing is said
/// of what they lack.
const UNSAID: &[&str] = &[
    "dialect-keras-null-compile-config",
    "dialect-keras-without-compile-config",
    "dialect-not-compiled",
    "k2-optimizer-legacy-adam/model.keras",
    "k2-optimizer-legacy-frozen-layers/model.keras",
    "k2-optimizer-legacy-rmsprop/model.keras",
    "k2-optimizer-legacy-sgd/model.keras",
];

#[test]
fn every_file_answers_as_in_keras() {
    if python().is_none() {
        return;
    }
    let (mut classes, mut optimizers) = (BTreeMap::<&str, Row>::new(), BTreeMap::new());
    let (mut faults, mut met) = (Vec::new(), BTreeSet::new());
    let (mut files, mut loaded, mut refused) = (0, 0, 0);
    let cases = Case::all(matrix());
    for case in &cases {
        for file in case.files() {
            files += 1;
            let name = format!("{}/{}", case.name, file.file_name().unwrap().display());
            // What computes with less than f32 is told apart: its difference is Keras' own.
            let rows = match case.tolerance() > 1e-5 {
                true => vec!["(f16 and bf16)"],
                false => case.classes(),
            };
            let answer = case.load(&file);
            if case.refuse().is_some() {
                match answer {
                    Ok(_) => faults.push(format!("{name} loads, though {:?}", case.refuse())),
                    Err(error) if !error.contains("layer `") => {
                        faults.push(format!("{name}: {error}"))
                    }
                    Err(_) => refused += 1,
                }
                continue;
            }
            rows.iter().for_each(|class| classes.entry(class).or_default().files += 1);
            let (model, report) = match answer {
                Ok(loaded) => loaded,
                Err(error) => {
                    match pending(&error) {
                        Some(words) => drop(met.insert(words)),
                        None => faults.push(format!("{name}: {error}")),
                    }
                    continue;
                }
            };
            loaded += 1;
            match case.compare(&model) {
                Err(fault) => faults.push(format!("{name}: {fault}")),
                Ok(apart) => {
                    for class in rows {
                        let row = classes.entry(class).or_default();
                        row.loaded += 1;
                        row.apart = larger(row.apart, apart);
                    }
                }
            }
            let Some((optimizer, iterations)) = case.compiled().filter(|&(_, steps)| steps > 0)
            else {
                continue;
            };
            let row: &mut (u32, u32) = optimizers.entry(optimizer).or_default();
            row.0 += 1;
            if let Some(steps) = report.optimizer_steps {
                row.1 += 1;
                if steps != iterations {
                    faults.push(format!("{name}: {steps} steps, Keras took {iterations}"));
                }
                if let Err(fault) = case.compare_moments(&model.to_checkpoint()) {
                    faults.push(format!("{name}: {fault}"));
                }
            } else if report.notices.is_empty() && !UNSAID.iter().any(|part| name.contains(part)) {
                faults.push(format!("{name}: the state of {optimizer} is lost without a word"));
            }
        }
    }
    let mut table = table("Layer", &classes);
    table.push_str("\n| Optimizer | Trained files | State restored |\n|---|--:|--:|\n");
    for (optimizer, (trained, restored)) in optimizers {
        writeln!(table, "| {optimizer} | {trained} | {restored} |").unwrap();
    }
    fs::write(target("keras-matrix.md"), &table).unwrap();
    println!("{table}{} models: {files} files, {loaded} loaded, {refused} refused", cases.len());
    let stale: Vec<_> = PENDING.iter().filter(|words| !met.contains(*words)).collect();
    assert!(stale.is_empty(), "this loads now, take it from `PENDING`: {stale:?}");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(cases.len() >= 590 && loaded >= 1000);
}

/// What keepnet cannot save for Keras, which has no layer for it: gelu by tanh, the larger of x and a number.
const UNWRITTEN: &[&str] = &[
    "k2-net-functions-legacy",
    "k2-net-joining-operators-legacy",
    "k3-net-functions",
    "k3-net-joining-operators",
];

/// What both Kerases say of files that keepnet saved.
#[test]
fn both_kerases_take_what_is_saved() {
    if python().is_none() {
        return;
    }
    let cases = Case::all(matrix());
    let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
    let out = target("keras-written");
    let mut faults = Vec::new();
    if out.exists() {
        fs::remove_dir_all(&out).unwrap();
    }
    for (writer, own) in [("keras3", "k3-"), ("tfkeras", "k2-")] {
        let folder = out.join(writer);
        fs::create_dir_all(&folder).unwrap();
        for case in cases.iter().filter(|case| case.refuse().is_none()) {
            // What only tf-keras has made, Keras 3 takes too; tf-keras lacks much of what only Keras 3 has.
            let new = case.name.strip_prefix("k2-").map(|name| format!("k3-{name}"));
            let is_new = writer == "keras3" && new.is_some_and(|new| !names.contains(new.as_str()));
            if case.name.starts_with(own) || is_new {
                // The state of the optimizer is written as Keras 3 has it.
                faults.extend(save_again(case, &folder, writer == "keras3").err());
            }
        }
    }
    let checks = ["keras3", "tfkeras"].map(|writer| {
        let answers = out.join(format!("{writer}.jsonl"));
        let mut check = script("check.py");
        check.arg(out.join(writer)).args(["--writer", writer]);
        let check = check.stdout(File::create(&answers).unwrap()).spawn().unwrap();
        (writer, answers, check)
    });
    for (writer, answers, mut check) in checks {
        check.wait().unwrap();
        let answers = fs::read_to_string(answers).unwrap();
        let answers: Vec<Value> =
            answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let files = fs::read_dir(out.join(writer)).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension() == Some(OsStr::new("keras"))).count();
        assert_eq!(answers.len(), files, "{writer} did not come to the end");
        let (well, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| {
            let name = answer["file"].as_str().unwrap().trim_end_matches(".keras");
            is_well(name, answer, &out.join(writer))
        });
        let restored = well.iter().filter(|answer| answer["slots_ok"] == true).count();
        println!(
            "{writer}: {files} files, {} as they must be, {restored} with all moments",
            well.len()
        );
        faults.extend(bad.into_iter().map(|answer| format!("{writer}: {answer}")));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
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
        && answer["apart"].as_f64().is_some_and(|apart| apart <= 1e-5 * f64::from(largest))
        && ["fit", "iterations_ok", "slots_ok"].into_iter().all(is_fine)
}

/// Saves a model for Keras with keepnet's predictions beside it, and with what Keras 3's own optimizer
/// remembered where it came from there. What keepnet reads of it is the same to the bit.
fn save_again(case: &Case, folder: &Path, with_state: bool) -> Result<(), String> {
    let loaded = case.files().into_iter().find_map(|file| case.load(&file).ok());
    let Some((model, report)) = loaded else { return Ok(()) };
    let name = &case.name;
    let path = folder.join(format!("{name}.keras"));
    match (model.save(&path), UNWRITTEN.contains(&name.as_str())) {
        (Ok(()), false) => {}
        (Ok(()), true) => return Err(format!("{name} is saved: take it from `UNWRITTEN`")),
        (Err(_), true) => return Ok(()),
        (Err(error), false) => return Err(error.to_string()),
    }
    let (saved, again) = (model.to_checkpoint(), case.load(&path).unwrap().0);
    let again = again.to_checkpoint();
    assert_eq!(numbers(&saved), numbers(&again), "{name}");

    let put = |letter: &str, arrays: &[ndarray::ArrayD<f32>]| {
        for (number, array) in arrays.iter().enumerate() {
            let number = if arrays.len() == 1 { String::new() } else { number.to_string() };
            let path = folder.join(format!("{name}.{letter}{number}.npy"));
            npy::write(&array.view(), File::create(path).unwrap()).unwrap();
        }
    };
    put("x", &case.arrays("inputs"));
    put("y", &model.predict_all(&case.inputs()).unwrap());
    let Some(steps) = report.optimizer_steps.filter(|_| with_state) else { return Ok(()) };
    let mut told = json!({"iterations": steps});
    if case.name.starts_with("k3-") {
        let moments = case.moments_in_order();
        put("slots", &[ndarray::Array1::from(moments).into_dyn()]);
        told["slots"] = format!("{name}.slots.npy").into();
    }
    fs::write(folder.join(format!("{name}.train.json")), told.to_string()).unwrap();
    Ok(())
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
];

/// Ten more steps: losses to 1e-4, weights and moments within three times the difference that Keras
/// shows to itself, which is told in units of it, or of the last place of f32 where it shows less.
#[test]
fn training_goes_on_as_in_keras() {
    if python().is_none() {
        return;
    }
    let mut faults = Vec::new();
    println!("| Start | Losses | Weights | Moments |\n|---|--:|--:|--:|");
    for case in Case::all(&made_by("train_on.py", "keras-train")) {
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
            let losses = losses(&case, &mut model);
            let [weights, moments] = trained_apart(&case, &model.to_checkpoint());
            println!("| {name} | {losses:.1e} | {weights:.1} | {moments:.1} |");
            let more = MORE.iter().find(|(part, _)| name.contains(part));
            let limit = more.map_or(3.0, |&(_, limit)| limit);
            if !(losses <= 1e-4 && weights <= limit && moments <= limit) {
                faults.push(format!(
                    "{name}: losses {losses:e}, weights {weights}, moments {moments}"
                ));
            }
        }
    }
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
fn trained_apart(case: &Case, checkpoint: &Checkpoint<'_>) -> [f32; 2] {
    let numbers = ["weights", "optimizer"].map(|kind| case.array(&format!("{kind}-onednn0.npy")));
    let [weights, moments] = [0, 1].map(|kind| {
        named(case.tensors(["weights", "slots"][kind]), numbers[kind].as_slice().unwrap())
    });
    let mut apart = [0.0_f32; 2];
    // The weights stand in the order of the layers, as keepnet's do.
    assert_eq!(weights.len(), checkpoint.tensors.len());
    for (own, (_, theirs)) in checkpoint.tensors.iter().zip(&weights) {
        // tf-keras takes the variance of a batch for a sample's: n / (n - 1) of Keras 3's.
        if case.name.starts_with("k2-") && own.name.ends_with("/moving_variance") {
            continue;
        }
        let unit = larger(case.keras_apart("weights"), last_place(theirs));
        apart[0] = larger(apart[0], farthest(&own.tensor.to_f32().unwrap(), theirs) / unit);
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

/// The last place of the largest number.
fn last_place(numbers: &[f32]) -> f32 {
    f32::EPSILON * numbers.iter().fold(0.0_f32, |largest, number| larger(largest, number.abs()))
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, larger)
}
