//! The way back through a convolution whose result was pooled: only the pixel that won its window
//! has a gradient, for each filter another, and where the relu left none alive there is none at all.
//! What is skipped would be a product with zero.

use super::gather::{Cell, Gather, Source};
use super::isa::{Isa, Kernel};
use super::matmul::{WINDOW, fits, store};
use super::outer::{Tiles, each_tile};
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
struct Window<'a> {
    cells: [Cell; WINDOW],
    /// One value per filter, and more behind them.
    dy: &'a [f32],
    /// Per pixel: words of 16 filters.
    winners: &'a [u16],
}

impl<'a> Pooled<'a> {
    fn windows(&self) -> usize {
        self.gather.cells().len() / WINDOW
    }

    /// # Panics
    /// If values are missing for so many `samples`.
    fn check(&self, samples: usize) {
        let windows = samples * self.windows();
        assert!(windows * self.filters + LANES <= self.dy.len(), "gradients, or room behind them");
        let words = windows * WINDOW * self.filters.div_ceil(LANES);
        assert!(words <= self.winners.len(), "winners are missing");
    }

    /// The windows of one sample.
    fn of_sample(self, sample: usize) -> Windows<'a> {
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
struct Windows<'a> {
    cells: &'a [[Cell; WINDOW]],
    dy: &'a [f32],
    winners: &'a [u16],
    filters: usize,
}

impl Windows<'_> {
    /// Takes the first of them, at most so many, off the rest.
    fn take_chunk(&mut self, most: usize) -> Self {
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
    fn won(&self, pixel: usize) -> &'a [u16] {
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
    fn follow_each_other(stretches: &[Self]) -> bool {
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
fn width<S: Simd>(left: usize) -> usize {
    let possible = |&width: &usize| left >= width && fits::<S>(width, 1);
    [18, 9, 6, 4, 2].into_iter().find(possible).unwrap_or(1)
}

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
                let dw = &self.dw[place(p)..][..width];
                for v in 0..V {
                    if width > v * LANES {
                        sums[p][v] = simd.load_partial(&dw[v * LANES..]);
                    }
                }
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
