//! Nodes of TensorFlow as operations.

use super::attributes::{Attributes, MAX_LIST};
use super::{Building, short};
use crate::format::operations::{
    Cast, Channels, Comparison, Constant, Elementwise, Function, Interpolation, KernelOrder, Kind,
    Moves, Pads, ValueId,
};
use crate::format::report::Notice;
use crate::format::savedmodel::SavedModelError;
use crate::model::{Activation, PoolKind};
use crate::tensor::DType;

impl<'m> Building<'m> {
    /// What a node gives, as operations and what they take.
    pub(super) fn operator(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: Vec<ValueId>,
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let op = attributes.0.op.as_str();
        // Such as a placeholder that is no input of the signature.
        let Some(&x) = inputs.first() else { return self.unknown(op, inputs) };
        if let Some(function) = activation(attributes)? {
            return self.one(Kind::Activation(function), inputs);
        }
        if let Some(elementwise) = elementwise(op) {
            return self.one(Kind::Elementwise(elementwise), inputs);
        }
        match op {
            "Identity"
            | "ReadVariableOp"
            | "StopGradient"
            | "PreventGradient"
            | "Snapshot"
            | "EnsureShape"
            | "CheckNumerics"
            | "PlaceholderWithDefault" => Ok(vec![x]),
            "IdentityN" => Ok(inputs),
            "Cast" => self.cast(attributes, inputs),
            "Conv2D" | "DepthwiseConv2dNative" => self.convolution(attributes, &inputs, None),
            "Conv2DBackpropInput" => self.transposed_convolution(attributes, &inputs),
            "BiasAdd" | "BiasAddV1" => self.bias_add(attributes, &inputs),
            "MatMul" | "BatchMatMul" | "BatchMatMulV2" => self.mat_mul(attributes, &inputs),
            "MaxPool" => self.pool(attributes, PoolKind::Max, x),
            "AvgPool" => self.pool(attributes, PoolKind::Average, x),
            "Mean" | "Max" => {
                let kind = if op == "Max" { PoolKind::Max } else { PoolKind::Average };
                self.one(Kind::Reduce { kind, keep: attributes.flag("keep_dims", false)? }, inputs)
            }
            "FusedBatchNorm" | "FusedBatchNormV2" | "FusedBatchNormV3" => {
                if attributes.flag("is_training", true)? {
                    return Err(attributes.fault("normalises by the averages of the batch"));
                }
                let epsilon = attributes.float("epsilon", 1e-4)?;
                let channels = channels(attributes)?;
                self.one(Kind::BatchNormalization { epsilon, channels }, inputs)
            }
            "Softmax" | "LogSoftmax" => {
                let log = op == "LogSoftmax";
                self.one(Kind::Softmax { axis: -1, log, over_rest: false }, inputs)
            }
            "Sqrt" => self.one(Kind::Function(Function::SquareRoot), inputs),
            "Reciprocal" | "Inv" => self.one(Kind::Function(Function::Reciprocal), inputs),
            "Rsqrt" => {
                let root = self.one(Kind::Function(Function::SquareRoot), inputs)?;
                self.one(Kind::Function(Function::Reciprocal), root)
            }
            "Square" => self.one(Kind::Elementwise(Elementwise::Multiply), vec![x, x]),
            "SquaredDifference" => {
                let apart = self.one(Kind::Elementwise(Elementwise::Subtract), inputs)?;
                self.one(Kind::Elementwise(Elementwise::Multiply), apart.repeat(2))
            }
            "Neg" => {
                let minus = self.constant(Constant::float(-1.0));
                self.one(Kind::Elementwise(Elementwise::Multiply), vec![x, minus])
            }
            "Erf" => self.one(Kind::Function(Function::Erf), inputs),
            "Erfc" => {
                let one = self.constant(Constant::float(1.0));
                let erf = self.one(Kind::Function(Function::Erf), inputs)?;
                self.one(Kind::Elementwise(Elementwise::Subtract), [vec![one], erf].concat())
            }
            "Expm1" => self.one(Kind::Function(Function::ExponentialLessOne), inputs),
            "Greater" => self.one(Kind::Compare(Comparison::Greater), inputs),
            "GreaterEqual" => self.one(Kind::Compare(Comparison::GreaterOrEqual), inputs),
            "Less" => self.one(Kind::Compare(Comparison::Less), inputs),
            "LessEqual" => self.one(Kind::Compare(Comparison::LessOrEqual), inputs),
            "Select" | "SelectV2" => self.one(Kind::Select, inputs),
            "Reshape" => self.one(Kind::Reshape { zero_copies: false }, inputs),
            "Squeeze" => {
                let axes = attributes.ints("squeeze_dims")?;
                let axes = axes.filter(|axes| !axes.is_empty());
                let axes = axes.map(|axes| self.constant(Constant::integers(axes.iter().copied())));
                self.operation(Kind::Squeeze, [Some(x), axes]).map(|value| vec![value])
            }
            "ExpandDims" => self.one(Kind::Unsqueeze, inputs),
            "Transpose" => self.one(Kind::Transpose(None), inputs),
            "Tile" => self.one(Kind::Tile, inputs),
            "Pad" | "PadV2" => self.pad(attributes, &inputs),
            "ConcatV2" => {
                let (axis, values) = inputs.split_last().ok_or_else(|| few(attributes))?;
                let axis = self.number(attributes, *axis)?;
                self.one(Kind::Concat { axis }, values.to_vec())
            }
            "Pack" => self.pack(attributes, &inputs),
            "Unpack" => self.unpack(attributes, x),
            "Split" => self.split(attributes, &inputs),
            "Slice" => self.slice(attributes, &inputs),
            "Shape" => self.one(Kind::Shape, inputs),
            "Prod" => self.one(Kind::Product, vec![x]),
            "StridedSlice" => self.strided_slice(attributes, &inputs),
            "GatherV2" => {
                let &[x, places, axis] = inputs.as_slice() else { return Err(few(attributes)) };
                let axis = self.number(attributes, axis)?;
                self.one(Kind::Gather { axis }, vec![x, places])
            }
            "ResizeNearestNeighbor" | "ResizeBilinear" => self.resize(attributes, &inputs),
            _ => self.unknown(op, inputs),
        }
    }

