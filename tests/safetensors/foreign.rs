//! Weights that others have saved.

use std::path::Path;

use keepnet::format::keras::Notice;
use keepnet::format::safetensors::{Layout, WeightsError};
use keepnet::format::*;
use keepnet::wire::safetensors::File;
use keepnet::*;

use crate::format_support::small;
use crate::{f32s, rename, rewrite};

/// Weights of `small` in that layout as somebody else would save them, changed.
fn changed(path: &Path, layout: Layout, change: impl FnOnce(&mut File<'_>)) -> Checkpoint<'static> {
    let checkpoint = SaveOptions::weights_only().apply(small());
    save_reported(&checkpoint, path, Format::Safetensors, layout).unwrap();
    rewrite(path, |file| {
        file.metadata.clear();
        change(file);
    });
    checkpoint
}

fn loaded(path: &Path) -> Result<(Checkpoint<'static>, keras::Report), WeightsError> {
    let graph = small().graph;
    let found = load_weights(&Checkpoint::new(graph, Vec::new()), path, &Limits::default());
    found.map_err(|error| match error.cause() {
        FormatError::Safetensors(error) => error.clone(),
        _ => panic!("{error}"),
    })
}

#[test]
fn weights_are_found_by_their_names_in_either_layout() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("weights.safetensors");
    for layout in [Layout::Keras, Layout::Torch] {
        let expected = changed(&path, layout, |_| {});
        let (read, report) = loaded(&path).unwrap();
        assert_eq!(read.tensors, expected.tensors);
        let told: &[Notice] = match layout {
            Layout::Torch => &[Notice::LayoutOfTorch],
            _ => &[],
        };
        assert_eq!(report.notices, told);
    }
}

#[test]
fn weights_alone_are_no_model() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("weights.safetensors");
    let expected = changed(&path, Layout::Torch, |_| {});
    let error = load(&path, &Limits::default()).unwrap_err();
    assert_eq!(error.cause().to_string(), WeightsError::Alone.to_string());
    assert!(error.refuses_model() && !error.is_corrupt());
    let architecture = home.path().join("model.knet");
    save(&small(), &architecture, Format::File).unwrap();
    let (read, _) = load_with_weights(&architecture, &path, &Limits::default()).unwrap();
    assert_eq!((read.tensors, read.compile), (expected.tensors, small().compile));
}

#[test]
fn weights_of_other_names_are_found_by_shapes_and_numbers() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("weights.safetensors");
    let expected = changed(&path, Layout::Torch, |file| {
        rename(file, |name| {
            Some(name.replace("conv2d", "module.features.0").replace("dense", "module.head"))
        });
    });
    let (read, report) = loaded(&path).unwrap();
    assert_eq!(read.tensors, expected.tensors);
    let by_shape = |layer: &str, module: &str| Notice::ByShape {
        layer: layer.to_owned(),
        module: module.to_owned(),
    };
    let told = [by_shape("conv2d", "module.features.0"), by_shape("dense", "module.head")];
    assert_eq!(report.notices[0], Notice::LayoutOfTorch);
    assert!(told.iter().all(|notice| report.notices.contains(notice)), "{:?}", report.notices);
}

/// Twelve layers of the same shapes, numbered: 10 comes behind 9.
#[test]
fn layers_of_the_same_shapes_are_told_apart_by_numbers_alone() {
    let mut network = Sequential::new(Shape::vector(3));
    for _ in 0..12 {
        network = network.dense(3, Activation::Relu);
    }
    let model = Model::new(network.graph().unwrap(), 5);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("weights.safetensors");
    let options = SaveOptions { layout: Layout::Torch, ..SaveOptions::weights_only() };
    let load_renamed = |called: fn(&str) -> String| {
        model.save_with(&path, options).unwrap();
        rewrite(&path, |file| {
            file.metadata.clear();
            rename(file, |name| {
                let (layer, parameter) = name.split_once('.')?;
                Some(format!("{}.{parameter}", called(layer)))
            });
        });
        let mut other = Model::new(model.graph().clone(), 6);
        other.load_weights_from(&path).map(|_| other)
    };
    let numbered = load_renamed(|layer| {
        let number: u32 = layer.strip_prefix("dense_").unwrap_or("0").parse().unwrap();
        format!("net.{}", 2 * number)
    });
    assert_eq!(numbered.unwrap().to_checkpoint().tensors, model.to_checkpoint().tensors);
    let refused = |called| {
        let error = load_renamed(called).unwrap_err().to_string();
        assert!(error.contains(", in an order that their names do not tell; rename"), "{error}");
        error
    };
    let error = refused(|layer| match layer.strip_prefix("dense_") {
        Some(number) => format!("net.{number}"),
        None => "head".to_owned(),
    });
    assert!(error.contains("12 layers take these shapes, which `head`, `net.1`"), "{error}");
    // Heads and branches are numbered so, whatever comes first.
    refused(|layer| layer.replace("dense", "out"));
    refused(|layer| format!("out{}", layer.len()) + layer.strip_prefix("dense_").unwrap_or("0"));
}

