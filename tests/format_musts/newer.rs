//! FORMAT.md: what today's readers make of newer schemas, and of tensors that they do not know.

use keepnet::format::{Format, FormatError, Limits, inspect, load, pack, save, to_bytes, unpack};
use keepnet::{
    Checkpoint, Dataset, FitOptions, Model, ResumeOptions, Samples, Shape, Targets, TrainError,
};

use crate::format_support::container::Container;
use crate::format_support::newer::{newer_schema, with_tensor_of};
use crate::format_support::refusal::{assert_says, container, damage, read};
use crate::format_support::{assert_same_bits, small};
use crate::written;

/// The small model without what belongs to a section, which was passed over.
fn without(id: &str) -> Checkpoint<'static> {
    let small = Checkpoint { passed_over: vec![id.to_owned()], ..small() };
    match id {
        "compile" => Checkpoint { compile: None, ..small },
        "optimizer" => Checkpoint { optimizer: None, ..small },
        "training" => Checkpoint { training: None, ..small },
        "history" => Checkpoint { history: None, ..small },
        "proof" => Checkpoint { proof: None, ..small },
        _ => small,
    }
}

#[test]
fn f_28_newer_schemas_are_passed_over() {
    let home = tempfile::tempdir().unwrap();
    for id in ["compile", "optimizer", "training", "history", "proof"] {
        for file in written() {
            let text = format!("section `{id}`");
            assert!(read(&file).is_ok(), "{text}");
        }
        let newer = newer_schema(id);
        assert_same_bits(&read(&newer).unwrap(), &without(id));
        let path = home.path().join(format!("{id}.knet"));
        std::fs::write(&path, &newer).unwrap();
        assert_eq!(inspect(&path).unwrap().skipped, [id]);
        let error = unpack(&path, &home.path().join(id)).unwrap_err();
        assert!(matches!(error.cause(), FormatError::WouldLose { .. }), "{error}");
        // The model predicts; to train or save it would lose what was passed over.
        let mut model = Model::load(&path).unwrap();
        let lost = format!("sections [\"{id}\"] of a newer keepnet were passed over");
        let again = || home.path().join(format!("{id}-again.knet"));
        let saved = model.save(again()).unwrap_err();
        assert_says(&saved.to_string(), &[&lost]);
        assert!(!again().exists());
        assert_eq!(model.passed_over(), [id]);
        let none = Samples::new(1, Shape::image(4, 4, 1), vec![0.0; 16]).unwrap();
        let data = Dataset::new(none, Targets::Classes(vec![0].into())).unwrap();
        let refused = model.fit(&data, &FitOptions::default()).unwrap_err();
        assert!(matches!(refused, TrainError::PassedOver { .. }), "{refused}");
        let refused = model.resume(&data, &ResumeOptions::default(), &mut ()).unwrap_err();
        assert!(matches!(refused, TrainError::PassedOver { .. }), "{refused}");
        let only = keepnet::SaveOptions { proof: true, ..keepnet::SaveOptions::weights_only() };
        assert_eq!(model.to_bytes(only).is_ok(), id != "proof");
        model.forget_passed_over();
        model.save(again()).unwrap();
        let none = container().replacing(id, "\"schema\": 1", "\"schema\": 0");
        assert_says(&damage(&none), &["no schema 0"]);
        let huge = container().replacing(id, "\"schema\": 1", "\"schema\": 18446744073709551616");
        assert!(!damage(&huge).is_empty());
        let mut array = Container::take_apart(&newer_schema(id));
        array.section(id).payload = b"[2]".to_vec();
        assert!(!damage(&array.put_together()).is_empty());
        let missing = container().replacing(id, "  \"schema\": 1,\n", "");
        assert_says(&damage(&missing), &["missing field `schema`"]);
    }
}

/// What callbacks remember goes with the training state.
#[test]
fn weights_of_callbacks_are_passed_over_with_a_newer_training_state() {
    let mut whole = small();
    let fit = whole.training.as_mut().unwrap().fit.as_mut().unwrap();
    fit.callbacks.values_mut().next().unwrap().weights = Some(whole.tensors.clone());
    let container = Container::take_apart(&to_bytes(&whole).unwrap());
    let newer = container.replacing("training", "\"schema\": 1", "\"schema\": 2");
    assert_same_bits(&read(&newer).unwrap(), &without("training"));
}

/// With the first `from` replaced by `to`.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn f_60_tensors_of_what_is_passed_over() {
    let container = with_tensor_of("ema");
    let file = container.put_together();
    assert_same_bits(&read(&file).unwrap(), &without("ema"));
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("newer.knet");
    std::fs::write(&path, &file).unwrap();
    assert_eq!(inspect(&path).unwrap().skipped, ["ema"]);
    assert_same_bits(&load(&path, &Limits::default()).unwrap(), &without("ema"));

    // Its numbers, its padding and its place are checked all the same.
    let end = container.clone().section("tensors").payload.len();
    let bad = container.clone().with("tensors", |section| section.payload[end - 128] ^= 1);
    assert_says(&damage(&bad), &["tensor \"averages\"", "SHA-256"]);
    let bad = container.clone().with("tensors", |section| section.payload[end - 1] = 1);
    assert_says(&damage(&bad), &["padding"]);
    let bad = container.clone().with("index", |section| {
        let at = section.payload.len() - 32 - 16;
        section.payload[at] ^= 64;
    });
    assert_says(&damage(&bad), &["the offset of a tensor"]);
    // Its section must be there, and one with roles of its own has no others.
    for owner in ["other", "optimizer", "Ema", ""] {
        let words = damage(&with_tensor_of(owner).put_together());
        assert_says(&words, &["section `index`", "which is not there"]);
    }
    // It stands last, once, is of a known type and takes what its shape says.
    let record = |container: &Container| {
        let index = container.clone().section("index").payload.clone();
        let length = 4 + 12 + 4 + (8 + 8) + (8 + 5) + (8 + 8) + 8 + 8 + 32;
        let (before, last) = index.split_at(index.len() - length);
        (before.to_vec(), last.to_vec())
    };
    let (before, last) = record(&container);
    for (index, words) in [
        ([last.clone(), before.clone()].concat(), "must stand after all others"),
        ([before.clone(), last.clone(), last.clone()].concat(), "is listed twice"),
        ([before.clone(), replaced(&last, b"uint8", b"uint7")].concat(), "the element type"),
        (
            [before, replaced(&last, &70_u64.to_le_bytes(), &71_u64.to_le_bytes())].concat(),
            "length",
        ),
    ] {
        let bad = container.clone().with("index", |section| section.payload = index);
        assert_says(&damage(&bad), &["section `index`", words]);
    }
    // A writer has none to write.
    for file in written() {
        assert!(crate::tensors::index(&file).iter().all(|record| record.role < 4));
    }
}

/// The directory form passes over the same.
#[test]
fn directories_of_newer_schemas_are_read() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    save(&small(), &path, Format::Directory).unwrap();
    for id in ["compile", "optimizer", "training", "history", "proof"] {
        let (_home, path) = crate::format_support::refusal::saved();
        let name = format!("extra/{id}.json");
        let text = std::fs::read_to_string(path.join(&name)).unwrap();
        let later = text.replacen("\"schema\": 1", "\"schema\": 3,\n  \"anything\": [null]", 1);
        crate::directory::replace(&path, &name, later.as_bytes());
        assert_same_bits(&load(&path, &Limits::default()).unwrap(), &without(id));
        assert_eq!(inspect(&path).unwrap().skipped, [id]);
        assert!(pack(&path, &home.path().join("packed.knet")).is_err());
    }
}
