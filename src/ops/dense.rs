//! y = x · kernel + bias over the last axis. `rows` counts the vectors of a shard: its samples times
//! the axes before the last.

use rayon::prelude::*;

use super::arrange::transpose;
use crate::kernels::{
    Finish, Gather, GatherMatmul, GatherOuter, Isa, LANES, Operands, Source, TreeOuter, Weights,
};

/// What a dense layer needs to know, worked out once.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    inputs: usize,
    units: usize,
    /// All inputs of a row, and all units.
    row: Gather,
    result: Gather,
}

impl Geometry {
    pub(crate) fn new(inputs: usize, units: usize) -> Self {
        Self { inputs, units, row: Gather::single(inputs), result: Gather::single(units) }
    }

    /// Inputs and units.
    pub(crate) fn extents(&self) -> [usize; 2] {
        [self.inputs, self.units]
    }

    /// Values of the kernel as the input gradient reads it, and room for a vector behind them.
    pub(crate) fn arranged_length(&self) -> usize {
        self.inputs * self.units + LANES
    }
}

/// The kernel as the input gradient reads it: (units, inputs).
pub(crate) fn arrange_kernel(arranged: &mut [f32], kernel: &[f32], geometry: &Geometry) {
    transpose(arranged, kernel, [geometry.inputs, geometry.units]);
}

/// The kernel and the bias of a dense layer. Behind the last value of the kernel lie [`LANES`](crate::kernels::LANES)
/// readable ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters<'a> {
    /// (inputs, units)
    pub(crate) kernel: &'a [f32],
    /// (units)
    pub(crate) bias: Option<&'a [f32]>,
}

/// Rows of `length` values, all read as `gather` says.
fn source<'a>(values: &'a [f32], rows: usize, length: usize, gather: &'a Gather) -> Source<'a> {
    Source { values, samples: rows, length, offset: 0, gather }
}

fn weights(values: &[f32], stride: usize) -> Weights<'_> {
    Weights { values, start: 0, tap_stride: 0, stride }
}

/// `y` (rows, units) of `x` (rows, inputs), `kernel` (inputs, units) and `bias` (units): one
/// accumulator each, from the bias on, over the inputs; then relu, if it is asked for.
pub(crate) fn forward(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    Parameters { kernel, bias }: Parameters<'_>,
    relu: bool,
    rows: usize,
    geometry: &Geometry,
) {
    let g = geometry;
    GatherMatmul {
        y,
        y_length: g.units,
        y_offset: 0,
        init: bias,
        x: source(x, rows, g.inputs, &g.row),
        w: weights(kernel, g.units),
        columns: g.units,
        finish: if relu { Finish::Relu } else { Finish::Store },
    }
    .run(isa);
}

/// `dx` (rows, inputs) of `dy` (rows, units): one accumulator each, from +0.0 on, over the units.
///
/// `arranged` is what [`arrange_kernel`] makes of the kernel.
pub(crate) fn input_gradient(
    isa: Isa,
    dx: &mut [f32],
    dy: &[f32],
    arranged: &[f32],
    rows: usize,
    geometry: &Geometry,
) {
    let g = geometry;
    GatherMatmul {
        y: dx,
        y_length: g.inputs,
        y_offset: 0,
        init: None,
        x: source(dy, rows, g.units, &g.result),
        w: weights(arranged, g.inputs),
        columns: g.inputs,
        finish: Finish::Store,
    }
    .run(isa);
}

/// `dkernel` (inputs, units) of the rows given: one accumulator each, from +0.0 on, over the rows.
///
/// `dy` has [`LANES`](crate::kernels::LANES) readable values behind its last.
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
        dw_start: 0,
        dw_stride: g.units,
        resume: false,
        x: source(x, rows, g.inputs, &g.row),
        dy,
        dy_length: g.units,
        dy_offset: 0,
        columns: g.units,
    }
    .run(isa);
}

/// `dkernel` (inputs, units) of a whole batch: the gradients of its `shards`, each as that of
/// [`kernel_gradient`], added by the [tree](crate::kernels::reduce::tree).
pub(crate) fn kernel_gradient_of_batch<'a>(
    isa: Isa,
    dkernel: &mut [f32],
    shards: usize,
    operands: impl Fn(usize) -> Operands<'a> + Sync,
    geometry: &Geometry,
) {
    const TASK: usize = 64; // inputs: enough work to be worth a task
    let Geometry { inputs, units, .. } = *geometry;
    dkernel.par_chunks_mut(TASK * units).enumerate().for_each(|(task, dw)| {
        TreeOuter { dw, first: task * TASK, inputs, units, shards, operands: &operands }.run(isa);
    });
}
