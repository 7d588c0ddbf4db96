//! The attributes of a node. What is left out has the value that TensorFlow defines for the operation.

use crate::format::savedmodel::SavedModelError;
use crate::tensor::DType;
use crate::wire::tensorflow::{DataType, NodeDef, TensorProto, attr_value};

/// TensorFlow has no tensors of more axes.
const MAX_AXES: usize = 254;
/// What is told before and behind every axis.
pub(super) const MAX_LIST: usize = 2 * MAX_AXES;

pub(super) struct Attributes<'m>(pub(super) &'m NodeDef);

impl<'m> Attributes<'m> {
    fn get(&self, name: &str) -> Option<&'m attr_value::Value> {
        self.0.attr.get(name)?.value.as_ref()
    }

    pub(super) fn int(&self, name: &str, otherwise: i64) -> i64 {
        match self.get(name) {
            Some(attr_value::Value::I(number)) => *number,
            _ => otherwise,
        }
    }

    pub(super) fn flag(&self, name: &str, otherwise: bool) -> bool {
        match self.get(name) {
            Some(attr_value::Value::B(flag)) => *flag,
            _ => otherwise,
        }
    }

    pub(super) fn float(&self, name: &str, otherwise: f64) -> f64 {
        match self.get(name) {
            Some(attr_value::Value::F(number)) => f64::from(*number),
            _ => otherwise,
        }
    }

    /// Empty if it is left out.
    pub(super) fn text(&self, name: &str) -> &'m str {
        match self.get(name) {
            Some(attr_value::Value::S(text)) => std::str::from_utf8(text).unwrap_or_default(),
            _ => "",
        }
    }

    /// Empty if they are left out.
    pub(super) fn ints(&self, name: &str) -> Result<&'m [i64], SavedModelError> {
        match self.get(name) {
            Some(attr_value::Value::List(list)) if list.i.len() > MAX_LIST => {
                Err(self.fault("tells of more axes than there are"))
            }
            Some(attr_value::Value::List(list)) => Ok(&list.i),
            _ => Ok(&[]),
        }
    }

    /// Lengths, each of them 0 or more; none if they are left out.
    pub(super) fn lengths(&self, name: &str) -> Result<Vec<usize>, SavedModelError> {
        let lengths = self.ints(name)?.iter().map(|&length| usize::try_from(length));
        lengths.collect::<Result<_, _>>().map_err(|_| self.fault("has lengths below 0"))
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&'m TensorProto> {
        match self.get(name)? {
            attr_value::Value::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    pub(super) fn dtype(&self, name: &str) -> Option<DType> {
        let Some(attr_value::Value::Type(number)) = self.get(name) else { return None };
        DataType::try_from(*number).ok()?.dtype()
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
