//! Files by h5py, committed with what h5py finds in them. `files.py golden tests/golden/hdf5` made them,
//! with h5py 3.14.0 and HDF5 1.14.6.

use std::fs;
use std::path::Path;

use keepnet::bytes::Budget;
use keepnet::wire::hdf5::{read, write};
use serde_json::Value;

use crate::roundtrip::BUDGET;
use crate::told::tell;

#[test]
fn they_are_read_as_h5py_reads_them() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hdf5");
    let mut count = 0;
    for entry in fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "h5") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let tree = read(&bytes, &mut Budget::new(BUDGET));
        let tree = tree.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let told = fs::read(path.with_extension("json")).unwrap();
        assert_same(&tell(&tree), &serde_json::from_slice(&told).unwrap(), &path.to_string_lossy());
        let written = write(&readable(tree.clone())).map(|pieces| pieces.concat());
        if let Ok(written) = written {
            let again = read(&written, &mut Budget::new(BUDGET)).unwrap();
            assert_eq!(again, readable(tree));
        } else {
            // The attribute of 70,000 bytes.
            assert_eq!(path.file_stem().unwrap(), "groups-latest");
        }
        count += 1;
    }
    assert_eq!(count, 11);
}

/// Without what is not read.
fn readable(mut group: keepnet::wire::hdf5::Group<'_>) -> keepnet::wire::hdf5::Group<'_> {
    use keepnet::wire::hdf5::{Array, Node};
    group.members.retain(|_, node| {
        !matches!(node, Node::Dataset(dataset) if matches!(dataset.array, Array::Unread { .. }))
    });
    group
}

/// Compares piece by piece, so that a failure tells where.
#[track_caller]
pub(crate) fn assert_same(found: &Value, expected: &Value, path: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let names = |map: &serde_json::Map<_, _>| map.keys().cloned().collect::<Vec<String>>();
            assert_eq!(names(found), names(expected), "{path}");
            for (name, found) in found {
                assert_same(found, &expected[name], &format!("{path}/{name}"));
            }
        }
        _ => assert_eq!(found, expected, "{path}"),
    }
}
