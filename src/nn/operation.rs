//! What each layer computes, with the places of its parameters.

use super::layout::Layout;
use super::numbers::Numbers;
use super::plan::{GroupNorm, LayerNorm, Norm, Op, Weights};
use crate::model::{
    ChannelRescaling, GlobalPool2d, Graph, LayerSpec, Merge, Normalization,
    NormalizationStatistics, axis_of_sample,
};
use crate::ops::arrange::{Arrangement, Slot};
use crate::ops::broadcast::Broadcast;
use crate::ops::merge::Extreme;
use crate::ops::{conv2d, dense, global_pool2d, group_normalization, pool2d, softmax, up_sampling};
use crate::tensor::Shape;

/// The places of one layer's parameters.
pub(super) struct LayerWeights<'a>(Vec<(&'a str, Weights)>);

impl<'a> LayerWeights<'a> {
    pub(super) fn new(graph: &'a Graph, layout: &Layout, layer: usize) -> Self {
        let of_layer = graph.parameters().iter().zip(layout.ranges());
        let of_layer = of_layer.filter(|(parameter, _)| parameter.layer == layer);
        let weights = of_layer.map(|(parameter, range)| {
            let trained = graph.is_trained(parameter);
            (parameter.name, Weights { range: range.clone(), trained })
        });
        Self(weights.collect())
    }

    fn find(&self, name: &str) -> Option<Weights> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, weights)| weights.clone())
    }

    fn get(&self, name: &str) -> Weights {
        self.find(name).expect("the layer has this parameter")
    }
}

/// What a layer is applied to, and with what.
pub(super) struct Applied<'a> {
    pub(super) inputs: &'a [&'a Shape],
    pub(super) output: &'a Shape,
    pub(super) weights: &'a LayerWeights<'a>,
    /// The name of the kernel, if there is one.
    pub(super) kernel: &'static str,
}

