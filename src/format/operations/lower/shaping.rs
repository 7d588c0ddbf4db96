//! Operations that move values.

use std::cmp::Ordering;

use super::known::clamped;
use super::{Lowering, Traced};
use crate::format::operations::place::{Placed, Spread, axes_of};
use crate::format::operations::{Channels, Extent, Interpolation, Kind, LoweringError, Operation};
use crate::model::{Arrange, BilinearUpSampling2d, LayerSpec, Merge};
use crate::tensor::Shape;

impl Lowering<'_, '_> {
    pub(super) fn shaping(&mut self, operation: &Operation) -> Result<Placed, LoweringError> {
        if let Kind::Concat { axis } = operation.kind {
            return self.concat(operation, axis);
        }
        let x = self.placed(operation, 0)?;
        let rank = x.axes.len() + 1;
        match &operation.kind {
            Kind::Reshape { zero_copies } => {
                let shape = self.known(operation, 1)?.ok_or_else(|| self.contradiction())?;
                let shape = shape.as_extents().ok_or_else(|| self.contradiction())?;
                let dims = self.sample_shape(&x, shape, *zero_copies)?;
                self.reshape(&x, &dims)
            }
            Kind::Squeeze => {
                let axes = self.axes_of(self.known(operation, 1)?.as_deref(), rank)?;
                // All axes of length 1, if none are told.
                let taken = axes.as_ref().map(|axes| axes.contains(&0));
                if taken.unwrap_or_else(|| self.batches.contains(&1)) {
                    return Err(self.unsupported("takes the axis of the batch away"));
                }
                let dims = x.dims(&self.sketch);
                let is_kept = |(axis, dim): &(usize, &usize)| match &axes {
                    Some(axes) => !axes.contains(&(axis + 1)),
                    None => **dim != 1,
                };
                let kept: Vec<usize> =
                    dims.iter().enumerate().filter(is_kept).map(|(_, &dim)| dim).collect();
                self.reshape(&x, &kept)
            }
            Kind::Unsqueeze => {
                let axes = self.known(operation, 1)?.ok_or_else(|| self.contradiction())?;
                let rank = rank.saturating_add(axes.dims.iter().product());
                let axes = self.axes_of(Some(&axes), rank)?.unwrap_or_default();
                if axes.contains(&0) {
                    return Err(self.unsupported("puts an axis before the batch"));
                }
                let mut dims = x.dims(&self.sketch).into_iter();
                let next = |axis| if axes.contains(&axis) { Some(1) } else { dims.next() };
                let dims: Option<Vec<usize>> = (1..rank).map(next).collect();
                self.reshape(&x, &dims.ok_or_else(|| self.contradiction())?)
            }
            Kind::Transpose(axes) => {
                let axes = self.order(operation, axes.as_deref(), rank)?;
                let Some((0, axes)) = axes.split_first() else {
                    return Err(self.unsupported("moves the batch"));
                };
                let own = axes.iter().filter_map(|axis| x.axes.get(axis - 1).copied());
                Ok(Placed { axes: own.collect(), ..x })
            }
            Kind::Pad => {
                let pads = self.integers(operation, 1)?.ok_or_else(|| self.contradiction())?;
                let value = self.known(operation, 2)?;
                if value.is_some_and(|value| value.scalar() != Some(0.0)) {
                    return Err(self.unsupported("pads with other numbers than zeros"));
                }
                let axes = self.axes_of(self.known(operation, 3)?.as_deref(), rank)?;
                let axes = axes.unwrap_or_else(|| (0..rank).collect());
                if pads.len() != axes.len().saturating_mul(2) {
                    return Err(self.contradiction());
                }
                let (before, behind) = pads.split_at(axes.len());
                let mut sides = vec![[0; 2]; rank];
                for ((axis, &before), &behind) in axes.into_iter().zip(before).zip(behind) {
                    if let Some(sides) = sides.get_mut(axis) {
                        *sides = [before, behind];
                    }
                }
                self.padded(&x, &sides)
            }
            Kind::Slice => self.slice(operation, &x),
            Kind::Part { axis, number, of } => {
                let axis = self.axis(*axis, rank)?;
                let dims = x.dims(&self.sketch);
                let Some(&length) = axis.checked_sub(1).and_then(|axis| dims.get(axis)) else {
                    return Err(self.unsupported("takes some of the samples"));
                };
                let part = length.div_ceil((*of).max(1));
                let start = part.saturating_mul(*number).min(length);
                let behind = length.saturating_sub(start.saturating_add(part));
                let mut sides = vec![[0; 2]; rank];
                if let Some(sides) = sides.get_mut(axis) {
                    *sides = [start, behind].map(|cut| -i64::try_from(cut).unwrap_or(i64::MAX));
                }
                self.padded(&x, &sides)
            }
            Kind::Tile => self.tile(operation, &x),
            Kind::Resize { interpolation, .. } => self.resize(operation, &x, *interpolation),
            _ => Err(self.contradiction()),
        }
    }

