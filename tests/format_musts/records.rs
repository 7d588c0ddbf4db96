//! FORMAT.md, chapter 2: records.

use keepnet::format::{FormatError, to_bytes};
use keepnet::{Adam, Checkpoint, EpochRecord, History, OptimizerRule, RmsProp, Sgd};

use crate::format_support::container::Container;
use crate::format_support::refusal::{assert_says, bytes, container, damage, read};
use crate::format_support::small;
use crate::{u64_at, written};

fn payload(file: &[u8], id: &str) -> Option<Vec<u8>> {
    let sections = Container::take_apart(file).sections.into_iter();
    sections.filter(|section| section.id == id).map(|section| section.payload).next()
}

/// The words with which a change to a section of the small model is refused.
#[track_caller]
fn refused(id: &str, change: impl FnOnce(&mut Vec<u8>), parts: &[&str]) {
    let words = damage(&container().with(id, |section| change(&mut section.payload)));
    assert_says(&words, &[&format!("section `{id}`")]);
    assert_says(&words, parts);
}

/// The small model with one epoch of one value of this name.
fn with_value(name: String) -> Checkpoint<'static> {
    let epochs = vec![EpochRecord { epoch: 0, values: vec![(name, 1.0)] }];
    Checkpoint { history: Some(History { epochs }), ..small() }
}

/// The bytes of a record of one epoch besides the name of its one value.
const EPOCH: usize = 8 + 8 + 8 + 8;

#[test]
fn f_25_length_of_records() {
    let longest = with_value("x".repeat(65_536 - EPOCH));
    let file = to_bytes(&longest).unwrap();
    assert_eq!(payload(&file, "history").unwrap().len(), 65_536);
    assert!(read(&file).is_ok());
    let error = to_bytes(&with_value("x".repeat(65_537 - EPOCH))).unwrap_err();
    assert!(matches!(error, FormatError::Unfit(_)));
    assert_says(&error.to_string(), &["an epoch's record", "65537", "65536"]);
    let longer = |history: &mut Vec<u8>| {
        let name = 65_537 - EPOCH;
        *history = [&[0; 8][..], &1_u64.to_le_bytes(), &(name as u64).to_le_bytes()].concat();
        history.extend(vec![b'x'; name]);
        history.extend([0; 8]);
    };
    refused("history", longer, &["cannot be decoded"]);
}

#[test]
fn f_26_numbers_in_a_record_claim_no_more_than_there_is() {
    for file in written() {
        // Walking by the numbers of bytes and items ends where the section ends.
        let history = payload(&file, "history").unwrap_or_default();
        let mut at = 0;
        while at < history.len() {
            let values = u64_at(&history, at + 8);
            at += 16;
            for _ in 0..values {
                at += 8 + u64_at(&history, at) as usize + 8;
            }
        }
        assert_eq!(at, history.len());
    }
    // Of the name, the element type, the dimensions of the first tensor.
    let (name, dtype) = (4, 4 + 8 + "conv2d/kernel".len());
    let rank = dtype + 8 + "float32".len();
    for claim in [1 << 16, 1 << 20, 1 << 32, 1 << 60, u64::MAX] {
        for at in [name, dtype, rank] {
            let change = |index: &mut Vec<u8>| {
                index[at..at + 8].copy_from_slice(&u64::to_le_bytes(claim));
            };
            refused("index", change, &["cannot be decoded"]);
        }
        for (id, at) in [("optimizer", 8), ("history", 8), ("history", 16)] {
            let change = |record: &mut Vec<u8>| {
                record[at..at + 8].copy_from_slice(&u64::to_le_bytes(claim));
            };
            refused(id, change, &["cannot be decoded"]);
        }
    }
}

#[test]
fn f_27_text_and_choices_are_valid() {
    for file in written() {
        for record in crate::tensors::index(&file) {
            assert!(record.role <= 3 && std::str::from_utf8(&record.name).is_ok());
        }
    }
    let set = |at: usize, byte: u8| move |payload: &mut Vec<u8>| payload[at] = byte;
    for role in [9, 0xFF] {
        refused("index", set(0, role), &["cannot be decoded"]);
    }
    refused("index", set(12, 0xFF), &["cannot be decoded"]);
    refused("optimizer", set(24, 0xFF), &["cannot be decoded"]);
    refused("history", set(24, 0xC3), &["cannot be decoded"]);
}

#[test]
fn f_28_sections_of_one_record() {
    for file in written() {
        if let Some(proof) = payload(&file, "proof") {
            assert_eq!(proof.len(), 4 + 8 + 4);
        }
    }
    for id in ["optimizer", "proof"] {
        refused(id, |payload| payload.push(0), &["goes on for 1 bytes"]);
        refused(id, |payload| payload.extend(payload.clone()), &["goes on for"]);
        refused(id, |payload| payload.truncate(payload.len() - 1), &["decoded"]);
        refused(id, Vec::clear, &["decoded"]);
    }
}

