//! What the crate hdf5-pure finds in the same files: the same groups, and the same numbers and texts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hdf5_pure::File;
use keepnet::bytes::Budget;
use keepnet::tensor::DType;
use keepnet::wire::hdf5::{Array, Dataset, Group, Node, read, write};
use proptest::prelude::*;

use crate::roundtrip::BUDGET;
use crate::trees::trees;

#[test]
fn it_finds_the_same_in_files_of_h5py() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hdf5");
    let (mut files, mut datasets) = (0, 0);
    for entry in fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "h5") {
            let bytes = fs::read(&path).unwrap();
            let tree = read(&bytes, &mut Budget::new(BUDGET)).unwrap();
            datasets += compare(&tree, &File::from_bytes(bytes.clone()).unwrap().root());
            files += 1;
        }
    }
    println!("{files} files, {datasets} datasets are the same");
    assert!(files >= 11 && datasets >= 100);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

    #[test]
    fn it_finds_what_was_written(tree in trees()) {
        let bytes = write(&tree).unwrap().concat();
        compare(&tree, &File::from_bytes(bytes).unwrap().root());
    }
}

/// Compares what stands in a group and below it; how many datasets were compared.
fn compare(group: &Group<'_>, other: &hdf5_pure::Group) -> usize {
    let names = |is_group: bool| -> BTreeSet<String> {
        let of_kind = |node: &Node<'_>| matches!(node, Node::Group(_)) == is_group;
        let members = group.members.iter().filter(|(_, node)| of_kind(node));
        members.map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(true), other.groups().unwrap().into_iter().collect());
    assert_eq!(names(false), other.datasets().unwrap().into_iter().collect());
    let below = group.members.iter().map(|(name, node)| match node {
        Node::Group(group) => compare(group, &other.group(name).unwrap()),
        Node::Dataset(dataset) => {
            usize::from(is_same(dataset, &other.dataset(name).unwrap(), name))
        }
        Node::Refused(error) => panic!("{error}"),
    });
    below.sum()
}

/// Compares two datasets; whether both know the type.
fn is_same(dataset: &Dataset<'_>, other: &hdf5_pure::Dataset, name: &str) -> bool {
    let shape: Vec<u64> = dataset.array.shape().dims().iter().map(|&dim| dim as u64).collect();
    let found = other.shape().unwrap();
    // What has no values at all is a list of none here, and a single value there.
    if shape == [0] && found.is_empty() {
        return false;
    }
    assert_eq!(shape, found, "{name}");
    match &dataset.array {
        Array::Numbers(tensor) => {
            macro_rules! bytes_of {
                ($read:ident) => {
                    other.$read().unwrap().into_iter().flat_map(|it| it.to_le_bytes()).collect()
                };
            }
            let bytes: Vec<u8> = match tensor.dtype() {
                DType::F32 => bytes_of!(read_f32),
                DType::F64 => bytes_of!(read_f64),
                DType::I8 => bytes_of!(read_i8),
                DType::I16 => bytes_of!(read_i16),
                DType::I32 => bytes_of!(read_i32),
                DType::I64 => bytes_of!(read_i64),
                DType::U8 => bytes_of!(read_u8),
                DType::U16 => bytes_of!(read_u16),
                DType::U32 => bytes_of!(read_u32),
                DType::U64 => bytes_of!(read_u64),
                // It has no words for halves and booleans.
                _ => return false,
            };
            assert!(tensor.bytes() == bytes, "{name}");
        }
        Array::Text { texts, .. } => assert_eq!(texts, &other.read_string().unwrap(), "{name}"),
        Array::Opaque { bytes, .. } => assert!(**bytes == other.read_raw().unwrap(), "{name}"),
        Array::Unread { .. } => return false,
    }
    true
}
