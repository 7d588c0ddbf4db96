//! Compiling: what a model is trained with.

use super::error::TrainError;
use crate::model::{
    Clipping, CompileSettings, Loss, Metric, Optimizer, OptimizerRule, OutputLoss, Schedule,
};
use crate::nn::{Model, Training};

impl Model {
    /// Sets optimizer and loss of a model with one output, and reports the accuracy where the loss
    /// is one of classification. The optimizer starts anew.
    ///
    /// # Errors
    /// If the model has several outputs, or a setting is out of its range.
    pub fn compile(
        &mut self,
        optimizer: impl Into<Optimizer>,
        loss: Loss,
    ) -> Result<(), TrainError> {
        let classifies = !matches!(loss, Loss::MeanSquaredError | Loss::MeanAbsoluteError);
        let outputs = self.graph().outputs();
        let [output] = outputs else {
            return Err(TrainError::Losses { outputs: outputs.len(), losses: 1 });
        };
        let output = output.name.clone();
        self.compile_with(CompileSettings {
            optimizer: optimizer.into(),
            losses: vec![OutputLoss { output, loss, weight: 1.0 }],
            metrics: if classifies { vec![Metric::Accuracy] } else { Vec::new() },
        })
    }

    /// Sets optimizer, one loss per output in the order of the outputs, and metrics. The optimizer
    /// starts anew.
    ///
    /// # Errors
    /// If the losses are not those of the outputs, or a setting is out of its range.
    pub fn compile_with(&mut self, settings: CompileSettings) -> Result<(), TrainError> {
        self.check_settings(&settings)?;
        let training = Training::new(settings, self.layout());
        self.training = Some(training);
        Ok(())
    }

    fn check_settings(&self, settings: &CompileSettings) -> Result<(), TrainError> {
        let outputs = self.graph().outputs();
        if outputs.len() != settings.losses.len() {
            let (outputs, losses) = (outputs.len(), settings.losses.len());
            return Err(TrainError::Losses { outputs, losses });
        }
        for (index, (output, loss)) in outputs.iter().zip(&settings.losses).enumerate() {
            if output.name != loss.output {
                let (expected, found) = (output.name.clone(), loss.output.clone());
                return Err(TrainError::LossOrder { index, expected, found });
            }
            within("the weight of a loss", loss.weight, f64::is_finite(loss.weight), "finite")?;
        }
        let top_0 = settings.metrics.contains(&Metric::TopKAccuracy { k: 0 });
        within("k of a top-k accuracy", 0.0, !top_0, "1 or more")?;
        check_optimizer(&settings.optimizer)
    }
}

fn within(
    setting: &'static str,
    found: f64,
    holds: bool,
    rule: &'static str,
) -> Result<(), TrainError> {
    if holds { Ok(()) } else { Err(TrainError::Setting { setting, rule, found }) }
}

fn check_optimizer(optimizer: &Optimizer) -> Result<(), TrainError> {
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

fn check_schedule(schedule: &Schedule) -> Result<(), TrainError> {
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
                return Err(TrainError::Boundaries { found: boundaries.clone() });
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
                return Err(TrainError::WarmUpTwice);
            }
            check_schedule(then)
        }
    }
}
