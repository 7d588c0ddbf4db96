//! Values that are known before the network runs, and what is computed of them at once.

use super::{Cast, Elementwise, Function};
use crate::bytes::{Budget, BudgetError};
use crate::tensor::{DType, Shape, Tensor};
use crate::wire::hdf5::Array;

/// A value that is known. Its first axis is no batch.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::format) struct Constant<'p> {
    pub(in crate::format) dims: Vec<usize>,
    pub(in crate::format) numbers: Numbers<'p>,
    /// Of whole numbers: whether they have become floating-point ones, among which the number of samples may
    /// be. They are moved as they are, and computed with as floating-point ones.
    pub(in crate::format) is_cast: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::format) enum Numbers<'p> {
    /// f32, of the constant's shape.
    Floats(Tensor<'p>),
    Integers(Vec<Extent>),
}

/// A length or an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Extent {
    Known(i64),
    /// So many times the number of samples.
    Batch(i64),
}

impl Extent {
    pub(super) fn known(self) -> Option<i64> {
        match self {
            Self::Known(number) => Some(number),
            Self::Batch(_) => None,
        }
    }
}

impl<'p> Constant<'p> {
    pub(in crate::format) fn integers(numbers: impl IntoIterator<Item = i64>) -> Self {
        Self::extents(numbers.into_iter().map(Extent::Known).collect())
    }

    pub(super) fn extents(extents: Vec<Extent>) -> Self {
        Self { dims: vec![extents.len()], numbers: Numbers::Integers(extents), is_cast: false }
    }

    pub(in crate::format) fn float(number: f32) -> Self {
        Self::floats(Vec::new(), &[number]).unwrap_or_else(|| Self::extents(Vec::new()))
    }

    pub(in crate::format) fn list(numbers: &[f32]) -> Option<Self> {
        Self::floats(vec![numbers.len()], numbers)
    }

