//! What training tells while it runs, and how it is stopped.

use std::ops::ControlFlow;

use crate::model::EpochRecord;
use crate::nn::Model;

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

/// Is told of every step and epoch, on the thread that called
/// [`fit_with`](Model::fit_with). `Break` ends training; the model stays as it then stands.
pub trait Callback {
    /// After the step that `report` tells of.
    fn on_step_end(&mut self, model: &Model, report: &StepReport) -> ControlFlow<()> {
        let _ = (model, report);
        ControlFlow::Continue(())
    }

    /// After an epoch and its validation.
    fn on_epoch_end(&mut self, model: &Model, record: &EpochRecord) -> ControlFlow<()> {
        let _ = (model, record);
        ControlFlow::Continue(())
    }
}

/// Nobody listens.
impl Callback for () {}

/// All of them, in their order; one that breaks does not keep the others from hearing.
impl Callback for Vec<Box<dyn Callback + '_>> {
    fn on_step_end(&mut self, model: &Model, report: &StepReport) -> ControlFlow<()> {
        tell_all(self, |callback| callback.on_step_end(model, report))
    }

    fn on_epoch_end(&mut self, model: &Model, record: &EpochRecord) -> ControlFlow<()> {
        tell_all(self, |callback| callback.on_epoch_end(model, record))
    }
}

/// Breaks if one breaks, after all have heard.
fn tell_all<'a>(
    callbacks: &mut [Box<dyn Callback + 'a>],
    mut tell: impl FnMut(&mut (dyn Callback + 'a)) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut answer = ControlFlow::Continue(());
    for callback in callbacks {
        if tell(&mut **callback).is_break() {
            answer = ControlFlow::Break(());
        }
    }
    answer
}
