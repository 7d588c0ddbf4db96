//! Shape inference: what a layer gives for what it takes, and which settings it refuses.
//! Checked arithmetic throughout, because an architecture may come out of a hostile file.

use super::error::Shapes;
use super::window::MAX_PLACES;
use super::{
    Activation, BilinearUpSampling2d, Conv2d, GraphError, Layer, LayerSpec, Merge, Noise, PRelu,
    Padding,
};
use crate::tensor::Shape;

/// The rule that is broken.
pub(super) type Rule = String;

/// The shape that `layer` gives for `inputs`.
pub(crate) fn output_shape(layer: &Layer, inputs: &[&Shape]) -> Result<Shape, GraphError> {
    let kind = layer.spec.kind();
    let spec = &layer.spec;
    let shape = match (spec, inputs) {
        (LayerSpec::Input(shape), []) => Ok(shape.clone()),
        (LayerSpec::Input(_), _) => Err("an input layer takes nothing".to_owned()),
        (LayerSpec::Merge(merge), inputs) => merged(*merge, inputs),
        (spec, [input]) => single(spec, input),
        (_, inputs) => Err(format!("it takes one input, not {}", inputs.len())),
    };
    let shape = shape.and_then(|shape| match shape.checked_elements() {
        Some(0) => Err(format!("the result {shape} would be empty")),
        _ => Ok(shape),
    });
    let input = || Shapes(inputs.iter().map(|&shape| shape.clone()).collect());
    let layer = || layer.name.clone();
    match shape {
        Ok(shape) => match countable(spec, inputs, &shape) {
            Ok(()) => Ok(shape),
            Err(rule) => Err(GraphError::Size { layer: layer(), kind, input: input(), rule }),
        },
        Err(rule) => Err(GraphError::Shape { layer: layer(), kind, input: input(), rule }),
    }
}

/// Refuses what is sound, but too large for its places to be counted in 32 bits.
fn countable(spec: &LayerSpec, inputs: &[&Shape], shape: &Shape) -> Result<(), Rule> {
    if shape.checked_elements().is_none_or(|elements| elements > MAX_PLACES) {
        return Err(format!("the result {shape} is larger than 2³² − 1 elements"));
    }
    let [input] = inputs else { return Ok(()) };
    spec.parts(input)?.iter().try_for_each(|(part, input)| match part {
        LayerSpec::Conv2d(conv) => countable_convolution(conv, input),
        LayerSpec::Conv2dTranspose(conv) => {
            let (conv, output) = conv.transposed(input)?;
            countable_convolution(&conv, &output)
        }
        LayerSpec::Pool2d(pool) => {
            let window = pool.window(input)?;
            window.countable([0, 1].map(|axis| window.kernel[axis].min(window.input[axis])))
        }
        _ => Ok(()),
    })
}

fn countable_convolution(conv: &Conv2d, input: &Shape) -> Result<(), Rule> {
    let window = conv.window(input)?;
    window.countable(window.kernel)?;
    let (_, _, channels) = image(input)?;
    let between = Shape::image(window.output[0], window.output[1], conv.filters);
    let padded = Shape::image(window.extent()[0], window.extent()[1], channels);
    let fits = |shape: &Shape| shape.checked_elements().is_some_and(|all| all <= MAX_PLACES);
    match (fits(&between), fits(&padded)) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("the result {between} is larger than 2³² − 1 elements")),
        _ => Err(format!("the image in its padding, {padded}, has 2³² elements or more")),
    }
}

pub(super) fn image(input: &Shape) -> Result<(usize, usize, usize), Rule> {
    input.as_image().ok_or_else(|| "it takes images: height, width, channels".to_owned())
}

fn last(input: &Shape) -> Result<usize, Rule> {
    input.dims().last().copied().ok_or_else(|| "it takes one axis or more".to_owned())
}

