//! Compile settings as Keras writes them.

use serde_json::{Map, Value, json};

use super::classes::object;
use crate::model::{
    Clipping, CompileSettings, Loss, Metric, Optimizer, OptimizerRule, OutputLoss, Schedule,
};

/// What Keras cannot be told, in words.
pub(super) type Reason = &'static str;

/// Compile settings as the two kinds of files hold them.
pub(super) struct Compiled {
    optimizer: Value,
    rest: Map<String, Value>,
}

impl Compiled {
    /// `compile_config` of a `.keras` file.
    pub(super) fn archived(self) -> Value {
        self.with("optimizer")
    }

    /// `training_config` of an `.h5` file.
    pub(super) fn whole(self) -> Value {
        self.with("optimizer_config")
    }

    fn with(self, key: &str) -> Value {
        let mut config = self.rest;
        config.insert(key.to_owned(), self.optimizer);
        Value::Object(config)
    }
}

pub(super) fn compile(settings: &CompileSettings) -> Result<Compiled, Reason> {
    let losses: Vec<Value> = settings.losses.iter().map(|loss| self::loss(loss.loss)).collect();
    let weights: Vec<f64> = settings.losses.iter().map(|loss| loss.weight).collect();
    let (loss, loss_weights) =
        match (losses.as_slice(), weights.iter().all(|&weight| weight == 1.0)) {
            ([loss], true) => (loss.clone(), Value::Null),
            (_, true) => (Value::Array(losses), Value::Null),
            (_, false) => (Value::Array(losses), json!(weights)),
        };
    let metrics: Vec<Value> =
        settings.metrics.iter().map(|&metric| self::metric(metric, &settings.losses)).collect();
    let rest = [
        ("loss", loss),
        ("loss_weights", loss_weights),
        ("metrics", Value::Array(metrics)),
        ("weighted_metrics", Value::Null),
        ("run_eagerly", json!(false)),
        ("steps_per_execution", json!(1)),
        ("jit_compile", json!(false)),
    ];
    let rest = rest.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
    Ok(Compiled { optimizer: optimizer(&settings.optimizer)?, rest })
}

fn optimizer(optimizer: &Optimizer) -> Result<Value, Reason> {
    let (class, mut config) = match optimizer.rule {
        OptimizerRule::Adam(adam) => (
            // AdamW is Adam with `weight_decay`; tf-keras does not find it by its own name in `.h5`.
            "Adam",
            json!({
                "name": "adam", "beta_1": adam.beta_1, "beta_2": adam.beta_2,
                "epsilon": adam.epsilon, "amsgrad": false,
            }),
        ),
        OptimizerRule::Sgd(sgd) => {
            ("SGD", json!({"name": "SGD", "momentum": sgd.momentum, "nesterov": sgd.nesterov}))
        }
        OptimizerRule::RmsProp(rms) => (
            "RMSprop",
            json!({
                "name": "rmsprop", "rho": rms.rho, "momentum": rms.momentum,
                "epsilon": rms.epsilon, "centered": false,
            }),
        ),
    };
    let clipping = match optimizer.clipping {
        Clipping::None => None,
        Clipping::Value(limit) => Some(("clipvalue", limit)),
        Clipping::Norm(limit) => Some(("clipnorm", limit)),
        Clipping::GlobalNorm(limit) => Some(("global_clipnorm", limit)),
    };
    if let Some(config) = config.as_object_mut() {
        config.insert("learning_rate".to_owned(), schedule(optimizer)?);
        if optimizer.weight_decay != 0.0 {
            config.insert("weight_decay".to_owned(), json!(optimizer.weight_decay));
        }
        if let Some((name, limit)) = clipping {
            config.insert(name.to_owned(), json!(limit));
        }
    }
    Ok(object("keras.optimizers", class, config))
}

/// The learning rate, or what tells it.
fn schedule(optimizer: &Optimizer) -> Result<Value, Reason> {
    let rate = optimizer.learning_rate;
    let (class, config) = match &optimizer.schedule {
        Schedule::Constant => return Ok(json!(rate)),
        Schedule::Step { boundaries, factors } => {
            let values = std::iter::once(rate).chain(factors.iter().map(|factor| rate * factor));
            let values: Vec<f64> = values.collect();
            ("PiecewiseConstantDecay", json!({"boundaries": boundaries, "values": values}))
        }
        Schedule::Exponential { steps, rate: decay, staircase } => (
            "ExponentialDecay",
            json!({
                "initial_learning_rate": rate, "decay_steps": steps, "decay_rate": decay,
                "staircase": staircase,
            }),
        ),
        Schedule::Cosine { steps, floor } => (
            "CosineDecay",
            json!({"initial_learning_rate": rate, "decay_steps": steps, "alpha": floor}),
        ),
        Schedule::WarmUp { steps, from, then } => match **then {
            Schedule::Cosine { steps: decay, floor } => (
                "CosineDecay",
                json!({
                    "initial_learning_rate": rate * from, "decay_steps": decay, "alpha": floor,
                    "warmup_target": rate, "warmup_steps": steps,
                }),
            ),
            _ => return Err("Keras warms up before a cosine only, not before another schedule"),
        },
    };
    Ok(object("keras.optimizers.schedules", class, config))
}

fn loss(loss: Loss) -> Value {
    let (class, logits) = match loss {
        Loss::SparseCategoricalCrossentropy => ("SparseCategoricalCrossentropy", Some(false)),
        Loss::SparseCategoricalCrossentropyWithLogits => {
            ("SparseCategoricalCrossentropy", Some(true))
        }
        Loss::CategoricalCrossentropy => ("CategoricalCrossentropy", Some(false)),
        Loss::CategoricalCrossentropyWithLogits => ("CategoricalCrossentropy", Some(true)),
        Loss::BinaryCrossentropy => ("BinaryCrossentropy", Some(false)),
        Loss::BinaryCrossentropyWithLogits => ("BinaryCrossentropy", Some(true)),
        Loss::MeanSquaredError => ("MeanSquaredError", None),
        Loss::MeanAbsoluteError => ("MeanAbsoluteError", None),
    };
    let config = logits.map_or_else(|| json!({}), |logits| json!({"from_logits": logits}));
    object("keras.losses", class, config)
}

/// By the names that Keras resolves by the loss.
fn metric(metric: Metric, losses: &[OutputLoss]) -> Value {
    let sparse = losses.first().is_some_and(|loss| {
        use Loss::{
            SparseCategoricalCrossentropy as Plain,
            SparseCategoricalCrossentropyWithLogits as Logits,
        };
        matches!(loss.loss, Plain | Logits)
    });
    match metric {
        Metric::Accuracy => json!("accuracy"),
        Metric::TopKAccuracy { k } => {
            let class =
                if sparse { "SparseTopKCategoricalAccuracy" } else { "TopKCategoricalAccuracy" };
            object("keras.metrics", class, json!({"k": k}))
        }
    }
}
