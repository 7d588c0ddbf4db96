//! What a convolution needs to know of its extents, worked out once.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::kernels::{Cell, Gather, LANES, Run, Source, Stretch, WINDOW};
use crate::model::{Conv2d, Window2d};
use crate::tensor::{Aligned, Shape};

/// Values of the images that a kernel takes at a time: half of a common second-level cache, so that
/// every block of columns finds them there.
const BLOCK: usize = 64 * 1024;

/// The most samples in a block: further ones of small images would save nothing, and need room to be
/// padded in.
const BLOCK_SAMPLES: usize = 16;

/// The places of a convolution's operands, for all its kernels.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(super) taps: usize,
    /// Input channels, in all and per group.
    pub(super) channels: usize,
    pub(super) group_channels: usize,
    /// Filters, in all and per group.
    pub(super) filters: usize,
    pub(super) group_filters: usize,
    pub(super) groups: usize,
    /// Values per sample.
    pub(super) x_length: usize,
    pub(super) y_length: usize,
    /// Where there is padding: how an image gets it.
    pub(super) padding: Option<Padding>,
    /// Per output cell, the (padded) input under (kh, kw).
    pub(super) forward: Gather,
    /// For a convolution fused with the max pooling behind it.
    pub(super) pooled: Option<Pooling>,
    /// The input cells in classes which the same taps reach, each with the output under (kh, kw).
    pub(super) input_gradient: Vec<Gather>,
}

/// What the kernels of a pooled convolution need beside the rest.
#[derive(Clone, Debug)]
pub(super) struct Pooling {
    /// The cells of the convolution, window by window.
    pub(super) gather: Gather,
    /// The rows of the weights in vectors, for their gradient.
    pub(super) stretches: Vec<Stretch>,
    /// The same for the input gradient, in passes that touch no value twice.
    pub(super) passes: Vec<Vec<Stretch>>,
}

/// Memory that convolutions share, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Images in their padding.
    pub(super) padded: Aligned,
    /// A weight gradient, filter by filter.
    pub(super) transposed: Aligned,
}

impl Scratch {
    /// Enough for each of `all`; `training`: for the way back too.
    pub(crate) fn new<'a>(all: impl Iterator<Item = &'a Geometry>, training: bool) -> Self {
        let [mut padded, mut transposed] = [0; 2];
        for geometry in all {
            padded = geometry.padded_length().max(padded);
            if training {
                transposed = geometry.transposed_length().max(transposed);
            }
        }
        Self { padded: Aligned::zeros(padded), transposed: Aligned::zeros(transposed) }
    }
}

/// An image within its padding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Padding {
    /// Rows above the image; rows of it that are ever read; rows below.
    rows: [usize; 3],
    /// Values left of the image in a row; of the image; right of it.
    row: [usize; 3],
    /// Values from row to row of the image.
    stride: usize,
}

impl Geometry {
    /// # Panics
    /// If `input` is not an image that `conv` can take; a checked graph holds no such layer.
    pub(crate) fn new(conv: &Conv2d, input: &Shape) -> Self {
        let window = conv.window(input).expect("checked with the graph");
        let (_, _, channels) = input.as_image().expect("checked with the graph");
        let [height, width] = window.output;
        let layout = Layout::new(&window, channels, conv);
        Self {
            taps: window.kernel[0] * window.kernel[1],
            channels,
            group_channels: channels / conv.groups,
            filters: conv.filters,
            group_filters: conv.filters / conv.groups,
            groups: conv.groups,
            x_length: input.elements(),
            y_length: height * width * conv.filters,
            padding: layout.padding(),
            forward: Gather::new(layout.cells(), layout.runs()),
            pooled: None,
            input_gradient: Vec::new(),
        }
    }

    /// The same with what [`input_gradient`](super::input_gradient) needs.
    pub(crate) fn with_input_gradient(conv: &Conv2d, input: &Shape) -> Self {
        let window = conv.window(input).expect("checked with the graph");
        let (_, _, channels) = input.as_image().expect("checked with the graph");
        let layout = Layout::new(&window, channels, conv);
        Self { input_gradient: input_gradient(&window, &layout), ..Self::new(conv, input) }
    }

