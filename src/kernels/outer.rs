//! The loop nest behind the weight gradients of convolution and dense layers.

use super::gather::{Rows, Source};
use super::isa::{Isa, Kernel};
use super::matmul::{fits, load, store};
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

    /// Checks what the pointers of [`tile`](Tiles::tile) rely on.
    fn check(&self) {
        self.x.check(0);
        let (samples, gather) = (self.x.samples, self.x.gather);
        let row_end = gather.target_end() + self.dy_offset + self.columns;
        assert!(row_end <= self.dy_length + 1, "a row reaches past its sample");
        let end = samples * self.dy_length + LANES;
        assert!(samples == 0 || end <= self.dy.len(), "gradients are missing, or room behind them");
    }
}

impl<S: Simd> Tiles<S> for GatherOuter<'_> {
    #[inline(always)]
    fn tile<const P: usize, const V: usize>(&mut self, simd: S, row: usize, column: usize) {
        let sources = self.x.gather.sources::<P>(row);
        assert!(P != TALL || sources[P - 1] == sources[0] + P - 1, "rows that follow each other");
        let width = (self.columns - column).min(V * LANES);
        let place = |p: usize| self.dw_start + (row + p) * self.dw_stride + column;
        let mut sums = [[simd.splat(0.0); V]; P];
        if self.resume {
            for p in 0..P {
                sums[p] = load(simd, &self.dw[place(p)..][..width]);
            }
        }
        for sample in 0..self.x.samples {
            let x_start = sample * self.x.length + self.x.offset;
            let mut x = [self.x.values.as_ptr().wrapping_add(x_start + sources[0]); P];
            for p in 1..P {
                // Rows that follow each other need one pointer; as many as rows would be spilled.
                let further = if P == TALL { p } else { sources[p] - sources[0] };
                x[p] = x[p].wrapping_add(further);
            }
            let dy_start = sample * self.dy_length + self.dy_offset + column;
            let dy = self.dy.as_ptr().wrapping_add(dy_start);
            for cell in self.x.gather.cells() {
                let dy = dy.wrapping_add(cell.target as usize);
                let mut part = [simd.splat(0.0); V];
                for v in 0..V {
                    // SAFETY: `check` has seen that LANES values follow the last column of the last
                    // sample, and V vectors reach less than one past the last column.
                    part[v] = unsafe { simd.load_ptr(dy.wrapping_add(v * LANES)) };
                }
                let source = cell.source as usize;
                for p in 0..P {
                    // SAFETY: `check` has seen that each cell of each sample has all of its runs.
                    let x = simd.splat(unsafe { *x[p].wrapping_add(source) });
                    for v in 0..V {
                        sums[p][v] = simd.mul_add(x, part[v], sums[p][v]);
                    }
                }
            }
        }
        for p in 0..P {
            let place = place(p);
            store(simd, sums[p], &mut self.dw[place..place + width]);
        }
    }
}

impl Kernel for GatherOuter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        self.check();
        let (rows, columns) = (self.x.gather.weight_rows(), self.columns);
        each_tile(&mut self, simd, rows, columns);
    }
}

/// A matrix of sums over all samples, computed tile by tile.
pub(super) trait Tiles<S: Simd> {
    /// `P` rows from `row` on × `V` vectors of columns from `column` on, the last of which may end
    /// within a vector. `#[inline(always)]`, as all of a kernel.
    fn tile<const P: usize, const V: usize>(&mut self, simd: S, row: usize, column: usize);
}

/// Rows of the highest tile, which is one vector wide.
pub(super) const TALL: usize = 16;

/// All tiles of so many rows and columns.
#[inline(always)]
pub(super) fn each_tile<S: Simd>(tiles: &mut impl Tiles<S>, simd: S, rows: Rows, columns: usize) {
    let mut column = 0;
    while column < columns {
        if const { fits::<S>(6, 2) } && columns - column > LANES {
            each_row::<S, 2>(tiles, simd, rows, column);
            column += 2 * LANES;
        } else {
            each_row::<S, 1>(tiles, simd, rows, column);
            column += LANES;
        }
    }
}

/// All rows, `V` vectors of columns wide.
#[inline(always)]
fn each_row<S: Simd, const V: usize>(
    tiles: &mut impl Tiles<S>,
    simd: S,
    rows: Rows,
    column: usize,
) {
    let tall = rows.tall && V == 1 && fits::<S>(TALL, V);
    let mut row = 0;
    while row < rows.count {
        let height = if tall { TALL } else { height::<S>(rows.count - row, V) };
        match height {
            TALL if const { V == 1 && fits::<S>(TALL, V) } => {
                tiles.tile::<TALL, V>(simd, row, column);
            }
            9 if const { fits::<S>(9, V) } => tiles.tile::<9, V>(simd, row, column),
            8 if const { fits::<S>(8, V) } => tiles.tile::<8, V>(simd, row, column),
            4 if const { fits::<S>(4, V) } => tiles.tile::<4, V>(simd, row, column),
            2 if const { fits::<S>(2, V) } => tiles.tile::<2, V>(simd, row, column),
            _ => tiles.tile::<1, V>(simd, row, column),
        }
        row += height;
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
