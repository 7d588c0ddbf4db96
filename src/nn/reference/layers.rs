//! The layers, each as its definition reads.

use std::collections::BTreeMap;

use ndarray::{Array4, ArrayD, ArrayViewD, Axis, Ix2, Ix4, concatenate};

use super::activations::activate;
use crate::model::{
    Arrange, BatchNormalization, BilinearUpSampling2d, ChannelRescaling, Conv1d, Conv2d,
    Conv2dTranspose, DepthwiseConv2d, GroupNormalization, LayerNormalization, LayerSpec, Merge,
    Normalization, NormalizationStatistics, Padding, Padding1d, Pool1d, Pool2d, PoolKind,
    RowMethod, Softmax,
};

/// A layer's parameters, by name.
type Own = BTreeMap<&'static str, ArrayD<f64>>;

/// A layer that does the same in training and in use.
pub(super) fn stateless(spec: &LayerSpec, inputs: &[&ArrayD<f64>], own: &Own) -> ArrayD<f64> {
    let x = inputs[0];
    let batch = x.shape()[0];
    match spec {
        LayerSpec::Conv1d(conv) => activate(conv.activation, &conv1d(conv, x, own)),
        LayerSpec::Conv2d(conv) => activate(conv.activation, &conv2d(conv, x, own)),
        LayerSpec::DepthwiseConv2d(conv) => {
            let result = depthwise(conv.depth_multiplier, conv, &own["kernel"], x);
            activate(conv.activation, &biased(result, own))
        }
        LayerSpec::SeparableConv2d(conv) => {
            let window = DepthwiseConv2d {
                kernel: conv.kernel,
                strides: conv.strides,
                padding: conv.padding,
                dilation: conv.dilation,
                ..DepthwiseConv2d::new(1)
            };
            let kernel = &own["depthwise_kernel"];
            let between = depthwise(conv.depth_multiplier, &window, kernel, x);
            let result = pointwise(&own["pointwise_kernel"], &between);
            activate(conv.activation, &biased(result, own))
        }
        LayerSpec::Conv2dTranspose(conv) => {
            activate(conv.activation, &biased(conv2d_transpose(conv, x, &own["kernel"]), own))
        }
        LayerSpec::Pool1d(pool) => pool1d(pool, x),
        LayerSpec::GlobalPool1d(pool) => {
            let whole = Pool1d::new(pool.kind, x.shape()[1]);
            let pooled = pool1d(&whole, x);
            if pool.keep_dims { pooled } else { pooled.index_axis_move(Axis(1), 0) }
        }
        LayerSpec::Pool2d(pool) => pool2d(pool, x),
        LayerSpec::GlobalPool2d(pool) => {
            let (channels, whole) = (x.shape()[3], [x.shape()[1], x.shape()[2]]);
            let whole = Pool2d { pool: whole, ..Pool2d::new(pool.kind, 1) };
            let pooled = pool2d(&whole, x);
            if pool.keep_dims { pooled } else { reshaped(&pooled, vec![batch, channels]) }
        }
        LayerSpec::Flatten => reshaped(x, vec![batch, x.shape()[1..].iter().product()]),
        LayerSpec::Reshape(shape) => reshaped(x, [&[batch], shape.dims()].concat()),
        LayerSpec::Dense(layer) => activate(layer.activation, &dense(x, own)),
        LayerSpec::Activation(activation) => activate(*activation, x),
        LayerSpec::Arrange(arrange) => arranged(arrange, x),
        LayerSpec::Rescaling(rescaling) => x.mapv(|x| x * rescaling.scale + rescaling.offset),
        LayerSpec::Identity => x.clone(),
        LayerSpec::Softmax(Softmax { axis }) => {
            let axis = Axis(axis_of(*axis, x.ndim()));
            let mut y = x.mapv(f64::exp);
            for mut lane in y.lanes_mut(axis) {
                let sum = lane.sum();
                lane.mapv_inplace(|power| power / sum);
            }
            y
        }
        LayerSpec::PRelu(_) => {
            let alpha = own["alpha"].broadcast(&x.shape()[1..]).expect("1 or the same");
            let slope = |x: f64, alpha: &f64| if x < 0.0 { alpha * x } else { x };
            ndarray::Zip::from(x)
                .and(alpha.broadcast(x.shape()).expect("the same for each sample"))
                .map_collect(|&x, alpha| slope(x, alpha))
        }
        LayerSpec::LayerNormalization(norm) => layer_normalization(norm, x, own),
        LayerSpec::GroupNormalization(norm) => group_normalization(norm, x, own),
        LayerSpec::BilinearUpSampling2d(BilinearUpSampling2d { size }) => {
            interpolated(&interpolated(x, 1, size[0]), 2, size[1])
        }
        LayerSpec::Normalization(norm) => normalization(norm, x, own),
        LayerSpec::ChannelRescaling(ChannelRescaling { scale, offset }) => {
            let (scale, offset) =
                (ndarray::arr1(scale).into_dyn(), ndarray::arr1(offset).into_dyn());
            x * &scale + &offset
        }
        LayerSpec::Merge(Merge::Add) => folded(inputs, |a, b| a + b),
        LayerSpec::Merge(Merge::Subtract) => inputs[0] - inputs[1],
        LayerSpec::Merge(Merge::Multiply) => folded(inputs, |a, b| a * b),
        LayerSpec::Merge(Merge::Average) => folded(inputs, |a, b| a + b) / inputs.len() as f64,
        LayerSpec::Merge(Merge::Maximum) => folded(inputs, larger),
        LayerSpec::Merge(Merge::Minimum) => folded(inputs, |a, b| -larger(-a, -b)),
        LayerSpec::Merge(Merge::Concatenate { axis }) => {
            let views: Vec<ArrayViewD<'_, f64>> = inputs.iter().map(|x| x.view()).collect();
            concatenate(Axis(axis_of(*axis, x.ndim())), &views).expect("shapes that fit")
        }
        LayerSpec::Input(_)
        | LayerSpec::Dropout(_)
        | LayerSpec::Noise(_)
        | LayerSpec::BatchNormalization(_) => unreachable!("not stateless"),
    }
}

