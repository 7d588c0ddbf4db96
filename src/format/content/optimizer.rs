//! The optimizer among the compile settings as JSON: these types are the file.

use serde::{Deserialize, Serialize};

use super::json::{Real, Whole};
use crate::model::{
    Adadelta, Adagrad, Adam, Adamax, Clipping, Nadam, Optimizer, OptimizerRule, RmsProp, Schedule,
    Sgd,
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OptimizerJson {
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
    InverseTime { steps: Whole, rate: Real, staircase: bool },
    Polynomial { steps: Whole, floor: Real, power: Real, cycle: bool },
    CosineRestarts { steps: Whole, stretch: Real, shrink: Real, floor: Real },
    WarmUp { steps: Whole, from: Real, then: Box<Self> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RuleJson {
    Adam(AdamJson),
    Sgd(SgdJson),
    RmsProp(RmsPropJson),
    Nadam(NadamJson),
    Adamax(AdamaxJson),
    Adagrad(AdagradJson),
    Adadelta(AdadeltaJson),
}

/// A setting that came later: left out where it is false.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_unset(flag: &bool) -> bool {
    !flag
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ClippingJson {
    None,
    Value(Real),
    Norm(Real),
    GlobalNorm(Real),
}

/// A rule's settings as an object of the same members.
macro_rules! settings {
    ($($rule:ident = $json:ident {
        $($(#[$attribute:meta])* $field:ident: $type:ident),* $(,)?
    })*) => {$(
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $json {
            $($(#[$attribute])* $field: $type),*
        }

        impl From<$rule> for $json {
            fn from($rule { $($field),* }: $rule) -> Self {
                Self { $($field: $field.into()),* }
            }
        }

        impl From<$json> for $rule {
            fn from($json { $($field),* }: $json) -> Self {
                Self { $($field: $field.into()),* }
            }
        }

        impl From<$rule> for RuleJson {
            fn from(rule: $rule) -> Self {
                Self::$rule(rule.into())
            }
        }
    )*};
}

settings! {
    Adam = AdamJson {
        beta_1: Real,
        beta_2: Real,
        epsilon: Real,
        #[serde(default, skip_serializing_if = "is_unset")]
        amsgrad: bool,
    }
    Sgd = SgdJson { momentum: Real, nesterov: bool }
    RmsProp = RmsPropJson {
        rho: Real,
        momentum: Real,
        epsilon: Real,
        #[serde(default, skip_serializing_if = "is_unset")]
        centered: bool,
    }
    Nadam = NadamJson { beta_1: Real, beta_2: Real, epsilon: Real, momentum_decay: Real }
    Adamax = AdamaxJson { beta_1: Real, beta_2: Real, epsilon: Real }
    Adagrad = AdagradJson { initial_accumulator: Real, epsilon: Real }
    Adadelta = AdadeltaJson { rho: Real, epsilon: Real }
}

impl OptimizerJson {
    /// The least schema that can say it.
    pub(super) fn schema(&self) -> u64 {
        self.rule.schema().max(self.schedule.schema())
    }
}

impl RuleJson {
    fn schema(&self) -> u64 {
        match self {
            Self::Adam(AdamJson { amsgrad: false, .. })
            | Self::Sgd(_)
            | Self::RmsProp(RmsPropJson { centered: false, .. }) => 1,
            Self::Adam(_)
            | Self::RmsProp(_)
            | Self::Nadam(_)
            | Self::Adamax(_)
            | Self::Adagrad(_)
            | Self::Adadelta(_) => 2,
        }
    }
}

impl ScheduleJson {
    fn schema(&self) -> u64 {
        match self {
            Self::Constant | Self::Step { .. } | Self::Exponential { .. } | Self::Cosine { .. } => {
                1
            }
            Self::InverseTime { .. } | Self::Polynomial { .. } | Self::CosineRestarts { .. } => 2,
            Self::WarmUp { then, .. } => then.schema(),
        }
    }
}

impl From<&Optimizer> for OptimizerJson {
    fn from(optimizer: &Optimizer) -> Self {
        let Optimizer { rule, learning_rate, schedule, weight_decay, clipping } = optimizer;
        Self {
            rule: (*rule).into(),
            learning_rate: Real(*learning_rate),
            schedule: schedule.into(),
            weight_decay: Real(*weight_decay),
            clipping: (*clipping).into(),
        }
    }
}

impl From<OptimizerJson> for Optimizer {
    fn from(json: OptimizerJson) -> Self {
        let OptimizerJson { rule, learning_rate, schedule, weight_decay, clipping } = json;
        Self {
            rule: rule.into(),
            learning_rate: learning_rate.0,
            schedule: schedule.into(),
            weight_decay: weight_decay.0,
            clipping: clipping.into(),
        }
    }
}

impl From<OptimizerRule> for RuleJson {
    fn from(rule: OptimizerRule) -> Self {
        match rule {
            OptimizerRule::Adam(adam) => adam.into(),
            OptimizerRule::Sgd(sgd) => sgd.into(),
            OptimizerRule::RmsProp(rms) => rms.into(),
            OptimizerRule::Nadam(nadam) => nadam.into(),
            OptimizerRule::Adamax(adamax) => adamax.into(),
            OptimizerRule::Adagrad(adagrad) => adagrad.into(),
            OptimizerRule::Adadelta(adadelta) => adadelta.into(),
        }
    }
}

impl From<RuleJson> for OptimizerRule {
    fn from(rule: RuleJson) -> Self {
        match rule {
            RuleJson::Adam(adam) => Self::Adam(adam.into()),
            RuleJson::Sgd(sgd) => Self::Sgd(sgd.into()),
            RuleJson::RmsProp(rms) => Self::RmsProp(rms.into()),
            RuleJson::Nadam(nadam) => Self::Nadam(nadam.into()),
            RuleJson::Adamax(adamax) => Self::Adamax(adamax.into()),
            RuleJson::Adagrad(adagrad) => Self::Adagrad(adagrad.into()),
            RuleJson::Adadelta(adadelta) => Self::Adadelta(adadelta.into()),
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
            Schedule::InverseTime { steps, rate, staircase } => {
                Self::InverseTime { steps: Whole(steps), rate: Real(rate), staircase }
            }
            Schedule::Polynomial { steps, floor, power, cycle } => Self::Polynomial {
                steps: Whole(steps),
                floor: Real(floor),
                power: Real(power),
                cycle,
            },
            Schedule::CosineRestarts { steps, stretch, shrink, floor } => Self::CosineRestarts {
                steps: Whole(steps),
                stretch: Real(stretch),
                shrink: Real(shrink),
                floor: Real(floor),
            },
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
            ScheduleJson::InverseTime { steps, rate, staircase } => {
                Self::InverseTime { steps: steps.0, rate: rate.0, staircase }
            }
            ScheduleJson::Polynomial { steps, floor, power, cycle } => {
                Self::Polynomial { steps: steps.0, floor: floor.0, power: power.0, cycle }
            }
            ScheduleJson::CosineRestarts { steps, stretch, shrink, floor } => {
                let (stretch, shrink) = (stretch.0, shrink.0);
                Self::CosineRestarts { steps: steps.0, stretch, shrink, floor: floor.0 }
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
