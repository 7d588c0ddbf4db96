//! DIRECTORY.md, chapter 1: the manifest.

use std::fs;

use keepnet::format::FormatError;

use crate::directory::{load_it, manifest, members, refused};
use crate::format_support::container::sha256;
use crate::format_support::refusal::{
    assert_damaged, assert_says, directory_error, edit, hexadecimal, saved, sealed,
};

#[test]
fn d_1_the_beginning_of_the_manifest() {
    let (_home, path) = saved();
    assert!(manifest(&path).starts_with("{\n  \"format\": \"keepnet directory\",\n"));
    let another = |text: &[u8]| {
        fs::write(path.join("manifest.json"), text).unwrap();
        let error = directory_error(&path);
        assert!(matches!(error.cause(), FormatError::OtherKind { .. }), "{error}");
    };
    another(b"{\"name\": \"my app\"}");
    another(b"");
    fs::remove_file(path.join("manifest.json")).unwrap();
    let error = directory_error(&path);
    assert!(matches!(error.cause(), FormatError::OtherKind { .. }), "{error}");
    refused("\"keepnet directory\"", "\"another directory\"", &["JSON"]);
}

#[test]
fn d_2_the_end_of_the_manifest() {
    let (_home, path) = saved();
    let text = manifest(&path);
    let (body, _) = text.rsplit_once(",\n  \"sha256\": \"").unwrap();
    assert_eq!(text, sealed(body));
    let with = |text: &str, parts: &[&str]| {
        fs::write(path.join("manifest.json"), text).unwrap();
        assert_damaged(&path, &["manifest.json"]);
        assert_damaged(&path, parts);
    };
    with(&text[..text.len() - 1], &["cut short"]);
    with(&format!("{text}\n"), &["cut short"]);
    with(&format!("{body}\n}}\n"), &["cut short"]);
    let (marker, _) = text.split_at("{\n  \"format\": \"keepnet directory\",\n".len());
    let shortest = sealed(marker).len();
    with(marker, &[&format!("takes {shortest} bytes, {} are left", marker.len())]);
    let digits = hexadecimal(&sha256(body.as_bytes()));
    with(&text.replace(&digits, &"0".repeat(64)), &["its digest", &digits]);
    with(&text.replace(&digits, &digits.to_uppercase()), &["its digest", &digits]);
    with(&text.replacen("\"minor\": 0", "\"minor\": 1", 1), &["its digest", &digits]);
}

#[test]
fn d_3_versions_and_schemas() {
    let (_home, path) = saved();
    let version = serde_json::json!({"major": 1, "minor": 0, "least_reader_minor": 0});
    assert_eq!(members(&path)["version"], version);
    edit(&path, "\"minor\": 0", "\"minor\": 1");
    load_it(&path);
    for (from, to, words) in [
        ("\"major\": 1", "\"major\": 2", "version 2"),
        ("\"major\": 1,", "\"major\": 2,\n    \"patch\": 1,", "version 2"),
        ("\"least_reader_minor\": 0", "\"least_reader_minor\": 1", "version 1.1"),
        ("\"schema\": 1", "\"schema\": 3", "schema"),
        ("\"schema\": 1", "\"schema\": 3,\n    \"anything\": []", "schema"),
    ] {
        let (_home, path) = saved();
        edit(&path, "\"minor\": 0", "\"minor\": 1");
        edit(&path, from, to);
        let error = directory_error(&path);
        assert!(matches!(error.cause(), FormatError::Version { .. }), "{error}");
        assert_says(&error.to_string(), &[words, "newer keepnet"]);
    }
    refused("\"major\": 1", "\"major\": 0", &["major version"]);
    refused("\"least_reader_minor\": 0", "\"least_reader_minor\": 1", &["least minor version"]);
    refused("\"schema\": 1", "\"schema\": 0", &["no schema 0"]);
}

#[test]
fn d_4_the_manifest_is_canonical() {
    let (_home, path) = saved();
    let text = manifest(&path);
    let order = ["format", "version", "architecture", "tensors", "extra", "sha256"];
    let places = order.map(|member| text.find(&format!("\n  \"{member}\": ")).unwrap());
    assert!(places.is_sorted());
    for (from, to) in [
        ("\"minor\": 0", "\"minor\":  0"),
        ("\"minor\": 0", "\"minor\": 00"),
        ("\"minor\": 0", "\"minor\": 0,\n    \"minor\": 0"),
        ("\"minor\": 0", "\"minor\": 0,\n    \"more\": 0"),
        ("\"tensors\": [", "\"tensors\": [ "),
        ("\"extra\": [", "\"more\": [],\n  \"extra\": ["),
    ] {
        refused(from, to, &["JSON"]);
    }
}
