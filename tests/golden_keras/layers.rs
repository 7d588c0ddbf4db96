//! Single layers: outputs, gradients of inputs and parameters, moving averages.

use std::collections::BTreeMap;

use keepnet::{
    Arrange, BatchNormalization, ChannelRescaling, Conv1d, Conv2d, Conv2dTranspose, Dense,
    DepthwiseConv2d, GlobalPool1d, GlobalPool2d, LayerNormalization, LayerSpec, Merge,
    Normalization, NormalizationStatistics, PRelu, Padding, Padding1d, Pool1d, Pool2d, PoolKind,
    SeparableConv2d, Softmax,
};
use serde_json::Value;

use crate::read::{assert_close, json, list, number, numbers, shape, tensor, text, whole};
use crate::step::{Probed, input_name};
use crate::{OUTPUT, VARIABLE};

/// Height, width; Keras' default where the key is left out.
fn pair(layer: &Value, key: &str) -> [usize; 2] {
    match layer.get(key) {
        Some(value) if value.is_array() => [whole(&value[0]), whole(&value[1])],
        _ => [1, 1],
    }
}

fn padding(layer: &Value) -> Padding {
    match layer.get("padding").map(text) {
        None | Some("valid") => Padding::Valid,
        Some("same") => Padding::Same,
        Some(other) => panic!("padding {other}"),
    }
}

fn padding1d(layer: &Value) -> Padding1d {
    match layer.get("padding").map(text) {
        None | Some("valid") => Padding1d::Valid,
        Some("same") => Padding1d::Same,
        Some("causal") => Padding1d::Causal,
        Some(other) => panic!("padding {other}"),
    }
}

/// Before and after, of two axes.
fn sides(value: &Value) -> [usize; 4] {
    [&value[0][0], &value[0][1], &value[1][0], &value[1][1]].map(whole)
}

/// The layer that moves values which Keras' class and arguments mean.
fn arrange(layer: &Value) -> Arrange {
    match text(&layer["class"]) {
        "Permute" => Arrange::Permute { dims: list(&layer["dims"]).iter().map(whole).collect() },
        "Cropping1D" => Arrange::Cropping1d(pair(layer, "cropping")),
        "Cropping2D" => Arrange::Cropping2d(sides(&layer["cropping"])),
        "ZeroPadding1D" => Arrange::ZeroPadding1d(pair(layer, "padding")),
        "ZeroPadding2D" => Arrange::ZeroPadding2d(sides(&layer["padding"])),
        "UpSampling1D" => Arrange::UpSampling1d { size: whole(&layer["size"]) },
        "UpSampling2D" => Arrange::UpSampling2d { size: pair(layer, "size") },
        "RepeatVector" => Arrange::RepeatVector { n: whole(&layer["n"]) },
        other => panic!("no layer of class {other}"),
    }
}

