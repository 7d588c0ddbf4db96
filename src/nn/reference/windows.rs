//! Convolutions and pooling, each as its definition reads.

use ndarray::{Array4, ArrayD, Ix4};

use super::layers::Own;
use crate::model::{
    Conv1d, Conv2d, Conv2dTranspose, DepthwiseConv2d, Padding, Padding1d, Pool1d, Pool2d, PoolKind,
};

/// A batch of images, or a kernel, with its four axes known.
fn image(x: &ArrayD<f64>) -> Array4<f64> {
    x.clone().into_dimensionality::<Ix4>().expect("four axes")
}

/// How a window moves along one axis of an image.
struct Sweep {
    size: i64,
    stride: i64,
    dilation: i64,
    before: i64,
    outputs: usize,
}

impl Sweep {
    /// `sides`: how many cells of padding stand before and after the image; `None` for `same`.
    fn new(
        size: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        sides: Option<(usize, usize)>,
    ) -> Self {
        let [size, kernel, stride, dilation] =
            [size, kernel, stride, dilation].map(|value| value as i64);
        let extent = (kernel - 1) * dilation + 1;
        let (before, after) = match sides {
            Some((before, after)) => (before as i64, after as i64),
            None => {
                let outputs = (size as f64 / stride as f64).ceil() as i64;
                let padding = ((outputs - 1) * stride + extent - size).max(0);
                (padding / 2, padding - padding / 2)
            }
        };
        let fits = |&start: &i64| start + extent <= size + before + after;
        let outputs = (0..).step_by(stride as usize).take_while(fits).count();
        Self { size, stride, dilation, before, outputs }
    }

    /// For both axes of an image.
    fn both(
        x: &Array4<f64>,
        kernel: [usize; 2],
        strides: [usize; 2],
        dilation: [usize; 2],
        padding: Padding,
    ) -> [Self; 2] {
        let sides = match padding {
            Padding::Valid => [Some((0, 0)); 2],
            Padding::Same => [None; 2],
            Padding::Explicit { top, bottom, left, right } => {
                [Some((top, bottom)), Some((left, right))]
            }
        };
        [0, 1].map(|axis| {
            let size = x.shape()[1 + axis];
            Self::new(size, kernel[axis], strides[axis], dilation[axis], sides[axis])
        })
    }

    /// The cell of the image under cell `tap` of the window at `output`; `None` in the padding.
    fn cell(&self, output: usize, tap: usize) -> Option<usize> {
        let cell = output as i64 * self.stride + tap as i64 * self.dilation - self.before;
        (0..self.size).contains(&cell).then_some(cell as usize)
    }
}

pub(super) fn conv2d(conv: &Conv2d, x: &ArrayD<f64>, own: &Own) -> ArrayD<f64> {
    let (x, kernel) = (image(x), image(&own["kernel"]));
    let (batch, channels) = (x.shape()[0], x.shape()[3]);
    let (group_channels, group_filters) = (channels / conv.groups, conv.filters / conv.groups);
    let [rows, columns] = Sweep::both(&x, conv.kernel, conv.strides, conv.dilation, conv.padding);
    let shape = (batch, rows.outputs, columns.outputs, conv.filters);
    let result = Array4::from_shape_fn(shape, |(sample, row, column, filter)| {
        let first = filter / group_filters * group_channels;
        let mut sum = own.get("bias").map_or(0.0, |bias| bias[[filter]]);
        for i in 0..conv.kernel[0] {
            for j in 0..conv.kernel[1] {
                let (Some(y), Some(z)) = (rows.cell(row, i), columns.cell(column, j)) else {
                    continue;
                };
                for channel in 0..group_channels {
                    sum += x[[sample, y, z, first + channel]] * kernel[[i, j, channel, filter]];
                }
            }
        }
        sum
    });
    result.into_dyn()
}

/// How windows move along a sequence.
fn sweep(steps: usize, kernel: usize, stride: usize, dilation: usize, padding: Padding1d) -> Sweep {
    let sides = match padding {
        Padding1d::Valid => Some((0, 0)),
        Padding1d::Same => None,
        Padding1d::Causal => Some(((kernel - 1) * dilation, 0)),
    };
    Sweep::new(steps, kernel, stride, dilation, sides)
}

pub(super) fn conv1d(conv: &Conv1d, x: &ArrayD<f64>, own: &Own) -> ArrayD<f64> {
    let &[batch, steps, channels] = x.shape() else { panic!("three axes") };
    let (group_channels, group_filters) = (channels / conv.groups, conv.filters / conv.groups);
    let sweep = sweep(steps, conv.kernel, conv.strides, conv.dilation, conv.padding);
    let shape = [batch, sweep.outputs, conv.filters];
    ArrayD::from_shape_fn(&shape[..], |at| {
        let first = at[2] / group_filters * group_channels;
        let mut sum = own.get("bias").map_or(0.0, |bias| bias[[at[2]]]);
        for tap in 0..conv.kernel {
            let Some(step) = sweep.cell(at[1], tap) else { continue };
            for channel in 0..group_channels {
                sum += x[[at[0], step, first + channel]] * own["kernel"][[tap, channel, at[2]]];
            }
        }
        sum
    })
}

pub(super) fn pool1d(pool: &Pool1d, x: &ArrayD<f64>) -> ArrayD<f64> {
    let &[batch, steps, channels] = x.shape() else { panic!("three axes") };
    let sweep = sweep(steps, pool.pool, pool.strides, 1, pool.padding);
    let shape = [batch, sweep.outputs, channels];
    ArrayD::from_shape_fn(&shape[..], |at| {
        let steps = (0..pool.pool).filter_map(|tap| sweep.cell(at[1], tap));
        let cells: Vec<f64> = steps.map(|step| x[[at[0], step, at[2]]]).collect();
        pooled(pool.kind, cells)
    })
}