/// The axis, counted with the batch, of an array of `rank` axes.
fn axis_of(axis: i32, rank: usize) -> usize {
    let from_end = i32::try_from(rank).expect("few axes") + axis;
    (if axis < 0 { from_end } else { axis }) as usize
}

fn layer_normalization(norm: &LayerNormalization, x: &ArrayD<f64>, own: &Own) -> ArrayD<f64> {
    let width: usize = x.shape()[x.ndim() - norm.trailing_axes..].iter().product();
    let parameter = |name: &str, index: usize, default: f64| {
        own.get(name).map_or(default, |values| values.iter().nth(index).copied().expect("a row"))
    };
    let values: Vec<f64> = x.iter().copied().collect();
    let rows = values.chunks_exact(width).flat_map(|row| {
        let mean = row.iter().sum::<f64>() / width as f64;
        let (shift, middle) = match norm.method {
            RowMethod::Standard => (mean, mean),
            RowMethod::RootMeanSquare => (0.0, 0.0),
            RowMethod::Deviation => (0.0, mean),
        };
        let variance = row.iter().map(|x| (x - middle).powi(2)).sum::<f64>() / width as f64;
        let deviation = (variance + norm.epsilon).sqrt();
        row.iter().enumerate().map(move |(index, x)| (index, (x - shift) / deviation))
    });
    let y =
        rows.map(|(index, n)| n * parameter("gamma", index, 1.0) + parameter("beta", index, 0.0));
    ArrayD::from_shape_vec(x.shape(), y.collect()).expect("as many")
}

fn group_normalization(norm: &GroupNormalization, x: &ArrayD<f64>, own: &Own) -> ArrayD<f64> {
    let channels = x.shape()[x.ndim() - 1];
    let sample = x.len() / x.shape()[0];
    let group = |index: usize| (index / sample, index % channels / (channels / norm.groups));
    let mut groups: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for (index, &x) in x.iter().enumerate() {
        groups.entry(group(index)).or_default().push(x);
    }
    let y = x.iter().enumerate().map(|(index, x)| {
        let (values, channel) = (&groups[&group(index)], index % channels);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
        let gamma = own.get("gamma").map_or(1.0, |gamma| gamma[[channel]]);
        let beta = own.get("beta").map_or(0.0, |beta| beta[[channel]]);
        (x - mean) / (variance + norm.epsilon).sqrt() * gamma + beta
    });
    ArrayD::from_shape_vec(x.shape(), y.collect()).expect("as many")
}

