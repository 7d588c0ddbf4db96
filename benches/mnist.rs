//! Training and prediction of W1 and of networks of other shapes, saving and loading, beside the
//! roof of the machine.
//!
//! ```text
//! cargo bench --bench mnist                       a table
//! cargo bench --bench mnist -- --json             one JSON object
//! cargo bench --bench mnist -- --net vgg --json   of one network alone
//! cargo bench --bench mnist -- --isa avx2 --threads 1
//! ```
//!
//! Every number but the roof is the median of several repetitions. `docs/BENCHMARKS.md` says what
//! each is.

mod measure;

use std::hint::black_box;

use clap::Parser;
use keepnet::benchable::{self, Convolution};
use keepnet::nn::SHARD;
use keepnet::{Conv2d, Model, Shape};
use serde_json::{Value, json};

use measure::{
    Effort, Figure, NETS, Net, Roof, Speed, median, object, print, round, share_of_peak,
};

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
    /// The instruction set to run on [default: the machine's best]
    #[arg(long, value_parser = ["portable", "avx2", "avx512"])]
    isa: Option<String>,
    /// Measure this network alone
    #[arg(long, value_parser = NETS.map(|net| net.name))]
    net: Option<String>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    measure::isa::settle(options.isa.as_deref())?;
    if let Some(threads) = options.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let effort = Effort { repetitions: if options.quick { 1 } else { 7 }, quick: options.quick };
    let threads = rayon::current_num_threads();
    let roof = Roof::new(threads, if effort.quick { 0.01 } else { 0.2 });
    let net = NETS.iter().find(|net| options.net.as_deref() == Some(net.name));
    let mut figures: Vec<Figure> =
        vec![("isa", json!(benchable::isa()), ""), ("threads", json!(threads), "")];
    figures.extend(match net {
        Some(net) => of_one(net, roof, &effort)?.into(),
        None => of_all(roof, &effort)?,
    });
    if options.json {
        println!("{}", object(figures));
    } else {
        figures.iter().for_each(print);
    }
    Ok(())
}

fn of_all(mut roof: Roof, effort: &Effort) -> Result<Vec<Figure>, Box<dyn std::error::Error>> {
    let [w1, others @ ..] = &NETS;
    roof.look();
    let mut model = w1.model()?;
    let w1_speed = measure::speed(w1, &mut model, effort)?;
    let [save, load] = save_and_load(&model, effort)?;
    let rss = measure::peak_rss_mib();
    roof.look();
    let kernels = kernel_figures(effort);
    let mut speeds = Vec::new();
    for net in others {
        speeds.push((net.name, measure::speed(net, &mut net.model()?, effort)?));
        roof.look();
    }

    let nets = speeds.iter().map(|(name, speed)| (*name, object(net_figures(speed, &roof)), ""));
    let nets = object(nets);
    let [train, infer, latency, train_share, infer_share, _] = net_figures(&w1_speed, &roof);
    let mut figures = vec![
        ("batch", json!(w1.batch), "images"),
        ("train_images_per_s", train.1, "images/s"),
        ("infer_images_per_s", infer.1, "images/s, 500 at a time"),
        ("latency_us_p50", latency.1, "µs for one image"),
        train_share,
        infer_share,
        ("peak_gflops_1t", round(roof.one_thread / 1e9, 1), "GFLOP/s, multiply-adds on registers"),
        ("peak_gflops_all", round(roof.all_threads / 1e9, 1), "GFLOP/s, the same on all threads"),
    ];
    figures.extend(kernels);
    figures.extend([
        ("save_ms", round(save * 1e3, 2), "ms, optimizer and proof included"),
        ("load_ms", round(load * 1e3, 2), "ms"),
        ("rss_mib", rss.map_or(Value::Null, |mib| round(mib, 1)), "MiB at most, with W1"),
        ("nets", nets, ""),
    ]);
    Ok(figures)
}

/// One network alone, in the words of `benches/peers`.
fn of_one(net: &Net, mut roof: Roof, effort: &Effort) -> Result<[Figure; 6], keepnet::Error> {
    roof.look();
    let speed = measure::speed(net, &mut net.model()?, effort)?;
    roof.look();
    Ok(net_figures(&speed, &roof))
}

fn net_figures(speed: &Speed, roof: &Roof) -> [Figure; 6] {
    [
        ("train", round(speed.train, 0), "images/s"),
        ("infer", round(speed.infer, 0), "images/s"),
        ("one_us", round(speed.latency * 1e6, 1), "µs for one image"),
        ("train_pct_limit", round(speed.train_share(roof), 1), "% of the dense f32 limit"),
        ("infer_pct_limit", round(speed.infer_share(roof), 1), "% of the dense f32 limit"),
        ("forward_mflop", round(speed.forward_flops as f64 / 1e6, 2), "MFLOP for one image"),
    ]
}

/// How near W1's second convolution comes to the roof of one thread, in each direction.
fn kernel_figures(effort: &Effort) -> [Figure; 9] {
    let (conv, input) = (Conv2d::new(64, 3), Shape::image(13, 13, 32));
    let mut data = Convolution::new(&conv, &input, SHARD);
    let operations = 2 * (data.y.len() * 9 * 32) as u64;
    let pairs = if effort.quick { 3 } else { 600 };
    let mut share = |direction: fn(&mut Convolution)| {
        let share = share_of_peak(operations, pairs, || direction(&mut data));
        [round(share.median, 1), round(share.best, 1), round(share.flops / 1e9, 1)]
    };
    let [fwd, fwd_best, fwd_gflops] = share(Convolution::forward);
    let [dx, dx_best, dx_gflops] = share(Convolution::input_gradient);
    let [dw, dw_best, dw_gflops] = share(Convolution::kernel_gradient);
    [
        ("conv_fwd_pct_peak", fwd, "% of one thread's peak, 13×13×32 → 64 of 3×3"),
        ("conv_fwd_pct_peak_best", fwd_best, "% at best"),
        ("conv_fwd_gflops", fwd_gflops, "GFLOP/s"),
        ("conv_dx_pct_peak", dx, "%, the input gradient"),
        ("conv_dx_pct_peak_best", dx_best, "% at best"),
        ("conv_dx_gflops", dx_gflops, "GFLOP/s"),
        ("conv_dw_pct_peak", dw, "%, the kernel gradient"),
        ("conv_dw_pct_peak_best", dw_best, "% at best"),
        ("conv_dw_gflops", dw_gflops, "GFLOP/s"),
    ]
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
