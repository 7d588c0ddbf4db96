//! Normalisation of channels in groups.

use super::{Lowering, Traced};
use crate::format::operations::place::{Placed, axes_of};
use crate::format::operations::sketch::{Step, vector};
use crate::format::operations::{Channels, Groups, LoweringError, Operation};
use crate::model::GroupNormalization;

impl Lowering<'_, '_> {
    pub(super) fn group_normalization(
        &mut self,
        operation: &Operation,
        groups: Groups,
        epsilon: f64,
    ) -> Result<Placed, LoweringError> {
        let mut x = self.placed(operation, 0)?;
        if let Groups::Split { rank } = groups {
            return self.split_normalization(operation, &x, rank, epsilon);
        }
        let order = axes_of(Channels::First, x.axes.len());
        if x.spread.is_some() {
            x = x.row_major(&mut self.sketch, self.operation)?;
        }
        let x = x.arranged(&mut self.sketch, self.operation, &order)?;
        let channels = self.sketch.shape(x.node).dims().last().copied().unwrap_or(0);
        let groups = if let Groups::Of(groups) = groups { groups } else { channels };
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(self.contradiction());
        }
        let norm = GroupNormalization { epsilon, ..GroupNormalization::new(groups) };
        self.normalized_groups(operation, &x, norm)
    }

    /// Of channels that stand in two axes, the groups before those of a group.
    fn split_normalization(
        &mut self,
        operation: &Operation,
        x: &Placed,
        rank: usize,
        epsilon: f64,
    ) -> Result<Placed, LoweringError> {
        let dims = x.dims(&self.sketch);
        let [cells @ .., groups, width] = dims.as_slice() else {
            return Err(self.contradiction());
        };
        if dims.len() + 1 != rank {
            return Err(self.unsupported("normalises along other axes than the last ones"));
        }
        for place in [1, 2] {
            let Some(Traced::Known(numbers)) = self.get(operation, place)? else { continue };
            let own = numbers.dims.iter().skip_while(|dim| **dim == 1);
            if !own.eq([groups, width].into_iter().skip_while(|dim| **dim == 1)) {
                let what = "scales or moves groups by other numbers than one for each channel";
                return Err(self.unsupported(what));
            }
        }
        let (scale, center) = self.has_gamma_and_beta(operation)?;
        let norm = GroupNormalization { groups: *groups, epsilon, center, scale };
        let joined = self.reshape(x, &[cells, &[groups * width]].concat())?;
        let y = self.normalized_groups(operation, &joined, norm)?;
        self.reshape(&y, &dims)
    }

    fn normalized_groups(
        &mut self,
        operation: &Operation,
        x: &Placed,
        norm: GroupNormalization,
    ) -> Result<Placed, LoweringError> {
        let channels = self.sketch.shape(x.node).dims().last().copied().unwrap_or(0);
        let mut parameters = Vec::with_capacity(2);
        for (place, name, is_there) in [(1, "gamma", norm.scale), (2, "beta", norm.center)] {
            if !is_there {
                continue;
            }
            let values = self.tensor(operation, place)?.to_f32();
            let values = values.map_err(|_| self.contradiction())?;
            self.budget.reserve((channels as u64).saturating_mul(8), "numbers of channels")?;
            // Up to ONNX' operator set 20 there is one for each group.
            let each = if values.len() == norm.groups { channels / norm.groups } else { 1 };
            let values: Vec<f32> =
                values.into_iter().flat_map(|value| std::iter::repeat_n(value, each)).collect();
            if values.len() != channels {
                return Err(self.contradiction());
            }
            parameters.push((name, vector(&values).ok_or_else(|| self.contradiction())?));
        }
        Ok(x.at(self.step(Step::Layer(norm.into(), parameters), x.node)?))
    }
}
