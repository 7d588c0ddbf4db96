//! The parameters that layers need.

use super::{BatchNormalization, Initializer, Layer, LayerSpec, NormalizationStatistics};
use crate::tensor::Shape;

/// A tensor of numbers that a layer owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The index of the layer in the graph.
    pub layer: usize,
    /// Such as `kernel`; unique within the layer.
    pub name: &'static str,
    pub shape: Shape,
    /// Whether an optimizer may ever change it (moving averages are not for it to change).
    pub learned: bool,
    pub initializer: Initializer,
    /// Adds `l2`·Σw² to the loss.
    pub l2: f64,
}

/// The most elements that all parameters together may have: as many as f64s fit the address space.
const MAX_PARAMETERS: usize = isize::MAX as usize / 8;

/// The parameters that layer number `index` needs for an input of shape `input`, for which
/// [`output_shape`] has found no fault, in the order of Keras.
pub(super) fn parameters(index: usize, layer: &Layer, input: &Shape) -> Vec<Parameter> {
    use Initializer::{Ones, Zeros};
    let parameter = |name, shape: Shape, initializer| Parameter {
        layer: index,
        name,
        shape,
        learned: true,
        initializer,
        l2: 0.0,
    };
    let average = |name, shape, initializer| Parameter {
        learned: false,
        ..parameter(name, shape, initializer)
    };
    let kernel = |name, shape, initializer, l2| Parameter {
        l2,
        ..parameter(name, Shape::new(shape), initializer)
    };
    let bias = |length, initializer| parameter("bias", Shape::vector(length), initializer);
    let with_bias = |kernel, use_bias: bool, bias| {
        [Some(kernel), use_bias.then_some(bias)].into_iter().flatten().collect()
    };
    let channels = input.dims().last().copied().unwrap_or(1);
    match &layer.spec {
        LayerSpec::Conv1d(conv) => {
            let shape = vec![conv.kernel, channels / conv.groups, conv.filters];
            let kernel = kernel("kernel", shape, conv.kernel_initializer, conv.kernel_l2);
            with_bias(kernel, conv.use_bias, bias(conv.filters, conv.bias_initializer))
        }
        LayerSpec::Conv2d(conv) => {
            let [height, width] = conv.kernel;
            let shape = vec![height, width, channels / conv.groups, conv.filters];
            let kernel = kernel("kernel", shape, conv.kernel_initializer, conv.kernel_l2);
            with_bias(kernel, conv.use_bias, bias(conv.filters, conv.bias_initializer))
        }
        LayerSpec::DepthwiseConv2d(conv) => {
            let [height, width] = conv.kernel;
            let shape = vec![height, width, channels, conv.depth_multiplier];
            let kernel = kernel("kernel", shape, conv.kernel_initializer, conv.kernel_l2);
            let filters = channels.saturating_mul(conv.depth_multiplier);
            with_bias(kernel, conv.use_bias, bias(filters, conv.bias_initializer))
        }
        LayerSpec::SeparableConv2d(conv) => {
            let ([height, width], between) =
                (conv.kernel, channels.saturating_mul(conv.depth_multiplier));
            let shape = vec![height, width, channels, conv.depth_multiplier];
            let initializer = conv.depthwise_initializer;
            let mut all = vec![kernel("depthwise_kernel", shape, initializer, conv.depthwise_l2)];
            let (shape, initializer) =
                (vec![1, 1, between, conv.filters], conv.pointwise_initializer);
            all.push(kernel("pointwise_kernel", shape, initializer, conv.pointwise_l2));
            all.extend(conv.use_bias.then(|| bias(conv.filters, conv.bias_initializer)));
            all
        }
        LayerSpec::Conv2dTranspose(conv) => {
            let [height, width] = conv.kernel;
            let shape = vec![height, width, conv.filters, channels];
            let kernel = kernel("kernel", shape, conv.kernel_initializer, conv.kernel_l2);
            with_bias(kernel, conv.use_bias, bias(conv.filters, conv.bias_initializer))
        }
        LayerSpec::Dense(dense) => {
            let shape = vec![channels, dense.units];
            let kernel = kernel("kernel", shape, dense.kernel_initializer, dense.kernel_l2);
            with_bias(kernel, dense.use_bias, bias(dense.units, dense.bias_initializer))
        }
        LayerSpec::BatchNormalization(BatchNormalization { center, scale, .. }) => [
            scale.then(|| parameter("gamma", Shape::vector(channels), Ones)),
            center.then(|| parameter("beta", Shape::vector(channels), Zeros)),
            Some(average("moving_mean", Shape::vector(channels), Zeros)),
            Some(average("moving_variance", Shape::vector(channels), Ones)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        LayerSpec::PRelu(prelu) => {
            vec![parameter("alpha", prelu.shape(input), prelu.alpha_initializer)]
        }
        LayerSpec::LayerNormalization(norm) => {
            let row = norm.row(input).expect("no fault was found");
            let gamma = norm.scale.then(|| parameter("gamma", row.clone(), Ones));
            let beta = norm.center.then(|| parameter("beta", row, Zeros));
            [gamma, beta].into_iter().flatten().collect()
        }
        LayerSpec::GroupNormalization(norm) => {
            let gamma = norm.scale.then(|| parameter("gamma", Shape::vector(channels), Ones));
            let beta = norm.center.then(|| parameter("beta", Shape::vector(channels), Zeros));
            [gamma, beta].into_iter().flatten().collect()
        }
        LayerSpec::Normalization(norm) if norm.statistics == NormalizationStatistics::Stored => {
            let shape = norm.shape(input).expect("no fault was found");
            vec![average("mean", shape.clone(), Zeros), average("variance", shape, Ones)]
        }
        LayerSpec::Input(_)
        | LayerSpec::Pool1d(_)
        | LayerSpec::Pool2d(_)
        | LayerSpec::GlobalPool1d(_)
        | LayerSpec::GlobalPool2d(_)
        | LayerSpec::Flatten
        | LayerSpec::Reshape(_)
        | LayerSpec::Dropout(_)
        | LayerSpec::Activation(_)
        | LayerSpec::Arrange(_)
        | LayerSpec::BilinearUpSampling2d(_)
        | LayerSpec::Rescaling(_)
        | LayerSpec::Identity
        | LayerSpec::Softmax(_)
        | LayerSpec::Normalization(_)
        | LayerSpec::ChannelRescaling(_)
        | LayerSpec::Noise(_)
        | LayerSpec::Merge(_) => Vec::new(),
    }
}

/// The elements of `parameters` on top of `others`, if they can be addressed.
pub(super) fn count_elements(others: usize, parameters: &[Parameter]) -> Option<usize> {
    let add = |sum: usize, own: &Parameter| sum.checked_add(own.shape.checked_elements()?);
    parameters.iter().try_fold(others, add).filter(|&sum| sum <= MAX_PARAMETERS)
}
