//! Layers may be called as anything that formats use for themselves: a model comes back from each of them as it
//! was.

#[path = "format_support/mod.rs"]
mod format_support;

use format_support::assert_same_bits;
use keepnet::format::Format;
use keepnet::format::safetensors::Layout;
use keepnet::train::data::Dataset;
use keepnet::*;

/// What keepnet, Keras, TensorFlow, PyTorch, HDF5, zip, ONNX and file systems have a use for.
const NAMES: [&str; 34] = [
    "keepnet",
    "keepnet/a",
    "keepnet/index",
    "keepnet/sha256",
    "keepnet/tensors",
    "keepnet/tensors/0",
    "keepnet/sections/graph",
    "keepnet.index",
    "optimizer",
    "optimizer/0",
    "optimizer.state",
    "iteration",
    "layers",
    "layers/0",
    "vars",
    "_layer_checkpoint_dependencies",
    "model_weights",
    "top_level_model_weights",
    "save_counter",
    "_CHECKPOINTABLE_OBJECT_GRAPH",
    "a/.ATTRIBUTES/VARIABLE_VALUE",
    "serving_default",
    "num_batches_tracked",
    "__metadata__",
    "x",
    "x:0",
    "^x",
    "y/kernel",
    ".",
    "..",
    "a//b",
    "/a",
    "a b",
    "ö",
];

/// A trained network of layers whose numbers formats turn around, one of which is called so.
fn trained(name: &str, place: usize) -> Result<Model, GraphError> {
    let mut names = ["first", "second", "third", "last"];
    names[place] = name;
    let mut net = GraphBuilder::new();
    let input = net.input("image", Shape::image(4, 4, 2));
    let x = net.named(names[0], Conv2d::new(3, 2), &[input]);
    let x = net.named(names[1], Conv2dTranspose::new(2, 2), &[x]);
    let prelu = PRelu { shared_axes: vec![1, 2], ..PRelu::default() };
    let x = net.named(names[2], prelu, &[x]);
    let x = net.add(LayerSpec::Flatten, &[x]);
    let x = net.named(names[3], Dense::new(2), &[x]);
    net.output("answer", x);
    let mut model = Model::new(net.build("names")?, 7);
    model.compile(Optimizer::adam(0.001), Loss::MeanSquaredError).unwrap();
    let numbers = |count: usize| (0..count).map(|i| i as f32 / 40.0 - 0.5).collect::<Vec<_>>();
    let inputs = Samples::new(2, [4, 4, 2], numbers(64)).unwrap();
    let targets = Targets::Values(Samples::new(2, [2], numbers(4)).unwrap());
    model.fit(&Dataset::new(inputs, targets).unwrap(), &FitOptions::default()).unwrap();
    Ok(model)
}

#[test]
fn any_name_comes_back_from_any_form() {
    let home = tempfile::tempdir().unwrap();
    let forms = [
        (Format::File, "m.knet", Layout::Keras),
        (Format::Directory, "m", Layout::Keras),
        (Format::Keras, "m.keras", Layout::Keras),
        (Format::Hdf5, "m.h5", Layout::Keras),
        (Format::SavedModel, "savedmodel", Layout::Keras),
        (Format::Safetensors, "m.safetensors", Layout::Keras),
        (Format::Safetensors, "torch.safetensors", Layout::Torch),
        (Format::Onnx, "m.onnx", Layout::Keras),
    ];
    for name in NAMES {
        for place in 0..4 {
            let model = trained(name, place).unwrap();
            for (form, file, layout) in forms {
                let path = home.path().join(file);
                let options = SaveOptions { layout, ..SaveOptions::default() };
                let saved = model.save_as(&path, form, options);
                let again = saved.and_then(|_| Model::load(&path));
                let again = again.unwrap_or_else(|error| panic!("{name:?}: {error}"));
                assert_same_bits(&model.to_checkpoint(), &again.to_checkpoint());
            }
        }
    }
}
