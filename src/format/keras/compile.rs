//! What a model of Keras was compiled with.

use serde_json::Value;

use super::json::{Object, Settings, brief, real, whole};
use super::report::Notice;
use crate::model::{
    Adam, Clipping, CompileSettings, Graph, Loss, Metric, Optimizer, OptimizerRule, OutputLoss,
    RmsProp, Schedule, Sgd,
};

/// Why settings stay behind, in words.
type Reason = String;

/// The compile settings, as far as keepnet has them: `compile_config` of a `.keras` file,
/// `training_config` of an `.h5` file.
pub(super) fn compile(
    config: &Value,
    graph: &Graph,
    notices: &mut Vec<Notice>,
) -> Option<CompileSettings> {
    // Keras 3 writes an empty object for a model that was never compiled.
    config.as_object().filter(|config| config.values().any(|value| !value.is_null()))?;
    let settings = settings(config, graph, notices);
    let settings = settings.and_then(|settings| match settings.check(graph) {
        Ok(()) => Ok(settings),
        Err(error) => Err(error.to_string()),
    });
    match settings {
        Ok(settings) => Some(settings),
        Err(reason) => {
            notices.push(Notice::NotCompiled { reason });
            None
        }
    }
}

fn settings(
    config: &Value,
    graph: &Graph,
    notices: &mut Vec<Notice>,
) -> Result<CompileSettings, Reason> {
    let optimizer = config.get("optimizer").or_else(|| config.get("optimizer_config"));
    let optimizer = optimizer.ok_or("the file names no optimizer")?;
    let optimizer = self::optimizer(optimizer)?;
    let losses = losses(config, graph)?;
    let mut metrics = Vec::new();
    for list in ["metrics", "weighted_metrics"] {
        collect_metrics(config.get(list).unwrap_or(&Value::Null), &mut metrics, notices);
    }
    metrics.dedup();
    Ok(CompileSettings { optimizer, losses, metrics })
}

fn optimizer(value: &Value) -> Result<Optimizer, Reason> {
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
    let (rule, rate, decay) = match class.to_ascii_lowercase().as_str() {
        name @ ("adam" | "adamw") => {
            if flag("amsgrad")? {
                return Err("keepnet has no Adam with `amsgrad`".to_owned());
            }
            let adam = Adam {
                beta_1: number("beta_1", 0.9)?,
                beta_2: number("beta_2", 0.999)?,
                epsilon: number("epsilon", 1e-7)?,
            };
            (OptimizerRule::Adam(adam), 0.001, if name == "adamw" { 0.004 } else { 0.0 })
        }
        "sgd" => {
            let (momentum, nesterov) = (number("momentum", 0.0)?, flag("nesterov")?);
            (OptimizerRule::Sgd(Sgd { momentum, nesterov }), 0.01, 0.0)
        }
        "rmsprop" => {
            if flag("centered")? {
                return Err("keepnet has no centred RMSprop".to_owned());
            }
            let rms = RmsProp {
                rho: number("rho", 0.9)?,
                momentum: number("momentum", 0.0)?,
                epsilon: number("epsilon", 1e-7)?,
            };
            (OptimizerRule::RmsProp(rms), 0.001, 0.0)
        }
        _ => return Err(format!("keepnet has no optimizer `{class}`")),
    };
    if number("decay", 0.0)? != 0.0 {
        return Err("keepnet has no `decay` of a learning rate in an optimizer".to_owned());
    }
    if flag("use_ema")? || settings.get("gradient_accumulation_steps").is_some() {
        return Err("keepnet has no averages of weights and no accumulated gradients".to_owned());
    }
    let rates = settings.get("learning_rate").or_else(|| settings.get("lr"));
    let (learning_rate, schedule) = match rates {
        None => (rate, Schedule::Constant),
        Some(value) => match real(value) {
            Some(rate) => (rate, Schedule::Constant),
            None => schedule(value)?,
        },
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
        weight_decay: number("weight_decay", decay)?,
        clipping: clipping.unwrap_or_default(),
    })
}

/// The first learning rate, and what becomes of it.
fn schedule(value: &Value) -> Result<(f64, Schedule), Reason> {
    let object = Object::of(value).ok_or_else(|| format!("a learning rate {}", brief(value)))?;
    let settings = object.settings();
    let unknown = || format!("keepnet has no schedule {} with these settings", object.class);
    let number = |key: &str| settings.get(key).and_then(real);
    let steps = |key: &str| number(key).and_then(whole).filter(|&steps| steps > 0);
    let initial = || number("initial_learning_rate").filter(|rate| *rate > 0.0);
    let found = match object.class {
        "ExponentialDecay" => initial().zip(steps("decay_steps")).zip(number("decay_rate")).map(
            |((rate, steps), decay)| {
                let staircase = settings.flag("staircase", false).unwrap_or(false);
                (rate, Schedule::Exponential { steps, rate: decay, staircase })
            },
        ),
        "CosineDecay" if settings.get("warmup_target").is_none() => {
            let floor = number("alpha").unwrap_or(0.0);
            initial()
                .zip(steps("decay_steps"))
                .map(|(rate, steps)| (rate, Schedule::Cosine { steps, floor }))
        }
        "PiecewiseConstantDecay" => {
            let list = |key: &str| settings.get(key).and_then(Value::as_array);
            let boundaries = list("boundaries")
                .and_then(|list| list.iter().map(|value| real(value).and_then(whole)).collect());
            let values =
                list("values").and_then(|list| list.iter().map(real).collect::<Option<Vec<f64>>>());
            boundaries.zip(values).and_then(|(boundaries, values)| {
                let (first, rest) = values.split_first()?;
                let factors = rest.iter().map(|value| value / first).collect();
                Some((*first, Schedule::Step { boundaries, factors }))
            })
        }
        _ => None,
    };
    found.ok_or_else(unknown)
}

