//! The compile settings as JSON, schema 1; as the architecture, these types are the file.

use serde::{Deserialize, Serialize};

use super::json::{Real, SchemaNumber, Whole};
use super::layers::twins;
use crate::model::{
    Adam, Clipping, CompileSettings, Loss, Metric, Optimizer, OptimizerRule, OutputLoss, RmsProp,
    Schedule, Sgd,
};

/// The schema that this version writes, and the only one it reads.
pub(super) const COMPILE_SCHEMA: u64 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::format) struct CompileJson {
    schema: SchemaNumber<COMPILE_SCHEMA>,
    optimizer: OptimizerJson,
    losses: Vec<OutputLossJson>,
    metrics: Vec<MetricJson>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptimizerJson {
    rule: RuleJson,
    learning_rate: Real,
    schedule: ScheduleJson,
    weight_decay: Real,
    clipping: ClippingJson,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ScheduleJson {
    Constant,
    Step { boundaries: Vec<Whole>, factors: Vec<Real> },
    Exponential { steps: Whole, rate: Real, staircase: bool },
    Cosine { steps: Whole, floor: Real },
    WarmUp { steps: Whole, from: Real, then: Box<Self> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum RuleJson {
    Adam { beta_1: Real, beta_2: Real, epsilon: Real },
    Sgd { momentum: Real, nesterov: bool },
    RmsProp { rho: Real, momentum: Real, epsilon: Real },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ClippingJson {
    None,
    Value(Real),
    Norm(Real),
    GlobalNorm(Real),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputLossJson {
    output: String,
    loss: LossJson,
    weight: Real,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LossJson {
    SparseCategoricalCrossentropy,
    SparseCategoricalCrossentropyWithLogits,
    CategoricalCrossentropy,
    CategoricalCrossentropyWithLogits,
    BinaryCrossentropy,
    BinaryCrossentropyWithLogits,
    MeanSquaredError,
    MeanAbsoluteError,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum MetricJson {
    Accuracy,
    TopKAccuracy { k: usize },
}

impl From<&CompileSettings> for CompileJson {
    fn from(settings: &CompileSettings) -> Self {
        let CompileSettings { optimizer, losses, metrics } = settings;
        let Optimizer { rule, learning_rate, schedule, weight_decay, clipping } = optimizer;
        let loss = |OutputLoss { output, loss, weight }: &OutputLoss| OutputLossJson {
            output: output.clone(),
            loss: (*loss).into(),
            weight: Real(*weight),
        };
        Self {
            schema: SchemaNumber,
            optimizer: OptimizerJson {
                rule: (*rule).into(),
                learning_rate: Real(*learning_rate),
                schedule: schedule.into(),
                weight_decay: Real(*weight_decay),
                clipping: (*clipping).into(),
            },
            losses: losses.iter().map(loss).collect(),
            metrics: metrics.iter().map(|&metric| metric.into()).collect(),
        }
    }
}

impl From<CompileJson> for CompileSettings {
    fn from(json: CompileJson) -> Self {
        let CompileJson { schema: _, optimizer, losses, metrics } = json;
        let OptimizerJson { rule, learning_rate, schedule, weight_decay, clipping } = optimizer;
        let loss = |OutputLossJson { output, loss, weight }: OutputLossJson| OutputLoss {
            output,
            loss: Loss::from(loss),
            weight: weight.0,
        };
        Self {
            optimizer: Optimizer {
                rule: rule.into(),
                learning_rate: learning_rate.0,
                schedule: schedule.into(),
                weight_decay: weight_decay.0,
                clipping: clipping.into(),
            },
            losses: losses.into_iter().map(loss).collect(),
            metrics: metrics.into_iter().map(Metric::from).collect(),
        }
    }
}

impl From<OptimizerRule> for RuleJson {
    fn from(rule: OptimizerRule) -> Self {
        match rule {
            OptimizerRule::Adam(Adam { beta_1, beta_2, epsilon }) => {
                Self::Adam { beta_1: Real(beta_1), beta_2: Real(beta_2), epsilon: Real(epsilon) }
            }
            OptimizerRule::Sgd(Sgd { momentum, nesterov }) => {
                Self::Sgd { momentum: Real(momentum), nesterov }
            }
            OptimizerRule::RmsProp(RmsProp { rho, momentum, epsilon }) => {
                Self::RmsProp { rho: Real(rho), momentum: Real(momentum), epsilon: Real(epsilon) }
            }
        }
    }
}

impl From<RuleJson> for OptimizerRule {
    fn from(rule: RuleJson) -> Self {
        match rule {
            RuleJson::Adam {
                beta_1: Real(beta_1),
                beta_2: Real(beta_2),
                epsilon: Real(epsilon),
            } => Self::Adam(Adam { beta_1, beta_2, epsilon }),
            RuleJson::Sgd { momentum: Real(momentum), nesterov } => {
                Self::Sgd(Sgd { momentum, nesterov })
            }
            RuleJson::RmsProp {
                rho: Real(rho),
                momentum: Real(momentum),
                epsilon: Real(epsilon),
            } => Self::RmsProp(RmsProp { rho, momentum, epsilon }),
        }
    }
}

impl From<&Schedule> for ScheduleJson {
    fn from(schedule: &Schedule) -> Self {
        match *schedule {
            Schedule::Constant => Self::Constant,
            Schedule::Step { ref boundaries, ref factors } => Self::Step {
                boundaries: boundaries.iter().copied().map(Whole).collect(),
                factors: factors.iter().copied().map(Real).collect(),
            },
            Schedule::Exponential { steps, rate, staircase } => {
                Self::Exponential { steps: Whole(steps), rate: Real(rate), staircase }
            }
            Schedule::Cosine { steps, floor } => {
                Self::Cosine { steps: Whole(steps), floor: Real(floor) }
            }
            Schedule::WarmUp { steps, from, ref then } => {
                let then = Box::new(Self::from(&**then));
                Self::WarmUp { steps: Whole(steps), from: Real(from), then }
            }
        }
    }
}

impl From<ScheduleJson> for Schedule {
    fn from(json: ScheduleJson) -> Self {
        match json {
            ScheduleJson::Constant => Self::Constant,
            ScheduleJson::Step { boundaries, factors } => Self::Step {
                boundaries: boundaries.into_iter().map(|boundary| boundary.0).collect(),
                factors: factors.into_iter().map(|factor| factor.0).collect(),
            },
            ScheduleJson::Exponential { steps, rate, staircase } => {
                Self::Exponential { steps: steps.0, rate: rate.0, staircase }
            }
            ScheduleJson::Cosine { steps, floor } => {
                Self::Cosine { steps: steps.0, floor: floor.0 }
            }
            ScheduleJson::WarmUp { steps, from, then } => {
                Self::WarmUp { steps: steps.0, from: from.0, then: Box::new(Self::from(*then)) }
            }
        }
    }
}

impl From<Clipping> for ClippingJson {
    fn from(clipping: Clipping) -> Self {
        match clipping {
            Clipping::None => Self::None,
            Clipping::Value(value) => Self::Value(Real(value)),
            Clipping::Norm(norm) => Self::Norm(Real(norm)),
            Clipping::GlobalNorm(norm) => Self::GlobalNorm(Real(norm)),
        }
    }
}

impl From<ClippingJson> for Clipping {
    fn from(clipping: ClippingJson) -> Self {
        match clipping {
            ClippingJson::None => Self::None,
            ClippingJson::Value(Real(value)) => Self::Value(value),
            ClippingJson::Norm(Real(norm)) => Self::Norm(norm),
            ClippingJson::GlobalNorm(Real(norm)) => Self::GlobalNorm(norm),
        }
    }
}

twins! {
    Loss = LossJson {
        SparseCategoricalCrossentropy,
        SparseCategoricalCrossentropyWithLogits,
        CategoricalCrossentropy,
        CategoricalCrossentropyWithLogits,
        BinaryCrossentropy,
        BinaryCrossentropyWithLogits,
        MeanSquaredError,
        MeanAbsoluteError,
    }
    Metric = MetricJson { Accuracy, TopKAccuracy { k } }
}
