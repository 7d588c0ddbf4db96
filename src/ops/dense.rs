//! y = x · kernel + bias over the last axis. `rows` counts the vectors of a shard: its samples times
//! the axes before the last.

use crate::kernels::{Block, Gather, GatherMatmul, GatherOuter, Isa, LANES, Source};

/// What a dense layer needs to know, worked out once.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    inputs: usize,
    units: usize,
    gather: Gather,
}

impl Geometry {
    pub(crate) fn new(inputs: usize, units: usize) -> Self {
        Self { inputs, units, gather: Gather::single() }
    }

    /// How many values the transposed kernel takes, with room for a vector load behind the last.
    pub(crate) fn transposed_length(&self) -> usize {
        self.inputs * self.units + LANES
    }

    fn source<'a>(&'a self, values: &'a [f32], rows: usize, width: usize) -> Source<'a> {
        Source { values, samples: rows, length: width, offset: 0, width, gather: &self.gather }
    }

    fn block(stride: usize) -> Block {
        Block { start: 0, tap_stride: 0, stride }
    }
}

/// `y` (rows, units) of `x` (rows, inputs), `kernel` (inputs, units) and `bias` (units): one
/// accumulator each, from the bias on, over the inputs.
///
/// `kernel` has [`LANES`] readable values behind its last.
pub(crate) fn forward(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    kernel: &[f32],
    bias: Option<&[f32]>,
    rows: usize,
    geometry: &Geometry,
) {
    let g = geometry;
    GatherMatmul {
        y,
        y_length: g.units,
        y_offset: 0,
        init: bias,
        x: g.source(x, rows, g.inputs),
        w: kernel,
        w_block: Geometry::block(g.units),
        columns: g.units,
    }
    .run(isa);
}

/// The kernel as [`input_gradient`] reads it: (units, inputs).
pub(crate) fn transpose_kernel(transposed: &mut [f32], kernel: &[f32], geometry: &Geometry) {
    const TILE: usize = 16; // keeps both sides of a tile in the first-level cache
    let Geometry { inputs, units, .. } = *geometry;
    for first in (0..inputs).step_by(TILE) {
        for unit in 0..units {
            for input in first..inputs.min(first + TILE) {
                transposed[unit * inputs + input] = kernel[input * units + unit];
            }
        }
    }
}

/// `dx` (rows, inputs) of `dy` (rows, units): one accumulator each, from +0.0 on, over the units.
///
/// `transposed` is what [`transpose_kernel`] gives.
pub(crate) fn input_gradient(
    isa: Isa,
    dx: &mut [f32],
    dy: &[f32],
    transposed: &[f32],
    rows: usize,
    geometry: &Geometry,
) {
    let g = geometry;
    GatherMatmul {
        y: dx,
        y_length: g.inputs,
        y_offset: 0,
        init: None,
        x: g.source(dy, rows, g.units),
        w: transposed,
        w_block: Geometry::block(g.inputs),
        columns: g.inputs,
    }
    .run(isa);
}

/// `dkernel` (inputs, units) of the rows given: one accumulator each, from +0.0 on, over the rows.
///
/// `dy` has [`LANES`] readable values behind its last.
pub(crate) fn kernel_gradient(
    isa: Isa,
    dkernel: &mut [f32],
    x: &[f32],
    dy: &[f32],
    rows: usize,
    geometry: &Geometry,
) {
    let g = geometry;
    GatherOuter {
        dw: dkernel,
        dw_block: Geometry::block(g.units),
        x: g.source(x, rows, g.inputs),
        dy,
        dy_length: g.units,
        dy_offset: 0,
        columns: g.units,
    }
    .run(isa);
}