fn normalization(norm: &Normalization, x: &ArrayD<f64>, own: &Own) -> ArrayD<f64> {
    // Each has 1 along the axes that it has no numbers of its own for.
    let kept: Vec<usize> = norm.axes.iter().map(|&axis| axis_of(axis, x.ndim())).collect();
    let spread = |values: Vec<f64>| {
        let dims = x.shape().iter().enumerate();
        let own = |axis: usize| kept.contains(&axis) && values.len() > 1;
        let dims: Vec<usize> = dims.map(|(axis, &dim)| if own(axis) { dim } else { 1 }).collect();
        ArrayD::from_shape_vec(dims, values).expect("as many as its axes have places")
    };
    let (mean, variance) = match &norm.statistics {
        NormalizationStatistics::Given { mean, variance } => (mean.clone(), variance.clone()),
        NormalizationStatistics::Stored => {
            (own["mean"].iter().copied().collect(), own["variance"].iter().copied().collect())
        }
    };
    let deviation = spread(variance).mapv(|variance| variance.sqrt().max(1e-7));
    let mean = spread(mean);
    if norm.invert { x * &deviation + &mean } else { (x - &mean) / &deviation }
}

/// Whole channels stay or go: `kept` has one decision for each channel of each sample.
pub(super) fn spatial_dropout(rate: f64, x: &ArrayD<f64>, kept: &[bool]) -> ArrayD<f64> {
    let (batch, channels) = (x.shape()[0], x.shape()[x.ndim() - 1]);
    let sample = x.len() / batch;
    let values = x.iter().enumerate().map(|(index, x)| {
        let keep = kept[index / sample * channels + index % channels];
        if keep { x / (1.0 - rate) } else { 0.0 }
    });
    ArrayD::from_shape_vec(x.shape(), values.collect()).expect("as many")
}

/// a·x + b with −λα for what goes, where a and b restore mean 0 and variance 1 (Klambauer et al.).
pub(super) fn alpha_dropout(rate: f64, x: &ArrayD<f64>, kept: &[bool]) -> ArrayD<f64> {
    let limit = -1.758_099_340_847_376_6;
    let q = 1.0 - rate;
    let a = (q + limit * limit * q * (1.0 - q)).powf(-0.5);
    let b = -a * (1.0 - q) * limit;
    let values = x.iter().zip(kept).map(|(&x, &keep)| a * (if keep { x } else { limit }) + b);
    ArrayD::from_shape_vec(x.shape(), values.collect()).expect("as many")
}

fn reshaped(x: &ArrayD<f64>, shape: Vec<usize>) -> ArrayD<f64> {
    let values = x.iter().copied().collect(); // in logical, that is row-major, order
    ArrayD::from_shape_vec(shape, values).expect("as many elements")
}

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

