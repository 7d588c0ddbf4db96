//! What layers of several inputs give, and what they refuse.

use crate::model::*;
use crate::tensor::Shape;

/// What a merge gives for inputs of `shapes`.
fn merged(merge: Merge, shapes: &[&[usize]]) -> Result<Shape, GraphError> {
    let mut builder = GraphBuilder::new();
    let inputs: Vec<NodeId> = (shapes.iter().enumerate())
        .map(|(index, &shape)| builder.input(&format!("input_{index}"), shape))
        .collect();
    let node = builder.named("it", merge, &inputs);
    builder.output("it", node);
    builder.build("merge").map(|graph| graph.shape(node).clone())
}

#[track_caller]
fn assert_not_merged(merge: Merge, shapes: &[&[usize]], message: &str) {
    let error = merged(merge, shapes).expect_err("shapes that do not fit");
    assert_eq!(error.to_string(), message);
}

#[test]
fn merges() {
    assert_eq!(merged(Merge::Add, &[&[2, 3], &[2, 3], &[2, 3]]), Ok([2, 3].into()));
    assert_eq!(merged(Merge::Add, &[&[2, 3]]), Ok([2, 3].into()));
    let join = |axis, shapes| merged(Merge::Concatenate { axis }, shapes);
    assert_eq!(join(1, &[&[2, 3], &[5, 3]]), Ok([7, 3].into()));
    assert_eq!(join(-2, &[&[2, 3], &[5, 3]]), Ok([7, 3].into()));
    assert_eq!(join(2, &[&[2, 3], &[2, 1], &[2, 4]]), Ok([2, 8].into()));
    assert_eq!(join(-1, &[&[2, 3], &[2, 1]]), Ok([2, 4].into()));
}

#[test]
fn merges_refuse() {
    assert_not_merged(
        Merge::Add,
        &[&[2, 3], &[3, 2]],
        "layer `it` (add) cannot take inputs of shapes 2×3, 3×2: all inputs must have one shape",
    );
    let kind = "layer `it` (concatenate) cannot take inputs of shapes";
    let join = |axis, shapes: &[&[usize]], rule: &str| {
        assert_not_merged(Merge::Concatenate { axis }, shapes, &format!("{kind} {rule}"));
    };
    let differ = "the inputs may differ only along the axis joined";
    join(1, &[&[2, 3], &[2, 4]], &format!("2×3, 2×4: {differ}"));
    join(1, &[&[2, 3], &[2]], &format!("2×3, 2: {differ}"));
    join(1, &[&[2], &[2, 3]], &format!("2, 2×3: {differ}"));
    let huge: &[usize] = &[1, 1 << 31];
    let large = "the result 1×4294967296 is larger than 2³² − 1 elements";
    assert_not_merged(
        Merge::Concatenate { axis: 2 },
        &[huge, huge],
        &format!(
            "layer `it` (concatenate) is too large for this keepnet on inputs of shapes \
             1×2147483648, 1×2147483648: {large}"
        ),
    );
    for axis in [0, -3] {
        join(axis, &[&[2, 3], &[2, 3]], "2×3, 2×3: the batch axis cannot be taken");
    }
    for axis in [3, -4, i32::MIN, i32::MAX] {
        join(axis, &[&[2, 3], &[2, 3]], &format!("2×3, 2×3: there is no axis {axis}"));
    }
    let message = "layer `it` (concatenate) cannot take no input: it takes one input or more";
    let mut builder = GraphBuilder::new();
    let input = builder.input("input", [1]);
    let node = builder.named("it", Merge::Concatenate { axis: 1 }, &[]);
    builder.output("it", node).output("input", input);
    assert_eq!(builder.build("none").expect_err("no input").to_string(), message);
}
