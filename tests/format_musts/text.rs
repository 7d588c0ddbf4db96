//! FORMAT.md, chapter 2: JSON.

use std::collections::BTreeMap;

use keepnet::Checkpoint;
use keepnet::format::{FormatError, to_bytes};

use crate::format_support::container::{Container, Section};
use crate::format_support::refusal::{assert_says, container, damage, read};
use crate::format_support::small;
use crate::written;

const TEXTS: [&str; 7] =
    ["architecture", "compile", "optimizer", "training", "history", "metadata", "proof"];

fn texts(file: &[u8]) -> Vec<(String, String)> {
    let sections = Container::take_apart(file).sections.into_iter();
    sections
        .filter(|section| TEXTS.contains(&section.id.as_str()))
        .map(|Section { id, payload, .. }| (id, String::from_utf8(payload).unwrap()))
        .collect()
}

#[test]
fn f_22_json_is_canonical() {
    for (id, text) in written().iter().flat_map(|file| texts(file)) {
        assert!(text.starts_with('{') && text.ends_with("}\n"), "{id}");
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{id}");
        for line in text.lines() {
            let member = line.trim_start_matches(' ');
            assert_eq!((line.len() - member.len()) % 2, 0, "{line:?}");
            assert!(member.starts_with(['"', '{', '}']) && !member.ends_with(' '), "{line:?}");
            assert!(!member.chars().any(|c| c < ' '), "{line:?}");
        }
    }
    // Reals: the fewest digits; a string where JSON has none.
    let spelled = |loss: f64| {
        let mut checkpoint = small();
        checkpoint.history.as_mut().unwrap().epochs[0].values = vec![("loss".into(), loss)];
        let texts = texts(&to_bytes(&checkpoint).unwrap());
        let (_, text) = texts.iter().find(|(id, _)| id == "history").unwrap();
        let (_, rest) = text.split_once("[\"loss\", ").unwrap();
        rest.split_once("]]").unwrap().0.to_owned()
    };
    for (value, text) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e-4, "0.0001"),
        (9.9e-5, "9.9e-5"),
        (1e-7, "1e-7"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e16"),
        (2.5e16, "2.5e16"),
        (270_671_548_845_790.5 / 8.0, "33833943605723.813"), // …812 is as near
        (-270_671_548_845_790.5 / 8.0, "-33833943605723.813"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (f64::INFINITY, "\"Infinity\""),
        (f64::NEG_INFINITY, "\"-Infinity\""),
        (f64::from_bits(0x7FF8_0000_0000_0000), "\"NaN\""),
        (f64::from_bits(0xFFF8_0000_0000_0001), "\"NaN:fff8000000000001\""),
    ] {
        assert_eq!(spelled(value), text);
    }
    for (from, to, words) in [
        ("\"trainable\": true", "\"trainable\":  true", "canonical"),
        ("\"trainable\": true", "\"trainable\" : true", "canonical"),
        ("\"trainable\": true", "\"trainable\": true ", "canonical"),
        ("  \"nodes\"", "\t\"nodes\"", "canonical"),
        ("[3, 3]", "[3,3]", "canonical"),
        ("\"kernel_l2\": 0.0", "\"kernel_l2\": 0.00", "canonical"),
        ("\"kernel_l2\": 0.0", "\"kernel_l2\": 0", "canonical"),
        ("\"kernel_l2\": 0.0", "\"kernel_l2\": \"inf\"", "cannot be understood"),
        ("\"filters\": 2", "\"filters\": 02", "cannot be understood"),
        ("\"filters\": 2", "\"filters\": -2", "invalid value"),
        ("\"flatten\"", "\"\\u0066latten\"", "canonical"),
        ("}]\n}\n", "}]\n}\n\n", "canonical"),
        ("}]\n}\n", "}]\n}", "canonical"),
        ("}]\n}\n", "}]\n}\r\n", "canonical"),
        ("}]\n}\n", "}]\n} {}", "trailing"),
        ("{\n  \"schema\"", "\u{FEFF}{\n  \"schema\"", "cannot be understood"),
    ] {
        let words_found = damage(&container().replacing("architecture", from, to));
        assert_says(&words_found, &["section `architecture`", words]);
    }
    let swapped = "\"trainable\": true,\n    \"name\": \"flatten\"";
    let from = "\"name\": \"flatten\",\n    \"trainable\": true";
    let bad = container().replacing("architecture", from, swapped);
    assert_says(&damage(&bad), &["section `architecture`", "canonical"]);
    let nan =
        container().replacing("compile", "\"weight\": 1.0", "\"weight\": \"NaN:7ff8000000000000\"");
    assert_says(&damage(&nan), &["section `compile`", "canonical"]);
    let nested = container().with("metadata", |s| s.payload = "[".repeat(1_000_000).into_bytes());
    assert_says(&damage(&nested), &["section `metadata`", "cannot be understood"]);
}

