//! SavedModels of TensorFlow in the tool.

use std::fs;

use crate::place::Place;

#[test]
fn a_savedmodel_is_made_verified_and_brought_back() {
    let (place, _) = Place::with_digits();
    let made = place.json(&["convert", "digits.knet", "tf", "--to", "savedmodel"]);
    assert_eq!((&made["form"], &made["not_held"]), (&"savedmodel".into(), &[(); 0][..].into()));
    let verified = place.done(&["verify", "tf"]);
    for part in ["SavedModel of TensorFlow, by keepnet", "CRC-32C of every tensor", "identical"] {
        assert!(verified.contains(part), "{verified}");
    }
    place.done(&["convert", "tf", "again.knet"]);
    assert!(place.read("again.knet") == place.read("digits.knet"));
    let error = place.fails(1, &["inspect", "tf"]);
    assert!(error.contains("the SavedModel form of a model has no sections to inspect"), "{error}");
    let error = place.fails(1, &["doctor", "tf"]);
    assert!(error.contains("no model of Keras"), "{error}");
}

#[test]
fn versions_stand_side_by_side_and_the_newest_counts() {
    let (place, _) = Place::with_digits();
    fs::create_dir(place.path("served")).unwrap();
    for version in ["served/1", "served/2"] {
        place.done(&["convert", "digits.knet", version, "--to", "savedmodel"]);
    }
    place.done(&["convert", "served", "again.knet"]);
    assert!(place.read("again.knet") == place.read("digits.knet"));
}

#[test]
fn either_directory_gives_way_to_the_other() {
    let (place, _) = Place::with_digits();
    place.done(&["unpack", "digits.knet", "m"]);
    for form in ["savedmodel", "directory", "savedmodel"] {
        place.done(&["convert", "digits.knet", "m", "--to", form]);
        assert_eq!(place.json(&["convert", "m", "again.knet"])["form"], "file");
        assert!(place.read("again.knet") == place.read("digits.knet"));
        let entries = fs::read_dir(place.path(".")).unwrap().count();
        assert_eq!(entries, 3, "no scratch copy is left");
    }
    place.write("m/thesis.txt", "years of work");
    for form in ["savedmodel", "directory"] {
        let error = place.fails(1, &["convert", "digits.knet", "m", "--to", form]);
        assert!(error.contains("m: the directory holds `thesis.txt`"), "{error}");
    }
    assert_eq!(place.read("m/thesis.txt"), b"years of work");
}

#[test]
fn a_graph_that_was_changed_does_not_pass_for_the_one_that_was_saved() {
    let (place, _) = Place::with_digits();
    // A Selu is a Relu with one bit flipped. Before the name of an operation stand field and length.
    for (file, name, to) in [
        ("tf/saved_model.pb", b"\x12\x04Relu", &["--to", "savedmodel"][..]),
        ("m.onnx", b"\x22\x04Relu", &[]),
    ] {
        let model = file.split('/').next().unwrap();
        place.done(&[&["convert", "digits.knet", model], to].concat());
        place.done(&["verify", model]);
        let mut bytes = place.read(file);
        let at = bytes.windows(name.len()).position(|it| it == name).expect("a relu");
        bytes[at + 2] ^= 1;
        place.write(file, &bytes);
        let verified = place.run(&["verify", model]);
        assert_eq!(verified.status, 3, "{}", verified.stdout);
        assert!(verified.stdout.contains("changed: "), "{}", verified.stdout);
        assert_eq!(place.run(&["convert", model, "anew.knet"]).status, 0);
    }
}
