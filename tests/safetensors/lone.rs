//! Normalisations with γ or β alone, where PyTorch has both.

use keepnet::format::safetensors::{Layout, WeightsError};
use keepnet::format::{Format, FormatError, Limits, load, load_weights, save_reported};
use keepnet::*;

use crate::{f32s, rewrite};

pub(crate) fn network() -> Graph {
    let mut net = GraphBuilder::new();
    let x = net.input("image", Shape::image(6, 6, 2));
    let x = net.named("conv", Conv2d::new(4, 3), &[x]);
    let norm = |scale, center| BatchNormalization { scale, center, ..Default::default() };
    let x = net.named("shifted", norm(false, true), &[x]);
    let x = net.named("scaled", norm(true, false), &[x]);
    let x = net.named("neither", norm(false, false), &[x]);
    let groups = |scale, center| GroupNormalization { scale, center, ..GroupNormalization::new(2) };
    let x = net.named("shifted_groups", groups(false, true), &[x]);
    let x = net.named("scaled_groups", groups(true, false), &[x]);
    let x = net.add(LayerSpec::Flatten, &[x]);
    let x = net.named("hidden", Dense::new(6), &[x]);
    let rows = |scale, center| LayerNormalization { scale, center, ..Default::default() };
    let x = net.named("shifted_rows", rows(false, true), &[x]);
    let x = net.named("scaled_rows", rows(true, false), &[x]);
    let x = net.named("fc", Dense::new(3), &[x]);
    net.output("scores", x);
    net.build("lone").unwrap()
}

#[test]
fn what_only_pytorch_has_changes_nothing_or_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.safetensors");
    let model = Model::new(network(), 3);
    let checkpoint = model.to_checkpoint();
    save_reported(&checkpoint, &path, Format::Safetensors, Layout::Torch).unwrap();
    assert_eq!(load(&path, &Limits::default()).unwrap().tensors, checkpoint.tensors);
    let filled = [
        ("shifted.weight", 4, 1.0),
        ("scaled.bias", 4, 0.0),
        ("shifted_groups.weight", 4, 1.0),
        ("scaled_groups.bias", 4, 0.0),
        ("shifted_rows.weight", 6, 1.0),
    ];
    rewrite(&path, |file| {
        for (name, length, value) in filled {
            let found = &file.tensors[name];
            assert_eq!(found.to_f32().unwrap(), vec![value; length], "{name}");
        }
        for name in ["scaled_rows.bias", "neither.weight", "neither.bias"] {
            assert!(!file.tensors.contains_key(name), "{name}");
        }
        file.tensors.retain(|name, _| !name.starts_with("keepnet/"));
        file.metadata.clear();
    });
    let bare = Checkpoint::new(network(), Vec::new());
    let loaded = || load_weights(&bare, &path, &Limits::default());
    assert_eq!(loaded().unwrap().0.tensors, checkpoint.tensors);
    // Files without them are read as well.
    rewrite(&path, |file| drop(file.tensors.remove("scaled.bias")));
    assert_eq!(loaded().unwrap().0.tensors, checkpoint.tensors);
    rewrite(&path, |file| {
        let trained = f32s([4], &[1.0, 1.0, 1.5, 1.0]);
        file.tensors.insert("shifted.weight".into(), trained);
    });
    let error = loaded().unwrap_err();
    let place = "shifted.weight".to_owned();
    let refused = WeightsError::NotNeutral { place, value: 1.0 };
    assert!(
        matches!(error.cause(), FormatError::Safetensors(found) if *found == refused),
        "{error}"
    );
    assert!(!error.is_corrupt());
}
