//! Models around graphs: `saved_model.proto`, `meta_graph.proto`, `saved_object_graph.proto`,
//! `trackable_object_graph.proto`, `struct.proto`, `tensor_bundle.proto` of TensorFlow, and
//! `saved_metadata.proto` of Keras.

use std::collections::BTreeMap;

use prost::{Message, Oneof};

use super::graph::{DataType, GraphDef, TensorShapeProto, VersionDef};

/// `saved_model.pb`
#[derive(Clone, PartialEq, Message)]
pub struct SavedModel {
    #[prost(int64, tag = "1")]
    pub saved_model_schema_version: i64,
    #[prost(message, repeated, tag = "2")]
    pub meta_graphs: Vec<MetaGraphDef>,
}

#[derive(Clone, PartialEq, Message)]
pub struct MetaGraphDef {
    #[prost(message, optional, tag = "1")]
    pub meta_info_def: Option<MetaInfoDef>,
    #[prost(message, optional, tag = "2")]
    pub graph_def: Option<GraphDef>,
    #[prost(message, optional, tag = "3")]
    pub saver_def: Option<SaverDef>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub signature_def: BTreeMap<String, SignatureDef>,
    #[prost(message, optional, tag = "7")]
    pub object_graph_def: Option<SavedObjectGraph>,
}

#[derive(Clone, PartialEq, Message)]
pub struct MetaInfoDef {
    #[prost(string, repeated, tag = "4")]
    pub tags: Vec<String>,
    #[prost(string, tag = "5")]
    pub tensorflow_version: String,
}

/// How TensorFlow 1 saves and restores.
#[derive(Clone, PartialEq, Message)]
pub struct SaverDef {
    #[prost(string, tag = "1")]
    pub filename_tensor_name: String,
    #[prost(string, tag = "2")]
    pub save_tensor_name: String,
    #[prost(string, tag = "3")]
    pub restore_op_name: String,
    /// 2: tensor bundles.
    #[prost(int32, tag = "7")]
    pub version: i32,
}

/// What can be asked for, by names.
#[derive(Clone, PartialEq, Message)]
pub struct SignatureDef {
    #[prost(btree_map = "string, message", tag = "1")]
    pub inputs: BTreeMap<String, TensorInfo>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub outputs: BTreeMap<String, TensorInfo>,
    #[prost(string, tag = "3")]
    pub method_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorInfo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(enumeration = "DataType", tag = "2")]
    pub dtype: i32,
    #[prost(message, optional, tag = "3")]
    pub tensor_shape: Option<TensorShapeProto>,
}

/// The objects of TensorFlow 2; number 0 is the root.
#[derive(Clone, PartialEq, Message)]
pub struct SavedObjectGraph {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<SavedObject>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub concrete_functions: BTreeMap<String, ConcreteFunction>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SavedObject {
    #[prost(message, repeated, tag = "1")]
    pub children: Vec<ObjectReference>,
    #[prost(oneof = "saved_object::Kind", tags = "4, 7, 8")]
    pub kind: Option<saved_object::Kind>,
}

pub mod saved_object {
    use super::{BareConcreteFunction, Oneof, SavedVariable, UserObject};

