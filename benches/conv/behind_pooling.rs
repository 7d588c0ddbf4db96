//! Convolutions behind which relu and max pooling stand, beside those without.

use keepnet::benchable::Convolution;
use keepnet::nn::SHARD;
use keepnet::{Conv2d, Padding, Shape};

use crate::cases::Direction;
use crate::paired::share_of_peak;
use crate::table::{PAIRS, ratio};

/// What training finds of the windows: those in which relu leaves a value above zero.
const ALIVE: f64 = 0.7;

/// The same convolution twice, once with a pooling behind it.
struct Case {
    name: &'static str,
    alone: Convolution,
    pooled: Convolution,
    /// Of one direction, none left out.
    operations: u64,
}

impl Case {
    fn new(name: &'static str, conv: &Conv2d, input: &Shape) -> Self {
        let alone = Convolution::new(conv, input, SHARD);
        let mut pooled = Convolution::pooled(conv, input, SHARD);
        pooled.keep_alive(ALIVE);
        let terms = alone.dkernel.len() / conv.filters;
        Self { name, operations: 2 * (alone.y.len() * terms) as u64, alone, pooled }
    }
}

pub(crate) fn print() {
    let same = Conv2d { padding: Padding::Same, ..Conv2d::new(64, 3) };
    let many = Conv2d { filters: 512, ..same };
    println!("\nwith relu and max pooling{:>37}{:>10}{:>10}", "alive", "× alone", "% of peak");
    for mut case in [
        Case::new("28x28x1, 32 of 3x3", &Conv2d::new(32, 3), &Shape::image(28, 28, 1)),
        Case::new("13x13x32, 64 of 3x3", &Conv2d::new(64, 3), &Shape::image(13, 13, 32)),
        Case::new("32x32x64, 64 of 3x3, same", &same, &Shape::image(32, 32, 64)),
        Case::new("14x14x512, 512 of 3x3, same", &many, &Shape::image(14, 14, 512)),
    ] {
        let Case { name, alone, pooled, operations } = &mut case;
        let alive = 100.0 * pooled.alive();
        for (direction, run) in Direction::ALL.into_iter().zip([
            Convolution::forward as fn(&mut Convolution),
            Convolution::input_gradient,
            Convolution::kernel_gradient,
        ]) {
            let times = ratio(|| run(alone), || run(pooled));
            let share = share_of_peak(*operations, PAIRS, || run(pooled)).median;
            let name = format!("{name}, {}", direction.name());
            println!("{name:<54}{alive:>7.1}%{times:>10.2}{share:>10.1}");
        }
    }
}
