//! What is in a tree, told as `files.py` tells it of a file.

use std::collections::BTreeMap;

use keepnet::wire::hdf5::{Array, Group, Node};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The whole tree.
pub(crate) fn tell(group: &Group<'_>) -> Value {
    let members: BTreeMap<_, _> = group
        .members
        .iter()
        .map(|(name, node)| {
            let told = match node {
                Node::Group(group) => tell(group),
                Node::Dataset(dataset) => json!({
                    "attributes": attributes(&dataset.attributes),
                    "array": array(&dataset.array),
                }),
                Node::Refused(error) => panic!("{error}"),
            };
            (name, told)
        })
        .collect();
    json!({ "attributes": attributes(&group.attributes), "members": members })
}

fn attributes(attributes: &BTreeMap<String, Array<'_>>) -> BTreeMap<String, Value> {
    attributes.iter().map(|(name, value)| (name.clone(), array(value))).collect()
}

fn array(array: &Array<'_>) -> Value {
    let shape = array.shape().dims();
    match array {
        Array::Numbers(tensor) => {
            json!({ "shape": shape, "type": tensor.dtype().name(), "bytes": short(tensor.bytes()) })
        }
        Array::Text { texts, .. } => {
            let texts: Vec<_> = texts
                .iter()
                .map(|text| if text.len() > 64 { digest(text.as_bytes()) } else { text.clone() })
                .collect();
            json!({ "shape": shape, "texts": texts })
        }
        Array::Opaque { size, bytes, .. } => {
            json!({ "shape": shape, "opaque": size, "bytes": short(bytes) })
        }
        Array::Unread { .. } => json!({ "shape": shape, "unread": true }),
    }
}

/// What is long, as its digest.
fn short(bytes: &[u8]) -> String {
    match bytes.len() > 32 {
        true => digest(bytes),
        false => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256 {digits}")
}
