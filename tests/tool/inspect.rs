//! `summary` and `inspect`

use keepnet::nn::ARITHMETIC_REVISION;
use serde_json::json;

use crate::container::{Container, Section};
use crate::place::Place;

#[test]
fn summary_is_the_table_of_the_library() {
    let (place, model) = Place::with_digits();
    let expected = keepnet::report::summary(model.graph());
    assert_eq!(place.done(&["summary", "digits.knet"]), expected.to_string());
    let json = place.json(&["summary", "digits.knet"]);
    assert_eq!(json, serde_json::to_value(&expected).unwrap());
    // conv 3·3·1·4 + 4, dense 13·13·4·10 + 10.
    assert_eq!(json["parameters"], 40 + 6_770);
}

#[test]
fn inspect_tells_of_everything() {
    let (place, model) = Place::with_digits();
    let json = place.json(&["inspect", "digits.knet"]);
    let members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let documented = [
        "architecture_schema",
        "compile",
        "form",
        "history",
        "layers",
        "metadata",
        "name",
        "optimizer_slots",
        "optimizer_step",
        "parameters",
        "proof",
        "sections",
        "sha256",
        "skipped",
        "tensors",
        "training",
        "version",
    ];
    assert_eq!(members, documented);
    assert_eq!(json["form"], "file");
    assert_eq!(json["compile"]["optimizer"]["rule"]["adam"]["beta_2"], 0.999);
    assert_eq!(json["optimizer_step"], 3); // 20 samples in batches of 8
    assert_eq!(json["metadata"], json!({ "author": "Ada" }));
    let loss = json["history"][0]["values"][0].clone();
    assert_eq!(loss, json!(["loss", model.history().epochs[0].get("loss")]));

    let text = place.done(&["inspect", "digits.knet"]);
    let digest = json["sha256"].as_str().unwrap();
    let kernel = &json["tensors"][0];
    let short = &kernel["sha256"].as_str().unwrap()[..12];
    for expected in [
        digest,
        short,
        "Form       file, version 1.0; architecture schema 1",
        "Network    digits: 5 layers, 6,810 parameters (26.60 KiB)",
        "Adam, beta_1 0.9, beta_2 0.999, epsilon 1e-7, learning rate 0.001",
        "State      after 3 steps; keeps momentum, velocity",
        &format!("1 epoch done; seed 42; shards of 16; arithmetic revision {ARITHMETIC_REVISION}"),
        "│ conv2d/kernel │ float32 │ 3×3×1×4 │",
        "Optimizer: velocity\n",
        "Proof: answers\n",
        "History\n",
        "  author: Ada\n",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

/// The bytes at the place that is told are those that the digest is of.
#[test]
fn places_and_digests_are_those_of_the_numbers() {
    let (place, model) = Place::with_digits();
    let json = place.json(&["inspect", "digits.knet"]);
    let file = place.read("digits.knet");
    for tensor in json["tensors"].as_array().unwrap() {
        let at = tensor["offset"].as_u64().unwrap() as usize;
        let length = tensor["length"].as_u64().unwrap() as usize;
        let bytes = &file[at..at + length];
        assert_eq!(tensor["sha256"], keepnet::bytes::Digest::of(bytes).to_string());
        if tensor["role"] == "parameter" {
            let name = tensor["name"].as_str().unwrap();
            let values = model.parameter(name).unwrap().iter().flat_map(|v| v.to_le_bytes());
            assert!(values.eq(bytes.iter().copied()), "{name}");
        }
    }
}

#[test]
fn the_directory_form_has_files_for_places() {
    let (place, _) = Place::with_digits();
    place.done(&["unpack", "digits.knet", "digits"]);
    let text = place.done(&["inspect", "digits"]);
    for expected in ["Form       directory", "│ extra/proof.json ", "│ 0000-*  "] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
    let json = place.json(&["inspect", "digits"]);
    assert_eq!(json["tensors"][0]["file"], "tensors/0000-conv2d-kernel.npy");
}

#[test]
fn sections_of_a_newer_version_are_named() {
    let (place, _) = Place::with_digits();
    let mut container = Container::take_apart(&place.read("digits.knet"));
    container.sections.insert(0, Section::new("thumbnail", false, b"later"));
    place.write("newer.knet", container.put_together());
    let run = place.run(&["inspect", "newer.knet"]);
    assert_eq!(run.status, 0);
    assert_eq!(run.stderr, "note: sections of a newer keepnet were passed over: thumbnail\n");
    assert_eq!(place.json(&["inspect", "newer.knet"])["skipped"], json!(["thumbnail"]));
    assert!(place.done(&["verify", "newer.knet"]).contains("passed over: thumbnail"));

    let error = place.fails(1, &["convert", "newer.knet", "older.knet"]);
    assert!(error.contains("newer.knet: section `thumbnail`"), "{error}");
    assert!(!place.path("older.knet").exists());
}

#[test]
fn nothing_that_steers_a_terminal_comes_out() {
    let (place, mut model) = Place::with_digits();
    let hostile = "a\x1b[2Jb\u{9b}31mc\u{202e}d\ne";
    model.metadata.insert(hostile.to_owned(), hostile.to_owned());
    model.save(place.path("hostile.knet")).unwrap();
    let text = place.done(&["inspect", "hostile.knet"]);
    assert!(text.contains("a?[2Jb?31mc?d"), "{text}");
    let json = place.run(&["inspect", "hostile.knet", "--json"]);
    assert_eq!(json.json()["metadata"][hostile], hostile);
    for output in [text, json.stdout] {
        assert!(!output.contains(['\x1b', '\u{9b}', '\u{202e}']), "{output:?}");
    }
    let error = place.fails(1, &["inspect", "no\x1b[2Jfile"]);
    assert!(error.contains("no?[2Jfile: "), "{error}");
}

#[test]
fn other_locales_get_ascii() {
    let (place, _) = Place::with_digits();
    for command in ["summary", "inspect", "verify"] {
        let output = place.command(&[command, "digits.knet"]).env("LC_ALL", "C").output().unwrap();
        assert!(output.status.success() && output.stdout.is_ascii(), "{command}");
    }
}

#[test]
fn forms_of_other_programs_are_left_to_verify() {
    let (place, _) = Place::with_digits();
    place.done(&["convert", "digits.knet", "digits.onnx"]);
    let error = place.fails(1, &["inspect", "digits.onnx"]);
    let words = "the ONNX form of a model has no sections to inspect; `keepnet verify` checks it";
    assert!(error.contains(words), "{error}");
    let text = place.done(&["verify", "digits.onnx"]);
    assert!(text.contains("ok   digests    SHA-256 of every tensor"), "{text}");
    let help = place.done(&["--help"]);
    for form in [".knet", "directory", ".keras", ".h5", "SavedModel", ".onnx", ".safetensors"] {
        assert!(help.contains(form), "{form}");
    }
}

#[test]
fn the_order_of_a_shape_is_told_where_it_is_asked_for() {
    let (place, _) = Place::with_digits();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden_keras_files/k3-net-any-size");
    let run = place.run(&["summary", &format!("{golden}/model.keras")]);
    assert!(run.stderr.contains("height,width,channels"), "{}", run.stderr);
    let error = place.fails(1, &["summary", "digits.knet", "--input-shape", "1,28,28"]);
    assert!(error.contains("1×28×28; images are given as height,width,channels"), "{error}");
}
