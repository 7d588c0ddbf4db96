//! Layers that only move values.

use super::infer::Rule;
use crate::tensor::Shape;

/// Layers of whose results each value is one of the input's, or zero. Sequences are (steps,
/// channels), images (height, width, channels).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrange {
    /// The axes in another order: the first of the result is axis `dims[0]` of the input, and so on,
    /// axes counted from 1 as in Keras, where 0 is the batch.
    Permute { dims: Vec<usize> },
    /// A sequence without so many steps at its beginning and at its end.
    Cropping1d([usize; 2]),
    /// An image without so many rows or columns at the top, bottom, left, right.
    Cropping2d([usize; 4]),
    /// Zeros around a sequence: so many steps before and behind it.
    ZeroPadding1d([usize; 2]),
    /// Zeros around an image: top, bottom, left, right.
    ZeroPadding2d([usize; 4]),
    /// A sequence, each step of which stands `size` times.
    UpSampling1d { size: usize },
    /// An image, each pixel of which becomes so many rows by so many columns (Keras:
    /// `interpolation="nearest"`).
    UpSampling2d { size: [usize; 2] },
    /// A vector as each of `n` steps.
    RepeatVector { n: usize },
}

/// An axis of a result, and what of the input stands along it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrangedAxis {
    /// Places along the axis of the result.
    pub length: usize,
    /// Zeros before the first place that is taken from the input.
    pub zeros: usize,
    /// How often each place of the input stands.
    pub repeat: usize,
    /// Places along the axis of the input, and how many of the first are left out.
    pub size: usize,
    pub cut: usize,
    /// Values between neighbouring places of the input.
    pub stride: usize,
}

impl ArrangedAxis {
    /// Where in the input that stands which is at place `at` of the result; nothing for zero.
    pub fn source(&self, at: usize) -> Option<usize> {
        let place = at.checked_sub(self.zeros)? / self.repeat + self.cut;
        (place < self.size).then_some(place * self.stride)
    }

    /// Places of the result that are taken from the input.
    pub fn taken(&self) -> usize {
        ((self.size - self.cut) * self.repeat).min(self.length - self.zeros)
    }

    fn whole(size: usize, stride: usize) -> Self {
        Self { length: size, zeros: 0, repeat: 1, size, cut: 0, stride }
    }

    fn cropped(self, [before, after]: [usize; 2]) -> Result<Self, Rule> {
        match before.checked_add(after).and_then(|cut| self.size.checked_sub(cut)) {
            Some(length) if length > 0 => Ok(Self { length, cut: before, ..self }),
            _ => Err(format!("of {} cells, {before} and {after} are cut off", self.size)),
        }
    }

    fn padded(self, [before, after]: [usize; 2]) -> Result<Self, Rule> {
        let length = self.size.checked_add(before).and_then(|sum| sum.checked_add(after));
        let length = length.ok_or("the padding is too large")?;
        Ok(Self { length, zeros: before, ..self })
    }

    fn repeated(self, repeat: usize) -> Result<Self, Rule> {
        let length = self.size.checked_mul(repeat).ok_or("the result is too large")?;
        Ok(Self { length, repeat, ..self })
    }
}

impl Arrange {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Permute { .. } => "permute",
            Self::Cropping1d(_) => "cropping1d",
            Self::Cropping2d(_) => "cropping2d",
            Self::ZeroPadding1d(_) => "zero_padding1d",
            Self::ZeroPadding2d(_) => "zero_padding2d",
            Self::UpSampling1d { .. } => "up_sampling1d",
            Self::UpSampling2d { .. } => "up_sampling2d",
            Self::RepeatVector { .. } => "repeat_vector",
        }
    }

    /// What is wrong with the settings, whatever the input.
    pub(super) fn check(&self) -> Result<(), Rule> {
        match self {
            Self::Permute { dims } => {
                let mut sorted = dims.clone();
                sorted.sort_unstable();
                if !sorted.iter().copied().eq(1..=dims.len()) {
                    return Err(format!("dims must be the numbers from 1 on, not {dims:?}"));
                }
            }
            Self::UpSampling1d { size: 0 } | Self::UpSampling2d { size: [0, _] | [_, 0] } => {
                return Err("the size must be 1 or more".to_owned());
            }
            Self::RepeatVector { n: 0 } => return Err("n must be 1 or more".to_owned()),
            Self::UpSampling1d { .. }
            | Self::UpSampling2d { .. }
            | Self::RepeatVector { .. }
            | Self::Cropping1d(_)
            | Self::Cropping2d(_)
            | Self::ZeroPadding1d(_)
            | Self::ZeroPadding2d(_) => {}
        }
        Ok(())
    }

    /// The axes of the result for inputs of shape `input`; the error is the rule that is broken.
    pub fn axes(&self, input: &Shape) -> Result<Vec<ArrangedAxis>, Rule> {
        input.checked_elements().ok_or("the input is too large")?;
        let mut stride = 1_usize;
        let mut axes: Vec<ArrangedAxis> = (input.dims().iter().rev())
            .map(|&size| {
                let axis = ArrangedAxis::whole(size, stride);
                stride = stride.saturating_mul(size);
                axis
            })
            .collect();
        axes.reverse();
        match (self, axes.as_mut_slice()) {
            (Self::Permute { dims }, all) if dims.len() == all.len() => {
                let axis = |&dim: &usize| all.get(dim.checked_sub(1)?).copied();
                let axes = dims.iter().map(axis).collect::<Option<_>>();
                return axes.ok_or_else(|| format!("dims name axes that are not: {dims:?}"));
            }
            (Self::Permute { dims }, _) => {
                return Err(format!("it takes {} axes", dims.len()));
            }
            (Self::Cropping1d(sides), [steps, _]) => *steps = steps.cropped(*sides)?,
            (Self::ZeroPadding1d(sides), [steps, _]) => *steps = steps.padded(*sides)?,
            (Self::UpSampling1d { size }, [steps, _]) => *steps = steps.repeated(*size)?,
            (&Self::Cropping2d([top, bottom, left, right]), [rows, columns, _]) => {
                *rows = rows.cropped([top, bottom])?;
                *columns = columns.cropped([left, right])?;
            }
            (&Self::ZeroPadding2d([top, bottom, left, right]), [rows, columns, _]) => {
                *rows = rows.padded([top, bottom])?;
                *columns = columns.padded([left, right])?;
            }
            (&Self::UpSampling2d { size: [down, across] }, [rows, columns, _]) => {
                *rows = rows.repeated(down)?;
                *columns = columns.repeated(across)?;
            }
            (Self::RepeatVector { n }, [vector]) => {
                let steps = ArrangedAxis::whole(1, 0).repeated(*n)?;
                return Ok(vec![steps, *vector]);
            }
            (Self::Cropping1d(_) | Self::ZeroPadding1d(_) | Self::UpSampling1d { .. }, _) => {
                return Err("it takes sequences: steps, channels".to_owned());
            }
            (Self::Cropping2d(_) | Self::ZeroPadding2d(_) | Self::UpSampling2d { .. }, _) => {
                return Err("it takes images: height, width, channels".to_owned());
            }
            (Self::RepeatVector { .. }, _) => return Err("it takes vectors".to_owned()),
        }
        Ok(axes)
    }
}
