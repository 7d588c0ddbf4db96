//! The small values in a callback's state, by their names.

use crate::model::{CallbackState, StateValue};
use crate::nn::Weights;
use crate::train::CallbackError;

/// A state that is not one of the callback that should take it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state of callback `{callback}` has no {kind} `{value}`")]
pub struct StateError {
    pub callback: String,
    pub value: &'static str,
    pub kind: &'static str,
}

/// A state out of values of which some may be missing.
pub(super) fn state(
    values: impl IntoIterator<Item = (&'static str, Option<StateValue>)>,
    weights: Option<Weights>,
) -> CallbackState<Weights> {
    let values = values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    CallbackState { values: values.collect(), weights }
}

/// A state that is being read.
pub(super) struct Values<'a> {
    pub(super) callback: &'a str,
    pub(super) state: &'a CallbackState<Weights>,
}

impl Values<'_> {
    pub(super) fn count(&self, value: &'static str) -> Result<u64, CallbackError> {
        match self.optional_count(value)? {
            Some(count) => Ok(count),
            None => Err(self.error(value, "count")),
        }
    }

    pub(super) fn optional_count(&self, value: &'static str) -> Result<Option<u64>, CallbackError> {
        match self.state.values.get(value) {
            None => Ok(None),
            Some(&StateValue::Count(count)) => Ok(Some(count)),
            Some(StateValue::Real(_)) => Err(self.error(value, "count")),
        }
    }

    pub(super) fn optional_real(&self, value: &'static str) -> Result<Option<f64>, CallbackError> {
        match self.state.values.get(value) {
            None => Ok(None),
            Some(&StateValue::Real(real)) => Ok(Some(real)),
            Some(StateValue::Count(_)) => Err(self.error(value, "real")),
        }
    }

    fn error(&self, value: &'static str, kind: &'static str) -> CallbackError {
        StateError { callback: self.callback.to_owned(), value, kind }.into()
    }
}
