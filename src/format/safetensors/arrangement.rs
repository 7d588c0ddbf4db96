//! The same numbers in another order.

use std::rc::Rc;

use crate::bytes::{Budget, BudgetError};
use crate::tensor::{Shape, Tensor};

/// How the numbers of a parameter are arranged in a file: first the rows (places of the first axis) in
/// another order, then the axes, then the shape that they have there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrangement {
    own: Shape,
    /// Row r of the file is row `rows[r]` of the parameter.
    rows: Option<Rc<[usize]>>,
    /// Axis a of the file is axis `axes[a]` of the parameter.
    axes: Vec<usize>,
    stored: Shape,
}

impl Arrangement {
    /// As it is.
    pub(super) fn same(own: &Shape) -> Self {
        let axes = (0..own.rank()).collect();
        Self { own: own.clone(), rows: None, axes, stored: own.clone() }
    }

    /// With the axes in that order, which has each of them once.
    pub(super) fn permuted(own: &Shape, axes: &[usize]) -> Self {
        let dims = axes.iter().filter_map(|&axis| own.dims().get(axis).copied());
        let stored = Shape::new(dims.collect::<Vec<_>>());
        Self { own: own.clone(), rows: None, axes: axes.to_vec(), stored }
    }

    /// With that shape in the file, of as many elements.
    pub(super) fn shaped(self, stored: Shape) -> Self {
        Self { stored, ..self }
    }

    /// With the rows in that order, which has each of them once.
    pub(super) fn with_rows(self, rows: Option<Rc<[usize]>>) -> Self {
        Self { rows, ..self }
    }

    /// The shape in the file.
    pub(super) fn stored(&self) -> &Shape {
        &self.stored
    }

    /// Whether no number moves.
    pub(super) fn moves_nothing(&self) -> bool {
        self.rows.is_none() && self.axes.is_sorted()
    }

    /// The parameter as it is in a file, which is paid for from the budget. `None` if it has another shape.
    pub(super) fn to_stored<'t>(
        &self,
        tensor: &'t Tensor<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Tensor<'t>>, BudgetError> {
        if tensor.shape() != &self.own {
            return Ok(None);
        }
        let ordered = match &self.rows {
            Some(rows) => in_order(tensor, rows, budget)?,
            None => Some(tensor.borrowed()),
        };
        let Some(ordered) = ordered else { return Ok(None) };
        let turned = turned(ordered, &self.axes, budget)?;
        Ok(turned.and_then(|turned| turned.reshaped(self.stored.clone())))
    }

    /// The parameter that is so in a file, as [`to_stored`](Self::to_stored).
    pub(super) fn to_own<'t>(
        &self,
        tensor: &'t Tensor<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Tensor<'t>>, BudgetError> {
        if tensor.shape() != &self.stored {
            return Ok(None);
        }
        let dims = self.axes.iter().filter_map(|&axis| self.own.dims().get(axis).copied());
        let split = tensor.borrowed().reshaped(dims.collect::<Vec<_>>().into());
        let Some(split) = split else { return Ok(None) };
        match (turned(split, &inverse(&self.axes), budget)?, &self.rows) {
            (Some(ordered), Some(rows)) => in_order(&ordered, &inverse(rows), budget),
            (turned, _) => Ok(turned),
        }
    }
}

/// The tensor with its axes in that order.
fn turned<'t>(
    tensor: Tensor<'t>,
    axes: &[usize],
    budget: &mut Budget,
) -> Result<Option<Tensor<'t>>, BudgetError> {
    if axes.is_sorted() {
        return Ok(Some(tensor));
    }
    budget.reserve(tensor.bytes().len() as u64, "a tensor with its axes in another order")?;
    Ok(tensor.permuted(axes))
}

/// The tensor whose row r is row `rows[r]` of this one.
fn in_order(
    tensor: &Tensor<'_>,
    rows: &[usize],
    budget: &mut Budget,
) -> Result<Option<Tensor<'static>>, BudgetError> {
    let bytes = tensor.bytes();
    let mut moved = budget.vec(bytes.len() as u64, "a tensor with its rows in another order")?;
    let length = bytes.len() / rows.len().max(1);
    for &row in rows {
        let row = bytes.get(row * length..).and_then(|rest| rest.get(..length));
        moved.extend_from_slice(row.unwrap_or_default());
    }
    Ok(Tensor::new(tensor.dtype(), tensor.shape().clone(), moved).ok())
}

/// The order that undoes this one.
fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    for (place, &of) in order.iter().enumerate() {
        if let Some(back) = inverse.get_mut(of) {
            *back = place;
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(shape: &Shape) -> Tensor<'static> {
        let values: Vec<f32> = (0..shape.elements()).map(|place| place as f32).collect();
        Tensor::from_f32(shape.clone(), &values).unwrap().into_owned()
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_and_each_element_stands_where_the_axes_say(
            dims in prop::collection::vec(1_usize..5, 1..5),
            keys in prop::collection::vec(any::<u32>(), 5),
            row_keys in prop::option::of(prop::collection::vec(any::<u32>(), 5)),
        ) {
            let by = |keys: &[u32], count: usize| {
                let mut order: Vec<usize> = (0..count).collect();
                order.sort_by_key(|&place| keys[place]);
                order
            };
            let (own, axes) = (Shape::new(dims.clone()), by(&keys, dims.len()));
            let rows: Option<Rc<[usize]>> = row_keys.map(|keys| by(&keys, dims[0]).into());
            let arrangement = Arrangement::permuted(&own, &axes).with_rows(rows.clone());
            let budget = &mut Budget::new(1 << 20);
            let tensor = numbers(&own);
            let stored = arrangement.to_stored(&tensor, budget).unwrap().unwrap();
            let back = arrangement.to_own(&stored, budget).unwrap().unwrap();
            prop_assert_eq!(&back, &tensor);
            // By the definition, element by element.
            let values = stored.to_f32().unwrap();
            let place = |dims: &[usize], at: &[usize]| {
                dims.iter().zip(at).fold(0, |place, (dim, at)| place * dim + at)
            };
            for (number, &value) in values.iter().enumerate() {
                let mut rest = number;
                let mut at = vec![0; dims.len()];
                for (axis, &dim) in stored.shape().dims().iter().enumerate().rev() {
                    (at[axis], rest) = (rest % dim, rest / dim);
                }
                let mut own_at = vec![0; dims.len()];
                axes.iter().zip(&at).for_each(|(&axis, &at)| own_at[axis] = at);
                if let Some(rows) = &rows {
                    own_at[0] = rows[own_at[0]];
                }
                prop_assert_eq!(value, place(&dims, &own_at) as f32);
            }
        }
    }
}
