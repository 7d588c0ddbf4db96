//! The extents of a tensor or of one sample.

use std::fmt;

/// The extents of a tensor, outermost first. Where a shape describes what a layer takes or gives,
/// it is that of **one sample**: the batch dimension is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape(Vec<usize>);

impl Shape {
    pub fn new(dims: impl Into<Vec<usize>>) -> Self {
        Self(dims.into())
    }

    /// An image of `height` × `width` pixels with `channels` values each (HWC).
    pub fn image(height: usize, width: usize, channels: usize) -> Self {
        Self(vec![height, width, channels])
    }

    /// A sequence of so many `steps` with `channels` values each.
    pub fn sequence(steps: usize, channels: usize) -> Self {
        Self(vec![steps, channels])
    }

    /// A vector of `length` features.
    pub fn vector(length: usize) -> Self {
        Self(vec![length])
    }

    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// How many elements the shape holds; `None` where the product does not fit a `usize`.
    pub fn checked_elements(&self) -> Option<usize> {
        self.0.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim))
    }

    /// How many elements the shape holds.
    ///
    /// # Panics
    /// Where the product does not fit a `usize`; shapes inside a checked graph or tensor fit.
    pub fn elements(&self) -> usize {
        self.checked_elements().expect("a checked shape fits a usize")
    }

    /// Height, width and channels, if this is an image.
    pub fn as_image(&self) -> Option<(usize, usize, usize)> {
        match *self.0 {
            [height, width, channels] => Some((height, width, channels)),
            _ => None,
        }
    }

    /// Steps and channels, if this is a sequence.
    pub fn as_sequence(&self) -> Option<(usize, usize)> {
        match *self.0 {
            [steps, channels] => Some((steps, channels)),
            _ => None,
        }
    }

    /// This shape with a leading batch dimension.
    pub fn batched(&self, batch: usize) -> Vec<usize> {
        std::iter::once(batch).chain(self.0.iter().copied()).collect()
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Self(dims)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Self(dims.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Self(dims.to_vec())
    }
}

/// Written as `28×28×1`; a scalar as `()`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, rest)) = self.0.split_first() else {
            return f.write_str("()");
        };
        write!(f, "{first}")?;
        rest.iter().try_for_each(|dim| write!(f, "×{dim}"))
    }
}
