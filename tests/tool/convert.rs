//! `convert`, `pack` and `unpack`

use std::fs;

use keepnet::{Model, SaveOptions};

use crate::place::{Place, contents};

#[test]
fn pack_and_unpack_are_inverse() {
    let (place, _) = Place::with_digits();
    let saved = place.read("digits.knet");
    assert_eq!(place.done(&["unpack", "digits.knet", "a/"]), "unpacked digits.knet as a/\n");
    assert_eq!(place.done(&["pack", "a", "again.knet"]), "packed a as again.knet\n");
    assert!(place.read("again.knet") == saved);
    place.done(&["unpack", "again.knet", "b"]);
    assert_eq!(contents(&place.path("b")), contents(&place.path("a")));
    // What is asked for by name is also what convert chooses.
    place.done(&["convert", "digits.knet", "c"]);
    assert_eq!(contents(&place.path("c")), contents(&place.path("a")));
    place.done(&["convert", "c", "d.knet"]);
    assert!(place.read("d.knet") == saved);
}

#[test]
fn what_is_left_out_is_said() {
    let (place, model) = Place::with_digits();
    let text = place.done(&["convert", "digits.knet", "w.knet", "--weights-only"]);
    assert_eq!(
        text,
        "saved digits.knet as w.knet, in the file form\n\
         left out: compile, optimizer, training, history, metadata, proof\n"
    );
    assert!(place.read("w.knet") == model.to_bytes(SaveOptions::weights_only()).unwrap());

    let without = "optimizer,history";
    let text = place.done(&["convert", "digits.knet", "s.knet", "--without", without]);
    assert_eq!(
        text,
        "saved digits.knet as s.knet, in the file form\nleft out: optimizer, history\n"
    );
    let options = SaveOptions { optimizer: false, history: false, ..SaveOptions::default() };
    assert!(place.read("s.knet") == model.to_bytes(options).unwrap());
    // There is nothing left to leave out.
    let text = place.done(&["convert", "s.knet", "t.knet", "--without", "history"]);
    assert_eq!(text, "saved s.knet as t.knet, in the file form\n");
}

#[test]
fn what_stood_there_is_replaced() {
    let (place, model) = Place::with_digits();
    place.write("out.knet", "anything");
    place.done(&["convert", "digits.knet", "out.knet"]);
    assert_eq!(Model::load(place.path("out.knet")).unwrap().steps(), model.steps());
    place.done(&["convert", "digits.knet", "out/"]);
    place.done(&["convert", "digits.knet", "out/", "--weights-only"]);
    assert!(!place.path("out/extra").exists());
    let entries = fs::read_dir(place.path(".")).unwrap().count();
    assert_eq!(entries, 3, "no scratch copy is left");
}

#[test]
fn the_input_is_never_the_output() {
    let (place, _) = Place::with_digits();
    place.done(&["unpack", "digits.knet", "dir"]);
    let before = contents(&place.path("."));
    std::os::unix::fs::symlink("digits.knet", place.path("link.knet")).unwrap();
    for arguments in [
        ["convert", "digits.knet", "digits.knet"],
        ["convert", "digits.knet", "./dir/../digits.knet"],
        ["convert", "digits.knet", "link.knet"],
        ["convert", "link.knet", "digits.knet"],
        ["convert", "dir", "dir/"],
        ["convert", "dir", "dir/inside.knet"],
        ["pack", "dir", "dir"],
        ["pack", "dir", "dir/tensors/inside.knet"],
        ["unpack", "digits.knet", "digits.knet"],
    ] {
        let error = place.fails(2, &arguments);
        assert!(error.contains(arguments[2]), "{error}");
    }
    fs::remove_file(place.path("link.knet")).unwrap();
    assert_eq!(contents(&place.path(".")), before);
}

#[test]
fn forms_that_are_not_there_are_refused() {
    let (place, _) = Place::with_digits();
    let error = place.fails(1, &["convert", "digits.knet", "digits.doc"]);
    assert!(error.contains("digits.doc: `.doc` is no extension of a known format"), "{error}");
    place.fails(1, &["pack", "digits.knet", "out.knet"]);
    place.done(&["unpack", "digits.knet", "dir"]);
    place.fails(1, &["unpack", "dir", "out"]);
    // A directory of the user's own is not replaced.
    fs::create_dir(place.path("mine")).unwrap();
    place.write("mine/thesis.txt", "years of work");
    let error = place.fails(1, &["unpack", "digits.knet", "mine"]);
    assert!(error.contains("mine: the directory holds `thesis.txt`"), "{error}");
    assert_eq!(place.read("mine/thesis.txt"), b"years of work");
}

#[test]
fn options_of_another_form_are_refused() {
    let (place, _) = Place::with_digits();
    for (out, option, value) in [
        ("out.onnx", "--to", "savedmodel"),
        ("out.knet", "--to", "directory"),
        ("out.weights.h5", "--to", "savedmodel"),
        ("out.onnx", "--layout", "torch"),
        ("out", "--layout", "keras"),
        ("out.safetensors", "--target", "keras2"),
        ("out.knet", "--target", "keras3"),
    ] {
        let error = place.fails(2, &["convert", "digits.knet", out, option, value]);
        assert!(error.contains(option), "{error}");
        assert!(!place.path(out).exists(), "{out}");
    }
    place.fails(2, &["train", "digits.knet", "--out", "out.knet", "--layout", "torch"]);
    let error = place.fails(1, &["convert", "digits.knet", "digits.pb"]);
    assert!(error.contains("--to savedmodel"), "{error}");
}

#[test]
fn what_is_left_out_is_not_called_restored() {
    let (place, model) = Place::with_digits();
    model.save(place.path("digits.keras")).unwrap();
    let restored = "optimizer restored, after 3 steps";
    let text = place.done(&["convert", "digits.keras", "all.knet"]);
    assert!(text.contains(restored), "{text}");
    for option in [&["--weights-only"][..], &["--without", "optimizer"]] {
        let arguments = [&["convert", "digits.keras", "less.knet"], option].concat();
        let text = place.done(&arguments);
        assert!(text.contains("left out: ") && !text.contains("restored"), "{text}");
        assert!(place.json(&arguments)["report"]["optimizer_steps"].is_null());
    }
}