    /// One whose result is pooled by windows of 2 × 2 cells, two apart, which do not reach past
    /// it; the convolution has one group.
    pub(crate) fn pooled(conv: &Conv2d, input: &Shape) -> Self {
        let window = conv.window(input).expect("checked with the graph");
        let (_, _, channels) = input.as_image().expect("checked with the graph");
        let layout = Layout::new(&window, channels, conv);
        let [height, width] = window.output.map(|cells| cells / 2);
        Self {
            y_length: height * width * conv.filters,
            pooled: Some(Pooling {
                gather: Gather::new(layout.pooled_cells(), layout.runs()),
                stretches: layout.stretches(),
                passes: layout.passes(),
            }),
            ..Self::new(conv, input)
        }
    }

    /// Whether each channel has a filter of its own.
    pub(crate) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.group_channels == 1 && self.group_filters == 1
    }

    /// # Panics
    /// If its result is not pooled.
    pub(super) fn pooling(&self) -> &Pooling {
        self.pooled.as_ref().expect("a convolution with a pooling")
    }

    /// Whether its result is pooled.
    pub(crate) fn is_pooled(&self) -> bool {
        self.pooled.is_some()
    }

    /// Cells of the result per sample, pooled where it is.
    pub(crate) fn cells(&self) -> usize {
        self.y_length / self.filters
    }

    /// Cells of the input per sample.
    pub(crate) fn input_cells(&self) -> usize {
        self.x_length / self.channels
    }

    /// Words that tell the winners of a sample, where the result is pooled.
    pub(crate) fn winners(&self) -> usize {
        let windows = self.pooled.as_ref().map_or(0, |pooled| pooled.gather.cells().len() / WINDOW);
        windows * WINDOW * self.filters.div_ceil(LANES)
    }

    /// Values of the kernel as the input gradients read it, and room for a vector behind them.
    pub(crate) fn arranged_length(&self) -> usize {
        let vectors = |pooling: &Pooling| pooling.passes.iter().map(Vec::len).sum::<usize>();
        match &self.pooled {
            _ if self.is_depthwise() => 0,
            Some(pooling) => vectors(pooling) * self.filters * LANES,
            None => self.taps * self.group_channels * self.filters + LANES,
        }
    }

    /// Values of a pooled convolution's kernel gradient while it lies filter by filter, in vectors; 0
    /// where no row of the kernel fills one, and the gradient lies along the filters throughout.
    pub(super) fn transposed_length(&self) -> usize {
        let long = self.forward.runs().iter().any(|run| run.length as usize >= LANES);
        let stretches = self.pooled.as_ref().map_or(0, |pooling| pooling.stretches.len());
        if long { self.filters * stretches * LANES } else { 0 }
    }

    /// Values per sample as the kernels read it: in its padding.
    pub(super) fn read_length(&self) -> usize {
        self.padding.map_or(self.x_length, |padding| padding.length())
    }

    /// What the kernels read of `samples` images, given as [`each_block`](Self::each_block) gives them,
    /// at the cells of `gather`.
    pub(super) fn source<'a>(
        &self,
        values: &'a [f32],
        samples: usize,
        gather: &'a Gather,
    ) -> Source<'a> {
        Source { values, samples, length: self.read_length(), offset: 0, gather }
    }

    /// Samples in a block.
    fn block(&self) -> usize {
        (BLOCK / self.read_length()).clamp(1, BLOCK_SAMPLES)
    }

    /// How many values the kernels need to put images into their padding.
    fn padded_length(&self) -> usize {
        self.padding.map_or(0, |padding| self.block() * padding.length() + LANES)
    }

    /// Visits `x` block by block: which samples, and their values as the kernels read them, with
    /// those behind them in memory.
    pub(super) fn each_block(
        &self,
        x: &[f32],
        samples: usize,
        padded: &mut [f32],
        mut visit: impl FnMut(Range<usize>, &[f32]),
    ) {
        let block = self.block();
        for first in (0..samples).step_by(block) {
            let range = first..samples.min(first + block);
            match self.padding {
                None => visit(range, &x[first * self.x_length..]),
                Some(padding) => {
                    let images = x[first * self.x_length..].chunks_exact(self.x_length);
                    let places = padded.chunks_exact_mut(padding.length());
                    for (place, image) in places.zip(images).take(range.len()) {
                        padding.pad(place, image);
                    }
                    visit(range, padded);
                }
            }
        }
    }
}

