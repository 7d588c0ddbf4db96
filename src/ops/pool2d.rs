//! Max and average pooling over windows of NHWC images, at any size, stride and padding.
//!
//! Kernels load and store whole vectors. Where the channels are no multiple of 16, the last vector
//! of a cell reaches into the cells behind it, which are written later: cells ascend.

mod gradient;

pub(crate) use gradient::{average_gradient, max_gradient};

use crate::kernels::{Isa, Kernel, LANES, Simd};
use crate::model::{Pool2d, PoolKind, Window2d};
use crate::tensor::Shape;

/// What a pooling layer needs to know, worked out once.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) kind: PoolKind,
    channels: usize,
    x_length: usize,
    y_length: usize,
    /// Where the input cells under the windows start, window by window; padding left out.
    cells: Vec<u32>,
    /// Where each window's cells end in `cells`.
    ends: Vec<u32>,
    /// The other way round: the windows over each input cell, in their order, cell by cell.
    covers: Vec<Cover>,
    /// Where each input cell's windows end in `covers`.
    cover_ends: Vec<u32>,
    /// Whether no two windows share a cell.
    apart: bool,
}

/// A window over an input cell.
#[derive(Clone, Copy, Debug, Default)]
struct Cover {
    /// Where the window's output cell starts.
    output: u32,
    /// Which of [`Geometry::cells`] this is.
    place: u32,
}

impl Geometry {
    /// # Panics
    /// If `input` is not an image that `pool` can take; a checked graph holds no such layer.
    pub(crate) fn new(pool: &Pool2d, input: &Shape) -> Self {
        let (height, width, channels) = input.as_image().expect("checked with the graph");
        let window = pool.window(input).expect("checked with the graph");
        let [out_height, out_width] = window.output;
        let start = |cell: usize| u32::try_from(cell * channels).expect("below 2³²");
        let (mut cells, mut ends) = (Vec::new(), Vec::with_capacity(out_height * out_width));
        for row in 0..out_height {
            for column in 0..out_width {
                for y in window.sources(0, row) {
                    cells.extend(window.sources(1, column).map(|x| start(y * width + x)));
                }
                ends.push(u32::try_from(cells.len()).expect("below 2³²"));
            }
        }
        let (covers, cover_ends) = covers(&cells, &ends, channels, height * width);
        let apart = parts(&covers, &cover_ends).all(|covers| covers.len() < 2);
        Self {
            kind: pool.kind,
            channels,
            x_length: input.elements(),
            y_length: out_height * out_width * channels,
            cells,
            ends,
            covers,
            cover_ends,
            apart,
        }
    }

    /// Masks per sample that max pooling remembers its winners by.
    pub(crate) fn winners(&self) -> usize {
        self.cells.len() * self.vectors()
    }

    /// Vectors that the channels of a cell fill.
    fn vectors(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// The input cells of each window.
    fn windows(&self) -> impl Iterator<Item = &[u32]> {
        parts(&self.cells, &self.ends)
    }
}

/// The windows over each of `count` input cells: those of a cell stand together and ascend.
fn covers(cells: &[u32], ends: &[u32], channels: usize, count: usize) -> (Vec<Cover>, Vec<u32>) {
    let mut next = vec![0; count];
    for &cell in cells {
        next[cell as usize / channels] += 1;
    }
    let mut sum = 0;
    for next in &mut next {
        sum += std::mem::replace(next, sum);
    }
    let mut covers = vec![Cover::default(); cells.len()];
    let (mut place, mut output) = (0, 0);
    for window in parts(cells, ends) {
        for &cell in window {
            let next = &mut next[cell as usize / channels];
            covers[*next as usize] = Cover { output, place };
            *next += 1;
            place += 1;
        }
        output += channels as u32;
    }
    // Where a cell's next window would stand, its windows end.
    (covers, next)
}

/// Consecutive parts of `values`, given where each ends.
fn parts<'a, T>(values: &'a [T], ends: &'a [u32]) -> impl Iterator<Item = &'a [T]> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, &end)| &values[start as usize..end as usize])
}

