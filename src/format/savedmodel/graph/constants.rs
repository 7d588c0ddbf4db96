//! Numbers that stand in the graph itself.

use std::borrow::Cow;

use super::attributes::Attributes;
use crate::bytes::Budget;
use crate::format::operations::Constant;
use crate::format::savedmodel::SavedModelError;
use crate::tensor::{DType, Shape, Tensor};
use crate::wire::tensorflow::{DataType, TensorProto};

/// The most numbers that all constants of a graph may have beyond those that stand in it. A few bytes
/// tell of any number of them; what a network has so, such as a bias of zeros, is short.
pub(super) const REPEATED: u64 = 1 << 19;

/// What a node `Const` gives; `repeated` is how many numbers more may be repeated.
pub(super) fn constant<'m>(
    attributes: &Attributes<'m>,
    repeated: &mut u64,
    budget: &mut Budget,
) -> Result<Constant<'m>, SavedModelError> {
    let fault = |what| attributes.fault(what);
    let proto = attributes.tensor("value")?.ok_or_else(|| fault("holds no numbers"))?;
    let dtype = DataType::try_from(proto.dtype).ok().and_then(DataType::dtype);
    let dtype = dtype.ok_or_else(|| fault("holds texts, or complex or quantized numbers"))?;
    let shape = match &proto.tensor_shape {
        Some(shape) => shape.known(),
        None => Some(Shape::default()),
    };
    let shape = shape.ok_or_else(|| fault("has no sound shape"))?;
    let bytes = match proto.tensor_content.is_empty() {
        false => Cow::Borrowed(&*proto.tensor_content),
        // Their fields are not declared: no graph of images has such constants.
        true if matches!(dtype, DType::U32 | DType::U64) => {
            return Err(fault("lists unsigned numbers of 32 or 64 bits one by one"));
        }
        true => {
            let count = shape.checked_elements();
            let size = count.and_then(|count| count.checked_mul(dtype.size()));
            let (count, size) =
                count.zip(size).ok_or_else(|| fault("is larger than any memory"))?;
            let more = count.saturating_sub(listed_numbers(proto, dtype)) as u64;
            *repeated = repeated
                .checked_sub(more)
                .ok_or_else(|| attributes.repeats(count as u64, REPEATED))?;
            let mut bytes = budget.vec(size as u64, "numbers of the graph")?;
            listed(proto, dtype, size, &mut bytes);
            if bytes.len() > size {
                return Err(fault("has more numbers than its shape says"));
            }
            // The last stands for all behind it; without any, all are 0.
            let from = bytes.len().saturating_sub(dtype.size());
            let last = bytes.get(from..).unwrap_or_default().to_vec();
            while let Some(rest) = size.checked_sub(bytes.len()).filter(|&rest| rest > 0) {
                match last.is_empty() {
                    true => bytes.resize(size, 0),
                    false => bytes.extend(last.iter().take(rest)),
                }
            }
            Cow::Owned(bytes)
        }
    };
    let what = "has more or fewer numbers than its shape says";
    let tensor = Tensor::new(dtype, shape, bytes).map_err(|_| fault(what))?;
    Constant::stored(tensor, budget)?.ok_or_else(|| fault("holds no numbers"))
}

/// How many numbers are listed one by one.
fn listed_numbers(proto: &TensorProto, dtype: DType) -> usize {
    match dtype {
        DType::F32 => proto.float_val.len(),
        DType::F64 => proto.double_val.len(),
        DType::I64 => proto.int64_val.len(),
        DType::Bool => proto.bool_val.len(),
        DType::F16 | DType::BF16 => proto.half_val.len(),
        DType::I8 | DType::I16 | DType::I32 | DType::U8 | DType::U16 => proto.int_val.len(),
        DType::U32 | DType::U64 => 0,
    }
}

