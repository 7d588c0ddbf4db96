//! Shape inference: what a layer gives for what it takes, and the parameters it needs for that.
//! Checked arithmetic throughout, because an architecture may come out of a hostile file.

use super::error::Shapes;
use super::{
    Activation, BatchNormalization, BilinearUpSampling2d, Conv2d, GraphError, Initializer, Layer,
    LayerSpec, Merge, Noise, NormalizationStatistics, PRelu, Padding, Pool2d,
};
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

/// A window (kernel or pool) resolved against an image: how it moves and what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window2d {
    /// Height, width of the image.
    pub input: [usize; 2],
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub dilation: [usize; 2],
    /// Padding above and to the left. What lies below and to the right follows from the output.
    pub before: [usize; 2],
    /// Height, width of the result.
    pub output: [usize; 2],
}

/// The rule that is broken.
pub(super) type Rule = String;

/// The most elements that all parameters together may have: as many as f64s fit the address space.
const MAX_PARAMETERS: usize = isize::MAX as usize / 8;

/// The most elements that one result may have, and the most cells that a window may meet on its way
/// over an image: places within a sample are counted in 32 bits.
const MAX_PLACES: usize = u32::MAX as usize;

impl Window2d {
    /// Resolves a window against an image of height and width `input`; the error is the rule that
    /// is broken.
    pub fn new(
        input: [usize; 2],
        kernel: [usize; 2],
        strides: [usize; 2],
        padding: Padding,
        dilation: [usize; 2],
    ) -> Result<Self, Rule> {
        let explicit = match padding {
            Padding::Valid => Some([(0, 0), (0, 0)]),
            Padding::Same => None,
            Padding::Explicit { top, bottom, left, right } => Some([(top, bottom), (left, right)]),
        };
        let mut window = Self { input, kernel, strides, dilation, before: [0; 2], output: [0; 2] };
        for axis in 0..2 {
            let name = ["height", "width"][axis];
            let (size, stride) = (input[axis], strides[axis]);
            if kernel[axis] == 0 || stride == 0 || dilation[axis] == 0 {
                return Err(format!("window, stride and dilation must be 1 or more in {name}"));
            }
            if size == 0 {
                return Err(format!("the image has no {name}"));
            }
            let too_large = || format!("the window or its padding is too large in {name}");
            let extent = (kernel[axis] - 1)
                .checked_mul(dilation[axis])
                .and_then(|reach| reach.checked_add(1))
                .ok_or_else(too_large)?;
            let (before, output) = match explicit {
                Some(sides) => {
                    let (before, after) = sides[axis];
                    let padded = size
                        .checked_add(before)
                        .and_then(|sum| sum.checked_add(after))
                        .ok_or_else(too_large)?;
                    if padded < extent {
                        return Err(format!(
                            "the window reaches over {extent} cells in {name}, the padded image \
                             has {padded}; pad with `same` or take a smaller window"
                        ));
                    }
                    (before, (padded - extent) / stride + 1)
                }
                None => {
                    let output = size.div_ceil(stride);
                    let needed =
                        ((output - 1) * stride).checked_add(extent).ok_or_else(too_large)?;
                    (needed.saturating_sub(size) / 2, output)
                }
            };
            window.before[axis] = before;
            window.output[axis] = output;
        }
        Ok(window)
    }

    /// The input row (axis 0) or column (axis 1) under cell `tap` of the window at output cell
    /// `output`, or `None` in the padding.
    pub fn source(&self, axis: usize, output: usize, tap: usize) -> Option<usize> {
        (output * self.strides[axis] + tap * self.dilation[axis])
            .checked_sub(self.before[axis])
            .filter(|&source| source < self.input[axis])
    }

    /// The input rows (axis 0) or columns (axis 1) under the window at output cell `output`, padding
    /// left out. It costs nothing for taps in the padding, however many there are.
    pub fn sources(&self, axis: usize, output: usize) -> impl Iterator<Item = usize> + use<> {
        let (start, dilation) = (output * self.strides[axis], self.dilation[axis]);
        let (before, size) = (self.before[axis], self.input[axis]);
        // Tap t lies at start + t·dilation − before.
        let first = before.saturating_sub(start).div_ceil(dilation);
        let end = (before + size).saturating_sub(start).div_ceil(dilation);
        (first..end.min(self.kernel[axis])).map(move |tap| start + tap * dilation - before)
    }

    /// The output rows (axis 0) or columns (axis 1) whose windows reach input `source`, each behind the
    /// tap that does, in the order of the taps.
    pub fn outputs(
        &self,
        axis: usize,
        source: usize,
    ) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (dilation, stride) = (self.dilation[axis], self.strides[axis]);
        let (position, output) = (source + self.before[axis], self.output[axis]);
        (0..self.kernel[axis]).filter_map(move |tap| {
            let start = position.checked_sub(tap * dilation)?;
            let reached = start.is_multiple_of(stride) && start / stride < output;
            reached.then_some((tap, start / stride))
        })
    }

    /// Rows and columns that all windows together reach over, padding included.
    pub fn extent(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let last = (self.output[axis] - 1) * self.strides[axis];
            last + (self.kernel[axis] - 1) * self.dilation[axis] + 1
        })
    }

    /// Refuses a window of so many `taps` that what it meets could not be counted.
    fn countable(&self, taps: [usize; 2]) -> Result<(), Rule> {
        let product = |sizes: [usize; 2]| sizes[0].checked_mul(sizes[1]);
        let cells = product(self.input).zip(product(self.output)).map(|(a, b)| a.max(b));
        let met = cells.zip(product(taps)).and_then(|(cells, taps)| cells.checked_mul(taps));
        match met {
            Some(met) if met <= MAX_PLACES => Ok(()),
            _ => {
                Err("on its way over the image the window would meet 2³² cells or more".to_owned())
            }
        }
    }
}

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

impl Conv2d {
    /// The kernel's window over images of shape `input`; the error is the rule that is broken.
    pub fn window(&self, input: &Shape) -> Result<Window2d, Rule> {
        let (height, width, _) = image(input)?;
        Window2d::new([height, width], self.kernel, self.strides, self.padding, self.dilation)
    }
}

impl Pool2d {
    /// How the pool slides over an image of shape `input`, channels last; the error is the rule
    /// that does not hold.
    pub fn window(&self, input: &Shape) -> Result<Window2d, Rule> {
        let (height, width, _) = image(input)?;
        Window2d::new([height, width], self.pool, self.strides, self.padding, [1; 2])
    }
}

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
