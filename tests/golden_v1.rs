//! Models as version 1.0 of both forms wrote them, kept in `tests/golden/v1/`: they load in every
//! later version of keepnet, prove themselves, and are written again byte for byte.
//!
//! They are released, and never made anew. How they were made is told by `make_such_files`, which writes
//! such files to the folder that `KEEPNET_GOLDEN_OUT` names:
//!
//! ```sh
//! KEEPNET_GOLDEN_OUT=DIR cargo test --test golden_v1 -- --ignored make_such_files
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use keepnet::format::{Format, Limits, SaveOptions, load, save, to_bytes, unpack};
use keepnet::train::CallbackError;
use keepnet::train::data::mnist;
use keepnet::{
    Activation, Arrange, BatchNormalization, Callback, Clipping, CompileSettings, Conv2d, Dense,
    Dropout, EarlyStopping, FitOptions, GlobalPool2d, Graph, GraphBuilder, LayerSpec, Loss, Merge,
    Metric, Model, Monitor, Optimizer, OutputLoss, Padding, Pool2d, PoolKind, ReduceOnPlateau,
    Rescaling, RmsProp, Schedule, Sequential, Sgd, Shape, StepReport, Verification,
};
use sha2::{Digest, Sha256};

/// Of each, `NAME.knet`, `NAME/`, and `NAME-bare` in both forms: without compile settings, optimizer,
/// training state, history and metadata.
const NAMES: [&str; 4] = ["cnn", "resnet", "shared", "every"];

/// The most bytes of one of them, so that every bit of it can be tried.
const MOST: usize = 60 << 10;

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// The models, in the file form.
fn models() -> Vec<String> {
    NAMES.into_iter().flat_map(|name| [name.to_owned(), format!("{name}-bare")]).collect()
}

