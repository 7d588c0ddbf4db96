//! The kernel gradients behind max pooling: for each filter, only the pixels that won.

use super::gather::Source;
use super::isa::{Isa, Kernel};
use super::matmul::{WINDOW, fits, load, store};
use super::outer::{Tiles, each_tile};
use super::simd::{LANES, Simd};
use super::winners::{Pooled, Stretch, Windows, width};

/// The weight gradient, transposed: for each filter n and row r of the weights, over samples and
/// then windows ascending, leaving out those where no pixel won,
/// `dw[n][r] = Σ x[s][cell of the winner][r] · dy[s][window][n]`, each step fused, from +0.0.
///
/// The windows go by in chunks, whose part of the image stays in the first-level cache for all
/// filters; for each of these, a row of the weights stays in registers while its winners go by.
#[derive(Debug)]
pub(crate) struct WinnersOuterTransposed<'a> {
    /// Filter n, stretch t, lane l at `(n·stretches + t)·16 + l`: the sums so far, which these
    /// continue.
    pub(crate) dw: &'a mut [f32],
    /// Read by whole vectors: needs [`LANES`] values behind the last sample.
    pub(crate) x: Source<'a>,
    pub(crate) pooled: Pooled<'a>,
    /// All rows of the weights.
    pub(crate) stretches: &'a [Stretch],
}

/// The most windows in a chunk: the bits of a u32.
const CHUNK: usize = u32::BITS as usize;

/// The fewest that are worth a chunk: for each, the sums of all filters are read and written again.
const FEWEST: usize = 16;

/// Values of the image that a chunk's windows should lie over: five sixths of a common first-level
/// cache.
const STRIPE: usize = 10 * 1024;

/// Values of the sums that go by for every chunk of a sample: half of a common second-level cache.
const SUMS: usize = 128 * 1024;

/// The winners of 16 filters among the windows of a chunk.
struct ChunkWinners<'a> {
    /// Per filter, one bit for each window that has one.
    alive: [u32; LANES],
    /// Per window and filter, where the winner's patch of the image starts.
    sources: [[u32; LANES]; CHUNK],
    /// Per window one gradient for each filter, `stride` apart.
    dy: &'a [f32],
    stride: usize,
}

impl<'a> ChunkWinners<'a> {
    /// Those of the next windows, at most [`CHUNK`], and of the 16 filters of a `word`.
    #[inline(always)]
    fn new<S: Simd>(simd: S, windows: Windows<'a>, word: usize) -> Self {
        let (dy, stride) = (&windows.dy[word * LANES..], windows.filters);
        let zero = simd.splat(0.0);
        let mut alive = simd.splat_bits(0);
        let mut sources = [[0; LANES]; CHUNK];
        for (number, (window, sources)) in windows.zip(&mut sources).enumerate() {
            let bit = simd.float(simd.splat_bits(1 << number));
            let mut source = zero;
            for pixel in 0..WINDOW {
                let won = simd.mask(window.won(pixel)[word]);
                let here = simd.float(simd.splat_bits(window.cells[pixel].source));
                source = simd.select(won, here, source);
                alive = simd.or(alive, simd.bits(simd.select(won, bit, zero)));
            }
            *sources = simd.to_array(source).map(f32::to_bits);
        }
        let alive = simd.to_array(simd.float(alive)).map(f32::to_bits);
        Self { alive, sources, dy, stride }
    }
}

impl WinnersOuterTransposed<'_> {
    /// # Panics
    /// If the slices are too short for what is asked.
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }

    /// Windows in a chunk.
    fn chunk(&self) -> usize {
        let windows = self.pooled.windows();
        let most = (STRIPE * windows / self.x.length).clamp(FEWEST, CHUNK);
        windows.div_ceil(windows.div_ceil(most).max(1))
    }

    /// Words of 16 filters whose sums stay in the second-level cache; at least one.
    fn words(&self) -> usize {
        (SUMS / (LANES * self.stretches.len() * LANES).max(1)).max(1)
    }

    /// What a chunk's `winners` pass on to the `filter` of a lane; `start`: where the sample starts in
    /// `x`. `threes`: whether each three stretches follow each other.
    #[inline(always)]
    fn filter<S: Simd>(
        &mut self,
        simd: S,
        winners: &ChunkWinners<'_>,
        filter: usize,
        start: usize,
        threes: bool,
    ) {
        let count = self.stretches.len();
        let mut first = 0;
        while first < count {
            let width = width::<S>(count - first);
            macro_rules! tile {
                ($stretches:literal, $neighbours:literal) => {
                    self.tile::<S, $stretches, $neighbours>(simd, winners, filter, start, first)
                };
            }
            match width {
                18 if const { fits::<S>(18, 1) } && threes => tile!(18, 3),
                18 if const { fits::<S>(18, 1) } => tile!(18, 1),
                9 if const { fits::<S>(9, 1) } => tile!(9, 1),
                6 if const { fits::<S>(6, 1) } => tile!(6, 1),
                4 if const { fits::<S>(4, 1) } => tile!(4, 1),
                2 => tile!(2, 1),
                _ => tile!(1, 1),
            }
            first += width;
        }
    }

    /// The same for `T` stretches from the `first` on. Each `C` of them follow each other in memory, and
    /// need one pointer.
    #[inline(always)]
    fn tile<S: Simd, const T: usize, const C: usize>(
        &mut self,
        simd: S,
        winners: &ChunkWinners<'_>,
        filter: usize,
        start: usize,
        first: usize,
    ) {
        const { assert!(T.is_multiple_of(C)) };
        let stretches: &[Stretch; T] = self.stretches[first..].first_chunk().expect("T are left");
        let mut sources = [0; T];
        for t in 0..T {
            sources[t] = stretches[t].source as usize;
        }
        for group in 0..T / C {
            debug_assert!(sources[group * C] + (C - 1) * LANES == sources[group * C + C - 1]);
        }
        for t in 0..T {
            sources[t] = sources[t / C * C] + t % C * LANES;
        }
        let place = (filter * self.stretches.len() + first) * LANES;
        let dw = &mut self.dw[place..place + T * LANES];
        let mut sums = [simd.splat(0.0); T];
        for t in 0..T {
            sums[t] = simd.load(&dw[t * LANES..]);
        }
        let lane = filter % LANES;
        let mut left = winners.alive[lane];
        while left != 0 {
            let window = left.trailing_zeros() as usize;
            left &= left - 1;
            let dy = simd.splat(winners.dy[window * winners.stride + lane]);
            let patch = start + winners.sources[window][lane] as usize;
            let patch = self.x.values.as_ptr().wrapping_add(patch);
            for t in 0..T {
                // SAFETY: `run` has checked that LANES values follow what the last cell of the last
                // sample reads; winners are cells, each stretch is part of what they read, and one
                // between the first and the last of its C neighbours lies between them.
                let x = unsafe { simd.load_ptr(patch.wrapping_add(sources[t])) };
                sums[t] = simd.mul_add(x, dy, sums[t]);
            }
        }
        for t in 0..T {
            simd.store(sums[t], &mut dw[t * LANES..]);
        }
    }
}

