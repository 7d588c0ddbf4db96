//! Whether compile settings are in their ranges and fit the graph.

use super::{Clipping, CompileSettings, Graph, Metric, Optimizer, OptimizerRule, Schedule};

/// What is wrong with compile settings, or with a number among the options of training.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    #[error(
        "the model has {outputs} outputs, found {losses} losses; name one for each output, in their \
         order, with `compile_with`"
    )]
    Losses { outputs: usize, losses: usize },
    #[error("loss number {index} is for output `{found}`, expected `{expected}`")]
    LossOrder { index: usize, expected: String, found: String },
    #[error("{setting} must be {rule}, found {found}")]
    Range { setting: &'static str, rule: &'static str, found: f64 },
    #[error("the boundaries of a schedule must ascend, found {found:?}")]
    Boundaries { found: Vec<u64> },
    #[error("a warm-up is followed by another; let it be followed by a schedule of another kind")]
    WarmUpTwice,
}

/// An error unless the rule holds for what was found.
pub(crate) fn within(
    setting: &'static str,
    found: f64,
    holds: bool,
    rule: &'static str,
) -> Result<(), SettingsError> {
    if holds { Ok(()) } else { Err(SettingsError::Range { setting, rule, found }) }
}

impl CompileSettings {
    /// Checks the settings, for a model of `graph`.
    ///
    /// # Errors
    /// If the losses are not those of the outputs, or a setting is out of its range.
    pub fn check(&self, graph: &Graph) -> Result<(), SettingsError> {
        let outputs = graph.outputs();
        if outputs.len() != self.losses.len() {
            let (outputs, losses) = (outputs.len(), self.losses.len());
            return Err(SettingsError::Losses { outputs, losses });
        }
        for (index, (output, loss)) in outputs.iter().zip(&self.losses).enumerate() {
            if output.name != loss.output {
                let (expected, found) = (output.name.clone(), loss.output.clone());
                return Err(SettingsError::LossOrder { index, expected, found });
            }
            within("the weight of a loss", loss.weight, f64::is_finite(loss.weight), "finite")?;
        }
        let top_0 = self.metrics.contains(&Metric::TopKAccuracy { k: 0 });
        within("k of a top-k accuracy", 0.0, !top_0, "1 or more")?;
        check_optimizer(&self.optimizer)
    }
}

fn check_optimizer(optimizer: &Optimizer) -> Result<(), SettingsError> {
    let positive = |setting, value: f64| {
        within(setting, value, value > 0.0 && value.is_finite(), "above 0 and finite")
    };
    let share = |setting, value: f64| {
        within(setting, value, (0.0..1.0).contains(&value), "from 0 to below 1")
    };
    positive("learning_rate", optimizer.learning_rate)?;
    check_schedule(&optimizer.schedule)?;
    let decay = optimizer.weight_decay;
    within("weight_decay", decay, decay >= 0.0 && decay.is_finite(), "0 or more and finite")?;
    match optimizer.clipping {
        Clipping::None => {}
        Clipping::Value(limit) | Clipping::Norm(limit) | Clipping::GlobalNorm(limit) => {
            positive("the limit of clipping", limit)?;
        }
    }
    match optimizer.rule {
        OptimizerRule::Adam(adam) => {
            share("beta_1", adam.beta_1)?;
            share("beta_2", adam.beta_2)?;
            positive("epsilon", adam.epsilon)
        }
        OptimizerRule::Sgd(sgd) => share("momentum", sgd.momentum),
        OptimizerRule::RmsProp(rms) => {
            share("rho", rms.rho)?;
            share("momentum", rms.momentum)?;
            positive("epsilon", rms.epsilon)
        }
    }
}

fn check_schedule(schedule: &Schedule) -> Result<(), SettingsError> {
    let steps = |steps: u64| within("the steps of a schedule", 0.0, steps > 0, "1 or more");
    let not_negative = |setting, value: f64| {
        within(setting, value, value >= 0.0 && value.is_finite(), "0 or more and finite")
    };
    match schedule {
        Schedule::Constant => Ok(()),
        Schedule::Step { boundaries, factors } => {
            let (count, ascend) = (factors.len(), boundaries.is_sorted_by(|a, b| a < b));
            let (setting, rule) = ("the number of a schedule's factors", "that of its boundaries");
            within(setting, count as f64, count == boundaries.len(), rule)?;
            if !ascend {
                return Err(SettingsError::Boundaries { found: boundaries.clone() });
            }
            factors.iter().try_for_each(|&factor| not_negative("a schedule's factor", factor))
        }
        Schedule::Exponential { steps: count, rate, staircase: _ } => {
            steps(*count)?;
            let holds = *rate > 0.0 && rate.is_finite();
            within("the rate of a schedule", *rate, holds, "above 0 and finite")
        }
        Schedule::Cosine { steps: count, floor } => {
            steps(*count)?;
            not_negative("the floor of a schedule", *floor)
        }
        Schedule::WarmUp { steps: count, from, then } => {
            steps(*count)?;
            not_negative("the start of a warm-up", *from)?;
            if matches!(**then, Schedule::WarmUp { .. }) {
                return Err(SettingsError::WarmUpTwice);
            }
            check_schedule(then)
        }
    }
}
