//! Normalisation of groups of channels: those of all cells of a sample make a row, which is normalised as
//! in [`layer_normalization`]; gamma and beta are of the channels.

use super::arrange::{self, Arrangement};
use super::layer_normalization::{self, Affine, Normalized};
use crate::kernels::Isa;
use crate::model::RowMethod;

/// How the values of a sample stand in groups.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    /// Of a sample, group by group.
    pub(crate) arrangement: Arrangement,
    pub(crate) groups: usize,
    /// Values of a group.
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl Geometry {
    fn sample(&self) -> usize {
        self.groups * self.width
    }

    /// `values` of whole samples, group by group.
    fn group(&self, grouped: &mut [f32], values: &[f32]) {
        let samples = grouped.chunks_exact_mut(self.sample());
        for (grouped, values) in samples.zip(values.chunks_exact(self.sample())) {
            arrange::forward(grouped, values, &self.arrangement);
        }
    }

    /// The values back in their places.
    pub(crate) fn ungroup(&self, values: &mut [f32], grouped: &[f32]) {
        let samples = values.chunks_exact_mut(self.sample());
        for (values, grouped) in samples.zip(grouped.chunks_exact(self.sample())) {
            arrange::gradient(values, grouped, &self.arrangement);
        }
    }
}

/// `n` of `x`, group by group, and the inverse deviation of each.
pub(crate) fn normalize(
    isa: Isa,
    [n, inverses]: [&mut [f32]; 2],
    x: &[f32],
    epsilon: f64,
    geometry: &Geometry,
) {
    geometry.group(n, x);
    let method = RowMethod::Standard;
    layer_normalization::normalize(isa, n, inverses, geometry.width, method, epsilon);
}

/// `dx` of `dy` and what [`normalize`] has left; `work` is as long as they.
pub(crate) fn input_gradient(
    isa: Isa,
    [dx, work]: [&mut [f32]; 2],
    dy: &[f32],
    [n, inverses]: [&[f32]; 2],
    gamma: Option<&[f32]>,
    geometry: &Geometry,
) {
    work.copy_from_slice(dy);
    let affine = Affine { gamma, beta: None };
    layer_normalization::scale_and_shift(isa, work, affine, geometry.channels);
    geometry.group(dx, work);
    let (width, method) = (geometry.width, RowMethod::Standard);
    let normalized = Normalized { n, inverses, width, method };
    layer_normalization::input_gradient(isa, work, dx, normalized, None);
    geometry.ungroup(dx, work);
}