    /// Numbers as another type. All floating-point numbers are f32 here; where the file has coarser ones,
    /// it rounds and keepnet does not, which is told once for each layer.
    fn cast(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: Vec<ValueId>,
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let what = "casts to a type that is none of numbers";
        let to = attributes.dtype("DstT")?.ok_or_else(|| attributes.fault(what))?;
        if matches!(to, DType::F16 | DType::BF16) {
            let weight = inputs.first().and_then(|value| self.names.get(value));
            let layer = weight.and_then(|name| name.rsplit('/').nth(1));
            let value = layer.map_or_else(|| self.layer.clone(), short);
            if self.rounded.insert((value.clone(), to.name())) {
                self.notices.push(Notice::Unrounded { value, to: to.name() });
            }
        }
        self.one(Kind::Cast(Cast::to(to)), inputs)
    }

    /// However many results there are, they are told as one operation.
    fn unknown(&mut self, op: &str, inputs: Vec<ValueId>) -> Result<Vec<ValueId>, SavedModelError> {
        let results = self.one(Kind::Unknown(op.to_owned()), inputs)?;
        self.unknown.extend(&results);
        Ok(results)
    }

    /// One operation on these values.
    fn one(&mut self, kind: Kind, inputs: Vec<ValueId>) -> Result<Vec<ValueId>, SavedModelError> {
        self.operation(kind, inputs.into_iter().map(Some)).map(|value| vec![value])
    }

    /// Whole numbers that stand in the graph.
    pub(super) fn known(
        &self,
        attributes: &Attributes<'m>,
        value: ValueId,
    ) -> Result<Vec<i64>, SavedModelError> {
        let computed = || attributes.fault("takes axes or lengths that are computed");
        let constant = self.program.constants.get(&value).ok_or_else(computed)?;
        if constant.dims.iter().product::<usize>() > MAX_LIST {
            return Err(attributes.fault("takes lengths of more axes than there are"));
        }
        constant.known().ok_or_else(computed)
    }

