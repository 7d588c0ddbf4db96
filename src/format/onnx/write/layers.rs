//! Every kind of layer in the operators of ONNX.

use super::nodes::{Nodes, Order, Written, channels_first, int, signed, string};
use crate::format::onnx::OnnxError;
use crate::model::{Arrange, Graph, LayerSpec, Merge, NodeId, PRelu, PoolKind, axis_of_sample};

use Order::{ChannelsFirst, ChannelsLast};

impl Nodes<'_> {
    /// Writes what `node` computes. What it takes has been written.
    pub(super) fn layer(&mut self, graph: &Graph, node: NodeId) -> Result<(), OnnxError> {
        let (layer, inputs) = (graph.layer_of(node), graph.nodes().get(node.0));
        let inputs = inputs.map(|node| node.inputs.as_slice()).unwrap_or_default();
        let Some(&input) = inputs.first() else { return Ok(()) };
        self.begin(&layer.name);
        let rank = graph.shape(input).rank() + 1;
        let last = |nodes: &mut Self| nodes.get(input, ChannelsLast);
        let written = match &layer.spec {
            // It takes nothing, and so is not met here.
            LayerSpec::Input(_) => return Ok(()),
            spec @ (LayerSpec::Conv1d(_)
            | LayerSpec::Conv2d(_)
            | LayerSpec::DepthwiseConv2d(_)
            | LayerSpec::SeparableConv2d(_)
            | LayerSpec::Conv2dTranspose(_)
            | LayerSpec::Pool1d(_)
            | LayerSpec::Pool2d(_)) => self.windows(spec, &graph.parts(node), input)?,
            LayerSpec::GlobalPool1d(pool) => self.global_pool(pool.kind, pool.keep_dims, input),
            LayerSpec::GlobalPool2d(pool) => self.global_pool(pool.kind, pool.keep_dims, input),
            LayerSpec::Flatten => {
                let x = last(self);
                (ChannelsLast, self.node("Flatten", &[&x], [int("axis", 1)]))
            }
            LayerSpec::Reshape(shape) => {
                let x = last(self);
                (ChannelsLast, self.reshaped(&x, shape.dims()))
            }
            LayerSpec::Dense(dense) => {
                let x = last(self);
                let kernel = self.parameter("kernel")?;
                let kernel = self.own("kernel", kernel.shape().dims(), &kernel);
                let bias = match dense.use_bias {
                    true => Some(self.parameter("bias")?),
                    false => None,
                };
                let bias = bias.map(|bias| self.own("bias", bias.shape().dims(), &bias));
                let y = match bias {
                    Some(bias) if rank == 2 => self.node("Gemm", &[&x, &kernel, &bias], []),
                    bias => {
                        let product = self.node("MatMul", &[&x, &kernel], []);
                        bias.map(|bias| self.node("Add", &[&product, &bias], [])).unwrap_or(product)
                    }
                };
                (ChannelsLast, y)
            }
            // In use they give what they take.
            LayerSpec::Dropout(_) | LayerSpec::Noise(_) | LayerSpec::Identity => self.any(input),
            LayerSpec::BatchNormalization(norm) => {
                let channels = graph.shape(input).dims().last().copied().unwrap_or(1);
                self.batch_normalization(norm, channels, input)?
            }
            LayerSpec::Activation(_) => self.any(input),
            LayerSpec::Arrange(arrange) => self.arrange(arrange, input, rank),
            LayerSpec::BilinearUpSampling2d(up) => {
                let x = self.get(input, ChannelsFirst);
                (
                    ChannelsFirst,
                    self.resized(&x, &[1, 1, up.size[0], up.size[1]], ["linear", "half_pixel"]),
                )
            }
            LayerSpec::Rescaling(rescaling) => {
                let (order, x) = self.any(input);
                let product = self.times(&x, rescaling.scale);
                (order, self.plus(&product, rescaling.offset))
            }
            LayerSpec::Softmax(softmax) => {
                let x = last(self);
                let axis = axis_of_sample(softmax.axis, rank - 1).unwrap_or(0) + 1;
                let axis = i64::try_from(axis).unwrap_or(-1);
                (ChannelsLast, self.node("Softmax", &[&x], [int("axis", axis)]))
            }
            LayerSpec::PRelu(prelu) => self.prelu(prelu, input, rank)?,
            LayerSpec::LayerNormalization(norm) => self.layer_normalization(norm, input)?,
            LayerSpec::GroupNormalization(norm) => {
                self.group_normalization(norm, input, graph.shape(input))?
            }
            LayerSpec::Normalization(norm) => {
                self.normalization(norm, input, graph.shape(input))?
            }
            LayerSpec::ChannelRescaling(rescaling) => {
                self.channel_rescaling(rescaling, input, rank)
            }
            LayerSpec::Merge(merge) => self.merge(*merge, inputs, rank),
        };
        let function = layer.spec.activation();
        let rank = graph.shape(node).rank() + 1;
        let written = self.activation(&layer.name, function, written, rank)?;
        self.set(node, written);
        Ok(())
    }

    fn global_pool(&mut self, kind: PoolKind, keep_dims: bool, input: NodeId) -> Written {
        let x = self.get(input, ChannelsFirst);
        let operator = match kind {
            PoolKind::Max => "GlobalMaxPool",
            PoolKind::Average => "GlobalAveragePool",
        };
        let pooled = self.node(operator, &[&x], []);
        match keep_dims {
            true => (ChannelsFirst, pooled),
            false => (ChannelsLast, self.node("Flatten", &[&pooled], [int("axis", 1)])),
        }
    }

    /// Samples of these axes in place of what they are, row-major.
    pub(super) fn reshaped(&mut self, x: &str, dims: &[usize]) -> String {
        // Zero stands for the axis as it is: the batch.
        let shape = self.integers("shape", &[vec![0], signed(dims)].concat());
        self.node("Reshape", &[x, &shape], [])
    }

    fn resized(&mut self, x: &str, scales: &[usize], [mode, places]: [&'static str; 2]) -> String {
        #[expect(
            clippy::cast_precision_loss,
            reason = "how often a pixel stands is no large number"
        )]
        let scales: Vec<f32> = scales.iter().map(|&scale| scale as f32).collect();
        let scales = self.floats("scales", &[scales.len()], &scales);
        let places = string("coordinate_transformation_mode", places);
        let nearest = string("nearest_mode", "floor");
        self.node("Resize", &[x, "", &scales], [string("mode", mode), places, nearest])
    }

    fn arrange(&mut self, arrange: &Arrange, input: NodeId, rank: usize) -> Written {
        // Of axes from the second on, cells at the beginning and at the end.
        let sides = match arrange {
            Arrange::Cropping1d([before, after]) | Arrange::ZeroPadding1d([before, after]) => {
                [vec![*before], vec![*after]]
            }
            Arrange::Cropping2d([top, bottom, left, right])
            | Arrange::ZeroPadding2d([top, bottom, left, right]) => {
                [vec![*top, *left], vec![*bottom, *right]]
            }
            _ => [Vec::new(), Vec::new()],
        };
        match arrange {
            Arrange::Permute { dims } => {
                let x = self.get(input, ChannelsLast);
                let axes = [vec![0], dims.clone()].concat();
                (ChannelsLast, self.transposed(&x, &axes))
            }
            Arrange::Cropping1d(_) | Arrange::Cropping2d(_) => {
                let x = self.get(input, ChannelsFirst);
                let [starts, ends] = sides.map(|side| signed(&side));
                // An end counts from the last one; none at all is beyond any.
                let ends = ends.into_iter().map(|end| if end == 0 { i64::MAX } else { -end });
                let ends: Vec<i64> = ends.collect();
                let axes: Vec<i64> = (2..).take(starts.len()).collect();
                let inputs = [("starts", starts), ("ends", ends), ("axes", axes)];
                let [starts, ends, axes] = inputs.map(|(name, all)| self.integers(name, &all));
                (ChannelsFirst, self.node("Slice", &[&x, &starts, &ends, &axes], []))
            }
            Arrange::ZeroPadding1d(_) | Arrange::ZeroPadding2d(_) => {
                let x = self.get(input, ChannelsFirst);
                let [before, after] = sides;
                let pads = [vec![0, 0], before, vec![0, 0], after].concat();
                let pads = self.integers("pads", &signed(&pads));
                (ChannelsFirst, self.node("Pad", &[&x, &pads], []))
            }
            Arrange::UpSampling1d { size } => {
                let x = self.get(input, ChannelsFirst);
                (ChannelsFirst, self.resized(&x, &[1, 1, *size], ["nearest", "asymmetric"]))
            }
            Arrange::UpSampling2d { size: [down, across] } => {
                let x = self.get(input, ChannelsFirst);
                let scales = [1, 1, *down, *across];
                (ChannelsFirst, self.resized(&x, &scales, ["nearest", "asymmetric"]))
            }
            Arrange::RepeatVector { n } => {
                let x = self.get(input, ChannelsLast);
                let axes = self.integers("axes", &[1]);
                let step = self.node("Unsqueeze", &[&x, &axes], []);
                let repeats = self.integers("repeats", &signed(&[1, *n, 1]));
                debug_assert_eq!(rank, 2, "it takes vectors");
                (ChannelsLast, self.node("Tile", &[&step, &repeats], []))
            }
        }
    }

    fn prelu(&mut self, _: &PRelu, input: NodeId, rank: usize) -> Result<Written, OnnxError> {
        let x = self.get(input, ChannelsFirst);
        let alpha = self.parameter("alpha")?;
        // Without the batch.
        let axes: Vec<usize> = channels_first(rank).iter().skip(1).map(|axis| axis - 1).collect();
        let turned = alpha.permuted(&axes);
        let turned = turned.ok_or_else(|| OnnxError::NoNumbers { name: "alpha".to_owned() })?;
        let alpha = self.own("alpha", turned.shape().dims(), &turned);
        Ok((ChannelsFirst, self.node("PRelu", &[&x, &alpha], [])))
    }

    fn merge(&mut self, merge: Merge, inputs: &[NodeId], rank: usize) -> Written {
        let order = match merge {
            Merge::Concatenate { .. } => ChannelsLast,
            // As most of them are at hand.
            _ => inputs.first().map_or(ChannelsLast, |&first| self.any(first).0),
        };
        let values: Vec<String> = inputs.iter().map(|&input| self.get(input, order)).collect();
        let all: Vec<&str> = values.iter().map(String::as_str).collect();
        let y = match merge {
            Merge::Add => self.pairwise("Add", &all),
            Merge::Subtract => self.pairwise("Sub", &all),
            Merge::Multiply => self.pairwise("Mul", &all),
            Merge::Average => self.node("Mean", &all, []),
            Merge::Maximum => self.node("Max", &all, []),
            Merge::Minimum => self.node("Min", &all, []),
            Merge::Concatenate { axis } => {
                // By its number from behind, which is the same for one rank and any batch.
                let axis = axis_of_sample(axis, rank - 1).unwrap_or(0) + 1;
                self.node("Concat", &all, [int("axis", i64::try_from(axis).unwrap_or(-1))])
            }
        };
        (order, y)
    }

    /// The first with the second, that with the third, and so on.
    fn pairwise(&mut self, operator: &str, values: &[&str]) -> String {
        let Some((&first, rest)) = values.split_first() else { return String::new() };
        rest.iter().fold(first.to_owned(), |sum, next| self.node(operator, &[&sum, next], []))
    }
}
