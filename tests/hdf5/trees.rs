//! Trees drawn by chance.

use std::borrow::Cow;
use std::collections::BTreeMap;

use keepnet::wire::hdf5::{Array, Dataset, Group, Node};
use keepnet::{DType, Shape, Tensor};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// Any tree that can be written, with groups up to four deep.
pub(crate) fn trees() -> impl Strategy<Value = Group<'static>> {
    let datasets = (attributes(), arrays())
        .prop_map(|(attributes, array)| Node::Dataset(Dataset { attributes, array }));
    let nodes = datasets.prop_recursive(4, 24, 5, |inner| {
        (attributes(), btree_map(names(), inner, 0..5))
            .prop_map(|(attributes, members)| Node::Group(Group { attributes, members }))
    });
    (attributes(), btree_map(names(), nodes, 0..6))
        .prop_map(|(attributes, members)| Group { attributes, members })
}

fn names() -> impl Strategy<Value = String> {
    let long = Just("a name that is longer than others ".repeat(20));
    prop_oneof![9 => "[a-z0-9:_.é ]{1,12}", 1 => long].prop_filter("a path", |name| name != ".")
}

fn attributes() -> impl Strategy<Value = BTreeMap<String, Array<'static>>> {
    // Other names than those of members can have.
    btree_map("[a-z/.é]{1,9}", arrays(), 0..4)
}

pub(crate) fn arrays() -> impl Strategy<Value = Array<'static>> {
    prop_oneof![4 => numbers(), 4 => texts(), 1 => opaque()]
}

fn shapes() -> impl Strategy<Value = Shape> {
    vec(0_usize..5, 0..4).prop_map(Shape::from)
}

fn numbers() -> impl Strategy<Value = Array<'static>> {
    let dtypes = proptest::sample::select(DType::ALL.to_vec());
    (dtypes, shapes())
        .prop_flat_map(|(dtype, shape)| {
            let length = shape.elements() * dtype.size();
            (Just(dtype), Just(shape), vec(any::<u8>(), length))
        })
        .prop_map(|(dtype, shape, bytes)| Array::Numbers(Tensor::new(dtype, shape, bytes).unwrap()))
}

fn texts() -> impl Strategy<Value = Array<'static>> {
    // The longest stands in the global heap.
    let text = prop_oneof![8 => "[a-zé {}\":]{0,9}", 1 => Just("long ".repeat(7_000))];
    shapes()
        .prop_flat_map(move |shape| (Just(shape.clone()), vec(text.clone(), shape.elements())))
        .prop_map(|(shape, texts)| Array::Text { shape, texts })
}

fn opaque() -> impl Strategy<Value = Array<'static>> {
    (1_u32..9, shapes())
        .prop_flat_map(|(size, shape)| {
            let length = shape.elements() * size as usize;
            (Just(size), Just(shape), vec(any::<u8>(), length))
        })
        .prop_map(|(size, shape, bytes)| Array::Opaque { shape, size, bytes: Cow::Owned(bytes) })
}