    fn concat(&mut self, operation: &Operation, axis: i64) -> Result<Placed, LoweringError> {
        let mut values = Vec::with_capacity(operation.inputs.len());
        for place in 0..operation.inputs.len() {
            match self.get(operation, place)? {
                Some(Traced::Placed(x)) => values.push(x),
                _ => return Err(self.unsupported("joins values and numbers of the file")),
            }
        }
        let is_spread = values.iter().any(|x| x.spread.is_some());
        let first = values.first().cloned().ok_or_else(|| self.contradiction())?;
        let plain: Vec<usize> = (0..first.axes.len()).collect();
        let order = if is_spread { plain } else { first.axes };
        let mut nodes = Vec::with_capacity(values.len());
        for x in &values {
            if x.axes.len() != order.len() {
                return Err(self.contradiction());
            }
            nodes.push(x.arranged(&mut self.sketch, self.operation, &order)?.node);
        }
        let axis = self.axis(axis, order.len() + 1)?;
        let own = axis.checked_sub(1).and_then(|axis| order.get(axis).copied());
        let own = own.ok_or_else(|| self.unsupported("joins samples along the batch"))?;
        let axis = i32::try_from(own + 1).map_err(|_| self.contradiction())?;
        let node = self.layer(Merge::Concatenate { axis }, &nodes)?;
        Ok(Placed { node, axes: order, spread: None })
    }

    /// The axes behind the batch of a value that becomes `shape`.
    pub(super) fn sample_shape(
        &self,
        x: &Placed,
        shape: &[Extent],
        zero_copies: bool,
    ) -> Result<Vec<usize>, LoweringError> {
        let from = x.dims(&self.sketch);
        let elements: usize = from.iter().product();
        let Some((batch, rest)) = shape.split_first() else { return Err(self.contradiction()) };
        let mut dims = Vec::with_capacity(rest.len());
        let mut open = None;
        for (axis, extent) in rest.iter().enumerate() {
            let dim = match *extent {
                Extent::Batch(_) => return Err(self.unsupported("moves the batch")),
                Extent::Known(-1) if open.is_none() => {
                    open = Some(axis);
                    1
                }
                Extent::Known(0) if zero_copies => {
                    from.get(axis).copied().ok_or_else(|| self.contradiction())?
                }
                Extent::Known(dim) => usize::try_from(dim).map_err(|_| self.contradiction())?,
            };
            dims.push(dim);
        }
        let known = dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
        let known = known.filter(|&known| known > 0).ok_or_else(|| self.contradiction())?;
        if let Some(dim) = open.and_then(|axis| dims.get_mut(axis)) {
            *dim = elements / known;
        }
        let is_batch = match *batch {
            Extent::Batch(times) => times == 1,
            Extent::Known(0) => zero_copies,
            // Whatever is left is the batch, and nothing else may be.
            Extent::Known(-1) => open.is_none(),
            Extent::Known(batch) => {
                usize::try_from(batch).is_ok_and(|batch| self.batches.contains(&batch))
            }
        };
        let all = dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
        match is_batch && all == Some(elements) {
            true => Ok(dims),
            false => {
                Err(self.unsupported("gives samples another number of values, or moves the batch"))
            }
        }
    }

    /// The value with other axes, its numbers in the same order.
    pub(super) fn reshape(&mut self, x: &Placed, dims: &[usize]) -> Result<Placed, LoweringError> {
        let from = x.dims(&self.sketch);
        if from == dims {
            return Ok(x.clone());
        }
        let long =
            |dims: &[usize]| dims.iter().copied().filter(|&dim| dim != 1).collect::<Vec<_>>();
        if x.spread.is_none() && dims.len() == from.len() && long(&from) == long(dims) {
            // Only axes of length 1 have moved.
            let shape = self.sketch.shape(x.node);
            let is_long = |axis: &usize| shape.dims().get(*axis).is_some_and(|&dim| dim != 1);
            let mut longs = x.axes.iter().copied().filter(is_long);
            let mut ones = x.axes.iter().copied().filter(|axis| !is_long(axis));
            let axes =
                dims.iter().filter_map(|&dim| if dim == 1 { ones.next() } else { longs.next() });
            let axes: Vec<usize> = axes.collect();
            // Channels last, if that can be.
            return Ok(Placed { axes, ..x.clone() });
        }
        if let ([_], None) = (dims, &x.spread) {
            let shape = self.sketch.shape(x.node);
            let axes = x.axes.clone();
            let spread = (!x.is_row_major(&self.sketch)).then_some(Spread { shape, axes });
            let node = self.layer(LayerSpec::Flatten, &[x.node])?;
            return Ok(Placed { node, axes: vec![0], spread });
        }
        let mut node = match x.is_row_major(&self.sketch) {
            true => x.node,
            false => x.row_major(&mut self.sketch, self.operation)?.node,
        };
        // What was given another shape already need not have had it.
        while let (Some(LayerSpec::Reshape(_)), Some(source)) =
            (self.sketch.spec(node), self.sketch.source(node))
        {
            node = source;
        }
        if *self.sketch.shape(node).dims() != *dims {
            node = self.layer(LayerSpec::Reshape(Shape::new(dims)), &[node])?;
        }
        Ok(Placed::plain(&self.sketch, node))
    }

