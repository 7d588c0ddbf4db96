//! The layers, each as its definition reads.

use std::collections::BTreeMap;

use ndarray::{ArrayD, ArrayViewD, Axis, Ix2, concatenate};

use super::activations::activate;
use super::windows::{
    biased, conv1d, conv2d, conv2d_transpose, depthwise, larger, pointwise, pool1d, pool2d,
};
use crate::model::{
    Arrange, BatchNormalization, BilinearUpSampling2d, ChannelRescaling, DepthwiseConv2d,
    GroupNormalization, LayerNormalization, LayerSpec, Merge, Normalization,
    NormalizationStatistics, Pool1d, Pool2d, RowMethod, Softmax,
};

/// A layer's parameters, by name.
pub(super) type Own = BTreeMap<&'static str, ArrayD<f64>>;

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
