//! Every MUST has its test, and every test its MUST.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rules that a document numbers, such as `F-12`, with what they say.
fn rules(document: &str) -> Vec<(String, String)> {
    let start =
        |paragraph: &str| Some(paragraph.strip_prefix("**")?.split_once(".**")?.0.to_owned());
    document
        .split("\n\n")
        .filter_map(|paragraph| Some((start(paragraph)?, paragraph.to_owned())))
        .collect()
}

/// The rules that tests are named after: `f_12_…` for `F-12`.
fn tested() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format_musts");
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.split("#[test]\nfn ").skip(1) {
            let mut words = line.split('_');
            let (form, number) = (words.next().unwrap(), words.next().unwrap());
            if matches!(form, "f" | "d") && number.parse::<u32>().is_ok() {
                names.push(format!("{}-{number}", form.to_uppercase()));
            }
        }
    }
    names
}

#[test]
fn every_rule_has_one_test_and_every_test_a_rule() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    tested().into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
    assert!(counts.values().all(|&count| count == 1), "two tests of one rule: {counts:?}");
    let mut all = BTreeSet::new();
    for (form, document) in [
        ("F", include_str!("../../docs/FORMAT.md")),
        ("D", include_str!("../../docs/DIRECTORY.md")),
    ] {
        let rules = rules(document);
        assert!(rules.len() > 20, "{form}: the rules are found");
        // From 1 on without gaps; a rule that comes later has the next number wherever it stands.
        let names: BTreeSet<_> = rules.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, (1..=rules.len()).map(|number| format!("{form}-{number}")).collect());
        for (name, words) in &rules {
            assert!(words.contains("MUST"), "{name} says what must be");
        }
        let musts = document.matches("MUST").count() - document.matches("\"MUST\"").count();
        let numbered: usize = rules.iter().map(|(_, words)| words.matches("MUST").count()).sum();
        assert_eq!(musts, numbered, "{form}: a MUST without a number");
        all.extend(rules.into_iter().map(|(name, _)| name));
    }
    let tested: BTreeSet<String> = counts.into_keys().collect();
    let missing: Vec<_> = all.difference(&tested).collect();
    assert!(missing.is_empty(), "rules without a test: {missing:?}");
    let unknown: Vec<_> = tested.difference(&all).collect();
    assert!(unknown.is_empty(), "tests without a rule: {unknown:?}");
}

/// Code and documents refer to rules that are there.
#[test]
fn references_are_to_rules_that_are_there() {
    let documents = ["docs/FORMAT.md", "docs/DIRECTORY.md", "tests/format_reader/read.py"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts: Vec<_> =
        documents.iter().map(|name| fs::read_to_string(root.join(name)).unwrap()).collect();
    let all: BTreeSet<String> =
        texts[..2].iter().flat_map(|text| rules(text)).map(|(name, _)| name).collect();
    for (name, text) in documents.iter().zip(&texts) {
        for form in ["F-", "D-"] {
            for (at, _) in text.match_indices(form) {
                let digits: String =
                    text[at + 2..].chars().take_while(char::is_ascii_digit).collect();
                let before = text[..at].chars().next_back();
                if !digits.is_empty() && !before.is_some_and(char::is_alphanumeric) {
                    assert!(all.contains(&format!("{form}{digits}")), "{form}{digits} in {name}");
                }
            }
        }
    }
}
