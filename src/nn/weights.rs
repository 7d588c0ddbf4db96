//! A copy of a model's parameters, to come back to.

use std::ops::Range;
use std::sync::Arc;

use super::error::ModelError;
use super::model::Model;
use crate::model::Parameter;
use crate::tensor::Aligned;

/// The parameters that a model had at one moment. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Weights {
    pub(super) values: Arc<Aligned>,
}

impl PartialEq for Weights {
    /// Whether every bit is the same.
    fn eq(&self, other: &Self) -> bool {
        let mut pairs = self.values.iter().zip(other.values.iter());
        self.values.len() == other.values.len() && pairs.all(|(a, b)| a.to_bits() == b.to_bits())
    }
}

impl Model {
    /// A copy of the parameters.
    pub fn weights(&self) -> Weights {
        Weights { values: Arc::new(Aligned::from(self.parameters())) }
    }

    /// Brings the parameters back to what [`weights`](Self::weights) gave of this model, or of one
    /// of the same graph.
    ///
    /// # Errors
    /// If they are of another graph.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), ModelError> {
        let (expected, found) = (self.parameters().len(), weights.values.len());
        if expected != found {
            return Err(ModelError::Weights { expected, found });
        }
        self.parameters_mut().copy_from_slice(&weights.values);
        Ok(())
    }

    pub(super) fn places(&self) -> impl Iterator<Item = (&Parameter, Range<usize>)> {
        self.layout().all(self.graph())
    }
}
