//! Normalisations.

use super::Lowering;
use crate::format::operations::place::{Placed, axes_of};
use crate::format::operations::sketch::{Step, vector};
use crate::format::operations::{Channels, LoweringError, Operation};
use crate::model::{BatchNormalization, LayerNormalization};
use crate::tensor::Shape;

impl Lowering<'_, '_> {
    pub(super) fn batch_normalization(
        &mut self,
        operation: &Operation,
        epsilon: f64,
        channels: Channels,
    ) -> Result<Placed, LoweringError> {
        let x = self.placed(operation, 0)?;
        let (scale, center) = self.has_gamma_and_beta(operation)?;
        let all =
            [("gamma", scale), ("beta", center), ("moving_mean", true), ("moving_variance", true)];
        let mut parameters = Vec::with_capacity(all.len());
        for (place, (name, _)) in all.into_iter().enumerate().filter(|(_, (_, is_there))| *is_there)
        {
            let tensor = self.tensor(operation, place + 1)?;
            let values = tensor.to_f32().map_err(|_| self.contradiction())?;
            let values = self.of_channels(&x, values);
            parameters.push((name, vector(&values).ok_or_else(|| self.contradiction())?));
        }
        let rank = x.axes.len();
        let x = match x.spread {
            // Its numbers have been put in order instead.
            Some(_) => x,
            None => x.arranged(&mut self.sketch, self.operation, &axes_of(channels, rank))?,
        };
        let width = self.sketch.shape(x.node).dims().last().copied();
        if parameters.iter().any(|(_, tensor)| tensor.shape().dims().first().copied() != width) {
            return Err(self.contradiction());
        }
        let norm = BatchNormalization { epsilon, scale, center, ..BatchNormalization::default() };
        Ok(x.at(self.step(Step::Layer(norm.into(), parameters), x.node)?))
    }

    pub(super) fn layer_normalization(
        &mut self,
        operation: &Operation,
        axis: i64,
        over: Option<usize>,
        epsilon: f64,
    ) -> Result<Placed, LoweringError> {
        let x = self.placed(operation, 0)?.row_major(&mut self.sketch, self.operation)?;
        let rank = x.axes.len() + 1;
        let axis = self.axis(axis, rank)?;
        let trailing_axes = rank - axis;
        if over.is_some_and(|over| over != trailing_axes) {
            return Err(self.unsupported("normalises along other axes than the last ones"));
        }
        let (scale, center) = self.has_gamma_and_beta(operation)?;
        let mut parameters = Vec::with_capacity(2);
        for (place, name, is_there) in [(1, "gamma", scale), (2, "beta", center)] {
            if is_there {
                parameters.push((name, self.tensor(operation, place)?));
            }
        }
        let row = self.sketch.shape(x.node).dims().get(axis.saturating_sub(1)..).map(Shape::from);
        if axis == 0 || parameters.iter().any(|(_, it)| Some(it.shape()) != row.as_ref()) {
            return Err(self.contradiction());
        }
        let norm = LayerNormalization {
            trailing_axes,
            epsilon,
            scale,
            center,
            ..LayerNormalization::default()
        };
        Ok(x.at(self.step(Step::Layer(norm.into(), parameters), x.node)?))
    }

    pub(super) fn has_gamma_and_beta(
        &self,
        operation: &Operation,
    ) -> Result<(bool, bool), LoweringError> {
        Ok((self.get(operation, 1)?.is_some(), self.get(operation, 2)?.is_some()))
    }
}
