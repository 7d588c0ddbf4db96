//! Normalisation of channels in groups.

use super::Lowering;
use crate::format::operations::place::{Placed, axes_of};
use crate::format::operations::sketch::{Step, vector};
use crate::format::operations::{Channels, LoweringError, Operation};
use crate::model::GroupNormalization;

impl Lowering<'_, '_> {
    pub(super) fn group_normalization(
        &mut self,
        operation: &Operation,
        groups: Option<usize>,
        epsilon: f64,
    ) -> Result<Placed, LoweringError> {
        let mut x = self.placed(operation, 0)?;
        let order = axes_of(Channels::First, x.axes.len());
        if x.spread.is_some() {
            x = x.row_major(&mut self.sketch, self.operation)?;
        }
        let x = x.arranged(&mut self.sketch, self.operation, &order)?;
        let channels = self.sketch.shape(x.node).dims().last().copied().unwrap_or(0);
        let groups = groups.unwrap_or(channels);
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(self.contradiction());
        }
        let mut parameters = Vec::with_capacity(2);
        for (place, name) in [(1, "gamma"), (2, "beta")] {
            let values = self.tensor(operation, place)?.to_f32();
            let values = values.map_err(|_| self.contradiction())?;
            self.budget.reserve((channels as u64).saturating_mul(8), "numbers of channels")?;
            // Up to operator set 20 there is one for each group.
            let each = if values.len() == groups { channels / groups } else { 1 };
            let values: Vec<f32> =
                values.into_iter().flat_map(|value| std::iter::repeat_n(value, each)).collect();
            if values.len() != channels {
                return Err(self.contradiction());
            }
            parameters.push((name, vector(&values).ok_or_else(|| self.contradiction())?));
        }
        let norm = GroupNormalization { epsilon, ..GroupNormalization::new(groups) };
        Ok(x.at(self.step(Step::Layer(norm.into(), parameters), x.node)?))
    }
}
