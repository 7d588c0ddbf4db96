//! The attributes of a node. What is left out has the value that TensorFlow defines for the operation. One of
//! another type than its operation has is none left out: TensorFlow refuses it too.

use crate::format::savedmodel::SavedModelError;
use crate::tensor::DType;
use crate::wire::tensorflow::attr_value::Value;
use crate::wire::tensorflow::{DataType, NodeDef, TensorProto};

/// TensorFlow has no tensors of more axes.
const MAX_AXES: usize = 254;
/// What is told before and behind every axis.
pub(super) const MAX_LIST: usize = 2 * MAX_AXES;

pub(super) struct Attributes<'m>(pub(super) &'m NodeDef);

impl<'m> Attributes<'m> {
    /// What `take` finds in the attribute of that name, if the node has it: nothing if it is of another
    /// type than `expected`.
    fn get<V>(
        &self,
        name: &str,
        expected: &'static str,
        take: impl FnOnce(&'m Value) -> Option<V>,
    ) -> Result<Option<V>, SavedModelError> {
        let Some(attribute) = self.0.attr.get(name) else { return Ok(None) };
        let value = attribute.value.as_ref();
        let taken = value.and_then(take).ok_or_else(|| SavedModelError::AttributeType {
            node: self.0.name.clone(),
            operation: self.0.op.clone(),
            attribute: name.to_owned(),
            expected,
            found: value.map_or("none", kind),
        });
        taken.map(Some)
    }

    pub(super) fn int(&self, name: &str, otherwise: i64) -> Result<i64, SavedModelError> {
        let found = self.get(name, "int", |value| match value {
            Value::I(number) => Some(*number),
            _ => None,
        });
        Ok(found?.unwrap_or(otherwise))
    }

    pub(super) fn flag(&self, name: &str, otherwise: bool) -> Result<bool, SavedModelError> {
        let found = self.get(name, "bool", |value| match value {
            Value::B(flag) => Some(*flag),
            _ => None,
        });
        Ok(found?.unwrap_or(otherwise))
    }

    pub(super) fn float(&self, name: &str, otherwise: f64) -> Result<f64, SavedModelError> {
        let found = self.get(name, "float", |value| match value {
            Value::F(number) => Some(f64::from(*number)),
            _ => None,
        });
        Ok(found?.unwrap_or(otherwise))
    }

    /// A text, or `otherwise`.
    pub(super) fn text(
        &self,
        name: &str,
        otherwise: &'static str,
    ) -> Result<&'m str, SavedModelError> {
        let found = self.get(name, "string", |value| match value {
            Value::S(text) => Some(text),
            _ => None,
        });
        match found? {
            Some(text) => {
                std::str::from_utf8(text).map_err(|_| self.fault("has a text that is none"))
            }
            None => Ok(otherwise),
        }
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<&'m [i64]>, SavedModelError> {
        let found = self.get(name, "list(int)", |value| match value {
            Value::List(list) if kind(value) == "list(int)" => Some(&*list.i),
            _ => None,
        })?;
        match found {
            Some(list) if list.len() > MAX_LIST => {
                Err(self.fault("tells of more axes than there are"))
            }
            found => Ok(found),
        }
    }

    /// Lengths, each of them 0 or more.
    pub(super) fn lengths(&self, name: &str) -> Result<Option<Vec<usize>>, SavedModelError> {
        let Some(lengths) = self.ints(name)? else { return Ok(None) };
        let lengths = lengths.iter().map(|&length| usize::try_from(length));
        let lengths = lengths.collect::<Result<_, _>>();
        lengths.map(Some).map_err(|_| self.fault("has lengths below 0"))
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'m TensorProto>, SavedModelError> {
        self.get(name, "tensor", |value| match value {
            Value::Tensor(tensor) => Some(&**tensor),
            _ => None,
        })
    }

    /// A type of numbers that keepnet has.
    pub(super) fn dtype(&self, name: &str) -> Result<Option<DType>, SavedModelError> {
        let number = self.get(name, "type", |value| match value {
            Value::Type(number) => Some(*number),
            _ => None,
        })?;
        let data_type = number.and_then(|number| DataType::try_from(number).ok());
        Ok(data_type.and_then(DataType::dtype))
    }

    /// That it is a constant of so many `numbers`, most of which are not listed.
    pub(super) fn repeats(&self, numbers: u64, limit: u64) -> SavedModelError {
        SavedModelError::Repeats { node: self.0.name.clone(), numbers, limit }
    }

    pub(super) fn fault(&self, what: &'static str) -> SavedModelError {
        let NodeDef { name, op, .. } = self.0;
        SavedModelError::Node { node: name.clone(), operation: op.clone(), what }
    }
}

/// The type of an attribute, in the words of TensorFlow.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::List(list) if !list.s.is_empty() => "list(string)",
        Value::List(list) if !list.f.is_empty() => "list(float)",
        Value::List(list) if !list.r#type.is_empty() => "list(type)",
        Value::List(list) if !list.shape.is_empty() => "list(shape)",
        // Nothing tells of what type an empty list is.
        Value::List(_) => "list(int)",
        Value::S(_) => "string",
        Value::I(_) => "int",
        Value::F(_) => "float",
        Value::B(_) => "bool",
        Value::Type(_) => "type",
        Value::Shape(_) => "shape",
        Value::Tensor(_) => "tensor",
        Value::Func(_) => "func",
    }
}
