//! Whether compile settings are in their ranges and fit the graph.

use super::{
    Clipping, CompileSettings, Graph, Loss, Metric, Optimizer, OptimizerRule, OutputLoss, Schedule,
};

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
    #[error("the loss {loss} takes no smoothed labels; categorical and binary cross-entropy do")]
    Smoothing { loss: &'static str },
    #[error("the metric {metric} does not take the targets that the loss {loss} takes")]
    MetricTargets { metric: String, loss: &'static str },
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
            check_output_loss(loss)?;
        }
        for metric in &self.metrics {
            check_metric(*metric, &self.losses)?;
        }
        check_optimizer(&self.optimizer)
    }
}

fn positive(setting: &'static str, value: f64) -> Result<(), SettingsError> {
    within(setting, value, value > 0.0 && value.is_finite(), "above 0 and finite")
}

fn not_negative(setting: &'static str, value: f64) -> Result<(), SettingsError> {
    within(setting, value, value >= 0.0 && value.is_finite(), "0 or more and finite")
}

fn share(setting: &'static str, value: f64) -> Result<(), SettingsError> {
    within(setting, value, (0.0..1.0).contains(&value), "from 0 to below 1")
}

fn check_output_loss(output: &OutputLoss) -> Result<(), SettingsError> {
    let OutputLoss { output: _, loss, weight, label_smoothing } = *output;
    within("the weight of a loss", weight, weight.is_finite(), "finite")?;
    share("label_smoothing", label_smoothing)?;
    if label_smoothing != 0.0 && (loss.takes_classes() || !loss.is_crossentropy()) {
        return Err(SettingsError::Smoothing { loss: loss.name() });
    }
    check_loss(loss)
}

fn check_loss(loss: Loss) -> Result<(), SettingsError> {
    match loss {
        Loss::Huber { delta } => positive("the delta of a Huber loss", delta),
        _ => Ok(()),
    }
}

/// Metrics are of the first output.
pub(crate) fn check_metric(metric: Metric, losses: &[OutputLoss]) -> Result<(), SettingsError> {
    let takes_classes = match metric {
        Metric::Accuracy => return Ok(()),
        Metric::TopKAccuracy { k } => {
            return within("k of a top-k accuracy", 0.0, k > 0, "1 or more");
        }
        Metric::Loss(loss) => {
            check_loss(loss)?;
            loss.takes_classes()
        }
        Metric::RootMeanSquaredError => false,
    };
    match losses.first() {
        Some(OutputLoss { loss, .. }) if loss.takes_classes() != takes_classes => {
            Err(SettingsError::MetricTargets { metric: metric.name(), loss: loss.name() })
        }
        _ => Ok(()),
    }
}

fn check_optimizer(optimizer: &Optimizer) -> Result<(), SettingsError> {
    positive("learning_rate", optimizer.learning_rate)?;
    check_schedule(&optimizer.schedule)?;
    not_negative("weight_decay", optimizer.weight_decay)?;
    match optimizer.clipping {
        Clipping::None => {}
        Clipping::Value(limit) | Clipping::Norm(limit) | Clipping::GlobalNorm(limit) => {
            positive("the limit of clipping", limit)?;
        }
    }
    let betas = |beta_1, beta_2| {
        share("beta_1", beta_1)?;
        share("beta_2", beta_2)
    };
    match optimizer.rule {
        OptimizerRule::Adam(adam) => {
            betas(adam.beta_1, adam.beta_2)?;
            positive("epsilon", adam.epsilon)
        }
        OptimizerRule::Sgd(sgd) => share("momentum", sgd.momentum),
        OptimizerRule::RmsProp(rms) => {
            share("rho", rms.rho)?;
            share("momentum", rms.momentum)?;
            positive("epsilon", rms.epsilon)
        }
        OptimizerRule::Nadam(nadam) => {
            betas(nadam.beta_1, nadam.beta_2)?;
            not_negative("momentum_decay", nadam.momentum_decay)?;
            positive("epsilon", nadam.epsilon)
        }
        OptimizerRule::Adamax(adamax) => {
            betas(adamax.beta_1, adamax.beta_2)?;
            positive("epsilon", adamax.epsilon)
        }
        OptimizerRule::Adagrad(adagrad) => {
            not_negative("initial_accumulator", adagrad.initial_accumulator)?;
            positive("epsilon", adagrad.epsilon)
        }
        OptimizerRule::Adadelta(adadelta) => {
            share("rho", adadelta.rho)?;
            positive("epsilon", adadelta.epsilon)
        }
    }
}

fn check_schedule(schedule: &Schedule) -> Result<(), SettingsError> {
    let steps = |steps: u64| within("the steps of a schedule", 0.0, steps > 0, "1 or more");
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
            positive("the rate of a schedule", *rate)
        }
        Schedule::Cosine { steps: count, floor } => {
            steps(*count)?;
            not_negative("the floor of a schedule", *floor)
        }
        Schedule::InverseTime { steps: count, rate, staircase: _ } => {
            steps(*count)?;
            not_negative("the rate of a schedule", *rate)
        }
        Schedule::Polynomial { steps: count, floor, power, cycle: _ } => {
            steps(*count)?;
            not_negative("the floor of a schedule", *floor)?;
            positive("the power of a schedule", *power)
        }
        Schedule::CosineRestarts { steps: count, stretch, shrink, floor } => {
            steps(*count)?;
            let holds = (1.0..=1000.0).contains(stretch);
            within("what restarts stretch a schedule by", *stretch, holds, "from 1 to 1000")?;
            not_negative("what restarts shrink a schedule by", *shrink)?;
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
