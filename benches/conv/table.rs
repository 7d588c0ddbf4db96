//! The layers beside the roof: GFLOP/s and percent of what one thread can multiply and add.

use serde_json::{Value, json};

use crate::cases::{Case, Direction, cases};
use crate::paired::{Share, share_of_peak};

/// Pairs of runs whose median counts.
const PAIRS: usize = 101;

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
