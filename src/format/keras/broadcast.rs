//! Inputs of a merging layer that differ in shape: Keras repeats those with one place along an axis.

use crate::model::{Arrange, LayerSpec};
use crate::tensor::Shape;

/// The shape that all inputs are brought to: axes are counted from the last, and each is as long as the
/// longest.
pub(in crate::format) fn common_shape(shapes: &[&Shape]) -> Shape {
    let rank = shapes.iter().map(|shape| shape.rank()).max().unwrap_or(0);
    let mut common = vec![1; rank];
    for shape in shapes {
        for (common, &dim) in common.iter_mut().rev().zip(shape.dims().iter().rev()) {
            *common = (*common).max(dim);
        }
    }
    Shape::new(common)
}

/// Layers that repeat an input of shape `from` up to shape `to`, as far as there are such.
pub(in crate::format) fn repeat(from: &Shape, to: &Shape) -> Vec<LayerSpec> {
    let mut specs = Vec::new();
    let mut dims = vec![1; to.rank().saturating_sub(from.rank())];
    dims.extend_from_slice(from.dims());
    if dims.len() != from.rank() {
        specs.push(LayerSpec::Reshape(Shape::new(dims.as_slice())));
    }
    let times = |from: usize, to: usize| if from == 1 { to } else { 1 };
    match (dims.as_slice(), to.dims()) {
        (&[1], &[to_length]) if to_length != 1 => {
            specs.push(LayerSpec::Reshape([1, 1].into()));
            specs.push(Arrange::UpSampling1d { size: to_length }.into());
            specs.push(LayerSpec::Reshape([to_length].into()));
        }
        (&[steps, channels], &[to_steps, to_channels]) => {
            if steps != to_steps {
                specs.push(Arrange::UpSampling1d { size: times(steps, to_steps) }.into());
            }
            if channels != to_channels {
                let size = times(channels, to_channels);
                specs.push(Arrange::Permute { dims: vec![2, 1] }.into());
                specs.push(Arrange::UpSampling1d { size }.into());
                specs.push(Arrange::Permute { dims: vec![2, 1] }.into());
            }
        }
        (&[rows, columns, channels], &[to_rows, to_columns, to_channels]) => {
            let size = [times(rows, to_rows), times(columns, to_columns)];
            if size != [1, 1] {
                specs.push(Arrange::UpSampling2d { size }.into());
            }
            if channels != to_channels {
                let size = [times(channels, to_channels), 1];
                specs.push(Arrange::Permute { dims: vec![3, 1, 2] }.into());
                specs.push(Arrange::UpSampling2d { size }.into());
                specs.push(Arrange::Permute { dims: vec![2, 3, 1] }.into());
            }
        }
        _ => {}
    }
    specs
}
