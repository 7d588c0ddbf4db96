//! FORMAT.md, chapter 5: what the optimizer remembers, what was reported, what was proved.

use keepnet::format::{FormatError, to_bytes};
use keepnet::{
    Adadelta, Adagrad, Adam, Adamax, Checkpoint, History, Nadam, OptimizerRule, ProbeRange,
    RmsProp, Sgd,
};

use crate::format_support::container::Container;
use crate::format_support::refusal::{assert_says, container, damage, read};
use crate::format_support::small;
use crate::written;

/// The words with which the small model is refused after a change to the text of a section.
#[track_caller]
fn refused(id: &str, from: &str, to: &str, parts: &[&str]) {
    let words = damage(&container().replacing(id, from, to));
    assert_says(&words, &[&format!("section `{id}`")]);
    assert_says(&words, parts);
}

fn text(file: &[u8], id: &str) -> Option<String> {
    let mut sections = Container::take_apart(file).sections.into_iter();
    let section = sections.find(|section| section.id == id)?;
    Some(String::from_utf8(section.payload).unwrap())
}

/// The small model without compile settings and with slots of these names.
fn with_slots(names: impl IntoIterator<Item = String>) -> Checkpoint<'static> {
    let mut checkpoint = Checkpoint { compile: None, ..small() };
    let slots = &mut checkpoint.optimizer.as_mut().unwrap().slots;
    let slot = slots[0].clone();
    *slots = names
        .into_iter()
        .map(|name| keepnet::Slot { name, tensors: slot.tensors.clone() })
        .collect();
    checkpoint
}