/// What a layer gives that takes one input.
pub(super) fn single(spec: &LayerSpec, input: &Shape) -> Result<Shape, Rule> {
    match spec {
        LayerSpec::Conv1d(_) | LayerSpec::Pool1d(_) | LayerSpec::GlobalPool1d(_) => {
            let image = last_of_parts(spec, input)?;
            // The height is the sequence's own only in disguise.
            Ok(match image.as_image() {
                Some((_, steps, channels)) => Shape::sequence(steps, channels),
                None => image,
            })
        }
        LayerSpec::DepthwiseConv2d(_) | LayerSpec::SeparableConv2d(_) => last_of_parts(spec, input),
        LayerSpec::Conv2dTranspose(conv) => conv.transposed(input).map(|(_, output)| output),
        LayerSpec::Conv2d(conv) => {
            let (_, _, channels) = image(input)?;
            if !channels.is_multiple_of(conv.groups) {
                return Err(format!(
                    "{channels} channels cannot be split into {} groups",
                    conv.groups
                ));
            }
            let window = conv.window(input)?;
            let [height, width] = window.output;
            Ok(Shape::image(height, width, conv.filters))
        }
        LayerSpec::Pool2d(pool) => {
            let (_, _, channels) = image(input)?;
            let window = pool.window(input)?;
            if let Padding::Explicit { top, bottom, left, right } = pool.padding {
                let [height, width] = pool.pool;
                if top.max(bottom) >= height || left.max(right) >= width {
                    return Err("the padding is as large as the pool, \
                                so a pool could hold no real cell"
                        .to_owned());
                }
            }
            let [height, width] = window.output;
            Ok(Shape::image(height, width, channels))
        }
        LayerSpec::GlobalPool2d(pool) => {
            let (_, _, channels) = image(input)?;
            Ok(if pool.keep_dims { Shape::image(1, 1, channels) } else { Shape::vector(channels) })
        }
        LayerSpec::Flatten => {
            let elements = input.checked_elements().ok_or("the input is too large")?;
            Ok(Shape::vector(elements))
        }
        LayerSpec::Reshape(target) => {
            if target.checked_elements() == input.checked_elements() {
                Ok(target.clone())
            } else {
                Err(format!("it cannot become {target}: another number of elements"))
            }
        }
        LayerSpec::Dense(dense) => {
            last(input)?;
            let outer = &input.dims()[..input.rank() - 1];
            Ok(Shape::new([outer, &[dense.units]].concat()))
        }
        LayerSpec::Activation(Activation::Softmax | Activation::LogSoftmax)
        | LayerSpec::BatchNormalization(_)
        | LayerSpec::Noise(Noise::SpatialDropout { .. }) => last(input).map(|_| input.clone()),
        LayerSpec::Activation(_)
        | LayerSpec::Dropout(_)
        | LayerSpec::Rescaling(_)
        | LayerSpec::Identity
        | LayerSpec::Noise(_) => Ok(input.clone()),
        LayerSpec::Softmax(softmax) => {
            axis_of_sample(softmax.axis, input.rank()).map(|_| input.clone())
        }
        LayerSpec::PRelu(prelu) => match prelu.shared_axes.last() {
            Some(&axis) if axis > input.rank() => Err(format!("there is no axis {axis} to share")),
            _ => Ok(input.clone()),
        },
        LayerSpec::LayerNormalization(norm) => norm.row(input).map(|_| input.clone()),
        LayerSpec::GroupNormalization(norm) => norm.grouping(input).map(|_| input.clone()),
        LayerSpec::BilinearUpSampling2d(BilinearUpSampling2d { size: [down, across] }) => {
            let (height, width, channels) = image(input)?;
            let sides = height.checked_mul(*down).zip(width.checked_mul(*across));
            let (height, width) = sides.ok_or("the result is too large")?;
            Ok(Shape::image(height, width, channels))
        }
        LayerSpec::Normalization(norm) => norm.shape(input).map(|_| input.clone()),
        LayerSpec::ChannelRescaling(rescaling) => {
            let (channels, scales) = (last(input)?, rescaling.scale.len());
            if channels != scales {
                return Err(format!("{scales} scales are given for {channels} channels"));
            }
            Ok(input.clone())
        }
        LayerSpec::Arrange(arrange) => {
            let lengths: Vec<usize> = arrange.axes(input)?.iter().map(|axis| axis.length).collect();
            Ok(lengths.into())
        }
        LayerSpec::Input(_) | LayerSpec::Merge(_) => unreachable!("handled by the caller"),
    }
}

/// What the last part gives of a layer that is made of others.
fn last_of_parts(spec: &LayerSpec, input: &Shape) -> Result<Shape, Rule> {
    let parts = spec.parts(input)?;
    let (last, input) = parts.last().ok_or("it is made of nothing")?;
    single(last, input)
}

fn merged(merge: Merge, inputs: &[&Shape]) -> Result<Shape, Rule> {
    let [first, rest @ ..] = inputs else {
        return Err("it takes one input or more".to_owned());
    };
    match merge {
        Merge::Subtract if rest.len() != 1 => {
            Err(format!("it takes two inputs, not {}", inputs.len()))
        }
        Merge::Add
        | Merge::Subtract
        | Merge::Multiply
        | Merge::Average
        | Merge::Maximum
        | Merge::Minimum => {
            if rest.iter().any(|shape| shape != first) {
                return Err("all inputs must have one shape".to_owned());
            }
            Ok((*first).clone())
        }
        Merge::Concatenate { axis } => {
            let axis = axis_of_sample(axis, first.rank())?;
            let mut dims = first.dims().to_vec();
            for shape in rest {
                let differs = |(index, (a, b)): (usize, (&usize, &usize))| index != axis && a != b;
                if shape.rank() != first.rank()
                    || first.dims().iter().zip(shape.dims()).enumerate().any(differs)
                {
                    return Err("the inputs may differ only along the axis joined".to_owned());
                }
                dims[axis] =
                    dims[axis].checked_add(shape.dims()[axis]).ok_or("the result is too large")?;
            }
            Ok(Shape::new(dims))
        }
    }
}