fn conv2d(conv: &Conv2d, x: &ArrayD<f64>, own: &Own) -> ArrayD<f64> {
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

fn conv1d(conv: &Conv1d, x: &ArrayD<f64>, own: &Own) -> ArrayD<f64> {
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

fn pool1d(pool: &Pool1d, x: &ArrayD<f64>) -> ArrayD<f64> {
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
fn depthwise(
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
fn pointwise(kernel: &ArrayD<f64>, x: &ArrayD<f64>) -> ArrayD<f64> {
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
fn conv2d_transpose(conv: &Conv2dTranspose, x: &ArrayD<f64>, kernel: &ArrayD<f64>) -> ArrayD<f64> {
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
fn biased(result: ArrayD<f64>, own: &Own) -> ArrayD<f64> {
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

fn pool2d(pool: &Pool2d, x: &ArrayD<f64>) -> ArrayD<f64> {
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
fn larger(first: f64, second: f64) -> f64 {
    if second > first || (second.is_nan() && !first.is_nan()) { second } else { first }
}

/// Over the last axis, whatever stands before it.
fn dense(x: &ArrayD<f64>, own: &Own) -> ArrayD<f64> {
    let kernel = own["kernel"].clone().into_dimensionality::<Ix2>().expect("a matrix");
    let (inputs, units) = kernel.dim();
    let mut shape = x.shape().to_vec();
    let rows = shape[..shape.len() - 1].iter().product();
    *shape.last_mut().expect("a last axis") = units;
    let x = reshaped(x, vec![rows, inputs]);
    let mut result = ArrayD::zeros(vec![rows, units]);
    for row in 0..rows {
        for unit in 0..units {
            let mut sum = own.get("bias").map_or(0.0, |bias| bias[[unit]]);
            for input in 0..inputs {
                sum += x[[row, input]] * kernel[[input, unit]];
            }
            result[[row, unit]] = sum;
        }
    }
    reshaped(&result, shape)
}

pub(super) fn dropout(rate: f64, x: &ArrayD<f64>, kept: &[bool]) -> ArrayD<f64> {
    let values = x.iter().zip(kept).map(|(x, &kept)| if kept { x / (1.0 - rate) } else { 0.0 });
    ArrayD::from_shape_vec(x.shape(), values.collect()).expect("as many elements")
}

/// Mean and biased variance of each channel.
#[derive(Debug)]
pub(super) struct Statistics {
    pub(super) mean: Vec<f64>,
    pub(super) variance: Vec<f64>,
}

/// Over the batch and all axes but the last.
pub(super) fn batch_statistics(x: &ArrayD<f64>) -> Statistics {
    let (mut mean, mut variance) = (Vec::new(), Vec::new());
    for channel in x.axis_iter(Axis(x.ndim() - 1)) {
        let count = channel.len() as f64;
        let middle = channel.iter().sum::<f64>() / count;
        mean.push(middle);
        variance.push(channel.iter().map(|x| (x - middle).powi(2)).sum::<f64>() / count);
    }
    Statistics { mean, variance }
}

pub(super) fn batch_normalization(
    norm: &BatchNormalization,
    x: &ArrayD<f64>,
    statistics: &Statistics,
    own: &Own,
) -> ArrayD<f64> {
    let mut result = x.clone();
    for (channel, mut values) in result.axis_iter_mut(Axis(x.ndim() - 1)).enumerate() {
        let deviation = (statistics.variance[channel] + norm.epsilon).sqrt();
        let gamma = own.get("gamma").map_or(1.0, |gamma| gamma[[channel]]);
        let beta = own.get("beta").map_or(0.0, |beta| beta[[channel]]);
        values.mapv_inplace(|x| (x - statistics.mean[channel]) / deviation * gamma + beta);
    }
    result
}

fn arranged(arrange: &Arrange, x: &ArrayD<f64>) -> ArrayD<f64> {
    match *arrange {
        Arrange::Permute { ref dims } => x.clone().permuted_axes([&[0], &dims[..]].concat()),
        Arrange::Cropping1d(sides) => cropped(x, 1, sides),
        Arrange::Cropping2d([top, bottom, left, right]) => {
            cropped(&cropped(x, 1, [top, bottom]), 2, [left, right])
        }
        Arrange::ZeroPadding1d(sides) => zero_padded(x, 1, sides),
        Arrange::ZeroPadding2d([top, bottom, left, right]) => {
            zero_padded(&zero_padded(x, 1, [top, bottom]), 2, [left, right])
        }
        Arrange::UpSampling1d { size } => repeated(x, 1, size),
        Arrange::UpSampling2d { size } => repeated(&repeated(x, 1, size[0]), 2, size[1]),
        Arrange::RepeatVector { n } => repeated(&x.clone().insert_axis(Axis(1)), 1, n),
    }
}

fn cropped(x: &ArrayD<f64>, axis: usize, [before, after]: [usize; 2]) -> ArrayD<f64> {
    let end = x.shape()[axis] - after;
    x.slice_axis(Axis(axis), (before..end).into()).to_owned()
}

fn zero_padded(x: &ArrayD<f64>, axis: usize, sides: [usize; 2]) -> ArrayD<f64> {
    let zeros = |length| {
        let mut shape = x.shape().to_vec();
        shape[axis] = length;
        ArrayD::zeros(shape)
    };
    let [before, after] = sides.map(zeros);
    concatenate(Axis(axis), &[before.view(), x.view(), after.view()]).expect("shapes that fit")
}

fn repeated(x: &ArrayD<f64>, axis: usize, times: usize) -> ArrayD<f64> {
    let places: Vec<usize> = (0..x.shape()[axis] * times).map(|place| place / times).collect();
    x.select(Axis(axis), &places)
}

/// What stands at the centres of `times` as many places along `axis`, on straight lines between the
/// centres of those that there are.
fn interpolated(x: &ArrayD<f64>, axis: usize, times: usize) -> ArrayD<f64> {
    let size = x.shape()[axis];
    let mut shape = x.shape().to_vec();
    shape[axis] *= times;
    ArrayD::from_shape_fn(shape, |at| {
        let center = (at[axis] as f64 + 0.5) / times as f64 - 0.5;
        let center = center.clamp(0.0, (size - 1) as f64);
        let value = |place: f64| {
            let mut at = at.clone();
            at[axis] = place as usize;
            x[at]
        };
        let (low, high) = (center.floor(), center.ceil());
        value(low) + (value(high) - value(low)) * (center - low)
    })
}

/// The first input joined with each further one in turn, element by element.
fn folded(inputs: &[&ArrayD<f64>], join: impl Fn(f64, f64) -> f64) -> ArrayD<f64> {
    let mut result = inputs[0].clone();
    for input in &inputs[1..] {
        result.zip_mut_with(input, |a, &b| *a = join(*a, b));
    }
    result
}
