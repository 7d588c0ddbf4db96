//! Two-dimensional convolution of NHWC images with HWIO kernels.
//!
//! Padding is explicit zeros: a tap in the padding is multiplied like any other, so a convolution
//! with padding gives the bits of a zero padding followed by a convolution without.

use crate::kernels::{
    Block, DepthwiseForward, DepthwiseKernel, Gather, GatherMatmul, GatherOuter, Isa, LANES, Source,
};
use crate::model::{Conv2d, Window2d};
use crate::tensor::Shape;

/// What a convolution needs to know, worked out once.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    taps: usize,
    /// Input channels, in all and per group.
    channels: usize,
    group_channels: usize,
    /// Filters, in all and per group.
    filters: usize,
    group_filters: usize,
    groups: usize,
    /// Values per sample.
    x_length: usize,
    y_length: usize,
    forward: Gather,
    /// The input cells in classes of one stride phase, each reached by the same taps.
    input_gradient: Vec<Gather>,
}

impl Geometry {
    /// # Panics
    /// If `input` is not an image that `conv` can take; a checked graph holds no such layer.
    pub(crate) fn new(conv: &Conv2d, input: &Shape) -> Self {
        let window = conv.window(input).expect("checked with the graph");
        let (_, _, channels) = input.as_image().expect("checked with the graph");
        let taps = window.kernel[0] * window.kernel[1];
        let [height, width] = window.output;
        Self {
            taps,
            channels,
            group_channels: channels / conv.groups,
            filters: conv.filters,
            group_filters: conv.filters / conv.groups,
            groups: conv.groups,
            x_length: input.elements(),
            y_length: height * width * conv.filters,
            forward: forward_gather(&window, channels, conv.filters),
            input_gradient: input_gradient_gathers(&window, channels, conv.filters),
        }
    }

    /// Whether each channel has a filter of its own.
    pub(crate) fn is_depthwise(&self) -> bool {
        self.group_channels == 1 && self.group_filters == 1
    }

    /// Output cells per sample.
    pub(crate) fn cells(&self) -> usize {
        self.forward.cells()
    }

    /// The weights of group `group` in the kernel (kh, kw, ci, co).
    fn kernel_block(&self, group: usize) -> Block {
        Block {
            start: group * self.group_filters,
            tap_stride: self.group_channels * self.filters,
            stride: self.filters,
        }
    }

    /// How many values the transposed kernel takes: (kh, kw, group, co, ci), and room for a vector
    /// load behind the last.
    pub(crate) fn transposed_length(&self) -> usize {
        if self.is_depthwise() { 0 } else { self.taps * self.filters * self.group_channels + LANES }
    }
}

fn index(value: usize) -> u32 {
    u32::try_from(value)
        .ok()
        .filter(|&index| index != Gather::PADDING)
        .expect("a sample has fewer than 2³² values")
}

/// Per output cell, the input rows under (kh, kw).
fn forward_gather(window: &Window2d, channels: usize, filters: usize) -> Gather {
    let ([kernel_height, kernel_width], [height, width]) = (window.kernel, window.output);
    let taps = kernel_height * kernel_width;
    let mut sources = Vec::with_capacity(height * width * taps);
    let mut targets = Vec::with_capacity(height * width);
    for row in 0..height {
        for column in 0..width {
            targets.push(index((row * width + column) * filters));
            for tap in 0..taps {
                let y = window.source(0, row, tap / kernel_width);
                let x = window.source(1, column, tap % kernel_width);
                sources.push(match (y, x) {
                    (Some(y), Some(x)) => index((y * window.input[1] + x) * channels),
                    _ => Gather::PADDING,
                });
            }
        }
    }
    Gather::new((0..taps).map(index).collect(), sources, targets, channels)
}

/// Per input cell, the output rows that (kh, kw) carried it to. With strides above 1 a tap reaches
/// only the input cells of one phase, so the cells are taken phase by phase with the taps that
/// reach them; a tap that reaches past the output meets zeros.
fn input_gradient_gathers(window: &Window2d, channels: usize, filters: usize) -> Vec<Gather> {
    let [kernel_height, kernel_width] = window.kernel;
    let [stride_y, stride_x] = window.strides;
    let phases = (0..stride_y.min(window.input[0]))
        .flat_map(|y| (0..stride_x.min(window.input[1])).map(move |x| [y, x]));
    phases
        .map(|[phase_y, phase_x]| {
            let reaches = |&tap: &usize| {
                let at = [tap / kernel_width, tap % kernel_width];
                (0..2).all(|axis| {
                    let position = [phase_y, phase_x][axis] + window.before[axis];
                    position % window.strides[axis]
                        == at[axis] * window.dilation[axis] % window.strides[axis]
                })
            };
            let taps: Vec<usize> = (0..kernel_height * kernel_width).filter(reaches).collect();
            let mut sources = Vec::new();
            let mut targets = Vec::new();
            for y in (phase_y..window.input[0]).step_by(stride_y) {
                for x in (phase_x..window.input[1]).step_by(stride_x) {
                    targets.push(index((y * window.input[1] + x) * channels));
                    for tap in &taps {
                        let row = output_of(window, 0, y, tap / kernel_width);
                        let column = output_of(window, 1, x, tap % kernel_width);
                        sources.push(match (row, column) {
                            (Some(row), Some(column)) => {
                                index((row * window.output[1] + column) * filters)
                            }
                            _ => Gather::PADDING,
                        });
                    }
                }
            }
            Gather::new(taps.into_iter().map(index).collect(), sources, targets, filters)
        })
        .collect()
}