    /// Zeros around a value, or cells cut off where there are fewer than none; by its axes, the batch first.
    fn padded(&mut self, x: &Placed, sides: &[[i64; 2]]) -> Result<Placed, LoweringError> {
        if sides.iter().all(|sides| *sides == [0, 0]) {
            return Ok(x.clone());
        }
        if sides.first() != Some(&[0, 0]) {
            return Err(self.unsupported("pads or cuts the batch"));
        }
        let rank = x.axes.len();
        if rank == 1 {
            // A sequence of single numbers.
            let x = x.row_major(&mut self.sketch, self.operation)?;
            let steps = [x.dims(&self.sketch), vec![1]].concat();
            let steps = self.reshape(&x, &steps)?;
            let steps = self.padded(&steps, &[sides, &[[0, 0]]].concat())?;
            let length = steps.dims(&self.sketch).into_iter().product();
            return self.reshape(&steps, &[length]);
        }
        let own = |x: &Placed| {
            let mut own = vec![[0; 2]; rank];
            for (axis, sides) in x.axes.iter().zip(sides.iter().skip(1)) {
                if let Some(own) = own.get_mut(*axis) {
                    *own = *sides;
                }
            }
            own
        };
        // The axis that stands last here must be none of those.
        let mut x = x.clone();
        if own(&x).last() != Some(&[0, 0]) {
            let free = sides.iter().skip(1).position(|sides| *sides == [0, 0]);
            let last = free.unwrap_or_else(|| rank.saturating_sub(1));
            let axis = |axis: usize| match axis.cmp(&last) {
                Ordering::Less => axis,
                Ordering::Equal => rank - 1,
                Ordering::Greater => axis - 1,
            };
            let order: Vec<usize> = (0..rank).map(axis).collect();
            x = x.arranged(&mut self.sketch, self.operation, &order)?;
        }
        let own = own(&x);
        let count = |number: i64| usize::try_from(number).unwrap_or(0);
        let added: Vec<_> = own.iter().map(|sides| sides.map(count)).collect();
        let cut: Vec<_> =
            own.iter().map(|sides| sides.map(|n| count(n.saturating_neg()))).collect();
        let is_some = |sides: &[[usize; 2]]| sides.iter().any(|sides| *sides != [0, 0]);
        let mut node = x.node;
        match (added.as_slice(), cut.as_slice()) {
            (&[[top, bottom], [left, right], [0, 0]], &[[a, b], [c, d], [0, 0]]) => {
                if is_some(&cut) {
                    node = self.layer(Arrange::Cropping2d([a, b, c, d]), &[node])?;
                }
                if is_some(&added) {
                    node =
                        self.layer(Arrange::ZeroPadding2d([top, bottom, left, right]), &[node])?;
                }
            }
            (&[steps, [0, 0]], &[cut_steps, [0, 0]]) => {
                if is_some(&cut) {
                    node = self.layer(Arrange::Cropping1d(cut_steps), &[node])?;
                }
                if is_some(&added) {
                    node = self.layer(Arrange::ZeroPadding1d(steps), &[node])?;
                }
            }
            _ => return Err(self.unsupported("pads or cuts other axes than those of images")),
        }
        Ok(x.at(node))
    }

    fn slice(&mut self, operation: &Operation, x: &Placed) -> Result<Placed, LoweringError> {
        let rank = x.axes.len() + 1;
        let starts = self.integers(operation, 1)?.ok_or_else(|| self.contradiction())?;
        let ends = self.integers(operation, 2)?.ok_or_else(|| self.contradiction())?;
        let axes = self.axes_of(self.known(operation, 3)?.as_deref(), rank)?;
        let axes = axes.unwrap_or_else(|| (0..starts.len().min(rank)).collect());
        let steps = self.integers(operation, 4)?;
        if steps.is_some_and(|steps| steps.iter().any(|&step| step != 1)) {
            return Err(self.unsupported("takes one of several values"));
        }
        if starts.len() != axes.len() || ends.len() != axes.len() {
            return Err(self.contradiction());
        }
        let dims = x.dims(&self.sketch);
        let mut sides = vec![[0; 2]; rank];
        for ((axis, start), end) in axes.into_iter().zip(starts).zip(ends) {
            let Some(&length) = axis.checked_sub(1).and_then(|axis| dims.get(axis)) else {
                // All samples, however many there are.
                if start == 0 && end >= i64::from(i32::MAX) {
                    continue;
                }
                return Err(self.unsupported("takes some of the samples"));
            };
            let [start, end] = [start, end].map(|at| clamped(at, length));
            let behind = length.saturating_sub(end);
            if let Some(sides) = sides.get_mut(axis) {
                *sides = [start, behind].map(|cut| -i64::try_from(cut).unwrap_or(i64::MAX));
            }
        }
        self.padded(x, &sides)
    }

