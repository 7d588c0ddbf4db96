//! Convolutions with gaps, as TensorFlow spells them out: SpaceToBatchND makes a smaller image of every n-th
//! cell, a convolution without gaps runs over these, and BatchToSpaceND puts them together again. Sequences are
//! images of height 1 for the convolution: ExpandDims stands before it and Squeeze behind it.

use std::collections::BTreeMap;

use super::Building;
use super::attributes::Attributes;
use super::operators::channels;
use crate::format::operations::{Channels, Constant, Kind, Pads, ValueId};
use crate::format::savedmodel::SavedModelError;
use crate::format::savedmodel::computation::{Computation, Operation, Value};

/// The convolutions that are spelled out: by the place of the last operation, those of the others.
#[derive(Debug, Default)]
pub(super) struct Spaced {
    wholes: BTreeMap<usize, Whole>,
    inside: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    split: usize,
    /// Of a sequence.
    expansion: Option<usize>,
    convolution: usize,
    squeeze: Option<usize>,
    join: usize,
}

/// A node's operation and what it takes.
fn node<'c, 'm>(
    computation: &'c Computation<'m>,
    place: usize,
) -> Option<(Attributes<'m>, &'c [Value<'m>])> {
    match computation.operations.get(place)? {
        Operation::Node { node, inputs } => Some((Attributes(node), inputs)),
        _ => None,
    }
}

impl Spaced {
    pub(super) fn of(computation: &Computation<'_>) -> Self {
        let mut all = Self::default();
        for join in 0..computation.operations.len() {
            let source = |place: usize, op: &[&str]| {
                let (attributes, inputs) = node(computation, place)?;
                let is_one = op.contains(&attributes.0.op.as_str());
                inputs.first().map(|input| input.operation).filter(|_| is_one)
            };
            // The operation that `place` takes from, and what that one takes from if it is called so.
            let through = |place: usize, op| match source(place, &[op]) {
                Some(behind) => (Some(place), behind),
                None => (None, place),
            };
            let Some(last) = source(join, &["BatchToSpaceND"]) else { continue };
            let (squeeze, convolution) = through(last, "Squeeze");
            let operators = ["Conv2D", "DepthwiseConv2dNative"];
            let Some(first) = source(convolution, &operators) else { continue };
            let (expansion, split) = through(first, "ExpandDims");
            if source(split, &["SpaceToBatchND"]).is_some()
                && expansion.is_some() == squeeze.is_some()
            {
                all.wholes.insert(join, Whole { split, expansion, convolution, squeeze, join });
                all.inside.extend([split, convolution]);
                all.inside.extend(expansion.into_iter().chain(squeeze));
            }
        }
        all.inside.sort_unstable();
        all
    }

    /// Whether the operation at `place` is put together with one behind it.
    pub(super) fn is_inside(&self, place: usize) -> bool {
        self.inside.binary_search(&place).is_ok()
    }

    /// The convolution that ends at `place`.
    pub(super) fn whole(&self, place: usize) -> Option<Whole> {
        self.wholes.get(&place).copied()
    }
}

impl<'m> Building<'m> {
    /// All of its operations as one, between those that make an image of a sequence.
    pub(super) fn spaced_convolution(
        &mut self,
        computation: &Computation<'m>,
        whole: &Whole,
    ) -> Result<Vec<ValueId>, SavedModelError> {
        let take = |place| node(computation, place);
        let (
            Some((split, [x, block, pads])),
            Some((attributes, [_, kernel])),
            Some((join, [_, again, crops])),
        ) = (take(whole.split), take(whole.convolution), take(whole.join))
        else {
            return Err(SavedModelError::NoNode { name: "SpaceToBatchND".to_owned() });
        };
        let known = |value: &Value<'m>, attributes: &Attributes<'m>| {
            self.known(attributes, self.resolved(computation, value)?)
        };
        let (dilations, pads) = (known(block, &split)?, known(pads, &split)?);
        let (again, crops) = (known(again, &join)?, known(crops, &join)?);
        let steps = [attributes.ints("strides")?, attributes.ints("dilations")?];
        let is_plain = channels(&attributes)? == Channels::Last
            && attributes.text("padding", "")? == "VALID"
            && steps.into_iter().flatten().flatten().all(|&step| step == 1);
        // Before and behind the axis of rows, of one that comes in or goes away.
        let is_height = |axes: &[i64]| matches!(axes, [1 | -3]);
        let is_sequence = match (whole.expansion.and_then(take), whole.squeeze.and_then(take)) {
            (Some((expansion, [_, axis])), Some((squeeze, _))) => {
                let removed = squeeze.ints("squeeze_dims")?.unwrap_or_default();
                is_height(&known(axis, &expansion)?) && is_height(removed)
            }
            _ => false,
        };
        let is_sound = dilations == again
            && pads.len() == crops.len()
            && pads.len() == dilations.len().saturating_mul(2)
            && dilations.len() <= if is_sequence { 1 } else { 2 }
            && is_sequence == whole.expansion.is_some();
        if !is_plain || !is_sound {
            return Err(join.fault("is no convolution with gaps, spelled out"));
        }
        // What is cut off behind was added to fill the smaller images.
        let left = pads.iter().zip(&crops).map(|(&pad, &crop)| pad.checked_sub(crop));
        let left = left.map(|pad| usize::try_from(pad?).ok()).collect::<Option<Vec<_>>>();
        let left = left.ok_or_else(|| join.fault("cuts off more than was added"))?;
        let mut pads = left.as_chunks().0.to_vec();
        let dilations = dilations.iter().map(|&step| usize::try_from(step));
        let dilations = dilations.collect::<Result<Vec<_>, _>>();
        let mut dilations = dilations.map_err(|_| split.fault("has lengths below 0"))?;
        let inputs = [self.resolved(computation, x)?, self.resolved(computation, kernel)?];
        self.layer = self.layer_name(attributes.0, &inputs);
        if !is_sequence {
            // Where only rows have gaps, nothing is told of columns.
            dilations.resize(2, 1);
            pads.resize(2, [0, 0]);
            return self.convolution(&attributes, &inputs, Some((dilations, Pads::Explicit(pads))));
        }
        dilations.insert(0, 1);
        pads.insert(0, [0, 0]);
        let height = self.constant(Constant::integers([1]));
        let [x, kernel] = inputs;
        let image = self.operation(Kind::Unsqueeze, [x, height].map(Some))?;
        let spaced = Some((dilations, Pads::Explicit(pads)));
        let image = self.convolution(&attributes, &[image, kernel], spaced)?;
        let inputs = image.into_iter().chain([height]).map(Some);
        self.operation(Kind::Squeeze, inputs).map(|value| vec![value])
    }
}
