//! Where the numbers of a value stand: in which node of the sketch, and which of its axes is which of the
//! value's.

use super::Channels;
use super::LoweringError;
use super::sketch::Sketch;
use crate::model::{Arrange, LayerSpec};
use crate::tensor::Shape;

/// A value that runs through the network.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) node: usize,
    /// For each axis of the value behind the batch, the axis of the node's sample.
    pub(super) axes: Vec<usize>,
    /// What a vector was made of, if its numbers do not stand in the value's order.
    pub(super) spread: Option<Spread>,
}

/// The node's vector is the sample of `shape`, row-major; the value's is that with its axes in the order of
/// `axes`.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    pub(super) shape: Shape,
    pub(super) axes: Vec<usize>,
}

/// For each axis of a value of so many behind the batch, the axis of a sample with channels last.
pub(super) fn axes_of(channels: Channels, rank: usize) -> Vec<usize> {
    match channels {
        Channels::Last => (0..rank).collect(),
        Channels::First => {
            rank.checked_sub(1).into_iter().chain(0..rank.saturating_sub(1)).collect()
        }
    }
}

/// The inverse of a permutation.
pub(super) fn inverse(axes: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; axes.len()];
    for (index, &axis) in axes.iter().enumerate() {
        if let Some(place) = inverse.get_mut(axis) {
            *place = index;
        }
    }
    inverse
}

impl Placed {
    /// With the axes as the node has them.
    pub(super) fn plain(sketch: &Sketch, node: usize) -> Self {
        let axes = (0..sketch.shape(node).rank()).collect();
        Self { node, axes, spread: None }
    }

    /// The lengths of the value's axes behind the batch.
    pub(super) fn dims(&self, sketch: &Sketch) -> Vec<usize> {
        let shape = sketch.shape(self.node);
        self.axes.iter().map(|&axis| shape.dims().get(axis).copied().unwrap_or(1)).collect()
    }

    /// The same value at another node of the same shape.
    pub(super) fn at(&self, node: usize) -> Self {
        Self { node, ..self.clone() }
    }

    /// The value at a node that has its axes in this order.
    pub(super) fn arranged(
        &self,
        sketch: &mut Sketch,
        name: &str,
        axes: &[usize],
    ) -> Result<Self, LoweringError> {
        if let Some(Spread { shape, axes: order }) = &self.spread {
            let image = sketch.layer(name, LayerSpec::Reshape(shape.clone()), &[self.node])?;
            let image = Self { node: image, axes: order.clone(), spread: None };
            let plain: Vec<usize> = (0..order.len()).collect();
            let image = image.arranged(sketch, name, &plain)?;
            let vector = sketch.layer(name, LayerSpec::Flatten, &[image.node])?;
            return Ok(Self::plain(sketch, vector));
        }
        if self.axes == axes {
            return Ok(self.clone());
        }
        // Axis k of the result is the one that stands for the same axis of the value.
        let places = inverse(axes);
        let dims =
            places.iter().map(|&axis| self.axes.get(axis).copied().unwrap_or(0) + 1).collect();
        let node = sketch.layer(name, Arrange::Permute { dims }, &[self.node])?;
        Ok(Self { node, axes: axes.to_vec(), spread: None })
    }

    /// The value at a node that has its axes in the value's order.
    pub(super) fn row_major(&self, sketch: &mut Sketch, name: &str) -> Result<Self, LoweringError> {
        let axes: Vec<usize> = (0..self.axes.len()).collect();
        self.arranged(sketch, name, &axes)
    }

    /// Whether the node's numbers stand in the value's order: axes of length 1 do not matter.
    pub(super) fn is_row_major(&self, sketch: &Sketch) -> bool {
        let shape = sketch.shape(self.node);
        let is_long = |axis: &&usize| shape.dims().get(**axis).is_some_and(|&dim| dim != 1);
        self.spread.is_none() && self.axes.iter().filter(is_long).is_sorted()
    }
}
