//! A convolution fused with the relu and the max pooling behind it.
//!
//! Of each window of the pooling at most one pixel has a gradient, so the way back walks the windows
//! and skips all other products: each would be one with zero.

use super::geometry::{Geometry, Pooling, Scratch};
use super::{Parameters, Pass};
use crate::kernels::{
    Finish, GatherMatmul, LANES, Pooled, Stretch, Weights, WinnersMatmul, WinnersOuter,
    WinnersOuterTransposed,
};

/// `y` (n, oh / 2, ow / 2, co): of each window of the convolution's result, the first of the largest,
/// a NaN if there is one; then relu, if it is asked for. `winners` gets, per window and pixel, one bit
/// for each filter: where that pixel is the one that passes a gradient on. It is as long as the
/// geometry says, or empty.
pub(crate) fn forward(
    pass: Pass<'_>,
    y: &mut [f32],
    winners: &mut [u16],
    x: &[f32],
    parameters: Parameters<'_>,
    relu: bool,
) {
    let Pass { isa, geometry: g, samples, scratch } = pass;
    let Pooling { gather, .. } = g.pooling();
    let words = if winners.is_empty() { 0 } else { g.winners() };
    g.each_block(x, samples, &mut scratch.padded, |block, x| {
        GatherMatmul {
            y: &mut y[block.start * g.y_length..block.end * g.y_length],
            y_length: g.y_length,
            y_offset: 0,
            x: g.source(x, block.len(), gather),
            w: Weights {
                values: parameters.kernel,
                start: 0,
                tap_stride: g.group_channels * g.filters,
                stride: g.filters,
            },
            init: parameters.bias,
            columns: g.filters,
            finish: Finish::MaxPool {
                relu,
                winners: &mut winners[block.start * words..block.end * words],
            },
        }
        .run(isa);
    });
}

/// The gradient of a pooled result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gradient<'a> {
    /// (n, oh / 2, ow / 2, co), with [`LANES`] values behind the last.
    pub(crate) dy: &'a [f32],
    /// As [`forward`] left them.
    pub(crate) winners: &'a [u16],
}

/// The kernel as [`input_gradient`] reads it: pass by pass, filter by filter, in whole vectors, so that
/// what a pass needs is contiguous and spreads over all sets of the cache.
pub(super) fn pack(packed: &mut [f32], kernel: &[f32], geometry: &Geometry) {
    let filters = geometry.filters;
    let mut vectors = packed.as_chunks_mut::<LANES>().0.iter_mut();
    for pass in &geometry.pooling().passes {
        for filter in 0..filters {
            for (stretch, vector) in pass.iter().zip(&mut vectors) {
                let first = stretch.row as usize;
                for (row, lane) in (first..first + stretch.length as usize).zip(vector) {
                    *lane = kernel[row * filters + filter];
                }
            }
        }
    }
}

/// `dx` (n, ih, iw, ci): from +0.0 on, over blocks of 64 filters, windows, and the filters of the
/// block: those whose winner reads this cell.
///
/// `packed` is what [`arrange_kernel`](super::arrange_kernel) makes of the kernel.
pub(crate) fn input_gradient(
    pass: Pass<'_>,
    dx: &mut [f32],
    Gradient { dy, winners }: Gradient<'_>,
    packed: &[f32],
) {
    let Pass { isa, geometry: g, samples, scratch } = pass;
    let Pooling { gather, passes, .. } = g.pooling();
    let pooled = Pooled { dy, winners, filters: g.filters, gather };
    for (sample, dx) in dx.chunks_exact_mut(g.x_length).enumerate().take(samples) {
        let matmul = |dx| WinnersMatmul { dx, sample, pooled, w: packed, passes };
        match g.padding {
            None => matmul(dx).run(isa),
            Some(padding) => {
                let padded = &mut scratch.padded[..padding.length()];
                matmul(&mut *padded).run(isa);
                padding.unpad(dx, padded);
            }
        }
    }
}

/// `dkernel` (kh, kw, ci, co) of the samples given: from +0.0 on, over (n, oh / 2, ow / 2), leaving
/// out windows where no pixel has a gradient.
///
/// There are [`LANES`] readable values behind the last of `x`.
pub(crate) fn kernel_gradient(
    pass: Pass<'_>,
    dkernel: &mut [f32],
    x: &[f32],
    Gradient { dy, winners }: Gradient<'_>,
) {
    let Pass { isa, geometry: g, samples, scratch } = pass;
    let Pooling { gather, stretches, .. } = g.pooling();
    let Scratch { padded, transposed } = scratch;
    let transposed = &mut transposed[..g.transposed_length()];
    transposed.fill(0.0);
    let along_rows = !transposed.is_empty();
    let words = g.winners();
    g.each_block(x, samples, padded, |block, values| {
        let x = g.source(values, block.len(), gather);
        let pooled = Pooled {
            dy: &dy[block.start * g.y_length..],
            winners: &winners[block.start * words..],
            filters: g.filters,
            gather,
        };
        if along_rows {
            let dw = &mut *transposed;
            WinnersOuterTransposed { dw, x, pooled, stretches }.run(isa);
        } else {
            let resume = block.start > 0;
            WinnersOuter { dw: &mut *dkernel, resume, x, pooled }.run(isa);
        }
    });
    if along_rows {
        turn_round(dkernel, transposed, stretches, g.filters);
    }
}

/// `dkernel` (rows, filters) of `transposed` (filters, stretches, lanes): 16 filters at a time, so that
/// what is written is contiguous.
fn turn_round(dkernel: &mut [f32], transposed: &[f32], stretches: &[Stretch], filters: usize) {
    let (vectors, _) = transposed.as_chunks::<LANES>();
    for first in (0..filters).step_by(LANES) {
        let block = first..filters.min(first + LANES);
        for (number, stretch) in stretches.iter().enumerate() {
            let rows = (stretch.row..stretch.row + stretch.length).enumerate();
            for (lane, row) in rows {
                let row = row as usize * filters;
                let values = &mut dkernel[row + block.start..row + block.end];
                for (filter, value) in block.clone().zip(values) {
                    *value = vectors[filter * stretches.len() + number][lane];
                }
            }
        }
    }
}
