//! What training tells while it runs, how it is stopped, and what those who listen remember.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error;
use std::ops::ControlFlow;

use super::error::TrainError;
use crate::model::{CallbackState, EpochRecord};
use crate::nn::{Model, Weights};

/// Where training stands after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// Counted from 0 over the life of the model.
    pub epoch: u64,
    /// Steps finished in this epoch, and all it has.
    pub step: u64,
    pub steps: u64,
    /// Samples seen in this epoch.
    pub samples: u64,
    /// Means over those samples: `loss`, then the metrics.
    pub values: Vec<(String, f64)>,
}

/// Whatever a callback fails with. It ends the fit, which gives it as [`TrainError::Callback`].
pub type CallbackError = Box<dyn Error + Send + Sync>;

/// How training is stopped after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// For now: [`resume`](Model::resume) goes on.
    Interrupt,
    /// The fit has reached what it can.
    Finish,
}

/// What has just happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment<'a> {
    Step(&'a StepReport),
    Epoch(&'a EpochRecord),
}

/// Is told of every step and epoch, on the thread that called [`fit_with`](Model::fit_with).
///
/// What a callback remembers from one call to the next belongs into
/// [`save_state`](Self::save_state) and [`restore_state`](Self::restore_state): then a fit that was
/// interrupted, saved, loaded and resumed goes as if it had never been interrupted.
pub trait Callback {
    /// Before a fit begins or is `resumed`, with the fit in place
    /// ([`fit_under_way`](Model::fit_under_way)): the moment to check settings, and to forget an
    /// earlier fit. What was remembered of a fit that is resumed is given back after this.
    ///
    /// # Errors
    /// Whatever must keep the fit from beginning. Model and fit stay as they were.
    fn on_fit_begin(&mut self, model: &Model, resumed: bool) -> Result<(), CallbackError> {
        let _ = (model, resumed);
        Ok(())
    }

    /// After the step that `report` tells of. `Break` interrupts training there;
    /// [`resume`](Model::resume) goes on.
    ///
    /// # Errors
    /// Whatever must end training; the model stays as it then stands, to be resumed.
    fn on_step_end(
        &mut self,
        model: &Model,
        report: &StepReport,
    ) -> Result<ControlFlow<()>, CallbackError> {
        let _ = (model, report);
        Ok(ControlFlow::Continue(()))
    }

    /// After an epoch and its validation. The callback may change the parameters and the learning
    /// rate. `Break` ends training for now or for good.
    ///
    /// # Errors
    /// As [`on_step_end`](Self::on_step_end).
    fn on_epoch_end(
        &mut self,
        model: &mut Model,
        record: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        let _ = (model, record);
        Ok(ControlFlow::Continue(()))
    }

    /// After all callbacks were told of a step or an epoch, and the model holds their states: the
    /// moment to save it.
    ///
    /// # Errors
    /// As [`on_step_end`](Self::on_step_end).
    fn on_settled(&mut self, model: &Model, moment: Moment<'_>) -> Result<(), CallbackError> {
        let _ = (model, moment);
        Ok(())
    }

    /// When training ends, whether it was interrupted or has `finished`, but not when it fails.
    ///
    /// # Errors
    /// Whatever was left undone.
    fn on_fit_end(&mut self, model: &mut Model, finished: bool) -> Result<(), CallbackError> {
        let _ = (model, finished);
        Ok(())
    }

    /// Adds what the callback remembers.
    fn save_state(&self, states: &mut CallbackStates) {
        let _ = states;
    }

    /// Takes back what it added. A state that is not there leaves the callback as it is.
    ///
    /// # Errors
    /// If the state is not one of such a callback.
    fn restore_state(&mut self, states: &mut CallbackStates) -> Result<(), CallbackError> {
        let _ = states;
        Ok(())
    }
}

/// What the callbacks of a fit remember, by their names.
#[derive(Debug, Default)]
pub struct CallbackStates {
    states: BTreeMap<String, CallbackState<Weights>>,
    /// A name under which two callbacks would be remembered.
    twice: Option<String>,
}

impl CallbackStates {
    pub fn insert(&mut self, name: impl Into<String>, state: CallbackState<Weights>) {
        match self.states.entry(name.into()) {
            Entry::Occupied(entry) => self.twice = Some(entry.key().clone()),
            Entry::Vacant(entry) => {
                entry.insert(state);
            }
        }
    }

    /// The state of that name, which nobody else gets then.
    pub fn take(&mut self, name: &str) -> Option<CallbackState<Weights>> {
        self.states.remove(name)
    }

    /// Of all that `callback` is made of.
    pub(super) fn of(
        callback: &dyn Callback,
    ) -> Result<BTreeMap<String, CallbackState<Weights>>, TrainError> {
        let mut states = Self::default();
        callback.save_state(&mut states);
        match states.twice {
            Some(name) => Err(TrainError::CallbackTwice { name }),
            None => Ok(states.states),
        }
    }

    /// Gives them back to `callback`; the name of one that it does not take.
    pub(super) fn restore(
        states: BTreeMap<String, CallbackState<Weights>>,
        callback: &mut dyn Callback,
    ) -> Result<Option<String>, CallbackError> {
        let mut states = Self { states, twice: None };
        callback.restore_state(&mut states)?;
        Ok(states.states.into_keys().next())
    }
}

/// Nobody listens.
impl Callback for () {}

/// Lends a callback, to be asked for its results after the fit.
impl<C: Callback + ?Sized> Callback for &mut C {
    fn on_fit_begin(&mut self, model: &Model, resumed: bool) -> Result<(), CallbackError> {
        (**self).on_fit_begin(model, resumed)
    }

    fn on_step_end(
        &mut self,
        model: &Model,
        report: &StepReport,
    ) -> Result<ControlFlow<()>, CallbackError> {
        (**self).on_step_end(model, report)
    }

    fn on_epoch_end(
        &mut self,
        model: &mut Model,
        record: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        (**self).on_epoch_end(model, record)
    }

    fn on_settled(&mut self, model: &Model, moment: Moment<'_>) -> Result<(), CallbackError> {
        (**self).on_settled(model, moment)
    }

    fn on_fit_end(&mut self, model: &mut Model, finished: bool) -> Result<(), CallbackError> {
        (**self).on_fit_end(model, finished)
    }

    fn save_state(&self, states: &mut CallbackStates) {
        (**self).save_state(states);
    }

    fn restore_state(&mut self, states: &mut CallbackStates) -> Result<(), CallbackError> {
        (**self).restore_state(states)
    }
}

/// All of them, in their order. One that fails or breaks does not keep the others from hearing; of
/// several errors the first is given.
impl Callback for Vec<Box<dyn Callback + '_>> {
    fn on_fit_begin(&mut self, model: &Model, resumed: bool) -> Result<(), CallbackError> {
        first_error(self.iter_mut().map(|callback| callback.on_fit_begin(model, resumed)))
    }

    fn on_step_end(
        &mut self,
        model: &Model,
        report: &StepReport,
    ) -> Result<ControlFlow<()>, CallbackError> {
        let mut answer = ControlFlow::Continue(());
        first_error(self.iter_mut().map(|callback| {
            if callback.on_step_end(model, report)?.is_break() {
                answer = ControlFlow::Break(());
            }
            Ok(())
        }))?;
        Ok(answer)
    }

    fn on_epoch_end(
        &mut self,
        model: &mut Model,
        record: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        let mut answer = ControlFlow::Continue(());
        first_error(self.iter_mut().map(|callback| {
            match callback.on_epoch_end(model, record)? {
                ControlFlow::Break(Stop::Finish) => {
                    // At once, because an error of another would take the place of the answer.
                    model.finish_fit();
                    answer = ControlFlow::Break(Stop::Finish);
                }
                ControlFlow::Break(Stop::Interrupt) if answer.is_continue() => {
                    answer = ControlFlow::Break(Stop::Interrupt);
                }
                _ => {}
            }
            Ok(())
        }))?;
        Ok(answer)
    }

    fn on_settled(&mut self, model: &Model, moment: Moment<'_>) -> Result<(), CallbackError> {
        first_error(self.iter_mut().map(|callback| callback.on_settled(model, moment)))
    }

    fn on_fit_end(&mut self, model: &mut Model, finished: bool) -> Result<(), CallbackError> {
        first_error(self.iter_mut().map(|callback| callback.on_fit_end(model, finished)))
    }

    fn save_state(&self, states: &mut CallbackStates) {
        self.iter().for_each(|callback| callback.save_state(states));
    }

    fn restore_state(&mut self, states: &mut CallbackStates) -> Result<(), CallbackError> {
        first_error(self.iter_mut().map(|callback| callback.restore_state(states)))
    }
}

/// Goes through all of them.
fn first_error(
    results: impl Iterator<Item = Result<(), CallbackError>>,
) -> Result<(), CallbackError> {
    results.fold(Ok(()), Result::and)
}
