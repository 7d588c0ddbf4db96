//! Softmax and its logarithm over the rows of values, and softmax down their columns, with gradients.

use crate::kernels::reduce::{column_sum, sum_in};
use crate::kernels::{Isa, Kernel, LANES, Simd, math, scalar};

/// Softmax of rows of `width` values, in place.
pub(crate) fn rows(isa: Isa, y: &mut [f32], width: usize) {
    isa.run(Rows { y, width });
}

/// Turns `dy` into dx, in place.
pub(crate) fn rows_gradient(isa: Isa, dy: &mut [f32], y: &[f32], width: usize) {
    isa.run(RowsGradient { dy, y, width });
}

/// The logarithm of softmax of rows of `width` values, in place.
pub(crate) fn log_rows(isa: Isa, y: &mut [f32], width: usize) {
    isa.run(LogRows { y, width });
}

/// Turns `dy` into dx, in place.
pub(crate) fn log_rows_gradient(isa: Isa, dy: &mut [f32], y: &[f32], width: usize) {
    isa.run(LogRowsGradient { dy, y, width });
}

/// Blocks of `count` rows of `columns` values: softmax goes over the rows, for each column alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) count: usize,
    pub(crate) columns: usize,
}

/// `y` of `x`, down the columns of each block.
pub(crate) fn columns(isa: Isa, y: &mut [f32], x: &[f32], g: Geometry) {
    let block = g.count * g.columns;
    for (y, x) in y.chunks_exact_mut(block).zip(x.chunks_exact(block)) {
        isa.run(Columns { y, x, g });
    }
}

/// `dx` of `dy` and the result `y`, down the columns of each block.
pub(crate) fn columns_gradient(isa: Isa, dx: &mut [f32], dy: &[f32], y: &[f32], g: Geometry) {
    let block = g.count * g.columns;
    let blocks = dx.chunks_exact_mut(block).zip(dy.chunks_exact(block).zip(y.chunks_exact(block)));
    for (dx, (dy, y)) in blocks {
        isa.run(ColumnsGradient { dx, dy, y, g });
    }
}

/// Softmax of rows of `width` values, in place: eˣ⁻ᵐ over its sum in the fixed lanes, m the largest.
struct Rows<'a> {
    y: &'a mut [f32],
    width: usize,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for row in self.y.chunks_exact_mut(self.width) {
            let (_, sum) = exponentials(s, row);
            let sum = s.splat(sum);
            for part in row.chunks_mut(LANES) {
                s.store_partial(s.div(s.load_partial(part), sum), part);
            }
        }
    }
}

/// Turns a row into eˣ⁻ᵐ, m its largest value; gives m and the sum in the fixed lanes.
#[inline(always)]
pub(super) fn exponentials<S: Simd>(s: S, row: &mut [f32]) -> (f32, f32) {
    let largest = largest(row);
    let m = s.splat(largest);
    for part in row.chunks_mut(LANES) {
        s.store_partial(math::exp(s, s.sub(s.load_partial(part), m)), part);
    }
    (largest, sum_in(s, row))
}

/// The largest value that is no NaN, −∞ for none.
#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    row.iter().fold(f32::NEG_INFINITY, |largest, &x| if x > largest { x } else { largest })
}

/// dx = y·(dy − Σ dy·y) per row, in place.
struct RowsGradient<'a> {
    dy: &'a mut [f32],
    y: &'a [f32],
    width: usize,
}

impl Kernel for RowsGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rows = self.dy.chunks_exact_mut(self.width).zip(self.y.chunks_exact(self.width));
        for (dy, y) in rows {
            let mut lanes = s.splat(0.0);
            for (dy, y) in dy.chunks(LANES).zip(y.chunks(LANES)) {
                lanes = s.mul_add(s.load_partial(dy), s.load_partial(y), lanes);
            }
            let sum = s.splat(s.sum_lanes(lanes));
            for (dy, y) in dy.chunks_mut(LANES).zip(y.chunks(LANES)) {
                let difference = s.sub(s.load_partial(dy), sum);
                s.store_partial(s.mul(s.load_partial(y), difference), dy);
            }
        }
    }
}

/// x − m − ln Σ eˣ⁻ᵐ per row, in place: m the largest, the sum in the fixed lanes, its logarithm taken in
/// f64.
struct LogRows<'a> {
    y: &'a mut [f32],
    width: usize,
}

impl Kernel for LogRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for row in self.y.chunks_exact_mut(self.width) {
            let largest = largest(row);
            let m = s.splat(largest);
            let mut lanes = s.splat(0.0);
            for part in row.chunks(LANES) {
                let mut powers = [0.0; LANES];
                let powers = &mut powers[..part.len()];
                s.store_partial(math::exp(s, s.sub(s.load_partial(part), m)), powers);
                lanes = s.add(lanes, s.load_partial(powers));
            }
            let logarithm = s.splat(scalar::ln(f64::from(s.sum_lanes(lanes))) as f32);
            for part in row.chunks_mut(LANES) {
                let distance = s.sub(s.load_partial(part), m);
                s.store_partial(s.sub(distance, logarithm), part);
            }
        }
    }
}

/// dx = dy − eʸ·Σ dy per row, in place.
struct LogRowsGradient<'a> {
    dy: &'a mut [f32],
    y: &'a [f32],
    width: usize,
}

impl Kernel for LogRowsGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rows = self.dy.chunks_exact_mut(self.width).zip(self.y.chunks_exact(self.width));
        for (dy, y) in rows {
            let sum = s.splat(sum_in(s, dy));
            for (dy, y) in dy.chunks_mut(LANES).zip(y.chunks(LANES)) {
                let power = math::exp(s, s.load_partial(y));
                s.store_partial(s.mul_add(s.neg(power), sum, s.load_partial(dy)), dy);
            }
        }
    }
}

/// Of one block: eˣ⁻ᵐ over its column's sum, m the column's largest.
struct Columns<'a> {
    y: &'a mut [f32],
    x: &'a [f32],
    g: Geometry,
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { y, x, g: Geometry { count, columns } } = self;
        for first in (0..columns).step_by(LANES) {
            let end = columns.min(first + LANES);
            let place = |row: usize| row * columns + first..row * columns + end;
            let mut m = s.splat(f32::NEG_INFINITY);
            for row in 0..count {
                m = s.max(s.load_partial(&x[place(row)]), m);
            }
            for row in 0..count {
                let power = math::exp(s, s.sub(s.load_partial(&x[place(row)]), m));
                s.store_partial(power, &mut y[place(row)]);
            }
            let sum = column_sum(s, count, |row| s.load_partial(&y[place(row)]));
            for row in 0..count {
                let share = s.div(s.load_partial(&y[place(row)]), sum);
                s.store_partial(share, &mut y[place(row)]);
            }
        }
    }
}

/// Of one block: dx = y·(dy − Σ dy·y) per column.
struct ColumnsGradient<'a> {
    dx: &'a mut [f32],
    dy: &'a [f32],
    y: &'a [f32],
    g: Geometry,
}

impl Kernel for ColumnsGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { dx, dy, y, g: Geometry { count, columns } } = self;
        for first in (0..columns).step_by(LANES) {
            let end = columns.min(first + LANES);
            let place = |row: usize| row * columns + first..row * columns + end;
            let load = |values: &[f32], row| s.load_partial(&values[place(row)]);
            let sum = column_sum(s, count, |row| s.mul(load(dy, row), load(y, row)));
            for row in 0..count {
                let gradient = s.mul(load(y, row), s.sub(load(dy, row), sum));
                s.store_partial(gradient, &mut dx[place(row)]);
            }
        }
    }
}
