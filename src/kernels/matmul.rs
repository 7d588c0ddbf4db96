//! The loop nest behind convolution and dense layers forward, and behind their input gradients.
//!
//! A tile of the result lives in registers for the whole sum, so each element is **one
//! accumulator** whose order of summation depends neither on the tile nor on the instruction set.

use super::elementwise::relu;
use super::gather::{Source, Walk};
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
    /// It is normalised; then relu, if it is asked for.
    Normalize { normalization: Normalization<'a>, relu: bool },
    /// The cells come four by four, the windows of a pooling: of each four, the first of the largest
    /// is stored, a NaN if there is one.
    MaxPool {
        relu: bool,
        /// Per window and pixel one bit for each column, in words of 16 columns: where that pixel won
        /// and, with `relu`, is above zero. Empty where nobody asks.
        winners: &'a mut [u16],
    },
}

/// Per column: (sum − mean)·inverse·gamma + beta, as a batch normalization computes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Normalization<'a> {
    pub(crate) mean: &'a [f32],
    pub(crate) inverse: &'a [f32],
    pub(crate) gamma: Option<&'a [f32]>,
    pub(crate) beta: Option<&'a [f32]>,
}

impl Normalization<'_> {
    /// Up to 16 columns from `column` on.
    #[inline(always)]
    fn vectors<S: Simd>(&self, simd: S, column: usize) -> [S::F; 4] {
        let part = |values: &[f32]| simd.load_partial(&values[values.len().min(column)..]);
        [
            part(self.mean),
            part(self.inverse),
            self.gamma.map_or_else(|| simd.splat(1.0), part),
            self.beta.map_or_else(|| simd.splat(0.0), part),
        ]
    }
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
        assert!(x.samples * self.y_length <= self.y.len(), "the result is too short");
        let row_end = x.gather.target_end() + self.y_offset + self.columns;
        assert!(row_end <= self.y_length + 1, "a row reaches past its sample");
        let rows = x.gather.runs().iter().map(|run| run.length as usize).max().unwrap_or(0);
        let last = x.gather.last_tap() * w.tap_stride + rows.saturating_sub(1) * w.stride;
        let end = w.start + last + self.columns + LANES;
        assert!(end <= w.values.len(), "weights are missing, or room behind them");
        let windows = matches!(self.finish, Finish::MaxPool { .. });
        assert!(!windows || x.gather.cells().len().is_multiple_of(WINDOW), "whole windows");
    }

    /// One tile: the next `P` cells × `V` vectors of columns.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        progress: &mut Progress<'_, S, V>,
    ) {
        let (starts, targets) = progress.walk.next::<P>();
        let column = progress.column;
        let mut sums = [progress.start; P];
        let mut sources = [self.x.values.as_ptr(); P];
        for p in 0..P {
            sources[p] = sources[p].wrapping_add(starts[p]);
        }
        let stride = self.w.stride;
        for run in self.x.gather.runs() {
            let start = self.w.start + run.tap as usize * self.w.tap_stride + column;
            let mut weights = self.w.values.as_ptr().wrapping_add(start);
            let begin = run.source as usize;
            for k in begin..begin + run.length as usize {
                let mut w = [simd.splat(0.0); V];
                for v in 0..V {
                    // SAFETY: `check` has seen that LANES values follow the last column of the last
                    // row of the last tap, and V vectors reach less than one past the last column.
                    w[v] = unsafe { simd.load_ptr(weights.wrapping_add(v * LANES)) };
                }
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
        let stored = (self.columns - column).min(V * LANES);
        let place = |p: usize| {
            let start = targets[p] + self.y_offset + column;
            start..start + stored
        };
        match &mut self.finish {
            Finish::Store | Finish::Relu | Finish::Normalize { .. } => {
                if let Finish::Normalize { normalization, .. } = &self.finish {
                    for v in 0..V {
                        let [mean, inverse, gamma, beta] =
                            normalization.vectors(simd, column + v * LANES);
                        for p in 0..P {
                            let n = simd.mul(simd.sub(sums[p][v], mean), inverse);
                            sums[p][v] = simd.mul_add(n, gamma, beta);
                        }
                    }
                }
                if let Finish::Relu | Finish::Normalize { relu: true, .. } = self.finish {
                    for p in 0..P {
                        for v in 0..V {
                            sums[p][v] = relu(simd, sums[p][v]);
                        }
                    }
                }
                if stored == V * LANES {
                    for p in 0..P {
                        let y = self.y.as_mut_ptr().wrapping_add(place(p).start);
                        for v in 0..V {
                            // SAFETY: `check` has seen that each cell of each sample has its columns,
                            // and here V vectors of them are left.
                            unsafe { simd.store_ptr(sums[p][v], y.wrapping_add(v * LANES)) };
                        }
                    }
                } else {
                    let rows = arrays(simd, &sums);
                    for p in 0..P {
                        let row = rows[p].as_flattened();
                        self.y[place(p)].copy_from_slice(&row[..stored]);
                    }
                }
            }
            Finish::MaxPool { relu: with_relu, winners } => {
                debug_assert!(P <= 3 * WINDOW, "three windows at most");
                let words = self.columns.div_ceil(LANES);
                let first = progress.done * words + column / LANES;
                // Written out, so that the sums never leave the registers.
                macro_rules! pool {
                    ($p:expr, $pixels:expr) => {
                        let winners = winners.get_mut(first + $p * words..).unwrap_or_default();
                        pool_window(
                            simd,
                            &mut self.y[place($p)],
                            winners,
                            $pixels,
                            words,
                            *with_relu,
                        );
                    };
                }
                let (windows, _) = sums.as_chunks::<WINDOW>();
                if let [pixels, ..] = windows {
                    pool!(0, *pixels);
                }
                if let [_, pixels, ..] = windows {
                    pool!(WINDOW, *pixels);
                }
                if let [_, _, pixels, ..] = windows {
                    pool!(2 * WINDOW, *pixels);
                }
            }
        }
        progress.done += P;
    }

    /// All rows of `V` vectors of columns.
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, column: usize) {
        // A window is never cut.
        let whole = if matches!(self.finish, Finish::MaxPool { .. }) { WINDOW } else { 1 };
        let mut start = [simd.splat(0.0); V];
        if let Some(init) = self.init {
            for v in 0..V {
                let lanes = self.columns.min(column + v * LANES)..;
                start[v] = simd.load_partial(&init[lanes]);
            }
        }
        let walk = Walk::new(self.x, self.y_length);
        let mut progress = Progress { walk, done: 0, column, start };
        let rows = self.x.rows();
        while progress.done < rows {
            let progress = &mut progress;
            let left = rows - progress.done;
            let tall = V == 1 && fits::<S>(TALLEST, V) && whole == 1 && left >= TALLEST;
            let height = if tall { TALLEST } else { height::<S>(left, V, whole) };
            match height {
                TALLEST if const { V == 1 && fits::<S>(TALLEST, V) } => {
                    self.tile::<S, TALLEST, V>(simd, progress);
                }
                12 if const { fits::<S>(12, V) } => self.tile::<S, 12, V>(simd, progress),
                6 if const { fits::<S>(6, V) } => self.tile::<S, 6, V>(simd, progress),
                4 if const { fits::<S>(4, V) } => self.tile::<S, 4, V>(simd, progress),
                2 if const { fits::<S>(2, V) } => self.tile::<S, 2, V>(simd, progress),
                _ => self.tile::<S, 1, V>(simd, progress),
            }
        }
    }
}