#[test]
fn halves_become_f32_and_integers_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("weights.safetensors");
    let with_bias = |dtype, bytes: &[u8]| {
        let bias = Tensor::new(dtype, [2], bytes.to_vec()).unwrap();
        changed(&path, Layout::Torch, |file| drop(file.tensors.insert("dense.bias".into(), bias)))
    };
    with_bias(DType::BF16, &[0x80, 0x3F, 0x00, 0xC0]);
    let (read, report) = loaded(&path).unwrap();
    assert_eq!(read.tensors[3].tensor, f32s([2], &[1.0, -2.0]));
    let weight = "dense.bias".to_owned();
    assert!(report.notices.contains(&Notice::Converted { weight, from: "bfloat16" }));
    with_bias(DType::I32, &[0; 8]);
    let place = "dense.bias".to_owned();
    assert_eq!(loaded(&path).unwrap_err(), WeightsError::WeightType { place, found: "int32" });
}

#[test]
fn whatever_does_not_fit_is_told_by_name() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("weights.safetensors");
    type Change = fn(&mut File<'_>);
    let cases: [(Change, &str); 7] = [
        (
            |file| drop(file.tensors.insert("dense/bias".into(), f32s([2], &[0.0; 2]))),
            "the file holds `dense/bias`, of which the architecture has no layer",
        ),
        (
            |file| drop(file.tensors.remove("dense.bias")),
            "the file holds no `dense.bias` of shape 2",
        ),
        (
            |file| drop(file.tensors.insert("dense.bias".into(), f32s([3], &[0.0; 3]))),
            "`dense.bias` has shape 2, the file holds 3 at `dense.bias`",
        ),
        (
            |file| drop(file.tensors.insert("head.bias".into(), f32s([3], &[0.0; 3]))),
            "the file holds `head.bias`, of which the architecture has no layer",
        ),
        (
            |file| drop(file.tensors.insert("dense.scale".into(), f32s([3], &[0.0; 3]))),
            "the file holds `dense.scale`, of which the architecture has no layer",
        ),
        (
            |file| rename(file, |name| (!name.starts_with("dense")).then(|| name.to_owned())),
            "layer `dense` takes bias of 2, weight of 2×8, and no module of the file is called so; none \
             has these shapes; rename the tensors after the layers of the architecture",
        ),
        // The layout of Keras by its words, that of PyTorch by its shapes.
        (
            |file| rename(file, |name| Some(name.replace("weight", "kernel"))),
            "`conv2d/kernel` has shape 3×3×1×2, the file holds 2×1×3×3 at `conv2d.kernel`",
        ),
    ];
    for (change, expected) in cases {
        changed(&path, Layout::Torch, change);
        let error = loaded(&path).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!error.is_corrupt(), "it is made for another network");
    }
}

#[test]
fn what_others_say_of_a_layout_is_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("weights.safetensors");
    let expected = changed(&path, Layout::Torch, |file| {
        file.metadata.insert("layout".to_owned(), "NCHW".to_owned());
    });
    assert_eq!(loaded(&path).unwrap().0.tensors, expected.tensors);
}

#[test]
fn layers_may_be_called_as_what_is_left_out() {
    let network = Sequential::new(Shape::vector(4))
        .named("optimizer", Dense::new(4))
        .named("keepnet", Dense::new(3))
        .named("num_batches_tracked", Dense::new(2));
    let model = Model::new(network.graph().unwrap(), 5);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("weights.safetensors");
    for layout in [Layout::Keras, Layout::Torch] {
        model.save_with(&path, SaveOptions { layout, ..SaveOptions::weights_only() }).unwrap();
        rewrite(&path, |file| {
            file.metadata.clear();
            file.tensors.insert("optimizer.step".into(), f32s([1], &[0.0]));
        });
        let mut other = Model::new(model.graph().clone(), 6);
        other.load_weights_from(&path).unwrap();
        assert_eq!(other.to_checkpoint().tensors, model.to_checkpoint().tensors);
    }
}

#[test]
fn what_an_optimizer_remembers_elsewhere_is_left_there_and_told() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("weights.safetensors");
    let expected = changed(&path, Layout::Torch, |file| {
        file.tensors.insert("optimizer.exp_avg.dense.bias".into(), f32s([2], &[0.0; 2]));
    });
    let (read, report) = loaded(&path).unwrap();
    assert_eq!(read.tensors, expected.tensors);
    let told = |notice: &Notice| matches!(notice, Notice::NoOptimizerState { .. });
    assert!(report.notices.iter().any(told));
}