impl Kernel for WinnersOuterTransposed<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        self.x.check(LANES);
        self.pooled.check(self.x.samples);
        assert!(std::ptr::eq(self.x.gather, self.pooled.gather), "one set of cells");
        let end = |source: u32, length: u32| source as usize + length as usize;
        let reach = self.x.gather.runs().iter().map(|run| end(run.source, run.length)).max();
        let within = |stretch: &Stretch| Some(end(stretch.source, stretch.length)) <= reach;
        assert!(self.stretches.iter().all(within), "stretches of what the cells read");
        let threes = self.stretches.chunks(3).all(Stretch::follow_each_other);
        let filters = self.pooled.filters;
        let (most, words) = (self.chunk(), self.words() * LANES);
        for sample in 0..self.x.samples {
            let start = sample * self.x.length + self.x.offset;
            for block in (0..filters).step_by(words) {
                let mut windows = self.pooled.of_sample(sample);
                while !windows.cells.is_empty() {
                    let chunk = windows.take_chunk(most);
                    for first in (block..filters.min(block + words)).step_by(LANES) {
                        let winners = ChunkWinners::new(simd, chunk, first / LANES);
                        for filter in first..filters.min(first + LANES) {
                            self.filter(simd, &winners, filter, start, threes);
                        }
                    }
                }
            }
        }
    }
}

/// The same sums as those of [`WinnersOuterTransposed`], for kernels whose rows are too short for
/// vectors: these lie along the filters.
#[derive(Debug)]
pub(crate) struct WinnersOuter<'a> {
    /// Row r, filter n at `r·filters + n`.
    pub(crate) dw: &'a mut [f32],
    /// Whether `dw` already holds the sum over earlier samples, which these continue.
    pub(crate) resume: bool,
    pub(crate) x: Source<'a>,
    pub(crate) pooled: Pooled<'a>,
}

impl WinnersOuter<'_> {
    /// # Panics
    /// If the slices are too short for what is asked.
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }
}

impl<S: Simd> Tiles<S> for WinnersOuter<'_> {
    #[inline(always)]
    fn tile<const P: usize, const V: usize>(&mut self, simd: S, row: usize, filter: usize) {
        let sources = self.x.gather.sources::<P>(row);
        let filters = self.pooled.filters;
        let width = (filters - filter).min(V * LANES);
        let place = |p: usize| (row + p) * filters + filter;
        let mut sums = [[simd.splat(0.0); V]; P];
        if self.resume {
            for p in 0..P {
                sums[p] = load(simd, &self.dw[place(p)..][..width]);
            }
        }
        for sample in 0..self.x.samples {
            let start = sample * self.x.length + self.x.offset;
            let mut x = [self.x.values.as_ptr().wrapping_add(start); P];
            for p in 0..P {
                x[p] = x[p].wrapping_add(sources[p]);
            }
            for window in self.pooled.of_sample(sample) {
                let mut dy = [simd.splat(0.0); V];
                for v in 0..V {
                    dy[v] = simd.load_partial(&window.dy[filter + v * LANES..]);
                }
                for pixel in 0..WINDOW {
                    let words = &window.won(pixel)[filter / LANES..][..V];
                    let mut won = [simd.mask(0); V];
                    for v in 0..V {
                        won[v] = simd.mask(words[v]);
                    }
                    let cell = window.cells[pixel].source as usize;
                    for p in 0..P {
                        // SAFETY: `run` has checked that each cell of each sample has all its runs.
                        let x = simd.splat(unsafe { *x[p].wrapping_add(cell) });
                        for v in 0..V {
                            sums[p][v] = simd.mul_add_where(won[v], x, dy[v], sums[p][v]);
                        }
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

impl Kernel for WinnersOuter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        self.x.check(0);
        self.pooled.check(self.x.samples);
        assert!(std::ptr::eq(self.x.gather, self.pooled.gather), "one set of cells");
        let (rows, columns) = (self.x.gather.weight_rows(), self.pooled.filters);
        each_tile(&mut self, simd, rows, columns);
    }
}
