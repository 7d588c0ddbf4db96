//! Convolutions and pooling: layers whose windows move over images or sequences.

use super::nodes::{Nodes, Order, Written, int, ints};
use crate::format::onnx::OnnxError;
use crate::model::{LayerSpec, NodeId, PoolKind, Window2d};
use crate::tensor::{Shape, Tensor};

/// From (…, input channels, filters) to (filters, input channels, …).
pub(in crate::format::onnx) fn filters_first(rank: usize) -> Vec<usize> {
    [rank - 1, rank - 2].into_iter().chain(0..rank - 2).collect()
}

impl Nodes<'_> {
    /// A layer of windows, by the parts that it is made of, each with what it takes. `input`: what the first
    /// part takes, channels first.
    pub(super) fn windows(
        &mut self,
        spec: &LayerSpec,
        parts: &[(LayerSpec, Shape)],
        input: NodeId,
    ) -> Result<Written, OnnxError> {
        let mut x = self.get(input, Order::ChannelsFirst);
        // The parts of what works on sequences take images of height 1, which sequences are not here.
        let axes = match spec {
            LayerSpec::Conv1d(_) | LayerSpec::Pool1d(_) => &[1][..],
            _ => &[0, 1],
        };
        for (number, (part, shape)) in parts.iter().enumerate() {
            x = match part {
                LayerSpec::Conv2d(conv) => {
                    let Ok(window) = conv.window(shape) else { continue };
                    let kernel = match (spec, number) {
                        (LayerSpec::SeparableConv2d(_), 0) => "depthwise_kernel",
                        (LayerSpec::SeparableConv2d(_), _) => "pointwise_kernel",
                        _ => "kernel",
                    };
                    let groups = conv.groups;
                    let kernel = self.kernel(kernel, axes, spec)?;
                    let mut inputs = vec![x, kernel];
                    inputs.extend(self.bias(conv.use_bias)?);
                    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                    let group = int("group", i64::try_from(groups).unwrap_or(i64::MAX));
                    let [shape, strides, pads, dilations] = moves(&window, axes);
                    self.node("Conv", &inputs, [shape, strides, pads, dilations, group])
                }
                LayerSpec::Pool2d(pool) => {
                    let Ok(window) = pool.window(shape) else { continue };
                    let [shape, strides, pads, _] = moves(&window, axes);
                    match pool.kind {
                        PoolKind::Max => self.node("MaxPool", &[&x], [shape, strides, pads]),
                        PoolKind::Average => {
                            let real_cells = int("count_include_pad", 0);
                            self.node("AveragePool", &[&x], [shape, strides, pads, real_cells])
                        }
                    }
                }
                LayerSpec::Conv2dTranspose(conv) => {
                    let Ok((forward, output)) = conv.transposed(shape) else { continue };
                    let Ok(window) = forward.window(&output) else { continue };
                    let kernel = self.kernel("kernel", axes, spec)?;
                    let mut inputs = vec![x, kernel];
                    inputs.extend(self.bias(conv.use_bias)?);
                    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                    let [shape, strides, pads, dilations] = moves(&window, axes);
                    // What the windows do not reach, beyond what they do.
                    let [height, width] = [0, 1].map(|axis| {
                        let end = window.input.get(axis).zip(window.before.get(axis));
                        let end = end.map_or(0, |(input, before)| input + before);
                        end.saturating_sub(window.extent().get(axis).copied().unwrap_or(0))
                    });
                    let more = ints("output_padding", &[height, width]);
                    self.node("ConvTranspose", &inputs, [shape, strides, pads, dilations, more])
                }
                _ => continue,
            };
        }
        Ok((Order::ChannelsFirst, x))
    }

    fn kernel(
        &mut self,
        name: &str,
        axes: &[usize],
        spec: &LayerSpec,
    ) -> Result<String, OnnxError> {
        let numbers = self.parameter(name)?;
        let rank = axes.len() + 2;
        let mut dims = numbers.shape().dims().to_vec();
        // (…, channels, multiplier) is (…, 1, channels · multiplier) in the same order.
        let depthwise = matches!(spec, LayerSpec::DepthwiseConv2d(_)) || name == "depthwise_kernel";
        if let (true, [.., channels, multiplier]) = (depthwise, dims.as_mut_slice()) {
            (*channels, *multiplier) = (1, *channels * *multiplier);
        }
        let unfit = || OnnxError::NoNumbers { name: name.to_owned() };
        let numbers = Tensor::new(numbers.dtype(), dims, numbers.bytes()).map_err(|_| unfit())?;
        let turned = numbers.permuted(&filters_first(rank)).ok_or_else(unfit)?;
        Ok(self.own(name, turned.shape().dims(), &turned))
    }

    fn bias(&mut self, use_bias: bool) -> Result<Option<String>, OnnxError> {
        if !use_bias {
            return Ok(None);
        }
        let bias = self.parameter("bias")?;
        Ok(Some(self.own("bias", bias.shape().dims(), &bias)))
    }
}

/// `kernel_shape`, `strides`, `pads` and `dilations` of a window, as far as the axes go.
fn moves(window: &Window2d, axes: &[usize]) -> [crate::wire::onnx::Attribute; 4] {
    let of = |pair: [usize; 2]| -> Vec<usize> {
        axes.iter().filter_map(|&axis| pair.get(axis).copied()).collect()
    };
    let extent = window.extent();
    let behind = |axis: usize| {
        let at = |pair: [usize; 2]| pair.get(axis).copied().unwrap_or(0);
        at(extent).saturating_sub(at(window.input) + at(window.before))
    };
    let pads = [of(window.before), of([0, 1].map(behind))].concat();
    [
        ints("kernel_shape", &of(window.kernel)),
        ints("strides", &of(window.strides)),
        ints("pads", &pads),
        ints("dilations", &of(window.dilation)),
    ]
}