/// One loss for each output: Keras takes one for all, a list, or a dictionary.
fn losses(config: &Value, graph: &Graph) -> Result<Vec<OutputLoss>, Reason> {
    let outputs = graph.outputs();
    let given =
        config.get("loss").filter(|loss| !loss.is_null()).ok_or("the file names no loss")?;
    let weights = config.get("loss_weights").filter(|weights| !weights.is_null());
    let each = outputs.iter().enumerate().map(|(place, output)| {
        let of = |value: &'_ Value| -> Option<Value> {
            match value {
                Value::Array(list) => list.get(place).cloned(),
                Value::Object(map) if !map.contains_key("class_name") => {
                    map.get(&output.name).cloned()
                }
                value => Some(value.clone()),
            }
        };
        let loss = of(given).ok_or_else(|| format!("output `{}` has no loss", output.name))?;
        let weight = weights.map_or(Some(1.0), |weights| real(&of(weights)?));
        Ok(OutputLoss {
            output: output.name.clone(),
            loss: self::loss(&loss)?,
            weight: weight.ok_or("the weights of the losses are no numbers")?,
        })
    });
    each.collect()
}

fn loss(value: &Value) -> Result<Loss, Reason> {
    let empty = serde_json::Map::new();
    let (name, config) = match (value, Object::of(value)) {
        (Value::String(name), _) => (name.as_str(), &empty),
        (_, Some(object)) => (object.class, object.config),
        // A function: its name stands where settings would.
        _ => (value.get("config").and_then(Value::as_str).unwrap_or_default(), &empty),
    };
    // Losses of a name alone are wrapped by tf-keras.
    let name = match (name, config.get("fn").and_then(Value::as_str)) {
        ("LossFunctionWrapper", Some(function)) => function,
        _ => name,
    };
    let plain = name.replace('_', "").to_ascii_lowercase();
    let settings = Settings::new(name, None, config);
    let logits = settings.flag("from_logits", false).map_err(|error| error.to_string())?;
    if settings.real("label_smoothing", 0.0).map_err(|error| error.to_string())? != 0.0 {
        return Err("keepnet has no `label_smoothing`".to_owned());
    }
    Ok(match (plain.as_str(), logits) {
        ("sparsecategoricalcrossentropy", false) => Loss::SparseCategoricalCrossentropy,
        ("sparsecategoricalcrossentropy", true) => Loss::SparseCategoricalCrossentropyWithLogits,
        ("categoricalcrossentropy", false) => Loss::CategoricalCrossentropy,
        ("categoricalcrossentropy", true) => Loss::CategoricalCrossentropyWithLogits,
        ("binarycrossentropy", false) => Loss::BinaryCrossentropy,
        ("binarycrossentropy", true) => Loss::BinaryCrossentropyWithLogits,
        ("mse" | "meansquarederror", _) => Loss::MeanSquaredError,
        ("mae" | "meanabsoluteerror", _) => Loss::MeanAbsoluteError,
        _ => return Err(format!("keepnet has no loss `{name}`")),
    })
}

fn collect_metrics(value: &Value, metrics: &mut Vec<Metric>, notices: &mut Vec<Notice>) {
    let object = Object::of(value);
    let name = match (value, &object) {
        (Value::Null, _) => return,
        (Value::Array(values), _) => {
            return values.iter().for_each(|value| collect_metrics(value, metrics, notices));
        }
        (Value::String(name), _) => name.as_str(),
        (_, Some(object)) => {
            let function = object.config.get("fn").and_then(Value::as_str);
            function.unwrap_or(object.class)
        }
        (Value::Object(map), None) => {
            return map.values().for_each(|value| collect_metrics(value, metrics, notices));
        }
        _ => return,
    };
    let plain = name.replace('_', "").to_ascii_lowercase();
    let k = object.as_ref().and_then(|object| object.config.get("k")).and_then(Value::as_u64);
    match plain.as_str() {
        "acc"
        | "accuracy"
        | "categoricalaccuracy"
        | "sparsecategoricalaccuracy"
        | "binaryaccuracy" => metrics.push(Metric::Accuracy),
        "topkcategoricalaccuracy" | "sparsetopkcategoricalaccuracy" => {
            let k = usize::try_from(k.unwrap_or(5)).unwrap_or(usize::MAX);
            metrics.push(Metric::TopKAccuracy { k });
        }
        _ => notices.push(Notice::NoMetric { name: name.to_owned() }),
    }
}