/// The axis of a sample (batch not counted) that Keras' `axis` means for samples of `rank`.
pub(crate) fn axis_of_sample(axis: i32, rank: usize) -> Result<usize, Rule> {
    let batched = rank as i64 + 1;
    let index = if axis < 0 { i64::from(axis) + batched } else { i64::from(axis) };
    if index == 0 {
        return Err("the batch axis cannot be taken".to_owned());
    }
    if !(1..batched).contains(&index) {
        return Err(format!("there is no axis {axis}"));
    }
    Ok(index as usize - 1)
}

pub(super) fn finite(name: &str, value: f64) -> Result<(), Rule> {
    if value.is_finite() { Ok(()) } else { Err(format!("{name} must be finite, not {value}")) }
}

pub(super) fn not_negative(name: &str, value: f64) -> Result<(), Rule> {
    if value >= 0.0 { Ok(()) } else { Err(format!("{name} must not be negative, but is {value}")) }
}

/// What is wrong with a layer's own settings, whatever its input.
pub(super) fn check_settings(spec: &LayerSpec) -> Result<(), Rule> {
    let l2 = |l2: f64| {
        not_negative("kernel_l2", l2)?;
        finite("kernel_l2", l2)
    };
    let counts = |counts: &[usize], words: &str| match counts.contains(&0) {
        true => Err(format!("{words} must be 1 or more")),
        false => Ok(()),
    };
    match spec {
        LayerSpec::Conv1d(conv) => check_settings(&conv.on_images().into()),
        LayerSpec::DepthwiseConv2d(conv) => {
            counts(&[conv.depth_multiplier], "depth_multiplier")?;
            l2(conv.kernel_l2)?;
            conv.activation.check()
        }
        LayerSpec::SeparableConv2d(conv) => {
            counts(&[conv.filters, conv.depth_multiplier], "filters and depth_multiplier")?;
            l2(conv.depthwise_l2)?;
            l2(conv.pointwise_l2)?;
            conv.activation.check()
        }
        LayerSpec::Conv2dTranspose(conv) => {
            counts(&[conv.filters], "filters")?;
            counts(
                &[conv.kernel, conv.strides, conv.dilation].concat(),
                "kernel, strides and dilation",
            )?;
            l2(conv.kernel_l2)?;
            conv.activation.check()
        }
        LayerSpec::Conv2d(conv) => {
            if conv.filters == 0 || conv.groups == 0 {
                return Err("filters and groups must be 1 or more".to_owned());
            }
            if !conv.filters.is_multiple_of(conv.groups) {
                let Conv2d { filters, groups, .. } = conv;
                return Err(format!("{filters} filters cannot be split into {groups} groups"));
            }
            l2(conv.kernel_l2)?;
            conv.activation.check()
        }
        LayerSpec::Dense(dense) => {
            if dense.units == 0 {
                return Err("units must be 1 or more".to_owned());
            }
            l2(dense.kernel_l2)?;
            dense.activation.check()
        }
        LayerSpec::Dropout(dropout) if !(0.0..1.0).contains(&dropout.rate) => {
            Err(format!("the rate must be at least 0 and below 1, not {}", dropout.rate))
        }
        LayerSpec::BatchNormalization(norm) => {
            if !(0.0..=1.0).contains(&norm.momentum) {
                return Err(format!("momentum must be from 0 to 1, not {}", norm.momentum));
            }
            if norm.epsilon <= 0.0 || !norm.epsilon.is_finite() {
                return Err(format!("epsilon must be above 0, not {}", norm.epsilon));
            }
            Ok(())
        }
        LayerSpec::Activation(function) => function.check(),
        LayerSpec::Rescaling(rescaling) => {
            finite("scale", rescaling.scale)?;
            finite("offset", rescaling.offset)
        }
        LayerSpec::Arrange(arrange) => arrange.check(),
        LayerSpec::PRelu(PRelu { shared_axes, .. }) => {
            if !shared_axes.is_sorted_by(|a, b| a < b) || shared_axes.first() == Some(&0) {
                return Err("shared axes must ascend from 1, the first of a sample".to_owned());
            }
            Ok(())
        }
        LayerSpec::LayerNormalization(norm) => norm.check(),
        LayerSpec::GroupNormalization(norm) => norm.check(),
        LayerSpec::BilinearUpSampling2d(BilinearUpSampling2d { size }) => counts(size, "the size"),
        LayerSpec::Normalization(norm) => norm.check(),
        LayerSpec::ChannelRescaling(rescaling) => rescaling.check(),
        LayerSpec::Noise(noise) => noise.check(),
        LayerSpec::Input(_)
        | LayerSpec::Pool1d(_)
        | LayerSpec::Pool2d(_)
        | LayerSpec::GlobalPool1d(_)
        | LayerSpec::GlobalPool2d(_)
        | LayerSpec::Flatten
        | LayerSpec::Reshape(_)
        | LayerSpec::Dropout(_)
        | LayerSpec::Identity
        | LayerSpec::Softmax(_)
        | LayerSpec::Merge(_) => Ok(()),
    }
}
