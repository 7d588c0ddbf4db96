//! Every command on files of Keras: `.keras` of Keras 3 and of tf-keras, `.h5` of both.

use std::fs;

use keepnet::format::{self, Limits};
use keepnet::train::data::mnist;
use keepnet::{Loss, Model, Optimizer, Samples, SaveOptions};
use serde_json::Value;

use crate::place::{Place, digits};

/// A file of Keras that is kept for tests, under that name in the place.
fn with(file: &str, name: &str) -> Place {
    let place = Place::new();
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden_keras_files");
    fs::copy(format!("{files}/{file}"), place.path(name)).unwrap();
    place
}

/// The digits of the other tests, as a file of Keras.
fn with_digits() -> (Place, Model) {
    let (place, model) = (Place::new(), digits());
    model.save(place.path("digits.keras")).unwrap();
    (place, model)
}

fn bits(samples: &Samples) -> Vec<u32> {
    samples.to_array().iter().map(|value| value.to_bits()).collect()
}

#[test]
fn converted_files_say_what_came_along() {
    let place = with("k2-optimizer-adam/model.h5", "old.h5");
    let text = place.done(&["convert", "old.h5", "new.knet"]);
    let start = "saved old.h5 as new.knet, in the file form\nwritten by Keras 2.21.0\noptimizer restored, after ";
    assert!(text.starts_with(start), "{text}");

    let json = place.json(&["convert", "old.h5", "new.keras"]);
    assert_eq!((&json["form"], &json["from"]), (&"keras".into(), &"old.h5".into()));
    assert_eq!(json["report"]["writer"], "Keras 2.21.0");
    assert!(json["report"]["optimizer_steps"].as_u64().unwrap() > 0);
    assert_eq!((&json["left_out"], &json["not_held"]), (&Value::Array(vec![]), &json["left_out"]));
    // From Keras to keepnet to Keras to keepnet, the model stays the same.
    place.done(&["convert", "new.keras", "again.knet"]);
    let load = |name: &str| Model::load(place.path(name)).unwrap();
    let bytes = |name: &str| load(name).to_bytes(SaveOptions::default()).unwrap();
    assert!(bytes("again.knet") == bytes("new.knet"));
}

#[test]
fn a_model_of_any_size_takes_the_shape_that_is_given() {
    let place = with("k3-net-any-size/model.keras", "any.keras");
    let error = place.fails(1, &["summary", "any.keras"]);
    assert!(error.contains("[null,null,null,2]") && error.contains("--input-shape"), "{error}");
    let shaped = |command: &[&str], shape| {
        place.run(&[command, &["any.keras", "--input-shape", shape]].concat())
    };
    let summary = shaped(&["summary"], "9,7,2");
    assert!(summary.status == 0 && summary.stdout.contains("7×5×3"), "{}", summary.stdout);
    // Another number of channels than the file tells, another rank, no shape at all.
    for (shape, status) in [("9,7,3", 1), ("9,2", 1), ("9,x,2", 2), ("9,0,2", 2)] {
        assert_eq!(shaped(&["summary"], shape).status, status, "{shape}");
    }
    place.done(&["convert", "any.keras", "fixed.knet", "--input-shape", "9,7,2"]);
    place.done(&["summary", "fixed.knet", "--input-shape", "9,7,2"]);
    let error = place.fails(1, &["summary", "fixed.knet", "--input-shape", "9,8,2"]);
    assert!(error.contains("takes an input of shape 9×7×2, not"), "{error}");
    let one = Samples::new(1, keepnet::Shape::image(9, 7, 2), vec![0.5; 126]).unwrap();
    place.write_npy("x.npy", &one);
    let of_any = place.json(&["predict", "any.keras", "-i", "x.npy", "--input-shape", "9,7,2"]);
    let of_one = place.json(&["predict", "fixed.knet", "-i", "x.npy"]);
    assert_eq!(of_any["outputs"][0]["predictions"], of_one["outputs"][0]["predictions"]);
}