    /// The whole of an axis again and again, one axis after the other.
    fn tile(&mut self, operation: &Operation, x: &Placed) -> Result<Placed, LoweringError> {
        let times = self.integers(operation, 1)?.ok_or_else(|| self.contradiction())?;
        let times = times.into_iter().map(|times| usize::try_from(times).ok().filter(|&it| it > 0));
        let times = times.collect::<Option<Vec<_>>>().ok_or_else(|| self.contradiction())?;
        let Some((&batch, times)) = times.split_first() else { return Err(self.contradiction()) };
        if batch != 1 {
            return Err(self.unsupported("gives another number of samples"));
        }
        let mut x = x.clone();
        for (axis, &size) in times.iter().enumerate().filter(|(_, times)| **times > 1) {
            x = x.row_major(&mut self.sketch, self.operation)?;
            let mut dims = x.dims(&self.sketch);
            let Some((before, behind)) = dims.split_at_checked(axis) else {
                return Err(self.contradiction());
            };
            // All that stands behind is a step of a sequence then, and follows itself.
            let steps = Shape::new([before.iter().product(), behind.iter().product::<usize>()]);
            let node = self.layer(LayerSpec::Reshape(steps), &[x.node])?;
            let node = self.layer(Arrange::UpSampling1d { size }, &[node])?;
            let Some(length) = dims.get_mut(axis) else { return Err(self.contradiction()) };
            *length = length.saturating_mul(size);
            let node = self.layer(LayerSpec::Reshape(Shape::new(dims)), &[node])?;
            x = Placed::plain(&self.sketch, node);
        }
        Ok(x)
    }

    fn resize(
        &mut self,
        operation: &Operation,
        x: &Placed,
        interpolation: Interpolation,
    ) -> Result<Placed, LoweringError> {
        let rank = x.axes.len();
        let dims = x.dims(&self.sketch);
        let scales = self.known(operation, 1)?.and_then(|scales| scales.values());
        let scales = scales.filter(|scales| !scales.is_empty());
        let factors: Option<Vec<usize>> = match scales {
            Some(scales) => scales.into_iter().skip(1).map(whole).collect(),
            None => {
                let sizes = self.known(operation, 2)?;
                let sizes = sizes.as_ref().and_then(|sizes| sizes.as_extents());
                let sizes = sizes.ok_or_else(|| self.contradiction())?;
                let factor = |(size, &dim): (&Extent, &usize)| {
                    let size = usize::try_from(size.known()?).ok()?;
                    size.is_multiple_of(dim).then_some(size / dim)
                };
                sizes.iter().skip(1).zip(&dims).map(factor).collect()
            }
        };
        let factors = factors.filter(|factors| factors.len() == rank);
        let what = "resizes by other than whole factors";
        let factors = factors.ok_or_else(|| self.unsupported(what))?;
        // As many axes, and the one that is not resized last.
        let x = match (factors.first(), factors.last()) {
            (Some(1), _) => {
                x.arranged(&mut self.sketch, self.operation, &axes_of(Channels::First, rank))?
            }
            _ => x.arranged(&mut self.sketch, self.operation, &axes_of(Channels::Last, rank))?,
        };
        let mut own = vec![1; rank];
        for (&axis, factor) in x.axes.iter().zip(factors) {
            if let Some(own) = own.get_mut(axis) {
                *own = factor;
            }
        }
        let spec: LayerSpec = match (own.as_slice(), interpolation) {
            (&[down, across, 1], Interpolation::Nearest) => {
                Arrange::UpSampling2d { size: [down, across] }.into()
            }
            (&[size, 1], Interpolation::Nearest) => Arrange::UpSampling1d { size }.into(),
            (&[down, across, 1], Interpolation::Bilinear) => {
                BilinearUpSampling2d { size: [down, across] }.into()
            }
            _ => return Err(self.unsupported("resizes other axes than those of images")),
        };
        Ok(x.at(self.layer(spec, &[x.node])?))
    }
}

/// A factor that is a whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
fn whole(factor: f32) -> Option<usize> {
    let is_whole = factor.fract() == 0.0 && (1.0..65_536.0).contains(&factor);
    is_whole.then_some(factor as usize)
}
