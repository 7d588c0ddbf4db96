//! Sums in a fixed shape. Within a sample, 16 lanes take the terms in turn and are added by
//! halving; samples and shards follow in the orders that their callers state.

use std::ops::Range;

use super::elementwise::{Sum, binary, binary_in_place};
use super::isa::{Isa, Kernel};
use super::simd::{LANES, Simd};

/// The term that is summed for one element of a matrix.
pub(crate) trait Term: Copy {
    /// What the terms of columns `column` on share.
    fn shared<S: Simd>(self, simd: S, column: usize) -> [S::F; 2];
    /// The terms of flat index `index` on: up to 16, as many as there are.
    fn at<S: Simd>(self, simd: S, index: usize, shared: [S::F; 2]) -> S::F;
}

/// x
#[derive(Clone, Copy)]
pub(crate) struct Plain<'a>(pub(crate) &'a [f32]);

/// a·b
#[derive(Clone, Copy)]
pub(crate) struct Products<'a> {
    pub(crate) a: &'a [f32],
    pub(crate) b: &'a [f32],
}

/// dy·min(x, 0)
#[derive(Clone, Copy)]
pub(crate) struct NegativeProducts<'a> {
    pub(crate) dy: &'a [f32],
    pub(crate) x: &'a [f32],
}

/// dy·n, n = (x − mean)·inverse, one mean and inverse per column
#[derive(Clone, Copy)]
pub(crate) struct NormalizedProduct<'a> {
    pub(crate) dy: &'a [f32],
    pub(crate) x: &'a [f32],
    pub(crate) mean: &'a [f32],
    pub(crate) inverse: &'a [f32],
}

/// (x − center)², one center per column
#[derive(Clone, Copy)]
pub(crate) struct SquaredDeviation<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) center: &'a [f32],
}

impl Term for Plain<'_> {
    #[inline(always)]
    fn shared<S: Simd>(self, simd: S, _: usize) -> [S::F; 2] {
        [simd.splat(0.0); 2]
    }
    #[inline(always)]
    fn at<S: Simd>(self, simd: S, index: usize, _: [S::F; 2]) -> S::F {
        simd.load_partial(&self.0[index..])
    }
}

impl Term for Products<'_> {
    #[inline(always)]
    fn shared<S: Simd>(self, simd: S, _: usize) -> [S::F; 2] {
        [simd.splat(0.0); 2]
    }
    #[inline(always)]
    fn at<S: Simd>(self, simd: S, index: usize, _: [S::F; 2]) -> S::F {
        simd.mul(simd.load_partial(&self.a[index..]), simd.load_partial(&self.b[index..]))
    }
}

impl Term for NegativeProducts<'_> {
    #[inline(always)]
    fn shared<S: Simd>(self, simd: S, _: usize) -> [S::F; 2] {
        [simd.splat(0.0); 2]
    }
    #[inline(always)]
    fn at<S: Simd>(self, simd: S, index: usize, [zero, _]: [S::F; 2]) -> S::F {
        let x = simd.load_partial(&self.x[index..]);
        let below = simd.select(simd.gt(x, zero), zero, x);
        simd.mul(simd.load_partial(&self.dy[index..]), below)
    }
}

impl Term for NormalizedProduct<'_> {
    #[inline(always)]
    fn shared<S: Simd>(self, simd: S, column: usize) -> [S::F; 2] {
        [simd.load_partial(&self.mean[column..]), simd.load_partial(&self.inverse[column..])]
    }
    #[inline(always)]
    fn at<S: Simd>(self, simd: S, index: usize, [mean, inverse]: [S::F; 2]) -> S::F {
        let n = simd.mul(simd.sub(simd.load_partial(&self.x[index..]), mean), inverse);
        simd.mul(simd.load_partial(&self.dy[index..]), n)
    }
}

impl Term for SquaredDeviation<'_> {
    #[inline(always)]
    fn shared<S: Simd>(self, simd: S, column: usize) -> [S::F; 2] {
        [simd.load_partial(&self.center[column..]), simd.splat(0.0)]
    }
    #[inline(always)]
    fn at<S: Simd>(self, simd: S, index: usize, [center, _]: [S::F; 2]) -> S::F {
        let deviation = simd.sub(simd.load_partial(&self.x[index..]), center);
        simd.mul(deviation, deviation)
    }
}

struct ColumnSums<'a, T> {
    out: &'a mut [f32],
    samples: usize,
    rows: usize,
    term: T,
}

/// For each column of `samples` × `rows` × `out.len()` terms: the sum over the rows of each sample
/// in 16 lanes (row r in lane r mod 16, lanes added by halving), the samples added in their order
/// from +0.0.
pub(crate) fn column_sums(isa: Isa, out: &mut [f32], samples: usize, rows: usize, term: impl Term) {
    isa.run(ColumnSums { out, samples, rows, term });
}

