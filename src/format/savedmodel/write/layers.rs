//! Layers as operations of TensorFlow. It has operations for all of them.

use super::nodes::{Nodes, Ref, flag, kind, real};
use crate::model::{
    Arrange, BatchNormalization, ChannelRescaling, Dense, GlobalPool2d, GroupNormalization, Layer,
    LayerNormalization, LayerSpec, Merge, Normalization, NormalizationStatistics, PRelu, PoolKind,
    RowMethod, axis_of_sample,
};
use crate::tensor::Shape;
use crate::wire::tensorflow::DataType;

/// The value of a parameter in the function.
#[derive(Clone)]
pub(super) struct Parameter {
    pub(super) value: Ref,
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

/// Those of a layer, in their order.
pub(super) struct Parameters<'p>(pub(super) std::slice::Iter<'p, Parameter>);

impl Parameters<'_> {
    pub(super) fn take(&mut self) -> Option<Parameter> {
        self.0.next().cloned()
    }

    /// The next one, if it has this name.
    fn named(&mut self, name: &str) -> Option<Parameter> {
        let is_next = self.0.as_slice().first().is_some_and(|next| next.name == name);
        if is_next { self.take() } else { None }
    }
}

impl Nodes {
    /// What `layer` gives for these inputs; nothing if the graph was not checked.
    pub(super) fn layer(
        &mut self,
        layer: &Layer,
        inputs: &[(Ref, &Shape)],
        output: &Shape,
        parameters: &[Parameter],
    ) -> Option<Ref> {
        let (x, shape) = inputs.first()?;
        if let LayerSpec::Merge(merge) = layer.spec {
            return self.merge(merge, inputs, shape);
        }
        let parameters = &mut Parameters(parameters.iter());
        let mut result = (x.clone(), (*shape).clone());
        for (part, takes) in layer.spec.parts(shape).ok()? {
            // A sequence is an image of height 1 to some.
            if result.1 != takes {
                result.0 = self.reshape(&result.0, takes.dims());
            }
            let (value, gives) = self.part(&part, &takes, &result.0, parameters)?;
            result = (self.activate(part.activation(), &value), gives);
        }
        match result.1 == *output {
            true => Some(result.0),
            false => Some(self.reshape(&result.0, output.dims())),
        }
    }

