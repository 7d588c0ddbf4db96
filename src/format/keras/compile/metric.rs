//! Metrics of Keras, by the names and classes that it gives them. keepnet reports them for the first
//! output.

use serde_json::Value;

use super::loss;
use crate::format::keras::json::{Object, real, whole};
use crate::format::report::Notice;
use crate::model::settings::check_metric;
use crate::model::{Graph, Loss, Metric, OutputLoss};

/// The metrics that keepnet has; of the others it says so.
pub(super) fn metrics(
    config: &Value,
    graph: &Graph,
    losses: &[OutputLoss],
    notices: &mut Vec<Notice>,
) -> Vec<Metric> {
    let mut found = Vec::new();
    for list in ["metrics", "weighted_metrics"] {
        let list = config.get(list).unwrap_or(&Value::Null);
        for (value, is_first) in by_output(list, graph) {
            if !is_first {
                notices.push(Notice::MetricElsewhere { name: name(value).to_owned() });
                continue;
            }
            let metric = metric(value, graph, losses);
            match metric.filter(|&metric| check_metric(metric, losses).is_ok()) {
                Some(metric) if found.contains(&metric) => {}
                Some(metric) => found.push(metric),
                None => notices.push(Notice::NoMetric { name: name(value).to_owned() }),
            }
        }
    }
    found
}

/// All metrics, and whether they are of the first output: Keras takes a list for all, or by the outputs'
/// places or names.
fn by_output<'j>(value: &'j Value, graph: &Graph) -> Vec<(&'j Value, bool)> {
    let outputs = graph.outputs();
    let several = outputs.len() > 1;
    let first = outputs.first().map(|output| &output.name);
    let groups: Vec<(&Value, bool)> = match value {
        Value::Array(values) if several && values.len() == outputs.len() => {
            values.iter().enumerate().map(|(place, value)| (value, place == 0)).collect()
        }
        Value::Object(map) if several && !map.contains_key("class_name") => {
            map.iter().map(|(output, value)| (value, Some(output) == first)).collect()
        }
        value => vec![(value, true)],
    };
    let mut found = Vec::new();
    for (value, is_first) in groups {
        each(value, &mut |value| found.push((value, is_first)));
    }
    found
}

/// Every metric in lists and dictionaries.
fn each<'j>(value: &'j Value, visit: &mut impl FnMut(&'j Value)) {
    match value {
        Value::Null => {}
        Value::Array(values) => values.iter().for_each(|value| each(value, visit)),
        Value::Object(map) if !map.contains_key("class_name") => {
            map.values().for_each(|value| each(value, visit));
        }
        value => visit(value),
    }
}

fn name(value: &Value) -> &str {
    match (value, Object::of(value)) {
        (_, Some(object)) => {
            object.config.get("fn").and_then(Value::as_str).unwrap_or(object.class)
        }
        // A function: its name stands where settings would.
        (Value::Object(map), None) => map.get("config").and_then(Value::as_str).unwrap_or_default(),
        (value, None) => value.as_str().unwrap_or_default(),
    }
}

fn metric(value: &Value, graph: &Graph, losses: &[OutputLoss]) -> Option<Metric> {
    let shape = graph.shape(graph.outputs().first()?.node);
    let setting =
        |key: &str| Object::of(value).and_then(|object| object.config.get(key).and_then(real));
    // As keepnet judges accuracy: each output for itself, or the largest of them.
    let is_binary = shape.dims().last() == Some(&1)
        || losses
            .first()
            .is_some_and(|of| of.loss.with_logits() == Loss::BinaryCrossentropyWithLogits);
    match name(value).replace('_', "").to_ascii_lowercase().as_str() {
        "acc" | "accuracy" => Some(Metric::Accuracy),
        "binaryaccuracy" => {
            let is_usual =
                is_binary && setting("threshold").is_none_or(|threshold| threshold == 0.5);
            is_usual.then_some(Metric::Accuracy)
        }
        "categoricalaccuracy" | "sparsecategoricalaccuracy" => {
            (!is_binary).then_some(Metric::Accuracy)
        }
        "topkcategoricalaccuracy" | "sparsetopkcategoricalaccuracy" => {
            let k = setting("k").map_or(Some(5), whole)?;
            let k = usize::try_from(k).unwrap_or(usize::MAX);
            (!is_binary).then_some(Metric::TopKAccuracy { k })
        }
        "rootmeansquarederror" => Some(Metric::RootMeanSquaredError),
        _ => match loss::named(value, shape.rank()).ok()? {
            // The class has no minus sign, the function has one.
            loss::Named { loss: Loss::CosineSimilarity, .. } => None,
            loss::Named { loss, label_smoothing: 0.0 } => Some(Metric::Loss(loss)),
            loss::Named { .. } => None,
        },
    }
}