    fn number(&self, attributes: &Attributes<'m>, value: ValueId) -> Result<i64, SavedModelError> {
        match self.known(attributes, value)?.as_slice() {
            &[number] => Ok(number),
            _ => Err(attributes.fault("takes several numbers in the place of one")),
        }
    }

    /// A convolution, with the gaps and the padding of the node if it has none of its own.
    pub(super) fn convolution(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: &[ValueId],
        spaced: Option<(Vec<usize>, Pads)>,
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let channels = channels(attributes)?;
        let mut moves = moves(attributes, channels)?;
        if let Some((dilations, padding)) = spaced {
            (moves.dilations, moves.padding) = (dilations, padding);
        }
        let kernel = match attributes.0.op.as_str() {
            "DepthwiseConv2dNative" => KernelOrder::Depthwise,
            _ => KernelOrder::FiltersLast,
        };
        self.one(Kind::Conv { moves, groups: None, kernel, channels }, inputs.to_vec())
    }

    /// (shape of the result, kernel, x)
    fn transposed_convolution(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let &[shape, kernel, x] = inputs else { return Err(few(attributes)) };
        let channels = channels(attributes)?;
        let kind = Kind::ConvTranspose {
            moves: moves(attributes, channels)?,
            output_padding: Vec::new(),
            groups: 1,
            kernel: KernelOrder::FiltersLast,
            channels,
        };
        let inputs = [Some(x), Some(kernel), None, Some(shape)];
        self.operation(kind, inputs).map(|value| vec![value])
    }

    fn bias_add(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let &[x, bias] = inputs else { return Err(few(attributes)) };
        let bias = match channels(attributes)? {
            Channels::Last => bias,
            Channels::First => {
                let axes = self.constant(Constant::integers([1, 2]));
                self.operation(Kind::Unsqueeze, [Some(bias), Some(axes)])?
            }
        };
        self.one(Kind::Elementwise(Elementwise::Add), vec![x, bias])
    }

    fn mat_mul(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let &[x, kernel] = inputs else { return Err(few(attributes)) };
        let flag = |name| attributes.flag(name, false);
        if flag("transpose_a")? || flag("adj_x")? {
            return Err(attributes.fault("transposes the samples"));
        }
        let is_turned = flag("transpose_b")? || flag("adj_y")?;
        let kernel = match is_turned {
            true => self.operation(Kind::Transpose(Some(vec![1, 0])), [Some(kernel)])?,
            false => kernel,
        };
        self.one(Kind::MatMul, vec![x, kernel])
    }

    fn pool(
        &mut self,
        attributes: &Attributes<'m>,
        kind: PoolKind,
        x: ValueId,
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let channels = channels(attributes)?;
        let size = sides(attributes, "ksize", channels)?;
        let pool = Kind::Pool {
            kind,
            size: size.ok_or_else(|| attributes.fault("tells of no windows"))?,
            moves: moves(attributes, channels)?,
            ceil: false,
            counts_padding: false,
            channels,
        };
        self.one(pool, vec![x])
    }

    /// (x, before and behind for each axis, value?)
    fn pad(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let pads = inputs.get(1).copied().ok_or_else(|| few(attributes))?;
        let pads = self.known(attributes, pads)?;
        let behind = pads.iter().skip(1).step_by(2);
        let pads: Vec<i64> = pads.iter().step_by(2).chain(behind).copied().collect();
        let pads = self.constant(Constant::integers(pads));
        let inputs = [inputs.first().copied(), Some(pads), inputs.get(2).copied()];
        self.operation(Kind::Pad, inputs).map(|value| vec![value])
    }

    /// Values along a new axis.
    fn pack(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let axis = attributes.int("axis", 0)?;
        let place = self.constant(Constant::integers([axis]));
        let parts =
            inputs.iter().map(|&part| self.operation(Kind::Unsqueeze, [Some(part), Some(place)]));
        let parts = parts.collect::<Result<_, _>>()?;
        self.one(Kind::Concat { axis }, parts)
    }

