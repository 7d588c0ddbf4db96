//! A figure of the history, and which of two values of it is better.

use crate::model::EpochRecord;

/// A figure that callbacks look at after each epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    name: String,
    largest: bool,
}

/// The figure is not among those reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("epoch {epoch} has no figure `{name}` to be judged by; it has {known}")]
pub struct MonitorError {
    pub name: String,
    pub epoch: u64,
    pub known: String,
}

impl Monitor {
    /// Less is better, as of `val_loss`.
    pub fn min(name: impl Into<String>) -> Self {
        Self { name: name.into(), largest: false }
    }

    /// More is better, as of `val_accuracy`.
    pub fn max(name: impl Into<String>) -> Self {
        Self { name: name.into(), largest: true }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value that an epoch reports.
    pub(super) fn value(&self, record: &EpochRecord) -> Result<f64, MonitorError> {
        record.get(&self.name).ok_or_else(|| MonitorError {
            name: self.name.clone(),
            epoch: record.epoch,
            known: record.values.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(", "),
        })
    }

    /// Whether `value` is better than `best` by more than `min_delta`. NaN is never better, and
    /// anything else is better than nothing.
    pub(super) fn improves(&self, value: f64, best: Option<f64>, min_delta: f64) -> bool {
        match best {
            None => !value.is_nan(),
            Some(best) if self.largest => value - min_delta > best,
            Some(best) => value + min_delta < best,
        }
    }
}
