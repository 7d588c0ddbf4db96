//! The operations of a function, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use prost::bytes::Bytes;

use crate::tensor::Shape;
use crate::wire::tensorflow::{
    AttrValue, DataType, ListValue, NodeDef, TensorProto, TensorShapeProto, attr_value::Value,
};

/// A result, as the inputs of nodes in a function name it: `node:result:number`.
pub(super) type Ref = String;

/// A setting of an operation, by its name.
pub(super) type Attribute = (&'static str, AttrValue);

/// Nodes that are being written, with names of their own.
#[derive(Default)]
pub(super) struct Nodes {
    pub(super) nodes: Vec<NodeDef>,
    pub(super) names: Names,
    /// What the names of the next ones begin with.
    pub(super) scope: String,
}

/// Names, each once.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// `name`, with a number behind it if it is taken.
    pub(super) fn free(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        let mut number = 0_u64;
        while !self.0.insert(free.clone()) {
            number += 1;
            free = format!("{name}_{number}");
        }
        free
    }
}

/// The keywords of Python, as far as they are of small letters, and what it calls the object of a method.
const RESERVED: [&str; 33] = [
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif",
    "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda",
    "nonlocal", "not", "or", "pass", "raise", "return", "self", "try", "while", "with", "yield",
];

/// A name as TensorFlow takes it for nodes: letters, digits and a few signs, the first no sign.
pub(super) fn plain(name: &str) -> String {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    let plain: String = name.chars().map(|c| if is_taken(c) { c } else { '_' }).collect();
    match plain.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        true => plain,
        false => format!("layer{plain}"),
    }
}

/// A name as TensorFlow takes it for arguments and results: small letters, digits and underscores.
pub(super) fn argument(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let is_taken = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let plain: String = lower.chars().map(|c| if is_taken(c) { c } else { '_' }).collect();
    match plain.starts_with(|c: char| c.is_ascii_lowercase()) {
        true => plain,
        false => format!("argument_{plain}"),
    }
}

/// The same for what is given by name in Python, where some names are none.
pub(super) fn input(name: &str) -> String {
    let plain = argument(name);
    match RESERVED.contains(&plain.as_str()) {
        true => format!("{plain}_"),
        false => plain,
    }
}

pub(super) fn kind(data_type: DataType) -> AttrValue {
    AttrValue { value: Some(Value::Type(data_type.into())) }
}