#[test]
fn alike_notices_are_gathered() {
    let place = with("k3-policy-bfloat16/model.keras", "half.keras");
    let (_, report) = format::load_reported(&place.path("half.keras"), &Limits::default()).unwrap();
    let all = report.unwrap().notices.len();
    let json = place.json(&["convert", "half.keras", "half.knet"]);
    let notices = json["report"]["notices"].as_array().unwrap();
    let count: u64 = notices.iter().map(|notice| notice["count"].as_u64().unwrap()).sum();
    assert!(count == all as u64 && notices.len() < all, "{notices:?}");
    let text = place.done(&["convert", "half.keras", "half.knet"]);
    assert!(text.contains("note: ") && text.contains(" more like it)"), "{text}");
}

#[test]
fn what_keras_has_no_place_for_is_said() {
    let (place, model) = Place::with_digits();
    let text = place.done(&["convert", "digits.knet", "digits.keras"]);
    assert!(text.starts_with("saved digits.knet as digits.keras, in the Keras form\n"), "{text}");
    let held = format::load(&place.path("digits.keras"), &Limits::default()).unwrap();
    let lost = text.lines().find(|line| line.starts_with("no place there for"));
    assert_eq!(lost.is_some_and(|line| line.contains("history")), held.history.is_none(), "{text}");
    assert_eq!(lost.is_some_and(|line| line.contains("proof")), held.proof.is_none(), "{text}");
    let images = &mnist::embedded().unwrap().validation.take(20).inputs()[0].clone();
    let again = Model::load(place.path("digits.keras")).unwrap();
    let answers = |model: &Model| bits(&Samples::from(model.predict(images).unwrap().into_dyn()));
    assert_eq!(answers(&again), answers(&model));
}

#[test]
fn the_other_commands_take_them_too() {
    let (place, model) = with_digits();
    model.save(place.path("digits.knet")).unwrap();
    let summary = place.done(&["summary", "digits.keras"]);
    assert!(summary.contains("Conv2d") || summary.contains("conv2d"), "{summary}");
    let json = |name: &str| place.json(&["evaluate", name])["values"].clone();
    assert_eq!(json("digits.keras"), json("digits.knet"));
    place.write_npy("x.npy", &crate::place::images(3));
    for name in ["digits.keras", "digits.knet"] {
        place.done(&["predict", name, "-i", "x.npy", "-o", &format!("{name}.npy")]);
    }
    assert!(place.read("digits.keras.npy") == place.read("digits.knet.npy"));
    // What is there to inspect are checksums of keepnet's own.
    let error = place.fails(1, &["inspect", "digits.keras"]);
    assert!(error.contains("keepnet doctor"), "{error}");
}

#[test]
fn verify_says_what_cannot_be_checked() {
    let (place, _) = with_digits();
    let text = place.done(&["verify", "digits.keras"]);
    assert!(text.contains("ok   checksums  CRC-32 of every member"), "{text}");
    let json = place.json(&["verify", "digits.keras"]);
    assert_eq!((&json["result"], &json["checksums"]), (&"identical".into(), &"CRC-32".into()));

    // What keepnet keeps in its own is checked, in either form.
    place.done(&["convert", "digits.keras", "digits.h5"]);
    for file in ["digits.keras", "digits.h5"] {
        let text = place.done(&["verify", file]);
        assert!(text.contains("ok   digests    SHA-256 of every tensor"), "{text}");
        assert!(!text.contains("checksums  none"), "{text}");
        assert!(text.contains(": every bit as saved\nidentical: "), "{text}");
        let text = place.done(&["doctor", file]);
        assert!(text.contains("written by keepnet, in the words of"), "{text}");
    }

    // One bit of a weight.
    let mut bytes = place.read("digits.keras");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    place.write("flipped.keras", bytes);
    let error = place.fails(3, &["verify", "flipped.keras"]);
    assert!(error.contains("flipped.keras"), "{error}");
    let run = place.run(&["verify", "flipped.keras", "--json"]);
    assert_eq!((run.status, &run.json()["result"]), (3, &"damaged".into()));

    let place = with("k2-optimizer-adam/model.h5", "old.h5");
    let text = place.done(&["verify", "old.h5"]);
    assert!(text.contains("–    checksums  none: a flipped bit in a weight goes unseen"), "{text}");
    assert!(text.contains("–    proof      none: only what keepnet saved"), "{text}");
    let json = place.json(&["verify", "old.h5"]);
    assert_eq!((&json["result"], &json["checksums"]), (&"no_proof".into(), &Value::Null));
}