    fn floats(dims: Vec<usize>, values: &[f32]) -> Option<Self> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = Tensor::new(DType::F32, dims.as_slice(), bytes).ok()?;
        Some(Self { dims, numbers: Numbers::Floats(tensor), is_cast: false })
    }

    /// What a file holds: floating-point numbers become f32, whole ones stay as they are.
    pub(in crate::format) fn stored(
        tensor: Tensor<'p>,
        budget: &mut Budget,
    ) -> Result<Option<Self>, BudgetError> {
        match tensor.dtype() {
            DType::F32 => Ok(Some(Self::of(tensor))),
            DType::F16 | DType::BF16 | DType::F64 => {
                let converted = Array::from(tensor);
                let converted = converted.to_f32(budget)?;
                Ok(converted.map(|tensor| Self::of(tensor.into_owned())))
            }
            dtype => {
                let dims = tensor.shape().dims().to_vec();
                let count = (tensor.bytes().len() / dtype.size()) as u64;
                budget.reserve(count.saturating_mul(16), "whole numbers")?;
                let numbers = tensor.bytes().chunks_exact(dtype.size());
                let numbers = numbers.map(|number| Extent::Known(whole(dtype, number)));
                Ok(Some(Self { dims, ..Self::extents(numbers.collect()) }))
            }
        }
    }

    pub(super) fn of(tensor: Tensor<'p>) -> Self {
        let dims = tensor.shape().dims().to_vec();
        Self { dims, numbers: Numbers::Floats(tensor), is_cast: false }
    }

    pub(super) fn tensor(&self) -> Option<&Tensor<'p>> {
        match &self.numbers {
            Numbers::Floats(tensor) => Some(tensor),
            Numbers::Integers(_) => None,
        }
    }

    pub(super) fn as_extents(&self) -> Option<&[Extent]> {
        match &self.numbers {
            Numbers::Integers(extents) => Some(extents),
            Numbers::Floats(_) => None,
        }
    }

    /// Whole numbers, none of which is the number of samples.
    pub(in crate::format) fn known(&self) -> Option<Vec<i64>> {
        self.as_extents()?.iter().map(|extent| extent.known()).collect()
    }

    /// The values, as f32 whatever they are.
    #[expect(clippy::cast_precision_loss, reason = "lengths and indices are small")]
    pub(in crate::format) fn values(&self) -> Option<Vec<f32>> {
        match &self.numbers {
            Numbers::Floats(tensor) => tensor.to_f32().ok(),
            Numbers::Integers(_) => Some(self.known()?.iter().map(|&it| it as f32).collect()),
        }
    }

    /// The one value, if it is one.
    pub(in crate::format) fn scalar(&self) -> Option<f32> {
        match self.values()?.as_slice() {
            &[value] => Some(value),
            _ => None,
        }
    }

    /// The most elements of lists that are of axes, whatever else they are made of.
    pub(super) const SHORT: usize = 64;

    pub(super) fn is_short_list(&self) -> bool {
        self.dims.iter().product::<usize>() <= Self::SHORT
    }

    /// Whether a cast changes nothing. Of truth values and short numbers, those that any type has.
    pub(super) fn is_of(&self, to: Cast) -> bool {
        let Some(extents) = self.as_extents() else { return to == Cast::Floats };
        match to {
            Cast::Floats => self.is_cast,
            Cast::Integers => !self.is_cast,
            Cast::Narrow => {
                !self.is_cast && extents.iter().all(|it| matches!(it, Extent::Known(0 | 1)))
            }
        }
    }

    /// Whole numbers as floating-point ones.
    pub(super) fn as_floats(&self, budget: &mut Budget) -> Result<Option<Self>, BudgetError> {
        if self.is_short_list() {
            return Ok(Some(Self { is_cast: true, ..self.clone() }));
        }
        let count = self.as_extents().map_or(0, <[Extent]>::len);
        budget.reserve((count as u64).saturating_mul(8), "whole numbers as others")?;
        Ok(self.values().and_then(|values| Constant::floats(self.dims.clone(), &values)))
    }

    /// Floating-point numbers without what stands behind the point.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is asked for; beyond i64 it is the largest"
    )]
    pub(super) fn as_integers(&self) -> Option<Self> {
        let Numbers::Floats(tensor) = &self.numbers else {
            return Some(Self { is_cast: false, ..self.clone() });
        };
        let numbers = tensor.to_f32().ok()?.into_iter().map(|number| number as i64);
        Some(Self { dims: self.dims.clone(), ..Self::integers(numbers) })
    }

    /// The product of a list of whole numbers.
    pub(super) fn product(&self) -> Option<Self> {
        let times = |product, extent: &Extent| match (product, *extent) {
            (Extent::Known(a), Extent::Known(b)) => a.checked_mul(b).map(Extent::Known),
            (Extent::Known(a), Extent::Batch(b)) | (Extent::Batch(a), Extent::Known(b)) => {
                a.checked_mul(b).map(Extent::Batch)
            }
            (Extent::Batch(_), Extent::Batch(_)) => None,
        };
        let product = self.as_extents()?.iter().try_fold(Extent::Known(1), times)?;
        Some(Self { dims: Vec::new(), ..Self::extents(vec![product]) })
    }

    pub(super) fn reshaped(self, dims: Vec<usize>) -> Option<Self> {
        let count = Shape::new(dims.as_slice()).checked_elements()?;
        let numbers = match self.numbers {
            Numbers::Floats(tensor) => Numbers::Floats(tensor.reshaped(dims.as_slice().into())?),
            Numbers::Integers(extents) if extents.len() == count => Numbers::Integers(extents),
            Numbers::Integers(_) => return None,
        };
        Some(Self { dims, numbers, is_cast: self.is_cast })
    }

    pub(super) fn transposed(
        &self,
        axes: &[usize],
        budget: &mut Budget,
    ) -> Result<Option<Constant<'static>>, BudgetError> {
        if let (Some(extents), &[rows, columns], [1, 0]) =
            (self.as_extents(), self.dims.as_slice(), axes)
        {
            budget.reserve(size_of_val(extents) as u64, "whole numbers in another order")?;
            let places =
                (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
            let turned = places.filter_map(|place| extents.get(place).copied()).collect();
            return Ok(Some(Constant { dims: vec![columns, rows], ..Constant::extents(turned) }));
        }
        let Some(tensor) = self.tensor() else { return Ok(None) };
        budget.reserve(tensor.bytes().len() as u64, "a tensor with its axes in another order")?;
        Ok(tensor.permuted(axes).map(Constant::of))
    }

    pub(super) fn function(
        &self,
        function: Function,
        budget: &mut Budget,
    ) -> Result<Option<Constant<'static>>, BudgetError> {
        let apply = |value: f32| match function {
            Function::Negative => Some(-value),
            Function::SquareRoot => Some(value.sqrt()),
            Function::Reciprocal => Some(1.0 / value),
            Function::Erf | Function::ExponentialLessOne | Function::Compared { .. } => None,
        };
        let Some(tensor) = self.tensor() else { return Ok(None) };
        budget.reserve(tensor.bytes().len() as u64, "a tensor that is computed")?;
        let values: Option<Vec<f32>> =
            self.values().and_then(|values| values.into_iter().map(apply).collect());
        Ok(values.and_then(|values| Constant::floats(self.dims.clone(), &values)))
    }

    /// What an operation on each two of the numbers gives, shapes brought to one as NumPy does.
    pub(super) fn with(
        &self,
        other: &Self,
        operation: Elementwise,
        budget: &mut Budget,
    ) -> Result<Option<Constant<'static>>, BudgetError> {
        let dims = broadcast(&self.dims, &other.dims);
        let count = dims.as_ref().and_then(|dims| Shape::new(dims.as_slice()).checked_elements());
        let Some((dims, count)) = dims.zip(count) else { return Ok(None) };
        // Two short lists along two axes would make a table of any size.
        let longest = [self, other].map(|it| it.dims.iter().product::<usize>()).into_iter().max();
        if count > longest.unwrap_or(0).saturating_mul(16).saturating_add(1 << 16) {
            return Ok(None);
        }
        budget.reserve((count as u64).saturating_mul(16), "a tensor that is computed")?;
        let is_whole = !self.is_cast && !other.is_cast;
        if let (true, Some(a), Some(b)) = (is_whole, self.known(), other.known()) {
            let pairs = repeated(&a, &self.dims, &dims).zip(repeated(&b, &other.dims, &dims));
            let numbers = pairs.map(|(a, b)| match operation {
                Elementwise::Add => a.checked_add(b),
                Elementwise::Subtract => a.checked_sub(b),
                Elementwise::Multiply => a.checked_mul(b),
                Elementwise::Divide => a.checked_div(b),
                Elementwise::Maximum => Some(a.max(b)),
                Elementwise::Minimum => Some(a.min(b)),
                Elementwise::Mean => None,
            });
            let numbers: Option<Vec<i64>> = numbers.collect();
            return Ok(numbers.map(|numbers| Constant { dims, ..Constant::integers(numbers) }));
        }
        let Some((a, b)) = self.values().zip(other.values()) else { return Ok(None) };
        let pairs = repeated(&a, &self.dims, &dims).zip(repeated(&b, &other.dims, &dims));
        let numbers = pairs.map(|(a, b)| match operation {
            Elementwise::Add => Some(a + b),
            Elementwise::Subtract => Some(a - b),
            Elementwise::Multiply => Some(a * b),
            Elementwise::Divide => Some(a / b),
            // NaN wins.
            Elementwise::Maximum => Some(if a < b || b.is_nan() { b } else { a }),
            Elementwise::Minimum => Some(if b < a || b.is_nan() { b } else { a }),
            Elementwise::Mean => None,
        });
        let numbers: Option<Vec<f32>> = numbers.collect();
        Ok(numbers.and_then(|numbers| Constant::floats(dims, &numbers)))
    }
}

