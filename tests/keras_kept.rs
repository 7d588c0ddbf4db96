//! What keepnet saves for Keras comes back to keepnet in every bit, and checked.

mod format_support;

use std::fs;
use std::path::Path;

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
    let notices = report.unwrap().notices;
    // What Keras 3 cannot take from `.h5` stands where only keepnet looks.
    let [Notice::NoOptimizerState { .. }, Notice::Edited { part }] = notices.as_slice() else {
        panic!("{notices:?}");
    };
    assert_eq!(part, "model_config");
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

/// What tf-keras remembers in `.h5` is found again where keepnet's own part is passed over.
#[test]
fn the_optimizer_of_tf_keras_is_read_as_it_was_written() {
    let checkpoint = small();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.h5");
    assert_eq!(save_reported(&checkpoint, &path, Format::Hdf5, Reader::TfKeras2).unwrap(), []);
    let (relu, selu) = (r#""activation":"relu""#, r#""activation":"selu""#);
    let edited = rewrite(&fs::read(&path).unwrap(), |config| config.replace(relu, selu));
    fs::write(&path, edited).unwrap();
    let read = load(&path, &Limits::default()).unwrap();
    let slots = |checkpoint: &Checkpoint<'_>| {
        let state = checkpoint.optimizer.as_ref().unwrap();
        let tensors = state.slots.iter().flat_map(|slot| &slot.tensors);
        let bytes = tensors.map(|named| named.tensor.bytes().to_vec());
        (state.step, bytes.collect::<Vec<_>>())
    };
    assert_eq!(slots(&read), slots(&checkpoint));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Parameters and state come back from files of weights alone; in `.h5` of Keras 2 there is no state.
    #[test]
    fn weights_alone_come_back_in_every_bit(checkpoint in checkpoints()) {
        // Weights of Keras become f32.
        let is_f32 = |named: &NamedTensor<'_>| named.tensor.dtype() == DType::F32;
        prop_assume!(checkpoint.tensors.iter().all(is_f32));
        let state = checkpoint.optimizer.iter().flat_map(|state| &state.slots);
        prop_assume!(state.flat_map(|slot| &slot.tensors).all(is_f32));
        let home = tempfile::tempdir().unwrap();
        let bytes = |tensors: &[NamedTensor<'_>]| -> Vec<Vec<u8>> {
            tensors.iter().map(|named| named.tensor.bytes().to_vec()).collect()
        };
        for (name, target) in [
            ("m.weights.h5", Reader::Keras3),
            ("m.weights.h5", Reader::TfKeras2),
            ("m.h5", Reader::Keras3),
        ] {
            let path = home.path().join(name);
            match save_weights(&checkpoint, &path, target) {
                Ok(()) => {}
                Err(error) if is_refused_by_name(&error) => return Err(TestCaseError::reject("no words")),
                Err(error) => panic!("{error}"),
            }
            let (read, _) = load_weights(&checkpoint, &path, &Limits::default()).unwrap();
            prop_assert_eq!(bytes(&read.tensors), bytes(&checkpoint.tensors));
            // The model may be compiled with what Keras has no words for.
            if let (Some(found), Some(state)) = (&read.optimizer, &checkpoint.optimizer) {
                prop_assert_eq!(found, state);
            }
        }
    }
}

#[test]
fn weights_of_another_model_leave_a_model_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let [weights, legacy] = ["m.weights.h5", "m.h5"].map(|name| home.path().join(name));
    let net = |units: usize, layers: usize| {
        let mut net = Sequential::new(Shape::vector(4));
        for number in 0..layers {
            net = net.named(&format!("dense_{number}"), Dense::new(units));
        }
        net.build(units as u64).unwrap()
    };
    let model = net(4, 2);
    model.save_weights(&weights).unwrap();
    model.save_weights(&legacy).unwrap();
    for path in [&weights, &legacy] {
        let mut same = Model::new(model.graph().clone(), 99);
        same.load_weights_from(path).unwrap();
        assert_eq!(same.to_checkpoint().tensors, model.to_checkpoint().tensors);
    }
    for (units, layers, words) in [
        // Another shape, too few weights, too many.
        (
            5,
            2,
            [
                "`dense_0/kernel` has shape 4×5, the file holds 4×4",
                "`dense_0/kernel` has shape 4×5",
            ],
        ),
        (4, 3, ["no weights of layer `dense_2`", "of 2 layers, the architecture has 3"]),
        (
            4,
            1,
            ["weights at `layers/dense_1/vars` of which", "of 2 layers, the architecture has 1"],
        ),
    ] {
        for (path, words) in [&weights, &legacy].into_iter().zip(words) {
            let mut other = net(units, layers);
            let before = other.to_bytes(SaveOptions::default()).unwrap();
            let error = other.load_weights_from(path).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(other.to_bytes(SaveOptions::default()).unwrap() == before);
        }
    }
    for name in ["m.keras", "m.knet", "weights"] {
        let error = model.save_weights(home.path().join(name)).unwrap_err().to_string();
        assert!(error.contains("saved as `.weights.h5`"), "{error}");
    }
    let error = model.save(home.path().join("whole.weights.h5")).unwrap_err().to_string();
    assert!(error.contains("the name of weights alone"), "{error}");
}

