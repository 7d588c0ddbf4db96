//! Layers that look like others, and what becomes of them.

use serde_json::{Value, json};

use super::build::{Built, build};
use super::layers::Dialect;
use super::network::Network;
use super::open::Parts;
use super::{Container, KerasError};
use crate::bytes::Budget;
use crate::format::LoadOptions;
use crate::format::report::{Notice, Report};
use crate::model::{Activation, LayerSpec};
use crate::tensor::Tensor;
use crate::wire::hdf5::{Array, Group, Hdf5Error, Node};

/// One layer behind an input of that shape. The model stays in memory to the end: it is small.
fn built(dialect: Dialect, shape: &[usize], layer: Value) -> Result<Built<'static>, KerasError> {
    let batch: Vec<Value> =
        [Value::Null].into_iter().chain(shape.iter().map(|&d| json!(d))).collect();
    let input = json!({"class_name": "InputLayer", "config": {"batch_shape": batch}});
    let model =
        json!({"class_name": "Sequential", "config": {"name": "net", "layers": [input, layer]}});
    let network = Network::parse(Box::leak(Box::new(model)))?;
    build(&network, dialect, &LoadOptions::default())
}

fn of_keras3(shape: &[usize], layer: Value) -> Result<Built<'static>, KerasError> {
    built(Dialect::Keras3, shape, layer)
}

fn specs(built: &Built<'_>) -> Vec<LayerSpec> {
    built.graph.layers().iter().skip(1).map(|layer| layer.spec.clone()).collect()
}

#[test]
fn softmax_of_a_convolution_is_along_the_last_axis_whichever_that_is() {
    for (class, shape, kernel) in
        [("Conv1D", &[3, 9][..], json!([3])), ("Conv2D", &[3, 6, 6], json!([3, 3]))]
    {
        let conv = json!({"class_name": class, "config": {"name": "c", "filters": 4,
            "kernel_size": kernel, "data_format": "channels_first", "activation": "softmax"}});
        let specs = specs(&of_keras3(shape, conv).unwrap());
        assert_eq!(specs.last(), Some(&Activation::Softmax.into()), "{specs:?}");
        let within = specs.iter().take(specs.len() - 1).map(LayerSpec::activation);
        assert!(within.into_iter().all(|it| it == Activation::Linear), "{specs:?}");
    }
}

#[test]
fn numbers_for_another_axis_than_the_channels_are_no_rescaling() {
    let rescaling = |scale: Value| {
        let layer = json!({"class_name": "Rescaling", "config": {"name": "r", "scale": scale}});
        of_keras3(&[3, 3], layer).map(|built| specs(&built).len())
    };
    assert_eq!(rescaling(json!([1.0, 2.0, 3.0])), Ok(1));
    assert_eq!(rescaling(json!([[1.0, 2.0, 3.0]])), Ok(1));
    let refused = rescaling(json!([[1.0], [2.0], [3.0]]));
    assert!(matches!(refused, Err(KerasError::Unsupported { .. })), "{refused:?}");
}

#[test]
fn a_slope_is_read_as_keras_2_0_wrote_it() {
    let layer = json!({"class_name": "LeakyReLU", "config": {"name": "l",
        "alpha": {"type": "ndarray", "value": 0.25}}});
    let specs = specs(&built(Dialect::Keras2, &[3], layer).unwrap());
    assert_eq!(specs, [Activation::LeakyRelu { negative_slope: 0.25 }.into()]);
}

#[test]
fn the_shape_of_noise_is_told_of() {
    let layer = json!({"class_name": "Dropout", "config": {"name": "d", "rate": 0.5,
        "noise_shape": [null, 1, 3]}});
    let notices = of_keras3(&[2, 3], layer).unwrap().notices;
    let told =
        |it: &Notice| matches!(it, Notice::NotCarried { setting, .. } if setting == "noise_shape");
    assert!(notices.iter().any(told), "{notices:?}");
}

#[test]
fn classes_of_ones_own_are_refused_whatever_their_names() {
    let dense = |class: &str, more: Value| {
        let mut layer = json!({"class_name": class, "config": {"name": "d", "units": 3}});
        layer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        of_keras3(&[3], layer).map(|built| specs(&built).len())
    };
    for taken in [
        json!({}),
        json!({"module": "keras.layers", "registered_name": null}),
        json!({"module": null, "registered_name": null}),
        json!({"module": "tf_keras.src.layers.core.dense"}),
    ] {
        assert_eq!(dense("Dense", taken.clone()), Ok(1), "{taken}");
    }
    for (class, refused) in [
        ("Mine>Dense", json!({})),
        ("Dense", json!({"module": null, "registered_name": "Dense"})),
        ("Dense", json!({"module": null, "registered_name": "Mine>Dense"})),
        ("Dense", json!({"module": "mine.layers", "registered_name": null})),
        ("Dense", json!({"module": "kerasy.layers", "registered_name": null})),
    ] {
        let found = dense(class, refused.clone());
        let is_refused = matches!(found, Err(KerasError::Layer { .. } | KerasError::Code { .. }));
        assert!(is_refused, "{refused}: {found:?}");
    }
}

