//! How well W1 learns MNIST: the accuracy on the 10,000 test images after each of six epochs, for
//! five seeds. Optimizer and batches are keepnet's defaults (Adam at 0.001, 32 samples); what relu
//! follows starts as He et al. (2015) derive for it. `docs/BENCHMARKS.md` has other settings too.
//!
//! ```text
//! cargo run --release --example accuracy -- DIR
//! ```
//!
//! `DIR` holds the four files of MNIST (`docs/DATA.md` says how to get them). The Markdown table
//! that it prints is kept in `docs/BENCHMARKS.md`.

#[path = "../benches/measure/memory.rs"]
mod memory;

use std::process::ExitCode;
use std::time::Instant;

use keepnet::train::data::{Split, mnist};
use keepnet::{
    Activation, Conv2d, Dense, FitOptions, Initializer, Loss, Model, Optimizer, Sequential, Shape,
};

const EPOCHS: usize = 6;
const SEEDS: std::ops::Range<u64> = 0..5;

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1) else {
        eprintln!("usage: accuracy DIR, where DIR holds the four files of MNIST");
        return ExitCode::from(2);
    };
    match mnist::from_dir(dir).map_err(keepnet::Error::from).and_then(|data| report(&data)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("accuracy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(data: &Split) -> Result<(), keepnet::Error> {
    let epochs: Vec<String> = (1..=EPOCHS).map(|epoch| format!("epoch {epoch}")).collect();
    println!("| seed | {} | best | images/s |", epochs.join(" | "));
    println!("|---|{}---|---|", "---|".repeat(EPOCHS));
    for seed in SEEDS {
        let mut model = w1(seed)?;
        let options = FitOptions::default();
        let (mut accuracies, mut seconds) = (Vec::new(), 0.0);
        for _ in 0..EPOCHS {
            let start = Instant::now();
            model.fit(&data.train, &options)?;
            seconds += start.elapsed().as_secs_f64();
            let scores = model.evaluate(&data.validation)?;
            accuracies.push(scores.accuracy().expect("compiled to classify"));
        }
        let cells: Vec<String> =
            accuracies.iter().map(|accuracy| format!("{:.2} %", accuracy * 100.0)).collect();
        let best = accuracies.iter().copied().max_by(f64::total_cmp).expect("six epochs");
        let rate = (EPOCHS * data.train.len()) as f64 / seconds;
        println!("| {seed} | {} | **{:.2} %** | {rate:.0} |", cells.join(" | "), best * 100.0);
    }
    if let Some(peak) = memory::peak_rss_mib() {
        println!("\nPeak memory, the images of both sets included: {peak:.0} MiB.");
    }
    Ok(())
}

fn w1(seed: u64) -> Result<Model, keepnet::Error> {
    let (activation, kernel_initializer) = (Activation::Relu, Initializer::HeUniform);
    let conv = |filters| Conv2d { activation, kernel_initializer, ..Conv2d::new(filters, 3) };
    let mut model = Sequential::new(Shape::image(28, 28, 1))
        .layer(conv(32))
        .max_pool2d(2)
        .layer(conv(64))
        .max_pool2d(2)
        .flatten()
        .layer(Dense { activation, kernel_initializer, ..Dense::new(128) })
        .dense(10, Activation::Softmax)
        .build(seed)?;
    model.compile(Optimizer::default(), Loss::SparseCategoricalCrossentropy)?;
    Ok(model)
}