/// Training on from a file of Keras is training on from the same model in a file of keepnet.
#[test]
fn training_goes_on_from_any_form() {
    let place = Place::new();
    let image = keepnet::Shape::image(28, 28, 1);
    let mut model = keepnet::Sequential::new(image)
        .flatten()
        .dense(10, keepnet::Activation::Softmax)
        .build(3)
        .unwrap();
    let settings = (Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy);
    model.compile(settings.0, settings.1).unwrap();
    model.save(place.path("m.keras")).unwrap();
    fs::create_dir(place.path("data")).unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/keras/mnist320");
    for part in ["train", "t10k"] {
        for kind in ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"] {
            let to = place.path(&format!("data/{part}-{kind}"));
            fs::copy(format!("{golden}-{kind}"), to).unwrap();
        }
    }
    let train = |from: &str, to: &str| {
        let run = place.run(&["train", from, "--data", "data", "--epochs", "2", "--out", to]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert!(run.stderr.starts_with("note: epoch "), "{}", run.stderr);
        assert!(run.stdout.ends_with(&format!("saved as {to}\n")), "{}", run.stdout);
        run.stdout
    };
    let first = train("m.keras", "n.keras");
    assert!(first.contains("320 samples of data\n  epoch 1: loss "), "{first}");
    assert!(first.contains("  epoch 2: loss ") && first.contains("val_accuracy "), "{first}");
    // The optimizer's steps are those of both trainings: 10 steps an epoch.
    train("n.keras", "o.knet");
    assert_eq!(Model::load(place.path("o.knet")).unwrap().steps(), 40);

    let arguments = ["train", "m.keras", "--data", "data", "--out", "p.knet", "--optimizer", "sgd"];
    let run = place.run(&[&arguments[..], &["--learning-rate", "0.05", "--json"]].concat());
    assert_eq!((run.status, &run.json()["samples"]), (0, &320.into()), "{}", run.stderr);
    let compiled = Model::load(place.path("p.knet")).unwrap().compiled().unwrap().clone();
    assert_eq!(compiled.optimizer, Optimizer::sgd(0.05, 0.0));

    place.fails(2, &["train", "m.keras", "--data", "data", "--out", "m.keras"]);
    place.fails(1, &["train", "m.keras", "--data", "data", "--out", "m.xyz"]);
}

