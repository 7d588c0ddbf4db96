//! `verify`

use keepnet::format::{self, Format, Limits};
use keepnet::model::{Checkpoint, NamedTensor};
use keepnet::tensor::Tensor;

use crate::place::Place;

/// `digits.knet` with a parameter that is so far from the one of its proof, and every checksum right.
fn changed(place: &Place, by: f32) -> Checkpoint<'static> {
    let mut checkpoint = format::load(&place.path("digits.knet"), &Limits::default()).unwrap();
    let NamedTensor { tensor, .. } = &mut checkpoint.tensors[0];
    let mut values = tensor.to_f32().unwrap();
    values[0] += by;
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
            "skipped",
            "tensors",
            "version",
        ];
        assert_eq!(members, documented);
    }
}

#[test]
fn other_answers_by_the_same_arithmetic_end_with_3() {
    let (place, _) = Place::with_digits();
    save(&place, "changed.knet", &changed(&place, 0.25));
    let run = place.run(&["verify", "changed.knet"]);
    assert_eq!((run.status, run.stderr.as_str()), (3, ""));
    assert!(run.stdout.contains("BAD  proof"), "{}", run.stdout);
    assert!(run.stdout.lines().last().unwrap().starts_with("different: "), "{}", run.stdout);
    let run = place.run(&["verify", "changed.knet", "--json"]);
    assert_eq!((run.status, &run.json()["result"]), (3, &"different".into()));
    assert!(run.json()["largest_difference"].as_f64().unwrap() > 0.0);
}

#[test]
fn other_arithmetic_ends_with_4_unless_the_answers_are_too_far() {
    let (place, _) = Place::with_digits();
    for (by, status, proof) in [(0.0, 4, "every bit as saved"), (9.0, 3, "other bits")] {
        let mut checkpoint = changed(&place, by);
        checkpoint.proof.as_mut().unwrap().arithmetic_revision = 9_999;
        save(&place, "other.knet", &checkpoint);
        let run = place.run(&["verify", "other.knet"]);
        assert_eq!(run.status, status, "{}", run.stdout);
        assert!(run.stdout.contains(&format!("revision 9999: {proof}")), "{}", run.stdout);
    }
    let mut checkpoint = changed(&place, 1e-5);
    checkpoint.proof.as_mut().unwrap().arithmetic_revision = 9_999;
    save(&place, "other.knet", &checkpoint);
    let run = place.run(&["verify", "other.knet"]);
    assert_eq!((run.status, run.stderr.as_str()), (4, ""));
    assert!(run.stdout.contains("arithmetic revision 9999: other bits"), "{}", run.stdout);
    assert!(run.stdout.lines().last().unwrap().starts_with("sound, "), "{}", run.stdout);
    let run = place.run(&["verify", "other.knet", "--json"]);
    assert_eq!((run.status, &run.json()["result"]), (4, &"other_arithmetic".into()));
}

/// Whatever the network gives, answers that are no numbers prove nothing.
#[test]
fn answers_that_are_not_finite_end_with_3() {
    let (place, _) = Place::with_digits();
    for revision in [keepnet::nn::ARITHMETIC_REVISION, 9_999] {
        for answer in [f32::NAN, f32::INFINITY] {
            let mut checkpoint = changed(&place, 0.0);
            let proof = checkpoint.proof.as_mut().unwrap();
            proof.arithmetic_revision = revision;
            let tensor = &mut proof.outputs[0].tensor;
            let mut answers = tensor.to_f32().unwrap();
            answers[0] = answer;
            *tensor = Tensor::from_f32(tensor.shape().clone(), &answers).unwrap().into_owned();
            save(&place, "endless.knet", &checkpoint);
            let run = place.run(&["verify", "endless.knet"]);
            assert_eq!(run.status, 3, "{}", run.stdout);
        }
    }
}

#[test]
fn what_is_refused_is_told_to_programs_too() {
    let (place, _) = Place::with_digits();
    let good = std::fs::read(place.path("digits.knet")).unwrap();
    let newer = {
        let mut bytes = good.clone();
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        bytes
    };
    for (name, bytes, status, result) in [
        ("cut.knet", Some(&good[..good.len() / 2]), 3, "damaged"),
        ("newer.knet", Some(newer.as_slice()), 3, "not_known"),
        ("text.knet", Some(b"no model".as_slice()), 3, "not_known"),
        ("absent.knet", None, 1, "not_read"),
    ] {
        if let Some(bytes) = bytes {
            std::fs::write(place.path(name), bytes).unwrap();
        }
        let run = place.run(&["verify", name, "--json"]);
        assert_eq!((run.status, &run.json()["result"]), (status, &result.into()), "{name}");
        assert!(run.json()["error"].as_str().unwrap().contains(name));
        let text = place.run(&["verify", name]);
        assert_eq!((text.status, text.stdout.as_str()), (status, ""), "{name}");
    }
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
