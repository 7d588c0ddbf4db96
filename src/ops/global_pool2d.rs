//! Pooling over whole images: one value per channel.

use crate::kernels::Isa;
use crate::kernels::reduce::{Plain, column_sums};

/// The extents of the images of a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    /// Height × width.
    pub(crate) cells: usize,
    pub(crate) channels: usize,
}

/// `y` (n, c) of `x` (n, cells, c): the sum in the fixed lanes, divided by the number of cells.
pub(crate) fn average(isa: Isa, y: &mut [f32], x: &[f32], g: Geometry) {
    let count = g.cells as f32;
    for (y, x) in y.chunks_exact_mut(g.channels).zip(x.chunks_exact(g.cells * g.channels)) {
        column_sums(isa, y, 1, g.cells, Plain(x));
        y.iter_mut().for_each(|sum| *sum /= count);
    }
}

/// `dx` (n, cells, c) of `dy` (n, c).
pub(crate) fn average_gradient(dx: &mut [f32], dy: &[f32], g: Geometry) {
    let count = g.cells as f32;
    for (dx, dy) in dx.chunks_exact_mut(g.cells * g.channels).zip(dy.chunks_exact(g.channels)) {
        for dx in dx.chunks_exact_mut(g.channels) {
            for (dx, &dy) in dx.iter_mut().zip(dy) {
                *dx = dy / count;
            }
        }
    }
}

/// `y` (n, c) of `x` (n, cells, c): the first of the largest values, a NaN if there is one; `argmax`
/// (of `y`'s length) gets its place within the sample.
pub(crate) fn max(y: &mut [f32], argmax: &mut [u32], x: &[f32], g: Geometry) {
    let outputs = y.chunks_exact_mut(g.channels).zip(argmax.chunks_exact_mut(g.channels));
    for ((y, argmax), x) in outputs.zip(x.chunks_exact(g.cells * g.channels)) {
        y.copy_from_slice(&x[..g.channels]);
        for (channel, at) in argmax.iter_mut().enumerate() {
            *at = channel as u32;
        }
        for (index, &x) in x.iter().enumerate().skip(g.channels) {
            let (best, at) = (&mut y[index % g.channels], &mut argmax[index % g.channels]);
            if !best.is_nan() && (x > *best || x.is_nan()) {
                (*best, *at) = (x, index as u32);
            }
        }
    }
}

/// `dx` (n, cells, c) of `dy` (n, c): each gradient at the place of its maximum.
pub(crate) fn max_gradient(dx: &mut [f32], argmax: &[u32], dy: &[f32], g: Geometry) {
    dx.fill(0.0);
    let gradients = argmax.chunks_exact(g.channels).zip(dy.chunks_exact(g.channels));
    for (dx, (argmax, dy)) in dx.chunks_exact_mut(g.cells * g.channels).zip(gradients) {
        for (&at, &dy) in argmax.iter().zip(dy) {
            dx[at as usize] = dy;
        }
    }
}
