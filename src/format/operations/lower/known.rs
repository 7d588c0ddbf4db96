//! Operations on values that are known: they are computed at once. So is what follows from the shapes of
//! samples, in which the number of samples stands for itself.

use std::rc::Rc;

use super::rows::ROWS;
use super::{Lowering, Traced};
use crate::format::operations::{Cast, Constant, Extent, Kind, LoweringError, Operation};

impl<'p> Lowering<'p, '_> {
    /// What the operation gives, if that is known.
    pub(super) fn fold(
        &mut self,
        operation: &Operation,
    ) -> Result<Option<Rc<Constant<'p>>>, LoweringError> {
        if operation.kind == Kind::Shape {
            let lengths = match self.get(operation, 0)? {
                Some(Traced::Placed(x)) => {
                    let dims = x.dims(&self.sketch).into_iter().map(extent);
                    Constant::extents(std::iter::once(Extent::Batch(1)).chain(dims).collect())
                }
                Some(Traced::Known(known)) => {
                    Constant::extents(known.dims.iter().copied().map(extent).collect())
                }
                Some(Traced::Rows(_)) => return Err(self.unsupported(ROWS)),
                None => return Err(self.contradiction()),
            };
            return Ok(Some(Rc::new(lengths)));
        }
        let mut known = Vec::with_capacity(operation.inputs.len());
        for place in 0..operation.inputs.len() {
            match self.get(operation, place)? {
                Some(Traced::Known(constant)) => known.push(Some(constant)),
                Some(Traced::Placed(_) | Traced::Rows(_)) => return Ok(None),
                None => known.push(None),
            }
        }
        let Some(Some(first)) = known.first() else { return Ok(None) };
        let second = known.get(1).cloned().flatten();
        let second = second.as_deref();
        let is_cast = first.is_cast;
        let folded = match &operation.kind {
            Kind::Identity => return Ok(Some(Rc::clone(first))),
            Kind::Cast(to) if first.is_of(*to) => return Ok(Some(Rc::clone(first))),
            Kind::Cast(Cast::Floats) => first.as_floats(self.budget)?,
            Kind::Cast(Cast::Integers) if first.is_short_list() => first.as_integers(),
            Kind::Elementwise(elementwise) => match second {
                Some(second) if known.len() == 2 => {
                    first.with(second, *elementwise, self.budget)?
                }
                _ => None,
            },
            Kind::Function(function) => first.function(*function, self.budget)?,
            Kind::Transpose(axes) => {
                let axes = self.order(operation, axes.as_deref(), first.dims.len())?;
                first.transposed(&axes, self.budget)?
            }
            Kind::Reshape { zero_copies } => {
                let shape = second.and_then(|shape| shape.known());
                let dims = shape.and_then(|shape| whole(&shape, &first.dims, *zero_copies));
                self.reshaped(first, dims)?
            }
            Kind::Squeeze => {
                let axes = self.axes_of(second, first.dims.len())?;
                let is_kept = |(axis, dim): &(usize, usize)| match &axes {
                    Some(axes) => !axes.contains(axis),
                    None => *dim != 1,
                };
                let dims = first.dims.iter().copied().enumerate().filter(is_kept);
                let dims = dims.map(|(_, dim)| dim).collect();
                self.reshaped(first, Some(dims))?
            }
            Kind::Unsqueeze => {
                let count = second.map_or(0, |axes| axes.dims.iter().product());
                let rank = first.dims.len().saturating_add(count);
                // Not more than the constant of axes has.
                let axes = self.axes_of(second, rank)?.unwrap_or_default();
                let mut dims = first.dims.clone().into_iter();
                let dims =
                    (0..rank).map(|axis| if axes.contains(&axis) { Some(1) } else { dims.next() });
                self.reshaped(first, dims.collect())?
            }
            Kind::Gather { axis: 0 } => {
                self.reserve_extents(second.map_or(0, |places| places.dims.iter().product()))?;
                gathered(first, second)
            }
            Kind::Concat { axis: 0 | -1 } => {
                let extents =
                    known.iter().map(|it| it.as_ref()?.as_extents()).collect::<Option<Vec<_>>>();
                self.reserve_extents(extents.iter().flatten().map(|it| it.len()).sum())?;
                extents.map(|extents| Constant::extents(extents.concat()))
            }
            Kind::Slice => self.sliced(operation, first)?,
            Kind::Product => first.product(),
            Kind::Filled { with } => match first.known().as_deref() {
                Some(&[length]) => {
                    let length = usize::try_from(length).ok().filter(|&it| it <= Constant::SHORT);
                    length.map(|length| Constant::integers(std::iter::repeat_n(*with, length)))
                }
                _ => None,
            },
            _ => None,
        };
        let what = "computes what keepnet cannot from numbers of the file alone";
        let mut folded = folded.ok_or_else(|| self.unsupported(what))?;
        if let Kind::Gather { .. }
        | Kind::Concat { .. }
        | Kind::Slice
        | Kind::Transpose(_)
        | Kind::Product = operation.kind
        {
            folded.is_cast = is_cast;
        }
        Ok(Some(Rc::new(folded)))
    }

    fn reserve_extents(&mut self, count: usize) -> Result<(), LoweringError> {
        let size = (count as u64).saturating_mul(size_of::<Extent>() as u64);
        Ok(self.budget.reserve(size, "whole numbers that are computed")?)
    }

    /// The order in which a transpose puts so many axes.
    pub(super) fn order(
        &self,
        operation: &Operation,
        told: Option<&[usize]>,
        rank: usize,
    ) -> Result<Vec<usize>, LoweringError> {
        let order = match told {
            Some(order) => order.to_vec(),
            None => {
                let order = self.axes_of(self.known(operation, 1)?.as_deref(), rank)?;
                order.unwrap_or_else(|| (0..rank).rev().collect())
            }
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        match sorted.into_iter().eq(0..rank) {
            true => Ok(order),
            false => Err(self.contradiction()),
        }
    }

    fn reshaped(
        &mut self,
        constant: &Constant<'p>,
        dims: Option<Vec<usize>>,
    ) -> Result<Option<Constant<'p>>, LoweringError> {
        match constant.tensor() {
            Some(tensor) => {
                self.budget.reserve(tensor.bytes().len() as u64, "a tensor in another shape")?;
            }
            None => self.reserve_extents(constant.as_extents().map_or(0, <[Extent]>::len))?,
        }
        Ok(dims.and_then(|dims| constant.clone().reshaped(dims)))
    }

    /// Axes of a value of so many, if they are given.
    pub(super) fn axes_of(
        &self,
        axes: Option<&Constant<'_>>,
        rank: usize,
    ) -> Result<Option<Vec<usize>>, LoweringError> {
        let Some(axes) = axes else { return Ok(None) };
        let axes = axes.known().ok_or_else(|| self.contradiction())?;
        axes.into_iter().map(|axis| self.axis(axis, rank)).collect::<Result<_, _>>().map(Some)
    }

    /// A part of a list, or of the rows of a table; or all of them, the last first.
    fn sliced(
        &mut self,
        operation: &Operation,
        list: &Constant<'p>,
    ) -> Result<Option<Constant<'p>>, LoweringError> {
        let Some((extents, (&length, row))) = list.as_extents().zip(list.dims.split_first()) else {
            return Ok(None);
        };
        let (starts, ends) = (self.integers(operation, 1)?, self.integers(operation, 2)?);
        let (axes, steps) = (self.integers(operation, 3)?, self.integers(operation, 4)?);
        let (Some(&[start]), Some(&[end])) = (starts.as_deref(), ends.as_deref()) else {
            return Ok(None);
        };
        if axes.is_some_and(|axes| axes != [0]) {
            return Ok(None);
        }
        let signed = i64::try_from(length).unwrap_or(i64::MAX);
        let (start, end, reversed) = match steps.as_deref().unwrap_or(&[1]) {
            [1] => (clamped(start, length), clamped(end, length), false),
            [-1] if (start == -1 || start >= signed) && end < -signed => (0, length, true),
            _ => return Ok(None),
        };
        self.reserve_extents(extents.len())?;
        let rows: Vec<&[Extent]> = match row.iter().product() {
            0 => Vec::new(),
            width => extents.chunks_exact(width).collect(),
        };
        let part = rows.get(start..end.max(start)).map(|part| {
            let rows: Vec<&[Extent]> = match reversed {
                true => part.iter().rev().copied().collect(),
                false => part.to_vec(),
            };
            let dims = std::iter::once(rows.len()).chain(row.iter().copied()).collect();
            Constant { dims, ..Constant::extents(rows.concat()) }
        });
        Ok(part)
    }
}

