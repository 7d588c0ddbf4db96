//! keepnet beside PyTorch: the same networks there (`networks.py`) take our weights by `load_state_dict`
//! and answer the same; we take theirs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use keepnet::bytes::Budget;
use keepnet::format::safetensors::Layout;
use keepnet::format::{self, Limits};
use keepnet::wire::safetensors::{File, read};
use keepnet::*;

use super::lone;
use super::networks::{filled, resnet, w1};
use super::peers::pytorch;

/// How far predictions may be apart.
const TOLERANCE: f32 = 1e-5;

const SAMPLES: usize = 3;

fn depthwise() -> Graph {
    let mut net = GraphBuilder::new();
    let input = net.input("image", Shape::image(12, 12, 3));
    let x = net.named("conv", Conv2d { groups: 3, ..Conv2d::new(6, 3) }, &[input]);
    let twice = DepthwiseConv2d { depth_multiplier: 2, ..DepthwiseConv2d::new(3) };
    let x = net.named("depthwise", twice, &[x]);
    let x = net.named("bn", BatchNormalization::default(), &[x]);
    let shared = PRelu { shared_axes: vec![1, 2], ..PRelu::default() };
    let x = net.named("prelu", shared, &[x]);
    let x = net.named("separable", SeparableConv2d::new(5, 3), &[x]);
    let x =
        net.named("up", Conv2dTranspose { strides: [2, 2], ..Conv2dTranspose::new(4, 3) }, &[x]);
    let x = net.add(LayerSpec::Flatten, &[x]);
    let x = net.named("fc", Dense::new(5), &[x]);
    net.output("scores", x);
    net.build("depthwise").unwrap()
}

/// Vectors whose features PyTorch has in another order: normalised, joined, some by themselves.
fn features() -> Graph {
    let mut net = GraphBuilder::new();
    let input = net.input("image", Shape::image(6, 5, 3));
    let x = net.named("conv", Conv2d::new(4, 3), &[input]);
    let pooled = net.add(Pool2d::max(2), &[x]);
    let flat = net.add(LayerSpec::Flatten, &[x]);
    let flat = net.named("norm", BatchNormalization::default(), &[flat]);
    let flat = net.named("prelu", PRelu::default(), &[flat]);
    let hidden = net.named("hidden", Dense::new(7), &[flat]);
    let pooled = net.add(LayerSpec::Flatten, &[pooled]);
    let joined = net.add(Merge::Concatenate { axis: -1 }, &[hidden, flat, pooled]);
    let scores = net.named("fc", Dense::new(3), &[joined]);
    net.output("scores", scores);
    net.build("features").unwrap()
}

type Network = fn() -> Graph;

const NETWORKS: [(&str, Network); 5] = [
    ("w1", w1),
    ("resnet", resnet),
    ("depthwise", depthwise),
    ("features", features),
    ("lone", lone::network),
];

/// Images with numbers between −2 and 2, and their shape.
fn images(graph: &Graph) -> (Vec<f32>, Shape) {
    let shape = graph.shape(graph.inputs()[0]).clone();
    let values = (0..SAMPLES * shape.elements()).map(|i| (i * 7919 % 1009) as f32 / 252.0 - 2.0);
    (values.collect(), shape)
}

fn answers(model: &Model) -> Vec<f32> {
    let (values, shape) = images(model.graph());
    let samples = Samples::new(SAMPLES, shape, values).unwrap();
    model.predict(&samples).unwrap().into_iter().collect()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let apart = apart.max_by(f32::total_cmp).unwrap();
    println!("{what}: at most {apart:e} apart");
    assert!(apart <= TOLERANCE, "{what}: {apart} apart");
}

fn numbers(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = fs::read(path).unwrap();
    let file = read(&bytes, &mut Budget::new(1 << 30)).unwrap();
    file.tensors.iter().map(|(name, it)| (name.clone(), it.to_f32().unwrap())).collect()
}

#[test]
fn pytorch_takes_our_weights_and_we_take_those_of_pytorch() {
    let Some(python) = pytorch() else { return };
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str, part: &str| home.path().join(format!("{name}.{part}.safetensors"));
    let mut expected = BTreeMap::new();
    for (name, graph) in NETWORKS {
        let model = filled(graph());
        let options = SaveOptions { layout: Layout::Torch, ..SaveOptions::weights_only() };
        model.save_with(at(name, "ours"), options).unwrap();
        let (values, shape) = images(model.graph());
        let images = Tensor::from_f32(shape.batched(SAMPLES), &values).unwrap();
        let mut file = File::default();
        file.tensors.insert("input".into(), images);
        fs::write(at(name, "input"), file.to_pieces().unwrap().concat()).unwrap();
        expected.insert(name, answers(&model));
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/safetensors/networks.py");
    let output = Command::new(python).arg("-B").arg(script).arg(home.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, graph) in NETWORKS {
        let answers_of_torch = numbers(&at(name, "answers"));
        assert_close(&answers_of_torch["ours"], &expected[name], &format!("{name}, our weights"));
        // With the names of our layers, and with numbers of modules for names.
        for part in ["theirs", "numbered"] {
            let mut model = Model::new(graph(), 1);
            model.load_weights_from(at(name, part)).unwrap();
            let what = format!("{name}, {part}");
            assert_close(&answers(&model), &answers_of_torch["theirs"], &what);
        }
    }
}

/// A file of a trained model has tensors beside the weights, which are called so that they can be told
/// apart.
#[test]
fn pytorch_takes_the_weights_of_a_trained_model() {
    let Some(python) = pytorch() else { return };
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("trained.safetensors");
    let checkpoint = crate::format_support::small();
    format::save_reported(&checkpoint, &path, format::Format::Safetensors, Layout::Torch).unwrap();
    let program = "import sys, safetensors.torch as st
state = st.load_file(sys.argv[1])
weights = {k: v for k, v in state.items() if not k.startswith(('optimizer.', 'keepnet/'))}
assert sorted(weights) == ['conv2d.bias', 'conv2d.weight', 'dense.bias', 'dense.weight'], weights
moment = state['optimizer.exp_avg.conv2d.weight']
assert moment.shape == weights['conv2d.weight'].shape
st.save_file({k: v.contiguous() for k, v in weights.items()}, sys.argv[1])";
    let output = Command::new(python).args(["-c", program]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bare = Checkpoint::new(checkpoint.graph.clone(), Vec::new());
    let (read, _) = format::load_weights(&bare, &path, &Limits::default()).unwrap();
    assert_eq!(read.tensors, checkpoint.tensors);
}
