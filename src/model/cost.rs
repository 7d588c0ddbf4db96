//! What it takes to run a network, known before anything is built for it: an architecture of a few
//! hundred bytes can call for more memory than any machine has.
//!
//! The figures are never below what is taken; `nn/plan.rs` is tested against them. Arithmetic
//! saturates, so what is too large for 64 bits is beyond every limit.

use super::{Arrange, Conv2d, Graph, LayerSpec, NodeId, Pool2d, Window2d};
use crate::tensor::Shape;

/// Bytes that one application of a layer takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// For tables that say where in an image the operands of each result lie, those of the way back
    /// included: made when the network is, or compiled.
    pub tables: u64,
    /// For each of the samples that one thread has on their way at a time: the result and whatever
    /// else is kept of them.
    pub sample: u64,
}

/// Of an entry for a cell, of one for a run of values, of one for a window over a cell.
const CELL: u64 = 8;
const RUN: u64 = 12;
const COVER: u64 = 8;
/// Of a place in an image; of a value.
const PLACE: u64 = 4;
const VALUE: u64 = 4;
/// Of a tap with an output cell, and of a list of places, while the way back is laid out.
const TAP: u64 = 16;
const LIST: u64 = 96;
/// Lists grow by doubling.
const GROWTH: u64 = 2;
/// Values of a vector.
const LANES: u64 = 16;

impl Graph {
    /// What `node` takes; with `training`, on the way back too.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn cost(&self, node: NodeId, training: bool) -> Cost {
        let values = self.shape(node).elements() as u64;
        // On the way back: the gradient too, a second one on its way to be added, and what went
        // into an activation or came of chance.
        let buffers = if training { 4 } else { 1 };
        let mut cost = Cost { tables: 0, sample: product(&[VALUE, values, buffers]) };
        let spec = &self.layer_of(node).spec;
        if let LayerSpec::Flatten | LayerSpec::Reshape(_) | LayerSpec::Identity = spec {
            // A new name for what is there.
            return Cost::default();
        }
        for (number, (part, input)) in self.parts(node).iter().enumerate() {
            let (tables, besides) = match part {
                LayerSpec::Conv2d(conv) => convolution(conv, input),
                LayerSpec::Conv2dTranspose(conv) => match conv.transposed(input) {
                    Ok((conv, output)) => convolution(&conv, &output),
                    Err(_) => (0, 0),
                },
                LayerSpec::Pool2d(pool) => pooling(pool, input),
                LayerSpec::Arrange(arrange) => (arranging(arrange, input), 0),
                // Where each maximum came from.
                LayerSpec::GlobalPool2d(_) => (0, product(&[PLACE, values])),
                // A number for each value of a sample, or two.
                LayerSpec::PRelu(_) => (product(&[VALUE, values]), 0),
                LayerSpec::Normalization(_) | LayerSpec::ChannelRescaling(_) => {
                    (product(&[2, VALUE, values]), 0)
                }
                // The deviation of each row.
                LayerSpec::LayerNormalization(_) => (0, product(&[VALUE, values])),
                // And the values group by group, twice on the way back.
                LayerSpec::GroupNormalization(norm) => {
                    let tables = norm.grouping(input).map(|(order, axes)| arranging(&order, &axes));
                    (tables.unwrap_or(0), product(&[2, VALUE, values]))
                }
                LayerSpec::BilinearUpSampling2d(_) => {
                    let sides = self.shape(node).dims().iter().take(2);
                    (product(&[RUN, sides.fold(0, |sum, &side| sum + side as u64)]), 0)
                }
                _ => (0, 0),
            };
            // What one part hands on to the next.
            let between = if number > 0 { input.elements() as u64 } else { 0 };
            let between = product(&[VALUE, between, buffers]);
            cost.tables = sum(&[cost.tables, tables]);
            cost.sample = sum(&[cost.sample, besides, between]);
        }
        cost
    }
}

