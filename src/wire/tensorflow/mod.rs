//! What TensorFlow's SavedModels are made of: protocol buffers (`saved_model.pb`), and a bundle of
//! tensors: a table that says where each of them stands (`variables.index`, an SSTable of LevelDB), and
//! shards of their bytes (`variables.data-…`).
//!
//! The messages are declared by hand, with the fields that are used; tags are those of TensorFlow's
//! `.proto` files. Knows no operation and no layer.

mod bundle;
mod error;
mod graph;
mod layouts;
mod objects;
mod table;

pub use bundle::{Bundle, Entry, Index, Value, shard_name, write_bundle};
pub use error::{BundleError, MessageError, TableError};
pub use graph::{
    ArgDef, AttrValue, DataType, Dim, FunctionDef, FunctionDefLibrary, GraphDef, ListValue,
    NameAttrList, NodeDef, OpDef, TensorProto, TensorShapeProto, VersionDef, attr_value,
};
pub use objects::{
    BareConcreteFunction, BundleEntryProto, BundleHeaderProto, ConcreteFunction, DictValue,
    MetaGraphDef, MetaInfoDef, ObjectReference, SavedMetadata, SavedMetadataObject, SavedModel,
    SavedObject, SavedObjectGraph, SavedVariable, SaverDef, SerializedTensor, SignatureDef,
    SlotVariableReference, StructuredValue, TensorInfo, TensorSpecProto, TrackableObject,
    TrackableObjectGraph, TupleValue, UserObject, saved_object, structured_value,
};
pub use table::{TableEntry, read_table, write_table};

use prost::bytes::Bytes;

use super::protobuf::weight;
use crate::bytes::Budget;
use layouts::Measured;

/// Decodes a message, `what` it is called in errors. The bytes of constants are shared with it.
///
/// # Errors
/// If it is none, or would take more memory than is left of `budget`.
pub(crate) fn decode<M: Measured>(
    bytes: Bytes,
    what: &'static str,
    budget: &mut Budget,
) -> Result<M, MessageError> {
    let needed =
        weight(M::LAYOUT, &bytes).map_err(|error| MessageError::Protobuf { what, error })?;
    budget.reserve(needed, what)?;
    M::decode(bytes).map_err(|error| MessageError::Malformed { what, message: error.to_string() })
}
