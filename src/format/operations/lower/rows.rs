//! Matrices of the rows of all samples, as files spell out a layer that looks at each row by itself: samples
//! are cut into rows, the rows are computed on, and put together again.

use super::{Lowering, Traced};
use crate::format::operations::{Cast, Extent, Kind, LoweringError, Operation};

/// Why an operation on rows is refused.
pub(super) const ROWS: &str = "computes with the rows of all samples what keepnet has no layer for";

impl Lowering<'_, '_> {
    /// What an operation gives that cuts samples into rows, or takes rows.
    pub(super) fn with_rows(
        &mut self,
        operation: &Operation,
    ) -> Result<Option<Traced<'static>>, LoweringError> {
        let mut places = Vec::with_capacity(operation.inputs.len());
        for place in 0..operation.inputs.len() {
            places.push(matches!(self.get(operation, place)?, Some(Traced::Rows(_))));
        }
        let Kind::Reshape { zero_copies } = operation.kind else {
            return match places.contains(&true) {
                true => self.of_rows(operation, &places).map(Some),
                false => Ok(None),
            };
        };
        let Some(Traced::Placed(x) | Traced::Rows(x)) = self.get(operation, 0)? else {
            return Ok(None);
        };
        let Some(shape) = self.known(operation, 1)? else { return Ok(None) };
        let Some(shape) = shape.as_extents() else { return Ok(None) };
        let dims = x.dims(&self.sketch);
        if let (&[rows, row], Some((&last, before))) = (shape, dims.split_last())
            && !before.is_empty()
            && row == Extent::Known(i64::try_from(last).unwrap_or(i64::MAX))
        {
            let count = before.iter().product::<usize>();
            let is_all = count > 1
                && match rows {
                    Extent::Known(-1) => true,
                    Extent::Known(rows) => self.batches.iter().any(|batch| {
                        usize::try_from(rows)
                            .is_ok_and(|rows| batch.checked_mul(count) == Some(rows))
                    }),
                    Extent::Batch(times) => usize::try_from(times) == Ok(count),
                };
            if is_all {
                return Ok(Some(Traced::Rows(x.row_major(&mut self.sketch, self.operation)?)));
            }
        }
        if places.first() != Some(&true) {
            return Ok(None);
        }
        let dims = self.sample_shape(&x, shape, zero_copies)?;
        self.reshape(&x, &dims).map(|placed| Some(Traced::Placed(placed)))
    }

    /// What looks at each row by itself does the same with rows that are still in their samples.
    fn of_rows(
        &mut self,
        operation: &Operation,
        places: &[bool],
    ) -> Result<Traced<'static>, LoweringError> {
        let is_by_row = match operation.kind {
            Kind::MatMul
            | Kind::Activation(_)
            | Kind::Function(_)
            | Kind::Clip
            | Kind::Identity
            | Kind::Cast(Cast::Floats) => true,
            Kind::Elementwise(_) => places.iter().enumerate().all(|(place, &is_rows)| {
                let is_one_row = |dims: &[usize]| dims.iter().rev().skip(1).all(|&dim| dim == 1);
                let other = self.get(operation, place);
                is_rows || matches!(other, Ok(Some(Traced::Known(it))) if is_one_row(&it.dims))
            }),
            _ => false,
        };
        if !is_by_row {
            return Err(self.unsupported(ROWS));
        }
        let rows = operation.inputs.iter().zip(places).filter(|(_, is_rows)| **is_rows);
        let rows: Vec<_> = rows.filter_map(|(value, _)| *value).collect();
        for value in &rows {
            if let Some(Traced::Rows(x)) = self.values.get(value).cloned() {
                self.values.insert(*value, Traced::Placed(x));
            }
        }
        let result = self.layers(operation)?;
        for value in rows {
            if let Some(Traced::Placed(x)) = self.values.get(&value).cloned() {
                self.values.insert(value, Traced::Rows(x));
            }
        }
        Ok(Traced::Rows(result))
    }
}
