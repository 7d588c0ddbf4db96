//! The middle of several measurements.

use std::time::Instant;

/// The median of the seconds that `work` takes.
pub(crate) fn median<T, E>(
    repetitions: usize,
    mut work: impl FnMut() -> Result<T, E>,
) -> Result<f64, E> {
    let mut seconds = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[repetitions / 2])
}
