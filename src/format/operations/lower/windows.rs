//! Convolutions and pooling.

use super::Lowering;
use crate::format::operations::place::{Placed, axes_of};
use crate::format::operations::sketch::Step;
use crate::format::operations::{
    Channels, Constant, KernelOrder, LoweringError, Moves, Operation, Pads,
};
use crate::model::{
    Arrange, Conv1d, Conv2d, Conv2dTranspose, DepthwiseConv2d, GlobalPool1d, GlobalPool2d,
    LayerSpec, Padding, Padding1d, Pool1d, Pool2d, PoolKind, Window2d,
};
use crate::tensor::Tensor;

/// A window over one axis or two; over one, the first is of length 1.
struct Windows {
    is_sequence: bool,
    kernel: [usize; 2],
    strides: [usize; 2],
    dilation: [usize; 2],
    /// Before, behind, for each axis.
    pads: [[usize; 2]; 2],
    input: [usize; 2],
}

impl Windows {
    /// As keepnet has a name for it.
    fn padding(&self) -> Padding {
        let [[top, bottom], [left, right]] = self.pads;
        let resolve = |padding| {
            Window2d::new(self.input, self.kernel, self.strides, padding, self.dilation).ok()
        };
        let explicit = Padding::Explicit { top, bottom, left, right };
        if self.pads == [[0; 2]; 2] {
            return Padding::Valid;
        }
        // Where both give the same, TensorFlow's name for it stands in more files.
        match (resolve(explicit), resolve(Padding::Same)) {
            (Some(explicit), Some(same)) if explicit == same => Padding::Same,
            _ => explicit,
        }
    }

    fn padding1d(&self) -> Option<Padding1d> {
        let reach = self.kernel[1].saturating_sub(1).saturating_mul(self.dilation[1]);
        match self.padding() {
            Padding::Valid => Some(Padding1d::Valid),
            Padding::Same => Some(Padding1d::Same),
            Padding::Explicit { left, right: 0, .. } if left == reach => Some(Padding1d::Causal),
            Padding::Explicit { .. } => None,
        }
    }
}

impl Lowering<'_, '_> {
    /// The image or sequence that an operation takes, channels last.
    fn image(
        &mut self,
        operation: &Operation,
        channels: Channels,
    ) -> Result<Placed, LoweringError> {
        let x = self.placed(operation, 0)?;
        let rank = x.axes.len();
        if !(2..=3).contains(&rank) {
            return Err(self.unsupported("takes neither images nor sequences"));
        }
        x.arranged(&mut self.sketch, self.operation, &axes_of(channels, rank))
    }

    fn windows(
        &self,
        x: &Placed,
        kernel: &[usize],
        moves: &Moves,
    ) -> Result<Windows, LoweringError> {
        let shape = self.sketch.shape(x.node);
        let sides = shape.dims().split_last().map(|(_, sides)| sides).unwrap_or_default();
        let is_other = !moves.size.is_empty() && moves.size != kernel;
        if kernel.len() != sides.len() || is_other {
            return Err(self.contradiction());
        }
        let is_sequence = sides.len() == 1;
        let pair = |numbers: &[usize]| match *numbers {
            [] => Ok([1, 1]),
            [one] if is_sequence => Ok([1, one]),
            [a, b] if !is_sequence => Ok([a, b]),
            _ => Err(self.contradiction()),
        };
        let mut windows = Windows {
            is_sequence,
            kernel: pair(kernel)?,
            strides: pair(&moves.strides)?,
            dilation: pair(&moves.dilations)?,
            pads: [[0; 2]; 2],
            input: pair(sides)?,
        };
        match &moves.padding {
            Pads::Valid => {}
            Pads::Explicit(pads) => match *pads.as_slice() {
                [] => {}
                [one] if is_sequence => windows.pads = [[0; 2], one],
                [a, b] if !is_sequence => windows.pads = [a, b],
                _ => return Err(self.contradiction()),
            },
            Pads::Same { odd_behind } => {
                let Windows { input, kernel, strides, dilation, .. } = windows;
                let same = Window2d::new(input, kernel, strides, Padding::Same, dilation);
                let same = same.map_err(|_| self.contradiction())?;
                let extent = same.extent();
                for (axis, pads) in windows.pads.iter_mut().enumerate() {
                    let of = |pair: [usize; 2]| pair.get(axis).copied().unwrap_or(0);
                    let (before, all) = (of(same.before), of(extent).saturating_sub(of(input)));
                    let behind = all.saturating_sub(before);
                    *pads = if *odd_behind { [before, behind] } else { [behind, before] };
                }
            }
        }
        Ok(windows)
    }

