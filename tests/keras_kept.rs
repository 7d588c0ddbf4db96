//! What keepnet saves for Keras comes back to keepnet in every bit, and checked.

mod format_support;

use std::fs;

use format_support::{assert_same_bits, checkpoints, small};
use keepnet::bytes::Budget;
use keepnet::format::keras::{Hidden, KerasError, Notice, Reader};
use keepnet::format::*;
use keepnet::wire::hdf5;
use keepnet::*;
use proptest::prelude::*;

const FORMS: [(&str, Format); 2] = [("model.keras", Format::Keras), ("model.h5", Format::Hdf5)];

fn is_refused_by_name(error: &FormatError) -> bool {
    matches!(error.cause(), FormatError::Keras(KerasError::NoWords { .. }))
}

proptest! {
    // Few, because every save waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn everything_comes_back_in_every_bit(checkpoint in checkpoints()) {
        let home = tempfile::tempdir().unwrap();
        for (name, form) in FORMS {
            let path = home.path().join(name);
            match save(&checkpoint, &path, form) {
                Ok(()) => {}
                Err(error) if is_refused_by_name(&error) => return Err(TestCaseError::reject("no words")),
                Err(error) => panic!("{error}"),
            }
            let (read, report) = load_reported(&path, &Limits::default()).unwrap();
            assert_same_bits(&checkpoint, &read);
            prop_assert_eq!(report.unwrap().notices, []);
            let bytes = fs::read(&path).unwrap();
            save(&read, &path, form).unwrap();
            prop_assert!(fs::read(&path).unwrap() == bytes, "the same checkpoint gave other bytes");
        }
    }
}

/// Where `part` stands in `whole`, if it stands there once.
fn place_of(part: &[u8], whole: &[u8]) -> Option<usize> {
    let mut places = whole.windows(part.len()).enumerate().filter(|(_, found)| *found == part);
    let place = places.next()?.0;
    places.next().is_none().then_some(place)
}

/// Every tensor of a checkpoint, whatever it is for.
fn tensors(checkpoint: &Checkpoint<'_>) -> Vec<Vec<u8>> {
    let slots = checkpoint.optimizer.iter().flat_map(|state| &state.slots);
    let all = (checkpoint.tensors.iter())
        .chain(slots.flat_map(|slot| &slot.tensors))
        .chain(checkpoint.proof.iter().flat_map(|proof| &proof.outputs))
        .chain(checkpoint.training.iter().flat_map(TrainingState::weights).flatten());
    all.map(|named| named.tensor.bytes().to_vec()).collect()
}

#[test]
fn a_flipped_bit_in_any_tensor_is_refused() {
    let checkpoint = small();
    let home = tempfile::tempdir().unwrap();
    let flipped = home.path().join("flipped");
    for (name, form) in FORMS {
        let path = home.path().join(name);
        save(&checkpoint, &path, form).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut tried = 0;
        for tensor in tensors(&checkpoint) {
            // Some are so short that other bytes look like them.
            let Some(start) = place_of(&tensor, &whole) else { continue };
            tried += 1;
            for place in start..start + tensor.len() {
                let mut bytes = whole.clone();
                bytes[place] ^= 1 << (place % 8);
                fs::write(&flipped, bytes).unwrap();
                let error = load(&flipped, &Limits::default()).unwrap_err();
                assert!(error.is_corrupt(), "{name}, byte {place}: {error}");
            }
        }
        assert!(tried >= 8, "{name}: {tried} tensors");
    }
}

/// No bit of a file can be flipped so that another checkpoint is read in silence: it is refused, or
/// told, or is the same.
#[test]
fn no_flipped_bit_gives_another_model_in_silence() {
    let checkpoint = small();
    let home = tempfile::tempdir().unwrap();
    for (name, form) in FORMS {
        let path = home.path().join(name);
        save(&checkpoint, &path, form).unwrap();
        let whole = fs::read(&path).unwrap();
        let flipped = home.path().join("flipped");
        for place in (0..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            fs::write(&flipped, bytes).unwrap();
            if let Ok((read, report)) = load_reported(&flipped, &Limits::default()) {
                let edited = |notice: &Notice| matches!(notice, Notice::Edited { .. });
                if !report.unwrap().notices.iter().any(edited) {
                    assert_same_bits(&checkpoint, &read);
                }
            }
        }
    }
}

#[test]
fn a_model_edited_in_the_way_of_keras_is_read_as_keras_reads_it() {
    let checkpoint = small();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.h5");
    save(&checkpoint, &path, Format::Hdf5).unwrap();
    let (relu, selu) = (r#""activation":"relu""#, r#""activation":"selu""#);
    let edited = rewrite(&fs::read(&path).unwrap(), |config| config.replace(relu, selu));
    fs::write(&path, edited).unwrap();
    let (read, report) = load_reported(&path, &Limits::default()).unwrap();
    assert_eq!(report.unwrap().notices, [Notice::Edited { part: "model_config" }]);
    assert_eq!(read.graph.activation(NodeId(1)), Activation::Selu);
    assert_eq!((read.history, read.proof, read.training), (None, None, None));
    assert_eq!(read.tensors.len(), checkpoint.tensors.len());
}

/// The file with another `model_config`.
fn rewrite(bytes: &[u8], edit: impl Fn(&str) -> String) -> Vec<u8> {
    let mut root = hdf5::read(bytes, &mut Budget::new(1 << 24)).unwrap();
    let config = edit(root.attributes["model_config"].as_text().unwrap());
    root.attributes.insert("model_config".into(), hdf5::Array::text(config));
    hdf5::write(&root).unwrap().concat()
}

#[test]
fn what_keras_will_not_see_is_told() {
    let mut checkpoint = small();
    let home = tempfile::tempdir().unwrap();
    let told = |checkpoint: &Checkpoint<'_>, (name, form)| {
        save_reported(checkpoint, &home.path().join(name), form, Reader::Keras3).unwrap()
    };
    let [keras, h5] = FORMS;
    assert_eq!(told(&checkpoint, keras), []);
    assert_eq!(told(&checkpoint, h5), [Hidden::OptimizerState]);
    assert_eq!(told(&checkpoint, ("model.knet", Format::File)), []);
    let schedule = &mut checkpoint.compile.as_mut().unwrap().optimizer.schedule;
    *schedule = Schedule::WarmUp { steps: 5, from: 0.1, then: Box::new(Schedule::Constant) };
    for form in [keras, h5] {
        let hidden = told(&checkpoint, form);
        assert!(matches!(hidden.as_slice(), [Hidden::Compile { .. }]), "{hidden:?}");
        assert_same_bits(
            &checkpoint,
            &load(&home.path().join(form.0), &Limits::default()).unwrap(),
        );
    }
}
