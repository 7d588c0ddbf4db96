//! The operations of a graph: functions without end, constants of few bytes.

use std::fs;
use std::path::Path;

use keepnet::wire::tensorflow::{
    AttrValue, DataType, FunctionDef, GraphDef, ListValue, MetaGraphDef, NameAttrList, NodeDef,
    SavedModel, TensorProto, TensorShapeProto, attr_value,
};
use prost::Message;

use super::super::Tried;
use super::HUGE;

/// The graph in `saved_model.pb`, changed for a moment.
pub(super) fn edited(path: &Path, change: impl FnOnce(&mut MetaGraphDef), then: impl FnOnce()) {
    let file = path.join("saved_model.pb");
    let before = fs::read(&file).unwrap();
    let mut model = SavedModel::decode(&*before).unwrap();
    change(&mut model.meta_graphs[0]);
    fs::write(&file, model.encode_to_vec()).unwrap();
    then();
    fs::write(&file, before).unwrap();
}

pub(super) fn library(graph: &mut MetaGraphDef) -> &mut Vec<FunctionDef> {
    &mut graph.graph_def.as_mut().unwrap().library.as_mut().unwrap().function
}

/// The function that computes.
pub(super) fn nodes(graph: &mut MetaGraphDef) -> &mut Vec<NodeDef> {
    let computes =
        |function: &&mut FunctionDef| function.node_def.iter().any(|node| node.op == "Conv2D");
    &mut library(graph).iter_mut().find(computes).unwrap().node_def
}

pub(super) fn node<'g>(graph: &'g mut MetaGraphDef, op: &str) -> &'g mut NodeDef {
    nodes(graph).iter_mut().find(|node| node.op == op).unwrap()
}

pub(super) fn attr(value: attr_value::Value) -> AttrValue {
    AttrValue { value: Some(value) }
}

pub(super) fn text(text: &str) -> AttrValue {
    attr(attr_value::Value::S(text.as_bytes().to_vec().into()))
}

/// Operations of TensorFlow that run code, or reach for files and machines: named, and never run.
pub(super) fn operations(tried: &mut Tried, path: &Path, home: &Path) {
    let secret = home.join("written").display().to_string();
    for op in [
        "PyFunc",
        "PyFuncStateless",
        "EagerPyFunc",
        "ReadFile",
        "WriteFile",
        "MatchingFiles",
        "SaveV2",
        "RestoreV2",
        "Restore",
        "LoadAndRemapMatrix",
        "ImmutableConst",
        "InitializeTableFromTextFileV2",
        "LookupTableFindV2",
        "TextLineReaderV2",
        "TFRecordDataset",
        "FixedLengthRecordDatasetV2",
        "LoadDataset",
        "SaveDatasetV2",
        "PrintV2",
        "Send",
        "RemoteCall",
        "CollectiveReduceV2",
        "XlaLaunch",
        "TPUExecute",
        "CustomTFLiteOp",
        "DebugIdentityV3",
        "CloseSummaryWriter",
        "CreateSummaryFileWriter",
        "If",
        "While",
        "Case",
    ] {
        edited(
            path,
            |graph| {
                let relu = node(graph, "Relu");
                relu.op = op.to_owned();
                for key in
                    ["filename", "token", "memory_region_name", "file_pattern", "shared_name"]
                {
                    relu.attr.insert(key.to_owned(), text(&secret));
                }
            },
            || tried.refused(&format!("{op} in the graph"), path, &format!("{op} (×1)")),
        );
    }
    assert!(!Path::new(&secret).exists());
}

