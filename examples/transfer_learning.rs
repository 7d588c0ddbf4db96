//! Transfer learning: what a network has learned of the digits 0 to 4 helps it with 5 to 9.
//!
//! `cargo run --release --example transfer_learning`
//!
//! A network learns to tell 0 to 4 apart and is saved. A second one takes its convolutions from the
//! file, freezes them, and trains a new head on a few images of 5 to 9. A third one of the same
//! architecture learns the same from nothing. Epochs and accuracies are the same on every machine.

use std::path::Path;
use std::time::Instant;

use keepnet::format::{self, Limits};
use keepnet::train::data::{Split, mnist};
use keepnet::{
    Activation, Conv2d, Dataset, Dense, FitOptions, Loss, Model, ModelError, Optimizer, Sequential,
    Shape,
};

/// The layers that are taken over.
const BODY: [&str; 2] = ["edges", "shapes"];

/// Images of 5 to 9 to learn from, the accuracy at which learning ends, and after how many epochs it
/// ends without.
const FEW: usize = 250;
const GOAL: f64 = 0.9;
const EPOCHS: usize = 40;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("keepnet-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let shown = mnist::embedded().map_err(Into::into).and_then(|data| run(&folder, &data));
    std::fs::remove_dir_all(&folder)?;
    Ok(shown?)
}

/// All of it; the file of the first network is in `folder`.
pub(crate) fn run(folder: &Path, data: &Split) -> Result<(), keepnet::Error> {
    let path = folder.join("zero-to-four.knet");
    let seconds = learn_zero_to_four(&path, data)?;
    println!("0 to 4 learned in {seconds:.2} s, once, and saved\n");

    let train = digits(&data.train, 5)?.take(FEW);
    let validation = digits(&data.validation, 5)?;
    let mut transferred = transfer(&path)?;
    let mut from_nothing = network("five-to-nine", 2)?;
    println!("5 to 9 from {} images, up to {:.0} % of {}:", FEW, GOAL * 100.0, validation.len());
    println!("| | parameters trained | epochs | seconds | accuracy after each epoch, % |");
    println!("|---|---|---|---|---|");
    let sooner = learn("body taken over", &mut transferred, &train, &validation)?;
    let later = learn("from nothing", &mut from_nothing, &train, &validation)?;
    assert!(sooner < later, "what was learned of 0 to 4 helps with 5 to 9");
    Ok(())
}

/// A body of convolutions, and a head for one `task` of five classes.
fn network(task: &str, seed: u64) -> Result<Model, ModelError> {
    let conv = |filters| Conv2d { activation: Activation::Relu, ..Conv2d::new(filters, 3) };
    let dense = |units, activation| Dense { activation, ..Dense::new(units) };
    let [edges, shapes] = BODY;
    Sequential::new(Shape::image(28, 28, 1))
        .named(edges, conv(16))
        .max_pool2d(2)
        .named(shapes, conv(32))
        .max_pool2d(2)
        .flatten()
        .named(&format!("{task}-features"), dense(64, Activation::Relu))
        .named(task, dense(5, Activation::Softmax))
        .build(seed)
}

/// Gives the seconds it takes.
fn learn_zero_to_four(path: &Path, data: &Split) -> Result<f64, keepnet::Error> {
    let mut model = network("zero-to-four", 1)?;
    model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy)?;
    let train = digits(&data.train, 0)?;
    let start = Instant::now();
    model.fit(&train, &FitOptions { epochs: 3, ..Default::default() })?;
    let seconds = start.elapsed().as_secs_f64();
    model.save(path)?;
    Ok(seconds)
}

fn transfer(path: &Path) -> Result<Model, keepnet::Error> {
    let trained = format::load(path, &Limits::default())?;
    let mut mine = network("five-to-nine", 2)?;
    let report = mine.load_weights(&trained, false)?;
    assert_eq!(report.restored, ["edges/kernel", "edges/bias", "shapes/kernel", "shapes/bias"]);
    assert_eq!(report.missing.len(), 4, "the new head starts as it was initialised");
    assert_eq!(report.unexpected.len(), 4, "the old head stays in the file");
    for layer in BODY {
        mine.set_trainable(layer, false)?;
    }
    Ok(mine)
}

/// Trains on 5 to 9 and prints a row; gives the epochs it takes.
fn learn(
    name: &str,
    model: &mut Model,
    train: &Dataset,
    validation: &Dataset,
) -> Result<usize, keepnet::Error> {
    model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy)?;
    let (mut seconds, mut accuracies) = (0.0, Vec::new());
    while accuracies.len() < EPOCHS && accuracies.last().is_none_or(|&last| last < GOAL) {
        let start = Instant::now();
        model.fit(train, &FitOptions::default())?;
        seconds += start.elapsed().as_secs_f64();
        let scores = model.evaluate(validation)?;
        accuracies.push(scores.accuracy().expect("compiled to classify"));
    }
    let trained: usize = (model.graph().parameters().iter())
        .filter(|parameter| model.graph().is_trained(parameter))
        .map(|parameter| parameter.shape.elements())
        .sum();
    let epochs = accuracies.len();
    let shown: Vec<String> =
        accuracies.iter().map(|accuracy| format!("{:.1}", accuracy * 100.0)).collect();
    println!("| {name} | {trained} | {epochs} | {seconds:.3} | {} |", shown.join(" "));
    Ok(epochs)
}

/// The images of five digits from `first` on, which become the classes 0 to 4.
fn digits(data: &Dataset, first: u32) -> Result<Dataset, keepnet::Error> {
    let classes = data.classes()?;
    let wanted: Vec<usize> =
        (0..data.len()).filter(|&index| (first..first + 5).contains(&classes[index])).collect();
    let classes: Vec<u32> = wanted.iter().map(|&index| classes[index] - first).collect();
    Ok(Dataset::new(data.inputs()[0].select(&wanted), classes)?)
}
