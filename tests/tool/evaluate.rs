//! `evaluate`

use std::fs;

use keepnet::train::data::mnist;
use keepnet::{Activation, Loss, Model, Optimizer, Sequential, Shape};
use serde_json::Value;

use crate::place::{Place, pair};

fn dense(input: Shape, activation: Activation, loss: Option<Loss>) -> Model {
    let mut model = Sequential::new(input).flatten().dense(10, activation).build(3).unwrap();
    if let Some(loss) = loss {
        model.compile(Optimizer::default(), loss).unwrap();
    }
    model
}

/// The share of counts on the diagonal, and the sum of all.
fn diagonal(confusion: &Value) -> (f64, u64) {
    let count = |row: usize, column: usize| confusion["counts"][row][column].as_u64().unwrap();
    let classes = confusion["classes"].as_array().unwrap().len();
    let total = (0..classes * classes).map(|i| count(i / classes, i % classes)).sum();
    let correct: u64 = (0..classes).map(|class| count(class, class)).sum();
    (correct as f64 / total as f64, total)
}

#[test]
fn the_figures_are_those_of_the_library() {
    let (place, model) = Place::with_digits();
    let expected = model.evaluate(&mnist::embedded().unwrap().validation).unwrap();
    let json = place.json(&["evaluate", "digits.knet"]);
    assert_eq!(json["samples"], 2_000);
    assert_eq!(json["values"]["loss"], expected.loss());
    assert_eq!(json["values"]["accuracy"], expected.accuracy().unwrap());
    assert_eq!(diagonal(&json["confusion"]), (expected.accuracy().unwrap(), 2_000));
    assert_eq!(json["figures"].as_array().unwrap().len(), 10);
    let members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["confusion", "data", "figures", "samples", "values"]);

    let text = place.done(&["evaluate", "digits.knet", "--threads", "3"]);
    let start = format!(
        "digits.knet on the embedded validation digits: 2,000 samples\n  \
         loss      {:.6}\n  accuracy  {:.6}\nTrue classes down, predicted classes across\n┌",
        expected.loss(),
        expected.accuracy().unwrap()
    );
    assert!(text.starts_with(&start), "{text}");
}

#[test]
fn a_folder_of_idx_files_is_read() {
    let (place, _) = Place::with_digits();
    fs::create_dir(place.path("data")).unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/keras/mnist320");
    for part in ["train", "t10k"] {
        for kind in ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"] {
            let to = place.path(&format!("data/{part}-{kind}"));
            fs::copy(format!("{golden}-{kind}"), to).unwrap();
        }
    }
    let json = place.json(&["evaluate", "digits.knet", "--data", "data"]);
    assert_eq!((&json["data"], &json["samples"]), (&"data".into(), &320.into()));

    let error = place.fails(1, &["evaluate", "digits.knet", "--data", "nowhere"]);
    assert!(error.contains("nowhere: there is no train-images-idx3-ubyte"), "{error}");
}

/// Labels become rows of values for a loss that wants those, and images vectors; what is measured
/// stays the same.
#[test]
fn data_is_fitted_to_the_model() {
    let place = Place::new();
    let image = Shape::image(28, 28, 1);
    let softmax = Activation::Softmax;
    let sparse = dense(image.clone(), softmax, Some(Loss::SparseCategoricalCrossentropy));
    let rows = dense(image.clone(), softmax, Some(Loss::CategoricalCrossentropy));
    let vector = dense(Shape::vector(784), softmax, Some(Loss::SparseCategoricalCrossentropy));
    let bare = dense(image, softmax, None);
    let saved = [("sparse", sparse), ("rows", rows), ("vector", vector), ("bare", bare)];
    let values = saved.map(|(name, model)| {
        model.save(place.path(name)).unwrap();
        let run = place.run(&["evaluate", name, "--json"]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert_eq!(run.stderr.is_empty(), name == "sparse", "what is assumed is told");
        run.json()["values"].clone()
    });
    assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    let image = Shape::image(28, 28, 1);
    dense(image, Activation::Linear, None).save(place.path("linear")).unwrap();
    pair().save(place.path("pair")).unwrap();
    for model in ["linear", "pair"] {
        let error = place.fails(1, &["evaluate", model]);
        assert!(error.contains("has no compile settings"), "{error}");
    }
    let loss = Some(Loss::SparseCategoricalCrossentropy);
    let other = dense(Shape::image(32, 32, 3), Activation::Softmax, loss);
    other.save(place.path("other.knet")).unwrap();
    let error = place.fails(1, &["evaluate", "other.knet"]);
    let expected = "other.knet on the embedded validation digits: input `input` takes samples of \
                    shape 32×32×3, found 28×28×1";
    assert!(error.contains(expected), "{error}");
}
