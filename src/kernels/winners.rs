//! The way back through a convolution whose result was pooled: only the pixel that won its window
//! has a gradient, for each filter another, and where the relu left none alive there is none at all.
//! What is skipped would be a product with zero.

use super::gather::{Cell, Gather};
use super::isa::{Isa, Kernel};
use super::matmul::{WINDOW, fits};
use super::simd::{LANES, Simd};

/// Filters whose weights [`WinnersMatmul`] takes at a time, so that they stay in the first-level
/// cache. It is part of the order of summation.
pub(crate) const FILTER_BLOCK: usize = 64;

/// The gradients of the pooled result: per sample and window, in rows of `filters` values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pooled<'a> {
    /// With [`LANES`] values behind the last.
    pub(crate) dy: &'a [f32],
    /// As [`Finish::MaxPool`](super::Finish::MaxPool) left them.
    pub(crate) winners: &'a [u16],
    pub(crate) filters: usize,
    /// The windows' cells.
    pub(crate) gather: &'a Gather,
}

/// One window of a sample.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) cells: [Cell; WINDOW],
    /// One value per filter, and more behind them.
    pub(super) dy: &'a [f32],
    /// Per pixel: words of 16 filters.
    winners: &'a [u16],
}

impl<'a> Pooled<'a> {
    pub(super) fn windows(&self) -> usize {
        self.gather.cells().len() / WINDOW
    }

    /// # Panics
    /// If values are missing for so many `samples`.
    pub(super) fn check(&self, samples: usize) {
        let windows = samples * self.windows();
        assert!(windows * self.filters + LANES <= self.dy.len(), "gradients, or room behind them");
        let words = windows * WINDOW * self.filters.div_ceil(LANES);
        assert!(words <= self.winners.len(), "winners are missing");
    }

    /// The windows of one sample.
    pub(super) fn of_sample(self, sample: usize) -> Windows<'a> {
        let first = sample * self.windows();
        let words = self.filters.div_ceil(LANES);
        Windows {
            cells: self.gather.cells().as_chunks().0,
            dy: &self.dy[first * self.filters..],
            winners: &self.winners[first * WINDOW * words..],
            filters: self.filters,
        }
    }
}

/// The windows of a sample that are left.
#[derive(Clone, Copy)]
pub(super) struct Windows<'a> {
    pub(super) cells: &'a [[Cell; WINDOW]],
    pub(super) dy: &'a [f32],
    winners: &'a [u16],
    pub(super) filters: usize,
}

impl Windows<'_> {
    /// Takes the first of them, at most so many, off the rest.
    pub(super) fn take_chunk(&mut self, most: usize) -> Self {
        let count = self.cells.len().min(most);
        let (cells, left) = self.cells.split_at(count);
        let chunk = Self { cells, ..*self };
        let words = self.filters.div_ceil(LANES);
        self.cells = left;
        self.winners = &self.winners[count * WINDOW * words..];
        self.dy = &self.dy[count * self.filters..];
        chunk
    }
}

impl<'a> Iterator for Windows<'a> {
    type Item = Window<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Window<'a>> {
        let (&cells, left) = self.cells.split_first()?;
        let (winners, later) = self.winners.split_at(WINDOW * self.filters.div_ceil(LANES));
        let window = Window { cells, dy: self.dy, winners };
        (self.cells, self.winners) = (left, later);
        self.dy = &self.dy[self.filters..];
        Some(window)
    }
}

impl<'a> Window<'a> {
    /// The words of 16 filters that say where `pixel` won.
    #[inline(always)]
    pub(super) fn won(&self, pixel: usize) -> &'a [u16] {
        let words = self.winners.len() / WINDOW;
        &self.winners[pixel * words..][..words]
    }
}

/// Up to 16 values that follow each other in memory: where they start within what a cell reads, and
/// within the weights of a filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) source: u32,
    pub(crate) row: u32,
    pub(crate) length: u32,
}

impl Stretch {
    /// Whether `stretches` are whole vectors, each behind the one before.
    pub(super) fn follow_each_other(stretches: &[Self]) -> bool {
        let whole = |stretch: &Self| stretch.length as usize == LANES;
        let behind = |pair: &[Self]| pair[0].source as usize + LANES == pair[1].source as usize;
        stretches.iter().all(whole) && stretches.windows(2).all(behind)
    }
}

/// The input gradient: for each sample, block of [`FILTER_BLOCK`] filters, window, pixel and filter n
/// of the block that this pixel won, ascending:
/// `dx[cell][r] += dy[window][n] · w[n][r]`, fused, for all r that the cell reads; from +0.0.
#[derive(Debug)]
pub(crate) struct WinnersMatmul<'a> {
    /// Of one sample.
    pub(crate) dx: &'a mut [f32],
    pub(crate) sample: usize,
    pub(crate) pooled: Pooled<'a>,
    /// The weights pass by pass, and within it filter by filter: a vector for each stretch.
    pub(crate) w: &'a [f32],
    /// What a cell reads, in passes: no value of the image is touched in two of them.
    pub(crate) passes: &'a [Vec<Stretch>],
}

