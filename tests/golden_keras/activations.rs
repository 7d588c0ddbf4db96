//! Activations: values and slopes at single points, and softmax with its gradient.

use std::collections::BTreeMap;

use keepnet::Activation;
use serde_json::Value;

use crate::read::{assert_close, json, list, number, numbers, shape, tensor, text};
use crate::step::Probed;
use crate::{OUTPUT, VARIABLE};

fn activation(settings: &Value) -> Activation {
    match text(&settings["class"]) {
        "relu" => Activation::Relu,
        "relu6" => Activation::Relu6,
        "leaky_relu" => {
            Activation::LeakyRelu { negative_slope: number(&settings["negative_slope"]) }
        }
        "elu" => Activation::Elu { alpha: number(&settings["alpha"]) },
        "selu" => Activation::Selu,
        "gelu" => Activation::Gelu,
        "silu" => Activation::Silu,
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "softplus" => Activation::Softplus,
        "clipped_relu" => Activation::ClippedRelu {
            max_value: settings["max_value"].as_f64().unwrap_or(f64::INFINITY),
            negative_slope: number(&settings["negative_slope"]),
            threshold: number(&settings["threshold"]),
        },
        "exponential" => Activation::Exponential,
        "softsign" => Activation::Softsign,
        "hard_sigmoid" => Activation::HardSigmoid,
        "hard_sigmoid_keras2" => Activation::HardSigmoidKeras2,
        "hard_silu" => Activation::HardSilu,
        "hard_tanh" => Activation::HardTanh,
        "mish" => Activation::Mish,
        "log_sigmoid" => Activation::LogSigmoid,
        "celu" => Activation::Celu { alpha: number(&settings["alpha"]) },
        "gelu_tanh" => Activation::GeluTanh,
        "soft_shrink" => Activation::SoftShrink { threshold: number(&settings["threshold"]) },
        "hard_shrink" => Activation::HardShrink { threshold: number(&settings["threshold"]) },
        "tanh_shrink" => Activation::TanhShrink,
        "squareplus" => Activation::Squareplus { b: number(&settings["b"]) },
        "sparse_plus" => Activation::SparsePlus,
        "sparse_sigmoid" => Activation::SparseSigmoid,
        "threshold" => Activation::Threshold {
            threshold: number(&settings["threshold"]),
            value: number(&settings["value"]),
        },
        other => panic!("no activation {other}"),
    }
}

/// Allowed of one value of an activation or of its slope, relative to itself: 16 roundings of f32.
const ACTIVATION: f64 = 1e-6;
/// Allowed beside that of a value: nothing but in the tail of gelu, whose exponent magnifies
/// roundings.
const TAIL: f64 = 1e-15;
/// The same of functions whose terms cancel, or whose tail falls off more slowly: near 0 of
/// tanh_shrink, near −2.5 of hard_sigmoid, left of 0 of gelu's approximation.
const CANCELLED: f64 = 1e-7;
/// Allowed beside that of a slope: of sigmoid and tanh it is computed from values near 1, whose rounding
/// it carries; in that of gelu and silu terms cancel.
const SLOPE: f64 = 1e-7;

#[track_caller]
fn assert_each(what: &str, points: &[f32], found: &[f32], expected: &[f64], beside: f64) {
    assert_eq!([found.len(), points.len()], [expected.len(); 2]);
    for ((point, &found), &expected) in points.iter().zip(found).zip(expected) {
        let error = (f64::from(found) - expected).abs();
        let allowed = ACTIVATION * expected.abs() + beside;
        assert!(error <= allowed, "{what} at {point}: {found}, Keras has {expected}");
    }
}

#[test]
fn activations() {
    let file = json("activations.float64.json");
    let points = tensor(&serde_json::json!({"values": file["points"]}));
    let cases = list(&file["elementwise"]);
    assert_eq!(cases.len(), 33);
    for case in cases {
        let function = activation(&case["activation"]);
        let probed = Probed::new(&[points.len(), 1], function);
        let parameters = BTreeMap::from([("x/kernel", points.clone())]);
        let output = probed.output(&mut probed.model(&parameters));
        let beside = match function {
            Activation::TanhShrink | Activation::HardSigmoidKeras2 | Activation::GeluTanh => {
                CANCELLED
            }
            _ => TAIL,
        };
        assert_each(&format!("{function:?}"), &points, &output, &numbers(&case["values"]), beside);
        let ones = vec![1.0; points.len()];
        let gradients = probed.gradients(&mut probed.model(&parameters), &output, &ones);
        let what = format!("derivative of {function:?}");
        let mut expected = numbers(&case["derivatives"]);
        if matches!(function, Activation::Celu { .. }) {
            // Where its two terms meet, Keras counts both slopes of 1.
            let zero = points.iter().position(|&point| point == 0.0).expect("one of the points");
            assert_eq!(std::mem::replace(&mut expected[zero], 1.0), 2.0);
        }
        // Beside a large value the probe's gradient of 1 is lost in rounding.
        let small = output.iter().take_while(|value| value.abs() < 4096.0).count();
        let found = &gradients["x/kernel"][..small];
        assert_each(&what, &points[..small], found, &expected[..small], SLOPE);
    }
    for (name, function) in
        [("softmax", Activation::Softmax), ("log_softmax", Activation::LogSoftmax)]
    {
        for case in list(&file[name]) {
            let probed = Probed::new(&shape(&case["input"]), function);
            let parameters = BTreeMap::from([("x/kernel", tensor(&case["input"]))]);
            let output = probed.output(&mut probed.model(&parameters));
            assert_close(name, &output, &numbers(&case["output"]["values"]), OUTPUT);
            let dy = tensor(&case["output_gradient"]);
            let gradients = probed.gradients(&mut probed.model(&parameters), &output, &dy);
            let expected = numbers(&case["gradient"]["values"]);
            let what = format!("gradient of {name}");
            assert_close(&what, &gradients["x/kernel"], &expected, VARIABLE);
        }
    }
}