#[test]
fn f_29_sections_of_several_records() {
    refused("history", |payload| payload.push(0), &["decoded"]);
    refused("history", |payload| payload.truncate(payload.len() - 1), &["decoded"]);
    refused("index", |payload| payload.truncate(100), &["cannot be decoded"]);
    refused("index", |payload| payload.push(0), &["cannot be decoded"]);
    // No records are an empty history, which is not the same as none.
    let empty = Checkpoint { history: Some(History::default()), ..small() };
    let file = to_bytes(&empty).unwrap();
    assert_eq!(payload(&file, "history"), Some(Vec::new()));
    assert_eq!(read(&file).unwrap().history, Some(History::default()));
    let none = to_bytes(&Checkpoint { history: None, ..small() }).unwrap();
    assert_eq!(payload(&none, "history"), None);
    assert_eq!(read(&none).unwrap().history, None);
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
fn f_30_slots_are_few_and_differ() {
    let most = with_slots((0..16).map(|slot| slot.to_string()));
    assert!(read(&to_bytes(&most).unwrap()).is_ok());
    let error = to_bytes(&with_slots((0..17).map(|slot| slot.to_string()))).unwrap_err();
    assert_says(&error.to_string(), &["17 slots", "the most is 16"]);
    let error = to_bytes(&with_slots(["m".into(), "v".into(), "m".into()])).unwrap_err();
    assert_says(&error.to_string(), &["two slots", "\"m\""]);

    let file = |names: &[&str]| {
        let mut container = Container::take_apart(&to_bytes(&with_slots([])).unwrap());
        let payload = &mut container.section("optimizer").payload;
        payload.truncate(8);
        payload.extend((names.len() as u64).to_le_bytes());
        for name in names {
            payload.extend((name.len() as u64).to_le_bytes());
            payload.extend(name.bytes());
        }
        damage(&container.put_together())
    };
    let many: Vec<String> = (0..17).map(|slot| slot.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_says(&file(&many), &["section `optimizer`", "17 slots", "the most is 16"]);
    assert_says(&file(&["m", "v", "m"]), &["section `optimizer`", "two slots", "\"m\""]);
}

#[test]
fn f_31_slots_are_those_of_the_optimizer() {
    // Of every rule, the slots that the document names.
    let adam = Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 };
    let sgd = |momentum| OptimizerRule::Sgd(Sgd { momentum, nesterov: false });
    let rms = |momentum| OptimizerRule::RmsProp(RmsProp { rho: 0.9, momentum, epsilon: 1e-7 });
    for (rule, names) in [
        (OptimizerRule::Adam(adam), vec!["momentum", "velocity"]),
        (sgd(0.9), vec!["momentum"]),
        (sgd(0.0), vec![]),
        (rms(0.0), vec!["velocity"]),
        (rms(0.9), vec!["velocity", "momentum"]),
    ] {
        let slots = names.iter().map(|&name| name.to_owned());
        let mut checkpoint = Checkpoint { compile: small().compile, ..with_slots(slots) };
        checkpoint.compile.as_mut().unwrap().optimizer.rule = rule;
        assert!(read(&to_bytes(&checkpoint).unwrap()).is_ok(), "{names:?}");
        checkpoint.optimizer = with_slots(["other".to_owned()]).optimizer;
        let error = to_bytes(&checkpoint).unwrap_err();
        assert_says(&error.to_string(), &["the optimizer that is set keeps slots", "other"]);
    }
    refused("optimizer", |payload| payload[24] = b'M', &["momentum", "Momentum"]);
    let mut other_order = container();
    let payload = &mut other_order.section("optimizer").payload;
    let (first, second) = payload[16..].split_at(16);
    *payload = [&payload[..16], second, first].concat();
    assert_says(&damage(&other_order.put_together()), &["section `optimizer`", "velocity"]);
    assert!(read(&bytes()).is_ok());
}

#[test]
fn f_32_values_of_an_epoch_differ() {
    let mut twice = small();
    let values = &mut twice.history.as_mut().unwrap().epochs[0].values;
    values.push(("loss".into(), 1.0));
    let error = to_bytes(&twice).unwrap_err();
    assert_says(&error.to_string(), &["two figures", "loss"]);
    // Two values of one epoch: `loss` and `val_loss`, the latter replaced by the former.
    let change = |payload: &mut Vec<u8>| {
        *payload = [payload[..16].to_vec(), payload[16..36].repeat(2)].concat();
    };
    refused("history", change, &["two figures", "loss"]);
}

#[test]
fn f_59_samples_of_a_proof() {
    for file in written() {
        if let Some(proof) = payload(&file, "proof") {
            assert!((1..=16).contains(&crate::u32_at(&proof, 12)));
        }
    }
    for samples in [0_u32, 17, u32::MAX] {
        let set = |payload: &mut Vec<u8>| payload[12..].copy_from_slice(&samples.to_le_bytes());
        refused("proof", set, &["1 to 16 samples", &samples.to_string()]);
        let mut other = small();
        other.proof.as_mut().unwrap().samples = samples;
        assert!(matches!(to_bytes(&other), Err(FormatError::Unfit(_))));
    }
}
