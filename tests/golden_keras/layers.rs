//! Single layers: outputs, gradients of inputs and parameters, moving averages.

use std::collections::BTreeMap;

use keepnet::{
    BatchNormalization, ChannelRescaling, Conv2d, Dense, GlobalPool2d, LayerNormalization,
    LayerSpec, Normalization, NormalizationStatistics, PRelu, Padding, Pool2d, PoolKind, Softmax,
};
use serde_json::Value;

use crate::read::{assert_close, json, list, number, numbers, shape, tensor, text, whole};
use crate::step::Probed;
use crate::{OUTPUT, VARIABLE};

/// Height, width; Keras' default where the key is left out.
fn pair(layer: &Value, key: &str) -> [usize; 2] {
    match layer.get(key) {
        Some(value) => [whole(&value[0]), whole(&value[1])],
        None => [1, 1],
    }
}

fn padding(layer: &Value) -> Padding {
    match layer.get("padding").map(text) {
        None | Some("valid") => Padding::Valid,
        Some("same") => Padding::Same,
        Some(other) => panic!("padding {other}"),
    }
}

/// The layer that Keras' class and arguments mean, for inputs of so many channels.
fn spec(layer: &Value, channels: usize) -> LayerSpec {
    let flag = |key: &str| layer.get(key).and_then(Value::as_bool).unwrap_or(true);
    let count = |key: &str| layer.get(key).map_or(1, whole);
    let conv = |filters: usize, groups: usize| {
        LayerSpec::from(Conv2d {
            kernel: pair(layer, "kernel_size"),
            strides: pair(layer, "strides"),
            padding: padding(layer),
            dilation: pair(layer, "dilation_rate"),
            groups,
            use_bias: flag("use_bias"),
            ..Conv2d::new(filters, 1)
        })
    };
    let pool = |kind| {
        let (pool, strides) = (pair(layer, "pool_size"), pair(layer, "strides"));
        LayerSpec::from(Pool2d { kind, pool, strides, padding: padding(layer) })
    };
    let global = |kind| LayerSpec::from(GlobalPool2d { kind, keep_dims: false });
    match text(&layer["class"]) {
        "Conv2D" => conv(count("filters"), count("groups")),
        "DepthwiseConv2D" => conv(channels * count("depth_multiplier"), channels),
        "MaxPooling2D" => pool(PoolKind::Max),
        "AveragePooling2D" => pool(PoolKind::Average),
        "GlobalMaxPooling2D" => global(PoolKind::Max),
        "GlobalAveragePooling2D" => global(PoolKind::Average),
        "ZeroPadding2D" => {
            let [rows, columns] = [&layer["padding"][0], &layer["padding"][1]];
            let sides = [&rows[0], &rows[1], &columns[0], &columns[1]];
            LayerSpec::ZeroPadding2d(sides.map(whole))
        }
        "Dense" => Dense::new(count("units")).into(),
        "BatchNormalization" => BatchNormalization {
            momentum: number(&layer["momentum"]),
            epsilon: number(&layer["epsilon"]),
            center: flag("center"),
            scale: flag("scale"),
        }
        .into(),
        "LayerNormalization" => LayerNormalization {
            trailing_axes: layer.get("axis").map_or(1, |axes| list(axes).len()),
            epsilon: layer.get("epsilon").map_or(0.001, number),
            center: flag("center"),
            scale: flag("scale"),
        }
        .into(),
        "Normalization" => normalization(layer).into(),
        "PReLU" => {
            let shared = layer.get("shared_axes").map(list).unwrap_or_default();
            PRelu { shared_axes: shared.iter().map(whole).collect(), ..PRelu::default() }.into()
        }
        "Softmax" => Softmax { axis: layer.get("axis").map_or(-1, axis) }.into(),
        "Rescaling" => {
            ChannelRescaling { scale: numbers(&layer["scale"]), offset: numbers(&layer["offset"]) }
                .into()
        }
        "Identity" => LayerSpec::Identity,
        other => panic!("no layer of class {other}"),
    }
}

fn axis(value: &Value) -> i32 {
    number(value) as i32
}

fn normalization(layer: &Value) -> Normalization {
    let axes = match layer.get("axis") {
        None => vec![-1],
        Some(Value::Null) => Vec::new(),
        Some(axes) => list(axes).iter().map(axis).collect(),
    };
    let given = |key: &str| match layer.get(key)? {
        one if one.is_number() => Some(vec![number(one)]),
        several => Some(numbers(several)),
    };
    let statistics = match (given("mean"), given("variance")) {
        (Some(mean), Some(variance)) => NormalizationStatistics::Given { mean, variance },
        _ => NormalizationStatistics::Stored,
    };
    let invert = layer.get("invert").and_then(Value::as_bool).unwrap_or(false);
    Normalization { axes, statistics, invert }
}

fn check(case: &Value) {
    let name = text(&case["name"]);
    let dims = shape(&case["input"]);
    let spec = spec(&case["layer"], dims[dims.len() - 1]);
    let normalizes = matches!(spec, LayerSpec::BatchNormalization(_));
    let by_batch = case["training"].as_bool() == Some(true);
    let probed = Probed::new(&dims, spec);
    let own = case["parameters"].as_object().expect("parameters by name");
    let names: Vec<String> = own.keys().map(|key| format!("it/{key}")).collect();
    let mut parameters: BTreeMap<&str, Vec<f32>> =
        names.iter().map(String::as_str).zip(own.values().map(tensor)).collect();
    parameters.insert("x/kernel", tensor(&case["input"]));
    let model = || {
        let mut model = probed.model(&parameters);
        // A frozen layer trains as it is used: by the moving averages.
        model.set_trainable("it", !normalizes || by_batch).expect("a layer");
        model
    };
    let expected = numbers(&case["output"]["values"]);
    if !by_batch {
        let used = model().predict(&probed.inputs()).expect("one input, one output");
        let what = format!("{name}, output in use");
        assert_close(&what, used.as_slice().expect("row-major"), &expected, OUTPUT);
    }
    let mut trained = model();
    let output = probed.output(&mut trained);
    assert_close(&format!("{name}, output in training"), &output, &expected, OUTPUT);
    if let Some(after) = case.get("after") {
        for (key, values) in after.as_object().expect("moving averages by name") {
            let found = trained.parameter(&format!("it/{key}")).expect("a moving average");
            assert_close(&format!("{name}, {key}"), found, &numbers(&values["values"]), VARIABLE);
        }
    }
    let dy = tensor(&case["output_gradient"]);
    let gradients = probed.gradients(&mut model(), &output, &dy);
    for (key, expected) in case["gradients"].as_object().expect("gradients by name") {
        let found = match key.as_str() {
            "input" => &gradients["x/kernel"],
            // Keras has gradients of what a layer in use could learn; a frozen layer has none.
            _ if normalizes && !by_batch => continue,
            key => &gradients[&format!("it/{key}")],
        };
        let what = format!("{name}, gradient of {key}");
        assert_close(&what, found, &numbers(&expected["values"]), VARIABLE);
    }
}

#[test]
fn single_layers() {
    let file = json("layers.float32.json");
    let cases = list(&file["cases"]);
    assert_eq!(cases.len(), 41);
    cases.iter().for_each(check);
}

#[test]
fn layers_that_normalize() {
    let file = json("norms.float32.json");
    let cases = list(&file["cases"]);
    assert_eq!(cases.len(), 19);
    cases.iter().for_each(check);
}
