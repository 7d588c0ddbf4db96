//! Operators of ONNX as operations, in all versions from operator set 7 on.

use super::attributes::Attributes;
use super::tensors::dtype;
use super::{Building, Wanted, is_of_onnx};
use crate::format::FormatError;
use crate::format::onnx::OnnxError;
use crate::format::operations::{
    Cast, Channels, Comparison, Constant, Elementwise, Function, Groups, Interpolation,
    KernelOrder, Kind, Moves, Operation, Pads,
};
use crate::format::report::Notice;
use crate::model::PoolKind;
use crate::tensor::DType;
use crate::wire::onnx::{Node, Tensor};

/// An operation, and what it takes.
pub(super) type Read = (Kind, Vec<Wanted>);

impl Building<'_> {
    /// What `node` does, as one operation; nodes that are several have added the others.
    pub(super) fn operator(&mut self, node: &Node) -> Result<Read, FormatError> {
        let attributes = Attributes(node);
        let attributes = &attributes;
        let inputs: Vec<Wanted> =
            node.input.iter().map(|name| Wanted::Name(name.clone())).collect();
        let elementwise = |kind| Ok((Kind::Elementwise(kind), inputs.clone()));
        if !is_of_onnx(&node.domain) {
            let name = format!("{}.{}", node.domain, node.op_type);
            return Ok((Kind::Unknown(name), inputs));
        }
        let kind = match node.op_type.as_str() {
            "Conv" => Kind::Conv {
                moves: moves(attributes)?,
                groups: Some(group(attributes)?),
                kernel: KernelOrder::FiltersFirst,
                channels: Channels::First,
            },
            "ConvTranspose" => {
                if attributes.ints("output_shape")?.is_some() {
                    return Err(attributes.fault("tells its padding by `output_shape`").into());
                }
                Kind::ConvTranspose {
                    moves: moves(attributes)?,
                    output_padding: attributes.lengths("output_padding")?,
                    groups: group(attributes)?,
                    kernel: KernelOrder::FiltersFirst,
                    channels: Channels::First,
                }
            }
            "MaxPool" => pool(attributes, PoolKind::Max)?,
            "AveragePool" => pool(attributes, PoolKind::Average)?,
            "GlobalMaxPool" => Kind::GlobalPool { kind: PoolKind::Max, channels: Channels::First },
            "GlobalAveragePool" => {
                Kind::GlobalPool { kind: PoolKind::Average, channels: Channels::First }
            }
            "Gemm" => return self.gemm(attributes, inputs),
            "MatMul" => Kind::MatMul,
            "Add" | "Sum" => return elementwise(Elementwise::Add),
            "Sub" => return elementwise(Elementwise::Subtract),
            "Mul" => return elementwise(Elementwise::Multiply),
            "Div" => return elementwise(Elementwise::Divide),
            "Max" => return elementwise(Elementwise::Maximum),
            "Min" => return elementwise(Elementwise::Minimum),
            "Mean" => return elementwise(Elementwise::Mean),
            "Pow" => return self.square(inputs),
            "Erf" => Kind::Function(Function::Erf),
            "Neg" => Kind::Function(Function::Negative),
            "Sqrt" => Kind::Function(Function::SquareRoot),
            "Reciprocal" => Kind::Function(Function::Reciprocal),
            "Greater" => Kind::Compare(Comparison::Greater),
            "GreaterOrEqual" => Kind::Compare(Comparison::GreaterOrEqual),
            "Less" => Kind::Compare(Comparison::Less),
            "LessOrEqual" => Kind::Compare(Comparison::LessOrEqual),
            "Where" => Kind::Select,
            "PRelu" => Kind::PRelu,
            "Clip" => {
                let sides = [attributes.number("min")?, attributes.number("max")?];
                return Ok((Kind::Clip, self.with_attributes(inputs, 1, sides)));
            }
            "Softmax" | "LogSoftmax" => {
                let (axis, over_rest) = if self.opset < 13 { (1, true) } else { (-1, false) };
                let log = node.op_type == "LogSoftmax";
                Kind::Softmax { axis: attributes.int("axis", axis)?, log, over_rest }
            }
            "BatchNormalization" => {
                // Until version 14 a node that gives more than the one value is one of training.
                let gives_more = node.output.iter().skip(1).any(|name| !name.is_empty());
                if attributes.flag("training_mode")?
                    || (self.opset < 14 && gives_more)
                    || (self.opset < 9 && attributes.int("spatial", 1)? != 1)
                {
                    return Err(attributes
                        .fault("is no normalisation by stored averages of channels")
                        .into());
                }
                let epsilon = attributes.float("epsilon", 1e-5)?;
                Kind::BatchNormalization { epsilon, channels: Channels::First }
            }
            "LayerNormalization" => {
                let epsilon = attributes.float("epsilon", 1e-5)?;
                Kind::LayerNormalization { axis: attributes.int("axis", -1)?, over: None, epsilon }
            }
            "GroupNormalization" => {
                let groups = usize::try_from(attributes.int("num_groups", 0)?).ok();
                let groups = groups.filter(|&groups| groups > 0);
                let groups = Groups::Of(groups.ok_or_else(|| attributes.fault("has no groups"))?);
                Kind::GroupNormalization { groups, epsilon: attributes.float("epsilon", 1e-5)? }
            }
            "InstanceNormalization" => {
                let epsilon = attributes.float("epsilon", 1e-5)?;
                Kind::GroupNormalization { groups: Groups::Channels, epsilon }
            }
            "Flatten" => return self.flatten(attributes, inputs),
            "Reshape" => Kind::Reshape { zero_copies: !attributes.flag("allowzero")? },
            "Transpose" => Kind::Transpose(match attributes.ints("perm")? {
                Some(_) => Some(attributes.lengths("perm")?),
                None => None,
            }),
            "Tile" => Kind::Tile,
            "Concat" => Kind::Concat { axis: attributes.int("axis", 0)? },
            "Pad" => {
                if attributes.text("mode", "constant")? != "constant" {
                    return Err(attributes.fault("pads with other numbers than zeros").into());
                }
                let settings = [attributes.list("pads")?, attributes.number("value")?];
                return Ok((Kind::Pad, self.with_attributes(inputs, 1, settings)));
            }
            "ReduceMean" | "ReduceMax" => {
                let kind =
                    if node.op_type == "ReduceMax" { PoolKind::Max } else { PoolKind::Average };
                let reduce = Kind::Reduce { kind, keep: attributes.int("keepdims", 1)? != 0 };
                let axes = attributes.list("axes")?;
                return Ok((reduce, self.with_attributes(inputs, 1, [axes])));
            }
            "Squeeze" | "Unsqueeze" => {
                let kind = if node.op_type == "Squeeze" { Kind::Squeeze } else { Kind::Unsqueeze };
                let axes = attributes.list("axes")?;
                return Ok((kind, self.with_attributes(inputs, 1, [axes])));
            }
            "Slice" => {
                let [starts, ends, axes] = ["starts", "ends", "axes"].map(|it| attributes.list(it));
                let parts = [starts?, ends?, axes?];
                return Ok((Kind::Slice, self.with_attributes(inputs, 1, parts)));
            }
            "Upsample" | "Resize" => return self.resize(attributes, inputs),
            "Shape" => return self.lengths(attributes, inputs),
            "ConstantOfShape" => match attributes.tensor("value")?.and_then(one_integer) {
                Some(with) => Kind::Filled { with },
                None => Kind::Unknown(node.op_type.clone()),
            },
            "Gather" => Kind::Gather { axis: attributes.int("axis", 0)? },
            "Cast" => self.cast(attributes)?,
            "Identity" => Kind::Identity,
            "Dropout" => return self.dropout(attributes, inputs),
            unknown => match self.function(attributes, &inputs)? {
                Some(read) => return Ok(read),
                None => Kind::Unknown(unknown.to_owned()),
            },
        };
        Ok((kind, inputs))
    }

    /// The lengths of the axes of x, or of some of them.
    fn lengths(
        &mut self,
        attributes: &Attributes<'_>,
        inputs: Vec<Wanted>,
    ) -> Result<Read, FormatError> {
        let (start, end) = (attributes.int("start", 0)?, attributes.int("end", i64::MAX)?);
        if (start, end) == (0, i64::MAX) {
            return Ok((Kind::Shape, inputs));
        }
        let all = self.operation(Kind::Shape, inputs);
        let bounds = [start, end].map(|at| self.constant(Constant::integers([at])));
        Ok((Kind::Slice, [vec![all], bounds.to_vec()].concat()))
    }

    /// All numbers of a sample in a row. A negative axis is that behind the batch only in values of so many
    /// axes, which is seen when the new shape is: [−1, the lengths from the axis on].
    fn flatten(
        &mut self,
        attributes: &Attributes<'_>,
        inputs: Vec<Wanted>,
    ) -> Result<Read, FormatError> {
        let x = inputs.into_iter().next().unwrap_or(Wanted::Nothing);
        let shape = match attributes.int("axis", 1)? {
            1 => self.constant(Constant::integers([0, -1])),
            axis if axis < 0 => {
                let lengths = self.operation(Kind::Shape, vec![x.clone()]);
                let bounds = [axis, i64::MAX].map(|at| self.constant(Constant::integers([at])));
                let lengths = [vec![lengths], bounds.to_vec()].concat();
                let lengths = self.operation(Kind::Slice, lengths);
                let length = self.operation(Kind::Product, vec![lengths]);
                let first = self.constant(Constant::integers([0]));
                let length = self.operation(Kind::Unsqueeze, vec![length, first]);
                let batch = self.constant(Constant::integers([-1]));
                self.operation(Kind::Concat { axis: 0 }, vec![batch, length])
            }
            _ => return Err(attributes.fault("flattens from another axis than 1 on").into()),
        };
        Ok((Kind::Reshape { zero_copies: true }, vec![x, shape]))
    }

    /// Numbers as another type. All floating-point numbers are f32 here; where the file has coarser ones,
    /// it rounds and keepnet does not.
    fn cast(&mut self, attributes: &Attributes<'_>) -> Result<Kind, OnnxError> {
        let to = attributes.int("to", i64::from(Tensor::FLOAT))?;
        let dtype = i32::try_from(to).ok().and_then(dtype);
        match dtype {
            Some(to) => {
                if matches!(to, DType::F16 | DType::BF16) {
                    let value = attributes.name();
                    self.notices.push(Notice::Unrounded { value, to: to.name() });
                }
                Ok(Kind::Cast(Cast::to(to)))
            }
            None => Err(attributes.fault("casts to a type that is none of numbers")),
        }
    }

    /// Nothing, but where a file asks for what training does.
    fn dropout(
        &mut self,
        attributes: &Attributes<'_>,
        inputs: Vec<Wanted>,
    ) -> Result<Read, FormatError> {
        if let Some(&Some(training)) = self.resolved(&inputs)?.get(2) {
            let training = self.program.constants.get(&training).and_then(Constant::scalar);
            if training != Some(0.0) {
                return Err(attributes.fault("drops numbers as in training").into());
            }
        }
        Ok((Kind::Identity, inputs.into_iter().take(1).collect()))
    }

    /// x², of all powers.
    fn square(&mut self, inputs: Vec<Wanted>) -> Result<Read, FormatError> {
        let values = self.resolved(&inputs)?;
        let power = values.get(1).copied().flatten();
        let power = power.and_then(|power| self.program.constants.get(&power)?.scalar());
        match (power, inputs.into_iter().next()) {
            (Some(2.0), Some(x)) => {
                Ok((Kind::Elementwise(Elementwise::Multiply), vec![x.clone(), x]))
            }
            (_, x) => Ok((Kind::Unknown("Pow".to_owned()), x.into_iter().collect())),
        }
    }

    /// The parts of a value along an axis, an operation each: of lengths that are told, or all of one, the
    /// last as long as the rest.
    pub(super) fn split(&mut self, node: &Node) -> Result<(), FormatError> {
        let attributes = Attributes(node);
        let axis = attributes.int("axis", 0)?;
        let inputs: Vec<Wanted> = node.input.iter().cloned().map(Wanted::Name).collect();
        let inputs = self.resolved(&inputs)?;
        let lengths = match inputs.get(1).copied().flatten() {
            Some(lengths) => {
                let known = self.program.constants.get(&lengths).and_then(Constant::known);
                Some(known.ok_or_else(|| attributes.fault("takes parts of computed lengths"))?)
            }
            None => attributes.ints("split")?.map(<[i64]>::to_vec),
        };
        if let Some(lengths) = &lengths {
            if lengths.len() != node.output.len() {
                return Err(attributes.fault("has another number of lengths than of parts").into());
            }
            if lengths.iter().any(|&length| length < 0) {
                return Err(attributes.fault("has lengths below 0").into());
            }
        }
        let mut end = 0_i64;
        for (number, name) in node.output.iter().enumerate() {
            let (kind, bounds) = match &lengths {
                Some(lengths) => {
                    let start = end;
                    end = end.saturating_add(lengths.get(number).copied().unwrap_or(0));
                    let bounds =
                        [start, end, axis].map(|at| self.constant(Constant::integers([at])));
                    (Kind::Slice, self.resolved(&bounds)?)
                }
                None => (Kind::Part { axis, number, of: node.output.len() }, Vec::new()),
            };
            let mut taken = vec![inputs.first().copied().flatten()];
            taken.extend(bounds);
            let (layer, output) = (self.layer.clone(), self.define(name)?);
            self.program.operations.push(Operation { name: layer, kind, inputs: taken, output });
        }
        Ok(())
    }

    /// α·A·B + β·C as a product and a sum.
    fn gemm(
        &mut self,
        attributes: &Attributes<'_>,
        inputs: Vec<Wanted>,
    ) -> Result<Read, FormatError> {
        let mut inputs = inputs.into_iter();
        let (a, b) =
            (inputs.next().unwrap_or(Wanted::Nothing), inputs.next().unwrap_or(Wanted::Nothing));
        let c = inputs.next().filter(|c| !c.is_nothing());
        if attributes.flag("transA")? {
            return Err(attributes.fault("transposes the samples").into());
        }
        let b = match attributes.flag("transB")? {
            true => self.operation(Kind::Transpose(Some(vec![1, 0])), vec![b]),
            false => b,
        };
        let times = |all: &mut Self, x: Wanted, factor: Option<f32>| match factor {
            Some(factor) if factor != 1.0 => {
                let factor = all.constant(Constant::float(factor));
                all.operation(Kind::Elementwise(Elementwise::Multiply), vec![x, factor])
            }
            _ => x,
        };
        let b = times(self, b, attributes.some_float("alpha")?);
        let Some(c) = c else { return Ok((Kind::MatMul, vec![a, b])) };
        let c = times(self, c, attributes.some_float("beta")?);
        let product = self.operation(Kind::MatMul, vec![a, b]);
        Ok((Kind::Elementwise(Elementwise::Add), vec![product, c]))
    }

    fn resize(
        &mut self,
        attributes: &Attributes<'_>,
        inputs: Vec<Wanted>,
    ) -> Result<Read, FormatError> {
        let is_upsample = attributes.0.op_type == "Upsample";
        if attributes.text("keep_aspect_ratio_policy", "stretch")? != "stretch" {
            return Err(attributes.fault("keeps the proportions of images").into());
        }
        let mut axes = (0..).zip(attributes.ints("axes")?.unwrap_or_default());
        if axes.any(|(own, &axis)| own != axis) {
            return Err(attributes.fault("resizes some axes, or all in another order").into());
        }
        let places = match is_upsample || self.opset < 11 {
            true => "asymmetric",
            false => attributes.text("coordinate_transformation_mode", "half_pixel")?,
        };
        // With whole factors, all ways to choose the nearest pixel but the last two name the same one.
        let rounding = attributes.text("nearest_mode", "round_prefer_floor")?;
        let interpolation =
            match (attributes.text("mode", "nearest")?, places) {
                ("nearest", "half_pixel" | "pytorch_half_pixel" | "half_pixel_symmetric")
                    if matches!(rounding, "round_prefer_floor" | "round_prefer_ceil") =>
                {
                    Interpolation::Nearest
                }
                ("nearest", "asymmetric") if rounding == "floor" || self.opset < 11 => {
                    Interpolation::Nearest
                }
                ("linear", "half_pixel" | "pytorch_half_pixel" | "half_pixel_symmetric") => {
                    Interpolation::Bilinear
                }
                _ => return Err(attributes
                    .fault(
                        "resizes by a mode, or by places of pixels, that keepnet has no layer for",
                    )
                    .into()),
            };
        let mut inputs = inputs.into_iter();
        let x = inputs.next().unwrap_or(Wanted::Nothing);
        let mut inputs: Vec<Wanted> = inputs.collect();
        if !is_upsample && self.opset >= 11 && !inputs.is_empty() {
            // The region of interest, which these modes do not look at.
            inputs.remove(0);
        }
        if let Some(scales) = attributes.floats("scales")? {
            let scales = Constant::list(scales).ok_or_else(|| attributes.fault("has no scales"))?;
            inputs.insert(0, self.constant(scales));
        }
        inputs.insert(0, x);
        // Which axis is that of channels is told by its factor alone.
        let values = self.resolved(&inputs)?;
        let scales = values.get(1).copied().flatten();
        let scales = scales.and_then(|scales| self.program.constants.get(&scales)?.values());
        let channels = match scales.as_deref() {
            Some([_, first, .., last]) if *first != 1.0 && *last == 1.0 => Channels::Last,
            _ => Channels::First,
        };
        Ok((Kind::Resize { interpolation, channels }, inputs))
    }

    /// The inputs, those from number `from` on being the attributes that older versions have instead.
    fn with_attributes<'c, const N: usize>(
        &mut self,
        mut inputs: Vec<Wanted>,
        from: usize,
        attributes: [Option<Constant<'c>>; N],
    ) -> Vec<Wanted>
    where
        'c: 'static,
    {
        if inputs.len() <= from && attributes.iter().any(Option::is_some) {
            inputs.resize(from, Wanted::Nothing);
            for attribute in attributes {
                let input = attribute.map_or(Wanted::Nothing, |constant| self.constant(constant));
                inputs.push(input);
            }
        }
        inputs
    }
}