/// How far the tiles of `V` vectors of columns have come.
struct Progress<'a, S: Simd, const V: usize> {
    walk: Walk<'a>,
    /// Cells behind.
    done: usize,
    column: usize,
    /// What sums start from.
    start: [S::F; V],
}

impl Kernel for GatherMatmul<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        const { assert!(fits::<S>(WINDOW, 1), "a window that is never cut") };
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

/// Rows of a tile one vector wide that is not pooled: the more of them share a vector of weights, the
/// better.
const TALLEST: usize = 24;

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

/// The sums in memory, where they can be indexed: in registers they cannot, and stay there only if
/// nothing else ever does.
#[inline(always)]
fn arrays<S: Simd, const P: usize, const V: usize>(
    simd: S,
    sums: &[[S::F; V]; P],
) -> [[[f32; LANES]; V]; P] {
    let mut arrays = [[[0.0; LANES]; V]; P];
    for p in 0..P {
        for v in 0..V {
            arrays[p][v] = simd.to_array(sums[p][v]);
        }
    }
    arrays
}

/// The sums of one row from their place, which may end within a vector.
#[inline(always)]
pub(super) fn load<S: Simd, const V: usize>(simd: S, row: &[f32]) -> [S::F; V] {
    let mut sums = [simd.splat(0.0); V];
    for v in 0..V {
        if row.len() > v * LANES {
            sums[v] = simd.load_partial(&row[v * LANES..]);
        }
    }
    sums
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

/// Stores one window's row of `y`, and who won it in the words of `winners`, if there are any:
/// `words` for each pixel.
#[inline(always)]
fn pool_window<S: Simd, const V: usize>(
    simd: S,
    y: &mut [f32],
    winners: &mut [u16],
    pixels: [[S::F; V]; WINDOW],
    words: usize,
    with_relu: bool,
) {
    let mut largest = [simd.splat(0.0); V];
    for v in 0..V {
        let lanes = [pixels[0][v], pixels[1][v], pixels[2][v], pixels[3][v]];
        let won;
        (largest[v], won) = pool(simd, lanes, with_relu);
        if y.len() > v * LANES && !winners.is_empty() {
            for pixel in 0..WINDOW {
                winners[pixel * words + v] = won[pixel];
            }
        }
    }
    store(simd, largest, y);
}

/// The first of the largest of each lane, or its first NaN, and then relu, if it is asked for; and for
/// each pixel the lanes in which it won and, with relu, is above zero.
#[inline(always)]
fn pool<S: Simd>(simd: S, [a, b, c, d]: [S::F; WINDOW], with_relu: bool) -> (S::F, [u16; WINDOW]) {
    let zero = simd.splat(0.0);
    let sum = simd.add(simd.add(a, b), simd.add(c, d));
    if simd.mask_bits(simd.eq(sum, sum)) != u16::MAX {
        return pool_with_nan(simd, [a, b, c, d], with_relu);
    }
    // No NaN, or the sum would be one. Of equals, the first is kept.
    let largest = simd.max(d, simd.max(c, simd.max(b, a)));
    let alive = if with_relu { simd.mask_bits(simd.gt(largest, zero)) } else { u16::MAX };
    let among = |pixel: S::F, left: u16| simd.mask_bits(simd.eq(pixel, largest)) & left;
    let first = among(a, alive);
    let second = among(b, alive & !first);
    let third = among(c, alive & !first & !second);
    let last = alive & !first & !second & !third;
    let y = if with_relu { simd.max(largest, zero) } else { largest };
    (y, [first, second, third, last])
}

/// The same where values may be NaN, or their sum is.
#[inline(always)]
fn pool_with_nan<S: Simd>(
    simd: S,
    [a, b, c, d]: [S::F; WINDOW],
    with_relu: bool,
) -> (S::F, [u16; WINDOW]) {
    // Taken unless y ≤ x or x is NaN already.
    let taken = |x: S::F, y: S::F| simd.mask_bits(simd.eq(x, x)) & !simd.mask_bits(simd.ge(x, y));
    let (over_a, over_c) = (taken(a, b), taken(c, d));
    let ab = simd.select(simd.mask(over_a), b, a);
    let cd = simd.select(simd.mask(over_c), d, c);
    let over_ab = taken(ab, cd);
    let best = simd.select(simd.mask(over_ab), cd, ab);
    let won = [!over_ab & !over_a, !over_ab & over_a, over_ab & !over_c, over_ab & over_c];
    if !with_relu {
        return (best, won);
    }
    let alive = simd.mask_bits(simd.gt(best, simd.splat(0.0)));
    let [first, second, third, last] = won;
    (relu(simd, best), [first & alive, second & alive, third & alive, last & alive])
}