impl Padding {
    /// Values of the image in its padding.
    pub(super) fn length(&self) -> usize {
        self.rows.iter().sum::<usize>() * self.row.iter().sum::<usize>()
    }

    /// Per row of the image that is read: where it starts in the image and in its padding.
    fn starts(self) -> impl Iterator<Item = (usize, usize)> {
        let ([above, rows, _], [left, ..]) = (self.rows, self.row);
        let length = self.row.iter().sum::<usize>();
        (0..rows).map(move |row| (row * self.stride, (above + row) * length + left))
    }

    /// Puts the image `x` into its padding of +0.0.
    fn pad(self, padded: &mut [f32], x: &[f32]) {
        let mut done = 0;
        for (from, to) in self.starts() {
            padded[done..to].fill(0.0);
            done = to + self.row[1];
            padded[to..done].copy_from_slice(&x[from..from + self.row[1]]);
        }
        padded[done..].fill(0.0);
    }

    /// Takes the image out of its padding; what is never read there is +0.0.
    pub(super) fn unpad(self, x: &mut [f32], padded: &[f32]) {
        let mut done = 0;
        for (to, from) in self.starts() {
            x[done..to].fill(0.0);
            done = to + self.row[1];
            x[to..done].copy_from_slice(&padded[from..from + self.row[1]]);
        }
        x[done..].fill(0.0);
    }
}

/// The distances between the places of a convolution, all within a sample of padded input.
struct Layout<'a> {
    window: &'a Window2d,
    channels: usize,
    filters: usize,
    groups: usize,
    /// Rows and columns that the windows reach over, padding included.
    extent: [usize; 2],
}

fn index(value: usize) -> u32 {
    u32::try_from(value).expect("a sample has fewer than 2³² values")
}

impl<'a> Layout<'a> {
    fn new(window: &'a Window2d, channels: usize, conv: &Conv2d) -> Self {
        Self {
            window,
            channels,
            filters: conv.filters,
            groups: conv.groups,
            extent: window.extent(),
        }
    }

    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.channels == self.groups && self.filters == self.groups
    }

    fn padding(&self) -> Option<Padding> {
        let Window2d { input, before, .. } = *self.window;
        let side = |axis: usize| {
            let inside = self.extent[axis].saturating_sub(before[axis]).min(input[axis]);
            let above = before[axis].min(self.extent[axis]);
            [above, inside, self.extent[axis] - above - inside]
        };
        let (rows, columns) = (side(0), side(1));
        let padded = |side: [usize; 3]| side[0] + side[2] > 0;
        (padded(rows) || padded(columns)).then(|| Padding {
            rows,
            row: columns.map(|columns| columns * self.channels),
            stride: input[1] * self.channels,
        })
    }

    /// Values from row to row as the kernels read them.
    fn row(&self) -> usize {
        let width = if self.padding().is_some() { self.extent[1] } else { self.window.input[1] };
        width * self.channels
    }

    fn source(&self, row: usize, column: usize) -> u32 {
        let [down, across] = self.window.strides;
        index(row * down * self.row() + column * across * self.channels)
    }

    fn cells(&self) -> Vec<Cell> {
        let [height, width] = self.window.output;
        let cell = |row, column| Cell {
            source: self.source(row, column),
            target: index((row * width + column) * self.filters),
        };
        (0..height).flat_map(|row| (0..width).map(move |column| cell(row, column))).collect()
    }

    fn pooled_cells(&self) -> Vec<Cell> {
        let [height, width] = self.window.output.map(|cells| cells / 2);
        let cell = |window: usize, pixel: usize| {
            let (row, column) = (window / width, window % width);
            Cell {
                source: self.source(2 * row + pixel / 2, 2 * column + pixel % 2),
                target: index(window * self.filters),
            }
        };
        let windows = 0..height * width;
        windows.flat_map(|window| (0..WINDOW).map(move |pixel| cell(window, pixel))).collect()
    }

    /// The rows of the weights, 16 at a time where they follow each other in the image.
    fn stretches(&self) -> Vec<Stretch> {
        let channels = self.channels / self.groups;
        let cut = |run: Run| {
            (0..run.length).step_by(LANES).map(move |start| Stretch {
                source: run.source + start,
                row: run.tap * index(channels) + start,
                length: (run.length - start).min(index(LANES)),
            })
        };
        self.runs().into_iter().flat_map(cut).collect()
    }

    /// The stretches in passes: by channels where these fill whole vectors, else all in one.
    fn passes(&self) -> Vec<Vec<Stretch>> {
        let all = self.stretches();
        let lanes = index(LANES);
        let channels = index(self.channels / self.groups);
        if !channels.is_multiple_of(lanes) {
            return vec![all];
        }
        let mut passes = vec![Vec::new(); (channels / lanes) as usize];
        for stretch in all {
            passes[(stretch.row % channels / lanes) as usize].push(stretch);
        }
        passes
    }

    /// What each cell reads, in the order of (kh, kw): a whole row of the kernel in one run where its
    /// taps are neighbours in memory.
    fn runs(&self) -> Vec<Run> {
        let Window2d { kernel: [height, width], dilation: [down, across], .. } = *self.window;
        let channels = self.channels / self.groups;
        let merged = across == 1 && self.groups == 1;
        let taps = if merged { width } else { 1 };
        let run = |row: usize, column: usize| Run {
            source: index(row * down * self.row() + column * across * self.channels),
            tap: index(row * width + column),
            length: index(if self.is_depthwise() { self.channels } else { taps * channels }),
        };
        let columns = move || (0..width).step_by(taps);
        (0..height).flat_map(|row| columns().map(move |column| run(row, column))).collect()
    }
}

