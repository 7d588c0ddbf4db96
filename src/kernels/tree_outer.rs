//! The weight gradient of a dense layer over a whole batch: the sums of its shards, each in its own
//! order, added by the tree while a tile of them is in registers.
//!
//! Shard by shard, a large gradient would be written and read again for every shard.

use super::gather::Rows;
use super::isa::{Isa, Kernel};
use super::matmul::store;
use super::outer::{Tiles, each_tile};
use super::simd::{LANES, Simd};

/// What one shard contributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands<'a> {
    /// (rows, inputs)
    pub(crate) x: &'a [f32],
    /// (rows, units), and [`LANES`] values behind the last.
    pub(crate) dy: &'a [f32],
    pub(crate) rows: usize,
}

/// For inputs i from `first` on and units n: `dw[i − first][n]` = the [tree](super::reduce::tree) over
/// the shards of `Σ_r x[r][i] · dy[r][n]`, rows ascending, each step a fused multiply-add from +0.0.
pub(crate) struct TreeOuter<'a, F> {
    pub(crate) dw: &'a mut [f32],
    pub(crate) first: usize,
    pub(crate) inputs: usize,
    pub(crate) units: usize,
    /// At most 2¹⁶.
    pub(crate) shards: usize,
    pub(crate) operands: F,
}

/// Partial sums that wait for their right side, by the logarithm of how many shards they cover.
type Waiting = [[f32; MOST]; LEVELS];

/// Enough for a million samples in a batch.
const LEVELS: usize = 17;

/// The most values in a tile: 9 rows of two vectors.
const MOST: usize = 9 * 2 * LANES;

impl<'a, F: Fn(usize) -> Operands<'a>> TreeOuter<'_, F> {
    /// # Panics
    /// If the slices are too short for what is asked.
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }
}

/// With room for its partial sums.
struct Task<'b, F> {
    outer: TreeOuter<'b, F>,
    waiting: Waiting,
}

impl<'a, S: Simd, F: Fn(usize) -> Operands<'a>> Tiles<S> for Task<'_, F> {
    #[inline(always)]
    fn tile<const P: usize, const V: usize>(&mut self, simd: S, row: usize, column: usize) {
        let Self { outer, waiting } = self;
        let mut total = [[simd.splat(0.0); V]; P];
        for shard in 0..outer.shards {
            let Operands { x, dy, rows } = (outer.operands)(shard);
            let input = outer.first + row;
            assert!(input + P <= outer.inputs && rows * outer.inputs <= x.len(), "inputs");
            assert!(column < outer.units && rows * outer.units + LANES <= dy.len(), "gradients");
            let mut sums = [[simd.splat(0.0); V]; P];
            for r in 0..rows {
                let dy = dy.as_ptr().wrapping_add(r * outer.units + column);
                let mut part = [simd.splat(0.0); V];
                for v in 0..V {
                    // SAFETY: V vectors reach less than one past the last column, and LANES values
                    // follow the last row, as the assertion above has seen.
                    part[v] = unsafe { simd.load_ptr(dy.wrapping_add(v * LANES)) };
                }
                let x = x.as_ptr().wrapping_add(r * outer.inputs + input);
                for p in 0..P {
                    // SAFETY: row r has `inputs` values, and P of them are left from `input` on.
                    let x = simd.splat(unsafe { *x.wrapping_add(p) });
                    for v in 0..V {
                        sums[p][v] = simd.mul_add(x, part[v], sums[p][v]);
                    }
                }
            }
            // As a binary counter: sums over equally many shards are added, the earlier on the left.
            let merged = (shard + 1).trailing_zeros() as usize;
            for left in &waiting[..merged] {
                add_left(simd, &mut sums, left);
            }
            let place = &mut waiting[merged];
            for p in 0..P {
                for v in 0..V {
                    simd.store(sums[p][v], &mut place[(p * V + v) * LANES..]);
                }
            }
            total = sums;
        }
        // What is left over are sums over ever more shards, the smallest on the right.
        let mut left = outer.shards & outer.shards.wrapping_sub(1);
        while left != 0 {
            add_left(simd, &mut total, &waiting[left.trailing_zeros() as usize]);
            left &= left - 1;
        }
        let width = (outer.units - column).min(V * LANES);
        for p in 0..P {
            let place = (row + p) * outer.units + column;
            store(simd, total[p], &mut outer.dw[place..place + width]);
        }
    }
}

/// sums = left + sums
#[inline(always)]
fn add_left<S: Simd, const P: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::F; V]; P],
    left: &[f32; MOST],
) {
    for p in 0..P {
        for v in 0..V {
            sums[p][v] = simd.add(simd.load(&left[(p * V + v) * LANES..]), sums[p][v]);
        }
    }
}

impl<'a, F: Fn(usize) -> Operands<'a>> Kernel for TreeOuter<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert!(self.shards >> (LEVELS - 1) <= 1, "so many shards");
        let rows = Rows { count: self.dw.len() / self.units, tall: false };
        let columns = self.units;
        let mut task = Task { outer: self, waiting: [[0.0; MOST]; LEVELS] };
        each_tile(&mut task, simd, rows, columns);
    }
}
