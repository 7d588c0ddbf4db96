//! What the messages take in memory.

use super::graph::{
    ArgDef, AttrValue, Dim, FunctionDef, FunctionDefLibrary, GraphDef, ListValue, NameAttrList,
    NodeDef, OpDef, TensorProto, TensorShapeProto,
};
use super::objects::{
    BareConcreteFunction, BundleEntryProto, BundleHeaderProto, ConcreteFunction, DictValue,
    MetaGraphDef, MetaInfoDef, ObjectReference, SavedMetadata, SavedMetadataObject, SavedModel,
    SavedObject, SavedObjectGraph, SavedVariable, SaverDef, SerializedTensor, SignatureDef,
    SlotVariableReference, StructuredValue, TensorInfo, TensorSliceProto, TensorSpecProto,
    TrackableObject, TrackableObjectGraph, TupleValue, UserObject,
};
use crate::wire::protobuf::{Field, Layout};
use Field::{Boxed, List, Map, Numbers, One, Text, Texts};

/// A message that is decoded by itself.
pub(crate) trait Measured: prost::Message + Default {
    const LAYOUT: &'static Layout;
}

macro_rules! measured {
    ($($message:ident $layout:ident)*) => {
        $(impl Measured for $message {
            const LAYOUT: &'static Layout = &$layout;
        })*
    };
}

measured! {
    SavedModel SAVED_MODEL
    SavedMetadata SAVED_METADATA
    TrackableObjectGraph TRACKABLE_OBJECT_GRAPH
    BundleHeaderProto BUNDLE_HEADER
    BundleEntryProto BUNDLE_ENTRY
}

/// An entry of a map from texts.
const fn entry<V>(fields: &'static [(u64, Field)]) -> Layout {
    Layout::of::<(String, V)>(fields)
}

static SAVED_MODEL: Layout = Layout::of::<SavedModel>(&[(2, List(&META_GRAPH))]);
static META_GRAPH: Layout = Layout::of::<MetaGraphDef>(&[
    (1, One(&META_INFO)),
    (2, One(&GRAPH)),
    (3, One(&SAVER)),
    (5, Map(&SIGNATURE_ENTRY)),
    (7, One(&SAVED_OBJECT_GRAPH)),
]);
static META_INFO: Layout = Layout::of::<MetaInfoDef>(&[(4, Texts), (5, Text)]);
static SAVER: Layout = Layout::of::<SaverDef>(&[(1, Text), (2, Text), (3, Text)]);
static SIGNATURE_ENTRY: Layout = entry::<SignatureDef>(&[(1, Text), (2, One(&SIGNATURE))]);
static SIGNATURE: Layout = Layout::of::<SignatureDef>(&[
    (1, Map(&TENSOR_INFO_ENTRY)),
    (2, Map(&TENSOR_INFO_ENTRY)),
    (3, Text),
]);
static TENSOR_INFO_ENTRY: Layout = entry::<TensorInfo>(&[(1, Text), (2, One(&TENSOR_INFO))]);
static TENSOR_INFO: Layout = Layout::of::<TensorInfo>(&[(1, Text), (3, One(&TENSOR_SHAPE))]);

static GRAPH: Layout = Layout::of::<GraphDef>(&[(1, List(&NODE)), (2, One(&LIBRARY))]);
static NODE: Layout =
    Layout::of::<NodeDef>(&[(1, Text), (2, Text), (3, Texts), (5, Map(&ATTR_ENTRY))]);
static ATTR_ENTRY: Layout = entry::<AttrValue>(&[(1, Text), (2, One(&ATTR_VALUE))]);
static ATTR_VALUE: Layout = Layout::of::<AttrValue>(&[
    (1, Boxed(&LIST_VALUE)),
    (7, One(&TENSOR_SHAPE)),
    (8, Boxed(&TENSOR)),
    (10, One(&NAME_ATTR_LIST)),
]);
static LIST_VALUE: Layout = Layout::of::<ListValue>(&[
    (2, Texts),
    (3, Numbers(8)),
    (4, Numbers(4)),
    (6, Numbers(4)),
    (7, List(&TENSOR_SHAPE)),
]);
static NAME_ATTR_LIST: Layout = Layout::of::<NameAttrList>(&[(1, Text)]);
/// Its `tensor_content` is shared with the file.
static TENSOR: Layout = Layout::of::<TensorProto>(&[
    (2, One(&TENSOR_SHAPE)),
    (5, Numbers(4)),
    (6, Numbers(8)),
    (7, Numbers(4)),
    (8, Texts),
    (10, Numbers(8)),
    (11, Numbers(1)),
    (13, Numbers(4)),
]);
static TENSOR_SHAPE: Layout = Layout::of::<TensorShapeProto>(&[(2, List(&DIM))]);
static DIM: Layout = Layout::of::<Dim>(&[]);
static LIBRARY: Layout = Layout::of::<FunctionDefLibrary>(&[(1, List(&FUNCTION))]);
static FUNCTION: Layout =
    Layout::of::<FunctionDef>(&[(1, One(&OP)), (3, List(&NODE)), (4, Map(&RESULT_ENTRY))]);
