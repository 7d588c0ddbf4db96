//! Losses of Keras, by the names and classes that it gives them.

use serde_json::Value;

use super::Reason;
use crate::format::keras::json::{Object, Settings, brief, real};
use crate::model::{Graph, Loss, OutputLoss};

/// One loss for each output: Keras takes one for all, a list, or a dictionary.
pub(super) fn losses(config: &Value, graph: &Graph) -> Result<Vec<OutputLoss>, Reason> {
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
        let Named { loss, label_smoothing } = named(&loss, graph.shape(output.node).rank())?;
        Ok(OutputLoss {
            output: output.name.clone(),
            loss,
            weight: weight.ok_or("the weights of the losses are no numbers")?,
            label_smoothing,
        })
    });
    each.collect()
}

/// A loss, and what Keras does to its targets.
pub(super) struct Named {
    pub(super) loss: Loss,
    pub(super) label_smoothing: f64,
}

/// The loss of an output, or the metric of the same formula. `rank` is that of a sample of the output.
pub(super) fn named(value: &Value, rank: usize) -> Result<Named, Reason> {
    let empty = serde_json::Map::new();
    let (name, config) = match (value, Object::of(value)) {
        (Value::String(name), _) => (name.as_str(), &empty),
        (_, Some(object)) => (object.class, object.config),
        // A function: its name stands where settings would.
        _ => (value.get("config").and_then(Value::as_str).unwrap_or_default(), &empty),
    };
    // Losses of a name alone are wrapped by tf-keras.
    let name = match (name, config.get("fn").and_then(Value::as_str)) {
        ("LossFunctionWrapper" | "MeanMetricWrapper", Some(function)) => function,
        _ => name,
    };
    let settings = Settings::new(name, None, config);
    let number =
        |key: &str, default| settings.real(key, default).map_err(|error| error.to_string());
    let unlike = |key: &str| {
        format!("`{key}` of the loss is {}", settings.get(key).map_or_else(String::new, brief))
    };
    if !matches!(
        settings.text("reduction"),
        Ok(None | Some("sum_over_batch_size" | "auto" | "mean" | "mean_with_sample_weight"))
    ) {
        return Err(format!("{}: keepnet takes the mean over the batch", unlike("reduction")));
    }
    let axis = number("axis", -1.0)?;
    if axis != -1.0 && axis != rank as f64 {
        return Err(format!("{}: keepnet takes the last one", unlike("axis")));
    }
    if settings.get("ignore_class").is_some() {
        return Err(format!("{}: keepnet leaves out no class", unlike("ignore_class")));
    }
    let logits = settings.flag("from_logits", false).map_err(|error| error.to_string())?;
    let loss = match name.replace('_', "").to_ascii_lowercase().as_str() {
        "sparsecategoricalcrossentropy" => Loss::SparseCategoricalCrossentropy,
        "categoricalcrossentropy" => Loss::CategoricalCrossentropy,
        "binarycrossentropy" | "bce" => Loss::BinaryCrossentropy,
        "mse" | "meansquarederror" => Loss::MeanSquaredError,
        "mae" | "meanabsoluteerror" => Loss::MeanAbsoluteError,
        "huber" | "huberloss" => Loss::Huber { delta: number("delta", 1.0)? },
        "logcosh" | "logcosherror" => Loss::LogCosh,
        "kld" | "kldivergence" | "kullbackleiblerdivergence" => Loss::KlDivergence,
        "poisson" => Loss::Poisson,
        "hinge" => Loss::Hinge,
        "squaredhinge" => Loss::SquaredHinge,
        "categoricalhinge" => Loss::CategoricalHinge,
        "mape" | "meanabsolutepercentageerror" => Loss::MeanAbsolutePercentageError,
        "msle" | "meansquaredlogarithmicerror" => Loss::MeanSquaredLogarithmicError,
        "cosinesimilarity" | "cosineproximity" => Loss::CosineSimilarity,
        _ => return Err(format!("keepnet has no loss `{name}`")),
    };
    let loss = if logits { loss.with_logits() } else { loss };
    Ok(Named { loss, label_smoothing: number("label_smoothing", 0.0)? })
}