    /// A layer that is made of no others, without its activation; and the shape of what it gives.
    fn part(
        &mut self,
        spec: &LayerSpec,
        input: &Shape,
        x: &str,
        parameters: &mut Parameters<'_>,
    ) -> Option<(Ref, Shape)> {
        let same = |y: Ref| Some((y, input.clone()));
        let y = match spec {
            LayerSpec::Conv2d(conv) => {
                let y = self.convolve(conv, input, x, parameters)?;
                let [rows, columns] = conv.window(input).ok()?.output;
                return Some((y, Shape::image(rows, columns, conv.filters)));
            }
            LayerSpec::Conv2dTranspose(conv) => {
                let y = self.convolve_transposed(conv, input, x, parameters)?;
                return Some((y, conv.transposed(input).ok()?.1));
            }
            LayerSpec::Pool2d(pool) => {
                let y = self.pool(pool, input, x)?;
                let [rows, columns] = pool.window(input).ok()?.output;
                return Some((y, Shape::image(rows, columns, input.as_image()?.2)));
            }
            LayerSpec::GlobalPool2d(GlobalPool2d { kind, keep_dims }) => {
                let (_, _, channels) = input.as_image()?;
                let op = match kind {
                    PoolKind::Max => "Max",
                    PoolKind::Average => "Mean",
                };
                let y = self.reduce(op, x, &[1, 2], *keep_dims);
                let shape = match keep_dims {
                    true => Shape::image(1, 1, channels),
                    false => Shape::vector(channels),
                };
                return Some((y, shape));
            }
            LayerSpec::Flatten => {
                let shape = Shape::vector(input.checked_elements()?);
                return Some((self.reshape(x, shape.dims()), shape));
            }
            LayerSpec::Reshape(shape) => {
                return Some((self.reshape(x, shape.dims()), shape.clone()));
            }
            LayerSpec::Dense(dense) => return self.dense(dense, input, x, parameters),
            LayerSpec::Arrange(arrange) => return self.arrange(arrange, input, x),
            LayerSpec::BilinearUpSampling2d(up) => {
                return self.resize("ResizeBilinear", up.size, input, x);
            }
            LayerSpec::BatchNormalization(norm) => {
                self.batch_normalize(norm, input, x, parameters)?
            }
            LayerSpec::LayerNormalization(norm) => {
                self.layer_normalize(norm, input, x, parameters)?
            }
            LayerSpec::GroupNormalization(norm) => {
                self.group_normalize(norm, input, x, parameters)?
            }
            LayerSpec::Normalization(norm) => self.normalize(norm, input, x, parameters)?,
            LayerSpec::ChannelRescaling(ChannelRescaling { scale, offset }) => {
                let scale = self.numbers(&[scale.len()], scale);
                let offset = self.numbers(&[offset.len()], offset);
                let y = self.apply("Mul", &[x, &scale]);
                self.apply("AddV2", &[&y, &offset])
            }
            LayerSpec::Rescaling(rescaling) => {
                let y = self.times(x, rescaling.scale);
                self.plus(&y, rescaling.offset)
            }
            LayerSpec::Softmax(softmax) => {
                // The axis changes places with the last one, and back.
                let axis = axis_of_sample(softmax.axis, input.rank()).ok()? + 1;
                let mut order: Vec<usize> = (0..=input.rank()).collect();
                order.swap(axis, input.rank());
                let y = self.transpose(x, &order);
                let y = self.apply("Softmax", &[&y]);
                self.transpose(&y, &order)
            }
            LayerSpec::PRelu(PRelu { .. }) => {
                let alpha = parameters.take()?.value;
                let above = self.apply("Relu", &[x]);
                let negative = self.apply("Neg", &[x]);
                let below = self.apply("Relu", &[&negative]);
                let below = self.apply("Mul", &[&alpha, &below]);
                self.apply("Sub", &[&above, &below])
            }
            // Outside of training they change nothing.
            LayerSpec::Dropout(_) | LayerSpec::Noise(_) | LayerSpec::Identity => {
                self.apply("Identity", &[x])
            }
            // What an activation is, is done behind it; the rest is made of others, or joins several.
            LayerSpec::Activation(_)
            | LayerSpec::Input(_)
            | LayerSpec::Conv1d(_)
            | LayerSpec::DepthwiseConv2d(_)
            | LayerSpec::SeparableConv2d(_)
            | LayerSpec::Pool1d(_)
            | LayerSpec::GlobalPool1d(_)
            | LayerSpec::Merge(_) => x.to_owned(),
        };
        same(y)
    }

    fn dense(
        &mut self,
        dense: &Dense,
        input: &Shape,
        x: &str,
        parameters: &mut Parameters<'_>,
    ) -> Option<(Ref, Shape)> {
        let (&last, before) = input.dims().split_last()?;
        let kernel = parameters.take()?.value;
        let rows = match before {
            [] => x.to_owned(),
            _ => self.reshape(x, &[last]),
        };
        let y = self.apply("MatMul", &[&rows, &kernel]);
        let y = self.biased(y, dense.use_bias, parameters)?;
        let dims = [before, &[dense.units]].concat();
        let y = if before.is_empty() { y } else { self.reshape(&y, &dims) };
        Some((y, Shape::new(dims)))
    }

