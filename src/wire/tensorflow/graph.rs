//! Graphs of operations: `graph.proto`, `node_def.proto`, `attr_value.proto`, `tensor.proto`,
//! `function.proto`, `op_def.proto` of TensorFlow.

use std::collections::BTreeMap;

use prost::bytes::Bytes;
use prost::{Enumeration, Message, Oneof};

use crate::tensor::{DType, Shape};

/// Operations, and the functions that they may call.
#[derive(Clone, PartialEq, Message)]
pub struct GraphDef {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeDef>,
    #[prost(message, optional, tag = "4")]
    pub versions: Option<VersionDef>,
    #[prost(message, optional, tag = "2")]
    pub library: Option<FunctionDefLibrary>,
}

#[derive(Clone, PartialEq, Message)]
pub struct VersionDef {
    #[prost(int32, tag = "1")]
    pub producer: i32,
    #[prost(int32, tag = "2")]
    pub min_consumer: i32,
}

/// An operation. Inputs are `node:number` (`node` for number 0) in a graph, `node:result:number` in a
/// function, and `^node` for what only has to be done before.
#[derive(Clone, PartialEq, Message)]
pub struct NodeDef {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub op: String,
    #[prost(string, repeated, tag = "3")]
    pub input: Vec<String>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub attr: BTreeMap<String, AttrValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AttrValue {
    #[prost(oneof = "attr_value::Value", tags = "1, 2, 3, 4, 5, 6, 7, 8, 10")]
    pub value: Option<attr_value::Value>,
}

pub mod attr_value {
    use super::{Bytes, ListValue, NameAttrList, Oneof, TensorProto, TensorShapeProto};

    #[derive(Clone, PartialEq, Oneof)]
    pub enum Value {
        #[prost(message, boxed, tag = "1")]
        List(Box<ListValue>),
        #[prost(bytes = "bytes", tag = "2")]
        S(Bytes),
        #[prost(int64, tag = "3")]
        I(i64),
        #[prost(float, tag = "4")]
        F(f32),
        #[prost(bool, tag = "5")]
        B(bool),
        #[prost(enumeration = "super::DataType", tag = "6")]
        Type(i32),
        #[prost(message, tag = "7")]
        Shape(TensorShapeProto),
        #[prost(message, boxed, tag = "8")]
        Tensor(Box<TensorProto>),
        #[prost(message, tag = "10")]
        Func(NameAttrList),
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct ListValue {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub s: Vec<Bytes>,
    #[prost(int64, repeated, tag = "3")]
    pub i: Vec<i64>,
    #[prost(float, repeated, tag = "4")]
    pub f: Vec<f32>,
    #[prost(enumeration = "DataType", repeated, tag = "6")]
    pub r#type: Vec<i32>,
    #[prost(message, repeated, tag = "7")]
    pub shape: Vec<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct NameAttrList {
    #[prost(string, tag = "1")]
    pub name: String,
}

/// A constant: its bytes, or values of its type. Fewer values than elements: the last one stands for the
/// rest; none at all: zeros.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    #[prost(enumeration = "DataType", tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub tensor_shape: Option<TensorShapeProto>,
    #[prost(bytes = "bytes", tag = "4")]
    pub tensor_content: Bytes,
    #[prost(float, repeated, tag = "5")]
    pub float_val: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    pub double_val: Vec<f64>,
    #[prost(int32, repeated, tag = "7")]
    pub int_val: Vec<i32>,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    pub string_val: Vec<Bytes>,
    #[prost(int64, repeated, tag = "10")]
    pub int64_val: Vec<i64>,
    #[prost(bool, repeated, tag = "11")]
    pub bool_val: Vec<bool>,
    #[prost(int32, repeated, tag = "13")]
    pub half_val: Vec<i32>,
}

/// −1 for a dimension that is not known.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    #[prost(message, repeated, tag = "2")]
    pub dim: Vec<Dim>,
    #[prost(bool, tag = "3")]
    pub unknown_rank: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Dim {
    #[prost(int64, tag = "1")]
    pub size: i64,
}

impl TensorShapeProto {
    pub fn new(dims: impl IntoIterator<Item = i64>) -> Self {
        Self { dim: dims.into_iter().map(|size| Dim { size }).collect(), unknown_rank: false }
    }

    /// Nothing if a dimension is not known.
    pub fn known(&self) -> Option<Shape> {
        let dims = self.dim.iter().map(|dim| usize::try_from(dim.size).ok());
        let dims = dims.collect::<Option<Vec<_>>>().filter(|_| !self.unknown_rank)?;
        Some(Shape::new(dims))
    }
}

impl From<&Shape> for TensorShapeProto {
    fn from(shape: &Shape) -> Self {
        Self::new(shape.dims().iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)))
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct FunctionDefLibrary {
    #[prost(message, repeated, tag = "1")]
    pub function: Vec<FunctionDef>,
}

/// A function. `ret` says for each of its results which one of its nodes gives it.
#[derive(Clone, PartialEq, Message)]
pub struct FunctionDef {
    #[prost(message, optional, tag = "1")]
    pub signature: Option<OpDef>,
    #[prost(message, repeated, tag = "3")]
    pub node_def: Vec<NodeDef>,
    #[prost(btree_map = "string, string", tag = "4")]
    pub ret: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct OpDef {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub input_arg: Vec<ArgDef>,
    #[prost(message, repeated, tag = "3")]
    pub output_arg: Vec<ArgDef>,
    #[prost(bool, tag = "17")]
    pub is_stateful: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct ArgDef {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(enumeration = "DataType", tag = "3")]
    pub r#type: i32,
}

/// Types of elements (`types.proto`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum DataType {
    Invalid = 0,
    Float = 1,
    Double = 2,
    Int32 = 3,
    Uint8 = 4,
    Int16 = 5,
    Int8 = 6,
    String = 7,
    Complex64 = 8,
    Int64 = 9,
    Bool = 10,
    Bfloat16 = 14,
    Uint16 = 17,
    Complex128 = 18,
    Half = 19,
    Resource = 20,
    Variant = 21,
    Uint32 = 22,
    Uint64 = 23,
}

impl DataType {
    /// The type of the tensors of keepnet that have these bytes.
    pub fn dtype(self) -> Option<DType> {
        DType::ALL.into_iter().find(|&dtype| Self::of(dtype) == Some(self))
    }

    /// Nothing for a type that TensorFlow does not have.
    pub fn of(dtype: DType) -> Option<Self> {
        Some(match dtype {
            DType::F16 => Self::Half,
            DType::BF16 => Self::Bfloat16,
            DType::F32 => Self::Float,
            DType::F64 => Self::Double,
            DType::I8 => Self::Int8,
            DType::I16 => Self::Int16,
            DType::I32 => Self::Int32,
            DType::I64 => Self::Int64,
            DType::U8 => Self::Uint8,
            DType::U16 => Self::Uint16,
            DType::U32 => Self::Uint32,
            DType::U64 => Self::Uint64,
            DType::Bool => Self::Bool,
        })
    }
}
