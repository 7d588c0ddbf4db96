//! FORMAT.md, chapter 5: the training state.

use keepnet::format::to_bytes;
use keepnet::{FitState, NamedTensor, TrainingState, ValidationRecord};

use crate::format_support::container::Container;
use crate::format_support::refusal::{assert_says, container, damage, read};
use crate::format_support::small;
use crate::written;

#[track_caller]
fn refused(from: &str, to: &str, parts: &[&str]) {
    let words = damage(&container().replacing("training", from, to));
    assert_says(&words, &["section `training`"]);
    assert_says(&words, parts);
}

/// A training state so changed is not written.
#[track_caller]
fn not_written(change: impl FnOnce(&mut TrainingState<Vec<NamedTensor<'static>>>)) {
    let mut changed = small();
    change(changed.training.as_mut().expect("the small model has one"));
    assert!(to_bytes(&changed).is_err());
}

fn fit<W>(training: &mut TrainingState<W>) -> &mut FitState<W> {
    training.fit.as_mut().expect("the small model has one")
}

#[test]
fn f_56_sums_of_an_interrupted_epoch() {
    for file in written() {
        if let Some(training) = read(&file).unwrap().training {
            let amid = training.step_in_epoch > 0;
            assert_eq!(training.interrupted.is_some(), amid);
            assert!(training.fit.is_some() || !amid);
        }
    }
    let (from, to) = ("\"step_in_epoch\": \"2\"", "\"step_in_epoch\": \"0\"");
    refused(from, to, &["interrupted epoch, but no step"]);
    not_written(|training| training.step_in_epoch = 0);
    refused(
        "{\n    \"samples\": \"64\",\n    \"loss\": 32.5,\n    \"losses\": [\"NaN\"],\n    \"metrics\": [0.1]\n  }",
        "null",
        &["2 steps of an epoch are done, but there are no sums"],
    );
    let without_fit = container().with("training", |section| {
        let text = String::from_utf8(section.payload.clone()).unwrap();
        let (before, _) = text.split_once("\"fit\": {").unwrap();
        section.payload = format!("{before}\"fit\": null\n}}\n").into_bytes();
    });
    assert_says(&damage(&without_fit), &["section `training`", "done, but no fit is under way"]);
    not_written(|training| training.interrupted = None);
    not_written(|training| training.fit = None);
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
fn f_58_a_fit_that_can_go_on() {
    for file in written() {
        let training = read(&file).unwrap().training;
        if let Some(training) = &training {
            assert!(training.epoch < 1 << 53 && training.step_in_epoch < 1 << 53);
        }
        if let Some(fit) = training.and_then(|training| training.fit) {
            assert!(fit.batch_size > 0 && fit.end < 1 << 53);
            if let ValidationRecord::Split(share) = fit.validation {
                assert!(share > 0.0 && share < 1.0);
            }
        }
    }
    refused("\"batch_size\": \"32\"", "\"batch_size\": \"0\"", &["no samples per step"]);
    not_written(|training| fit(training).batch_size = 0);
    for share in [0.0, 1.0, -1.0, f64::NAN] {
        not_written(|training| fit(training).validation = ValidationRecord::Split(share));
    }
    let mut split = small();
    fit(split.training.as_mut().unwrap()).validation = ValidationRecord::Split(0.5);
    let split = Container::take_apart(&to_bytes(&split).unwrap());
    let whole = split.replacing("training", "\"split\": 0.5", "\"split\": 1.0");
    assert_says(&damage(&whole), &["section `training`", "above 0 and below 1, found 1"]);

    for (count, found) in [("epoch", "1"), ("step_in_epoch", "2"), ("end", "4")] {
        let text = |number: &str| format!("\"{count}\": \"{number}\"");
        let most = container().replacing("training", &text(found), &text("9007199254740991"));
        assert!(read(&most).is_ok(), "{count}");
        for number in ["9007199254740992", "18446744073709551615"] {
            refused(&text(found), &text(number), &["must be below 2^53", number]);
        }
    }
    not_written(|training| training.epoch = 1 << 53);
    not_written(|training| training.step_in_epoch = 1 << 53);
    not_written(|training| fit(training).end = 1 << 53);
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
