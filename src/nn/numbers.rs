//! What values are shifted and scaled by where no sum over them is needed.

use std::ops::Range;

use crate::model::Normalization;

/// Numbers of a layer that training does not change.
#[derive(Clone, Debug)]
pub(super) enum Numbers {
    Given(Vec<f32>),
    /// The place of a parameter.
    Stored(Range<usize>),
    /// The place of the parameter whose roots they are.
    RootsOf(Range<usize>),
}

impl Numbers {
    pub(super) fn given(numbers: &[f64]) -> Self {
        Self::Given(numbers.iter().map(|&number| number as f32).collect())
    }

    /// The roots of given variances.
    pub(super) fn deviations(variances: &[f64]) -> Self {
        Self::Given(variances.iter().map(|&variance| deviation(variance as f32)).collect())
    }

    /// Number `index`; of a variance the deviation.
    pub(super) fn get(&self, parameters: &[f32], index: usize) -> f32 {
        match self {
            Self::Given(numbers) => numbers[index],
            Self::Stored(range) => parameters[range.clone()][index],
            Self::RootsOf(range) => deviation(parameters[range.clone()][index]),
        }
    }
}

/// The root of a variance, but no less than is divided by; NaN stays.
fn deviation(variance: f32) -> f32 {
    let (root, least) = (variance.sqrt(), Normalization::LEAST_DEVIATION as f32);
    if root < least { least } else { root }
}
