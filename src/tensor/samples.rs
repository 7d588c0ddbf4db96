//! What a model is fed with: samples, and the targets that belong to them.

use std::sync::Arc;

use ndarray::{Array, ArrayD, Dimension};

use super::Shape;

/// A number of samples of one shape. Cloning shares the values.
///
/// Images may stay one byte per value: [`Samples::unit_bytes`] divides by 255 while a batch is
/// assembled, so that a data set takes a quarter of the memory.
#[derive(Clone, Debug)]
pub struct Samples {
    count: usize,
    shape: Shape,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    F32(Arc<[f32]>),
    /// Bytes, and the f32 that stands for each of the 256.
    U8(Arc<[u8]>, Arc<[f32; 256]>),
}

/// The values as they are kept.
pub(crate) enum Content<'a> {
    F32(&'a [f32]),
    /// Bytes, and what each of the 256 stands for.
    U8(&'a [u8], &'a [f32; 256]),
}

/// Why values do not make samples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} values do not make {count} samples of shape {shape}")]
pub struct SamplesError {
    pub count: usize,
    pub shape: Shape,
    pub found: usize,
}

impl Samples {
    /// `count` samples of `shape`, one after the other.
    pub fn new(
        count: usize,
        shape: impl Into<Shape>,
        values: impl Into<Arc<[f32]>>,
    ) -> Result<Self, SamplesError> {
        let (shape, values) = (shape.into(), values.into());
        check(count, &shape, values.len())?;
        Ok(Self { count, shape, values: Values::F32(values) })
    }

    /// Bytes that stand for value / 255, as images are usually fed.
    pub fn unit_bytes(
        count: usize,
        shape: impl Into<Shape>,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Result<Self, SamplesError> {
        Self::bytes(count, shape.into(), bytes.into(), |byte| f32::from(byte) / 255.0)
    }

    /// Bytes that stand for themselves, 0.0 to 255.0 (for a model that starts with `Rescaling`).
    pub fn raw_bytes(
        count: usize,
        shape: impl Into<Shape>,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Result<Self, SamplesError> {
        Self::bytes(count, shape.into(), bytes.into(), f32::from)
    }

    fn bytes(
        count: usize,
        shape: Shape,
        bytes: Arc<[u8]>,
        value: impl Fn(u8) -> f32,
    ) -> Result<Self, SamplesError> {
        check(count, &shape, bytes.len())?;
        let table = std::array::from_fn(|byte| value(byte as u8));
        Ok(Self { count, shape, values: Values::U8(bytes, Arc::new(table)) })
    }

    /// How many samples.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The shape of one sample.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn content(&self) -> Content<'_> {
        match &self.values {
            Values::F32(values) => Content::F32(values),
            Values::U8(bytes, table) => Content::U8(bytes, table),
        }
    }

    /// Writes sample `index` into `out`, which has as many elements as the shape.
    ///
    /// # Panics
    /// If `index` is not below [`count`](Self::count) or `out` is of another length.
    pub fn copy_sample(&self, index: usize, out: &mut [f32]) {
        let length = self.shape.elements();
        let range = index * length..(index + 1) * length;
        match &self.values {
            Values::F32(values) => out.copy_from_slice(&values[range]),
            Values::U8(bytes, table) => {
                assert_eq!(out.len(), length, "one sample");
                for (value, &byte) in out.iter_mut().zip(&bytes[range]) {
                    *value = table[usize::from(byte)];
                }
            }
        }
    }

    /// The samples at `indices`, in that order.
    ///
    /// # Panics
    /// If an index is not below [`count`](Self::count).
    pub fn select(&self, indices: &[usize]) -> Self {
        let length = self.shape.elements();
        let pick = |&index: &usize| index * length..(index + 1) * length;
        let values = match &self.values {
            Values::F32(values) => {
                Values::F32(indices.iter().flat_map(|i| values[pick(i)].iter().copied()).collect())
            }
            Values::U8(bytes, table) => Values::U8(
                indices.iter().flat_map(|i| bytes[pick(i)].iter().copied()).collect(),
                Arc::clone(table),
            ),
        };
        Self { count: indices.len(), shape: self.shape.clone(), values }
    }

    /// The values as an array with a leading sample dimension.
    pub fn to_array(&self) -> ArrayD<f32> {
        let length = self.shape.elements();
        let mut values = vec![0.0; self.count * length];
        if length > 0 {
            for (index, out) in values.chunks_exact_mut(length).enumerate() {
                self.copy_sample(index, out);
            }
        }
        ArrayD::from_shape_vec(self.shape.batched(self.count), values).expect("checked in new")
    }
}

fn check(count: usize, shape: &Shape, found: usize) -> Result<(), SamplesError> {
    let expected = shape.checked_elements().and_then(|elements| elements.checked_mul(count));
    if expected == Some(found) {
        return Ok(());
    }
    Err(SamplesError { count, shape: shape.clone(), found })
}

/// The first dimension counts the samples.
///
/// # Panics
/// If the array has no dimension at all.
impl<D: Dimension> From<Array<f32, D>> for Samples {
    fn from(array: Array<f32, D>) -> Self {
        let (&count, shape) = array.shape().split_first().expect("an array of samples");
        let (shape, values) = (Shape::from(shape), array.iter().copied().collect());
        Self { count, shape, values: Values::F32(values) }
    }
}

/// What the samples should give.
#[derive(Clone, Debug)]
pub enum Targets {
    /// One class index per sample.
    Classes(Arc<[u32]>),
    /// One row of values per sample, of the output's shape.
    Values(Samples),
}

impl Targets {
    /// How many samples these are the targets of.
    pub fn count(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Values(values) => values.count(),
        }
    }

    /// The targets at `indices`, in that order.
    ///
    /// # Panics
    /// If an index is not below [`count`](Self::count).
    pub fn select(&self, indices: &[usize]) -> Self {
        match self {
            Self::Classes(classes) => {
                Self::Classes(indices.iter().map(|&index| classes[index]).collect())
            }
            Self::Values(values) => Self::Values(values.select(indices)),
        }
    }
}

impl From<Vec<u32>> for Targets {
    fn from(classes: Vec<u32>) -> Self {
        Self::Classes(classes.into())
    }
}

impl From<Samples> for Targets {
    fn from(values: Samples) -> Self {
        Self::Values(values)
    }
}