    fn arrange(&mut self, arrange: &Arrange, input: &Shape, x: &str) -> Option<(Ref, Shape)> {
        let axes = arrange.axes(input).ok()?;
        let output: Vec<usize> = axes.iter().map(|axis| axis.length).collect();
        let y = match arrange {
            Arrange::Permute { dims } => self.transpose(x, &[&[0], dims.as_slice()].concat()),
            Arrange::Cropping1d(_) | Arrange::Cropping2d(_) => {
                let begin: Vec<_> = axes.iter().map(|axis| axis.cut).collect();
                self.slice(x, &begin, &output)
            }
            &Arrange::ZeroPadding1d(steps) => self.pad(x, &[steps, [0, 0]], 0.0),
            &Arrange::ZeroPadding2d([top, bottom, left, right]) => {
                self.pad(x, &[[top, bottom], [left, right], [0, 0]], 0.0)
            }
            &Arrange::UpSampling1d { size } => {
                let (steps, channels) = input.as_sequence()?;
                let image = Shape::image(1, steps, channels);
                let x = self.reshape(x, image.dims());
                let (y, _) = self.resize("ResizeNearestNeighbor", [1, size], &image, &x)?;
                self.reshape(&y, &output)
            }
            &Arrange::UpSampling2d { size } => {
                self.resize("ResizeNearestNeighbor", size, input, x)?.0
            }
            &Arrange::RepeatVector { n } => {
                let x = self.reshape(x, &[1, *output.last()?]);
                let times = self.sizes(1, &[n, 1]);
                let attributes =
                    vec![("T", kind(DataType::Float)), ("Tmultiples", kind(DataType::Int32))];
                self.add("Tile", &[&x, &times], attributes)
            }
        };
        Some((y, Shape::new(output)))
    }

    /// An image of so many times the rows and columns, centres over centres.
    fn resize(
        &mut self,
        op: &str,
        size: [usize; 2],
        input: &Shape,
        x: &str,
    ) -> Option<(Ref, Shape)> {
        let (height, width, channels) = input.as_image()?;
        let output = [height.checked_mul(size[0])?, width.checked_mul(size[1])?];
        let sizes = output.map(|size| i32::try_from(size).unwrap_or(i32::MAX));
        let sizes = self.list(&sizes);
        let attributes = vec![("T", kind(DataType::Float)), ("half_pixel_centers", flag(true))];
        let y = self.add(op, &[x, &sizes], attributes);
        Some((y, Shape::image(output[0], output[1], channels)))
    }

    fn batch_normalize(
        &mut self,
        norm: &BatchNormalization,
        input: &Shape,
        x: &str,
        parameters: &mut Parameters<'_>,
    ) -> Option<Ref> {
        let channels = *input.dims().last()?;
        let [gamma, beta] = ["gamma", "beta"].map(|name| parameters.named(name));
        let [mean, variance] = [parameters.take()?.value, parameters.take()?.value];
        if input.rank() != 3 {
            let variance = self.plus(&variance, norm.epsilon);
            let factor = self.apply("Rsqrt", &[&variance]);
            let y = self.apply("Sub", &[x, &mean]);
            let y = self.apply("Mul", &[&y, &factor]);
            return Some(self.scaled_and_moved(y, gamma, beta));
        }
        let mut or = |found: Option<Parameter>, value: f64| match found {
            Some(found) => found.value,
            None => self.numbers(&[channels], &vec![value; channels]),
        };
        let (gamma, beta) = (or(gamma, 1.0), or(beta, 0.0));
        let attributes = vec![
            ("T", kind(DataType::Float)),
            ("U", kind(DataType::Float)),
            ("epsilon", real(norm.epsilon)),
            ("is_training", flag(false)),
        ];
        Some(self.add("FusedBatchNormV3", &[x, &gamma, &beta, &mean, &variance], attributes))
    }

    fn scaled_and_moved(
        &mut self,
        mut y: Ref,
        gamma: Option<Parameter>,
        beta: Option<Parameter>,
    ) -> Ref {
        if let Some(gamma) = gamma {
            y = self.apply("Mul", &[&y, &gamma.value]);
        }
        if let Some(beta) = beta {
            y = self.apply("AddV2", &[&y, &beta.value]);
        }
        y
    }

    /// (x − mean) / √(variance + ε) along `axes`, or as the method has it.
    fn normalize_along(&mut self, x: &str, axes: &[i32], epsilon: f64, method: RowMethod) -> Ref {
        let mean = match method {
            RowMethod::RootMeanSquare => None,
            RowMethod::Standard | RowMethod::Deviation => Some(self.reduce("Mean", x, axes, true)),
        };
        let squares = match &mean {
            Some(mean) => self.apply("SquaredDifference", &[x, mean]),
            None => self.apply("Square", &[x]),
        };
        let variance = self.reduce("Mean", &squares, axes, true);
        let variance = self.plus(&variance, epsilon);
        let factor = self.apply("Rsqrt", &[&variance]);
        let centred = match (method, mean) {
            (RowMethod::Standard, Some(mean)) => self.apply("Sub", &[x, &mean]),
            _ => x.to_owned(),
        };
        self.apply("Mul", &[&centred, &factor])
    }