/// The input cells in classes: along each axis, those which the same taps reach, and from the same
/// output cells relative to their own. Each class reads the output cells in the order of (kh, kw).
fn input_gradient(window: &Window2d, layout: &Layout<'_>) -> Vec<Gather> {
    let [rows, columns] = [0, 1].map(|axis| AxisClass::all(window, axis));
    let across = layout.filters;
    let down = window.output[1] * across;
    let length =
        if layout.is_depthwise() { layout.filters } else { layout.filters / layout.groups };
    let class = |rows: &AxisClass, columns: &AxisClass| {
        // The last tap comes from the first output cell: all others lie behind it.
        let cells = rows.cells.iter().flat_map(|&(row, source_row)| {
            columns.cells.iter().map(move |&(column, source_column)| Cell {
                source: index(source_row * down + source_column * across),
                target: index((row * window.input[1] + column) * layout.channels),
            })
        });
        let runs = rows.taps.iter().flat_map(|&(tap_row, output_row)| {
            columns.taps.iter().map(move |&(tap_column, output_column)| Run {
                source: index(output_row * down + output_column * across),
                tap: index(tap_row * window.kernel[1] + tap_column),
                length: index(length),
            })
        });
        Gather::new(cells.collect(), runs.collect())
    };
    rows.iter().flat_map(|rows| columns.iter().map(move |columns| class(rows, columns))).collect()
}

/// Rows or columns of the input that the same taps reach.
struct AxisClass {
    /// Each tap, ascending, and how far its output lies behind that of the last tap.
    taps: Vec<(usize, usize)>,
    /// Each row or column, and the output that the last tap carried it to.
    cells: Vec<(usize, usize)>,
}

impl AxisClass {
    fn all(window: &Window2d, axis: usize) -> Vec<Self> {
        let mut classes: Vec<Self> = Vec::new();
        // Strides can make as many classes as there are cells: a list would be searched in vain.
        let mut numbers = BTreeMap::new();
        for cell in 0..window.input[axis] {
            let reached: Vec<(usize, usize)> = window.outputs(axis, cell).collect();
            let first = reached.last().map_or(0, |&(_, output)| output);
            let taps: Vec<_> = reached.iter().map(|&(tap, output)| (tap, output - first)).collect();
            let number = *numbers.entry(taps).or_insert_with_key(|taps| {
                classes.push(Self { taps: taps.clone(), cells: Vec::new() });
                classes.len() - 1
            });
            classes[number].cells.push((cell, first));
        }
        classes
    }
}