/// The output row or column whose tap number `tap` is input row or column `source`.
fn output_of(window: &Window2d, axis: usize, source: usize, tap: usize) -> Option<usize> {
    (source + window.before[axis])
        .checked_sub(tap * window.dilation[axis])
        .map(|position| position / window.strides[axis])
        .filter(|&output| output < window.output[axis])
}

/// `y` (n, oh, ow, co) of `x` (n, ih, iw, ci), `kernel` (kh, kw, ci / groups, co) and `bias` (co):
/// one accumulator each, from the bias on, over (kh, kw, ci).
///
/// `kernel` has [`LANES`] readable values behind its last.
pub(crate) fn forward(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    kernel: &[f32],
    bias: Option<&[f32]>,
    samples: usize,
    geometry: &Geometry,
) {
    let g = geometry;
    if g.is_depthwise() {
        let (gather, channels) = (&g.forward, g.channels);
        return DepthwiseForward { y, x, kernel, init: bias, samples, gather, channels }
            .run(isa, [g.y_length, g.x_length]);
    }
    for group in 0..g.groups {
        let columns = group * g.group_filters..(group + 1) * g.group_filters;
        let x = Source {
            values: x,
            samples,
            length: g.x_length,
            offset: group * g.group_channels,
            width: g.group_channels,
            gather: &g.forward,
        };
        GatherMatmul {
            y,
            y_length: g.y_length,
            y_offset: columns.start,
            init: bias.map(|bias| &bias[columns]),
            x,
            w: kernel,
            w_block: g.kernel_block(group),
            columns: g.group_filters,
        }
        .run(isa);
    }
}

/// The kernel as [`input_gradient`] reads it: (kh, kw, group, co, ci).
pub(crate) fn transpose_kernel(transposed: &mut [f32], kernel: &[f32], geometry: &Geometry) {
    let g = geometry;
    if g.is_depthwise() {
        return;
    }
    let (ci, co) = (g.group_channels, g.group_filters);
    for (tap, weights) in kernel.chunks_exact(ci * g.filters).take(g.taps).enumerate() {
        for group in 0..g.groups {
            let start = (tap * g.groups + group) * co * ci;
            for (k, row) in weights.chunks_exact(g.filters).enumerate() {
                for (n, &weight) in row[group * co..][..co].iter().enumerate() {
                    transposed[start + n * ci + k] = weight;
                }
            }
        }
    }
}

/// `dx` (n, ih, iw, ci) of `dy` (n, oh, ow, co): one accumulator each, from +0.0 on, over
/// (kh, kw, co), leaving out the taps that the stride keeps from the cell.
///
/// `transposed` is what [`transpose_kernel`] gives; a depthwise convolution reads `kernel`.
pub(crate) fn input_gradient(
    isa: Isa,
    dx: &mut [f32],
    dy: &[f32],
    kernel: &[f32],
    transposed: &[f32],
    samples: usize,
    geometry: &Geometry,
) {
    let g = geometry;
    for gather in &g.input_gradient {
        if g.is_depthwise() {
            let (y, x, channels) = (&mut *dx, dy, g.channels);
            DepthwiseForward { y, x, kernel, init: None, samples, gather, channels }
                .run(isa, [g.x_length, g.y_length]);
            continue;
        }
        for group in 0..g.groups {
            let x = Source {
                values: dy,
                samples,
                length: g.y_length,
                offset: group * g.group_filters,
                width: g.group_filters,
                gather,
            };
            GatherMatmul {
                y: dx,
                y_length: g.x_length,
                y_offset: group * g.group_channels,
                init: None,
                x,
                w: transposed,
                w_block: Block {
                    start: group * g.group_filters * g.group_channels,
                    tap_stride: g.filters * g.group_channels,
                    stride: g.group_channels,
                },
                columns: g.group_channels,
            }
            .run(isa);
        }
    }
}

/// `dkernel` (kh, kw, ci / groups, co) of the samples given: one accumulator each, from +0.0 on,
/// over (n, oh, ow).
///
/// `dy` has [`LANES`] readable values behind its last.
pub(crate) fn kernel_gradient(
    isa: Isa,
    dkernel: &mut [f32],
    x: &[f32],
    dy: &[f32],
    samples: usize,
    geometry: &Geometry,
) {
    let g = geometry;
    if g.is_depthwise() {
        let (gather, channels) = (&g.forward, g.channels);
        return DepthwiseKernel { dkernel, x, dy, samples, gather, channels }
            .run(isa, [g.x_length, g.y_length]);
    }
    for group in 0..g.groups {
        let x = Source {
            values: x,
            samples,
            length: g.x_length,
            offset: group * g.group_channels,
            width: g.group_channels,
            gather: &g.forward,
        };
        GatherOuter {
            dw: dkernel,
            dw_block: g.kernel_block(group),
            x,
            dy,
            dy_length: g.y_length,
            dy_offset: group * g.group_filters,
            columns: g.group_filters,
        }
        .run(isa);
    }
}
