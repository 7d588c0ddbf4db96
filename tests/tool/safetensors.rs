//! `.safetensors` files

use keepnet::bytes::Budget;
use keepnet::wire::safetensors::read;

use crate::place::Place;

#[test]
fn a_model_goes_there_and_back() {
    let (place, _) = Place::with_digits();
    let saved = place.read("digits.knet");
    for layout in ["keras", "torch"] {
        let to = "digits.safetensors";
        let text = place.done(&["convert", "digits.knet", to, "--layout", layout]);
        assert_eq!(text, "saved digits.knet as digits.safetensors, in the safetensors form\n");
        let text = place.done(&["verify", to]);
        assert!(text.contains("safetensors file, by keepnet"), "{text}");
        assert!(text.contains("SHA-256 of every tensor and section"), "{text}");
        place.done(&["convert", to, "again.knet"]);
        assert!(place.read("again.knet") == saved);
    }
    let error = place.fails(1, &["inspect", "digits.safetensors"]);
    assert!(error.contains("the safetensors form of a model has no sections"), "{error}");
}

#[test]
fn weights_alone_need_an_architecture() {
    let (place, _) = Place::with_digits();
    let bare = ["--weights-only", "--layout", "torch"];
    place.done(&[&["convert", "digits.knet", "w.safetensors"][..], &bare].concat());
    let bytes = place.read("w.safetensors");
    let mut file = read(&bytes, &mut Budget::new(1 << 24)).unwrap();
    file.metadata.clear();
    place.write("w.safetensors", file.to_pieces().unwrap().concat());
    let error = place.fails(3, &["convert", "w.safetensors", "m.knet"]);
    assert!(error.contains("weights alone, without the layers"), "{error}");
    let with = ["--architecture", "digits.knet"];
    let text = place.done(&[&["convert", "w.safetensors", "m.knet"][..], &with].concat());
    assert!(text.contains("written by a program that does not name itself"), "{text}");
    assert!(text.contains("note: kernels, and what stands behind a Flatten"), "{text}");
    place.done(&["convert", "m.knet", "a.knet", "--weights-only"]);
    place.done(&["convert", "digits.knet", "b.knet", "--weights-only"]);
    assert!(place.read("a.knet") == place.read("b.knet"));
}
