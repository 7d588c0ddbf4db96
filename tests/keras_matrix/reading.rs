//! What is read of the files of the matrix, and how it answers.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use keepnet::Model;
use keepnet::bytes::Budget;
use keepnet::wire::hdf5;
use serde_json::{Value, json};

use super::keras_support::Case;
use super::{is_unwritten, matrix, note, python};

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
