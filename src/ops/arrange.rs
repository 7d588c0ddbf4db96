//! What only moves values: rearranging, joining along an axis, and transposing.

use rayon::prelude::*;

use crate::model::ArrangedAxis;

/// Where the values of a sample stand when a layer has rearranged them.
#[derive(Clone, Debug)]
pub(crate) struct Arrangement {
    /// Disjoint in the result, and in its order.
    runs: Vec<Run>,
    /// Whether some of the input's values stand several times.
    repeats: bool,
}

/// Values that follow each other both in the input and in the result.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: u32,
    to: u32,
    length: u32,
}

impl Arrangement {
    /// # Panics
    /// If the result has 2³² values or more; a checked graph holds no such layer.
    pub(crate) fn new(axes: &[ArrangedAxis]) -> Self {
        let index = |value: usize| u32::try_from(value).expect("below 2³²");
        // Those within the axes so far.
        let mut runs = vec![Run { from: 0, to: 0, length: 1 }];
        let mut inner = 1;
        for axis in axes.iter().rev() {
            let pattern = std::mem::take(&mut runs);
            for at in 0..axis.length {
                let Some(source) = axis.source(at) else { continue };
                let (source, target) = (index(source), index(at * inner));
                for run in &pattern {
                    let run = Run { from: source + run.from, to: target + run.to, ..*run };
                    match runs.last_mut() {
                        Some(last) if last.is_followed_by(run) => last.length += run.length,
                        _ => runs.push(run),
                    }
                }
            }
            inner *= axis.length;
        }
        Self { runs, repeats: axes.iter().any(|axis| axis.repeat > 1) }
    }
}

impl Run {
    fn is_followed_by(self, next: Self) -> bool {
        self.from + self.length == next.from && self.to + self.length == next.to
    }

    /// Its places in the input and in the result.
    fn places(self) -> [std::ops::Range<usize>; 2] {
        [self.from, self.to].map(|start| start as usize..(start + self.length) as usize)
    }
}

/// `y`: the values of `x` where they belong, +0.0 elsewhere. Both of one sample.
pub(crate) fn forward(y: &mut [f32], x: &[f32], arrangement: &Arrangement) {
    let mut done = 0;
    for run in &arrangement.runs {
        let [from, to] = run.places();
        y[done..to.start].fill(0.0);
        done = to.end;
        y[to].copy_from_slice(&x[from]);
    }
    y[done..].fill(0.0);
}

/// `dx` of `dy`, both of one sample: +0.0 where nothing was taken. Where the layer lets values stand
/// several times, sums from +0.0 on in the order of the result; else what came is taken as it is.
pub(crate) fn gradient(dx: &mut [f32], dy: &[f32], arrangement: &Arrangement) {
    dx.fill(0.0);
    for run in &arrangement.runs {
        let [to, from] = run.places();
        let (dx, dy) = (&mut dx[to], &dy[from]);
        if arrangement.repeats {
            dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
        } else {
            dx.copy_from_slice(dy);
        }
    }
}

/// `out` (columns, rows) of `values` (rows, columns).
pub(crate) fn transpose(out: &mut [f32], values: &[f32], [rows, columns]: [usize; 2]) {
    const TILE: usize = 16; // both sides of a tile stay in the first-level cache
    const TASK: usize = 16 * 1024; // values: enough work to be worth a task
    let band = (TASK / rows.max(1)).next_multiple_of(TILE).max(TILE);
    let bands = out[..rows * columns].par_chunks_mut(band * rows.max(1)).enumerate();
    bands.for_each(|(number, out)| {
        let first = number * band;
        for first_row in (0..rows).step_by(TILE) {
            for (column, out) in out.chunks_exact_mut(rows).enumerate() {
                let column = first + column;
                for (row, out) in (first_row..).zip(out[first_row..].iter_mut().take(TILE)) {
                    *out = values[row * columns + column];
                }
            }
        }
    });
}

/// Where an input of a concatenation lies in its output: blocks of `length` values, `stride` apart
/// in the output, the first at `offset`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) length: usize,
    pub(crate) stride: usize,
    pub(crate) offset: usize,
}

/// Copies the input `x` into its place in `y`.
pub(crate) fn join(y: &mut [f32], x: &[f32], slot: Slot) {
    for (y, x) in y.chunks_exact_mut(slot.stride).zip(x.chunks_exact(slot.length)) {
        y[slot.offset..slot.offset + slot.length].copy_from_slice(x);
    }
}

/// Copies the input's part of `dy` into `dx`.
pub(crate) fn part(dx: &mut [f32], dy: &[f32], slot: Slot) {
    for (dx, dy) in dx.chunks_exact_mut(slot.length).zip(dy.chunks_exact(slot.stride)) {
        dx.copy_from_slice(&dy[slot.offset..slot.offset + slot.length]);
    }
}