/// What a layer, or a part of one, computes of an `input` of this shape.
pub(super) fn operation(
    spec: &LayerSpec,
    input: &Shape,
    applied: &Applied<'_>,
    trainable: bool,
) -> Op {
    let Applied { inputs, output, weights, kernel } = *applied;
    let image = || input.as_image().expect("checked with the graph");
    let bias = |used: bool| used.then(|| weights.get("bias"));
    match spec {
        LayerSpec::Input(_) | LayerSpec::Flatten | LayerSpec::Reshape(_) | LayerSpec::Identity => {
            unreachable!("it only names or renames a value")
        }
        LayerSpec::Conv1d(_)
        | LayerSpec::DepthwiseConv2d(_)
        | LayerSpec::SeparableConv2d(_)
        | LayerSpec::Pool1d(_)
        | LayerSpec::GlobalPool1d(_) => unreachable!("it is made of others"),
        LayerSpec::Conv2d(conv) => Op::Conv2d {
            geometry: Box::new(conv2d::Geometry::new(conv, input)),
            kernel: weights.get(kernel),
            bias: bias(conv.use_bias),
        },
        LayerSpec::Conv2dTranspose(conv) => {
            let (transposed, output) = conv.transposed(input).expect("checked with the graph");
            let geometry = conv2d::Geometry::with_input_gradient(&transposed, &output);
            Op::Transposed {
                geometry: Box::new(geometry),
                kernel: weights.get(kernel),
                bias: bias(conv.use_bias),
            }
        }
        LayerSpec::Dense(dense) => {
            let inputs = input.dims().last().copied().expect("checked with the graph");
            Op::Dense {
                geometry: dense::Geometry::new(inputs, dense.units),
                rows: input.elements() / inputs,
                kernel: weights.get(kernel),
                bias: bias(dense.use_bias),
            }
        }
        LayerSpec::Pool2d(pool) => Op::Pool2d(Box::new(pool2d::Geometry::new(pool, input))),
        LayerSpec::GlobalPool2d(GlobalPool2d { kind, .. }) => {
            let (height, width, channels) = image();
            let geometry = global_pool2d::Geometry { cells: height * width, channels };
            Op::GlobalPool2d { kind: *kind, geometry }
        }
        LayerSpec::Dropout(dropout) => Op::Dropout { rate: dropout.rate },
        LayerSpec::BatchNormalization(norm) => {
            let moving_mean = weights.get("moving_mean");
            let channels = moving_mean.range.len();
            Op::BatchNormalization(Norm {
                gamma: weights.find("gamma"),
                beta: weights.find("beta"),
                moving_mean: moving_mean.range,
                moving_variance: weights.get("moving_variance").range,
                momentum: norm.momentum,
                epsilon: norm.epsilon,
                by_batch: trainable,
                channels,
                rows: input.elements() / channels,
            })
        }
        LayerSpec::Activation(_) => Op::Activation,
        LayerSpec::Arrange(arrange) => {
            let axes = arrange.axes(input).expect("checked with the graph");
            Op::Arrange(Arrangement::new(&axes))
        }
        LayerSpec::Rescaling(rescaling) => Op::Rescaling(*rescaling),
        LayerSpec::Softmax(softmax) => {
            let axis = axis_of_sample(softmax.axis, input.rank()).expect("checked with the graph");
            let columns = input.dims()[axis + 1..].iter().product();
            Op::Softmax(softmax::Geometry { count: input.dims()[axis], columns })
        }
        LayerSpec::PRelu(prelu) => {
            let own: Vec<bool> = prelu.own_axes(input.rank()).collect();
            Op::PRelu { broadcast: Broadcast::new(input, &own), alpha: weights.get("alpha") }
        }
        LayerSpec::LayerNormalization(norm) => {
            let row = &input.dims()[input.rank() - norm.trailing_axes..];
            let width: usize = row.iter().product();
            Op::LayerNormalization(LayerNorm {
                gamma: weights.find("gamma"),
                beta: weights.find("beta"),
                method: norm.method,
                epsilon: norm.epsilon,
                width,
                rows: input.elements() / width,
            })
        }
        LayerSpec::GroupNormalization(norm) => {
            let (order, axes) = norm.grouping(input).expect("checked with the graph");
            let order = order.axes(&axes).expect("checked with the graph");
            let channels = input.dims().last().copied().expect("checked with the graph");
            Op::GroupNormalization(GroupNorm {
                gamma: weights.find("gamma"),
                beta: weights.find("beta"),
                epsilon: norm.epsilon,
                geometry: group_normalization::Geometry {
                    arrangement: Arrangement::new(&order),
                    groups: norm.groups,
                    width: input.elements() / norm.groups,
                    channels,
                },
            })
        }
        LayerSpec::BilinearUpSampling2d(settings) => {
            let (height, width, channels) = image();
            Op::UpSampling(up_sampling::Geometry::new(*settings, [height, width, channels]))
        }
        LayerSpec::Normalization(norm) => normalization(norm, input, weights),
        LayerSpec::ChannelRescaling(ChannelRescaling { scale, offset }) => {
            let mut own = vec![false; input.rank()];
            own[input.rank() - 1] = true;
            Op::Standardize {
                broadcast: Broadcast::new(input, &own),
                shift: Numbers::given(offset),
                factor: Numbers::given(scale),
                invert: true,
            }
        }
        LayerSpec::Noise(noise) => {
            let channels = input.dims().last().copied().unwrap_or(1);
            Op::Noise { noise: *noise, channels }
        }
        LayerSpec::Merge(Merge::Add) => Op::Add,
        LayerSpec::Merge(Merge::Subtract) => Op::Subtract,
        LayerSpec::Merge(Merge::Multiply) => Op::Multiply,
        LayerSpec::Merge(Merge::Average) => Op::Average,
        LayerSpec::Merge(Merge::Maximum) => Op::Extreme(Extreme::Largest),
        LayerSpec::Merge(Merge::Minimum) => Op::Extreme(Extreme::Least),
        LayerSpec::Merge(Merge::Concatenate { axis }) => {
            let axis = axis_of_sample(*axis, input.rank()).expect("checked with the graph");
            let inner: usize = output.dims()[axis + 1..].iter().product();
            let stride = output.dims()[axis] * inner;
            let mut offset = 0;
            let slots = inputs.iter().map(|shape| {
                let slot = Slot { length: shape.dims()[axis] * inner, stride, offset };
                offset += slot.length;
                slot
            });
            Op::Concatenate(slots.collect())
        }
    }
}

fn normalization(norm: &Normalization, input: &Shape, weights: &LayerWeights<'_>) -> Op {
    let mut own = norm.own_axes(input).expect("checked with the graph");
    let (shift, factor) = match &norm.statistics {
        NormalizationStatistics::Stored => (
            Numbers::Stored(weights.get("mean").range),
            Numbers::RootsOf(weights.get("variance").range),
        ),
        NormalizationStatistics::Given { mean, variance } => {
            if mean.len() == 1 {
                own.fill(false); // one for all
            }
            (Numbers::given(mean), Numbers::deviations(variance))
        }
    };
    Op::Standardize { broadcast: Broadcast::new(input, &own), shift, factor, invert: norm.invert }
}
