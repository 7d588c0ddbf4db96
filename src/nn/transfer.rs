//! Parameters from one model into another that shares some of its layers.

use std::collections::BTreeMap;
use std::fmt;

use super::error::ModelError;
use super::model::Model;
use crate::model::Checkpoint;
use crate::tensor::{DType, Tensor};

/// What became of each tensor when weights were loaded into a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// In both, and copied.
    pub restored: Vec<String>,
    /// In the graph but not among the weights: left as they were.
    pub missing: Vec<String>,
    /// Among the weights but not in the graph: not used.
    pub unexpected: Vec<String>,
    /// In both, but of different shape or type: left as they were.
    pub mismatched: Vec<Mismatch>,
}

/// A tensor that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub name: String,
    /// What the graph needs, such as `float32 3×3×1×32`.
    pub expected: String,
    pub found: String,
}

impl LoadReport {
    /// Whether every tensor on either side found its counterpart.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} restored", self.restored.len())?;
        for (names, what) in [(&self.missing, "missing"), (&self.unexpected, "unexpected")] {
            if !names.is_empty() {
                write!(f, "; {} {what} ({})", names.len(), names.join(", "))?;
            }
        }
        for Mismatch { name, expected, found } in &self.mismatched {
            write!(f, "; `{name}` is {found}, the graph needs {expected}")?;
        }
        Ok(())
    }
}

impl Model {
    /// Copies the parameters of `checkpoint` into the layers of the same names.
    ///
    /// # Errors
    /// With `strict`, if any tensor on either side has no counterpart of its shape; then nothing is
    /// changed.
    pub fn load_weights(
        &mut self,
        checkpoint: &Checkpoint<'_>,
        strict: bool,
    ) -> Result<LoadReport, ModelError> {
        let mut found: BTreeMap<&str, &Tensor<'_>> =
            checkpoint.tensors.iter().map(|named| (named.name.as_str(), &named.tensor)).collect();
        let mut report = LoadReport::default();
        let mut fitting = Vec::new();
        for (parameter, range) in self.graph().parameters().iter().zip(self.layout().ranges()) {
            let name = self.graph().tensor_name(parameter);
            match found.remove(name.as_str()) {
                None => report.missing.push(name),
                Some(tensor)
                    if *tensor.shape() == parameter.shape && tensor.dtype() == DType::F32 =>
                {
                    fitting.push((tensor, range.clone()));
                    report.restored.push(name);
                }
                Some(tensor) => report.mismatched.push(Mismatch {
                    name,
                    expected: format!("{} {}", DType::F32, parameter.shape),
                    found: format!("{} {}", tensor.dtype(), tensor.shape()),
                }),
            }
        }
        report.unexpected = found.into_keys().map(str::to_owned).collect();
        if strict && !report.is_complete() {
            return Err(ModelError::Mismatch(report));
        }
        for (tensor, range) in fitting {
            tensor.copy_to_f32(&mut self.parameters_mut()[range]).expect("shape and type fit");
        }
        Ok(report)
    }
}