    /// The values along an axis, each by itself.
    fn unpack(
        &mut self,
        attributes: &Attributes<'m>,
        x: ValueId,
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let axes = self.constant(Constant::integers([attributes.int("axis", 0)?]));
        let parts = (0..attributes.int("num", 0)?).map(|number| {
            let [start, end] =
                [number, number + 1].map(|at| self.constant(Constant::integers([at])));
            let part = self.operation(Kind::Slice, [x, start, end, axes].map(Some))?;
            self.operation(Kind::Squeeze, [Some(part), Some(axes)])
        });
        parts.collect()
    }

    /// (axis, x): parts of one length.
    fn split(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let &[axis, x] = inputs else { return Err(few(attributes)) };
        let axis = self.number(attributes, axis)?;
        let count = usize::try_from(attributes.int("num_split", 0)?).unwrap_or(0);
        let parts = (0..count)
            .map(|number| self.operation(Kind::Part { axis, number, of: count }, [Some(x)]));
        parts.collect()
    }

    /// (x, begin, lengths): one of each for every axis; a length of −1 is all that is left.
    fn slice(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let &[x, begin, lengths] = inputs else { return Err(few(attributes)) };
        let begin = self.known(attributes, begin)?;
        let lengths = self.known(attributes, lengths)?;
        let ends = begin.iter().zip(&lengths).map(|(&begin, &length)| match length {
            -1 => i64::MAX,
            length => begin.saturating_add(length),
        });
        let ends: Vec<i64> = ends.collect();
        let bounds = [begin, ends].map(|list| self.constant(Constant::integers(list)));
        self.one(Kind::Slice, [[x].as_slice(), &bounds].concat())
    }

    /// (x, begin, end, steps): along the first axes, one each.
    fn strided_slice(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let &[x, begin, end, steps] = inputs else { return Err(few(attributes)) };
        let mask = |name| attributes.int(name, 0);
        let (begins, open, shrunk) =
            (mask("begin_mask")?, mask("end_mask")?, mask("shrink_axis_mask")?);
        let is_set = |mask: i64, axis: usize| {
            u32::try_from(axis).is_ok_and(|axis| mask.checked_shr(axis).unwrap_or(0) & 1 == 1)
        };
        if mask("ellipsis_mask")? != 0 || mask("new_axis_mask")? != 0 {
            return Err(attributes.fault("takes a part, and gives it other axes"));
        }
        let known = |value| self.known(attributes, value);
        let (begin, end, steps) = (known(begin)?, known(end)?, known(steps)?);
        let (mut starts, mut ends, mut axes, mut single) = (vec![], vec![], vec![], vec![]);
        for (axis, ((&begin, &end), number)) in begin.iter().zip(&end).zip(0_i64..).enumerate() {
            let is_single = is_set(shrunk, axis);
            let is_open = is_set(open, axis) || (is_single && begin == -1);
            starts.push(if is_set(begins, axis) && !is_single { 0 } else { begin });
            ends.push(match (is_open, is_single) {
                (true, _) => i64::MAX,
                (false, true) => begin.saturating_add(1),
                (false, false) => end,
            });
            axes.push(number);
            single.extend(is_single.then_some(number));
        }
        let lists = [starts, ends, axes, steps].map(|list| self.constant(Constant::integers(list)));
        let part = self.one(Kind::Slice, [[x].as_slice(), &lists].concat())?;
        if single.is_empty() {
            return Ok(part);
        }
        let single = self.constant(Constant::integers(single));
        self.one(Kind::Squeeze, [part, vec![single]].concat())
    }

