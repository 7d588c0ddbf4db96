//! What the messages of a file take in memory.

use super::{
    Attribute, Dimension, Entry, Graph, Model, Node, OperatorSet, Tensor, TensorShape, TensorType,
    TrainingInfo, Type, ValueInfo,
};
use crate::wire::protobuf::{Field, Layout};
use Field::{Boxed, List, Numbers, One, Text, Texts};

pub(super) static MODEL: Layout = Layout::of::<Model>(&[
    (2, Text),
    (3, Text),
    (7, One(&GRAPH)),
    (8, List(&OPERATOR_SET)),
    (14, List(&ENTRY)),
    (20, List(&TRAINING_INFO)),
    (25, Texts),
]);
static OPERATOR_SET: Layout = Layout::of::<OperatorSet>(&[(1, Text)]);
static ENTRY: Layout = Layout::of::<Entry>(&[(1, Text), (2, Text)]);
static TRAINING_INFO: Layout = Layout::of::<TrainingInfo>(&[(1, One(&GRAPH))]);
static GRAPH: Layout = Layout::of::<Graph>(&[
    (1, List(&NODE)),
    (2, Text),
    (5, List(&TENSOR)),
    (11, List(&VALUE_INFO)),
    (12, List(&VALUE_INFO)),
    (15, Texts),
]);
static NODE: Layout = Layout::of::<Node>(&[
    (1, Texts),
    (2, Texts),
    (3, Text),
    (4, Text),
    (5, List(&ATTRIBUTE)),
    (7, Text),
]);
static ATTRIBUTE: Layout =
    Layout::of::<Attribute>(&[(1, Text), (5, Boxed(&TENSOR)), (7, Numbers(4)), (8, Numbers(8))]);
/// Its `raw_data` is shared with the file.
static TENSOR: Layout = Layout::of::<Tensor>(&[
    (1, Numbers(8)),
    (4, Numbers(4)),
    (5, Numbers(4)),
    (7, Numbers(8)),
    (8, Text),
    (10, Numbers(8)),
    (11, Numbers(8)),
    (13, List(&ENTRY)),
]);
static VALUE_INFO: Layout = Layout::of::<ValueInfo>(&[(1, Text), (2, One(&TYPE))]);
static TYPE: Layout = Layout::of::<Type>(&[(1, One(&TENSOR_TYPE))]);
static TENSOR_TYPE: Layout = Layout::of::<TensorType>(&[(2, One(&TENSOR_SHAPE))]);
static TENSOR_SHAPE: Layout = Layout::of::<TensorShape>(&[(1, List(&DIMENSION))]);
static DIMENSION: Layout = Layout::of::<Dimension>(&[(2, Text)]);
