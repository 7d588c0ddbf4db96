//! Losses: values and gradients, from probabilities, from logits, and through an output layer.

use keepnet::{Activation, Dataset, Dense, Loss, Samples, Sequential, Targets};
use serde_json::Value;

use crate::read::{assert_close, assert_number, json, list, number, numbers, shape, tensor, text};
use crate::step::{gradients, unit_vectors};
use crate::{LOSS, VARIABLE};

fn loss(case: &Value) -> (Loss, Activation) {
    let logits = text(&case["form"]) == "logits";
    let (loss, last) = match (text(&case["loss"]), logits) {
        ("sparse_categorical_crossentropy", false) => {
            (Loss::SparseCategoricalCrossentropy, Activation::Softmax)
        }
        ("sparse_categorical_crossentropy", true) => {
            (Loss::SparseCategoricalCrossentropyWithLogits, Activation::Linear)
        }
        ("categorical_crossentropy", false) => (Loss::CategoricalCrossentropy, Activation::Softmax),
        ("categorical_crossentropy", true) => {
            (Loss::CategoricalCrossentropyWithLogits, Activation::Linear)
        }
        ("binary_crossentropy", false) => (Loss::BinaryCrossentropy, Activation::Sigmoid),
        ("binary_crossentropy", true) => (Loss::BinaryCrossentropyWithLogits, Activation::Linear),
        ("mean_squared_error", _) => (Loss::MeanSquaredError, Activation::Linear),
        ("mean_absolute_error", _) => (Loss::MeanAbsoluteError, Activation::Linear),
        (other, _) => panic!("no loss {other}"),
    };
    (loss, if text(&case["form"]) == "layer" { last } else { Activation::Linear })
}

fn check(case: &Value) {
    let what = format!("{}, {}, {}", case["loss"], case["batch"], case["form"]);
    let dims = shape(&case["predictions"]);
    let (loss, last) = loss(case);
    // The predictions are the rows of a kernel, so that its gradient is theirs.
    let rows = Dense { use_bias: false, activation: last, ..Dense::new(dims[1]) };
    let chain = Sequential::new([dims[0]]).named("x", rows);
    let mut model = chain.build(0).expect("a chain that fits");
    let predictions = tensor(&case["predictions"]);
    model.parameter_mut("x/kernel").expect("a parameter").copy_from_slice(&predictions);
    let targets = match text(&case["loss"]) {
        "sparse_categorical_crossentropy" => {
            let classes = numbers(&case["targets"]["values"]);
            Targets::from(classes.into_iter().map(|class| class as u32).collect::<Vec<u32>>())
        }
        _ => Samples::new(dims[0], [dims[1]], tensor(&case["targets"])).expect("rows").into(),
    };
    let data = Dataset::new(unit_vectors(dims[0]), targets).expect("a target for each");
    let (value, gradients) = gradients(&mut model.clone(), &data, loss, 1.0);
    assert_number(&what, value, number(&case["value"]), LOSS);
    model.compile(keepnet::Optimizer::default(), loss).expect("one output");
    let evaluated = model.evaluate(&data).expect("data that fits").loss();
    assert_number(&format!("{what}, evaluated"), evaluated, number(&case["value"]), LOSS);
    let expected = numbers(&case["gradient"]["values"]);
    assert_close(&what, &gradients["x/kernel"], &expected, VARIABLE);
}

#[test]
fn losses() {
    // In f32 Keras' own clipping at 1 − 1e-7 is off by a fifth of the distance from 1; the losses of
    // keepnet are computed in f64.
    let file = json("losses.float64.json");
    let cases = list(&file["cases"]);
    assert_eq!(cases.len(), 20);
    cases.iter().for_each(check);
}