    fn layer_normalize(
        &mut self,
        norm: &LayerNormalization,
        input: &Shape,
        x: &str,
        parameters: &mut Parameters<'_>,
    ) -> Option<Ref> {
        let rank = i32::try_from(input.rank()).ok()?;
        let first = rank - i32::try_from(norm.trailing_axes).ok()? + 1;
        let axes: Vec<_> = (first..=rank).collect();
        let y = self.normalize_along(x, &axes, norm.epsilon, norm.method);
        let [gamma, beta] = ["gamma", "beta"].map(|name| parameters.named(name));
        Some(self.scaled_and_moved(y, gamma, beta))
    }

    fn group_normalize(
        &mut self,
        norm: &GroupNormalization,
        input: &Shape,
        x: &str,
        parameters: &mut Parameters<'_>,
    ) -> Option<Ref> {
        // Cells, groups, channels of a group.
        let (_, grouped) = norm.grouping(input).ok()?;
        let y = self.reshape(x, grouped.dims());
        let y = self.normalize_along(&y, &[1, 3], norm.epsilon, RowMethod::Standard);
        let y = self.reshape(&y, input.dims());
        let [gamma, beta] = ["gamma", "beta"].map(|name| parameters.named(name));
        Some(self.scaled_and_moved(y, gamma, beta))
    }

    fn normalize(
        &mut self,
        norm: &Normalization,
        input: &Shape,
        x: &str,
        parameters: &mut Parameters<'_>,
    ) -> Option<Ref> {
        let own = norm.own_axes(input).ok()?;
        let along = input.dims().iter().zip(own).map(|(&dim, own)| if own { dim } else { 1 });
        let along: Vec<usize> = along.collect();
        let [mean, variance] = match &norm.statistics {
            NormalizationStatistics::Stored => [parameters.take()?.value, parameters.take()?.value]
                .map(|statistics| self.reshape_whole(&statistics, &along)),
            NormalizationStatistics::Given { mean, variance } => {
                [mean, variance].map(|numbers| match numbers.as_slice() {
                    [number] => self.number(*number),
                    _ => self.numbers(&along, numbers),
                })
            }
        };
        let deviation = self.apply("Sqrt", &[&variance]);
        let least = self.number(Normalization::LEAST_DEVIATION);
        let deviation = self.apply("Maximum", &[&deviation, &least]);
        Some(match norm.invert {
            true => {
                let y = self.apply("Mul", &[x, &deviation]);
                self.apply("AddV2", &[&y, &mean])
            }
            false => {
                let y = self.apply("Sub", &[x, &mean]);
                self.apply("RealDiv", &[&y, &deviation])
            }
        })
    }

    fn merge(&mut self, merge: Merge, inputs: &[(Ref, &Shape)], shape: &Shape) -> Option<Ref> {
        let op = match merge {
            Merge::Concatenate { axis } => {
                let axis = axis_of_sample(axis, shape.rank()).ok()? + 1;
                let inputs: Vec<_> = inputs.iter().map(|(x, _)| x.clone()).collect();
                return match inputs.as_slice() {
                    // The operation takes two or more.
                    [x] => Some(self.apply("Identity", &[x])),
                    _ => Some(self.concat(&inputs, i32::try_from(axis).ok()?)),
                };
            }
            Merge::Add | Merge::Average => "AddV2",
            Merge::Subtract => "Sub",
            Merge::Multiply => "Mul",
            Merge::Maximum => "Maximum",
            Merge::Minimum => "Minimum",
        };
        let ((first, _), others) = inputs.split_first()?;
        let joined = others.iter().fold(first.clone(), |y, (x, _)| self.apply(op, &[&y, x]));
        Some(match merge {
            Merge::Average => {
                let number = self.number(inputs.len() as f64);
                self.apply("RealDiv", &[&joined, &number])
            }
            _ if others.is_empty() => self.apply("Identity", &[&joined]),
            _ => joined,
        })
    }
}