/// Whether no window reaches past the image, so that each has all of its cells.
pub(crate) fn stays_inside(pool: &Pool2d, input: &Shape) -> bool {
    let (height, width, _) = input.as_image().expect("checked with the graph");
    let size = [height, width];
    let window = Window2d::new(size, pool.pool, pool.strides, pool.padding, [1; 2])
        .expect("checked with the graph");
    let extent = window.extent();
    (0..2).all(|axis| window.before[axis] == 0 && extent[axis] <= size[axis])
}

struct Forward<'a> {
    y: &'a mut [f32],
    /// Empty where nothing is to be remembered.
    winners: &'a mut [u16],
    x: &'a [f32],
    samples: usize,
    geometry: &'a Geometry,
}

/// `y` (n, oh, ow, c) of `x` (n, ih, iw, c). Max: the first of the largest, the first NaN if there is
/// one; `winners` (n, [`Geometry::winners`]; or empty) gets for each cell of a window and each of its
/// vectors the lanes that it won. Average: the sum over the real cells in the order of (kh, kw),
/// divided by their number.
pub(crate) fn forward(
    isa: Isa,
    y: &mut [f32],
    winners: &mut [u16],
    x: &[f32],
    samples: usize,
    geometry: &Geometry,
) {
    isa.run(Forward { y, winners, x, samples, geometry });
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { y, winners, x, samples, geometry } = self;
        let Geometry { kind, channels, x_length, .. } = *geometry;
        let vectors = geometry.vectors();
        let (mut output, mut first_winner) = (0, 0);
        for sample in 0..samples {
            let x = &x[sample * x_length..];
            for cells in geometry.windows() {
                let y = &mut y[output..];
                output += channels;
                let won = match winners.is_empty() {
                    true => &mut [][..],
                    false => &mut winners[first_winner..][..cells.len() * vectors],
                };
                first_winner += won.len();
                let done = match (cells.len(), kind) {
                    (4, PoolKind::Average) => whole_mean::<S, 4>(simd, y, x, cells, vectors),
                    (9, PoolKind::Average) => whole_mean::<S, 9>(simd, y, x, cells, vectors),
                    (4, PoolKind::Max) => whole_largest::<S, 4>(simd, y, won, x, cells, vectors),
                    (9, PoolKind::Max) => whole_largest::<S, 9>(simd, y, won, x, cells, vectors),
                    _ => None,
                };
                if done.is_some() {
                    continue;
                }
                let x = |cell: u32, channel| simd.load_partial(&x[cell as usize + channel..]);
                for (vector, channel) in (0..channels).step_by(LANES).enumerate() {
                    let x = cells.iter().map(|&cell| x(cell, channel));
                    let result = match kind {
                        PoolKind::Average => {
                            let sum = x.fold(simd.splat(0.0), |sum, x| simd.add(sum, x));
                            Share::of(simd, cells.len()).apply(simd, sum)
                        }
                        PoolKind::Max => largest(simd, x, |tap, lanes| {
                            if let Some(won) = won.get_mut(tap * vectors + vector) {
                                *won = lanes;
                            }
                        }),
                    };
                    simd.store_partial(result, &mut y[channel..]);
                    last_taken(won.iter_mut().skip(vector).step_by(vectors));
                }
            }
        }
    }
}

/// Rows of `vectors` whole vectors from each of `starts` on, if `values` are long enough.
#[inline(always)]
fn rows<const N: usize>(
    values: &[f32],
    starts: [u32; N],
    vectors: usize,
) -> Option<[&[[f32; LANES]]; N]> {
    let mut rows = [&[][..]; N];
    for (row, start) in rows.iter_mut().zip(starts) {
        *row = values.get(start as usize..)?.as_chunks().0.get(..vectors)?;
    }
    Some(rows)
}

/// The start of `values` as `vectors` whole vectors, if they are long enough.
#[inline(always)]
fn row_mut(values: &mut [f32], vectors: usize) -> Option<&mut [[f32; LANES]]> {
    values.as_chunks_mut().0.get_mut(..vectors)
}

