//! W1 in the forms of Keras: saved, and loaded from files that keepnet wrote and that Keras wrote.

use std::env;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use keepnet::Model;
use keepnet::bytes::Budget;
use keepnet::wire::{hdf5, zip};
use serde_json::Value;

use crate::MEMORY;
use crate::figures::{Figure, round};
use crate::median::median;

/// Names an interpreter that has Keras.
const PYTHON: &str = "KEEPNET_TF_PYTHON";

/// The figures of one form: their names and what they are.
struct Names {
    extension: &'static str,
    figures: [(&'static str, &'static str); 7],
}

const NAMES: [Names; 2] = [
    Names {
        extension: "keras",
        figures: [
            ("keras_save_ms", "ms: W1 as `.keras`, to a file system in memory"),
            ("keras_save_fsync_ms", "ms, flushed and put in place"),
            ("keras_load_ms", "ms, with all that keepnet keeps there, every check included"),
            ("keras_bare_load_ms", "ms, without that, as Keras sees the file (goal: 4)"),
            ("keras_theirs_load_ms", "ms, a file that Keras wrote (goal: 4)"),
            ("keras_in_keras_load_ms", "ms, the same file in Keras: `load_model`"),
            ("keras_in_keras_save_ms", "ms, in Keras: `save`"),
        ],
    },
    Names {
        extension: "h5",
        figures: [
            ("h5_save_ms", "ms: W1 as `.h5`, to a file system in memory"),
            ("h5_save_fsync_ms", "ms, flushed and put in place"),
            ("h5_load_ms", "ms, with all that keepnet keeps there, every check included"),
            ("h5_bare_load_ms", "ms, without that, as Keras sees the file (goal: 3)"),
            ("h5_theirs_load_ms", "ms, a file that Keras wrote (goal: 3)"),
            ("h5_in_keras_load_ms", "ms, the same file in Keras: `load_model`"),
            ("h5_in_keras_save_ms", "ms, in Keras: `save`"),
        ],
    },
];

/// Figures of both forms. What Keras takes is known where `KEEPNET_TF_PYTHON` names an interpreter.
pub(crate) fn of_keras(
    model: &Model,
    folder: &Path,
    runs: usize,
) -> Result<Vec<Figure>, Box<dyn Error>> {
    let theirs = by_keras(folder, runs.div_ceil(10))?;
    let mut figures = Vec::new();
    for Names { extension, figures: names } in NAMES {
        let path = folder.join("ours").with_extension(extension);
        let unflushed = match tempfile::tempdir_in(MEMORY) {
            Ok(folder) => {
                let path = folder.path().join("w1").with_extension(extension);
                Some(median(runs, || model.save(&path))?)
            }
            Err(_) => None,
        };
        let flushed = median(runs, || model.save(&path))?;
        let load = |path: &Path| median(runs, || Model::load(path).map(black_box).map(drop));
        let whole = load(&path)?;
        let bare = folder.join("bare").with_extension(extension);
        fs::write(&bare, without_kept(&fs::read(&path)?)?)?;
        let bare = load(&bare)?;
        let milliseconds =
            |seconds: Option<f64>| seconds.map_or(Value::Null, |seconds| round(seconds * 1e3, 2));
        let mut values =
            [unflushed, Some(flushed), Some(whole), Some(bare)].map(milliseconds).to_vec();
        values.extend(match &theirs {
            Some(theirs) => {
                let ours = load(&folder.join("theirs").with_extension(extension))?;
                let of = |what: &str| theirs[extension][what].clone();
                [round(ours * 1e3, 2), of("load_ms"), of("save_ms")]
            }
            None => [Value::Null, Value::Null, Value::Null],
        });
        let named = names.into_iter().zip(values);
        figures.extend(named.map(|((name, what), value)| (name, value, what)));
    }
    Ok(figures)
}

/// Has Keras train W1 for some steps and save it as `theirs` in both forms, and gives how long it takes
/// to save and to load them.
fn by_keras(folder: &Path, runs: usize) -> Result<Option<Value>, Box<dyn Error>> {
    let Some(python) = env::var_os(PYTHON) else { return Ok(None) };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/keras_files.py");
    let output =
        Command::new(python).arg("-B").arg(script).arg(folder).arg(runs.to_string()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(Some(serde_json::from_slice(&output.stdout)?))
}

/// A file of either form without what keepnet keeps there.
fn without_kept(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let budget = &mut Budget::new(1 << 30);
    if !bytes.starts_with(b"PK") {
        let mut root = hdf5::read(bytes, budget)?;
        root.members.remove("keepnet");
        return Ok(hdf5::write(&root)?.concat());
    }
    const WEIGHTS: &str = "model.weights.h5";
    let archive = zip::Archive::read(bytes)?;
    let mut members = Vec::new();
    for name in ["metadata.json", "config.json", WEIGHTS] {
        let content = archive.get(name, budget)?.ok_or("a member is missing")?;
        let content = if name == WEIGHTS { without_kept(&content)? } else { content.into_owned() };
        members.push((name, content));
    }
    let pieces: Vec<(&str, [&[u8]; 1])> =
        members.iter().map(|(name, content)| (*name, [content.as_slice()])).collect();
    let members: Vec<(&str, &[&[u8]])> =
        pieces.iter().map(|(name, pieces)| (*name, pieces.as_slice())).collect();
    let mut bare = Vec::new();
    zip::write(&members, &mut bare)?;
    Ok(bare)
}
