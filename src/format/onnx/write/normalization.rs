//! Normalisation in the operators of ONNX.

use super::nodes::{Nodes, Order, Written, float, int, ints, nearest};
use crate::format::onnx::OnnxError;
use crate::model::{
    BatchNormalization, ChannelRescaling, GroupNormalization, LayerNormalization, NodeId,
    Normalization, NormalizationStatistics, RowMethod,
};
use crate::tensor::Shape;

impl Nodes<'_> {
    /// A parameter with a number for each channel; `otherwise` where the layer has none.
    fn channels(
        &mut self,
        name: &str,
        is_there: bool,
        channels: usize,
        otherwise: f32,
    ) -> Result<String, OnnxError> {
        if !is_there {
            return Ok(self.floats(name, &[channels], &vec![otherwise; channels]));
        }
        let numbers = self.parameter(name)?;
        Ok(self.own(name, &[channels], &numbers))
    }

    pub(super) fn batch_normalization(
        &mut self,
        norm: &BatchNormalization,
        channels: usize,
        input: NodeId,
    ) -> Result<Written, OnnxError> {
        let x = self.get(input, Order::ChannelsFirst);
        let gamma = self.channels("gamma", norm.scale, channels, 1.0)?;
        let beta = self.channels("beta", norm.center, channels, 0.0)?;
        let mean = self.channels("moving_mean", true, channels, 0.0)?;
        let variance = self.channels("moving_variance", true, channels, 1.0)?;
        let attributes = [float("epsilon", norm.epsilon), float("momentum", norm.momentum)];
        let inputs = [&x, &gamma, &beta, &mean, &variance].map(String::as_str);
        Ok((Order::ChannelsFirst, self.node("BatchNormalization", &inputs, attributes)))
    }

    pub(super) fn layer_normalization(
        &mut self,
        norm: &LayerNormalization,
        input: NodeId,
    ) -> Result<Written, OnnxError> {
        let mut x = self.get(input, Order::ChannelsLast);
        let axes = i64::try_from(norm.trailing_axes).unwrap_or(i64::MAX);
        let behind: Vec<i64> = (1..=axes).map(|axis| -axis).rev().collect();
        // x over the root of (the mean of `squares` + ε)
        let over_root = |nodes: &mut Self, x: &str, squares: &str| {
            let axes = crate::wire::onnx::Attribute { ints: behind.clone(), ..ints("axes", &[]) };
            let mean = nodes.node("ReduceMean", &[squares], [axes]);
            let sum = nodes.plus(&mean, norm.epsilon);
            let root = nodes.node("Sqrt", &[&sum], []);
            nodes.node("Div", &[x, &root], [])
        };
        x = match norm.method {
            RowMethod::Standard if norm.scale => {
                let gamma = self.parameter("gamma")?;
                let gamma = self.own("gamma", gamma.shape().dims(), &gamma);
                let mut inputs = vec![x, gamma];
                if norm.center {
                    let beta = self.parameter("beta")?;
                    inputs.push(self.own("beta", beta.shape().dims(), &beta));
                }
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                let attributes = [int("axis", -axes), float("epsilon", norm.epsilon)];
                let y = self.node("LayerNormalization", &inputs, attributes);
                return Ok((Order::ChannelsLast, y));
            }
            RowMethod::Standard | RowMethod::Deviation => {
                let axes =
                    crate::wire::onnx::Attribute { ints: behind.clone(), ..ints("axes", &[]) };
                let mean = self.node("ReduceMean", &[&x], [axes]);
                let centred = self.node("Sub", &[&x, &mean], []);
                let squares = self.node("Mul", &[&centred, &centred], []);
                let numerator = if norm.method == RowMethod::Standard { &centred } else { &x };
                over_root(self, numerator, &squares)
            }
            RowMethod::RootMeanSquare => {
                let squares = self.node("Mul", &[&x, &x], []);
                over_root(self, &x, &squares)
            }
        };
        for (name, operator, is_there) in
            [("gamma", "Mul", norm.scale), ("beta", "Add", norm.center)]
        {
            if is_there {
                let numbers = self.parameter(name)?;
                let numbers = self.own(name, numbers.shape().dims(), &numbers);
                x = self.node(operator, &[&x, &numbers], []);
            }
        }
        Ok((Order::ChannelsLast, x))
    }

    /// The groups as the channels of `InstanceNormalization`, which ONNX has.
    pub(super) fn group_normalization(
        &mut self,
        norm: &GroupNormalization,
        input: NodeId,
        shape: &Shape,
    ) -> Result<Written, OnnxError> {
        let x = self.get(input, Order::ChannelsFirst);
        let mut dims = shape.dims().to_vec();
        dims.rotate_right(1); // channels first
        let channels = dims.first().copied().unwrap_or(1);
        let within = shape.checked_elements().unwrap_or(0) / norm.groups.max(1);
        let groups = self.reshaped(&x, &[norm.groups, within]);
        let one = self.floats("one", &[norm.groups], &vec![1.0; norm.groups]);
        let zero = self.floats("zero", &[norm.groups], &vec![0.0; norm.groups]);
        let inputs = [&groups, &one, &zero].map(String::as_str);
        let epsilon = float("epsilon", norm.epsilon);
        let normal = self.node("InstanceNormalization", &inputs, [epsilon]);
        let mut x = self.reshaped(&normal, &dims);
        // A number for each channel, and one for all of its cells.
        let mut broadcast = vec![channels];
        broadcast.resize(dims.len(), 1);
        for (name, operator, is_there) in
            [("gamma", "Mul", norm.scale), ("beta", "Add", norm.center)]
        {
            if is_there {
                let numbers = self.parameter(name)?;
                let numbers = self.own(name, &broadcast, &numbers);
                x = self.node(operator, &[&x, &numbers], []);
            }
        }
        Ok((Order::ChannelsFirst, x))
    }

    pub(super) fn normalization(
        &mut self,
        norm: &Normalization,
        input: NodeId,
        shape: &Shape,
    ) -> Result<Written, OnnxError> {
        let x = self.get(input, Order::ChannelsLast);
        let (mean, variance) = match &norm.statistics {
            NormalizationStatistics::Given { mean, variance } => {
                let rounded =
                    |all: &[f64]| -> Vec<f32> { all.iter().copied().map(nearest).collect() };
                (rounded(mean), rounded(variance))
            }
            NormalizationStatistics::Stored => {
                let stored = |name: &str| {
                    let numbers = self.parameter(name)?.to_f32();
                    numbers.map_err(|_| OnnxError::NoNumbers { name: name.to_owned() })
                };
                (stored("mean")?, stored("variance")?)
            }
        };
        let least = nearest(Normalization::LEAST_DEVIATION);
        let deviation = variance.into_iter().map(f32::sqrt);
        let deviation: Vec<f32> = deviation.map(|it| if it < least { least } else { it }).collect();
        let dims: Vec<usize> = match mean.len() {
            1 => Vec::new(),
            _ => {
                let own = norm.own_axes(shape).unwrap_or_default();
                let dims = shape.dims().iter().zip(own);
                dims.map(|(&dim, own)| if own { dim } else { 1 }).collect()
            }
        };
        let mean = self.floats("mean", &dims, &mean);
        let deviation = self.floats("deviation", &dims, &deviation);
        let y = if norm.invert {
            let product = self.node("Mul", &[&x, &deviation], []);
            self.node("Add", &[&product, &mean], [])
        } else {
            let centred = self.node("Sub", &[&x, &mean], []);
            self.node("Div", &[&centred, &deviation], [])
        };
        Ok((Order::ChannelsLast, y))
    }

    pub(super) fn channel_rescaling(
        &mut self,
        rescaling: &ChannelRescaling,
        input: NodeId,
        rank: usize,
    ) -> Written {
        let (order, x) = self.any(input);
        let mut dims = vec![rescaling.scale.len()];
        if order == Order::ChannelsFirst {
            dims.resize(rank - 1, 1);
        }
        let numbers = |all: &[f64]| -> Vec<f32> { all.iter().copied().map(nearest).collect() };
        let scale = self.floats("scale", &dims, &numbers(&rescaling.scale));
        let offset = self.floats("offset", &dims, &numbers(&rescaling.offset));
        let product = self.node("Mul", &[&x, &scale], []);
        (order, self.node("Add", &[&product, &offset], []))
    }
}