/// Each channel by `multiplier` filters of its own, without bias.
pub(super) fn depthwise(
    multiplier: usize,
    window: &DepthwiseConv2d,
    kernel: &ArrayD<f64>,
    x: &ArrayD<f64>,
) -> ArrayD<f64> {
    let (x, DepthwiseConv2d { kernel: [height, width], .. }) = (image(x), window);
    let [rows, columns] =
        Sweep::both(&x, window.kernel, window.strides, window.dilation, window.padding);
    let shape = (x.shape()[0], rows.outputs, columns.outputs, x.shape()[3] * multiplier);
    let result = Array4::from_shape_fn(shape, |(sample, row, column, filter)| {
        let (channel, number) = (filter / multiplier, filter % multiplier);
        let mut sum = 0.0;
        for (i, j) in (0..*height).flat_map(|i| (0..*width).map(move |j| (i, j))) {
            if let (Some(y), Some(z)) = (rows.cell(row, i), columns.cell(column, j)) {
                sum += x[[sample, y, z, channel]] * kernel[[i, j, channel, number]];
            }
        }
        sum
    });
    result.into_dyn()
}

/// A dense layer at each pixel, without bias; the kernel has shape (1, 1, channels, filters).
pub(super) fn pointwise(kernel: &ArrayD<f64>, x: &ArrayD<f64>) -> ArrayD<f64> {
    let (x, channels) = (image(x), kernel.shape()[2]);
    let shape = (x.shape()[0], x.shape()[1], x.shape()[2], kernel.shape()[3]);
    let result = Array4::from_shape_fn(shape, |(sample, row, column, filter)| {
        let products =
            (0..channels).map(|c| x[[sample, row, column, c]] * kernel[[0, 0, c, filter]]);
        products.sum()
    });
    result.into_dyn()
}

/// Each pixel adds the kernel, times its value, to the result: first where no padding is, from which
/// the padding's cells are then cut. The kernel has shape (height, width, filters, channels).
pub(super) fn conv2d_transpose(
    conv: &Conv2dTranspose,
    x: &ArrayD<f64>,
    kernel: &ArrayD<f64>,
) -> ArrayD<f64> {
    let x = image(x);
    // Per axis: cells of the result, and cells cut off before it.
    let [rows, columns] = [0, 1].map(|axis| {
        let (size, stride) = (x.shape()[1 + axis], conv.strides[axis]);
        let extent = (conv.kernel[axis] - 1) * conv.dilation[axis] + 1;
        let full = (size - 1) * stride + extent;
        let more = conv.output_padding.map(|more| more[axis]);
        match conv.padding {
            Padding::Valid => (more.map_or_else(|| full.max(size * stride), |more| full + more), 0),
            Padding::Same => {
                let cells = more.map_or(size * stride, |more| full - extent + extent % 2 + more);
                // As the convolution pads it.
                (cells, full.saturating_sub(cells) / 2)
            }
            Padding::Explicit { top, bottom, left, right } => {
                let (before, after) = [(top, bottom), (left, right)][axis];
                (full + more.unwrap_or(0) - before - after, before)
            }
        }
    });
    let mut result = Array4::zeros((x.shape()[0], rows.0, columns.0, conv.filters));
    for ((sample, row, column, channel), &value) in x.indexed_iter() {
        for (i, j) in (0..conv.kernel[0]).flat_map(|i| (0..conv.kernel[1]).map(move |j| (i, j))) {
            let row = (row * conv.strides[0] + i * conv.dilation[0]).checked_sub(rows.1);
            let column = (column * conv.strides[1] + j * conv.dilation[1]).checked_sub(columns.1);
            let (Some(row), Some(column)) = (row, column) else { continue };
            if row < rows.0 && column < columns.0 {
                for filter in 0..conv.filters {
                    let weight = kernel[[i, j, filter, channel]];
                    result[[sample, row, column, filter]] += value * weight;
                }
            }
        }
    }
    result.into_dyn()
}

/// With a bias for each filter, if the layer has one.
pub(super) fn biased(result: ArrayD<f64>, own: &Own) -> ArrayD<f64> {
    match own.get("bias") {
        Some(bias) => result + bias,
        None => result,
    }
}

fn pooled(kind: PoolKind, cells: Vec<f64>) -> f64 {
    match kind {
        PoolKind::Average => cells.iter().sum::<f64>() / cells.len() as f64,
        PoolKind::Max => cells.into_iter().reduce(larger).expect("a pool holds a real cell"),
    }
}

pub(super) fn pool2d(pool: &Pool2d, x: &ArrayD<f64>) -> ArrayD<f64> {
    let x = image(x);
    let [rows, columns] = Sweep::both(&x, pool.pool, pool.strides, [1; 2], pool.padding);
    let shape = (x.shape()[0], rows.outputs, columns.outputs, x.shape()[3]);
    let result = Array4::from_shape_fn(shape, |(sample, row, column, channel)| {
        let mut cells = Vec::new();
        for i in 0..pool.pool[0] {
            for j in 0..pool.pool[1] {
                if let (Some(y), Some(z)) = (rows.cell(row, i), columns.cell(column, j)) {
                    cells.push(x[[sample, y, z, channel]]);
                }
            }
        }
        pooled(pool.kind, cells)
    });
    result.into_dyn()
}

/// The first of equal values; NaN wins.
pub(super) fn larger(first: f64, second: f64) -> f64 {
    if second > first || (second.is_nan() && !first.is_nan()) { second } else { first }
}
