//! The roof of the machine.

use std::time::Instant;

use keepnet::benchable;

/// Floating-point operations per second of threads that do nothing but multiply and add on
/// registers: the best seen, since it is a roof.
pub(crate) struct Roof {
    threads: usize,
    /// What one look at it takes.
    seconds: f64,
    pub one_thread: f64,
    pub all_threads: f64,
}

impl Roof {
    pub(crate) fn new(threads: usize, seconds: f64) -> Self {
        Self { threads, seconds, one_thread: 0.0, all_threads: 0.0 }
    }

    /// Looks once more. To be called now and then, because a shared machine has slow moments.
    pub(crate) fn look(&mut self) {
        let higher = |a: f64, b: f64| if b > a { b } else { a };
        self.one_thread = higher(self.one_thread, together(1, self.seconds));
        self.all_threads = higher(self.all_threads, together(self.threads, self.seconds));
    }
}

fn together(threads: usize, seconds: f64) -> f64 {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| alone(seconds))).collect();
        running.into_iter().map(|thread| thread.join().expect("does not panic")).sum()
    })
}

fn alone(seconds: f64) -> f64 {
    const ROUNDS: u64 = 1 << 14; // microseconds, so that the clock costs nothing
    let start = Instant::now();
    let mut operations = benchable::multiply_adds(ROUNDS);
    while start.elapsed().as_secs_f64() < seconds {
        operations += benchable::multiply_adds(ROUNDS);
    }
    operations as f64 / start.elapsed().as_secs_f64()
}
