//! Layers forward and backward on one thread, beside the usual way (unfold the images into columns
//! and multiply matrices) and beside the roof of the machine.
//!
//! ```text
//! cargo bench --bench conv                      criterion: keepnet and im2col
//! cargo bench --bench conv -- --table           GFLOP/s and percent of peak; behind
//!                                               poolings; GB/s
//! cargo bench --bench conv -- --table --json    the same for programs
//! KEEPNET_ISA=avx2 cargo bench --bench conv     on another instruction set
//! ```
//!
//! Criterion's elements are floating-point operations, two per multiply-add, so Gelem/s reads as
//! GFLOP/s. The matrices are multiplied by the crate `matrixmultiply`, which ndarray calls; it has
//! no say where a matrix has fewer than eight columns, as in the depthwise case. Criterion owns the
//! command line, so the instruction set is chosen by the environment.

mod bandwidth;
mod behind_pooling;
mod cases;
#[path = "../measure/isa.rs"]
mod isa;
#[path = "../measure/paired.rs"]
mod paired;
mod table;
mod usual;

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group};

use cases::{Direction, cases};

fn main() -> std::io::Result<()> {
    isa::settle(None)?;
    // Dense gradients and Adam would take what threads there are.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
    pool.build_global().map_err(std::io::Error::other)?;
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    if asked("--table") {
        table::print(asked("--json"));
    } else {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
    Ok(())
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = layers
}

fn layers(criterion: &mut Criterion) {
    for direction in Direction::ALL {
        for case in cases() {
            let mut operands = case.operands();
            operands.run(direction);
            let found = operands.result(direction).to_vec();
            operands.run_usual(direction);
            assert_same(&found, operands.result(direction));

            let name = format!("{}, {}", direction.name(), case.name);
            let mut group = criterion.benchmark_group(name);
            group.throughput(Throughput::Elements(case.operations()));
            group.bench_function("keepnet", |bencher| bencher.iter(|| operands.run(direction)));
            group
                .bench_function("im2col", |bencher| bencher.iter(|| operands.run_usual(direction)));
            group.finish();
        }
    }
}

/// What is compared must compute the same thing, but for rounding.
fn assert_same(found: &[f32], expected: &[f32]) {
    let largest = |values: &[f32]| {
        values.iter().fold(0.0, |max: f32, x| if x.abs() > max { x.abs() } else { max })
    };
    let difference: Vec<f32> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    assert!(largest(&difference) <= 1e-4 * largest(expected), "the two ways disagree");
}
