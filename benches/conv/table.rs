//! The layers beside the roof: GFLOP/s and percent of what one thread can multiply and add.

use std::time::Instant;

use serde_json::{Value, json};

use crate::cases::{Case, Direction, cases};
use crate::paired::{Share, share_of_peak};
use crate::{bandwidth, behind_pooling};

/// Pairs of runs whose median counts.
pub(crate) const PAIRS: usize = 101;

pub(crate) fn print(as_json: bool) {
    if as_json {
        println!("{}", cases().iter().map(as_object).collect::<Value>());
        return;
    }
    println!("{:<54}{:>8}{:>10}{:>10}", "", "GFLOP/s", "% of peak", "at best");
    for case in cases() {
        for (direction, share) in shares(&case) {
            let Share { flops, median, best } = share;
            let name = format!("{}, {}", case.name, direction.name());
            println!("{name:<54}{:>8.1}{median:>10.1}{best:>10.1}", flops / 1e9);
        }
    }
    behind_pooling::print();
    bandwidth::print();
}

fn as_object(case: &Case) -> Value {
    let mut object = case.describe();
    for (direction, share) in shares(case) {
        object[direction.name()] = json!({
            "gflops": share.flops / 1e9,
            "pct_peak": share.median,
            "pct_peak_best": share.best,
        });
    }
    object
}

fn shares(case: &Case) -> [(Direction, Share); 3] {
    let mut operands = case.operands();
    Direction::ALL.map(|direction| {
        (direction, share_of_peak(case.operations(), PAIRS, || operands.run(direction)))
    })
}

/// How many times as long `one` takes as `other`: the median over pairs of runs.
pub(crate) fn ratio(mut one: impl FnMut(), mut other: impl FnMut()) -> f64 {
    one();
    other();
    median((0..PAIRS).map(|_| seconds(&mut one) / seconds(&mut other)))
}

pub(crate) fn seconds(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