/// One output cell, unless the last vectors would reach beyond the end of `x` or `y`.
#[inline(always)]
fn whole_mean<S: Simd, const N: usize>(
    simd: S,
    y: &mut [f32],
    x: &[f32],
    cells: &[u32],
    vectors: usize,
) -> Option<()> {
    let rows = rows::<N>(x, cells.try_into().ok()?, vectors)?;
    let share = Share::of(simd, N);
    for (vector, y) in row_mut(y, vectors)?.iter_mut().enumerate() {
        let mut sum = simd.splat(0.0);
        for row in &rows {
            sum = simd.add(sum, simd.vector(row[vector]));
        }
        *y = simd.to_array(share.apply(simd, sum));
    }
    Some(())
}

/// Division by a number of cells.
#[derive(Clone, Copy)]
enum Share<S: Simd> {
    Quotient(S::F),
    /// By a power of two: its inverse is exact, so the product is the quotient.
    Product(S::F),
}

impl<S: Simd> Share<S> {
    #[inline(always)]
    fn of(simd: S, count: usize) -> Self {
        match count.is_power_of_two() {
            true => Self::Product(simd.splat(1.0 / count as f32)),
            false => Self::Quotient(simd.splat(count as f32)),
        }
    }

    #[inline(always)]
    fn apply(self, simd: S, sum: S::F) -> S::F {
        match self {
            Self::Quotient(count) => simd.div(sum, count),
            Self::Product(inverse) => simd.mul(sum, inverse),
        }
    }
}

/// One output cell, and who won it unless `won` is empty. Gives up where the last vectors would reach
/// beyond the end of `x` or `y`, and where a value is NaN.
#[inline(always)]
fn whole_largest<S: Simd, const N: usize>(
    simd: S,
    y: &mut [f32],
    won: &mut [u16],
    x: &[f32],
    cells: &[u32],
    vectors: usize,
) -> Option<()> {
    let rows = rows::<N>(x, cells.try_into().ok()?, vectors)?;
    let y = row_mut(y, vectors)?;
    for (vector, y) in y.iter_mut().enumerate() {
        let x = |tap: usize| simd.vector(rows[tap][vector]);
        let (mut best, mut sum) = (x(0), x(0));
        for tap in 1..N {
            best = simd.max(x(tap), best);
            sum = simd.add(sum, x(tap));
        }
        // The sum is no number if one of them is not; nor of infinities of both signs, which does
        // no harm.
        if simd.mask_bits(simd.eq(sum, sum)) != u16::MAX {
            return None;
        }
        *y = simd.to_array(best);
        if !won.is_empty() {
            // The first that is as large as the largest.
            let mut open = u16::MAX;
            for tap in 0..N {
                let equal = simd.mask_bits(simd.eq(x(tap), best));
                won[tap * vectors + vector] = equal & open;
                open &= !equal;
            }
        }
    }
    Some(())
}

/// The first of the largest of the values `x`, or the first NaN. Tells `taken` which lanes each of
/// them took from those before.
#[inline(always)]
fn largest<S: Simd>(
    simd: S,
    x: impl Iterator<Item = S::F>,
    mut taken: impl FnMut(usize, u16),
) -> S::F {
    let mut best = simd.splat(0.0);
    for (tap, x) in x.enumerate() {
        let (kept, number) = match tap {
            0 => (0, u16::MAX),
            _ => (simd.mask_bits(simd.ge(best, x)), simd.mask_bits(simd.eq(best, best))),
        };
        let lanes = number & !kept;
        best = simd.select(simd.mask(lanes), x, best);
        taken(tap, lanes);
    }
    best
}

/// Leaves each lane to the last that has taken it.
#[inline(always)]
fn last_taken<'a>(taken: impl DoubleEndedIterator<Item = &'a mut u16>) {
    let mut open = u16::MAX;
    for lanes in taken.rev() {
        (*lanes, open) = (*lanes & open, open & !*lanes);
    }
}

#[cfg(test)]
mod tests;
