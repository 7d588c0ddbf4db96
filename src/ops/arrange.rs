//! Layers that only move values: zero padding and joining along an axis.

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