#[test]
fn weights_alone_become_a_model() {
    let (place, model) = Place::with_digits();
    model.save(place.path("digits.keras")).unwrap();
    model.save_weights(place.path("w.weights.h5")).unwrap();
    model.save_weights(place.path("w.h5")).unwrap();
    let answers = |name: &str| {
        let model = Model::load(place.path(name)).unwrap();
        bits(&Samples::from(model.predict(&crate::place::images(3)).unwrap().into_dyn()))
    };
    for (weights, architecture) in [
        ("w.weights.h5", "digits.keras"),
        ("w.weights.h5", "digits.knet"),
        ("w.h5", "digits.keras"),
    ] {
        let text = place.done(&["convert", weights, "out.keras", "--architecture", architecture]);
        assert!(
            text.starts_with(&format!("saved {weights} as out.keras, in the Keras form\n")),
            "{text}"
        );
        assert_eq!(answers("out.keras"), answers("digits.knet"));
        let restored = text.contains("optimizer restored, after 3 steps");
        assert_eq!(restored, weights == "w.weights.h5", "{text}");
        // Without the layers it is no model, and the message says where to get them.
        let error = place.fails(3, &["summary", weights]);
        assert!(error.contains("--architecture"), "{error}");
        let text = place.done(&["doctor", weights]);
        assert!(text.contains("weights alone, without the layers that they are of"), "{text}");
        assert!(text.contains("Keras 3 takes it by `load_weights`"), "{text}");
    }
    let json = place.json(&["doctor", "w.weights.h5"]);
    assert_eq!((&json["content"], &json["layers"]["conv2d"]), (&"weights".into(), &1.into()));
    fs::copy(place.path("w.weights.h5"), place.path("misnamed.h5")).unwrap();
    assert_eq!(place.json(&["doctor", "misnamed.h5"])["keras_3"]["result"], "refused");

    // The way back, and a text as `to_json` gives it.
    place.done(&["convert", "digits.knet", "again.weights.h5"]);
    assert!(place.read("again.weights.h5") == place.read("w.weights.h5"));
    place.write("list.json", r#"{"class_name": "Sequential", "config": []}"#);
    let error = place.fails(3, &["summary", "list.json"]);
    assert!(error.contains("without weights") && error.contains("--architecture"), "{error}");
    let arguments = ["convert", "w.h5", "out.knet", "--architecture", "list.json"];
    assert!(!place.fails(1, &arguments).is_empty());
}

#[test]
fn each_keras_is_given_what_it_trains_on() {
    let (place, _) = Place::with_digits();
    for (target, to, hidden) in [
        ("keras3", "new.keras", false),
        ("keras2", "old.keras", false),
        ("keras3", "new.h5", true),
        ("keras2", "old.h5", false),
    ] {
        let text = place.done(&["convert", "digits.knet", to, "--target", target]);
        assert_eq!(text.contains("note: in Keras the optimizer starts anew"), hidden, "{text}");
        let json = place.json(&["doctor", to]);
        let result = |own: bool| match own || to == "new.h5" {
            true => "nothing_found",
            false => "state_lost",
        };
        assert_eq!(json["keras_3"]["result"], result(target == "keras3"), "{to}: {json}");
        assert_eq!(json["tf_keras_2"]["result"], result(target == "keras2"), "{to}: {json}");
    }
}

#[test]
fn what_did_not_come_along_is_told_beside_the_answer() {
    let place = with("k3-policy-bfloat16/model.keras", "half.keras");
    for command in ["summary", "verify"] {
        let run = place.run(&[command, "half.keras", "--json"]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert!(
            run.stderr.contains("note: ") && run.stderr.contains("is f32 now"),
            "{}",
            run.stderr
        );
        assert!(run.json().is_object());
    }
}

#[test]
fn doctor_tells_who_opens_a_file() {
    let place = with("k2-batch-normalization/model.keras", "old.keras");
    let text = place.done(&["doctor", "old.keras"]);
    for line in [
        "  `.keras` archive written by Keras 2.21.0, in the words of Keras 2\n",
        "Keras 3 does not open it\n  `axis` is a list, where one number is expected",
        "tf-keras 2 opens it, as far as is known\n",
        "keepnet opens it; `keepnet convert old.keras NEW.keras` writes one without these\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    // What convert writes is mended.
    place.done(&["convert", "old.keras", "new.keras"]);
    let json = place.json(&["doctor", "new.keras"]);
    assert_eq!(json["keras_3"]["result"], "nothing_found", "{json}");
    assert_eq!(json["tf_keras_2"]["result"], "nothing_found", "{json}");

    // Saving for Keras 3 once more would not help tf-keras.
    let place = with("k3-optimizer-adam/model.keras", "new.keras");
    let text = place.done(&["doctor", "new.keras"]);
    assert!(text.contains("convert new.keras NEW.keras` writes one that both open; "), "{text}");
    place.done(&["convert", "new.keras", "both.keras"]);
    let text = place.done(&["doctor", "both.keras"]);
    let remedy = "keepnet opens it; `keepnet convert both.keras NEW.keras --target keras2` writes";
    assert!(text.contains(remedy), "{text}");
    place.done(&["convert", "both.keras", "old.keras", "--target", "keras2"]);
    assert_eq!(place.json(&["doctor", "old.keras"])["tf_keras_2"]["result"], "nothing_found");

    let place = with("k3-refuse-lambda/model.keras", "code.keras");
    let json = place.json(&["doctor", "code.keras"]);
    assert_eq!(json["keras_3"]["result"], "refused");
    assert!(json["keepnet"].as_str().unwrap().contains("runs code of its own"), "{json}");

    let (place, _) = Place::with_digits();
    let error = place.fails(1, &["doctor", "digits.knet"]);
    assert!(error.contains("no model of Keras"), "{error}");
}