/// The number of a tensor of one whole number.
fn one_integer(tensor: &Tensor) -> Option<i64> {
    let raw = <[u8; 8]>::try_from(&*tensor.raw_data);
    match (tensor.data_type, tensor.int64_data.as_slice(), raw) {
        (Tensor::INT64, &[number], _) => Some(number),
        (Tensor::INT64, [], Ok(bytes)) => Some(i64::from_le_bytes(bytes)),
        _ => None,
    }
}

fn group(attributes: &Attributes<'_>) -> Result<usize, OnnxError> {
    let group = usize::try_from(attributes.int("group", 1)?).ok().filter(|&group| group > 0);
    group.ok_or_else(|| attributes.fault("has no groups"))
}

fn moves(attributes: &Attributes<'_>) -> Result<Moves, OnnxError> {
    let padding = match attributes.text("auto_pad", "NOTSET")? {
        "SAME_UPPER" => Pads::Same { odd_behind: true },
        "SAME_LOWER" => Pads::Same { odd_behind: false },
        "VALID" => Pads::Valid,
        "NOTSET" => {
            let pads = attributes.lengths("pads")?;
            if !pads.len().is_multiple_of(2) {
                return Err(attributes.fault("has pads for half an axis"));
            }
            let (before, behind) = pads.split_at(pads.len() / 2);
            Pads::Explicit(before.iter().zip(behind).map(|(&a, &b)| [a, b]).collect())
        }
        _ => return Err(attributes.fault("has an `auto_pad` that ONNX does not know")),
    };
    let (strides, dilations) = (attributes.lengths("strides")?, attributes.lengths("dilations")?);
    let size = attributes.lengths("kernel_shape")?;
    Ok(Moves { size, strides, dilations, padding })
}

fn pool(attributes: &Attributes<'_>, kind: PoolKind) -> Result<Kind, OnnxError> {
    Ok(Kind::Pool {
        kind,
        size: attributes.lengths("kernel_shape")?,
        moves: moves(attributes)?,
        ceil: attributes.flag("ceil_mode")?,
        counts_padding: attributes.flag("count_include_pad")?,
        channels: Channels::First,
    })
}