fn extent(dim: usize) -> Extent {
    Extent::Known(i64::try_from(dim).unwrap_or(i64::MAX))
}

/// A place in a list of so many, counted from the end if it is negative.
pub(super) fn clamped(at: i64, length: usize) -> usize {
    let signed = i64::try_from(length).unwrap_or(i64::MAX);
    let at = if at < 0 { at.saturating_add(signed) } else { at };
    usize::try_from(at.clamp(0, signed)).unwrap_or(length)
}

/// The shape of a constant that becomes `shape`.
fn whole(shape: &[i64], dims: &[usize], zero_copies: bool) -> Option<Vec<usize>> {
    let count: usize = dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim))?;
    let resolved = shape.iter().enumerate().map(|(axis, &dim)| match dim {
        0 if zero_copies => dims.get(axis).copied().map(Some),
        -1 => Some(None),
        dim => usize::try_from(dim).ok().map(Some),
    });
    let resolved: Vec<Option<usize>> = resolved.collect::<Option<_>>()?;
    let known =
        resolved.iter().flatten().try_fold(1_usize, |product, &dim| product.checked_mul(dim))?;
    let rest = count.checked_div(known);
    resolved.into_iter().map(|dim| dim.or(rest)).collect()
}

/// The elements of a list at these places: one, or a list of them.
fn gathered<'p>(list: &Constant<'p>, places: Option<&Constant<'_>>) -> Option<Constant<'p>> {
    let (extents, places) = (list.as_extents()?, places?);
    let length = i64::try_from(extents.len()).ok()?;
    let at = |place: i64| {
        let place = if place < 0 { place.checked_add(length)? } else { place };
        extents.get(usize::try_from(place).ok()?).copied()
    };
    let found = places.known()?.into_iter().map(at).collect::<Option<Vec<_>>>()?;
    Some(Constant { dims: places.dims.clone(), ..Constant::extents(found) })
}

#[cfg(test)]
mod tests {
    use crate::bytes::Budget;
    use crate::format::LoadOptions;
    use crate::format::operations::lower;
    use crate::format::operations::{Constant, Kind, LoweringError, Operation, Program, ValueId};

    /// Forty operations, each of which joins what the one before it gives with itself.
    #[test]
    fn lists_that_double_again_and_again_are_refused() {
        let join = |number| Operation {
            name: format!("join {number}"),
            kind: Kind::Concat { axis: 0 },
            inputs: vec![Some(ValueId(number)); 2],
            output: ValueId(number + 1),
        };
        let program = Program {
            constants: [(ValueId(0), Constant::integers([1; 16]))].into(),
            operations: (0..40).map(join).collect(),
            outputs: vec![("last".to_owned(), ValueId(40))],
            ..Program::default()
        };
        let refused = lower(program, &LoadOptions::default(), &mut Budget::new(1 << 20));
        assert!(matches!(refused, Err(LoweringError::Budget(_))), "{refused:?}");
    }
}
