//! Training, prediction, saving and loading of W1 as a user meets them, beside the roof of the
//! machine.
//!
//! ```text
//! cargo bench --bench mnist                     a table
//! cargo bench --bench mnist -- --json           one JSON object
//! cargo bench --bench mnist -- --threads 1
//! ```
//!
//! Every number is the median of several repetitions, over the embedded images.

mod measure;

use std::hint::black_box;
use std::time::Instant;

use clap::Parser;
use keepnet::benchable;
use keepnet::train::data::mnist;
use keepnet::{Dataset, FitOptions, Model, Samples};
use serde_json::{Value, json};

/// Samples per training step, and per call of `predict`.
const BATCH: usize = 128;
const PREDICTED: usize = 500;

#[derive(Parser)]
struct Options {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Measure next to nothing: only whether the benchmark works
    #[arg(long)]
    quick: bool,
    /// Worker threads [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much is measured.
struct Effort {
    repetitions: usize,
    images: usize,
    /// Calls of `predict` with one image.
    calls: usize,
    peak_seconds: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    if let Some(threads) = options.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let effort = if options.quick {
        Effort { repetitions: 1, images: 2 * PREDICTED, calls: 10, peak_seconds: 0.01 }
    } else {
        Effort { repetitions: 7, images: 8_000, calls: 2_000, peak_seconds: 0.5 }
    };
    let threads = rayon::current_num_threads();
    let images = mnist::embedded()?.train.take(effort.images);
    let mut model = measure::w1(0)?;
    let train = train_rate(&mut model, &images, &effort)?;
    let infer = infer_rate(&model, &images, &effort)?;
    let latency = latency(&model, &images, &effort)?;
    let [save, load] = save_and_load(&model, &effort)?;
    let peak = |threads| round(peak(threads, &effort) / 1e9, 1);

    let results = [
        ("isa", json!(benchable::isa()), ""),
        ("threads", json!(threads), ""),
        ("batch", json!(BATCH), "images"),
        ("train_images_per_s", round(train, 0), "images/s"),
        ("infer_images_per_s", round(infer, 0), "images/s, 500 at a time"),
        ("latency_us_p50", round(latency * 1e6, 1), "µs for one image"),
        ("peak_gflops_1t", peak(1), "GFLOP/s, multiply-adds on registers alone"),
        ("peak_gflops_all", peak(threads), "GFLOP/s, the same on all threads"),
        ("save_ms", round(save * 1e3, 2), "ms, optimizer and proof included"),
        ("load_ms", round(load * 1e3, 2), "ms"),
        (
            "rss_mib",
            measure::peak_rss_mib().map_or(Value::Null, |mib| round(mib, 1)),
            "MiB at most",
        ),
    ];
    if options.json {
        let object: serde_json::Map<_, _> =
            results.into_iter().map(|(name, value, _)| (name.to_owned(), value)).collect();
        println!("{}", Value::from(object));
    } else {
        for (name, value, unit) in results {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            println!("{name:<20}{value:>10}  {unit}");
        }
    }
    Ok(())
}

/// Images per second of an epoch. The first, in which memory is touched for the first time, does
/// not count.
fn train_rate(model: &mut Model, images: &Dataset, effort: &Effort) -> Result<f64, keepnet::Error> {
    let options = FitOptions { batch_size: BATCH, ..FitOptions::default() };
    model.fit(images, &options)?;
    let seconds = median(effort.repetitions, || model.fit(images, &options))?;
    Ok(images.len() as f64 / seconds)
}

fn infer_rate(model: &Model, images: &Dataset, effort: &Effort) -> Result<f64, keepnet::Error> {
    let indices: Vec<usize> = (0..images.len()).collect();
    let batches: Vec<Samples> =
        indices.chunks(PREDICTED).map(|indices| images.inputs()[0].select(indices)).collect();
    let pass =
        || batches.iter().try_for_each(|batch| model.predict(batch).map(|y| drop(black_box(y))));
    pass()?;
    Ok(images.len() as f64 / median(effort.repetitions, pass)?)
}

/// Seconds to predict one image.
fn latency(model: &Model, images: &Dataset, effort: &Effort) -> Result<f64, keepnet::Error> {
    let image = images.inputs()[0].select(&[0]);
    Ok(median(effort.calls, || model.predict(&image).map(|y| drop(black_box(y))))?)
}

/// Seconds to write the model with its whole training state to a disk file, and to read it.
fn save_and_load(model: &Model, effort: &Effort) -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("w1.knet");
    let save = median(3 * effort.repetitions, || model.save(&path))?;
    let load =
        median(3 * effort.repetitions, || Model::load(&path).map(|model| drop(black_box(model))))?;
    Ok([save, load])
}

/// Floating-point operations per second of `threads` threads that do nothing but multiply and add.
fn peak(threads: usize, effort: &Effort) -> f64 {
    const ROUNDS: u64 = 1 << 16;
    let work = || {
        let start = Instant::now();
        let mut operations = benchable::multiply_adds(ROUNDS);
        while start.elapsed().as_secs_f64() < effort.peak_seconds {
            operations += benchable::multiply_adds(ROUNDS);
        }
        operations as f64 / start.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("does not panic")).sum()
    })
}

/// The median of the seconds that `work` takes.
fn median<T, E>(repetitions: usize, mut work: impl FnMut() -> Result<T, E>) -> Result<f64, E> {
    let mut seconds = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[repetitions / 2])
}

/// A JSON number of so many decimals.
fn round(value: f64, decimals: i32) -> Value {
    let unit = [1.0, 10.0, 100.0][decimals as usize];
    json!((value * unit).round() / unit)
}
