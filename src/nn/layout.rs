//! Where each parameter lies in the one slice that holds them all.

use std::ops::Range;

use crate::kernels::LANES;
use crate::model::{Graph, Parameter};

/// The places of all parameters in one contiguous slice, each starting at a multiple of 16 values.
/// Gradients and optimizer slots have the same layout, so an optimizer is one loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    ranges: Vec<Range<usize>>,
    length: usize,
}

impl Layout {
    pub(crate) fn new(parameters: &[Parameter]) -> Self {
        let mut next = 0;
        let place = |parameter: &Parameter| {
            let range = next..next + parameter.shape.elements();
            next = range.end.next_multiple_of(LANES);
            range
        };
        let ranges = parameters.iter().map(place).collect();
        // Kernels read whole vectors, up to one vector past the last column.
        Self { ranges, length: next + LANES }
    }

    /// Per parameter, in the order of [`Graph::parameters`].
    pub(crate) fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// Values in the slice, padding included.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The places of all parameters.
    pub(crate) fn all<'a>(
        &'a self,
        graph: &'a Graph,
    ) -> impl Iterator<Item = (&'a Parameter, Range<usize>)> {
        graph.parameters().iter().zip(self.ranges.iter().cloned())
    }

    /// The places of the parameters that training changes.
    pub(crate) fn trained<'a>(
        &'a self,
        graph: &'a Graph,
    ) -> impl Iterator<Item = (&'a Parameter, Range<usize>)> {
        self.all(graph).filter(|(parameter, _)| graph.is_trained(parameter))
    }
}
