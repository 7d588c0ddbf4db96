//! What keepnet and others do, in turn.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use serde_json::Value;

use crate::figures::{Figure, round};

/// Does something once, and tells the seconds that it took.
pub(crate) type Work<'a> = Box<dyn FnMut() -> Result<f64, Box<dyn Error>> + 'a>;

/// A work, what its figure is called and what it is. Without a work (there is no such program here), the
/// figure is null.
pub(crate) struct Timing<'a> {
    name: &'static str,
    what: &'static str,
    work: Option<Work<'a>>,
    /// The figure of the first call.
    first: Option<&'static str>,
}

impl<'a> Timing<'a> {
    pub(crate) fn new(name: &'static str, what: &'static str, work: Option<Work<'a>>) -> Self {
        Self { name, what, work, first: None }
    }

    /// Tells of the first call too.
    pub(crate) fn first(self, name: &'static str) -> Self {
        Self { first: Some(name), ..self }
    }
}

/// A work of this program. What comes of it is dropped within the time.
pub(crate) fn timed<'a, T, E: Error + 'static>(
    mut work: impl FnMut() -> Result<T, E> + 'a,
) -> Work<'a> {
    Box::new(move || {
        let start = Instant::now();
        drop(black_box(work()?));
        Ok(start.elapsed().as_secs_f64())
    })
}

/// The medians in milliseconds of so many rounds, in each of which everything is done once in the order that
/// it stands in. What slows the machine for longer than a round slows all of it. A round before is counted
/// for nothing but first calls.
pub(crate) fn in_turn(
    rounds: usize,
    timings: Vec<Timing<'_>>,
) -> Result<Vec<Figure>, Box<dyn Error>> {
    let mut taken = Vec::with_capacity(timings.len());
    for timing in timings {
        taken.push((timing, Vec::with_capacity(rounds + 1)));
    }
    for _ in 0..=rounds {
        for (timing, seconds) in &mut taken {
            if let Some(work) = &mut timing.work {
                seconds.push(work()?);
            }
        }
    }
    let mut figures = Vec::new();
    for (Timing { name, what, first, .. }, mut seconds) in taken {
        let milliseconds =
            |seconds: Option<&f64>| seconds.map_or(Value::Null, |&taken| round(taken * 1e3, 2));
        let first = first.map(|name| (name, milliseconds(seconds.first()), "ms, its first call"));
        if let Some(warm) = seconds.get_mut(1..) {
            warm.sort_by(f64::total_cmp);
        }
        figures.push((name, milliseconds(seconds.get(1 + rounds / 2)), what));
        figures.extend(first);
    }
    Ok(figures)
}
