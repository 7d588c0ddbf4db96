//! Windows, kernels and pools, on their way over images.

use super::infer::{Rule, image};
use super::{Conv2d, Padding, Pool2d};
use crate::tensor::Shape;

/// A window (kernel or pool) resolved against an image: how it moves and what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window2d {
    /// Height, width of the image.
    pub input: [usize; 2],
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub dilation: [usize; 2],
    /// Padding above and to the left. What lies below and to the right follows from the output.
    pub before: [usize; 2],
    /// Height, width of the result.
    pub output: [usize; 2],
}

/// The most elements that one result may have, and the most cells that a window may meet on its way
/// over an image: places within a sample are counted in 32 bits.
pub(super) const MAX_PLACES: usize = u32::MAX as usize;

impl Window2d {
    /// Resolves a window against an image of height and width `input`; the error is the rule that
    /// is broken.
    pub fn new(
        input: [usize; 2],
        kernel: [usize; 2],
        strides: [usize; 2],
        padding: Padding,
        dilation: [usize; 2],
    ) -> Result<Self, Rule> {
        let explicit = match padding {
            Padding::Valid => Some([(0, 0), (0, 0)]),
            Padding::Same => None,
            Padding::Explicit { top, bottom, left, right } => Some([(top, bottom), (left, right)]),
        };
        let mut window = Self { input, kernel, strides, dilation, before: [0; 2], output: [0; 2] };
        for axis in 0..2 {
            let name = ["height", "width"][axis];
            let (size, stride) = (input[axis], strides[axis]);
            if kernel[axis] == 0 || stride == 0 || dilation[axis] == 0 {
                return Err(format!("window, stride and dilation must be 1 or more in {name}"));
            }
            if size == 0 {
                return Err(format!("the image has no {name}"));
            }
            let too_large = || format!("the window or its padding is too large in {name}");
            let extent = (kernel[axis] - 1)
                .checked_mul(dilation[axis])
                .and_then(|reach| reach.checked_add(1))
                .ok_or_else(too_large)?;
            let (before, output) = match explicit {
                Some(sides) => {
                    let (before, after) = sides[axis];
                    let padded = size
                        .checked_add(before)
                        .and_then(|sum| sum.checked_add(after))
                        .ok_or_else(too_large)?;
                    if padded < extent {
                        return Err(format!(
                            "the window reaches over {extent} cells in {name}, the padded image \
                             has {padded}; pad with `same` or take a smaller window"
                        ));
                    }
                    (before, (padded - extent) / stride + 1)
                }
                None => {
                    let output = size.div_ceil(stride);
                    let needed =
                        ((output - 1) * stride).checked_add(extent).ok_or_else(too_large)?;
                    (needed.saturating_sub(size) / 2, output)
                }
            };
            window.before[axis] = before;
            window.output[axis] = output;
        }
        Ok(window)
    }

    /// The input row (axis 0) or column (axis 1) under cell `tap` of the window at output cell
    /// `output`, or `None` in the padding.
    pub fn source(&self, axis: usize, output: usize, tap: usize) -> Option<usize> {
        (output * self.strides[axis] + tap * self.dilation[axis])
            .checked_sub(self.before[axis])
            .filter(|&source| source < self.input[axis])
    }

    /// The input rows (axis 0) or columns (axis 1) under the window at output cell `output`, padding
    /// left out. It costs nothing for taps in the padding, however many there are.
    pub fn sources(&self, axis: usize, output: usize) -> impl Iterator<Item = usize> + use<> {
        let (start, dilation) = (output * self.strides[axis], self.dilation[axis]);
        let (before, size) = (self.before[axis], self.input[axis]);
        // Tap t lies at start + t·dilation − before.
        let first = before.saturating_sub(start).div_ceil(dilation);
        let end = (before + size).saturating_sub(start).div_ceil(dilation);
        (first..end.min(self.kernel[axis])).map(move |tap| start + tap * dilation - before)
    }

    /// The output rows (axis 0) or columns (axis 1) whose windows reach input `source`, each behind the
    /// tap that does, in the order of the taps.
    pub fn outputs(
        &self,
        axis: usize,
        source: usize,
    ) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (dilation, stride) = (self.dilation[axis], self.strides[axis]);
        let (position, output) = (source + self.before[axis], self.output[axis]);
        (0..self.kernel[axis]).filter_map(move |tap| {
            let start = position.checked_sub(tap * dilation)?;
            let reached = start.is_multiple_of(stride) && start / stride < output;
            reached.then_some((tap, start / stride))
        })
    }

    /// Rows and columns that all windows together reach over, padding included.
    pub fn extent(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let last = (self.output[axis] - 1) * self.strides[axis];
            last + (self.kernel[axis] - 1) * self.dilation[axis] + 1
        })
    }

    /// Refuses a window of so many `taps` that what it meets could not be counted.
    pub(super) fn countable(&self, taps: [usize; 2]) -> Result<(), Rule> {
        let product = |sizes: [usize; 2]| sizes[0].checked_mul(sizes[1]);
        let cells = product(self.input).zip(product(self.output)).map(|(a, b)| a.max(b));
        let met = cells.zip(product(taps)).and_then(|(cells, taps)| cells.checked_mul(taps));
        match met {
            Some(met) if met <= MAX_PLACES => Ok(()),
            _ => {
                Err("on its way over the image the window would meet 2³² cells or more".to_owned())
            }
        }
    }
}

impl Conv2d {
    /// The kernel's window over images of shape `input`; the error is the rule that is broken.
    pub fn window(&self, input: &Shape) -> Result<Window2d, Rule> {
        let (height, width, _) = image(input)?;
        Window2d::new([height, width], self.kernel, self.strides, self.padding, self.dilation)
    }
}

impl Pool2d {
    /// How the pool slides over an image of shape `input`, channels last; the error is the rule
    /// that does not hold.
    pub fn window(&self, input: &Shape) -> Result<Window2d, Rule> {
        let (height, width, _) = image(input)?;
        Window2d::new([height, width], self.pool, self.strides, self.padding, [1; 2])
    }
}
