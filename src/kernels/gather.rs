//! Where the values that meet in a sum lie within a sample.
//!
//! A convolution reads, for each **cell** of its result, the same pattern of **runs**: stretches of
//! values that follow each other in memory, at fixed distances from where the cell's pattern starts.
//! So stride, dilation and groups cost nothing in the loops, an image is never unfolded into columns,
//! and a dense layer is one cell with one run.

use super::outer::TALL;

/// One cell of a result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    /// Where its pattern starts within the sample that is read.
    pub(crate) source: u32,
    /// Where its row starts within the sample that is written; for pooling, where that of its window
    /// does.
    pub(crate) target: u32,
}

/// Values that follow each other in memory, under one tap or several neighbouring ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Where they start, from where the cell's pattern starts.
    pub(crate) source: u32,
    /// The tap of the weights that the first one belongs to.
    pub(crate) tap: u32,
    pub(crate) length: u32,
}

/// The rows of a matrix of weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) count: usize,
    /// Whether tiles of 16 are to be taken: each 16 of them follow each other in memory.
    pub(super) tall: bool,
}

/// The cells of a result, all of which read the same runs, in the order of summation.
#[derive(Clone, Debug)]
pub(crate) struct Gather {
    cells: Vec<Cell>,
    runs: Vec<Run>,
    /// Past the last value that any cell reads.
    end: usize,
    /// Past the start of the last row that any cell writes; 0 without cells.
    target_end: usize,
    /// The last tap.
    last_tap: usize,
}

impl Gather {
    pub(crate) fn new(cells: Vec<Cell>, runs: Vec<Run>) -> Self {
        let end_of_run = |run: &Run| run.source as usize + run.length as usize;
        let reach = runs.iter().map(end_of_run).max().unwrap_or(0);
        let last = cells.iter().map(|cell| cell.source as usize).max().unwrap_or(0);
        let target_end = cells.iter().map(|cell| cell.target as usize + 1).max().unwrap_or(0);
        let last_tap = runs.iter().map(|run| run.tap as usize).max().unwrap_or(0);
        Self { cells, runs, end: last + reach, target_end, last_tap }
    }

    /// One cell that reads `length` values: a dense layer.
    pub(crate) fn single(length: usize) -> Self {
        let length = u32::try_from(length).expect("a sample has fewer than 2³² values");
        Self::new(vec![Cell { source: 0, target: 0 }], vec![Run { source: 0, tap: 0, length }])
    }

    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Rows of the weights: the values of all runs, one after the other.
    pub(super) fn weight_rows(&self) -> Rows {
        let lengths = self.runs.iter().map(|run| run.length as usize);
        let tall = lengths.clone().all(|length| length.is_multiple_of(TALL));
        Rows { count: lengths.sum(), tall }
    }

    /// Where `P` of these rows from `row` on read, from where a cell's pattern starts.
    #[inline(always)]
    pub(super) fn sources<const P: usize>(&self, row: usize) -> [usize; P] {
        let mut sources = [0; P];
        let mut first = 0;
        for run in &self.runs {
            let end = first + run.length as usize;
            for row_of_run in row.max(first)..end.min(row + P) {
                sources[row_of_run - row] = run.source as usize + row_of_run - first;
            }
            first = end;
        }
        sources
    }

    pub(super) fn target_end(&self) -> usize {
        self.target_end
    }

    pub(super) fn last_tap(&self) -> usize {
        self.last_tap
    }
}

/// What is gathered from: `samples` samples of `length` values each. All sources lie `offset` values
/// further on than the gather says: the channels of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) samples: usize,
    pub(crate) length: usize,
    pub(crate) offset: usize,
    pub(crate) gather: &'a Gather,
}

impl Source<'_> {
    /// Cells of all samples.
    pub(super) fn rows(&self) -> usize {
        self.samples * self.gather.cells.len()
    }

    /// Checks that every value that a cell reads is there, and `beyond` values behind the last: what
    /// the kernels' pointers rely on.
    ///
    /// # Panics
    /// If it is not.
    pub(super) fn check(&self, beyond: usize) {
        assert!(self.offset + self.gather.end <= self.length, "a cell reads past its sample");
        let end = self.samples * self.length + beyond;
        assert!(self.samples == 0 || end <= self.values.len(), "samples are missing");
    }
}

/// A walk over the cells of all samples, in their order.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    cells: &'a [Cell],
    /// The next cell, and where its sample starts in what is read and what is written.
    cell: usize,
    source: usize,
    target: usize,
    /// Values per sample of what is read and what is written.
    lengths: [usize; 2],
}

impl<'a> Walk<'a> {
    pub(super) fn new(x: Source<'a>, y_length: usize) -> Self {
        let (cells, lengths) = (x.gather.cells.as_slice(), [x.length, y_length]);
        Self { cells, cell: 0, source: x.offset, target: 0, lengths }
    }

    /// Where the next `P` cells read, and where they write.
    // Plain loops: closures are compiled without the caller's instruction set when not inlined.
    #[inline(always)]
    pub(super) fn next<const P: usize>(&mut self) -> ([usize; P], [usize; P]) {
        let (mut sources, mut targets) = ([0; P], [0; P]);
        if let Some(cells) = self.cells[self.cell..].first_chunk::<P>() {
            for p in 0..P {
                sources[p] = self.source + cells[p].source as usize;
                targets[p] = self.target + cells[p].target as usize;
            }
            self.advance(P);
        } else {
            for p in 0..P {
                sources[p] = self.source + self.cells[self.cell].source as usize;
                targets[p] = self.target + self.cells[self.cell].target as usize;
                self.advance(1);
            }
        }
        (sources, targets)
    }

    #[inline(always)]
    fn advance(&mut self, cells: usize) {
        self.cell += cells;
        if self.cell == self.cells.len() {
            self.cell = 0;
            self.source += self.lengths[0];
            self.target += self.lengths[1];
        }
    }
}