pub(super) fn functions(tried: &mut Tried, path: &Path) {
    let relu_of = |input: &str, graph: &mut MetaGraphDef| {
        node(graph, "Relu").input = vec![input.to_owned()];
    };
    edited(
        path,
        |graph| {
            let own = format!("{}:activations:0", node(graph, "Relu").name);
            relu_of(&own, graph);
        },
        || tried.refused("an operation that needs itself", path, "needs its own result"),
    );
    edited(
        path,
        |graph| relu_of("none:y:0", graph),
        || {
            tried.refused("an operation that is not there", path, "`none` is referred to");
        },
    );
    // A function that calls itself, under its own name and as an attribute.
    for by_attribute in [true, false] {
        edited(
            path,
            |graph| {
                let computes =
                    |function: &FunctionDef| function.node_def.iter().any(|node| node.op == "Relu");
                let function = library(graph).iter().find(|it| computes(it)).unwrap();
                let name = function.signature.as_ref().unwrap().name.clone();
                let relu = node(graph, "Relu");
                relu.op =
                    if by_attribute { "StatefulPartitionedCall".to_owned() } else { name.clone() };
                let called = attr_value::Value::Func(NameAttrList { name });
                relu.attr.insert("f".to_owned(), attr(called));
            },
            || tried.refused("a function that calls itself", path, ""),
        );
    }
    // A row of operations, and one of many inputs.
    edited(
        path,
        |graph| {
            let relu = node(graph, "Relu");
            let before =
                std::mem::replace(&mut relu.input[0], "row_39999:activations:0".to_owned());
            let row = (0..40_000).map(|number| NodeDef {
                name: format!("row_{number}"),
                op: "Relu".to_owned(),
                input: vec![match number {
                    0 => before.clone(),
                    _ => format!("row_{}:activations:0", number - 1),
                }],
                ..NodeDef::default()
            });
            let row: Vec<_> = row.collect();
            nodes(graph).extend(row);
        },
        || tried.refused("40,000 operations in a row", path, ""),
    );
    edited(
        path,
        |graph| {
            let relu = node(graph, "Relu");
            relu.op = "AddN".to_owned();
            relu.input = vec![relu.input[0].clone(); 1_000_000];
        },
        || tried.refused("1,000,000 inputs of an operation", path, "more than 32768 operations"),
    );
    // Functions that call one another, 10,000 deep.
    edited(
        path,
        |graph| {
            let functions = library(graph);
            let template = functions
                .iter()
                .find(|it| it.node_def.iter().any(|node| node.op == "Relu"))
                .unwrap()
                .clone();
            for number in 0..10_000 {
                let mut next = template.clone();
                next.signature.as_mut().unwrap().name = format!("next_{number}");
                let relu = next.node_def.iter_mut().find(|node| node.op == "Relu").unwrap();
                relu.op = "PartitionedCall".to_owned();
                let called = NameAttrList { name: format!("next_{}", number + 1) };
                relu.attr.insert("f".to_owned(), attr(attr_value::Value::Func(called)));
                next.node_def.retain(|node| node.op == "PartitionedCall");
                functions.push(next);
            }
            let called = NameAttrList { name: "next_0".to_owned() };
            let relu = node(graph, "Relu");
            relu.op = "PartitionedCall".to_owned();
            relu.attr.insert("f".to_owned(), attr(attr_value::Value::Func(called)));
        },
        || tried.refused("10,000 functions that call one another", path, ""),
    );
    edited(
        path,
        |graph| graph.signature_def.clear(),
        || {
            tried.refused("no signature", path, "no signature to serve");
        },
    );
    edited(
        path,
        |graph| graph.graph_def = Some(GraphDef::default()),
        || {
            tried.refused("no operations", path, "");
        },
    );
}

