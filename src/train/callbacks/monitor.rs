//! A figure of the history, and which of two values of it is better.

use crate::model::EpochRecord;
use crate::model::settings::within;
use crate::nn::Model;
use crate::train::CallbackError;

/// A figure that callbacks look at after each epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    name: String,
    largest: bool,
}

/// The figure is not among those reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "epochs have no figure `{name}` to be judged by, they have {known}; those named `val_…` need \
     validation data"
)]
pub struct MonitorError {
    pub name: String,
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

    /// Checks that the epochs of the fit report the figure, and that `min_delta` is one.
    pub(super) fn check(&self, model: &Model, min_delta: f64) -> Result<(), CallbackError> {
        within("min_delta", min_delta, min_delta.is_finite(), "finite")?;
        let figures = model.epoch_figures();
        match figures.contains(&self.name) {
            true => Ok(()),
            false => Err(self.missing(figures.iter().map(|name| &**name)).into()),
        }
    }

    /// The value that an epoch reports.
    pub(super) fn value(&self, record: &EpochRecord) -> Result<f64, MonitorError> {
        let names = record.values.iter().map(|(name, _)| &**name);
        record.get(&self.name).ok_or_else(|| self.missing(names))
    }

    fn missing<'a>(&self, known: impl Iterator<Item = &'a str>) -> MonitorError {
        MonitorError { name: self.name.clone(), known: known.collect::<Vec<_>>().join(", ") }
    }

    /// Whether `value` is better than `best` by more than `min_delta`. NaN is never better, and
    /// anything else is better than nothing.
    ///
    /// Keras takes the first value for the best even if it is NaN, than which nothing is better ever
    /// after; and it compares in f32, unless `floatx` is float64.
    pub(super) fn improves(&self, value: f64, best: Option<f64>, min_delta: f64) -> bool {
        match best {
            None => !value.is_nan(),
            Some(best) if self.largest => value - min_delta > best,
            Some(best) => value + min_delta < best,
        }
    }
}