/// A whole number of so many bytes, little-endian.
fn whole(dtype: DType, bytes: &[u8]) -> i64 {
    let is_signed = matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I64);
    let is_negative = is_signed && bytes.last().is_some_and(|&last| last >= 0x80);
    let mut all = [if is_negative { 0xFF } else { 0 }; 8];
    all.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
    i64::from_le_bytes(all)
}

/// The shape that two are brought to: axes counted from the last, those of length 1 repeated.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], axis: usize| {
        (axis + dims.len()).checked_sub(rank).map_or(Some(1), |axis| dims.get(axis).copied())
    };
    let axes = (0..rank).map(|axis| match (at(a, axis)?, at(b, axis)?) {
        (a, b) if a == b || b == 1 => Some(a),
        (1, b) => Some(b),
        _ => None,
    });
    axes.collect()
}

/// The numbers of a tensor of shape `from`, each as often as shape `to` has it.
fn repeated<'n, T: Copy + 'n>(
    numbers: &'n [T],
    from: &[usize],
    to: &[usize],
) -> impl Iterator<Item = T> + 'n {
    let mut stride = 1_usize;
    let mut walks: Vec<(usize, usize)> = Vec::with_capacity(to.len());
    let from = from.iter().rev().copied().chain(std::iter::repeat(1));
    for (&length, own) in to.iter().rev().zip(from) {
        walks.push((length, if own == 1 { 0 } else { stride }));
        stride = stride.saturating_mul(own);
    }
    let count: usize = to.iter().product();
    (0..count).filter_map(move |index| {
        let mut rest = index;
        let mut place = 0;
        for &(length, stride) in &walks {
            place += rest % length.max(1) * stride;
            rest /= length.max(1);
        }
        numbers.get(place).copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(dims: &[usize], values: &[f32]) -> Constant<'static> {
        Constant::floats(dims.to_vec(), values).unwrap()
    }

    #[test]
    fn shapes_are_brought_to_one_as_numpy_does() {
        let budget = &mut Budget::new(1 << 20);
        let rows = floats(&[2, 1], &[10.0, 20.0]);
        let columns = floats(&[3], &[1.0, 2.0, 3.0]);
        let sum = rows.with(&columns, Elementwise::Add, budget).unwrap().unwrap();
        assert_eq!(sum.dims, [2, 3]);
        assert_eq!(sum.values().unwrap(), [11.0, 12.0, 13.0, 21.0, 22.0, 23.0]);
        let unfit = floats(&[2], &[0.0; 2]).with(&columns, Elementwise::Add, budget);
        assert_eq!(unfit, Ok(None));
    }

    #[test]
    fn what_repeats_without_end_is_refused_before_it_is_made() {
        let budget = &mut Budget::new(1 << 19);
        let table = |length: usize, budget: &mut Budget| {
            let rows = floats(&[length, 1], &vec![0.0; length]);
            let columns = floats(&[length], &vec![0.0; length]);
            rows.with(&columns, Elementwise::Multiply, budget).map(|table| table.is_some())
        };
        assert_eq!(table(100, budget), Ok(true));
        assert!(table(200, budget).is_err());
        assert_eq!(table(1000, budget), Ok(false));
    }
}
