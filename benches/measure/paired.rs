//! How near a kernel comes to the roof, on a machine that may be shared.

use std::time::Instant;

use keepnet::benchable;

/// What a kernel reaches of the multiply-adds that one thread does on registers alone.
pub(crate) struct Share {
    /// Floating-point operations per second, the median.
    pub flops: f64,
    /// Percent, the median over the pairs.
    pub median: f64,
    /// Percent: the kernel's quickest run beside the roof's quickest.
    pub best: f64,
}

/// Runs `work`, of so many floating-point operations, and as many multiply-adds in quick
/// alternation. Whatever slows the machine for longer than a pair slows both.
pub(crate) fn share_of_peak(operations: u64, pairs: usize, mut work: impl FnMut()) -> Share {
    let rounds = operations.div_ceil(benchable::multiply_adds(1));
    work();
    let mut taken: Vec<[f64; 2]> = Vec::with_capacity(pairs); // seconds per operation
    for _ in 0..pairs {
        let start = Instant::now();
        let done = benchable::multiply_adds(rounds);
        let roof = start.elapsed().as_secs_f64() / done as f64;
        let start = Instant::now();
        work();
        taken.push([start.elapsed().as_secs_f64() / operations as f64, roof]);
    }
    let sorted = |of: fn(&[f64; 2]) -> f64| {
        let mut values: Vec<f64> = taken.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (own, roof) = (sorted(|pair| pair[0]), sorted(|pair| pair[1]));
    Share {
        flops: 1.0 / own[pairs / 2],
        median: 100.0 * sorted(|pair| pair[1] / pair[0])[pairs / 2],
        best: 100.0 * roof[0] / own[0],
    }
}