impl<T: Term> Kernel for ColumnSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { out, samples, rows, term } = self;
        let columns = out.len();
        out.fill(0.0);
        // A sample's columns, one vector of them after the other: what the first leaves in the caches
        // the others find there. Sixteen lanes of one vector fit the registers.
        for sample in 0..samples {
            for column in (0..columns).step_by(LANES) {
                let shared = term.shared(simd, column);
                let at =
                    |row: usize| term.at(simd, (sample * rows + row) * columns + column, shared);
                let sum = column_sum(simd, rows, at);
                let out = &mut out[column..columns.min(column + LANES)];
                simd.store_partial(simd.add(simd.load_partial(out), sum), out);
            }
        }
    }
}

/// The sum of `rows` rows of one vector: row r in lane r mod 16, lanes added by halving.
#[inline(always)]
pub(crate) fn column_sum<S: Simd>(simd: S, rows: usize, at: impl Fn(usize) -> S::F) -> S::F {
    let mut lanes = [simd.splat(0.0); LANES];
    let whole = rows - rows % LANES;
    for row in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum = simd.add(*sum, at(row + lane));
        }
    }
    for (lane, row) in lanes.iter_mut().zip(whole..rows) {
        *lane = simd.add(*lane, at(row));
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            // The lanes from `rows` on are +0.0, which changes no sum begun with it.
            if lane + half < rows {
                lanes[lane] = simd.add(lanes[lane], lanes[lane + half]);
            }
        }
    }
    lanes[0]
}

/// The sum of all values in 16 lanes: value i in lane i mod 16, lanes added by halving.
#[inline(always)]
pub(crate) fn sum_in<S: Simd>(simd: S, values: &[f32]) -> f32 {
    let mut lanes = simd.splat(0.0);
    for chunk in values.chunks(LANES) {
        lanes = simd.add(lanes, simd.load_partial(chunk));
    }
    simd.sum_lanes(lanes)
}

/// One tree over any number of parts, the same for any number of threads: of `count` parts, the
/// largest power of two below `count` stands on the left, the rest on the right, and so on down.
/// Calls `join` with the pairs (left, right) to be combined into the left, in a valid order.
pub(crate) fn tree(count: usize, mut join: impl FnMut(usize, usize)) {
    fn split(first: usize, count: usize, join: &mut impl FnMut(usize, usize)) {
        if count < 2 {
            return;
        }
        let left = count.next_power_of_two() / 2;
        split(first, left, join);
        split(first + left, count - left, join);
        join(first, first + left);
    }
    split(0, count, &mut join);
}

/// Elements summed at a time: the partial sums of a tree stay in the first-level cache.
const TREE_BLOCK: usize = 512;

/// `out` = the sum of `count` parts, which `part` gives by their numbers, element by element, added by
/// the [`tree`].
pub(crate) fn tree_sum<'a>(
    isa: Isa,
    out: &mut [f32],
    count: usize,
    part: impl Fn(usize) -> &'a [f32] + Sync,
) {
    use rayon::prelude::*;
    const TASK: usize = 16 * 1024; // elements: enough work to be worth a task
    out.par_chunks_mut(TASK).enumerate().for_each(|(task, out)| {
        for (block, out) in out.chunks_mut(TREE_BLOCK).enumerate() {
            let first = task * TASK + block * TREE_BLOCK;
            add_tree(isa, out, 0..count, &|number| &part(number)[first..]);
        }
    });
}

fn add_tree<'a>(
    isa: Isa,
    out: &mut [f32],
    parts: Range<usize>,
    part: &impl Fn(usize) -> &'a [f32],
) {
    let length = out.len();
    let first = parts.start;
    match parts.len() {
        0 => out.fill(0.0),
        1 => out.copy_from_slice(&part(first)[..length]),
        2 => binary(isa, Sum, out, &part(first)[..length], &part(first + 1)[..length]),
        count => {
            let right = first + count.next_power_of_two() / 2;
            let mut sum = [0.0; TREE_BLOCK];
            let sum = &mut sum[..length];
            add_tree(isa, out, first..right, part);
            add_tree(isa, sum, right..parts.end, part);
            binary_in_place(isa, Sum, out, sum);
        }
    }
}

/// Σ x²: blocks of 4,096 values in 16 lanes each, the blocks added in f64 in their order.
pub(crate) fn sum_of_squares(isa: Isa, values: &[f32]) -> f64 {
    struct Squares<'a>(&'a [f32]);
    impl Kernel for Squares<'_> {
        type Output = f32;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> f32 {
            let mut lanes = simd.splat(0.0);
            for chunk in self.0.chunks(LANES) {
                let x = simd.load_partial(chunk);
                lanes = simd.mul_add(x, x, lanes);
            }
            simd.sum_lanes(lanes)
        }
    }
    values.chunks(4096).map(|block| f64::from(isa.run(Squares(block)))).sum()
}

#[cfg(test)]
mod tests;