/// Tables, and the image in its padding.
fn convolution(conv: &Conv2d, input: &Shape) -> (u64, u64) {
    let (Ok(window), Some((_, _, channels))) = (conv.window(input), input.as_image()) else {
        return (0, 0);
    };
    let stretches = ((channels / conv.groups) as u64).div_ceil(LANES);
    let taps = area(window.kernel);
    let cells = area(window.output);
    let forward = sum(&[product(&[CELL, cells]), product(&[RUN, taps])]);
    let pooled = sum(&[forward, product(&[2, RUN, taps, stretches])]);
    let tables = sum(&[forward, forward, pooled, input_gradient(&window)]);
    let extent = window.extent().map(|size| size as u64);
    (product(&[GROWTH, tables]), product(&[VALUE, extent[0], extent[1], channels as u64]))
}

/// The input cells in classes which the same taps reach.
fn input_gradient(window: &Window2d) -> u64 {
    let classes = [0, 1].map(|axis| classes(window, axis));
    let taps = [0, 1].map(|axis| {
        let (kernel, stride) = (window.kernel[axis], window.strides[axis]);
        // Of neighbouring taps, one of `stride` reaches the cell.
        let reaching = if window.dilation[axis] == 1 { kernel.div_ceil(stride) } else { kernel };
        reaching.min(window.output[axis]) as u64
    });
    let making = |axis: usize| {
        let entries =
            product(&[classes[axis], taps[axis]]).saturating_add(window.input[axis] as u64);
        product(&[TAP, entries])
    };
    sum(&[
        product(&[CELL, area(window.input)]),
        product(&[RUN, classes[0], taps[0], classes[1], taps[1]]),
        product(&[LIST, classes[0], classes[1]]),
        making(0),
        making(1),
    ])
}

/// No more classes than this: cells that no border is near differ by their place between strides
/// only; the window reaches over the others from either side.
fn classes(window: &Window2d, axis: usize) -> u64 {
    let reach = (window.kernel[axis] - 1).saturating_mul(window.dilation[axis]);
    let near = reach.saturating_add(window.strides[axis]).saturating_mul(2).saturating_add(1);
    near.min(window.input[axis]) as u64
}

/// Tables, and a word of the winners for each cell of a window and vector of its channels.
fn pooling(pool: &Pool2d, input: &Shape) -> (u64, u64) {
    let Some((_, _, channels)) = input.as_image() else { return (0, 0) };
    let Ok(window) = pool.window(input) else { return (0, 0) };
    let met = [0, 1].map(|axis| window.kernel[axis].min(window.input[axis]));
    let places = product(&[area(window.output), area(met)]);
    let tables = sum(&[
        product(&[GROWTH, PLACE, places]),
        product(&[PLACE, area(window.output)]),
        product(&[COVER, places]),
        product(&[PLACE, area(window.input)]),
    ]);
    (tables, product(&[size_of::<u16>() as u64, places, (channels as u64).div_ceil(LANES)]))
}

/// Runs of values that are moved together; while they are made, those within the outermost axis too.
fn arranging(arrange: &Arrange, input: &Shape) -> u64 {
    let Ok(axes) = arrange.axes(input) else { return 0 };
    // While `whole`, all inner values stand in one run, and so do those of neighbouring places.
    let (mut runs, mut inner, mut whole) = (1, 1, true);
    for axis in axes.iter().rev() {
        whole &= axis.stride == inner;
        if !whole || axis.repeat > 1 {
            runs = product(&[runs, axis.taken() as u64]);
        }
        whole &= axis.taken() == axis.size && axis.repeat == 1 && axis.length == axis.size;
        inner = axis.stride.saturating_mul(axis.size);
    }
    product(&[2, GROWTH, RUN, runs])
}

fn area(size: [usize; 2]) -> u64 {
    product(&size.map(|size| size as u64))
}

fn product(factors: &[u64]) -> u64 {
    factors.iter().copied().fold(1, u64::saturating_mul)
}

fn sum(terms: &[u64]) -> u64 {
    terms.iter().copied().fold(0, u64::saturating_add)
}