/// The layer that Keras' class and arguments mean.
fn spec(layer: &Value) -> LayerSpec {
    let flag = |key: &str| layer.get(key).and_then(Value::as_bool).unwrap_or(true);
    let count = |key: &str| layer.get(key).map_or(1, whole);
    let (kernel, strides) = (pair(layer, "kernel_size"), pair(layer, "strides"));
    let (dilation, use_bias) = (pair(layer, "dilation_rate"), flag("use_bias"));
    let depth_multiplier = count("depth_multiplier");
    let pool = |kind| {
        let pool = pair(layer, "pool_size");
        LayerSpec::from(Pool2d { kind, pool, strides, padding: padding(layer) })
    };
    let pool1d = |kind| {
        let (pool, strides) = (count("pool_size"), count("strides"));
        LayerSpec::from(Pool1d { kind, pool, strides, padding: padding1d(layer) })
    };
    let global = |kind| LayerSpec::from(GlobalPool2d { kind, keep_dims: false });
    let global1d = |kind| LayerSpec::from(GlobalPool1d { kind, keep_dims: false });
    match text(&layer["class"]) {
        "Conv1D" => Conv1d {
            kernel: count("kernel_size"),
            strides: count("strides"),
            padding: padding1d(layer),
            dilation: count("dilation_rate"),
            groups: count("groups"),
            use_bias,
            ..Conv1d::new(count("filters"), 1)
        }
        .into(),
        "Conv2D" => Conv2d {
            kernel,
            strides,
            padding: padding(layer),
            dilation,
            groups: count("groups"),
            use_bias,
            ..Conv2d::new(count("filters"), 1)
        }
        .into(),
        "DepthwiseConv2D" => DepthwiseConv2d {
            depth_multiplier,
            kernel,
            strides,
            padding: padding(layer),
            dilation,
            use_bias,
            ..DepthwiseConv2d::new(1)
        }
        .into(),
        "SeparableConv2D" => SeparableConv2d {
            depth_multiplier,
            kernel,
            strides,
            padding: padding(layer),
            dilation,
            use_bias,
            ..SeparableConv2d::new(count("filters"), 1)
        }
        .into(),
        "Conv2DTranspose" => Conv2dTranspose {
            kernel,
            strides,
            padding: padding(layer),
            output_padding: layer.get("output_padding").map(|_| pair(layer, "output_padding")),
            dilation,
            use_bias,
            ..Conv2dTranspose::new(count("filters"), 1)
        }
        .into(),
        "MaxPooling1D" => pool1d(PoolKind::Max),
        "AveragePooling1D" => pool1d(PoolKind::Average),
        "GlobalMaxPooling1D" => global1d(PoolKind::Max),
        "GlobalAveragePooling1D" => global1d(PoolKind::Average),
        "MaxPooling2D" => pool(PoolKind::Max),
        "AveragePooling2D" => pool(PoolKind::Average),
        "GlobalMaxPooling2D" => global(PoolKind::Max),
        "GlobalAveragePooling2D" => global(PoolKind::Average),
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
            ..LayerNormalization::default()
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
        _ => arrange(layer).into(),
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
    let spec = spec(&case["layer"]);
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
fn more_layers() {
    let file = json("more_layers.float32.json");
    let cases = list(&file["cases"]);
    assert_eq!(cases.len(), 36);
    cases.iter().for_each(check);
}

fn check_merge(case: &Value) {
    let name = text(&case["name"]);
    let merge = match text(&case["layer"]["class"]) {
        "Subtract" => Merge::Subtract,
        "Multiply" => Merge::Multiply,
        "Average" => Merge::Average,
        "Maximum" => Merge::Maximum,
        "Minimum" => Merge::Minimum,
        other => panic!("no layer of class {other}"),
    };
    let inputs = list(&case["inputs"]);
    let probed = Probed::of_several(&shape(&inputs[0]), inputs.len(), merge);
    let names: Vec<String> =
        (0..inputs.len()).map(|number| format!("{}/kernel", input_name(number))).collect();
    let parameters: BTreeMap<&str, Vec<f32>> =
        names.iter().map(String::as_str).zip(inputs.iter().map(tensor)).collect();
    let output = probed.output(&mut probed.model(&parameters));
    assert_close(name, &output, &numbers(&case["output"]["values"]), OUTPUT);
    let dy = tensor(&case["output_gradient"]);
    let gradients = probed.gradients(&mut probed.model(&parameters), &output, &dy);
    for (input, expected) in names.iter().zip(list(&case["gradients"])) {
        let what = format!("{name}, gradient of {input}");
        assert_close(&what, &gradients[input], &numbers(&expected["values"]), VARIABLE);
    }
}

#[test]
fn merges() {
    let file = json("more_layers.float32.json");
    let cases = list(&file["merges"]);
    assert_eq!(cases.len(), 11);
    cases.iter().for_each(check_merge);
}

#[test]
fn layers_that_normalize() {
    let file = json("norms.float32.json");
    let cases = list(&file["cases"]);
    assert_eq!(cases.len(), 19);
    cases.iter().for_each(check);
}
