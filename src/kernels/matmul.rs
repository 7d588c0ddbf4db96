//! The loop nest behind convolution and dense layers forward, and behind their input gradients.
//!
//! A tile of the result lives in registers for the whole sum, so each element is **one
//! accumulator** whose order of summation depends neither on the tile nor on the instruction set.

use super::gather::{Row, Source};
use super::isa::{Isa, Kernel};
use super::simd::{LANES, Simd};

/// Where weights lie: tap t, row k, column n at `start + t·tap_stride + k·stride + n`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights<'a> {
    /// They and all that follows them in memory: a vector load may reach past the last column, and
    /// needs [`LANES`] values behind the last row.
    pub(crate) values: &'a [f32],
    pub(crate) start: usize,
    pub(crate) tap_stride: usize,
    pub(crate) stride: usize,
}

/// What becomes of a sum.
#[derive(Debug)]
pub(crate) enum Finish<'a> {
    /// It is stored.
    Store,
    /// +0.0 instead where 0 ≥ it.
    Relu,
    /// The cells come four by four, the windows of a pooling: of each four, the first of the largest
    /// is stored, a NaN if there is one.
    MaxPool {
        relu: bool,
        /// Per window and pixel one bit for each column, in words of 16 columns: where that pixel won
        /// and, with `relu`, is above zero. Empty where nobody asks.
        winners: &'a mut [u16],
    },
}

/// Cells in a window of [`Finish::MaxPool`].
pub(crate) const WINDOW: usize = 4;

/// For every sample s, cell c and column n:
/// `y[s][c][n] = init[n] + Σ_run Σ_k x[s][c][run][k] · w[run][k][n]`, runs and then k ascending, each
/// step a fused multiply-add. Without `init` the sum starts from +0.0.
#[derive(Debug)]
pub(crate) struct GatherMatmul<'a> {
    pub(crate) y: &'a mut [f32],
    /// Values of `y` per sample.
    pub(crate) y_length: usize,
    /// Where the columns start within a row of `y`.
    pub(crate) y_offset: usize,
    pub(crate) init: Option<&'a [f32]>,
    pub(crate) x: Source<'a>,
    pub(crate) w: Weights<'a>,
    pub(crate) columns: usize,
    pub(crate) finish: Finish<'a>,
}

impl GatherMatmul<'_> {
    /// # Panics
    /// If the slices are too short for what is asked.
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }

    /// Checks what the pointers of [`tile`](Self::tile) rely on.
    fn check(&self) {
        let Self { x, w, .. } = self;
        x.check(0);
        let rows = x.gather.runs().iter().map(|run| run.length as usize).max().unwrap_or(0);
        let last = x.gather.last_tap() * w.tap_stride + rows.saturating_sub(1) * w.stride;
        let end = w.start + last + self.columns + LANES;
        assert!(end <= w.values.len(), "weights are missing, or room behind them");
        let windows = matches!(self.finish, Finish::MaxPool { .. });
        assert!(!windows || x.gather.cells().len().is_multiple_of(WINDOW), "whole windows");
    }

    /// One tile of `P` rows from `first` on × `V` vectors of columns from `column` on. Gives the row
    /// behind the last.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        first: Row,
        column: usize,
    ) -> Row {
        let cells = self.x.gather.cells();
        let (rows, next) = first.take::<P>(cells.len());
        let width = self.columns - column;
        let start: [S::F; V] = std::array::from_fn(|v| match self.init {
            Some(init) if width > v * LANES => simd.load_partial(&init[column + v * LANES..]),
            _ => simd.splat(0.0),
        });
        let mut sums = [start; P];
        let x = self.x.values.as_ptr();
        let sources = rows.map(|row| {
            let start = row.sample * self.x.length + self.x.offset;
            x.wrapping_add(start + cells[row.cell].source as usize)
        });
        let stride = self.w.stride;
        for run in self.x.gather.runs() {
            let start = self.w.start + run.tap as usize * self.w.tap_stride + column;
            let mut weights = self.w.values.as_ptr().wrapping_add(start);
            let begin = run.source as usize;
            for k in begin..begin + run.length as usize {
                let w: [S::F; V] = std::array::from_fn(|v| {
                    // SAFETY: `check` has seen that LANES values follow the last column of the last
                    // row of the last tap, and V vectors reach less than one past the last column.
                    unsafe { simd.load_ptr(weights.wrapping_add(v * LANES)) }
                });
                weights = weights.wrapping_add(stride);
                for p in 0..P {
                    // SAFETY: `check` has seen that each cell of each sample has all of its runs.
                    let x = simd.splat(unsafe { *sources[p].wrapping_add(k) });
                    for v in 0..V {
                        sums[p][v] = simd.mul_add(x, w[v], sums[p][v]);
                    }
                }
            }
        }
        let target = |row: Row| {
            row.sample * self.y_length + cells[row.cell].target as usize + self.y_offset + column
        };
        let stored = width.min(V * LANES);
        match &mut self.finish {
            Finish::Store => {
                for p in 0..P {
                    store(simd, sums[p], &mut self.y[target(rows[p])..][..stored]);
                }
            }
            Finish::Relu => {
                for p in 0..P {
                    let y = sums[p].map(|sum| relu(simd, sum));
                    store(simd, y, &mut self.y[target(rows[p])..][..stored]);
                }
            }
            Finish::MaxPool { relu: with_relu, winners } => {
                let words = self.columns.div_ceil(LANES);
                let windows = cells.len() / WINDOW;
                for p in (0..P - P % WINDOW).step_by(WINDOW) {
                    let window = rows[p].sample * windows + rows[p].cell / WINDOW;
                    let mut largest = [simd.splat(0.0); V];
                    for v in 0..V {
                        let candidates = std::array::from_fn(|pixel| sums[p + pixel][v]);
                        let (best, won) = winner(simd, candidates);
                        largest[v] = if *with_relu { relu(simd, best) } else { best };
                        if winners.is_empty() || width <= v * LANES {
                            continue;
                        }
                        let alive = match with_relu {
                            true => simd.mask_bits(simd.gt(best, simd.splat(0.0))),
                            false => u16::MAX,
                        };
                        for pixel in 0..WINDOW {
                            let word = (window * WINDOW + pixel) * words + column / LANES + v;
                            winners[word] = won[pixel] & alive;
                        }
                    }
                    store(simd, largest, &mut self.y[target(rows[p])..][..stored]);
                }
            }
        }
        next
    }

    /// All rows of `V` vectors of columns.
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, column: usize) {
        let mut left = self.x.rows();
        // A window is never cut.
        let whole = if matches!(self.finish, Finish::MaxPool { .. }) { WINDOW } else { 1 };
        let mut row = Row::default();
        while left > 0 {
            let height = height::<S>(left, V, whole);
            row = match height {
                12 if const { fits::<S>(12, V) } => self.tile::<S, 12, V>(simd, row, column),
                6 if const { fits::<S>(6, V) } => self.tile::<S, 6, V>(simd, row, column),
                4 if const { fits::<S>(4, V) } => self.tile::<S, 4, V>(simd, row, column),
                2 if const { fits::<S>(2, V) } => self.tile::<S, 2, V>(simd, row, column),
                _ => self.tile::<S, 1, V>(simd, row, column),
            };
            left -= height;
        }
    }
}