/// Constants of few bytes and many numbers.
pub(super) fn constants(tried: &mut Tried, path: &Path) {
    let shape = |dims: &[i64]| TensorShapeProto::new(dims.iter().copied());
    let float = || TensorProto {
        dtype: DataType::Float.into(),
        float_val: vec![1.0],
        ..TensorProto::default()
    };
    for dims in [
        &[HUGE][..],
        &[1 << 32, 1 << 32],
        &[HUGE; 8],
        &[-1],
        &[i64::MIN, 2],
        &[1 << 31],
        &[1 << 30],
        &[1 << 20],
        &[1; 1 << 16],
    ] {
        for proto in [
            TensorProto { tensor_shape: Some(shape(dims)), ..float() },
            TensorProto { tensor_shape: Some(shape(dims)), float_val: vec![], ..float() },
            TensorProto {
                tensor_shape: Some(shape(dims)),
                tensor_content: vec![0; 4].into(),
                float_val: vec![],
                ..float()
            },
            TensorProto {
                dtype: DataType::String.into(),
                tensor_shape: Some(shape(dims)),
                ..float()
            },
        ] {
            let what = format!("a constant of shape {:?}", &dims[..dims.len().min(4)]);
            edited(
                path,
                |graph| {
                    let add = node(graph, "BiasAdd");
                    add.input[1] = "bomb:output:0".to_owned();
                    let value = attr(attr_value::Value::Tensor(Box::new(proto)));
                    let r#type = attr(attr_value::Value::Type(DataType::Float.into()));
                    nodes(graph).push(NodeDef {
                        name: "bomb".to_owned(),
                        op: "Const".to_owned(),
                        attr: [("value".to_owned(), value), ("dtype".to_owned(), r#type)].into(),
                        ..NodeDef::default()
                    });
                },
                || tried.refused(&what, path, ""),
            );
        }
    }
    repeated(tried, path);
    // Sizes of what goes in.
    for dims in [&[-1, HUGE, HUGE, 1][..], &[-1, 1 << 31, 1 << 31, 1], &[i64::MIN], &[1; 1 << 16]] {
        let what = format!("an input of shape {:?}", &dims[..dims.len().min(4)]);
        edited(
            path,
            |graph| {
                for signature in graph.signature_def.values_mut() {
                    let inputs = signature.inputs.values_mut();
                    inputs.for_each(|input| input.tensor_shape = Some(shape(dims)));
                }
            },
            || tried.refused(&what, path, ""),
        );
    }
    for (attribute, op, values) in [
        ("strides", "Conv2D", [1, HUGE, HUGE, 1]),
        ("strides", "Conv2D", [1, 0, 0, 1]),
        ("strides", "Conv2D", [1, -1, i64::MIN, 1]),
        ("dilations", "Conv2D", [1, HUGE, HUGE, 1]),
        ("dilations", "Conv2D", [HUGE, 1, 1, HUGE]),
    ] {
        edited(
            path,
            |graph| {
                let conv = node(graph, op);
                let Some(attr_value::Value::List(list)) =
                    &mut conv.attr.get_mut(attribute).unwrap().value
                else {
                    panic!("{op} has {attribute}");
                };
                list.i = values.to_vec();
            },
            || tried.refused(&format!("{attribute} of {values:?}"), path, ""),
        );
    }
}

/// Attributes of another type than their operation has, without a value, and left out.
pub(super) fn attributes(tried: &mut Tried, path: &Path) {
    use attr_value::Value::{B, F, I, List, S};
    let floats =
        || List(Box::new(ListValue { f: vec![1.0, 2.0, 2.0, 1.0], ..ListValue::default() }));
    let empty = || List(Box::default());
    let cases = [
        ("Conv2D", "strides", Some(I(2)), "of the type list(int), but is of type int"),
        ("Conv2D", "strides", Some(floats()), "of the type list(int), but is of type list(float)"),
        ("Conv2D", "strides", Some(empty()), "moves along other axes"),
        ("Conv2D", "strides", None, "of the type list(int), but is of type none"),
        ("Conv2D", "dilations", Some(floats()), "attribute `dilations` of node"),
        ("Conv2D", "padding", Some(B(true)), "of the type string, but is of type bool"),
        ("Conv2D", "data_format", Some(I(3)), "of the type string, but is of type int"),
        ("Conv2D", "data_format", Some(S(vec![0xFF, 0xFE].into())), "has a text that is none"),
        ("MaxPool", "ksize", Some(I(2)), "of the type list(int), but is of type int"),
        ("MatMul", "transpose_b", Some(I(1)), "of the type bool, but is of type int"),
        ("LeakyRelu", "alpha", Some(I(1)), "of the type float, but is of type int"),
        ("Mean", "keep_dims", Some(I(0)), "of the type bool, but is of type int"),
        ("Cast", "DstT", Some(I(1)), "of the type type, but is of type int"),
        ("Unpack", "axis", Some(F(1.0)), "of the type int, but is of type float"),
        ("VarHandleOp", "shared_name", Some(I(1)), "of the type string, but is of type int"),
    ];
    let replaced = ["MaxPool", "LeakyRelu", "Mean", "Cast", "Unpack", "VarHandleOp"];
    for (op, name, value, reason) in cases {
        edited(
            path,
            |graph| {
                let node = node(graph, if replaced.contains(&op) { "Relu" } else { op });
                node.op = op.to_owned();
                node.attr.insert(name.to_owned(), AttrValue { value });
            },
            || tried.refused(&format!("another `{name}` of {op}"), path, reason),
        );
    }
    let without = |name: &str, then: &mut dyn FnMut(&str)| {
        let what = format!("a Conv2D without {name}");
        edited(
            path,
            |graph| drop(node(graph, "Conv2D").attr.remove(name).unwrap()),
            || then(&what),
        );
    };
    without("strides", &mut |what| tried.refused(what, path, "tells of no strides"));
    without("padding", &mut |what| tried.refused(what, path, "has another padding than"));
    for name in ["dilations", "data_format"] {
        without(name, &mut |what| tried.read(what, path));
    }
}

/// Numbers that are told once and stand for many, in one constant and in several.
fn repeated(tried: &mut Tried, path: &Path) {
    let constant = |name: String, dtype: DataType, count: i64| {
        let proto = TensorProto {
            dtype: dtype.into(),
            tensor_shape: Some(TensorShapeProto::new([count])),
            ..TensorProto::default()
        };
        let value = attr(attr_value::Value::Tensor(Box::new(proto)));
        let attributes = [("value".to_owned(), value)].into();
        NodeDef { name, op: "Const".to_owned(), attr: attributes, ..NodeDef::default() }
    };
    let dtypes = [
        DataType::Float,
        DataType::Double,
        DataType::Half,
        DataType::Int32,
        DataType::Int64,
        DataType::Bool,
    ];
    for (dtype, power) in dtypes.into_iter().flat_map(|it| (19..=30).map(move |to| (it, to))) {
        let reason = if power > 19 { "numbers that the file repeats" } else { "" };
        edited(
            path,
            |graph| {
                node(graph, "BiasAdd").input[1] = "bomb:output:0".to_owned();
                nodes(graph).push(constant("bomb".to_owned(), dtype, 1 << power));
            },
            || tried.refused(&format!("2^{power} numbers told once, {dtype:?}"), path, reason),
        );
    }
    edited(
        path,
        |graph| {
            let relu = node(graph, "Relu");
            let mut before = std::mem::replace(&mut relu.input[0], "times_199:z:0".to_owned());
            for number in 0..200 {
                let (name, one) = (format!("times_{number}"), format!("one_{number}"));
                let input = vec![before, format!("{one}:output:0")];
                before = format!("{name}:z:0");
                let (op, one) = ("Mul".to_owned(), constant(one, DataType::Float, 1 << 18));
                nodes(graph).extend([NodeDef { name, op, input, ..NodeDef::default() }, one]);
            }
        },
        || tried.refused("200 constants", path, "numbers that the file repeats"),
    );
}
