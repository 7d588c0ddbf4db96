//! The loop nest behind the weight gradients of convolution and dense layers.

use super::gather::Source;
use super::isa::{Isa, Kernel};
use super::matmul::{fits, store};
use super::simd::{LANES, Simd};

/// For every row r of the weights (the values of all runs, one after the other) and column n:
/// `dw[r][n] = Σ_s Σ_c x[s][c][r] · dy[s][c][n]` over samples and then cells ascending, each step a
/// fused multiply-add from +0.0.
#[derive(Debug)]
pub(crate) struct GatherOuter<'a> {
    /// Row r, column n at `dw_start + r·dw_stride + n`.
    pub(crate) dw: &'a mut [f32],
    pub(crate) dw_start: usize,
    pub(crate) dw_stride: usize,
    /// Whether `dw` already holds the sum over earlier samples, which these continue.
    pub(crate) resume: bool,
    pub(crate) x: Source<'a>,
    /// Read by whole vectors: needs [`LANES`] values behind the last row.
    pub(crate) dy: &'a [f32],
    /// Values of `dy` per sample.
    pub(crate) dy_length: usize,
    /// Where the columns start within a row of `dy`.
    pub(crate) dy_offset: usize,
    pub(crate) columns: usize,
}

impl GatherOuter<'_> {
    /// # Panics
    /// If the slices are too short for what is asked.
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }

    /// Checks what the pointers of [`tile`](Self::tile) rely on.
    fn check(&self) {
        self.x.check(0);
        let (samples, gather) = (self.x.samples, self.x.gather);
        let row_end = gather.target_end() + self.dy_offset + self.columns;
        assert!(row_end <= self.dy_length + 1, "a row reaches past its sample");
        let end = samples * self.dy_length + LANES;
        assert!(samples == 0 || end <= self.dy.len(), "gradients are missing, or room behind them");
    }

    /// The sums of `P` rows from `row` on, whose values lie at `sources` of each cell, and `V` vectors
    /// of columns.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        sources: [usize; P],
        row: usize,
        column: usize,
    ) {
        let width = (self.columns - column).min(V * LANES);
        let place = |p: usize| self.dw_start + (row + p) * self.dw_stride + column;
        let mut sums = [[simd.splat(0.0); V]; P];
        if self.resume {
            for p in 0..P {
                let dw = &self.dw[place(p)..][..width];
                for v in 0..V {
                    if width > v * LANES {
                        sums[p][v] = simd.load_partial(&dw[v * LANES..]);
                    }
                }
            }
        }
        for sample in 0..self.x.samples {
            let x_start = sample * self.x.length + self.x.offset;
            let x = sources.map(|source| self.x.values.as_ptr().wrapping_add(x_start + source));
            let dy_start = sample * self.dy_length + self.dy_offset + column;
            let dy = self.dy.as_ptr().wrapping_add(dy_start);
            for cell in self.x.gather.cells() {
                let dy = dy.wrapping_add(cell.target as usize);
                let dy: [S::F; V] = std::array::from_fn(|v| {
                    // SAFETY: `check` has seen that LANES values follow the last column of the last
                    // sample, and V vectors reach less than one past the last column.
                    unsafe { simd.load_ptr(dy.wrapping_add(v * LANES)) }
                });
                let source = cell.source as usize;
                for p in 0..P {
                    // SAFETY: `check` has seen that each cell of each sample has all of its runs.
                    let x = simd.splat(unsafe { *x[p].wrapping_add(source) });
                    for v in 0..V {
                        sums[p][v] = simd.mul_add(x, dy[v], sums[p][v]);
                    }
                }
            }
        }
        for p in 0..P {
            let place = place(p);
            store(simd, sums[p], &mut self.dw[place..place + width]);
        }
    }

    /// All rows, `V` vectors of columns wide.
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, column: usize) {
        let gather = self.x.gather;
        let rows: usize = gather.runs().iter().map(|run| run.length as usize).sum();
        let mut sources = gather.runs().iter().flat_map(|run| {
            let start = run.source as usize;
            start..start + run.length as usize
        });
        let mut row = 0;
        while row < rows {
            let height = height::<S>(rows - row, V);
            macro_rules! tile {
                ($height:literal) => {{
                    let sources: [usize; $height] =
                        std::array::from_fn(|_| sources.next().expect("one per row"));
                    self.tile::<S, $height, V>(simd, sources, row, column);
                }};
            }
            match height {
                9 if const { fits::<S>(9, V) } => tile!(9),
                8 if const { fits::<S>(8, V) } => tile!(8),
                4 if const { fits::<S>(4, V) } => tile!(4),
                2 if const { fits::<S>(2, V) } => tile!(2),
                _ => tile!(1),
            }
            row += height;
        }
    }
}

impl Kernel for GatherOuter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        self.check();
        let mut column = 0;
        while column < self.columns {
            if const { fits::<S>(6, 2) } && self.columns - column > LANES {
                self.columns::<S, 2>(simd, column);
                column += 2 * LANES;
            } else {
                self.columns::<S, 1>(simd, column);
                column += LANES;
            }
        }
    }
}

/// How many rows the next tile takes of those that are `left`: 9, 8, 4, 2 or 1. More would fit the
/// registers, but the compiler loads all values of a tile before it multiplies, and spills. 9 is for
/// kernels of 3 × 3.
#[inline(always)]
pub(super) fn height<S: Simd>(left: usize, vectors: usize) -> usize {
    if left.is_multiple_of(9) && fits::<S>(9, vectors) {
        return 9;
    }
    let possible = |&height: &usize| left >= height && fits::<S>(height, vectors);
    [8, 4, 2].into_iter().find(possible).unwrap_or(1)
}
