//! Optimizers of Keras and the schedules of their learning rates.

use serde_json::Value;

use super::Reason;
use crate::format::keras::json::{Object, Settings, brief, real, whole};
use crate::model::{
    Adadelta, Adagrad, Adam, Adamax, Clipping, Nadam, Optimizer, OptimizerRule, RmsProp, Schedule,
    Sgd,
};

pub(super) fn optimizer(value: &Value) -> Result<Optimizer, Reason> {
    let empty = serde_json::Map::new();
    let (class, config) = match (value, Object::of(value)) {
        (Value::String(name), _) => (name.as_str(), &empty),
        (_, Some(object)) => (object.class, object.config),
        _ => return Err(format!("the optimizer {} has no class", brief(value))),
    };
    if class.starts_with("LossScaleOptimizer") {
        let inner = config.get("inner_optimizer").or_else(|| config.get("optimizer"));
        return optimizer(inner.ok_or("a LossScaleOptimizer around nothing")?);
    }
    let settings = Settings::new(class, None, config);
    let number =
        |key: &str, default| settings.real(key, default).map_err(|error| error.to_string());
    let flag = |key: &str| settings.flag(key, false).map_err(|error| error.to_string());
    if flag("use_ema")? || settings.get("gradient_accumulation_steps").is_some() {
        return Err("keepnet has no averages of weights and no accumulated gradients".to_owned());
    }
    if flag("adaptive_epsilon")? {
        return Err("keepnet has no Adam with `adaptive_epsilon`".to_owned());
    }
    let default =
        rule_by_name(class).ok_or_else(|| format!("keepnet has no optimizer `{class}`"))?;
    let rule = with_settings(&settings, default.rule)?;
    // In Nadam, `decay` is something else.
    let decay = match rule {
        OptimizerRule::Nadam(_) => 0.0,
        _ => number("decay", 0.0)?,
    };
    let rates = settings.get("learning_rate").or_else(|| settings.get("lr"));
    let (learning_rate, schedule) = match rates {
        None => (default.learning_rate, Schedule::Constant),
        Some(value) => match real(value) {
            Some(rate) => (rate, Schedule::Constant),
            None => schedule(value)?,
        },
    };
    let schedule = match (schedule, decay) {
        (schedule, 0.0) => schedule,
        (Schedule::Constant, rate) => Schedule::InverseTime { steps: 1, rate, staircase: false },
        _ => return Err("keepnet has no `decay` beside a schedule of the learning rate".to_owned()),
    };
    let clipping = [
        ("clipvalue", Clipping::Value as fn(f64) -> Clipping),
        ("clipnorm", Clipping::Norm),
        ("global_clipnorm", Clipping::GlobalNorm),
    ]
    .into_iter()
    .find_map(|(key, kind)| settings.get(key).and_then(real).map(kind));
    Ok(Optimizer {
        rule,
        learning_rate,
        schedule,
        weight_decay: number("weight_decay", default.weight_decay)?,
        clipping: clipping.unwrap_or_default(),
    })
}

/// What Keras means where it gives no settings.
fn rule_by_name(class: &str) -> Option<Optimizer> {
    Some(match class.to_ascii_lowercase().as_str() {
        "adam" => Adam::default().into(),
        "adamw" => Optimizer::adamw(0.001, 0.004),
        "sgd" => Sgd::default().into(),
        "rmsprop" => RmsProp::default().into(),
        "nadam" => Nadam::default().into(),
        "adamax" => Adamax::default().into(),
        "adagrad" => Adagrad::default().into(),
        "adadelta" => Adadelta::default().into(),
        _ => return None,
    })
}