impl Kernel for GatherMatmul<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        self.check();
        let mut column = 0;
        while column < self.columns {
            let vectors = (self.columns - column).div_ceil(LANES);
            // Few rows: more columns at a time keep enough sums under way.
            if const { fits::<S>(2, 8) } && self.x.rows() < 4 && vectors >= 8 {
                self.columns::<S, 8>(simd, column);
                column += 8 * LANES;
            } else if const { fits::<S>(6, 2) } && vectors >= 2 {
                self.columns::<S, 2>(simd, column);
                column += 2 * LANES;
            } else {
                self.columns::<S, 1>(simd, column);
                column += LANES;
            }
        }
    }
}

/// How many rows of `vectors` accumulators each the next tile takes of those that are `left`, a
/// multiple of `whole`: 12, 6, 4, 2 or 1.
#[inline(always)]
pub(super) fn height<S: Simd>(left: usize, vectors: usize, whole: usize) -> usize {
    let possible = |&height: &usize| {
        left >= height && height.is_multiple_of(whole) && fits::<S>(height, vectors)
    };
    [12, 6, 4, 2].into_iter().find(possible).unwrap_or(1)
}

/// Whether the sums of a tile fit the registers. Where tiles are chosen this stands in `const`, so
/// that those which can never run are not compiled.
pub(super) const fn fits<S: Simd>(height: usize, vectors: usize) -> bool {
    height * vectors <= S::ACCUMULATORS
}

/// The sums of one row to their place, which may end within a vector.
#[inline(always)]
pub(super) fn store<S: Simd, const V: usize>(simd: S, sums: [S::F; V], row: &mut [f32]) {
    for v in 0..V {
        if row.len() > v * LANES {
            simd.store_partial(sums[v], &mut row[v * LANES..]);
        }
    }
}

#[inline(always)]
fn relu<S: Simd>(simd: S, x: S::F) -> S::F {
    let zero = simd.splat(0.0);
    simd.select(simd.ge(zero, x), zero, x)
}

/// The first of the largest of each lane, or its first NaN; and for each candidate the lanes that it
/// won.
#[inline(always)]
fn winner<S: Simd>(simd: S, [a, b, c, d]: [S::F; WINDOW]) -> (S::F, [u16; WINDOW]) {
    // Taken unless y ≤ x or x is NaN already.
    let taken = |x: S::F, y: S::F| simd.mask_bits(simd.eq(x, x)) & !simd.mask_bits(simd.ge(x, y));
    let (over_a, over_c) = (taken(a, b), taken(c, d));
    let ab = simd.select(simd.mask(over_a), b, a);
    let cd = simd.select(simd.mask(over_c), d, c);
    let over_ab = taken(ab, cd);
    let best = simd.select(simd.mask(over_ab), cd, ab);
    (best, [!over_ab & !over_a, !over_ab & over_a, over_ab & !over_c, over_ab & over_c])
}
