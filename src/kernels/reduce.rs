//! Sums in a fixed shape. Within a sample, 16 lanes take the terms in turn and are added by
//! halving; samples and shards follow in the orders that their callers state.

use super::isa::{Isa, Kernel};
use super::simd::{LANES, Simd};

/// The term that is summed for one element of a matrix.
pub(crate) trait Term: Copy {
    /// 16 terms from flat index `index` on, of columns `column` on; at least `width` of them exist.
    fn at<S: Simd>(self, simd: S, index: usize, column: usize, width: usize) -> S::F;
}

/// x
#[derive(Clone, Copy)]
pub(crate) struct Plain<'a>(pub(crate) &'a [f32]);

/// a·b
#[derive(Clone, Copy)]
pub(crate) struct Product<'a>(pub(crate) &'a [f32], pub(crate) &'a [f32]);

/// (x − center)², one center per column
#[derive(Clone, Copy)]
pub(crate) struct SquaredDeviation<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) center: &'a [f32],
}

#[inline(always)]
fn load<S: Simd>(simd: S, values: &[f32], index: usize, width: usize) -> S::F {
    simd.load_partial(&values[index..index + width.min(LANES)])
}

impl Term for Plain<'_> {
    #[inline(always)]
    fn at<S: Simd>(self, simd: S, index: usize, _: usize, width: usize) -> S::F {
        load(simd, self.0, index, width)
    }
}

impl Term for Product<'_> {
    #[inline(always)]
    fn at<S: Simd>(self, simd: S, index: usize, _: usize, width: usize) -> S::F {
        simd.mul(load(simd, self.0, index, width), load(simd, self.1, index, width))
    }
}

impl Term for SquaredDeviation<'_> {
    #[inline(always)]
    fn at<S: Simd>(self, simd: S, index: usize, column: usize, width: usize) -> S::F {
        let x = load(simd, self.x, index, width);
        let deviation = simd.sub(x, load(simd, self.center, column, width));
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
        for column in (0..columns).step_by(LANES) {
            let width = columns - column;
            let mut total = simd.splat(0.0);
            for sample in 0..samples {
                let mut lanes = [simd.splat(0.0); LANES];
                for row in (0..rows).step_by(LANES) {
                    for (lane, row) in lanes.iter_mut().zip(row..rows) {
                        let index = (sample * rows + row) * columns + column;
                        *lane = simd.add(*lane, term.at(simd, index, column, width));
                    }
                }
                for half in [8, 4, 2, 1] {
                    for lane in 0..half {
                        lanes[lane] = simd.add(lanes[lane], lanes[lane + half]);
                    }
                }
                total = simd.add(total, lanes[0]);
            }
            simd.store_partial(total, &mut out[column..columns.min(column + LANES)]);
        }
    }
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
/// Gives the pairs (left, right) to be combined into the left, in a valid order.
pub(crate) fn tree(count: usize) -> Vec<(usize, usize)> {
    fn split(first: usize, count: usize, pairs: &mut Vec<(usize, usize)>) {
        if count < 2 {
            return;
        }
        let left = count.next_power_of_two() / 2;
        split(first, left, pairs);
        split(first + left, count - left, pairs);
        pairs.push((first, first + left));
    }
    let mut pairs = Vec::with_capacity(count.saturating_sub(1));
    split(0, count, &mut pairs);
    pairs
}

struct TreeSum<'a> {
    out: &'a mut [f32],
    parts: &'a [&'a [f32]],
    first: usize,
}

/// Elements summed at a time: the partial sums of a tree stay in the first-level cache.
const TREE_BLOCK: usize = 256;

/// `out` = the sum of `parts`, element by element, added by the [`tree`].
pub(crate) fn tree_sum(isa: Isa, out: &mut [f32], parts: &[&[f32]]) {
    use rayon::prelude::*;
    const TASK: usize = 16 * 1024; // elements: enough work to be worth a task
    out.par_chunks_mut(TASK).enumerate().for_each(|(task, out)| {
        isa.run(TreeSum { out, parts, first: task * TASK });
    });
}

impl Kernel for TreeSum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { out, parts, first } = self;
        for (block, out) in out.chunks_mut(TREE_BLOCK).enumerate() {
            add_tree(out, parts, first + block * TREE_BLOCK);
        }
    }
}

fn add_tree(out: &mut [f32], parts: &[&[f32]], first: usize) {
    match parts {
        [] => out.fill(0.0),
        [part] => out.copy_from_slice(&part[first..first + out.len()]),
        [left, right] => {
            let (left, right) = (&left[first..], &right[first..]);
            for ((out, left), right) in out.iter_mut().zip(left).zip(right) {
                *out = left + right;
            }
        }
        _ => {
            let (left, right) = parts.split_at(parts.len().next_power_of_two() / 2);
            let mut sum = [0.0; TREE_BLOCK];
            let sum = &mut sum[..out.len()];
            add_tree(out, left, first);
            add_tree(sum, right, first);
            for (out, sum) in out.iter_mut().zip(sum) {
                *out += *sum;
            }
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
