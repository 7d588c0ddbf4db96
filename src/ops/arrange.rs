//! What only moves values: zero padding, joining along an axis, and transposing.

use rayon::prelude::*;

/// An image and the zeros around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PaddingGeometry {
    /// Height, width, channels of the image.
    pub(crate) input: [usize; 3],
    /// Top, bottom, left, right.
    pub(crate) sides: [usize; 4],
}

impl PaddingGeometry {
    /// Per row of the image: where it starts in the image and in the padded one; and its length.
    fn rows(&self) -> (impl Iterator<Item = (usize, usize)> + use<>, usize) {
        let [height, width, channels] = self.input;
        let [top, _, left, right] = self.sides;
        let row = width * channels;
        let padded_row = (left + width + right) * channels;
        let starts = move |y: usize| (y * row, (top + y) * padded_row + left * channels);
        ((0..height).map(starts), row)
    }
}

/// `y`: the image `x` with zeros around it. Both of one sample.
pub(crate) fn pad(y: &mut [f32], x: &[f32], geometry: PaddingGeometry) {
    y.fill(0.0);
    let (rows, length) = geometry.rows();
    for (from, to) in rows {
        y[to..to + length].copy_from_slice(&x[from..from + length]);
    }
}

/// `dx`: `dy` without its border. Both of one sample.
pub(crate) fn unpad(dx: &mut [f32], dy: &[f32], geometry: PaddingGeometry) {
    let (rows, length) = geometry.rows();
    for (to, from) in rows {
        dx[to..to + length].copy_from_slice(&dy[from..from + length]);
    }
}

/// `out` (columns, rows) of `values` (rows, columns).
pub(crate) fn transpose(out: &mut [f32], values: &[f32], [rows, columns]: [usize; 2]) {
    const TILE: usize = 16; // both sides of a tile stay in the first-level cache
    const TASK: usize = 16 * 1024; // values: enough work to be worth a task
    let band = (TASK / rows.max(1)).next_multiple_of(TILE).max(TILE);
    let bands = out[..rows * columns].par_chunks_mut(band * rows.max(1)).enumerate();
    bands.for_each(|(number, out)| {
        let first = number * band;
        for first_row in (0..rows).step_by(TILE) {
            for (column, out) in out.chunks_exact_mut(rows).enumerate() {
                let column = first + column;
                for (row, out) in (first_row..).zip(out[first_row..].iter_mut().take(TILE)) {
                    *out = values[row * columns + column];
                }
            }
        }
    });
}

/// Where an input of a concatenation lies in its output: blocks of `length` values, `stride` apart
/// in the output, the first at `offset`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) length: usize,
    pub(crate) stride: usize,
    pub(crate) offset: usize,
}

/// Copies the input `x` into its place in `y`.
pub(crate) fn join(y: &mut [f32], x: &[f32], slot: Slot) {
    for (y, x) in y.chunks_exact_mut(slot.stride).zip(x.chunks_exact(slot.length)) {
        y[slot.offset..slot.offset + slot.length].copy_from_slice(x);
    }
}

/// Copies the input's part of `dy` into `dx`.
pub(crate) fn part(dx: &mut [f32], dy: &[f32], slot: Slot) {
    for (dx, dy) in dx.chunks_exact_mut(slot.length).zip(dy.chunks_exact(slot.stride)) {
        dx.copy_from_slice(&dy[slot.offset..slot.offset + slot.length]);
    }
}
