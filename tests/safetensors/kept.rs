//! What keepnet saves.

use std::fs;

use keepnet::format::safetensors::{Layout, WeightsError};
use keepnet::format::*;
use keepnet::*;
use proptest::prelude::*;

use crate::format_support::{assert_same_bits, checkpoints, small};
use crate::rewrite;

const LAYOUTS: [Layout; 2] = [Layout::Keras, Layout::Torch];

proptest! {
    // Few, because every save waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn everything_comes_back_in_every_bit(checkpoint in checkpoints()) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model.safetensors");
        for layout in LAYOUTS {
            match save_reported(&checkpoint, &path, Format::Safetensors, layout) {
                Ok(hidden) => prop_assert_eq!(hidden, []),
                Err(error) => match error.cause() {
                    FormatError::Safetensors(
                        WeightsError::NoLayout { .. } | WeightsError::Twice { .. },
                    ) => continue,
                    _ => panic!("{error}"),
                },
            }
            let (read, report) = load_reported(&path, &Limits::default()).unwrap();
            assert_same_bits(&checkpoint, &read);
            prop_assert!(report.unwrap().is_proven);
            let bytes = fs::read(&path).unwrap();
            save_reported(&read, &path, Format::Safetensors, layout).unwrap();
            prop_assert!(fs::read(&path).unwrap() == bytes, "the same checkpoint gave other bytes");
            // As weights of a given network, if they are weights.
            if checkpoint.tensors.iter().any(|named| named.tensor.dtype() != DType::F32) {
                continue;
            }
            let bare = Checkpoint::new(checkpoint.graph.clone(), Vec::new());
            let (read, _) = load_weights(&bare, &path, &Limits::default()).unwrap();
            prop_assert_eq!(&read.tensors, &checkpoint.tensors);
        }
    }
}

#[test]
fn tensors_are_called_as_in_either_layout() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.safetensors");
    let checkpoint = SaveOptions { compile: true, optimizer: true, ..SaveOptions::weights_only() }
        .apply(small());
    let names = |layout: Layout| {
        save_reported(&checkpoint, &path, Format::Safetensors, layout).unwrap();
        let mut names = Vec::new();
        rewrite(&path, |file| {
            names =
                file.tensors.iter().map(|(name, it)| format!("{name} {}", it.shape())).collect();
            assert_eq!(file.metadata["layout"], layout.name());
            assert_eq!(file.metadata.contains_key("format"), layout == Layout::Torch);
        });
        names
    };
    let keras = ["conv2d/bias 2", "conv2d/kernel 3×3×1×2", "dense/bias 2", "dense/kernel 8×2"];
    let found = names(Layout::Keras);
    assert_eq!(found[..4], keras);
    assert_eq!(found[4..8], keras.map(|name| format!("optimizer/momentum/{name}")));
    assert_eq!(found[8..], keras.map(|name| format!("optimizer/velocity/{name}")));
    let torch = ["conv2d.bias 2", "conv2d.weight 2×1×3×3", "dense.bias 2", "dense.weight 2×8"];
    let found = names(Layout::Torch);
    assert_eq!(found[..4], torch);
    assert_eq!(found[4..8], torch.map(|name| format!("optimizer.exp_avg.{name}")));
    assert_eq!(found[8..12], torch.map(|name| format!("optimizer.exp_avg_sq.{name}")));
    assert_eq!(found[12..], ["optimizer.step ()"]);
}

/// One bit in each byte of a file, one after the other, and each length that the file can be cut to.
#[test]
fn a_flipped_bit_is_seen_or_changes_nothing_and_a_cut_is_seen() {
    let checkpoint = small();
    let home = tempfile::tempdir().unwrap();
    let (path, flipped) = (home.path().join("model.safetensors"), home.path().join("flipped"));
    for layout in LAYOUTS {
        save_reported(&checkpoint, &path, Format::Safetensors, layout).unwrap();
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            fs::write(&flipped, bytes).unwrap();
            if let Ok((read, _)) = load_reported(&flipped, &Limits::default()) {
                assert_same_bits(&checkpoint, &read);
            }
        }
        fs::write(&flipped, &whole).unwrap();
        let cut = fs::File::options().write(true).open(&flipped).unwrap();
        for length in (0..whole.len()).rev() {
            cut.set_len(length as u64).unwrap();
            assert!(load(&flipped, &Limits::default()).is_err(), "cut to {length}");
        }
        println!("{layout:?}: {} bytes, each flipped and cut off", whole.len());
    }
}

#[test]
fn the_layout_that_the_metadata_tells_is_checked_by_the_digests() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.safetensors");
    save_reported(&small(), &path, Format::Safetensors, Layout::Torch).unwrap();
    rewrite(&path, |file| drop(file.metadata.insert("layout".into(), "keras".into())));
    assert!(load(&path, &Limits::default()).unwrap_err().is_corrupt());
    rewrite(&path, |file| drop(file.metadata.insert("layout".into(), "NHWC".into())));
    let error = load(&path, &Limits::default()).unwrap_err();
    assert!(
        error.to_string().ends_with("`layout` should be keras or torch, but is NHWC"),
        "{error}"
    );
}

/// A network whose `Flatten` comes to a group normalisation: PyTorch would form other groups.
#[test]
fn what_pytorch_has_no_layout_for_is_refused_by_name() {
    let graph = Sequential::new(Shape::image(2, 2, 4))
        .flatten()
        .layer(GroupNormalization::new(4))
        .graph()
        .unwrap();
    let model = Model::new(graph, 1);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.safetensors");
    let options = SaveOptions { layout: Layout::Torch, ..SaveOptions::default() };
    let error = model.save_with(&path, options).unwrap_err().to_string();
    assert!(error.contains("layer `group_normalization` takes the features"), "{error}");
    assert!(!path.exists());
    model.save(&path).unwrap();
    assert_same_bits(&model.to_checkpoint(), &Model::load(&path).unwrap().to_checkpoint());
}

/// A file of few bytes could else ask for memory without end.
#[test]
fn no_tensor_is_asked_for_twice() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.safetensors");
    save_reported(&small(), &path, Format::Safetensors, Layout::Torch).unwrap();
    rewrite(&path, |file| {
        let index = &file.metadata["keepnet/index"];
        let index = index.replacen(r#""dense.bias""#, r#""conv2d.bias""#, 1);
        let digest = bytes::Digest::of(index.as_bytes()).to_string();
        file.metadata.insert("keepnet/index".into(), index);
        file.metadata.insert("keepnet/sha256".into(), digest);
    });
    let error = load(&path, &Limits::default()).unwrap_err().to_string();
    assert!(error.contains(r#"two places of tensors are named "conv2d.bias""#), "{error}");
}
