//! Two-dimensional convolution of NHWC images with HWIO kernels.
//!
//! Padding is explicit zeros: a tap in the padding is multiplied like any other, so a convolution
//! with padding gives the bits of a zero padding followed by a convolution without.

mod geometry;
pub(crate) mod pooled;

pub(crate) use geometry::{Geometry, Scratch};

use std::ops::Range;

use super::arrange::transpose;
use crate::kernels::{
    DepthwiseForward, DepthwiseKernel, Finish, GatherMatmul, GatherOuter, Isa, Normalization,
    Source, Weights,
};

/// The kernel and the bias of a convolution. Behind the last value of the kernel lie
/// [`LANES`](crate::kernels::LANES) readable ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters<'a> {
    /// (kh, kw, ci / groups, co)
    pub(crate) kernel: &'a [f32],
    /// (co)
    pub(crate) bias: Option<&'a [f32]>,
}

/// What follows a convolution within its own step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Behind<'a> {
    /// A batch normalization as at inference, per filter.
    pub(crate) normalization: Option<Normalization<'a>>,
    pub(crate) relu: bool,
}

impl<'a> Behind<'a> {
    /// For the filters of one group.
    fn finish(self, filters: &Range<usize>) -> Finish<'a> {
        let of_group = |values: &'a [f32]| &values[filters.clone()];
        match self.normalization {
            Some(all) => Finish::Normalize {
                normalization: Normalization {
                    mean: of_group(all.mean),
                    inverse: of_group(all.inverse),
                    gamma: all.gamma.map(of_group),
                    beta: all.beta.map(of_group),
                },
                relu: self.relu,
            },
            None if self.relu => Finish::Relu,
            None => Finish::Store,
        }
    }
}

/// One shard on its way through a convolution.
pub(crate) struct Pass<'a> {
    pub(crate) isa: Isa,
    pub(crate) geometry: &'a Geometry,
    pub(crate) samples: usize,
    pub(crate) scratch: &'a mut Scratch,
}

/// `y` (n, oh, ow, co) of `x` (n, ih, iw, ci): one accumulator each, from the bias on, over
/// (kh, kw, ci); then what stands `behind`.
///
/// A depthwise convolution reads [`LANES`](crate::kernels::LANES) values behind the last of `x`, and
/// has nothing behind it.
pub(crate) fn forward(
    pass: Pass<'_>,
    y: &mut [f32],
    x: &[f32],
    Parameters { kernel, bias }: Parameters<'_>,
    behind: Behind<'_>,
) {
    let Pass { isa, geometry: g, samples, scratch } = pass;
    g.each_block(x, samples, &mut scratch.padded, |block, x| {
        let y = &mut y[block.start * g.y_length..block.end * g.y_length];
        let x = g.source(x, block.len(), &g.forward);
        if g.is_depthwise() {
            let (y_length, channels) = (g.y_length, g.channels);
            DepthwiseForward { y, y_length, x, kernel, init: bias, channels }.run(isa);
            return;
        }
        for group in 0..g.groups {
            let columns = group * g.group_filters..(group + 1) * g.group_filters;
            GatherMatmul {
                y: &mut *y,
                y_length: g.y_length,
                y_offset: columns.start,
                x: Source { offset: group * g.group_channels, ..x },
                w: Weights {
                    values: kernel,
                    start: columns.start,
                    tap_stride: g.group_channels * g.filters,
                    stride: g.filters,
                },
                init: bias.map(|bias| &bias[columns.clone()]),
                columns: g.group_filters,
                finish: behind.finish(&columns),
            }
            .run(isa);
        }
    });
}

/// The kernel as the input gradient of `geometry` reads it: for a pooled convolution in vectors; else
/// (co, kh, kw, ci / groups); nothing for a depthwise one. It has the length that `geometry` says.
pub(crate) fn arrange_kernel(arranged: &mut [f32], kernel: &[f32], geometry: &Geometry) {
    let g = geometry;
    if g.is_pooled() {
        pooled::pack(arranged, kernel, g);
    } else if !g.is_depthwise() {
        transpose(arranged, kernel, [g.taps * g.group_channels, g.filters]);
    }
}