    /// A kernel of so many axes, as keepnet has it: of no depthwise convolution.
    fn kernel(
        &mut self,
        operation: &Operation,
        order: KernelOrder,
        rank: usize,
    ) -> Result<Tensor<'static>, LoweringError> {
        let kernel = self.tensor(operation, 1)?;
        if kernel.shape().rank() != rank + 1 || kernel.shape().checked_elements() == Some(0) {
            return Err(self.contradiction());
        }
        self.budget.reserve(kernel.bytes().len() as u64, "a kernel")?;
        let turned = match order {
            KernelOrder::FiltersLast | KernelOrder::Depthwise => Some(kernel),
            KernelOrder::FiltersFirst => {
                let axes: Vec<usize> = (2..=rank).chain([1, 0]).collect();
                kernel.permuted(&axes)
            }
        };
        turned.ok_or_else(|| self.contradiction())
    }

    /// The bias, if there is one: of so many numbers.
    fn bias(
        &mut self,
        operation: &Operation,
        filters: usize,
    ) -> Result<Option<Tensor<'static>>, LoweringError> {
        if self.get(operation, 2)?.is_none() {
            return Ok(None);
        }
        let bias = self.tensor(operation, 2)?;
        match bias.shape().dims() == [filters] {
            true => Ok(Some(bias)),
            false => Err(self.contradiction()),
        }
    }

    pub(super) fn conv(
        &mut self,
        operation: &Operation,
        moves: &Moves,
        groups: Option<usize>,
        (order, channels): (KernelOrder, Channels),
    ) -> Result<Placed, LoweringError> {
        let x = self.image(operation, channels)?;
        let rank = x.axes.len();
        let mut kernel = self.kernel(operation, order, rank)?;
        let width = self.sketch.shape(x.node).dims().last().copied().unwrap_or(0);
        let dims = kernel.shape().dims().to_vec();
        let Some((sizes, &[inner, filters])) = dims.split_last_chunk() else {
            return Err(self.contradiction());
        };
        let is_depthwise = order == KernelOrder::Depthwise;
        let (groups, filters) = match is_depthwise {
            true => (width, inner.saturating_mul(filters)),
            false => (groups.unwrap_or_else(|| width / inner.max(1)), filters),
        };
        let expected = if is_depthwise { Some(inner) } else { inner.checked_mul(groups) };
        if expected != Some(width) || groups == 0 || filters % groups != 0 {
            return Err(self.contradiction());
        }
        let windows = self.windows(&x, sizes, moves)?;
        let bias = self.bias(operation, filters)?;
        let use_bias = bias.is_some();
        let mut source = x.node;
        let spec: LayerSpec = if windows.is_sequence {
            let padding = match windows.padding1d() {
                Some(padding) => padding,
                None => {
                    source = self.layer(Arrange::ZeroPadding1d(windows.pads[1]), &[source])?;
                    Padding1d::Valid
                }
            };
            let (strides, dilation) = (windows.strides[1], windows.dilation[1]);
            let kernel = windows.kernel[1];
            let conv = Conv1d::new(filters, kernel);
            Conv1d { strides, padding, dilation, groups, use_bias, ..conv }.into()
        } else {
            let Windows { kernel: size, strides, dilation, .. } = windows;
            let padding = windows.padding();
            if groups > 1 && groups == width {
                let depth_multiplier = filters / groups;
                let shape = [size[0], size[1], width, depth_multiplier];
                kernel = Tensor::new(kernel.dtype(), shape, kernel.bytes().to_vec())
                    .map_err(|_| self.contradiction())?;
                let conv = DepthwiseConv2d::new(1);
                DepthwiseConv2d {
                    depth_multiplier,
                    kernel: size,
                    strides,
                    padding,
                    dilation,
                    use_bias,
                    ..conv
                }
                .into()
            } else {
                let conv = Conv2d::new(filters, 1);
                Conv2d { kernel: size, strides, padding, dilation, groups, use_bias, ..conv }.into()
            }
        };
        let mut parameters = vec![("kernel", kernel)];
        parameters.extend(bias.map(|bias| ("bias", bias)));
        let node = self.step(Step::Layer(spec, parameters), source)?;
        Ok(x.at(node))
    }

    pub(super) fn conv_transpose(
        &mut self,
        operation: &Operation,
        moves: &Moves,
        output_padding: &[usize],
        (order, channels): (KernelOrder, Channels),
    ) -> Result<Placed, LoweringError> {
        let x = self.image(operation, channels)?;
        let rank = x.axes.len();
        let kernel = self.kernel(operation, order, rank)?;
        let &[height, width, filters, inputs] = kernel.shape().dims() else {
            return Err(self.unsupported("is a transposed convolution of sequences"));
        };
        if self.sketch.shape(x.node).dims().last() != Some(&inputs) {
            return Err(self.contradiction());
        }
        let windows = self.windows(&x, &[height, width], moves)?;
        let (padding, output_padding) = match self.known(operation, 3)? {
            Some(result) => self.padding_for(&windows, &result, moves, channels)?,
            None => self.padding_of(moves, output_padding)?,
        };
        let bias = self.bias(operation, filters)?;
        let spec = Conv2dTranspose {
            kernel: windows.kernel,
            strides: windows.strides,
            dilation: windows.dilation,
            padding,
            output_padding,
            use_bias: bias.is_some(),
            ..Conv2dTranspose::new(filters, 1)
        };
        let mut parameters = vec![("kernel", kernel)];
        parameters.extend(bias.map(|bias| ("bias", bias)));
        Ok(x.at(self.step(Step::Layer(spec.into(), parameters), x.node)?))
    }

    /// The padding of a transposed convolution as it is told.
    fn padding_of(
        &self,
        moves: &Moves,
        output_padding: &[usize],
    ) -> Result<(Padding, Option<[usize; 2]>), LoweringError> {
        let Pads::Explicit(pads) = &moves.padding else {
            return Err(self.unsupported("tells its padding by `auto_pad`"));
        };
        let output_padding = match *output_padding {
            [] => [0, 0],
            [a, b] => [a, b],
            _ => return Err(self.contradiction()),
        };
        let [[top, bottom], [left, right]] = match *pads.as_slice() {
            [] => [[0; 2]; 2],
            [a, b] => [a, b],
            _ => return Err(self.contradiction()),
        };
        let padding = match [top, bottom, left, right] {
            [0, 0, 0, 0] => Padding::Valid,
            _ => Padding::Explicit { top, bottom, left, right },
        };
        Ok((padding, Some(output_padding)))
    }

    /// The padding with which a transposed convolution gives a result of this shape: that of the
    /// convolution which it is the reverse of.
    fn padding_for(
        &self,
        windows: &Windows,
        result: &Constant<'_>,
        moves: &Moves,
        channels: Channels,
    ) -> Result<(Padding, Option<[usize; 2]>), LoweringError> {
        let extents = result.as_extents().unwrap_or_default();
        let sides = match (extents, channels) {
            ([_, rows, columns, _], Channels::Last) | ([_, _, rows, columns], Channels::First) => {
                [*rows, *columns]
            }
            _ => return Err(self.contradiction()),
        };
        if matches!(moves.padding, Pads::Explicit(_)) {
            return Err(self.unsupported("is a transposed convolution with padding of its own"));
        }
        let is_same = matches!(moves.padding, Pads::Same { .. });
        let Windows { input, kernel, strides, dilation, .. } = *windows;
        let (mut pads, mut more, mut is_usual) = ([[0; 2]; 2], [0; 2], true);
        let axes = sides.into_iter().zip(input).zip(kernel).zip(strides).zip(dilation);
        for (axis, ((((side, input), kernel), stride), dilation)) in axes.enumerate() {
            let side = side.known().and_then(|side| usize::try_from(side).ok());
            let side = side.ok_or_else(|| self.contradiction())?;
            let extent = kernel.saturating_sub(1).saturating_mul(dilation).saturating_add(1);
            let apart = input.saturating_sub(1).saturating_mul(stride);
            let all = apart.saturating_add(extent);
            let cut = all.saturating_sub(side);
            if let (Some(pads), Some(more)) = (pads.get_mut(axis), more.get_mut(axis)) {
                (*pads, *more) = ([cut / 2, cut - cut / 2], side.saturating_sub(all));
            }
            // What Keras computes where nothing else is asked for.
            is_usual &= match is_same {
                true => side == input.saturating_mul(stride),
                false => side == apart.saturating_add(extent.max(stride)),
            };
        }
        if is_usual {
            return Ok((if is_same { Padding::Same } else { Padding::Valid }, None));
        }
        let [[top, bottom], [left, right]] = pads;
        Ok((Padding::Explicit { top, bottom, left, right }, Some(more)))
    }

    pub(super) fn pool(
        &mut self,
        operation: &Operation,
        size: &[usize],
        moves: &Moves,
        (kind, ceil, counts_padding): (PoolKind, bool, bool),
        channels: Channels,
    ) -> Result<Placed, LoweringError> {
        let x = self.image(operation, channels)?;
        if moves.dilations.iter().any(|&dilation| dilation != 1) {
            return Err(self.unsupported("is a pool with gaps"));
        }
        let mut windows = self.windows(&x, size, moves)?;
        let mut source = x.node;
        let counts_padding = counts_padding && kind == PoolKind::Average;
        if counts_padding && windows.pads != [[0; 2]; 2] {
            if ceil {
                return Err(self.unsupported("counts padding, and ends outside of it"));
            }
            // Zeros that count are zeros of the image.
            source = match windows.is_sequence {
                true => self.layer(Arrange::ZeroPadding1d(windows.pads[1]), &[source])?,
                false => {
                    let [[top, bottom], [left, right]] = windows.pads;
                    self.layer(Arrange::ZeroPadding2d([top, bottom, left, right]), &[source])?
                }
            };
            let shape = self.sketch.shape(source);
            windows.input = match *shape.dims() {
                [height, width, _] => [height, width],
                [steps, _] => [1, steps],
                _ => return Err(self.contradiction()),
            };
            windows.pads = [[0; 2]; 2];
        }
        if ceil {
            end_outside(&mut windows);
        }
        let spec: LayerSpec = if windows.is_sequence {
            let padding = windows.padding1d();
            let padding =
                padding.ok_or_else(|| self.unsupported("pads a sequence in a way of its own"))?;
            Pool1d { kind, pool: windows.kernel[1], strides: windows.strides[1], padding }.into()
        } else {
            let padding = windows.padding();
            Pool2d { kind, pool: windows.kernel, strides: windows.strides, padding }.into()
        };
        Ok(x.at(self.layer(spec, &[source])?))
    }

    /// A pool over all of these axes of a value, the batch counted.
    pub(super) fn pool_over(
        &mut self,
        x: &Placed,
        axes: &[usize],
        kind: PoolKind,
        keep: bool,
    ) -> Result<Placed, LoweringError> {
        let x = if x.spread.is_some() {
            x.row_major(&mut self.sketch, self.operation)?
        } else {
            x.clone()
        };
        let rank = x.axes.len();
        let kept: Vec<usize> = (1..=rank).filter(|axis| !axes.contains(axis)).collect();
        let (&[channel], false) = (kept.as_slice(), axes.contains(&0)) else {
            return Err(self.unsupported("takes in other axes than those of images"));
        };
        // That axis last here.
        let channels = if channel == rank { Channels::Last } else { Channels::First };
        let order = axes_of(channels, rank);
        if order.get(channel - 1) != Some(&(rank - 1)) {
            return Err(self.unsupported("takes in other axes than those of images"));
        }
        let x = x.arranged(&mut self.sketch, self.operation, &order)?;
        let keep_dims = keep;
        let spec: LayerSpec = match rank {
            2 => GlobalPool1d { kind, keep_dims }.into(),
            3 => GlobalPool2d { kind, keep_dims }.into(),
            _ => return Err(self.unsupported("takes neither images nor sequences")),
        };
        let node = self.layer(spec, &[x.node])?;
        Ok(if keep { x.at(node) } else { Placed::plain(&self.sketch, node) })
    }
}

/// Pads behind until a last window that begins inside fits.
fn end_outside(windows: &mut Windows) {
    for axis in 0..2 {
        let of = |pair: [usize; 2]| pair.get(axis).copied().unwrap_or(1);
        let (input, kernel, stride) =
            (of(windows.input), of(windows.kernel), of(windows.strides).max(1));
        let Some(pads) = windows.pads.get_mut(axis) else { continue };
        let [before, behind] = *pads;
        let padded = input.saturating_add(before).saturating_add(behind);
        let Some(rest) = padded.checked_sub(kernel) else { continue };
        let mut last = rest.div_ceil(stride).saturating_mul(stride);
        // It must begin in the image or before it.
        if last >= input.saturating_add(before) {
            last = last.saturating_sub(stride);
        }
        let end = last.saturating_add(kernel);
        *pads = [before, behind.max(end.saturating_sub(input.saturating_add(before)))];
    }
}
