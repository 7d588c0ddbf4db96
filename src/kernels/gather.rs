//! The two loop nests behind convolution and dense layers, forward and backward.
//!
//! Both read one operand through a [`Gather`]: a table that says where, within a sample, the row of
//! values under each tap of each cell starts. So stride, dilation and padding cost nothing in the
//! loops, an image needs no unfolding into columns, and a dense layer is one cell with one tap.
//!
//! A tile of the result lives in registers for the whole sum, so each element is **one
//! accumulator** whose order of summation does not depend on the tile or the instruction set.

use super::isa::{Isa, Kernel};
use super::simd::{LANES, Simd};

/// Where the rows of values that meet in a result lie within a sample.
#[derive(Clone, Debug)]
pub(crate) struct Gather {
    /// The tap of the weights that each column of `sources` belongs to.
    taps: Vec<u32>,
    /// Cells × taps: the start of a row, or [`Gather::PADDING`], which stands for a row of zeros.
    sources: Vec<u32>,
    /// Per cell: the start of its row in the result.
    targets: Vec<u32>,
    /// What a row in the padding holds.
    zeros: Vec<f32>,
}

impl Gather {
    /// A source outside the image: its values are +0.0, and they are multiplied like any other.
    pub(crate) const PADDING: u32 = u32::MAX;

    /// For rows of up to `width` values.
    ///
    /// # Panics
    /// If `sources` does not hold one entry per cell and tap.
    pub(crate) fn new(taps: Vec<u32>, sources: Vec<u32>, targets: Vec<u32>, width: usize) -> Self {
        assert_eq!(sources.len(), taps.len() * targets.len(), "one source per cell and tap");
        let padded = sources.contains(&Self::PADDING);
        Self { taps, sources, targets, zeros: vec![0.0; if padded { width } else { 0 }] }
    }

    /// One cell with one tap: a dense layer.
    pub(crate) fn single() -> Self {
        Self::new(vec![0], vec![0], vec![0], 0)
    }

    /// Cells per sample.
    pub(crate) fn cells(&self) -> usize {
        self.targets.len()
    }

    /// The taps of the weights, in the order of each cell's sources.
    pub(crate) fn taps(&self) -> &[u32] {
        &self.taps
    }

    /// Per cell: its sources and its target.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u32], u32)> {
        // A cell that no tap reaches has no sources, which `chunks_exact` cannot give.
        let width = self.taps.len();
        (self.targets.iter().enumerate())
            .map(move |(cell, &target)| (&self.sources[cell * width..(cell + 1) * width], target))
    }
}

/// Where the weights of a group lie: tap t, row k, column n at
/// `start + t·tap_stride + k·stride + n`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) start: usize,
    pub(crate) tap_stride: usize,
    pub(crate) stride: usize,
}

/// What is gathered from: `samples` samples of `length` values each, rows of `width` values that
/// start `offset` behind what the gather says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) samples: usize,
    pub(crate) length: usize,
    pub(crate) offset: usize,
    pub(crate) width: usize,
    pub(crate) gather: &'a Gather,
}

impl Source<'_> {
    fn rows(&self) -> usize {
        self.samples * self.gather.cells()
    }

    /// The `width` values under column `tap` of the gather's table.
    #[inline(always)]
    fn row(&self, row: Row, tap: usize) -> &[f32] {
        let source = self.gather.sources[row.cell * self.gather.taps.len() + tap];
        if source == Gather::PADDING {
            return &self.gather.zeros[..self.width];
        }
        let start = row.sample * self.length + source as usize + self.offset;
        &self.values[start..start + self.width]
    }
}

/// A cell of a sample.
#[derive(Clone, Copy)]
struct Row {
    sample: usize,
    cell: usize,
}

impl Row {
    #[inline(always)]
    fn of(index: usize, cells: usize) -> Self {
        Self { sample: index / cells, cell: index % cells }
    }

    #[inline(always)]
    fn next(self, cells: usize) -> Self {
        if self.cell + 1 == cells {
            Self { sample: self.sample + 1, cell: 0 }
        } else {
            Self { cell: self.cell + 1, ..self }
        }
    }
}

/// For every sample s, cell c and column n:
/// `y[s][c][n] = init[n] + Σ_tap Σ_k x[s][c][tap][k] · w[tap][k][n]`, taps and then k ascending, each
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
    /// The weights and all that follows them in memory: a vector load may reach past the last
    /// column, and needs [`LANES`] values behind the last row.
    pub(crate) w: &'a [f32],
    pub(crate) w_block: Block,
    pub(crate) columns: usize,
}

