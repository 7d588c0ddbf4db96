//! What is written is read as the same.

use std::collections::BTreeMap;

use keepnet::bytes::Budget;
use keepnet::wire::hdf5::*;
use keepnet::{Shape, Tensor};
use proptest::prelude::*;

use crate::trees::trees;

pub(crate) const BUDGET: u64 = 1 << 26;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..Default::default() })]

    #[test]
    fn any_tree_comes_back(tree in trees()) {
        let bytes = write(&tree).unwrap().concat();
        let again = read(&bytes, &mut Budget::new(BUDGET)).unwrap();
        prop_assert_eq!(&again, &tree);
        // The same tree gives the same bytes, and what follows the file is not its own.
        prop_assert_eq!(&write(&again).unwrap().concat(), &bytes);
        let followed = [&bytes[..], b"more"].concat();
        prop_assert_eq!(read(&followed, &mut Budget::new(BUDGET)).unwrap(), tree);
    }

    #[test]
    fn what_is_found_at_a_path_is_what_stands_there(tree in trees()) {
        fn walk(root: &Group<'_>, path: &str, group: &Group<'_>) {
            for (name, node) in &group.members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                assert_eq!(root.find(&path), Ok(Some(node)));
                assert_eq!(root.find(&format!("{path}/")), Ok(Some(node)));
                assert_eq!(root.find(&format!("{path}/none")), Ok(None));
                if let Node::Group(group) = node {
                    assert_eq!((root.group(&path), root.dataset(&path)), (Ok(Some(group)), Ok(None)));
                    walk(root, &path, group);
                } else {
                    assert!(root.dataset(&path).unwrap().is_some());
                    assert_eq!(root.group(&path), Ok(None));
                }
            }
        }
        walk(&tree, "", &tree);
    }
}

fn with(name: &str, array: impl Into<Array<'static>>) -> Group<'static> {
    let node = Node::Dataset(Dataset::from(array));
    Group { members: BTreeMap::from([(name.to_owned(), node)]), ..Group::default() }
}

#[test]
fn numbers_stay_where_they_are() {
    let values: Vec<f32> = (0_u8..100).map(f32::from).collect();
    let tree = with("x", Tensor::from_f32([4, 25], &values).unwrap().into_owned());
    let pieces = write(&tree).unwrap();
    let dataset = tree.dataset("x").unwrap().unwrap().array.tensor().unwrap();
    assert!(pieces.iter().any(|piece| std::ptr::eq(&**piece, dataset.bytes())));
    let bytes = pieces.concat();
    // A budget that has no room for the 400 bytes.
    let again = read(&bytes, &mut Budget::new(1024)).unwrap();
    let found = again.dataset("x").unwrap().unwrap().array.tensor().unwrap().bytes();
    assert!(bytes.as_ptr_range().contains(&found.as_ptr()));
}

#[test]
fn attributes_are_texts_lists_and_numbers() {
    let number = Tensor::new(keepnet::DType::I64, Shape::default(), 7_i64.to_le_bytes().to_vec());
    let none = Tensor::new(keepnet::DType::F64, [0], Vec::new()).unwrap();
    let (number, none) = (Array::from(number.unwrap()), Array::from(none));
    let names = Array::texts(vec!["a".into(), "b".into()]);
    assert_eq!(Array::text("one").as_text(), Some("one"));
    assert_eq!(names.as_text(), None);
    assert_eq!(names.as_texts().unwrap(), ["a", "b"]);
    assert_eq!((number.as_number(), number.as_texts()), (Some(7.0), None));
    // NumPy makes numbers of a list of nothing.
    assert_eq!(none.as_texts(), Some(&[][..]));
    assert_eq!((none.as_number(), names.as_number()), (None, None));
}

#[test]
fn what_hdf5_cannot_keep_is_not_written() {
    let refused = |tree: &Group<'_>, words: &str| {
        let error = write(tree).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    for name in ["", ".", "a/b", "a\0"] {
        refused(&with(name, Array::text("x")), "cannot be a name");
        assert!(read(&forged_name(name), &mut Budget::new(BUDGET)).is_err(), "{name:?}");
    }
    refused(&with("x", Array::text("a\0b")), "would be cut there");
    refused(&with(&"x".repeat(70_000), Array::text("x")), "takes 70000 bytes");
    let two = Array::Text { shape: Shape::from([3]), texts: vec!["a".into(), "b".into()] };
    refused(&with("x", two), "/x: 2 values cannot have the shape 3");
    let odd = Array::Opaque { shape: Shape::from([1]), size: 2, bytes: vec![0; 3].into() };
    refused(&with("x", odd), "cannot have the shape");
    refused(&with("x", Array::Unread { shape: Shape::default(), kind: "times" }), "/x: times");
    let mut large = Group::default();
    let zeros = Tensor::new(keepnet::DType::U8, [70_000], vec![0; 70_000]).unwrap();
    large.attributes.insert("large".into(), zeros.clone().into());
    refused(&large, "keeps of \"large\" takes 70");
    let half = Tensor::new(keepnet::DType::BF16, [1], vec![0; 2]).unwrap();
    let mut dataset = Dataset::from(half);
    dataset.attributes.insert("dtype".into(), Array::text("float32"));
    let node = Node::Dataset(dataset);
    let twice = Group { members: BTreeMap::from([("x".into(), node)]), ..Group::default() };
    refused(&twice, "\"dtype\" stands twice");
    let ranks = |rank: usize| {
        with("x", Array::Text { shape: Shape::from(vec![1; rank]), texts: vec!["a".into()] })
    };
    refused(&ranks(33), "more than 32 dimensions");
    assert!(write(&ranks(32)).is_ok());
}

/// A file with a group of this name in it, which the writer would not write.
fn forged_name(name: &str) -> Vec<u8> {
    // As many bytes, so that nothing moves.
    let placeholder = "n".repeat(name.len());
    let tree = match name {
        "" => Group {
            attributes: BTreeMap::from([("a".into(), Array::text("x"))]),
            ..Group::default()
        },
        _ => with(&placeholder, Array::text("x")),
    };
    let mut bytes = write(&tree).unwrap().concat();
    if name.is_empty() {
        bytes.truncate(bytes.len() - 1);
        return bytes;
    }
    let at =
        bytes.windows(name.len() + 2).position(|all| all[2..] == *placeholder.as_bytes()).unwrap();
    bytes[at + 2..at + 2 + name.len()].copy_from_slice(name.as_bytes());
    bytes
}

#[test]
fn groups_are_as_deep_as_they_can_be_read() {
    let nested = |depth: usize| {
        (0..depth).fold(Group::default(), |inner, _| Group {
            members: BTreeMap::from([("inner".into(), Node::Group(inner))]),
            ..Group::default()
        })
    };
    let deepest = nested(MAX_DEPTH - 1);
    let bytes = write(&deepest).unwrap().concat();
    assert_eq!(read(&bytes, &mut Budget::new(BUDGET)).unwrap(), deepest);
    let error = write(&nested(MAX_DEPTH)).unwrap_err().to_string();
    assert!(error.contains("more than 64 deep"), "{error}");
}
