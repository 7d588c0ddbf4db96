//! Compile settings as Keras writes them.

use serde_json::{Map, Value, json};

use super::classes::object;
use crate::format::keras::weights::snake_case;
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
    let losses: Vec<Value> = settings.losses.iter().map(loss).collect();
    let weights: Vec<f64> = settings.losses.iter().map(|loss| loss.weight).collect();
    let (loss, loss_weights) =
        match (losses.as_slice(), weights.iter().all(|&weight| weight == 1.0)) {
            ([loss], true) => (loss.clone(), Value::Null),
            (_, true) => (Value::Array(losses), Value::Null),
            (_, false) => (Value::Array(losses), json!(weights)),
        };
    let metrics = settings.metrics.iter().map(|&metric| self::metric(metric, &settings.losses));
    let mut metrics = metrics.collect::<Result<Vec<Value>, Reason>>()?;
    // With several outputs Keras takes a list for each; they are of the first.
    if settings.losses.len() > 1 && !metrics.is_empty() {
        let others = settings.losses.iter().skip(1).map(|_| json!([]));
        metrics = std::iter::once(Value::Array(metrics)).chain(others).collect();
    }
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
                "epsilon": adam.epsilon, "amsgrad": adam.amsgrad,
            }),
        ),
        OptimizerRule::Sgd(sgd) => {
            ("SGD", json!({"name": "SGD", "momentum": sgd.momentum, "nesterov": sgd.nesterov}))
        }
        OptimizerRule::RmsProp(rms) => (
            "RMSprop",
            json!({
                "name": "rmsprop", "rho": rms.rho, "momentum": rms.momentum,
                "epsilon": rms.epsilon, "centered": rms.centered,
            }),
        ),
        OptimizerRule::Nadam(nadam) if nadam.momentum_decay != 1.0 => {
            return Err("the momentum of Keras' Nadam grows at its own pace, `momentum_decay` 1");
        }
        OptimizerRule::Nadam(nadam) => (
            "Nadam",
            json!({
                "name": "nadam", "beta_1": nadam.beta_1, "beta_2": nadam.beta_2,
                "epsilon": nadam.epsilon,
            }),
        ),
        OptimizerRule::Adamax(adamax) => (
            "Adamax",
            json!({
                "name": "adamax", "beta_1": adamax.beta_1, "beta_2": adamax.beta_2,
                "epsilon": adamax.epsilon,
            }),
        ),
        OptimizerRule::Adagrad(adagrad) => (
            "Adagrad",
            json!({
                "name": "adagrad", "initial_accumulator_value": adagrad.initial_accumulator,
                "epsilon": adagrad.epsilon,
            }),
        ),
        OptimizerRule::Adadelta(adadelta) => (
            "Adadelta",
            json!({"name": "adadelta", "rho": adadelta.rho, "epsilon": adadelta.epsilon}),
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
        Schedule::InverseTime { steps, rate: decay, staircase } => (
            "InverseTimeDecay",
            json!({
                "initial_learning_rate": rate, "decay_steps": steps, "decay_rate": decay,
                "staircase": staircase,
            }),
        ),
        Schedule::Polynomial { steps, floor, power, cycle } => (
            "PolynomialDecay",
            json!({
                "initial_learning_rate": rate, "decay_steps": steps,
                "end_learning_rate": rate * floor, "power": power, "cycle": cycle,
            }),
        ),
        Schedule::CosineRestarts { steps, stretch, shrink, floor } => (
            "CosineDecayRestarts",
            json!({
                "initial_learning_rate": rate, "first_decay_steps": steps, "t_mul": stretch,
                "m_mul": shrink, "alpha": floor,
            }),
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

fn loss(of: &OutputLoss) -> Value {
    let (class, mut config) = formula(of.loss);
    if of.label_smoothing != 0.0 {
        config.insert("label_smoothing".to_owned(), json!(of.label_smoothing));
    }
    object("keras.losses", class, Value::Object(config))
}

/// The class of a loss, and its settings.
fn formula(loss: Loss) -> (&'static str, Map<String, Value>) {
    let logits = |logits: bool| Some(("from_logits", json!(logits)));
    let (class, setting) = match loss {
        Loss::SparseCategoricalCrossentropy => ("SparseCategoricalCrossentropy", logits(false)),
        Loss::SparseCategoricalCrossentropyWithLogits => {
            ("SparseCategoricalCrossentropy", logits(true))
        }
        Loss::CategoricalCrossentropy => ("CategoricalCrossentropy", logits(false)),
        Loss::CategoricalCrossentropyWithLogits => ("CategoricalCrossentropy", logits(true)),
        Loss::BinaryCrossentropy => ("BinaryCrossentropy", logits(false)),
        Loss::BinaryCrossentropyWithLogits => ("BinaryCrossentropy", logits(true)),
        Loss::MeanSquaredError => ("MeanSquaredError", None),
        Loss::MeanAbsoluteError => ("MeanAbsoluteError", None),
        Loss::Huber { delta } => ("Huber", Some(("delta", json!(delta)))),
        Loss::LogCosh => ("LogCosh", None),
        Loss::KlDivergence => ("KLDivergence", None),
        Loss::Poisson => ("Poisson", None),
        Loss::Hinge => ("Hinge", None),
        Loss::SquaredHinge => ("SquaredHinge", None),
        Loss::CategoricalHinge => ("CategoricalHinge", None),
        Loss::MeanAbsolutePercentageError => ("MeanAbsolutePercentageError", None),
        Loss::MeanSquaredLogarithmicError => ("MeanSquaredLogarithmicError", None),
        Loss::CosineSimilarity => ("CosineSimilarity", None),
    };
    (class, setting.map(|(key, value)| (key.to_owned(), value)).into_iter().collect())
}

/// By the names that Keras resolves by the loss, or as objects.
fn metric(metric: Metric, losses: &[OutputLoss]) -> Result<Value, Reason> {
    let (class, config) = match metric {
        Metric::Accuracy => return Ok(json!("accuracy")),
        Metric::TopKAccuracy { k } => {
            let sparse = losses.first().is_some_and(|loss| loss.loss.takes_classes());
            let class =
                if sparse { "SparseTopKCategoricalAccuracy" } else { "TopKCategoricalAccuracy" };
            (class, json!({"k": k}))
        }
        Metric::RootMeanSquaredError => ("RootMeanSquaredError", json!({})),
        // Keras has no class for these.
        Metric::Loss(Loss::Huber { delta: 1.0 }) => return Ok(json!("huber")),
        Metric::Loss(Loss::Huber { .. }) => {
            return Err("Keras has no metric of a Huber loss whose delta is not 1");
        }
        Metric::Loss(Loss::CosineSimilarity) => {
            return Err("Keras has no metric of the negative cosine");
        }
        Metric::Loss(Loss::LogCosh) => ("LogCoshError", json!({})),
        Metric::Loss(loss) => {
            let (class, config) = formula(loss);
            (class, Value::Object(config))
        }
    };
    Ok(object("keras.metrics", class, config))
}

/// The class of a metric in tf-keras, as its files name it. `None` if Keras has none such.
pub(super) fn metric_class(metric: Metric, settings: &CompileSettings) -> Option<String> {
    let described = self::metric(metric, &settings.losses).ok()?;
    let class = described.get("class_name").and_then(Value::as_str);
    Some(snake_case(class.unwrap_or("MeanMetricWrapper")))
}