impl GatherMatmul<'_> {
    /// # Panics
    /// If the slices are too short for what is asked.
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }

    /// One tile of `P` rows × `V` vectors of columns from `column` on.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        first: usize,
        column: usize,
    ) {
        let gather = self.x.gather;
        let cells = gather.cells();
        let mut rows = [Row::of(first, cells); P];
        for p in 1..P {
            rows[p] = rows[p - 1].next(cells);
        }
        let width = self.columns - column;
        let start: [S::F; V] = std::array::from_fn(|v| match self.init {
            Some(init) if width > v * LANES => simd.load_partial(&init[column + v * LANES..]),
            _ => simd.splat(0.0),
        });
        let mut sums = [start; P];
        let depth = self.x.width;
        for (column_of_table, &tap) in gather.taps.iter().enumerate() {
            let sources: [&[f32]; P] =
                std::array::from_fn(|p| self.x.row(rows[p], column_of_table));
            let begin = self.w_block.start + tap as usize * self.w_block.tap_stride + column;
            let stride = self.w_block.stride;
            let weights = &self.w[begin..begin + (depth - 1) * stride + V * LANES];
            let weights = weights.as_ptr();
            let sources = sources.map(<[f32]>::as_ptr);
            for k in 0..depth {
                // SAFETY: k < depth, and `weights` holds (depth − 1) · stride + V · LANES values.
                let row = unsafe { weights.add(k * stride) };
                let w: [S::F; V] = std::array::from_fn(|v| {
                    // SAFETY: as above, v < V.
                    let part = unsafe { row.add(v * LANES) };
                    // SAFETY: the LANES values from there on lie within `weights`.
                    unsafe { simd.load_ptr(part) }
                });
                for p in 0..P {
                    // SAFETY: each source has `width` = `depth` values, k < depth.
                    let value = unsafe { sources[p].add(k) };
                    // SAFETY: as above; the slice it comes from is borrowed throughout.
                    let x = simd.splat(unsafe { *value });
                    for v in 0..V {
                        sums[p][v] = simd.mul_add(x, w[v], sums[p][v]);
                    }
                }
            }
        }
        for p in 0..P {
            let target = rows[p].sample * self.y_length
                + gather.targets[rows[p].cell] as usize
                + self.y_offset
                + column;
            let y = &mut self.y[target..target + width.min(V * LANES)];
            for v in 0..V {
                if width > v * LANES {
                    simd.store_partial(sums[p][v], &mut y[v * LANES..]);
                }
            }
        }
    }

    /// All rows of `V` vectors of columns.
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, column: usize) {
        let rows = self.x.rows();
        let mut row = 0;
        while row < rows {
            let tile = tile_height::<S>(rows - row, V);
            match tile {
                12 if const { fits::<S>(12, V) } => self.tile::<S, 12, V>(simd, row, column),
                6 if const { fits::<S>(6, V) } => self.tile::<S, 6, V>(simd, row, column),
                4 if const { fits::<S>(4, V) } => self.tile::<S, 4, V>(simd, row, column),
                2 if const { fits::<S>(2, V) } => self.tile::<S, 2, V>(simd, row, column),
                _ => self.tile::<S, 1, V>(simd, row, column),
            }
            row += tile;
        }
    }
}

/// How many rows of `vectors` accumulators each the next tile takes of those that are `left`:
/// 12, 6, 4, 2 or 1.
#[inline(always)]
fn tile_height<S: Simd>(left: usize, vectors: usize) -> usize {
    let possible = |&height: &usize| left >= height && fits::<S>(height, vectors);
    [12, 6, 4, 2].into_iter().find(possible).unwrap_or(1)
}

/// Whether the sums of a tile fit the registers. Where tiles are chosen this stands in `const`, so
/// that those which can never run are not compiled.
const fn fits<S: Simd>(height: usize, vectors: usize) -> bool {
    height * vectors <= S::ACCUMULATORS
}

impl Kernel for GatherMatmul<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        assert!(self.x.width > 0, "a row of values");
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