impl WinnersMatmul<'_> {
    /// # Panics
    /// If the slices are too short for what is asked.
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }

    /// Adds to `T` stretches of a cell what its filters pass on. `w` are their weights, from the first
    /// of these stretches on.
    #[inline(always)]
    fn tile<S: Simd, const T: usize>(
        &mut self,
        simd: S,
        cell: Cell,
        stretches: &[Stretch; T],
        filters: Filters<'_>,
        w: &[f32],
    ) {
        let Filters { dy, alive, stride } = filters;
        assert!((dy.len() - 1) * stride + T * LANES <= w.len(), "weights are missing");
        assert!(alive >> (dy.len() - 1) <= 1, "winners are filters");
        let mut sums = [simd.splat(0.0); T];
        for t in 0..T {
            let start = (cell.source + stretches[t].source) as usize;
            sums[t] = simd.load_partial(&self.dx[start..start + stretches[t].length as usize]);
        }
        let mut left = alive;
        while left != 0 {
            let filter = left.trailing_zeros() as usize;
            left &= left - 1;
            // SAFETY: no bit of `alive` lies past the last of `dy`.
            let dy = simd.splat(unsafe { *dy.as_ptr().wrapping_add(filter) });
            let w = w.as_ptr().wrapping_add(filter * stride);
            for t in 0..T {
                // SAFETY: the weights have T vectors for each of `dy`.
                let w = unsafe { simd.load_ptr(w.wrapping_add(t * LANES)) };
                sums[t] = simd.mul_add(dy, w, sums[t]);
            }
        }
        for t in 0..T {
            let start = (cell.source + stretches[t].source) as usize;
            let dx = &mut self.dx[start..start + stretches[t].length as usize];
            simd.store_partial(sums[t], dx);
        }
    }
}

/// Up to 64 filters that may have won a cell.
#[derive(Clone, Copy)]
struct Filters<'a> {
    /// The gradient of each.
    dy: &'a [f32],
    /// One bit for each.
    alive: u64,
    /// From the weights of one to those of the next.
    stride: usize,
}

/// The bits of up to 64 filters.
#[inline(always)]
fn bits(words: &[u16]) -> u64 {
    words.iter().rev().fold(0, |bits, &word| bits << LANES | u64::from(word))
}

impl Kernel for WinnersMatmul<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let pooled = self.pooled;
        pooled.check(self.sample + 1);
        self.dx.fill(0.0);
        let mut weights = self.w;
        for stretches in self.passes {
            let stride = stretches.len() * LANES;
            let (w, rest) = weights.split_at(pooled.filters * stride);
            weights = rest;
            for first in (0..pooled.filters).step_by(FILTER_BLOCK) {
                let words =
                    first / LANES..(first + FILTER_BLOCK).min(pooled.filters).div_ceil(LANES);
                let real = (pooled.filters - first).min(FILTER_BLOCK);
                let mask = u64::MAX >> (FILTER_BLOCK - real);
                for window in pooled.of_sample(self.sample) {
                    let dy = &window.dy[first..first + real];
                    for pixel in 0..WINDOW {
                        let alive = bits(&window.won(pixel)[words.clone()]) & mask;
                        if alive == 0 {
                            continue;
                        }
                        let cell = window.cells[pixel];
                        let filters = Filters { dy, alive, stride };
                        let mut left = stretches.as_slice();
                        while !left.is_empty() {
                            let done = (stretches.len() - left.len()) * LANES;
                            let w = &w[first * stride + done..];
                            macro_rules! tile {
                                ($stretches:literal) => {{
                                    let (part, rest) = left.split_first_chunk().expect("as many");
                                    self.tile::<S, $stretches>(simd, cell, part, filters, w);
                                    left = rest;
                                }};
                            }
                            match width::<S>(left.len().min(9)) {
                                9 if const { fits::<S>(9, 1) } => tile!(9),
                                6 if const { fits::<S>(6, 1) } => tile!(6),
                                4 if const { fits::<S>(4, 1) } => tile!(4),
                                2 => tile!(2),
                                _ => tile!(1),
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How many stretches the next tile takes of those that are `left`.
#[inline(always)]
pub(super) fn width<S: Simd>(left: usize) -> usize {
    let possible = |&width: &usize| left >= width && fits::<S>(width, 1);
    [18, 9, 6, 4, 2].into_iter().find(possible).unwrap_or(1)
}