/// A layer or an operator of that configuration, on a tensor and other arguments, as Keras 3 writes it
/// into `.h5`.
fn called(
    dialect: Dialect,
    class: &str,
    config: Value,
    others: &[Value],
    named: Value,
) -> Result<Built<'static>, KerasError> {
    let input = json!({"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
        "config": {"name": "x", "batch_shape": [null, 3, 3, 3]}});
    let tensor =
        json!({"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}});
    let arguments: Vec<_> = [tensor].iter().chain(others).cloned().collect();
    let layer = json!({"class_name": class, "name": "f", "config": config,
        "inbound_nodes": [{"args": arguments, "kwargs": named}]});
    let model = json!({"class_name": "Functional", "config": {"name": "net", "layers": [input, layer],
        "input_layers": [["x", 0, 0]], "output_layers": [["f", 0, 0]]}});
    let network = Network::parse(Box::leak(Box::new(model)))?;
    build(&network, dialect, &LoadOptions::default())
}

#[test]
fn operators_that_share_their_names_with_layers_are_not_taken_for_those() {
    let column = json!({"class_name": "__numpy__", "config": {"value": [[1.0], [2.0], [3.0]]}});
    for (class, config, others) in [
        ("Average", json!({"name": "f", "axis": 1}), vec![]),
        ("Average", json!({"name": "f", "axis": null}), vec![]),
        ("Power", json!({"name": "f"}), vec![json!(2.5)]),
        ("Multiply", json!({"name": "f"}), vec![column]),
        ("Max", json!({"name": "f", "axis": [1, 2], "keepdims": false, "initial": 0.9}), vec![]),
    ] {
        let found = called(Dialect::Keras3, class, config, &others, json!({}));
        let found = found.map(|built| specs(&built));
        assert!(matches!(found, Err(KerasError::Layer { .. })), "{class}: {found:?}");
    }
    let taken = called(Dialect::Keras3, "Multiply", json!({"name": "f"}), &[json!(2.0)], json!({}));
    assert_eq!(taken.map(|built| specs(&built).len()), Ok(1));
}

#[test]
fn a_mode_that_keras_2_keeps_is_told_of() {
    for (dialect, given, told) in [
        (Dialect::Keras2, json!(true), Some(true)),
        (Dialect::Keras2, json!(false), Some(false)),
        (Dialect::Keras2, json!(null), None),
        (Dialect::Keras3, json!(true), None),
    ] {
        let config = json!({"name": "f", "rate": 0.5});
        let built = called(dialect, "Dropout", config, &[], json!({"training": given})).unwrap();
        let found = built.notices.iter().find_map(|notice| match notice {
            Notice::FixedMode { training, .. } => Some(*training),
            _ => None,
        });
        assert_eq!(found, told, "{dialect:?} {given}");
    }
}

#[test]
fn what_is_beyond_keepnet_is_not_called_damaged() {
    let dense = |more: Value| {
        let mut layer = json!({"class_name": "Dense", "config": {"name": "d", "units": 3}});
        layer["config"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        of_keras3(&[3], layer).map(|built| specs(&built).len())
    };
    // As Keras 3.15 writes them.
    let policy = |class, mode| json!({"dtype": {"class_name": class, "config": {"mode": mode}}});
    for quantized in [
        policy("QuantizedDTypePolicy", "int8"),
        policy("Int4DTypePolicy", "int4/128"),
        policy("QuantizedFloat8DTypePolicy", "float8"),
        json!({"dtype": "int8_from_float32"}),
    ] {
        let error = dense(quantized.clone()).unwrap_err();
        assert!(error.to_string().contains("quantized"), "{quantized}: {error}");
        assert!(!error.is_corrupt(), "{error}");
    }
    let plain = json!({"dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}}});
    assert_eq!(dense(plain), Ok(1));
    assert_eq!(dense(json!({"dtype": "mixed_float16", "lora_rank": 2})), Ok(1));
    for layer in [
        json!({"class_name": "Dense", "config": {"name": "d", "output_dim": 3}}),
        json!({"class_name": "Convolution2D",
            "config": {"name": "c", "nb_filter": 3, "nb_row": 3, "nb_col": 3}}),
    ] {
        let error = built(Dialect::Keras2, &[9, 9, 3], layer).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("is of Keras 1"), "{error}");
        assert!(!error.is_corrupt(), "{error}");
    }
}

/// Loads a model of one convolution from an `.h5` file in which these weights stand.
fn loaded(backend: &str, weights: &[(&str, Node<'static>)]) -> Result<Report, KerasError> {
    let layers = json!([
        {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [null, 2, 1]}},
        {"class_name": "Conv1D",
            "config": {"name": "c", "filters": 1, "kernel_size": [1], "use_bias": false}},
    ]);
    let config = json!({"class_name": "Sequential", "config": {"name": "n", "layers": layers}});
    let sgd = json!({"class_name": "SGD", "config": {"momentum": 0.9, "learning_rate": 0.1}});
    let compile = json!({"optimizer_config": sgd, "loss": "mse"});
    let group = |attribute: &str, names: &[&str]| {
        let names = Array::texts(names.iter().map(|&name| name.to_owned()).collect());
        Group { attributes: [(attribute.to_owned(), names)].into(), ..Group::default() }
    };
    let names: Vec<&str> = weights.iter().map(|(name, _)| *name).collect();
    let mut layer = group("weight_names", &names);
    layer.members.extend(weights.iter().map(|(name, node)| ((*name).to_owned(), node.clone())));
    let mut all = group("layer_names", &["c"]);
    all.members.insert("c".to_owned(), Node::Group(layer));
    let mut root = Group::default();
    root.attributes.insert("backend".to_owned(), Array::text(backend));
    root.members.insert("model_weights".to_owned(), Node::Group(all));
    root.members.insert("optimizer_weights".to_owned(), Node::Refused(refusal()));
    let parts = Parts {
        container: Container::Hdf5,
        texts: Vec::new(),
        config: Some(&config),
        compile: Some(&compile),
        version: Some("2.2.4"),
        root: &root,
    };
    parts.load(&LoadOptions::default(), &mut Budget::new(1 << 20)).map(|loaded| loaded.report)
}

fn kernel() -> Node<'static> {
    Node::Dataset(Tensor::from_f32([1, 1, 1], &[2.0]).unwrap().into_owned().into())
}

fn refusal() -> Hdf5Error {
    Hdf5Error::Link { kind: "a soft link" }
}

#[test]
fn kernels_of_theano_are_told_of() {
    for (backend, told) in [("theano", true), ("tensorflow", false)] {
        let notices = loaded(backend, &[("kernel", kernel())]).unwrap().notices;
        assert_eq!(notices.contains(&Notice::KernelsOfTheano), told, "{backend}: {notices:?}");
    }
}

#[test]
fn what_hdf5_refuses_is_told_where_it_is_asked_for() {
    let error = loaded("tensorflow", &[("kernel", Node::Refused(refusal()))]).unwrap_err();
    assert_eq!(error, KerasError::Hdf5(refusal()));
    let notices = loaded("tensorflow", &[("kernel", kernel())]).unwrap().notices;
    assert_eq!(notices, [Notice::NoOptimizerState { reason: refusal().to_string() }]);
}

#[test]
fn factors_beside_a_kernel_are_named() {
    let weights = [("c/kernel", kernel()), ("c/lora_kernel_a", kernel())];
    let error = loaded("tensorflow", &weights).unwrap_err();
    let (layer, weight) = ("c".to_owned(), "c/lora_kernel_a".to_owned());
    assert_eq!(error, KerasError::LoRa { layer, weight });
    assert!(!error.is_corrupt());
}

#[test]
fn metrics_of_other_outputs_are_not_called_unknown() {
    let input = json!({"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
        "config": {"name": "x", "batch_shape": [null, 3]}});
    let dense = |name: &str| {
        json!({"class_name": "Dense", "name": name, "config": {"name": name, "units": 2},
            "inbound_nodes": [[["x", 0, 0, {}]]]})
    };
    let layers = [input, dense("a"), dense("b")];
    let model = json!({"class_name": "Functional", "config": {"name": "net", "layers": layers,
        "input_layers": [["x", 0, 0]], "output_layers": [["a", 0, 0], ["b", 0, 0]]}});
    let network = Network::parse(&model).unwrap();
    let graph = build(&network, Dialect::Keras2, &LoadOptions::default()).unwrap().graph;
    let compile = json!({"optimizer_config": {"class_name": "SGD", "config": {}}, "loss": "mse",
        "metrics": [["mae", "mine"], ["mae"]]});
    let mut notices = Vec::new();
    super::compile::compile(&compile, &graph, &mut notices).unwrap();
    assert_eq!(
        notices,
        [
            Notice::NoMetric { name: "mine".to_owned() },
            Notice::MetricElsewhere { name: "mae".to_owned() },
        ]
    );
}