/// libhdf5 finds a file behind a block of the user's of 512, 1024 … bytes.
#[test]
fn a_block_of_the_users_is_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.h5");
    let checkpoint = small();
    save(&checkpoint, &path, Format::Hdf5).unwrap();
    let own = fs::read(&path).unwrap();
    for size in [512, 1024, 1 << 20] {
        fs::write(&path, [vec![b'#'; size], own.clone()].concat()).unwrap();
        assert_same_bits(&checkpoint, &load(&path, &Limits::default()).unwrap());
    }
    for size in [1, 511, 1536, 2 << 20] {
        fs::write(&path, [vec![b'#'; size], own.clone()].concat()).unwrap();
        let error = load(&path, &Limits::default()).unwrap_err();
        assert!(matches!(error.cause(), FormatError::OtherKind { .. }), "{error}");
    }
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

/// Saves as `.h5`, without what only keepnet knows.
fn save_bare(model: &Model, path: &Path) {
    model.save(path).unwrap();
    let bytes = fs::read(path).unwrap();
    let mut root = hdf5::read(&bytes, &mut Budget::new(1 << 20)).unwrap();
    root.members.remove("keepnet").unwrap();
    fs::write(path, hdf5::write(&root).unwrap().concat()).unwrap();
}

#[test]
fn a_padding_for_which_keras_has_no_word_is_told_by_other_layers() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.h5");
    let pads = |top, bottom, left, right| Padding::Explicit { top, bottom, left, right };
    let pool = |kind| Pool2d { kind, strides: [2; 2], padding: pads(1, 0, 0, 1), ..Pool2d::max(3) };
    let transposed = |padding, kernel, more| Conv2dTranspose {
        strides: [2, 3],
        padding,
        output_padding: Some([more, 0]),
        activation: Activation::Tanh,
        ..Conv2dTranspose::new(3, kernel)
    };
    let network = |function| {
        Sequential::new(Shape::image(9, 8, 2))
            .conv2d(4, 2, function)
            .layer(Dropout { rate: 0.5 })
            .layer(pool(PoolKind::Max))
    };
    let x: Vec<f32> = (0..2 * 9 * 8 * 2).map(|i| (i * 7919 % 1009) as f32 / 252.0 - 2.0).collect();
    let x = Samples::new(2, Shape::image(9, 8, 2), x).unwrap();
    for layer in [
        transposed(pads(1, 1, 0, 2), 3, 1),
        transposed(pads(0, 1, 1, 0), 4, 0),
        transposed(pads(0, 0, 0, 0), 2, 0),
    ] {
        let model = Model::new(network(Activation::Relu).layer(layer.clone()).graph().unwrap(), 3);
        save_bare(&model, &path);
        let again = Model::load(&path).unwrap();
        assert_eq!(model.predict(&x).unwrap(), again.predict(&x).unwrap(), "{layer:?}");
    }
    // Zeros would be the largest of what is below them, and count in an average.
    let negative = network(Activation::Tanh);
    let average = network(Activation::Relu).layer(pool(PoolKind::Average));
    for graph in [negative, average] {
        let error = Model::new(graph.graph().unwrap(), 3).save(&path).unwrap_err();
        assert!(error.to_string().contains("a pooling with a padding of so many cells"), "{error}");
    }
}

/// What Keras computes of the larger of x and a number: all of x, be the number ever so large.
#[test]
fn the_larger_of_two_numbers_is_written_without_rounding_one_by_the_other() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.h5");
    let values = [-3e9, -1e9, -2.5, -1e-6, 0.0, 1e-6, 0.1, 0.3, 7.5];
    for (number, may_round) in [(-1e9, false), (-0.1, false), (0.0, false), (0.1, true)] {
        let larger = Activation::Threshold { threshold: number, value: number };
        let graph = Sequential::new([values.len()]).activation(larger).graph().unwrap();
        let model = Model::new(graph, 1);
        save_bare(&model, &path);
        let x = Samples::new(1, [values.len()], values.to_vec()).unwrap();
        let answers = [model, Model::load(&path).unwrap()].map(|it| it.predict(&x).unwrap());
        for (&own, &theirs) in answers[0].iter().zip(&answers[1]) {
            let within = if may_round { f32::EPSILON * own.abs() } else { 0.0 };
            assert!((own - theirs).abs() <= within, "{number}: {own} {theirs}");
        }
    }
}
