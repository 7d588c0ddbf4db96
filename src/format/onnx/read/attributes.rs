//! The attributes of a node. One of another type than its operator has is no attribute left out: the file
//! contradicts itself, and runtimes refuse it too.

use crate::format::onnx::OnnxError;
use crate::format::operations::Constant;
use crate::wire::onnx::{Attribute, AttributeKind, Node, Tensor};

pub(super) struct Attributes<'n>(pub(super) &'n Node);

impl<'n> Attributes<'n> {
    /// The attribute of that name, if the node has it.
    fn get(&self, name: &str, expected: AttributeKind) -> Result<Option<&'n Attribute>, OnnxError> {
        match self.0.attribute.iter().find(|attribute| attribute.name == name) {
            Some(found) if found.r#type != expected as i32 => Err(OnnxError::AttributeType {
                node: self.name(),
                operator: self.0.op_type.clone(),
                attribute: name.to_owned(),
                expected,
                found: found.r#type,
            }),
            found => Ok(found),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.attribute.iter().any(|attribute| attribute.name == name)
    }

    pub(super) fn int(&self, name: &str, otherwise: i64) -> Result<i64, OnnxError> {
        Ok(self.get(name, AttributeKind::Int)?.map_or(otherwise, |attribute| attribute.i))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, OnnxError> {
        Ok(self.int(name, 0)? != 0)
    }

    pub(super) fn float(&self, name: &str, otherwise: f64) -> Result<f64, OnnxError> {
        Ok(self.some_float(name)?.map_or(otherwise, f64::from))
    }

    /// A number that may be left out.
    pub(super) fn some_float(&self, name: &str) -> Result<Option<f32>, OnnxError> {
        Ok(self.get(name, AttributeKind::Float)?.map(|attribute| attribute.f))
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<&'n [i64]>, OnnxError> {
        Ok(self.get(name, AttributeKind::Ints)?.map(|attribute| attribute.ints.as_slice()))
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<&'n [f32]>, OnnxError> {
        Ok(self.get(name, AttributeKind::Floats)?.map(|attribute| attribute.floats.as_slice()))
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'n Tensor>, OnnxError> {
        Ok(self.get(name, AttributeKind::Tensor)?.and_then(|attribute| attribute.t.as_deref()))
    }

    /// A text, or `otherwise`.
    pub(super) fn text(&self, name: &str, otherwise: &'static str) -> Result<&'n str, OnnxError> {
        match self.get(name, AttributeKind::String)? {
            Some(found) => {
                std::str::from_utf8(&found.s).map_err(|_| self.fault("has a text that is none"))
            }
            None => Ok(otherwise),
        }
    }

    /// Whole numbers that newer versions of the operator take as a value.
    pub(super) fn list(&self, name: &str) -> Result<Option<Constant<'static>>, OnnxError> {
        Ok(self.ints(name)?.map(|numbers| Constant::integers(numbers.iter().copied())))
    }

    /// As [`list`](Self::list), of one number.
    pub(super) fn number(&self, name: &str) -> Result<Option<Constant<'static>>, OnnxError> {
        Ok(self.some_float(name)?.map(Constant::float))
    }

    /// Lengths, each of them 0 or more.
    pub(super) fn lengths(&self, name: &str) -> Result<Vec<usize>, OnnxError> {
        let lengths = self.ints(name)?.unwrap_or_default().iter();
        let lengths = lengths.map(|&length| usize::try_from(length)).collect::<Result<_, _>>();
        lengths.map_err(|_| self.fault("has lengths below 0"))
    }

    /// What the node is called in errors: many exporters name values alone.
    pub(super) fn name(&self) -> String {
        let first = || self.0.output.first().cloned().unwrap_or_default();
        Some(self.0.name.clone()).filter(|name| !name.is_empty()).unwrap_or_else(first)
    }

    pub(super) fn fault(&self, what: &'static str) -> OnnxError {
        OnnxError::Node { node: self.name(), operator: self.0.op_type.clone(), what }
    }
}