    #[derive(Clone, PartialEq, Oneof)]
    pub enum Kind {
        #[prost(message, tag = "4")]
        UserObject(UserObject),
        #[prost(message, tag = "7")]
        Variable(SavedVariable),
        #[prost(message, tag = "8")]
        BareConcreteFunction(BareConcreteFunction),
    }
}

/// A member of an object.
#[derive(Clone, PartialEq, Message)]
pub struct ObjectReference {
    #[prost(int32, tag = "1")]
    pub node_id: i32,
    #[prost(string, tag = "2")]
    pub local_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct UserObject {
    #[prost(string, tag = "1")]
    pub identifier: String,
    #[prost(message, optional, tag = "2")]
    pub version: Option<VersionDef>,
    /// JSON; of Keras up to TensorFlow 2.4.
    #[prost(string, tag = "3")]
    pub metadata: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct SavedVariable {
    #[prost(enumeration = "DataType", tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
    #[prost(bool, tag = "3")]
    pub trainable: bool,
    #[prost(string, tag = "6")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct BareConcreteFunction {
    #[prost(string, tag = "1")]
    pub concrete_function_name: String,
    #[prost(string, repeated, tag = "2")]
    pub argument_keywords: Vec<String>,
    #[prost(int64, tag = "3")]
    pub allowed_positional_arguments: i64,
}

/// A function and the objects that it is given behind its arguments.
#[derive(Clone, PartialEq, Message)]
pub struct ConcreteFunction {
    #[prost(int32, repeated, tag = "2")]
    pub bound_inputs: Vec<i32>,
    #[prost(message, optional, tag = "3")]
    pub canonicalized_input_signature: Option<StructuredValue>,
    #[prost(message, optional, tag = "4")]
    pub output_signature: Option<StructuredValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct StructuredValue {
    #[prost(oneof = "structured_value::Kind", tags = "33, 52, 53")]
    pub kind: Option<structured_value::Kind>,
}

pub mod structured_value {
    use super::{DictValue, Oneof, TensorSpecProto, TupleValue};

    #[derive(Clone, PartialEq, Oneof)]
    pub enum Kind {
        #[prost(message, tag = "33")]
        TensorSpec(TensorSpecProto),
        #[prost(message, tag = "52")]
        Tuple(TupleValue),
        #[prost(message, tag = "53")]
        Dict(DictValue),
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorSpecProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
    #[prost(enumeration = "DataType", tag = "3")]
    pub dtype: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct TupleValue {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<StructuredValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct DictValue {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, StructuredValue>,
}

/// The objects once more, as the bundle has them: which key each variable stands under.
#[derive(Clone, PartialEq, Message)]
pub struct TrackableObjectGraph {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<TrackableObject>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TrackableObject {
    #[prost(message, repeated, tag = "1")]
    pub children: Vec<ObjectReference>,
    #[prost(message, repeated, tag = "2")]
    pub attributes: Vec<SerializedTensor>,
    /// Of an optimizer of Keras up to 2.10.
    #[prost(message, repeated, tag = "3")]
    pub slot_variables: Vec<SlotVariableReference>,
    /// A `google.protobuf.BoolValue`.
    #[prost(message, optional, tag = "5")]
    pub has_checkpoint_values: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SerializedTensor {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub full_name: String,
    #[prost(string, tag = "3")]
    pub checkpoint_key: String,
}

/// What an optimizer remembers of a variable.
#[derive(Clone, PartialEq, Message)]
pub struct SlotVariableReference {
    #[prost(int32, tag = "1")]
    pub original_variable_node_id: i32,
    #[prost(string, tag = "2")]
    pub slot_name: String,
    #[prost(int32, tag = "3")]
    pub slot_variable_node_id: i32,
}

/// `keras_metadata.pb`
#[derive(Clone, PartialEq, Message)]
pub struct SavedMetadata {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<SavedMetadataObject>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SavedMetadataObject {
    #[prost(int32, tag = "2")]
    pub node_id: i32,
    /// `root`, `root.layer_with_weights-0`, …
    #[prost(string, tag = "3")]
    pub node_path: String,
    #[prost(string, tag = "4")]
    pub identifier: String,
    /// JSON.
    #[prost(string, tag = "5")]
    pub metadata: String,
}

/// What stands under the empty key of a bundle.
#[derive(Clone, PartialEq, Message)]
pub struct BundleHeaderProto {
    #[prost(int32, tag = "1")]
    pub num_shards: i32,
    /// 0: little.
    #[prost(int32, tag = "2")]
    pub endianness: i32,
    #[prost(message, optional, tag = "3")]
    pub version: Option<VersionDef>,
}

/// Where a tensor stands.
#[derive(Clone, PartialEq, Message)]
pub struct BundleEntryProto {
    #[prost(enumeration = "DataType", tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
    #[prost(int32, tag = "3")]
    pub shard_id: i32,
    #[prost(int64, tag = "4")]
    pub offset: i64,
    #[prost(int64, tag = "5")]
    pub size: i64,
    /// Masked.
    #[prost(fixed32, tag = "6")]
    pub crc32c: u32,
    /// Of a variable that is stored in parts.
    #[prost(message, repeated, tag = "7")]
    pub slices: Vec<TensorSliceProto>,
}

/// Which part; only that there is one matters here.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct TensorSliceProto {}
