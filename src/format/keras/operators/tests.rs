//! What is taken of the operators of TensorFlow, and what is refused.

use serde_json::{Value, json};

use super::super::build::build;
use super::super::error::KerasError;
use super::super::layers::Dialect;
use super::super::network::Network;
use crate::format::LoadOptions;
use crate::tensor::Shape;

/// The shape that a function of TensorFlow gives of images of shape (2, 3, 4).
fn of_tensorflow(function: &str, arguments: &Value) -> Result<Shape, KerasError> {
    let input = json!({"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
        "config": {"batch_input_shape": [null, 2, 3, 4]}});
    let operator = json!({"class_name": "TFOpLambda", "name": "f",
        "config": {"function": function}, "inbound_nodes": [["x", 0, 0, arguments]]});
    let model = json!({"class_name": "Functional", "config": {"layers": [input, operator],
        "input_layers": [["x", 0, 0]], "output_layers": [["f", 0, 0]]}});
    let built = build(&Network::parse(&model)?, Dialect::Keras2, &LoadOptions::default())?;
    let graph = built.graph;
    Ok(graph.shape(graph.outputs()[0].node).clone())
}

#[test]
fn arguments_that_are_not_understood_are_refused() {
    let all = json!({"start": null, "stop": null, "step": null});
    let taken = [
        ("reshape", json!({"shape": [-1, 6, 4]}), vec![6, 4]),
        ("reshape", json!({"shape": [5, -1, 4]}), vec![6, 4]),
        ("expand_dims", json!({"axis": -1}), vec![2, 3, 4, 1]),
        ("math.reduce_mean", json!({"axis": [-2, 1]}), vec![4]),
        ("math.reduce_mean", json!({"axis": [2, 3]}), vec![2]),
        ("nn.silu", json!({"name": "act"}), vec![2, 3, 4]),
        ("math.pow", json!({"y": 3}), vec![2, 3, 4]),
        ("nn.bias_add", json!({"bias": [1.0, 2.0, 3.0, 4.0]}), vec![2, 3, 4]),
        ("__operators__.getitem", json!({"slice_spec": [all, -1, null, all]}), vec![1, 3, 4]),
        (
            "__operators__.getitem",
            json!({"slice_spec": [{"class_name": "__ellipsis__"}, {"start": 1, "stop": -1}]}),
            vec![2, 3, 2],
        ),
    ];
    for (function, arguments, dims) in taken {
        let found = of_tensorflow(function, &arguments);
        assert_eq!(found, Ok(Shape::new(dims)), "{function} {arguments}");
    }
    let refused = [
        ("reshape", json!({"shape": [-1, -1, 4]})),
        ("reshape", json!({"shape": [5, 6, 4]})),
        ("reshape", json!({"shape": [-1, 1.5]})),
        ("compat.v1.transpose", json!({"perm": [1, 0, 2, 3]})),
        ("compat.v1.transpose", json!({})),
        ("expand_dims", json!({"axis": 0})),
        ("math.reduce_mean", json!({"axis": [0, 1, 2]})),
        ("math.reduce_mean", json!({"axis": 2})),
        ("math.reduce_mean", json!({})),
        ("compat.v1.pad", json!({"paddings": [[1, 0], [0, 0], [0, 0], [0, 0]]})),
        ("compat.v1.pad", json!({"paddings": [[0, 0], [1, 1], [0, 0], [0, 0]], "mode": "REFLECT"})),
        ("nn.silu", json!({"beta": 2.0})),
        ("clip_by_value", json!({"clip_value_min": -2.0, "clip_value_max": 6.0})),
        ("math.add", json!({})),
        ("math.add", json!({"y": "Infinity"})),
        ("math.pow", json!({"y": 2.5})),
        ("math.pow", json!({"y": -1})),
        ("nn.bias_add", json!({"bias": [1.0, 2.0], "data_format": "NCHW"})),
        ("__operators__.getitem", json!({"slice_spec": [{"start": 0, "stop": 1}]})),
        (
            "__operators__.getitem",
            json!({"slice_spec": [all, {"start": null, "stop": null, "step": -1}]}),
        ),
        (
            "__operators__.getitem",
            json!({"slice_spec": [all, {"start": 2, "stop": 1, "step": null}]}),
        ),
        ("__operators__.getitem", json!({"slice_spec": [all, 2]})),
        ("__operators__.getitem", json!({"slice_spec": [all, -3]})),
        ("__operators__.getitem", json!({"slice_spec": [all, all, all, all, 0]})),
        ("__operators__.getitem", json!({"slice_spec": [null, all]})),
        ("__operators__.getitem", json!({"slice_spec": [all, "x"]})),
        ("__operators__.getitem", json!({"slice_spec": [all, {}]})),
        ("__operators__.getitem", json!({})),
        ("math.truediv", json!({"y": [[1.0], [2.0]]})),
        ("cast", json!({"dtype": "int32"})),
        ("py_function", json!({})),
        ("", json!({})),
    ];
    for (function, arguments) in refused {
        let found = of_tensorflow(function, &arguments);
        assert!(
            matches!(found, Err(KerasError::Layer { .. })),
            "{function} {arguments}: {found:?}"
        );
    }
}