/// The rule, `settings` taken for what they name.
fn with_settings(settings: &Settings<'_>, rule: OptimizerRule) -> Result<OptimizerRule, Reason> {
    let number =
        |key: &str, default| settings.real(key, default).map_err(|error| error.to_string());
    let flag = |key: &str| settings.flag(key, false).map_err(|error| error.to_string());
    Ok(match rule {
        OptimizerRule::Adam(default) => OptimizerRule::Adam(Adam {
            beta_1: number("beta_1", default.beta_1)?,
            beta_2: number("beta_2", default.beta_2)?,
            epsilon: number("epsilon", default.epsilon)?,
            amsgrad: flag("amsgrad")?,
        }),
        OptimizerRule::Sgd(default) => OptimizerRule::Sgd(Sgd {
            momentum: number("momentum", default.momentum)?,
            nesterov: flag("nesterov")?,
        }),
        OptimizerRule::RmsProp(default) => OptimizerRule::RmsProp(RmsProp {
            rho: number("rho", default.rho)?,
            momentum: number("momentum", default.momentum)?,
            epsilon: number("epsilon", default.epsilon)?,
            centered: flag("centered")?,
        }),
        OptimizerRule::Nadam(default) => OptimizerRule::Nadam(Nadam {
            beta_1: number("beta_1", default.beta_1)?,
            beta_2: number("beta_2", default.beta_2)?,
            epsilon: number("epsilon", default.epsilon)?,
            // Only Keras up to 2.10 writes it.
            momentum_decay: number(
                settings.first_of(["decay", "schedule_decay"]),
                default.momentum_decay,
            )?,
        }),
        OptimizerRule::Adamax(default) => OptimizerRule::Adamax(Adamax {
            beta_1: number("beta_1", default.beta_1)?,
            beta_2: number("beta_2", default.beta_2)?,
            epsilon: number("epsilon", default.epsilon)?,
        }),
        OptimizerRule::Adagrad(default) => OptimizerRule::Adagrad(Adagrad {
            initial_accumulator: number("initial_accumulator_value", default.initial_accumulator)?,
            epsilon: number("epsilon", default.epsilon)?,
        }),
        OptimizerRule::Adadelta(default) => OptimizerRule::Adadelta(Adadelta {
            rho: number("rho", default.rho)?,
            epsilon: number("epsilon", default.epsilon)?,
        }),
    })
}

/// The first learning rate, and what becomes of it.
fn schedule(value: &Value) -> Result<(f64, Schedule), Reason> {
    let object = Object::of(value).ok_or_else(|| format!("a learning rate {}", brief(value)))?;
    known_schedule(&object.settings())
        .ok_or_else(|| format!("keepnet has no schedule {} with these settings", object.class))
}

fn known_schedule(settings: &Settings<'_>) -> Option<(f64, Schedule)> {
    let number = |key: &str| settings.get(key).and_then(real);
    let or = |key: &str, default| settings.real(key, default).ok();
    let flag = |key: &str| settings.flag(key, false).ok();
    let steps = |key: &str| number(key).and_then(whole).filter(|&steps| steps > 0);
    let initial = || number("initial_learning_rate").filter(|rate| *rate > 0.0);
    let decay_steps = || steps("decay_steps");
    Some(match settings.class() {
        "ExponentialDecay" => {
            let (steps, rate, staircase) =
                (decay_steps()?, number("decay_rate")?, flag("staircase")?);
            (initial()?, Schedule::Exponential { steps, rate, staircase })
        }
        "InverseTimeDecay" => {
            let (steps, rate, staircase) =
                (decay_steps()?, number("decay_rate")?, flag("staircase")?);
            (initial()?, Schedule::InverseTime { steps, rate, staircase })
        }
        "PolynomialDecay" => {
            let (rate, power, cycle) = (initial()?, or("power", 1.0)?, flag("cycle")?);
            let floor = or("end_learning_rate", 0.0001)? / rate;
            (rate, Schedule::Polynomial { steps: decay_steps()?, floor, power, cycle })
        }
        "CosineDecay" => {
            let cosine = Schedule::Cosine { steps: decay_steps()?, floor: or("alpha", 0.0)? };
            match (settings.get("warmup_target").map(real), or("warmup_steps", 0.0)?) {
                (None, _) => (initial()?, cosine),
                (Some(target), 0.0) => (target?, cosine),
                (Some(target), steps) => {
                    let from = number("initial_learning_rate")? / target?;
                    let then = Box::new(cosine);
                    (target?, Schedule::WarmUp { steps: whole(steps)?, from, then })
                }
            }
        }
        "CosineDecayRestarts" => {
            let (stretch, shrink) = (or("t_mul", 2.0)?, or("m_mul", 1.0)?);
            let (steps, floor) = (steps("first_decay_steps")?, or("alpha", 0.0)?);
            (initial()?, Schedule::CosineRestarts { steps, stretch, shrink, floor })
        }
        "PiecewiseConstantDecay" => {
            let list = |key: &str| settings.get(key).and_then(Value::as_array);
            let boundaries = list("boundaries")?.iter().map(|value| real(value).and_then(whole));
            let values: Vec<f64> = list("values")?.iter().map(real).collect::<Option<_>>()?;
            let (first, rest) = values.split_first()?;
            let factors = rest.iter().map(|value| value / first).collect();
            (*first, Schedule::Step { boundaries: boundaries.collect::<Option<_>>()?, factors })
        }
        _ => return None,
    })
}