pub(super) fn kinds(data_types: impl IntoIterator<Item = DataType>) -> AttrValue {
    let list = data_types.into_iter().map(i32::from).collect();
    AttrValue {
        value: Some(Value::List(Box::new(ListValue { r#type: list, ..Default::default() }))),
    }
}

pub(super) fn word(text: &str) -> AttrValue {
    AttrValue { value: Some(Value::S(Bytes::copy_from_slice(text.as_bytes()))) }
}

pub(super) fn flag(flag: bool) -> AttrValue {
    AttrValue { value: Some(Value::B(flag)) }
}

#[expect(clippy::cast_possible_truncation, reason = "such settings are f32 in TensorFlow")]
pub(super) fn real(number: f64) -> AttrValue {
    AttrValue { value: Some(Value::F(number as f32)) }
}

pub(super) fn count(number: usize) -> AttrValue {
    AttrValue { value: Some(Value::I(i64::from(small(number)))) }
}

/// One number for each axis of images and the batch before them.
pub(super) fn window([height, width]: [usize; 2]) -> AttrValue {
    let i = [1, height, width, 1].map(|size| i64::from(small(size))).to_vec();
    AttrValue { value: Some(Value::List(Box::new(ListValue { i, ..Default::default() }))) }
}

pub(super) fn shape(shape: TensorShapeProto) -> AttrValue {
    AttrValue { value: Some(Value::Shape(shape)) }
}

pub(super) fn tensor(tensor: TensorProto) -> AttrValue {
    AttrValue { value: Some(Value::Tensor(Box::new(tensor))) }
}

/// TensorFlow counts the places along an axis in 32 bits with a sign. What is larger is no network that
/// could be run.
fn small(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}

impl Nodes {
    /// Adds an operation and gives its first result.
    pub(super) fn add(&mut self, op: &str, inputs: &[&str], attributes: Vec<Attribute>) -> Ref {
        let name = self.names.free(&format!("{}/{op}", self.scope));
        let attr: BTreeMap<_, _> =
            attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let input = inputs.iter().map(|&input| input.to_owned()).collect();
        let reference = format!("{name}:{}:0", result(op));
        self.nodes.push(NodeDef { name, op: op.to_owned(), input, attr });
        reference
    }

    /// Adds an operation on floating-point numbers that has no other settings.
    pub(super) fn apply(&mut self, op: &str, inputs: &[&str]) -> Ref {
        self.add(op, inputs, vec![("T", kind(DataType::Float))])
    }

    fn constant(&mut self, data_type: DataType, dims: &[usize], content: Vec<u8>) -> Ref {
        let value = TensorProto {
            dtype: data_type.into(),
            tensor_shape: Some((&Shape::new(dims)).into()),
            tensor_content: content.into(),
            ..Default::default()
        };
        self.add("Const", &[], vec![("dtype", kind(data_type)), ("value", tensor(value))])
    }

    /// A constant of one number for each element, or one for all.
    #[expect(clippy::cast_possible_truncation, reason = "keepnet computes in f32 too")]
    pub(super) fn numbers(&mut self, dims: &[usize], numbers: &[f64]) -> Ref {
        let content = numbers.iter().flat_map(|&number| (number as f32).to_le_bytes()).collect();
        self.constant(DataType::Float, dims, content)
    }

    pub(super) fn number(&mut self, number: f64) -> Ref {
        self.numbers(&[], &[number])
    }

    /// A constant of signed whole numbers.
    pub(super) fn wholes(&mut self, dims: &[usize], wholes: &[i32]) -> Ref {
        let content = wholes.iter().flat_map(|whole| whole.to_le_bytes()).collect();
        self.constant(DataType::Int32, dims, content)
    }

    /// A list of whole numbers.
    pub(super) fn list(&mut self, wholes: &[i32]) -> Ref {
        self.wholes(&[wholes.len()], wholes)
    }

    /// A list of sizes behind `first`, which is of the batch.
    pub(super) fn sizes(&mut self, first: i32, sizes: &[usize]) -> Ref {
        let sizes: Vec<_> =
            std::iter::once(first).chain(sizes.iter().map(|&size| small(size))).collect();
        self.list(&sizes)
    }

    /// `x`, whose batch stays, with samples of another shape.
    pub(super) fn reshape(&mut self, x: &str, dims: &[usize]) -> Ref {
        let shape = self.sizes(-1, dims);
        self.reshape_to(x, &shape)
    }

    /// A tensor that has no batch, in another shape.
    pub(super) fn reshape_whole(&mut self, x: &str, dims: &[usize]) -> Ref {
        let shape: Vec<_> = dims.iter().map(|&dim| small(dim)).collect();
        let shape = self.list(&shape);
        self.reshape_to(x, &shape)
    }

    fn reshape_to(&mut self, x: &str, shape: &str) -> Ref {
        let attributes = vec![("T", kind(DataType::Float)), ("Tshape", kind(DataType::Int32))];
        self.add("Reshape", &[x, shape], attributes)
    }

    /// The axes in another order, that of the batch among them.
    pub(super) fn transpose(&mut self, x: &str, order: &[usize]) -> Ref {
        let order: Vec<_> = order.iter().map(|&axis| small(axis)).collect();
        let order = self.list(&order);
        let attributes = vec![("T", kind(DataType::Float)), ("Tperm", kind(DataType::Int32))];
        self.add("Transpose", &[x, &order], attributes)
    }

    /// The part of each sample that begins at `begin` and has these sizes.
    pub(super) fn slice(&mut self, x: &str, begin: &[usize], sizes: &[usize]) -> Ref {
        let (begin, sizes) = (self.sizes(0, begin), self.sizes(-1, sizes));
        let attributes = vec![("T", kind(DataType::Float)), ("Index", kind(DataType::Int32))];
        self.add("Slice", &[x, &begin, &sizes], attributes)
    }

    /// `x` with `value` around it: before and behind each axis of a sample.
    pub(super) fn pad(&mut self, x: &str, sides: &[[usize; 2]], value: f64) -> Ref {
        let all = std::iter::once([0, 0]).chain(sides.iter().copied());
        let wholes: Vec<_> = all.flatten().map(small).collect();
        let sides = self.wholes(&[sides.len() + 1, 2], &wholes);
        let attributes = vec![("T", kind(DataType::Float)), ("Tpaddings", kind(DataType::Int32))];
        if value == 0.0 {
            return self.add("Pad", &[x, &sides], attributes);
        }
        let value = self.number(value);
        self.add("PadV2", &[x, &sides, &value], attributes)
    }

    /// `Mean` or `Max` over these axes, the batch being axis 0.
    pub(super) fn reduce(&mut self, op: &str, x: &str, axes: &[i32], keep_dims: bool) -> Ref {
        let axes = self.list(axes);
        let attributes = vec![
            ("T", kind(DataType::Float)),
            ("Tidx", kind(DataType::Int32)),
            ("keep_dims", flag(keep_dims)),
        ];
        self.add(op, &[x, &axes], attributes)
    }

    pub(super) fn concat(&mut self, inputs: &[Ref], axis: i32) -> Ref {
        let axis = self.wholes(&[], &[axis]);
        let attributes = vec![
            ("N", count(inputs.len())),
            ("T", kind(DataType::Float)),
            ("Tidx", kind(DataType::Int32)),
        ];
        let inputs: Vec<_> = inputs.iter().map(String::as_str).chain([axis.as_str()]).collect();
        self.add("ConcatV2", &inputs, attributes)
    }

    /// `x` in so many parts of one size along an axis.
    pub(super) fn split(&mut self, x: &str, parts: usize, axis: i32) -> Vec<Ref> {
        let axis = self.wholes(&[], &[axis]);
        let attributes = vec![("T", kind(DataType::Float)), ("num_split", count(parts))];
        let first = self.add("Split", &[&axis, x], attributes);
        let results = first.strip_suffix('0').unwrap_or(&first);
        (0..parts).map(|number| format!("{results}{number}")).collect()
    }
}

/// What TensorFlow calls the first result of an operation (`core/ops/*.cc`).
fn result(op: &str) -> &'static str {
    match op {
        "AddV2" | "Sub" | "Mul" | "RealDiv" | "Maximum" | "Minimum" | "Greater"
        | "SquaredDifference" => "z",
        "Abs" | "Neg" | "Exp" | "Expm1" | "Erf" | "Sqrt" | "Rsqrt" | "Square" | "Sigmoid"
        | "Tanh" | "Transpose" | "FusedBatchNormV3" => "y",
        "Relu" | "Relu6" | "LeakyRelu" | "Elu" | "Selu" | "Softplus" | "Softsign" => "activations",
        "Softmax" => "softmax",
        "LogSoftmax" => "logsoftmax",
        "MatMul" => "product",
        "ReadVariableOp" => "value",
        "ResizeNearestNeighbor" | "ResizeBilinear" => "resized_images",
        _ => "output",
    }
}
