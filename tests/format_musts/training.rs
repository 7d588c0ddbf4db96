//! FORMAT.md, chapter 5: the training state.

use keepnet::format::to_bytes;

use crate::format_support::refusal::{assert_says, container, damage, read};
use crate::format_support::small;
use crate::written;

#[track_caller]
fn refused(from: &str, to: &str, parts: &[&str]) {
    let words = damage(&container().replacing("training", from, to));
    assert_says(&words, &["section `training`"]);
    assert_says(&words, parts);
}

#[test]
fn f_56_sums_of_an_interrupted_epoch() {
    for file in written() {
        if let Some(training) = read(&file).unwrap().training {
            assert!(training.interrupted.is_none() || training.step_in_epoch > 0);
        }
    }
    let (from, to) = ("\"step_in_epoch\": \"2\"", "\"step_in_epoch\": \"0\"");
    refused(from, to, &["interrupted epoch, but no step"]);
    let mut other = small();
    other.training.as_mut().expect("the small model has one").step_in_epoch = 0;
    assert!(to_bytes(&other).is_err());
}

#[test]
fn f_57_a_sum_for_each_loss_and_metric() {
    for file in written() {
        let checkpoint = read(&file).unwrap();
        let sums = checkpoint.training.and_then(|training| training.interrupted);
        if let (Some(sums), Some(compile)) = (sums, checkpoint.compile) {
            assert_eq!(sums.losses.len(), compile.losses.len());
            assert_eq!(sums.metrics.len(), compile.metrics.len());
        }
    }
    let two = "\"losses\": [\"NaN\", 0.5]";
    refused("\"losses\": [\"NaN\"]", two, &["1 sums of losses, found 2"]);
}

#[test]
fn counts_are_canonical_text() {
    for number in ["\"+16\"", "\"016\"", "\"18446744073709551616\"", "16"] {
        refused("\"end\": \"4\"", &format!("\"end\": {number}"), &[]);
    }
    refused("\"shuffle\": true", "\"shuffled\": true", &["shuffled"]);
}

#[test]
fn weights_of_callbacks_are_tensors() {
    let absent = container().replacing("training", "\"weights\": false", "\"weights\": true");
    assert_says(&damage(&absent), &["17 tensors, found 13"]);
}