#[test]
fn f_23_members_are_known_and_stand_once() {
    for (id, at, member) in [
        ("architecture", "\"trainable\": true", "code"),
        ("architecture", "\"filters\": 2", "dropout"),
        ("compile", "\"learning_rate\": 0.001", "code"),
    ] {
        let more = container().replacing(id, at, &format!("{at},\n    \"{member}\": 0"));
        assert_says(&damage(&more), &[&format!("section `{id}`"), "unknown field", member]);
        let twice = container().replacing(id, at, &format!("{at},\n    {at}"));
        assert_says(&damage(&twice), &[&format!("section `{id}`"), "duplicate field"]);
    }
    let bad = container().replacing("architecture", "\"softmax\"", "\"lambda\"");
    assert_says(&damage(&bad), &["section `architecture`", "unknown variant `lambda`"]);
    let twice = "\"author\": \"Eve\",\n  \"author\"";
    let bad = container().replacing("metadata", "\"author\"", twice);
    assert_says(&damage(&bad), &["section `metadata`", "a key may be repeated"]);
    // A writer has no place for another member; reals it spells as strings come back.
    let mut checkpoint = small();
    let values = &mut checkpoint.history.as_mut().unwrap().epochs[0].values;
    let nan = f64::from_bits(0x7FF0_0000_0000_0001);
    *values = vec![("a".into(), nan), ("b".into(), f64::INFINITY), ("c".into(), -0.0)];
    let file = to_bytes(&checkpoint).unwrap();
    crate::format_support::assert_same_bits(&read(&file).unwrap(), &checkpoint);
}

#[test]
fn f_24_metadata() {
    let pairs = [("b", "2"), ("a", "1"), ("é", "\"\\\n\u{1}\u{7F}"), ("Z", ""), ("", "∅")];
    let metadata: BTreeMap<_, _> =
        pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    let file = to_bytes(&Checkpoint { metadata, ..small() }).unwrap();
    let (_, text) = texts(&file).into_iter().find(|(id, _)| id == "metadata").unwrap();
    let expected = "{\n  \"\": \"∅\",\n  \"Z\": \"\",\n  \"a\": \"1\",\n  \"b\": \"2\",\n  \
                    \"é\": \"\\\"\\\\\\n\\u0001\u{7F}\"\n}\n";
    assert_eq!(text, expected);
    let none = to_bytes(&Checkpoint { metadata: BTreeMap::new(), ..small() }).unwrap();
    assert!(texts(&none).iter().all(|(id, _)| id != "metadata"), "an empty object is not written");

    let with = |text: &str| damage(&container().with("metadata", |s| s.payload = text.into()));
    assert_says(&with("{}\n"), &["`metadata`", "holds nothing"]);
    assert_says(&with("{\n  \"b\": \"\",\n  \"a\": \"\"\n}\n"), &["`metadata`", "canonical"]);
    for other in ["[\"a\"]\n", "{\n  \"a\": 1\n}\n", "{\n  \"a\": null\n}\n", "\"a\"\n", ""] {
        assert_says(&with(other), &["`metadata`", "cannot be understood"]);
    }
}

/// The byte at which a text stops being what it should be, in the file and not in the text.
#[test]
fn damage_in_a_text_has_its_place_in_the_file() {
    let mut container = container();
    let text = &mut container.sections[0].payload;
    let at = text.windows(8).position(|window| window == b"\"layers\"").unwrap();
    text[at] = b'!';
    let file = container.put_together();
    let Err(FormatError::Damaged { part, offset, .. }) = read(&file) else { panic!("not refused") };
    // The header and the section's header stand before it.
    assert_eq!((part.as_str(), offset), ("section `architecture`", (64 + 64 + at) as u64));
}