/// Every file under `directory`, with its path in it.
fn tree(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(inner) = pending.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

/// The list of digests as `sha256sum` writes and checks it.
fn sums(files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut text = String::new();
    for (name, bytes) in files {
        Sha256::digest(bytes).iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        writeln!(text, "  {name}").unwrap();
    }
    text
}

/// The golden files without the list and the words about them.
fn golden() -> BTreeMap<String, Vec<u8>> {
    let mut files = tree(&home());
    files.retain(|name, _| !["SHA256SUMS", "README.md"].contains(&name.as_str()));
    files
}

#[test]
fn the_files_are_those_of_the_list() {
    assert_eq!(sums(&golden()), fs::read_to_string(home().join("SHA256SUMS")).unwrap());
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    for (name, bytes) in golden() {
        let model = name.split('/').next().unwrap().to_owned();
        *sizes.entry(model).or_default() += bytes.len();
    }
    assert_eq!(sizes.len(), 2 * models().len());
    assert!(sizes.values().all(|&size| size <= MOST), "{sizes:?}");
}

#[test]
fn they_load_and_are_written_again_byte_for_byte() {
    let scratch = tempfile::tempdir().unwrap();
    let list = fs::read_to_string(home().join("SHA256SUMS")).unwrap();
    for name in models() {
        let (file, directory) = (format!("{name}.knet"), home().join(&name));
        let from_file = load(&home().join(&file), &Limits::default()).unwrap();
        let from_directory = load(&directory, &Limits::default()).unwrap();
        let bare = name.ends_with("-bare");
        assert_eq!(from_file.optimizer.is_none(), bare);
        assert_eq!(from_file.training.is_none(), bare);
        for checkpoint in [from_file, from_directory] {
            let written = BTreeMap::from([(file.clone(), to_bytes(&checkpoint).unwrap())]);
            assert!(list.contains(&sums(&written)), "{name}: other bytes than in version 1.0");
        }
        let unpacked = scratch.path().join(&name);
        unpack(&home().join(&file), &unpacked).unwrap();
        assert!(tree(&unpacked) == tree(&directory), "{name}: another directory");
    }
}

#[test]
fn they_prove_themselves() {
    for name in models() {
        for path in [home().join(format!("{name}.knet")), home().join(&name)] {
            let proof = load(&path, &Limits::default()).unwrap().proof.unwrap();
            let verdict = keepnet::verify(&path).unwrap().unwrap();
            if proof.arithmetic_revision == keepnet::nn::ARITHMETIC_REVISION {
                assert_eq!(verdict, Verification::Identical, "{name}");
            } else {
                let Verification::OtherArithmetic { largest, .. } = verdict else {
                    panic!("{name}: {verdict:?}");
                };
                assert!(largest < 1e-4, "{name}: the answers differ by {largest}");
            }
        }
    }
}

fn cnn() -> Graph {
    let net = Sequential::new(Shape::image(28, 28, 1)).name("cnn");
    let net = net.conv2d(4, 3, Activation::Relu).max_pool2d(2).conv2d(8, 3, Activation::Relu);
    net.max_pool2d(2).flatten().dropout(0.25).dense(10, Activation::Softmax).graph().unwrap()
}

fn resnet() -> Graph {
    let mut net = GraphBuilder::new();
    let conv = || Conv2d { padding: Padding::Same, use_bias: false, ..Conv2d::new(6, 3) };
    let input = net.input("input", Shape::image(28, 28, 1));
    let x = net.add(Conv2d { strides: [2, 2], ..conv() }, &[input]);
    let x = net.add(BatchNormalization::default(), &[x]);
    let mut x = net.add(Activation::Relu, &[x]);
    for _ in 0..2 {
        let shortcut = x;
        x = net.add(conv(), &[x]);
        x = net.add(BatchNormalization::default(), &[x]);
        x = net.add(Activation::Relu, &[x]);
        x = net.add(conv(), &[x]);
        x = net.add(BatchNormalization::default(), &[x]);
        x = net.add(Merge::Add, &[x, shortcut]);
        x = net.add(Activation::Relu, &[x]);
    }
    let x = net.add(GlobalPool2d { kind: PoolKind::Average, keep_dims: false }, &[x]);
    let x = net.add(Dense { activation: Activation::Softmax, ..Dense::new(10) }, &[x]);
    net.output("digit", x);
    net.build("resnet").unwrap()
}

/// One convolution applied twice, and a dense layer applied to both halves; one layer is frozen.
fn shared() -> Graph {
    let mut net = GraphBuilder::new();
    let input = net.input("image", Shape::image(28, 28, 1));
    let first = net.named("first", Conv2d { strides: [2, 2], ..Conv2d::new(4, 3) }, &[input]);
    let same = Conv2d { padding: Padding::Same, ..Conv2d::new(4, 3) };
    let once = net.named("shared", same, &[first]);
    let twice = net.again(once, &[once]);
    let [a, b] = [once, twice].map(|x| net.add(Pool2d::max(4), &[x]));
    let [a, b] = [a, b].map(|x| net.add(LayerSpec::Flatten, &[x]));
    let left = net.named("features", Dense::new(8), &[a]);
    let right = net.again(left, &[b]);
    let both = net.add(Merge::Concatenate { axis: -1 }, &[left, right]);
    let digit = net.add(Dense { activation: Activation::Softmax, ..Dense::new(10) }, &[both]);
    net.output("digit", digit);
    let mut graph = net.build("shared").unwrap();
    graph.set_trainable("first", false);
    graph
}

/// Every kind of layer, every activation, every initializer, and settings other than the usual ones.
fn every() -> Graph {
    use keepnet::Initializer::*;
    let mut net = GraphBuilder::new();
    let input = net.input("image", Shape::image(28, 28, 1));
    let x = net.add(Rescaling { scale: 2.0, offset: -1.0 }, &[input]);
    let x = net.add(LayerSpec::from(Arrange::ZeroPadding2d([1, 2, 3, 0])), &[x]);
    let explicit = Padding::Explicit { top: 0, bottom: 1, left: 2, right: 0 };
    let conv = Conv2d { padding: explicit, strides: [2, 3], ..Conv2d::new(4, 3) };
    let x = net.add(Conv2d { kernel_initializer: HeNormal, kernel_l2: 1e-4, ..conv }, &[x]);
    let conv = Conv2d { groups: 2, dilation: [2, 1], ..Conv2d::new(4, 2) };
    let conv = Conv2d { padding: Padding::Same, kernel_initializer: HeUniform, ..conv };
    let mut branches = vec![net.add(conv, &[x])];
    for activation in [
        Activation::Relu,
        Activation::Relu6,
        Activation::LeakyRelu { negative_slope: 0.2 },
        Activation::Elu { alpha: 0.5 },
        Activation::Selu,
        Activation::Gelu,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Softplus,
        Activation::Softmax,
        Activation::Linear,
    ] {
        branches.push(net.add(activation, &[x]));
    }
    let x = net.add(Merge::Add, &branches);
    let x = net.add(Pool2d { padding: Padding::Same, ..Pool2d::average(2) }, &[x]);
    let normalization = BatchNormalization { momentum: 0.9, epsilon: 0.01, ..Default::default() };
    let x = net.add(BatchNormalization { scale: false, ..normalization }, &[x]);
    let pool = |kind, keep_dims| GlobalPool2d { kind, keep_dims };
    let highest = net.add(pool(PoolKind::Max, true), &[x]);
    let highest = net.add(LayerSpec::Reshape(Shape::vector(4)), &[highest]);
    let mean = net.add(pool(PoolKind::Average, false), &[x]);
    let most = net.add(Pool2d { strides: [1, 2], ..Pool2d::max(3) }, &[x]);
    let most = net.add(LayerSpec::Flatten, &[most]);
    let x = net.add(Merge::Concatenate { axis: 1 }, &[highest, mean, most]);
    let dense = Dense { kernel_initializer: GlorotNormal, bias_initializer: Ones, ..Dense::new(6) };
    let x = net.add(Dense { activation: Activation::Tanh, kernel_l2: 0.001, ..dense }, &[x]);
    let x = net.add(Dropout { rate: 0.5 }, &[x]);
    let x = net.add(Dense { use_bias: false, ..Dense::new(10) }, &[x]);
    net.output("digit", x);
    net.build("every").unwrap()
}

/// A warm-up, then a half of a cosine.
fn schedule() -> Schedule {
    let then = Box::new(Schedule::Cosine { steps: 100, floor: 0.1 });
    Schedule::WarmUp { steps: 5, from: 0.25, then }
}

/// Ends training after so many steps.
struct StopAfter(u64);

impl Callback for StopAfter {
    fn on_step_end(
        &mut self,
        model: &Model,
        _: &StepReport,
    ) -> Result<ControlFlow<()>, CallbackError> {
        let stop = model.steps() >= self.0;
        Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

#[test]
#[ignore = "writes files like the golden ones to another folder"]
fn make_such_files() {
    let out = PathBuf::from(std::env::var_os("KEEPNET_GOLDEN_OUT").expect("a folder to write to"));
    fs::create_dir(&out).expect("a folder that is not there yet");
    let data = mnist::embedded().unwrap();
    let (train, validation) = (data.train.take(256), data.validation.take(64));
    // Some stop in the middle of their second epoch.
    let all = u64::MAX;
    let rms = RmsProp { momentum: 0.5, ..RmsProp::default() };
    let clipped =
        Optimizer { clipping: Clipping::GlobalNorm(0.5), ..Optimizer::adamw(0.01, 0.004) };
    let probabilities = Loss::SparseCategoricalCrossentropy;
    let logits = Loss::SparseCategoricalCrossentropyWithLogits;
    let runs = [
        (cnn(), Optimizer::adam(0.001), probabilities, all),
        (resnet(), Sgd { momentum: 0.9, nesterov: true }.into(), probabilities, 11),
        (shared(), rms.into(), probabilities, all),
        (every(), clipped.with_schedule(schedule()), logits, 11),
    ];
    for (name, (graph, optimizer, loss, stop)) in NAMES.into_iter().zip(runs) {
        let mut model = Model::new(graph, 42);
        let output = model.graph().outputs()[0].name.clone();
        let losses = vec![OutputLoss::new(output, loss)];
        let metrics = vec![Metric::Accuracy, Metric::TopKAccuracy { k: 3 }];
        model.compile_with(CompileSettings { optimizer, losses, metrics }).unwrap();
        let mut options = FitOptions { epochs: 2, batch_size: 32, ..FitOptions::default() };
        let mut callbacks: Vec<Box<dyn Callback>> = vec![Box::new(StopAfter(stop))];
        if name == "every" {
            options.validation_split = 0.125;
            callbacks.push(Box::new(EarlyStopping::new(Monitor::min("val_loss")).restore_best()));
            callbacks.push(Box::new(ReduceOnPlateau::new(Monitor::max("val_accuracy"))));
        } else {
            options.validation = Some(validation.clone());
        }
        model.fit_with(&train, &options, &mut callbacks).unwrap();
        let mut whole = model.to_checkpoint();
        whole.proof = model.prove().unwrap();
        assert!(whole.proof.is_some());
        whole.metadata = BTreeMap::from([
            ("data".into(), "256 images of MNIST".into()),
            ("purpose".into(), "a golden file of version 1.0".into()),
        ]);
        let bare = SaveOptions { proof: true, ..SaveOptions::weights_only() }.apply(whole.clone());
        for (name, checkpoint) in [(name.to_owned(), whole), (format!("{name}-bare"), bare)] {
            save(&checkpoint, &out.join(format!("{name}.knet")), Format::File).unwrap();
            save(&checkpoint, &out.join(name), Format::Directory).unwrap();
        }
    }
}
