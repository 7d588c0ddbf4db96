//! The weight gradient of a dense layer over a whole batch: the sums of its shards, each in its own
//! order, added by the tree while a tile of them is in registers.
//!
//! Shard by shard, a large gradient would be written and read again for every shard.

use super::isa::{Isa, Kernel};
use super::matmul::{fits, store};
use super::outer::height;
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
    /// At most 2³¹.
    pub(crate) shards: usize,
    pub(crate) operands: F,
}

/// Partial sums that wait for their right side, by the logarithm of how many shards they cover.
type Waiting = [[f32; MOST]; 32];

/// The most values in a tile: 9 rows of two vectors.
const MOST: usize = 9 * 2 * LANES;

impl<'a, F: Fn(usize) -> Operands<'a>> TreeOuter<'_, F> {
    /// # Panics
    /// If the slices are too short for what is asked.
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }

    #[inline(always)]
    fn tile<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        waiting: &mut Waiting,
        row: usize,
        column: usize,
    ) {
        let mut total = [[simd.splat(0.0); V]; P];
        for shard in 0..self.shards {
            let Operands { x, dy, rows } = (self.operands)(shard);
            let input = self.first + row;
            assert!(input + P <= self.inputs && rows * self.inputs <= x.len(), "inputs");
            assert!(column < self.units && rows * self.units + LANES <= dy.len(), "gradients");
            let mut sums = [[simd.splat(0.0); V]; P];
            for r in 0..rows {
                let dy = dy.as_ptr().wrapping_add(r * self.units + column);
                let mut part = [simd.splat(0.0); V];
                for v in 0..V {
                    // SAFETY: V vectors reach less than one past the last column, and LANES values
                    // follow the last row, as the assertion above has seen.
                    part[v] = unsafe { simd.load_ptr(dy.wrapping_add(v * LANES)) };
                }
                let x = x.as_ptr().wrapping_add(r * self.inputs + input);
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
        let mut left = self.shards & self.shards.wrapping_sub(1);
        while left != 0 {
            add_left(simd, &mut total, &waiting[left.trailing_zeros() as usize]);
            left &= left - 1;
        }
        let width = (self.units - column).min(V * LANES);
        for p in 0..P {
            let place = (row + p) * self.units + column;
            store(simd, total[p], &mut self.dw[place..place + width]);
        }
    }

    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, waiting: &mut Waiting, column: usize) {
        let rows = self.dw.len() / self.units;
        let mut row = 0;
        while row < rows {
            let height = height::<S>(rows - row, V);
            match height {
                9 if const { fits::<S>(9, V) } => self.tile::<S, 9, V>(simd, waiting, row, column),
                8 if const { fits::<S>(8, V) } => self.tile::<S, 8, V>(simd, waiting, row, column),
                4 if const { fits::<S>(4, V) } => self.tile::<S, 4, V>(simd, waiting, row, column),
                2 if const { fits::<S>(2, V) } => self.tile::<S, 2, V>(simd, waiting, row, column),
                _ => self.tile::<S, 1, V>(simd, waiting, row, column),
            }
            row += height;
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
    fn run<S: Simd>(mut self, simd: S) {
        let mut waiting = [[0.0; MOST]; 32];
        let mut column = 0;
        while column < self.units {
            if const { fits::<S>(6, 2) } && self.units - column > LANES {
                self.columns::<S, 2>(simd, &mut waiting, column);
                column += 2 * LANES;
            } else {
                self.columns::<S, 1>(simd, &mut waiting, column);
                column += LANES;
            }
        }
    }
}