/// `dx` (n, ih, iw, ci) of `dy` (n, oh, ow, co): one accumulator each, from +0.0 on, over
/// (kh, kw, co), leaving out what the stride or the border keeps from the cell.
///
/// `arranged` is what [`arrange_kernel`] makes of the kernel; a depthwise convolution reads `kernel`
/// instead, with [`LANES`](crate::kernels::LANES) values behind its last and behind the last of `dy`.
pub(crate) fn input_gradient(
    pass: Pass<'_>,
    dx: &mut [f32],
    dy: &[f32],
    kernel: &[f32],
    arranged: &[f32],
) {
    let Pass { isa, geometry: g, samples, .. } = pass;
    if !g.is_depthwise() {
        (0..g.groups).for_each(|group| gather_gradient(&pass, dx, dy, arranged, None, group));
        return;
    }
    for gather in &g.input_gradient {
        let x = Source { values: dy, samples, length: g.y_length, offset: 0, gather };
        let (y, y_length, channels) = (&mut *dx, g.x_length, g.channels);
        DepthwiseForward { y, y_length, x, kernel, init: None, channels }.run(isa);
    }
}

/// `y` (n, ih, iw, ci) of `x` (n, oh, ow, co) and `bias` (ci): what [`input_gradient`] of a convolution
/// of one group makes of `x`, but from the bias on.
pub(crate) fn transposed(
    pass: Pass<'_>,
    y: &mut [f32],
    x: &[f32],
    arranged: &[f32],
    bias: Option<&[f32]>,
) {
    gather_gradient(&pass, y, x, arranged, bias, 0);
}

/// The channels of `dx` that belong to one group, from `init` on.
fn gather_gradient(
    pass: &Pass<'_>,
    dx: &mut [f32],
    dy: &[f32],
    arranged: &[f32],
    init: Option<&[f32]>,
    group: usize,
) {
    let Pass { isa, geometry: g, samples, .. } = *pass;
    let (filters, stride) = (group * g.group_filters, g.taps * g.group_channels);
    for gather in &g.input_gradient {
        GatherMatmul {
            y: &mut *dx,
            y_length: g.x_length,
            y_offset: group * g.group_channels,
            x: Source { values: dy, samples, length: g.y_length, offset: filters, gather },
            w: Weights {
                values: arranged,
                start: filters * stride,
                tap_stride: g.group_channels,
                stride,
            },
            init,
            columns: g.group_channels,
            finish: Finish::Store,
        }
        .run(isa);
    }
}

/// `dkernel` (kh, kw, ci / groups, co) of the samples given: one accumulator each, from +0.0 on,
/// over (n, oh, ow).
///
/// `dy` has [`LANES`](crate::kernels::LANES) readable values behind its last, for a depthwise
/// convolution `x` too.
pub(crate) fn kernel_gradient(pass: Pass<'_>, dkernel: &mut [f32], x: &[f32], dy: &[f32]) {
    let Pass { isa, geometry: g, samples, scratch } = pass;
    g.each_block(x, samples, &mut scratch.padded, |block, x| {
        let resume = block.start > 0;
        let dy = &dy[block.start * g.y_length..];
        let x = g.source(x, block.len(), &g.forward);
        if g.is_depthwise() {
            let (dy_length, channels) = (g.y_length, g.channels);
            DepthwiseKernel { dkernel, resume, x, dy, dy_length, channels }.run(isa);
            return;
        }
        for group in 0..g.groups {
            let filters = group * g.group_filters;
            GatherOuter {
                dw: &mut *dkernel,
                dw_start: filters,
                dw_stride: g.filters,
                resume,
                x: Source { offset: group * g.group_channels, ..x },
                dy,
                dy_length: g.y_length,
                dy_offset: filters,
                columns: g.group_filters,
            }
            .run(isa);
        }
    });
}
