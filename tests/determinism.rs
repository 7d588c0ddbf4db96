//! The same bits: for any number of threads, on any instruction set, in any batch, after any reload.
//! `docs/DETERMINISM.md` states the contract.

use std::ops::ControlFlow;
use std::process::Command;

use keepnet::nn::ARITHMETIC_REVISION;
use keepnet::train::data::{Dataset, mnist};
use keepnet::{
    Activation, BatchNormalization, Callback, CallbackError, Conv2d, Dense, Dropout, FitOptions,
    GlobalPool2d, GraphBuilder, Loss, Merge, Model, NodeId, Optimizer, Padding, PoolKind,
    ResumeOptions, Samples, SaveOptions, Sequential, Shape, StepReport,
};
use sha2::{Digest, Sha256};

const LOSS: Loss = Loss::SparseCategoricalCrossentropy;

/// The digest of the file that the model would be saved in: parameters, optimizer, history, and what
/// the model answers.
fn digest(model: &Model) -> String {
    let bytes = file(model);
    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file(model: &Model) -> Vec<u8> {
    model.to_bytes(SaveOptions::default()).expect("a model that can be saved")
}

fn reloaded(model: &Model) -> Model {
    Model::from_bytes(&file(model)).expect("what was just saved")
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn answers(model: &Model, inputs: &Samples) -> Vec<u32> {
    bits(model.predict(inputs).expect("inputs that fit").as_slice().expect("row-major"))
}

/// All parameters, one after the other.
fn parameters(model: &Model) -> Vec<u32> {
    let graph = model.graph();
    let names = graph.parameters().iter().map(|parameter| graph.tensor_name(parameter));
    names.flat_map(|name| bits(model.parameter(&name).expect("its own"))).collect()
}

fn digits(count: usize) -> Dataset {
    mnist::embedded().expect("part of the crate").train.take(count)
}

/// The reference network.
fn w1() -> Model {
    let chain = Sequential::new(Shape::image(28, 28, 1))
        .conv2d(32, 3, Activation::Relu)
        .max_pool2d(2)
        .conv2d(64, 3, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(128, Activation::Relu)
        .dense(10, Activation::Softmax);
    let mut model = chain.build(42).expect("a chain that fits");
    model.compile(Optimizer::adam(0.001), LOSS).expect("one output");
    model
}

/// Two residual blocks over digits shrunk by a stride, with batch normalization and dropout: the
/// layers at which shards meet, and the one that takes random numbers.
fn resnet() -> Model {
    let mut builder = GraphBuilder::new();
    let image = builder.input("image", [28, 28, 1]);
    let conv = |x: NodeId, filters: usize, stride: usize, builder: &mut GraphBuilder| {
        let conv = Conv2d {
            strides: [stride; 2],
            padding: Padding::Same,
            use_bias: false,
            kernel_l2: 1e-4,
            ..Conv2d::new(filters, 3)
        };
        let x = builder.add(conv, &[x]);
        builder.add(BatchNormalization::default(), &[x])
    };
    let x = conv(image, 8, 4, &mut builder);
    let mut x = builder.add(Activation::Relu, &[x]);
    for _ in 0..2 {
        let y = conv(x, 8, 1, &mut builder);
        let y = builder.add(Activation::Gelu, &[y]);
        let y = builder.add(Dropout { rate: 0.25 }, &[y]);
        let y = conv(y, 8, 1, &mut builder);
        x = builder.add(Merge::Add, &[x, y]);
    }
    let x = builder.add(GlobalPool2d { kind: PoolKind::Average, keep_dims: false }, &[x]);
    let x = builder.add(Dropout { rate: 0.1 }, &[x]);
    let x = builder.add(Dense { activation: Activation::Softmax, ..Dense::new(10) }, &[x]);
    builder.output("digit", x);
    let mut model = Model::new(builder.build("resnet").expect("sound"), 7);
    model.compile(Optimizer::adamw(0.01, 0.004), LOSS).expect("one output");
    model
}

/// `epochs` more, with a last batch that ends in a short shard.
fn options(epochs: u64) -> FitOptions {
    FitOptions { epochs, batch_size: 72, validation_split: 0.1, ..FitOptions::default() }
}

fn trained(mut model: Model, data: &Dataset, options: &FitOptions) -> Model {
    model.fit(data, options).expect("data that fits");
    model
}

fn on_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("a few threads").install(run)
}

/// Digests of the files of trained networks. Whatever instruction set, number of threads, machine or
/// optimisation by the compiler gives others has a fault. They belong to [`REVISION`] and change with
/// it alone, or with the form of the file, which has tests of its own.
struct Digests {
    model: fn() -> Model,
    /// After two steps of 40 samples, two whole shards and a short one: soon done even by a compiler
    /// that does not optimise.
    two_steps: &'static str,
    /// After a training with validation.
    trained: &'static str,
}

const REVISION: u32 = 2;
const W1: Digests = Digests {
    model: w1,
    two_steps: "9cd800ada7ba5d0c4ccee67de264c18357b5f91745827e8076360480c983fe32",
    trained: "e5c5c32ebe588ffa44c3fe72eff9a51fd97bb13712de061f79508e7ff5f14a56",
};
const RESNET: Digests = Digests {
    model: resnet,
    two_steps: "916c7266018470ea9d2d0933e435b9eca29cea690cfa74ce7b65c5e7f3d6c227",
    trained: "c7c590f26d8106b9d8a17613609f9d95866e2a7dee5e6053b316da982ad64230",
};

const THREADS: [usize; 5] = [1, 2, 3, 4, 8];

/// 50 steps, validation in between, and the saved file.
#[test]
fn w1_trains_to_the_same_bits_on_any_number_of_threads() {
    let data = digits(3_600);
    for threads in THREADS {
        let found = on_threads(threads, || {
            // 45 steps of 72 samples in an epoch; the second epoch of 5 ends by the callback.
            let mut model = trained(w1(), &data, &options(1));
            model.fit_with(&data, &options(1), &mut Stop { after: 5 }).expect("data that fits");
            assert_eq!(model.steps(), 50);
            digest(&model)
        });
        assert_eq!(found, W1.trained, "on {threads} threads");
    }
}

#[test]
fn resnet_trains_to_the_same_bits_on_any_number_of_threads() {
    let data = digits(400);
    for threads in THREADS {
        let found = on_threads(threads, || digest(&trained(resnet(), &data, &options(2))));
        assert_eq!(found, RESNET.trained, "on {threads} threads");
    }
}

/// Under the instruction set that `KEEPNET_ISA` asks for, and as this program was compiled.
#[test]
fn two_steps_train_to_the_same_bits() {
    assert_eq!(ARITHMETIC_REVISION, REVISION, "the digests are those of another revision");
    let data = digits(80);
    let options = FitOptions { epochs: 1, batch_size: 40, ..FitOptions::default() };
    for Digests { model, two_steps, .. } in [W1, RESNET] {
        for threads in THREADS {
            let model = on_threads(threads, || trained(model(), &data, &options));
            let name = model.graph().name();
            assert_eq!(digest(&model), two_steps, "{name} on {threads} threads");
        }
    }
}

/// That test, run again under an instruction set.
fn two_steps_under(isa: &str) -> (bool, String) {
    let program = std::env::current_exe().expect("this test");
    let output = Command::new(program)
        .args(["--exact", "two_steps_train_to_the_same_bits", "--nocapture"])
        .env("KEEPNET_ISA", isa)
        .output()
        .expect("this program can be run");
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.success(), text.concat())
}

/// An instruction set that the machine lacks is refused, and nothing is computed. Gives those that it
/// has.
fn available() -> Vec<String> {
    let (success, text) = two_steps_under("avx1024");
    assert!(!success, "{text}");
    let error = "Isa(IsaError { found: \"avx1024\", available: \"";
    let (_, rest) = text.split_once(error).expect("the error that the training gives");
    let (available, _) = rest.split_once('"').expect("the end of the names");
    available.split(", ").map(str::to_owned).collect()
}

/// Under each instruction set that the machine has.
#[test]
fn two_steps_train_to_the_same_bits_on_any_instruction_set() {
    let there = available();
    assert_eq!(there[0], "portable");
    for isa in there {
        let (success, text) = two_steps_under(&isa);
        assert!(success && text.contains("1 passed"), "{isa}: {text}");
    }
}

/// A sample's answer does not depend on its neighbours, nor on the shard it falls into.
#[test]
fn samples_are_predicted_alone_as_in_any_batch() {
    for model in [w1(), resnet()] {
        let model = trained(model, &digits(100), &options(1));
        let inputs = digits(37).inputs()[0].clone();
        let together = answers(&model, &inputs);
        let alone: Vec<u32> =
            (0..37).flat_map(|sample| answers(&model, &inputs.select(&[sample]))).collect();
        assert_eq!(together, alone);
        let backwards: Vec<usize> = (0..37).rev().collect();
        let backwards = answers(&model, &inputs.select(&backwards));
        let turned: Vec<u32> =
            backwards.chunks_exact(10).rev().flat_map(|row| row.iter().copied()).collect();
        assert_eq!(together, turned);
    }
}

#[test]
fn a_reloaded_model_answers_and_trains_as_if_never_saved() {
    let data = digits(400);
    for model in [w1(), resnet()] {
        let model = trained(model, &data, &options(1));
        let again = reloaded(&model);
        let inputs = &data.inputs()[0];
        assert_eq!(answers(&model, inputs), answers(&again, inputs));
        assert_eq!(file(&model), file(&again));
        // 360 samples of 400: five steps of 72.
        let (model, again) =
            (trained(model, &data, &options(1)), trained(again, &data, &options(1)));
        assert_eq!(model.steps(), 10);
        assert!(file(&model) == file(&again), "five steps after a reload differ");
    }
}

/// Breaks after so many steps of an epoch.
struct Stop {
    after: u64,
}

impl Callback for Stop {
    fn on_step_end(
        &mut self,
        _: &Model,
        report: &StepReport,
    ) -> Result<ControlFlow<()>, CallbackError> {
        Ok(if report.step == self.after {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}

/// In the first epoch and in the second, after the first step, in the middle and after the last.
#[test]
fn an_interrupted_epoch_is_finished_as_if_never_interrupted() {
    let data = digits(400);
    let straight = trained(resnet(), &data, &options(3));
    for (epochs, after) in [(0, 1), (0, 3), (1, 2), (1, 5)] {
        let mut model = trained(resnet(), &data, &options(epochs));
        model.fit_with(&data, &options(1), &mut Stop { after }).expect("data that fits");
        assert_eq!(model.steps(), epochs * 5 + after);
        let mut again = reloaded(&model);
        // The fit was one of a single epoch.
        let end = ResumeOptions { end: Some(3), ..ResumeOptions::default() };
        again.resume(&data, &end, &mut ()).expect("the same data");
        assert_eq!(again.steps(), straight.steps());
        assert_eq!(parameters(&again), parameters(&straight), "{epochs} epochs and {after} steps");
        let slots = |model: &Model| model.to_checkpoint().into_owned().optimizer;
        assert_eq!(slots(&again), slots(&straight));
        let (found, expected) = (&again.history().epochs, &straight.history().epochs);
        assert_eq!(found, expected);
    }
}