    /// (images, height and width)
    fn resize(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let &[x, sides] = inputs else { return Err(few(attributes)) };
        let is_nearest = attributes.0.op == "ResizeNearestNeighbor";
        let is_centred = attributes.flag("half_pixel_centers", false)?;
        // With whole factors, both ways to choose the nearest pixel name the same one.
        let interpolation = match (is_nearest, is_centred) {
            _ if attributes.flag("align_corners", false)? => None,
            (true, _) => Some(Interpolation::Nearest),
            (false, true) => Some(Interpolation::Bilinear),
            (false, false) => None,
        };
        let what = "aligns corners, or is bilinear without half-pixel centres";
        let interpolation = interpolation.ok_or_else(|| attributes.fault(what))?;
        let shape = self.operation(Kind::Shape, [Some(x)])?;
        let [zero, one, three, four] =
            [0, 1, 3, 4].map(|at| self.constant(Constant::integers([at])));
        let batch = self.operation(Kind::Slice, [shape, zero, one].map(Some))?;
        let width = self.operation(Kind::Slice, [shape, three, four].map(Some))?;
        let sizes = self.operation(Kind::Concat { axis: 0 }, [batch, sides, width].map(Some))?;
        let inputs = [Some(x), None, Some(sizes)];
        let resize = Kind::Resize { interpolation, channels: Channels::Last };
        self.operation(resize, inputs).map(|value| vec![value])
    }
}

fn few(attributes: &Attributes<'_>) -> SavedModelError {
    attributes.fault("takes fewer or more values than its operation does")
}

fn activation(attributes: &Attributes<'_>) -> Result<Option<Activation>, SavedModelError> {
    Ok(Some(match attributes.0.op.as_str() {
        "Relu" => Activation::Relu,
        "Relu6" => Activation::Relu6,
        "LeakyRelu" => Activation::LeakyRelu { negative_slope: attributes.float("alpha", 0.2)? },
        "Elu" => Activation::Elu { alpha: 1.0 },
        "Selu" => Activation::Selu,
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        "Softplus" => Activation::Softplus,
        "Softsign" => Activation::Softsign,
        "Exp" => Activation::Exponential,
        _ => return Ok(None),
    }))
}

fn elementwise(op: &str) -> Option<Elementwise> {
    Some(match op {
        "Add" | "AddV2" | "AddN" => Elementwise::Add,
        "Sub" => Elementwise::Subtract,
        "Mul" => Elementwise::Multiply,
        "RealDiv" | "Div" => Elementwise::Divide,
        "Maximum" => Elementwise::Maximum,
        "Minimum" => Elementwise::Minimum,
        _ => return None,
    })
}

pub(super) fn channels(attributes: &Attributes<'_>) -> Result<Channels, SavedModelError> {
    match attributes.text("data_format", "NHWC")? {
        "NHWC" => Ok(Channels::Last),
        "NCHW" => Ok(Channels::First),
        _ => Err(attributes.fault("has its axes in another order than NHWC and NCHW")),
    }
}

/// What is told for every axis, along height and width; the others must be 1.
fn sides(
    attributes: &Attributes<'_>,
    name: &str,
    channels: Channels,
) -> Result<Option<Vec<usize>>, SavedModelError> {
    let Some(lengths) = attributes.lengths(name)? else { return Ok(None) };
    match (lengths.as_slice(), channels) {
        (&[1, rows, columns, 1], Channels::Last) | (&[1, 1, rows, columns], Channels::First) => {
            Ok(Some(vec![rows, columns]))
        }
        _ => Err(attributes.fault("moves along other axes than those of images")),
    }
}

fn moves(attributes: &Attributes<'_>, channels: Channels) -> Result<Moves, SavedModelError> {
    let padding = match attributes.text("padding", "")? {
        "SAME" => Pads::Same { odd_behind: true },
        "VALID" => Pads::Valid,
        "EXPLICIT" => {
            let pads = attributes.lengths("explicit_paddings")?.unwrap_or_default();
            let pads = match (pads.as_chunks().0, channels) {
                (&[[0, 0], rows, columns, [0, 0]], Channels::Last)
                | (&[[0, 0], [0, 0], rows, columns], Channels::First) => [rows, columns],
                _ => return Err(attributes.fault("pads other axes than those of images")),
            };
            Pads::Explicit(pads.to_vec())
        }
        _ => return Err(attributes.fault("has another padding than SAME, VALID and EXPLICIT")),
    };
    let strides = sides(attributes, "strides", channels)?;
    let strides = strides.ok_or_else(|| attributes.fault("tells of no strides"))?;
    let dilations = sides(attributes, "dilations", channels)?.unwrap_or_default();
    Ok(Moves { size: Vec::new(), strides, dilations, padding })
}