static RESULT_ENTRY: Layout = entry::<String>(&[(1, Text), (2, Text)]);
static OP: Layout = Layout::of::<OpDef>(&[(1, Text), (2, List(&ARG)), (3, List(&ARG))]);
static ARG: Layout = Layout::of::<ArgDef>(&[(1, Text)]);

static SAVED_OBJECT_GRAPH: Layout =
    Layout::of::<SavedObjectGraph>(&[(1, List(&SAVED_OBJECT)), (2, Map(&FUNCTION_ENTRY))]);
static SAVED_OBJECT: Layout = Layout::of::<SavedObject>(&[
    (1, List(&OBJECT_REFERENCE)),
    (4, One(&USER_OBJECT)),
    (7, One(&SAVED_VARIABLE)),
    (8, One(&BARE_FUNCTION)),
]);
static OBJECT_REFERENCE: Layout = Layout::of::<ObjectReference>(&[(2, Text)]);
static USER_OBJECT: Layout = Layout::of::<UserObject>(&[(1, Text), (3, Text)]);
static SAVED_VARIABLE: Layout = Layout::of::<SavedVariable>(&[(2, One(&TENSOR_SHAPE)), (6, Text)]);
static BARE_FUNCTION: Layout = Layout::of::<BareConcreteFunction>(&[(1, Text), (2, Texts)]);
static FUNCTION_ENTRY: Layout =
    entry::<ConcreteFunction>(&[(1, Text), (2, One(&CONCRETE_FUNCTION))]);
static CONCRETE_FUNCTION: Layout = Layout::of::<ConcreteFunction>(&[
    (2, Numbers(4)),
    (3, One(&STRUCTURED)),
    (4, One(&STRUCTURED)),
]);
static STRUCTURED: Layout =
    Layout::of::<StructuredValue>(&[(33, One(&TENSOR_SPEC)), (52, One(&TUPLE)), (53, One(&DICT))]);
static TENSOR_SPEC: Layout = Layout::of::<TensorSpecProto>(&[(1, Text), (2, One(&TENSOR_SHAPE))]);
static TUPLE: Layout = Layout::of::<TupleValue>(&[(1, List(&STRUCTURED))]);
static DICT: Layout = Layout::of::<DictValue>(&[(1, Map(&STRUCTURED_ENTRY))]);
static STRUCTURED_ENTRY: Layout = entry::<StructuredValue>(&[(1, Text), (2, One(&STRUCTURED))]);

static TRACKABLE_OBJECT_GRAPH: Layout =
    Layout::of::<TrackableObjectGraph>(&[(1, List(&TRACKABLE_OBJECT))]);
static TRACKABLE_OBJECT: Layout = Layout::of::<TrackableObject>(&[
    (1, List(&OBJECT_REFERENCE)),
    (2, List(&SERIALIZED_TENSOR)),
    (3, List(&SLOT_VARIABLE)),
]);
static SERIALIZED_TENSOR: Layout =
    Layout::of::<SerializedTensor>(&[(1, Text), (2, Text), (3, Text)]);
static SLOT_VARIABLE: Layout = Layout::of::<SlotVariableReference>(&[(2, Text)]);
static SAVED_METADATA: Layout = Layout::of::<SavedMetadata>(&[(1, List(&METADATA_OBJECT))]);
static METADATA_OBJECT: Layout =
    Layout::of::<SavedMetadataObject>(&[(3, Text), (4, Text), (5, Text)]);
static BUNDLE_HEADER: Layout = Layout::of::<BundleHeaderProto>(&[]);
static BUNDLE_ENTRY: Layout =
    Layout::of::<BundleEntryProto>(&[(2, One(&TENSOR_SHAPE)), (7, List(&TENSOR_SLICE))]);
static TENSOR_SLICE: Layout = Layout::of::<TensorSliceProto>(&[]);