#[test]
fn f_30_steps_are_counted_and_slots_are_few_and_differ() {
    let with_steps = |step| {
        let mut checkpoint = small();
        checkpoint.optimizer.as_mut().unwrap().step = step;
        to_bytes(&checkpoint)
    };
    let most = Container::take_apart(&with_steps((1 << 53) - 1).unwrap());
    assert!(read(&most.put_together()).is_ok());
    let error = with_steps(1 << 53).unwrap_err().to_string();
    assert_says(&error, &["steps of the optimizer must be below 2^53"]);
    let more = most.replacing("optimizer", "9007199254740991", "9007199254740992");
    assert_says(&damage(&more), &["section `optimizer`", "must be below 2^53"]);

    let most = with_slots((0..16).map(|slot| slot.to_string()));
    assert!(read(&to_bytes(&most).unwrap()).is_ok());
    let error = to_bytes(&with_slots((0..17).map(|slot| slot.to_string()))).unwrap_err();
    assert_says(&error.to_string(), &["17 slots", "the most is 16"]);
    let error = to_bytes(&with_slots(["m".into(), "v".into(), "m".into()])).unwrap_err();
    assert_says(&error.to_string(), &["two slots", "\"m\""]);

    let file = |names: &[&str]| {
        let none = Container::take_apart(&to_bytes(&with_slots([])).unwrap());
        damage(&none.replacing("optimizer", "[]", &format!("[{}]", names.join(", "))))
    };
    let many: Vec<String> = (0..17).map(|slot| format!("\"{slot}\"")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_says(&file(&many), &["section `optimizer`", "17 slots", "the most is 16"]);
    let twice = file(&["\"m\"", "\"v\"", "\"m\""]);
    assert_says(&twice, &["section `optimizer`", "two slots", "\"m\""]);
}

#[test]
fn f_31_slots_are_those_of_the_optimizer() {
    // Of every rule, the slots that the document names.
    let adam = Adam::default();
    let sgd = |momentum| OptimizerRule::Sgd(Sgd { momentum, nesterov: false });
    let rms = |momentum| OptimizerRule::RmsProp(RmsProp { momentum, ..RmsProp::default() });
    let centered = |momentum| {
        OptimizerRule::RmsProp(RmsProp { momentum, centered: true, ..RmsProp::default() })
    };
    for (rule, names) in [
        (OptimizerRule::Adam(adam), vec!["momentum", "velocity"]),
        (sgd(0.9), vec!["momentum"]),
        (sgd(0.0), vec![]),
        (rms(0.0), vec!["velocity"]),
        (rms(0.9), vec!["velocity", "momentum"]),
        (
            OptimizerRule::Adam(Adam { amsgrad: true, ..adam }),
            vec!["momentum", "velocity", "velocity_hat"],
        ),
        (centered(0.0), vec!["velocity", "average_gradient"]),
        (centered(0.9), vec!["velocity", "momentum", "average_gradient"]),
        (OptimizerRule::Nadam(Nadam::default()), vec!["momentum", "velocity"]),
        (OptimizerRule::Adamax(Adamax::default()), vec!["momentum", "norm"]),
        (OptimizerRule::Adagrad(Adagrad::default()), vec!["accumulator"]),
        (
            OptimizerRule::Adadelta(Adadelta::default()),
            vec!["accumulated_grad", "accumulated_delta_var"],
        ),
    ] {
        let slots = names.iter().map(|&name| name.to_owned());
        let mut checkpoint = Checkpoint { compile: small().compile, ..with_slots(slots) };
        checkpoint.compile.as_mut().unwrap().optimizer.rule = rule;
        assert!(read(&to_bytes(&checkpoint).unwrap()).is_ok(), "{names:?}");
        checkpoint.optimizer = with_slots(["other".to_owned()]).optimizer;
        let error = to_bytes(&checkpoint).unwrap_err();
        assert_says(&error.to_string(), &["the optimizer that is set keeps slots", "other"]);
    }
    let both = "\"momentum\", \"velocity\"";
    for other in ["\"Momentum\", \"velocity\"", "\"velocity\", \"momentum\"", "\"momentum\""] {
        refused("optimizer", both, other, &["keeps slots [\"momentum\", \"velocity\"]"]);
    }
}

#[test]
fn f_32_values_of_an_epoch_differ() {
    for file in written() {
        let history = read(&file).unwrap().history.unwrap_or_default();
        for epoch in history.epochs {
            let mut names: Vec<_> = epoch.values.iter().map(|(name, _)| name).collect();
            names.sort();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }
    let mut twice = small();
    let values = &mut twice.history.as_mut().unwrap().epochs[0].values;
    values.push(("loss".into(), 1.0));
    let error = to_bytes(&twice).unwrap_err();
    assert_says(&error.to_string(), &["two figures", "loss"]);
    refused("history", "\"val_loss\"", "\"loss\"", &["two figures", "loss"]);
    // An empty history is not the same as none.
    let empty = Checkpoint { history: Some(History::default()), ..small() };
    let file = to_bytes(&empty).unwrap();
    assert_eq!(text(&file, "history").unwrap(), "{\n  \"schema\": 1,\n  \"epochs\": []\n}\n");
    assert_eq!(read(&file).unwrap().history, Some(History::default()));
    let none = to_bytes(&Checkpoint { history: None, ..small() }).unwrap();
    assert_eq!(text(&none, "history"), None);
    assert_eq!(read(&none).unwrap().history, None);
}

#[test]
fn f_59_a_probe_that_can_be_drawn() {
    for file in written() {
        if let Some(proof) = read(&file).unwrap().proof {
            assert!((1..=16).contains(&proof.samples));
            assert!(proof.inputs.iter().all(|range| range.low < range.high));
        }
    }
    let not_written = |change: &dyn Fn(&mut Checkpoint<'static>)| {
        let mut other = small();
        change(&mut other);
        assert!(matches!(to_bytes(&other), Err(FormatError::Unfit(_))));
    };
    for samples in [0_u32, 17, u32::MAX] {
        let number = samples.to_string();
        let words = ["1 to 16 samples", &number];
        refused("proof", "\"samples\": 1", &format!("\"samples\": {number}"), &words);
        not_written(&|other| other.proof.as_mut().unwrap().samples = samples);
    }
    let nothing = "a probe is drawn";
    for (high, text) in
        [(0.0, "0.0"), (1e39, "1e39"), (f64::NAN, "\"NaN\""), (f64::INFINITY, "\"Infinity\"")]
    {
        refused("proof", "\"high\": 1.0", &format!("\"high\": {text}"), &[nothing]);
        not_written(&|other| other.proof.as_mut().unwrap().inputs[0].high = high);
    }
    let twice = "}, {\n    \"low\": 0.0,\n    \"high\": 1.0\n  }]";
    refused("proof", "}]", twice, &["1 ranges of a probe, found 2"]);
    not_written(&|other| other.proof.as_mut().unwrap().inputs.push(ProbeRange::UNIT));
}
