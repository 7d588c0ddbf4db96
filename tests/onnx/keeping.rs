//! What ONNX has no words for comes back all the same.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use keepnet::format::keras::Notice;
use keepnet::format::{Format, Limits, load, load_reported, save};
use keepnet::wire::onnx::Model as File;
use keepnet::*;
use proptest::prelude::*;
use prost::Message;

use super::format_support::{assert_same_bits, checkpoints, small};

fn path(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("model.onnx")
}

#[test]
fn a_model_comes_back_with_every_part() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = small();
    save(&checkpoint, &path(&folder), Format::Onnx).unwrap();
    let (again, report) = load_reported(&path(&folder), &Limits::default()).unwrap();
    assert_same_bits(&checkpoint, &again);
    assert!(report.unwrap().is_proven);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever ONNX can hold the network of.
    #[test]
    fn any_model_comes_back(checkpoint in checkpoints()) {
        let folder = tempfile::tempdir().unwrap();
        if save(&checkpoint, &path(&folder), Format::Onnx).is_ok() {
            assert_same_bits(&checkpoint, &load(&path(&folder), &Limits::default()).unwrap());
        }
    }
}

#[test]
fn a_graph_that_somebody_has_changed_is_read_by_its_operators() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = small();
    save(&checkpoint, &path(&folder), Format::Onnx).unwrap();
    let mut file = File::decode(&*fs::read(path(&folder)).unwrap()).unwrap();
    let relu = file.graph.as_mut().unwrap().node.iter_mut().find(|node| node.op_type == "Relu");
    relu.unwrap().op_type = "Tanh".to_owned();
    fs::write(path(&folder), file.encode_to_vec()).unwrap();
    let (again, report) = load_reported(&path(&folder), &Limits::default()).unwrap();
    let edited = |notice: &Notice| matches!(notice, Notice::Edited { .. });
    assert!(report.unwrap().notices.iter().any(edited));
    let LayerSpec::Conv2d(conv) = &again.graph.layers()[1].spec else {
        panic!("{:?}", again.graph)
    };
    assert_eq!(conv.activation, Activation::Tanh);
    assert_eq!(again.tensors, checkpoint.tensors);
}

/// As the converter of versions of the package onnx does.
#[test]
fn a_file_without_what_training_needs_is_read_by_its_operators() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = small();
    save(&checkpoint, &path(&folder), Format::Onnx).unwrap();
    let mut file = File::decode(&*fs::read(path(&folder)).unwrap()).unwrap();
    assert!(!file.training_info.is_empty());
    file.training_info.clear();
    fs::write(path(&folder), file.encode_to_vec()).unwrap();
    let (again, report) = load_reported(&path(&folder), &Limits::default()).unwrap();
    let notices = report.unwrap().notices;
    assert_eq!(notices, [Notice::Edited { part: "`training_info`".to_owned() }]);
    assert_eq!(again.tensors, checkpoint.tensors);
    assert_eq!(again.optimizer, None);
}

/// A bit of a weight that flips is found, as in keepnet's own forms.
#[test]
fn numbers_that_have_changed_are_found() {
    let folder = tempfile::tempdir().unwrap();
    save(&small(), &path(&folder), Format::Onnx).unwrap();
    let mut file = File::decode(&*fs::read(path(&folder)).unwrap()).unwrap();
    let tensor = &mut file.graph.as_mut().unwrap().initializer[0];
    let mut bytes = tensor.raw_data.to_vec();
    bytes[0] ^= 1;
    tensor.raw_data = bytes.into();
    fs::write(path(&folder), file.encode_to_vec()).unwrap();
    let error = load(&path(&folder), &Limits::default()).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
}

/// One bit in each byte of a file, one after the other, and each length that it can be cut to: another
/// graph may come of it, which is told, or the same model, but no other in silence.
#[test]
fn no_changed_byte_gives_another_model_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let (path, checkpoint) = (path(&folder), small());
    save(&checkpoint, &path, Format::Onnx).unwrap();
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut told, mut same) = (0, 0, 0);
    let mut judge = |bytes: &[u8], what: String| {
        fs::write(&path, bytes).unwrap();
        match load_reported(&path, &Limits::default()) {
            Ok((_, Some(report))) if !report.is_proven => {
                let edited = |notice: &Notice| matches!(notice, Notice::Edited { .. });
                assert!(report.notices.iter().any(edited), "{what}");
                told += 1;
            }
            Ok((found, _)) => {
                assert_same_bits(&checkpoint, &found);
                same += 1;
            }
            Err(_) => refused += 1,
        }
    };
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        judge(&bytes, format!("byte {place}"));
        judge(&whole[..place], format!("cut to {place}"));
    }
    let length = whole.len();
    println!(
        "{length} bytes, each flipped and cut off: {refused} refused, {told} told, {same} the same"
    );
}

/// Whatever an exporter has written, changed: it is a network or an error. (Each byte takes minutes, and was tried.)
#[test]
fn a_flipped_byte_of_others_is_refused_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = path(&folder);
    let limits = Limits { memory: 16 << 20, ..Limits::default() };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_onnx");
    let files = fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|path| path.extension() == Some(OsStr::new("onnx"))) {
        let bytes = fs::read(file).unwrap();
        for place in (0..bytes.len()).step_by(41) {
            for flip in [0x01, 0xFF] {
                let mut bytes = bytes.clone();
                bytes[place] ^= flip;
                fs::write(&path, bytes).unwrap();
                drop(load(&path, &limits));
            }
        }
    }
}
