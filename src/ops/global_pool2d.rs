//! Pooling over whole images: one value per channel.

use crate::kernels::reduce::{Plain, column_sums};
use crate::kernels::{Isa, Kernel, LANES, Simd};

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
        let (share, rest) = dx.split_at_mut(g.channels);
        for (share, &dy) in share.iter_mut().zip(dy) {
            *share = dy / count;
        }
        rest.chunks_exact_mut(g.channels).for_each(|dx| dx.copy_from_slice(share));
    }
}

/// `y` (n, c) of `x` (n, cells, c): the first of the largest values, a NaN if there is one; `argmax`
/// (of `y`'s length) gets its place within the sample.
pub(crate) fn max(isa: Isa, y: &mut [f32], argmax: &mut [u32], x: &[f32], g: Geometry) {
    let outputs = y.chunks_exact_mut(g.channels).zip(argmax.chunks_exact_mut(g.channels));
    for ((y, argmax), x) in outputs.zip(x.chunks_exact(g.cells * g.channels)) {
        isa.run(Max { y, argmax, x });
    }
}

/// Of one sample.
struct Max<'a> {
    y: &'a mut [f32],
    argmax: &'a mut [u32],
    x: &'a [f32],
}

impl Kernel for Max<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { y, argmax, x } = self;
        let channels = y.len();
        let parts = y.chunks_mut(LANES).zip(argmax.chunks_mut(LANES));
        for (channel, (y, argmax)) in (0..).step_by(LANES).zip(parts) {
            let mut best = simd.load_partial(&x[channel..]);
            let mut at = simd.splat_bits(0);
            for start in (channels..x.len()).step_by(channels) {
                let x = simd.load_partial(&x[start + channel..]);
                // Taken unless x ≤ best or best is already NaN: so a first NaN is taken, and kept.
                let (kept, number) = (simd.ge(best, x), simd.eq(best, best));
                let here = simd.float(simd.splat_bits(start as u32));
                let taken_at = simd.select(kept, simd.float(at), here);
                at = simd.bits(simd.select(number, taken_at, simd.float(at)));
                best = simd.select(number, simd.select(kept, best, x), best);
            }
            simd.store_partial(best, y);
            let at = simd.to_array(simd.float(at));
            for (lane, argmax) in argmax.iter_mut().enumerate() {
                *argmax = at[lane].to_bits() + (channel + lane) as u32;
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
