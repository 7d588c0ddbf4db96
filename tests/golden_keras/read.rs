//! The files of `tests/golden/keras`, and comparison with what they hold.

use std::path::PathBuf;

use serde_json::Value;

pub(crate) fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", "keras", name].iter().collect()
}

pub(crate) fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(path(name)).expect("the file is part of the repository");
    serde_json::from_str(&text).expect("JSON")
}

/// The file of f32 that Keras usually computes, and that of f64, which is as good as the truth.
pub(crate) fn both(name: &str) -> [Value; 2] {
    ["float32", "float64"].map(|dtype| json(&format!("{name}.{dtype}.json")))
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("a list, not {value}"))
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}"))
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number, not {value}"))
}

pub(crate) fn whole(value: &Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("a whole number, not {value}")) as usize
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

pub(crate) fn shape(tensor: &Value) -> Vec<usize> {
    list(&tensor["shape"]).iter().map(whole).collect()
}

/// Element `i` of tensor number `t` ("Tensors by formula").
pub(crate) fn formula(t: u32, i: u32, scale: f32, offset: f32) -> f32 {
    let mut z = ((u64::from(t) << 32) | u64::from(i)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let k = (z ^ (z >> 31)) >> 40; // 24 bits
    offset + (k as f32 / 16_777_216.0 - 0.5) * scale
}

/// A tensor by formula, or in full.
pub(crate) fn tensor(tensor: &Value) -> Vec<f32> {
    match tensor.get("t") {
        Some(t) => numbered(tensor, whole(t) as u32),
        None => numbers(&tensor["values"]).into_iter().map(|value| value as f32).collect(),
    }
}

/// The tensor number `t` by a formula that leaves the number open.
pub(crate) fn numbered(tensor: &Value, t: u32) -> Vec<f32> {
    let (scale, offset) = (number(&tensor["scale"]) as f32, number(&tensor["offset"]) as f32);
    let count: usize = shape(tensor).iter().product();
    (0..count as u32).map(|i| formula(t, i, scale, offset)).collect()
}

/// The positions at which a tensor of so many elements is sampled.
fn positions(size: usize) -> Vec<usize> {
    if size <= 64 { (0..size).collect() } else { (0..24).map(|j| j * 7919 % size).collect() }
}

fn largest(values: &[f64]) -> f64 {
    values
        .iter()
        .fold(0.0, |largest: f64, value| if value.abs() > largest { value.abs() } else { largest })
}

/// Compares elements, errors measured by the largest magnitude among those expected.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let allowed = tolerance * largest(expected);
    for (place, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(
            error <= allowed,
            "{what}: element {place} is {found}, Keras has {expected}: off by {error:e} where \
             {allowed:e} is allowed"
        );
    }
}

/// Compares one number, relative to itself.
#[track_caller]
pub(crate) fn assert_number(what: &str, found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs() / expected.abs();
    assert!(error <= tolerance, "{what}: {found}, Keras has {expected}: off by {error:e}");
}

/// Compares a tensor with one that is sampled: elements, norm and sum.
#[track_caller]
pub(crate) fn assert_sampled(what: &str, found: &[f32], expected: &Value, tolerance: f64) {
    assert_eq!(found.len(), shape(expected).iter().product::<usize>(), "{what}");
    let sampled: Vec<f32> = positions(found.len()).into_iter().map(|at| found[at]).collect();
    assert_close(what, &sampled, &numbers(&expected["values"]), tolerance);
    let exact = || found.iter().map(|&value| f64::from(value));
    let norm = exact().map(|value| value * value).sum::<f64>().sqrt();
    let allowed = tolerance * number(&expected["norm"]);
    let (norm_error, sum_error) = (
        (norm - number(&expected["norm"])).abs(),
        (exact().sum::<f64>() - number(&expected["sum"])).abs(),
    );
    assert!(norm_error <= allowed, "{what}: norm off by {norm_error:e}");
    let allowed = allowed * (found.len() as f64).sqrt();
    assert!(sum_error <= allowed, "{what}: sum off by {sum_error:e}");
}

/// The examples in the header of a file, which test this formula and not keepnet.
#[test]
fn the_formula_gives_its_examples() {
    let file = json("w1.float32.json");
    let examples = list(&file["header"]["formula_examples"]);
    assert_eq!(examples.len(), 5);
    for example in examples {
        let first: Vec<f32> = tensor(example).into_iter().take(4).collect();
        let expected: Vec<f32> =
            numbers(&example["first"]).into_iter().map(|value| value as f32).collect();
        assert_eq!(first, expected, "{example}");
    }
    let sampling = serde_json::json!({"prime": 7919, "count": 24, "whole_up_to": 64});
    assert_eq!(file["header"]["sampling"], sampling);
}