/// Puts down the numbers that are listed one by one, little-endian: as many as fit into `size` bytes, and
/// one more if there are more.
fn listed(proto: &TensorProto, dtype: DType, size: usize, bytes: &mut Vec<u8>) {
    let width = dtype.size();
    let most = size / width.max(1) + 1;
    let mut put = |number: &[u8]| bytes.extend(number.iter().take(width));
    match dtype {
        DType::F32 => proto.float_val.iter().take(most).for_each(|it| put(&it.to_le_bytes())),
        DType::F64 => proto.double_val.iter().take(most).for_each(|it| put(&it.to_le_bytes())),
        DType::I64 => proto.int64_val.iter().take(most).for_each(|it| put(&it.to_le_bytes())),
        DType::Bool => proto.bool_val.iter().take(most).for_each(|&it| put(&[it.into()])),
        // By their bits.
        DType::F16 | DType::BF16 => {
            proto.half_val.iter().take(most).for_each(|it| put(&it.to_le_bytes()));
        }
        DType::I8 | DType::I16 | DType::I32 | DType::U8 | DType::U16 => {
            proto.int_val.iter().take(most).for_each(|it| put(&it.to_le_bytes()));
        }
        DType::U32 | DType::U64 => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tensorflow::{AttrValue, NodeDef, TensorShapeProto, attr_value};

    fn read(proto: TensorProto) -> Result<(Vec<usize>, Option<Vec<i64>>), SavedModelError> {
        let value = AttrValue { value: Some(attr_value::Value::Tensor(Box::new(proto))) };
        let node = NodeDef { attr: [("value".to_owned(), value)].into(), ..NodeDef::default() };
        let read = constant(&Attributes(&node), &mut { REPEATED }, &mut Budget::new(1 << 26))?;
        Ok((read.dims.clone(), read.known()))
    }

    fn numbers(dims: &[i64], int_val: &[i32]) -> TensorProto {
        TensorProto {
            dtype: DataType::Int32.into(),
            tensor_shape: Some(TensorShapeProto::new(dims.iter().copied())),
            int_val: int_val.to_vec(),
            ..TensorProto::default()
        }
    }

    #[test]
    fn the_last_number_stands_for_all_behind_it() {
        let cases: [(&[i64], &[i32], &[i64]); 4] = [
            (&[], &[7], &[7]),
            (&[2, 2], &[5, -6], &[5, -6, -6, -6]),
            (&[3], &[], &[0, 0, 0]),
            (&[0], &[], &[]),
        ];
        for (dims, values, expected) in cases {
            let (shape, found) = read(numbers(dims, values)).unwrap();
            assert_eq!(shape.len(), dims.len());
            assert_eq!(found.unwrap(), expected);
        }
    }

    #[test]
    fn only_so_many_numbers_are_repeated() {
        let most = i64::try_from(REPEATED).unwrap();
        assert!(read(numbers(&[most + 2], &[1, 2])).is_ok());
        for (dims, values) in [(most + 3, &[1, 2][..]), (most + 1, &[]), (1 << 40, &[1])] {
            let refused = read(numbers(&[dims], values)).unwrap_err();
            assert!(matches!(refused, SavedModelError::Repeats { .. }), "{refused}");
        }
        // Those of all constants are counted together.
        let value = attr_value::Value::Tensor(Box::new(numbers(&[most / 2 + 1], &[7])));
        let value = AttrValue { value: Some(value) };
        let node = NodeDef { attr: [("value".to_owned(), value)].into(), ..NodeDef::default() };
        let mut left = REPEATED;
        let mut next = || constant(&Attributes(&node), &mut left, &mut Budget::new(1 << 26));
        assert!(next().is_ok() && next().is_ok());
        assert!(matches!(next(), Err(SavedModelError::Repeats { .. })));
    }

    #[test]
    fn numbers_that_are_not_there_are_refused() {
        assert!(read(numbers(&[1], &[1, 2])).is_err(), "more than its shape says");
        assert!(read(numbers(&[-1], &[1])).is_err(), "a length that is not known");
        let refused = read(numbers(&[1 << 40, 1 << 40], &[1])).unwrap_err();
        assert!(matches!(refused, SavedModelError::Node { .. }), "{refused}");
        let content = prost::bytes::Bytes::from_static(&[0; 7]);
        let short = TensorProto { tensor_content: content, ..numbers(&[2], &[]) };
        assert!(read(short).is_err(), "fewer bytes than its shape says");
        let texts = TensorProto { dtype: DataType::String.into(), ..numbers(&[1], &[]) };
        assert!(read(texts).is_err(), "no numbers");
    }
}
