//! The same bits: for any number of threads, on any instruction set, in any batch, after any reload.
//! `docs/DETERMINISM.md` states the contract.

use std::ops::ControlFlow;
use std::process::{Command, Output};

use keepnet::train::data::{Dataset, mnist};
use keepnet::{
    Activation, BatchNormalization, Callback, Conv2d, Dense, Dropout, FitOptions, GlobalPool2d,
    GraphBuilder, Loss, Merge, Model, NodeId, Optimizer, Padding, PoolKind, Samples, SaveOptions,
    Sequential, Shape, StepReport,
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

/// 50 steps, validation in between, and the saved file.
#[test]
fn w1_trains_to_the_same_bits_on_any_number_of_threads() {
    let data = digits(3_600);
    let digests = [1, 2, 3, 8].map(|threads| {
        on_threads(threads, || {
            // 45 steps of 72 samples in an epoch; the second epoch of 5 ends by the callback.
            let mut model = trained(w1(), &data, &options(1));
            model.fit_with(&data, &options(1), &mut Stop { after: 5 }).expect("data that fits");
            assert_eq!(model.steps(), 50);
            digest(&model)
        })
    });
    assert_eq!(digests, std::array::from_fn(|_| digests[0].clone()));
}

#[test]
fn resnet_trains_to_the_same_bits_on_any_number_of_threads() {
    let data = digits(400);
    let digests = [1, 2, 3, 8]
        .map(|threads| on_threads(threads, || digest(&trained(resnet(), &data, &options(2)))));
    assert_eq!(digests, std::array::from_fn(|_| digests[0].clone()));
}

/// Runs under whatever instruction set `KEEPNET_ISA` asks for and tells the digest.
#[test]
fn tell_digests() {
    let data = digits(200);
    println!("digest of resnet: {}", digest(&trained(resnet(), &data, &options(1))));
    println!("digest of w1: {}", digest(&trained(w1(), &digits(40), &options(1))));
}

/// This program, run again under an instruction set.
fn tell_digests_under(isa: &str) -> Output {
    let program = std::env::current_exe().expect("this test");
    Command::new(program)
        .args(["--exact", "tell_digests", "--nocapture"])
        .env("KEEPNET_ISA", isa)
        .output()
        .expect("this program can be run")
}

/// An instruction set that the machine lacks is refused, and nothing is computed. Gives those that it
/// has.
fn available() -> Vec<String> {
    let output = tell_digests_under("avx1024");
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let text = text.concat();
    assert!(!output.status.success() && !text.contains("digest of "), "{text}");
    let error = "Isa(IsaError { found: \"avx1024\", available: \"";
    let (_, rest) = text.split_once(error).expect("the error that the training gives");
    let (available, _) = rest.split_once('"').expect("the end of the names");
    available.split(", ").map(str::to_owned).collect()
}

/// Under each instruction set that the machine has.
#[test]
fn instruction_sets_train_to_the_same_bits() {
    let there = available();
    assert_eq!(there[0], "portable");
    let there = there.iter();
    let told = there.map(|isa| {
        let output = tell_digests_under(isa);
        let text = String::from_utf8(output.stdout).expect("text");
        let digests: Vec<String> = (text.lines())
            .filter_map(|line| line.find("digest of ").map(|start| line[start..].to_owned()))
            .collect();
        assert_eq!(digests.len(), 2, "{isa}: {text}");
        digests
    });
    let told: Vec<_> = told.collect();
    assert!(told.iter().all(|digests| *digests == told[0]), "{told:?}");
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
    fn on_step_end(&mut self, _: &Model, report: &StepReport) -> ControlFlow<()> {
        if report.step == self.after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
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
        let again = trained(reloaded(&model), &data, &options(3 - epochs));
        assert_eq!(again.steps(), straight.steps());
        assert_eq!(parameters(&again), parameters(&straight), "{epochs} epochs and {after} steps");
        let slots = |model: &Model| model.to_checkpoint().into_owned().optimizer;
        assert_eq!(slots(&again), slots(&straight));
        let (found, expected) = (&again.history().epochs, &straight.history().epochs);
        assert_eq!(found.len(), 3);
        for (epoch, (found, expected)) in found.iter().zip(expected).enumerate() {
            // Of the epoch that was interrupted, the means are those of the rest.
            if epoch as u64 != epochs {
                assert_eq!(found, expected);
            }
            assert_eq!(found.get("val_loss"), expected.get("val_loss"));
            assert!(found.values.iter().all(|(_, value)| value.is_finite()), "{found:?}");
        }
    }
}