/// For every tap, k and column n:
/// `dw[tap][k][n] = Σ_s Σ_c x[s][c][tap][k] · dy[s][c][n]` over samples and then cells ascending,
/// each step a fused multiply-add from +0.0.
#[derive(Debug)]
pub(crate) struct GatherOuter<'a> {
    pub(crate) dw: &'a mut [f32],
    pub(crate) dw_block: Block,
    pub(crate) x: Source<'a>,
    /// Read by whole vectors: needs [`LANES`] values behind the last row.
    pub(crate) dy: &'a [f32],
    /// Values of `dy` per sample.
    pub(crate) dy_length: usize,
    /// Where the columns start within a row of `dy`.
    pub(crate) dy_offset: usize,
    pub(crate) columns: usize,
}

/// Which elements of the weights' gradient a tile's rows are.
#[derive(Clone, Copy)]
enum Rows {
    /// `P` values of k from `k` on, at one tap.
    Depth { tap: usize, k: usize },
    /// One k at `P` taps from `tap` on.
    Taps { tap: usize, k: usize },
}

impl GatherOuter<'_> {
    /// # Panics
    /// If the slices are too short for what is asked.
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }

    #[inline(always)]
    fn tile<S: Simd, const P: usize, const V: usize>(&mut self, simd: S, at: Rows, column: usize) {
        let gather = self.x.gather;
        let cells = gather.cells();
        let width = self.columns - column;
        let mut sums = [[simd.splat(0.0); V]; P];
        let mut row = Row { sample: 0, cell: 0 };
        for _ in 0..self.x.rows() {
            let start = row.sample * self.dy_length
                + gather.targets[row.cell] as usize
                + self.dy_offset
                + column;
            let dy = &self.dy[start..start + V * LANES];
            let dy: [S::F; V] = std::array::from_fn(|v| simd.load(&dy[v * LANES..]));
            let values: [f32; P] = match at {
                Rows::Depth { tap, k } => {
                    *self.x.row(row, tap)[k..].first_chunk().expect("P values from k on")
                }
                Rows::Taps { tap, k } => std::array::from_fn(|p| self.x.row(row, tap + p)[k]),
            };
            for p in 0..P {
                let x = simd.splat(values[p]);
                for v in 0..V {
                    sums[p][v] = simd.mul_add(x, dy[v], sums[p][v]);
                }
            }
            row = row.next(cells);
        }
        for (p, sums) in sums.into_iter().enumerate() {
            let (tap, k) = match at {
                Rows::Depth { tap, k } => (tap, k + p),
                Rows::Taps { tap, k } => (tap + p, k),
            };
            let tap = gather.taps[tap] as usize;
            let Block { start, tap_stride, stride } = self.dw_block;
            let target = start + tap * tap_stride + k * stride + column;
            let dw = &mut self.dw[target..target + width.min(V * LANES)];
            for v in 0..V {
                if width > v * LANES {
                    simd.store_partial(sums[v], &mut dw[v * LANES..]);
                }
            }
        }
    }

    /// `count` rows from `at` on, `V` vectors of columns wide.
    #[inline(always)]
    fn rows<S: Simd, const V: usize>(&mut self, simd: S, at: Rows, count: usize, column: usize) {
        let mut done = 0;
        while done < count {
            let at = match at {
                Rows::Depth { tap, k } => Rows::Depth { tap, k: k + done },
                Rows::Taps { tap, k } => Rows::Taps { tap: tap + done, k },
            };
            let tile = tile_height::<S>(count - done, V);
            match tile {
                12 if const { fits::<S>(12, V) } => self.tile::<S, 12, V>(simd, at, column),
                6 if const { fits::<S>(6, V) } => self.tile::<S, 6, V>(simd, at, column),
                4 if const { fits::<S>(4, V) } => self.tile::<S, 4, V>(simd, at, column),
                2 if const { fits::<S>(2, V) } => self.tile::<S, 2, V>(simd, at, column),
                _ => self.tile::<S, 1, V>(simd, at, column),
            }
            done += tile;
        }
    }

    /// All rows, `V` vectors of columns wide.
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, column: usize) {
        let (taps, depth) = (self.x.gather.taps.len(), self.x.width);
        // The longer way round fills the tile: a first layer has one channel and many taps.
        if depth >= taps {
            for tap in 0..taps {
                self.rows::<S, V>(simd, Rows::Depth { tap, k: 0 }, depth, column);
            }
        } else {
            for k in 0..depth {
                self.rows::<S, V>(simd, Rows::Taps { tap: 0, k }, taps, column);
            }
        }
    }
}

impl Kernel for GatherOuter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
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
