//! `verify`

use keepnet::format::{self, Format, Limits};
use keepnet::model::{Checkpoint, NamedTensor};
use keepnet::tensor::Tensor;

use crate::place::Place;

/// `digits.knet` with a parameter that is not the one of its proof, and every checksum right.
fn changed(place: &Place) -> Checkpoint<'static> {
    let mut checkpoint = format::load(&place.path("digits.knet"), &Limits::default()).unwrap();
    let NamedTensor { tensor, .. } = &mut checkpoint.tensors[0];
    let mut values = tensor.to_f32().unwrap();
    values[0] += 0.25;
    let shape = tensor.shape().clone();
    *tensor = Tensor::from_f32(shape, &values).unwrap().into_owned();
    checkpoint
}

fn save(place: &Place, name: &str, checkpoint: &Checkpoint<'_>) {
    format::save(checkpoint, &place.path(name), Format::File).unwrap();
}

#[test]
fn what_was_saved_is_identical_on_any_number_of_threads() {
    let (place, _) = Place::with_digits();
    place.done(&["unpack", "digits.knet", "digits/"]);
    for model in ["digits.knet", "digits"] {
        for threads in ["1", "3"] {
            let text = place.done(&["verify", model, "--threads", threads]);
            let verdict = text.lines().last().unwrap();
            assert_eq!(verdict, "identical: this is the model that was saved", "{text}");
            let revision = keepnet::nn::ARITHMETIC_REVISION;
            let proof = format!("4 samples, arithmetic revision {revision}: every bit as saved");
            assert!(text.contains(&proof), "{text}");
        }
        let json = place.json(&["verify", model]);
        assert_eq!(
            (&json["result"], &json["largest_difference"]),
            (&"identical".into(), &0.0.into())
        );
        let members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let documented = [
            "form",
            "largest_difference",
            "model",
            "proof",
            "result",
            "sections",
            "sha256",
            "tensors",
            "version",
        ];
        assert_eq!(members, documented);
    }
}

#[test]
fn other_answers_by_the_same_arithmetic_end_with_3() {
    let (place, _) = Place::with_digits();
    save(&place, "changed.knet", &changed(&place));
    let run = place.run(&["verify", "changed.knet"]);
    assert_eq!((run.status, run.stderr.as_str()), (3, ""));
    assert!(run.stdout.contains("BAD  proof"), "{}", run.stdout);
    assert!(run.stdout.lines().last().unwrap().starts_with("different: "), "{}", run.stdout);
    let run = place.run(&["verify", "changed.knet", "--json"]);
    assert_eq!((run.status, &run.json()["result"]), (3, &"different".into()));
    assert!(run.json()["largest_difference"].as_f64().unwrap() > 0.0);
}

#[test]
fn other_answers_by_other_arithmetic_end_with_4() {
    let (place, _) = Place::with_digits();
    let mut checkpoint = changed(&place);
    checkpoint.proof.as_mut().unwrap().arithmetic_revision = 9_999;
    save(&place, "other.knet", &checkpoint);
    let run = place.run(&["verify", "other.knet"]);
    assert_eq!((run.status, run.stderr.as_str()), (4, ""));
    assert!(run.stdout.contains("arithmetic revision 9999: other bits"), "{}", run.stdout);
    assert!(run.stdout.lines().last().unwrap().starts_with("sound, "), "{}", run.stdout);
    let run = place.run(&["verify", "other.knet", "--json"]);
    assert_eq!((run.status, &run.json()["result"]), (4, &"other_arithmetic".into()));
}

#[test]
fn a_model_without_proof_is_sound() {
    let (place, _) = Place::with_digits();
    place.done(&["convert", "digits.knet", "bare.knet", "--without", "proof"]);
    let text = place.done(&["verify", "bare.knet"]);
    assert!(text.contains("none was saved") && text.contains("\nsound; "), "{text}");
    let json = place.json(&["verify", "bare.knet"]);
    assert_eq!(json["result"], "no_proof");
    assert!(json["proof"].is_null() && json["largest_difference"].is_null());
}
