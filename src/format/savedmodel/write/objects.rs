//! What stands around the function: the objects that TensorFlow 2 loads, the graph that TensorFlow 1 and
//! Serving run, and how both find the variables in the bundle.

use std::collections::BTreeMap;

use prost::bytes::Bytes;

use super::function::{End, FUNCTION, Function, Variable};
use super::nodes::{Names, kind, kinds, shape, tensor, word};
use crate::format::savedmodel::{SERVE, SIGNATURE, TAG};
use crate::tensor::Shape;
use crate::wire::tensorflow::{
    AttrValue, BareConcreteFunction, ConcreteFunction, DataType, DictValue, FunctionDefLibrary,
    GraphDef, MetaGraphDef, MetaInfoDef, NameAttrList, NodeDef, ObjectReference, SavedModel,
    SavedObject, SavedObjectGraph, SavedVariable, SaverDef, SerializedTensor, SignatureDef,
    StructuredValue, TensorInfo, TensorProto, TensorShapeProto, TensorSpecProto, TrackableObject,
    TrackableObjectGraph, TupleValue, UserObject, VersionDef, attr_value, saved_object,
    structured_value,
};

/// What `saved_model.pb` says of the function.
pub(super) fn saved_model(function: &Function<'_>) -> SavedModel {
    let mut names = Names::default();
    let mut nodes = Vec::new();
    let placed: Vec<_> = (function.inputs.iter())
        .map(|input| names.free(&format!("{SIGNATURE}_{}", input.name)))
        .collect();
    for (name, input) in placed.iter().zip(&function.inputs) {
        let attributes =
            [("dtype", kind(DataType::Float)), ("shape", shape(batch_of(input.shape)))];
        nodes.push(node(name, "Placeholder", Vec::new(), attributes));
    }
    let handles: Vec<_> =
        function.variables.iter().map(|variable| names.free(&variable.name)).collect();
    for (name, variable) in handles.iter().zip(&function.variables) {
        let attributes = [
            ("dtype", kind(DataType::Float)),
            ("shape", shape(variable.shape.into())),
            ("shared_name", word(name)),
        ];
        nodes.push(node(name, "VarHandleOp", Vec::new(), attributes));
    }
    let call = names.free("StatefulPartitionedCall");
    let resources = handles.iter().map(|_| DataType::Resource);
    let takes = function.inputs.iter().map(|_| DataType::Float).chain(resources);
    let name = AttrValue {
        value: Some(attr_value::Value::Func(NameAttrList { name: FUNCTION.to_owned() })),
    };
    let attributes = [
        ("Tin", kinds(takes)),
        ("Tout", kinds(function.outputs.iter().map(|_| DataType::Float))),
        ("f", name),
    ];
    let arguments = placed.iter().chain(&handles).cloned().collect();
    nodes.push(node(&call, "StatefulPartitionedCall", arguments, attributes));
    let saver = saver(&function.variables, &handles, &mut names, &mut nodes);
    let info = |name: String, end: &End<'_>| TensorInfo {
        name,
        dtype: DataType::Float.into(),
        tensor_shape: Some(batch_of(end.shape)),
    };
    let inputs = placed.iter().zip(&function.inputs);
    let inputs = inputs.map(|(name, end)| (end.name.clone(), info(format!("{name}:0"), end)));
    let outputs = function.outputs.iter().enumerate();
    let outputs =
        outputs.map(|(number, end)| (end.name.clone(), info(format!("{call}:{number}"), end)));
    let signature = SignatureDef {
        inputs: inputs.collect(),
        outputs: outputs.collect(),
        method_name: "tensorflow/serving/predict".to_owned(),
    };
    let meta_graph = MetaGraphDef {
        meta_info_def: Some(MetaInfoDef {
            tags: vec![TAG.to_owned()],
            tensorflow_version: String::new(),
        }),
        graph_def: Some(GraphDef {
            node: nodes,
            // Of TensorFlow 2.17; any that is newer reads it.
            versions: Some(VersionDef { producer: 1882, min_consumer: 12 }),
            library: Some(FunctionDefLibrary { function: vec![function.definition.clone()] }),
        }),
        saver_def: saver,
        signature_def: [SERVE, SIGNATURE].map(|name| (name.to_owned(), signature.clone())).into(),
        object_graph_def: Some(objects(function)),
    };
    SavedModel { saved_model_schema_version: 1, meta_graphs: vec![meta_graph] }
}

fn node<const N: usize>(
    name: &str,
    op: &str,
    input: Vec<String>,
    attributes: [(&str, AttrValue); N],
) -> NodeDef {
    let attr = attributes.map(|(name, value)| (name.to_owned(), value)).into();
    NodeDef { name: name.to_owned(), op: op.to_owned(), input, attr }
}

/// A shape with any number of samples before it.
fn batch_of(shape: &Shape) -> TensorShapeProto {
    let sample = TensorShapeProto::from(shape);
    TensorShapeProto::new(std::iter::once(-1).chain(sample.dim.iter().map(|dim| dim.size)))
}

/// The operations by which TensorFlow 1 fills the variables. Nothing if there are none.
fn saver(
    variables: &[Variable<'_>],
    handles: &[String],
    names: &mut Names,
    nodes: &mut Vec<NodeDef>,
) -> Option<SaverDef> {
    if variables.is_empty() {
        return None;
    }
    let mut free = |name: &str| names.free(&format!("save/{name}"));
    let (filename, keys, slices) = (free("filename"), free("keys"), free("slices"));
    let (save, done) = (free("SaveV2"), free("done"));
    let (restore, restored) = (free("RestoreV2"), free("restore_all"));
    let assigns: Vec<_> = variables.iter().map(|_| (free("Identity"), free("Assign"))).collect();
    let reads: Vec<_> = variables.iter().map(|_| free("Read")).collect();
    let (float, text) = (|| kind(DataType::Float), || kind(DataType::String));
    nodes.push(node(
        &filename,
        "Placeholder",
        Vec::new(),
        [("dtype", text()), ("shape", shape(TensorShapeProto::default()))],
    ));
    let texts = |texts: Vec<&str>| TensorProto {
        dtype: DataType::String.into(),
        tensor_shape: Some(TensorShapeProto::from(&Shape::vector(texts.len()))),
        string_val: texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect(),
        ..Default::default()
    };
    let found = variables.iter().map(|variable| variable.key.as_str()).collect();
    let constants = [(&keys, found), (&slices, vec![""; variables.len()])];
    for (name, constant) in constants {
        let attributes = [("dtype", text()), ("value", tensor(texts(constant)))];
        nodes.push(node(name, "Const", Vec::new(), attributes));
    }
    for (read, handle) in reads.iter().zip(handles) {
        nodes.push(node(read, "ReadVariableOp", vec![handle.clone()], [("dtype", float())]));
    }
    let dtypes = || kinds(variables.iter().map(|_| DataType::Float));
    let what = vec![filename.clone(), keys, slices];
    let saved = what.iter().cloned().chain(reads).collect();
    nodes.push(node(&save, "SaveV2", saved, [("dtypes", dtypes())]));
    let after = vec![filename.clone(), format!("^{save}")];
    nodes.push(node(&done, "Identity", after, [("T", text())]));
    nodes.push(node(&restore, "RestoreV2", what, [("dtypes", dtypes())]));
    for (number, ((value, assign), handle)) in assigns.iter().zip(handles).enumerate() {
        let result = vec![format!("{restore}:{number}")];
        nodes.push(node(value, "Identity", result, [("T", float())]));
        let given = vec![handle.clone(), value.clone()];
        nodes.push(node(assign, "AssignVariableOp", given, [("dtype", float())]));
    }
    let after = assigns.iter().map(|(_, assign)| format!("^{assign}")).collect();
    nodes.push(node(&restored, "NoOp", after, []));
    Some(SaverDef {
        filename_tensor_name: format!("{filename}:0"),
        save_tensor_name: format!("{done}:0"),
        restore_op_name: restored,
        version: 2,
    })
}

/// The objects before the variables: the root, the list of the variables, the signatures.
const ROOT: [&str; 3] = ["_generic_user_object", "trackable_list_wrapper", "signature_map"];
const LIST: i32 = 1;
const SIGNATURES: i32 = 2;

fn number(of: usize) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

fn child(name: impl Into<String>, node: i32) -> ObjectReference {
    ObjectReference { node_id: node, local_name: name.into() }
}

/// The variables as members of their list.
fn listed(variables: &[Variable<'_>]) -> Vec<ObjectReference> {
    let place = |index: usize| number(index + ROOT.len());
    (0..variables.len()).map(|index| child(index.to_string(), place(index))).collect()
}

/// The members of the root.
fn members() -> Vec<ObjectReference> {
    vec![child("variables", LIST), child("signatures", SIGNATURES)]
}

fn objects(function: &Function<'_>) -> SavedObjectGraph {
    let Function { inputs, outputs, variables, .. } = function;
    let first_signature = number(ROOT.len() + variables.len());
    let signatures = [SERVE, SIGNATURE].into_iter().zip(first_signature..);
    let children =
        [members(), listed(variables), signatures.map(|(name, node)| child(name, node)).collect()];
    let mut nodes: Vec<_> = (ROOT.into_iter().zip(children))
        .map(|(identifier, children)| SavedObject {
            children,
            kind: Some(saved_object::Kind::UserObject(UserObject {
                identifier: identifier.to_owned(),
                version: Some(VersionDef { producer: 1, min_consumer: 1 }),
                metadata: String::new(),
            })),
        })
        .collect();
    nodes.extend(variables.iter().map(|variable| SavedObject {
        children: Vec::new(),
        kind: Some(saved_object::Kind::Variable(SavedVariable {
            dtype: DataType::Float.into(),
            shape: Some(variable.shape.into()),
            trainable: variable.trainable,
            name: variable.name.clone(),
        })),
    }));
    let signature = SavedObject {
        children: Vec::new(),
        kind: Some(saved_object::Kind::BareConcreteFunction(BareConcreteFunction {
            concrete_function_name: FUNCTION.to_owned(),
            argument_keywords: inputs.iter().map(|input| input.name.clone()).collect(),
            allowed_positional_arguments: 1,
        })),
    };
    nodes.extend([signature.clone(), signature]);
    let takes = [tuple(Vec::new()), specs(inputs)];
    let concrete = ConcreteFunction {
        bound_inputs: (0..variables.len()).map(|index| number(index + ROOT.len())).collect(),
        canonicalized_input_signature: Some(tuple(takes.into())),
        output_signature: Some(specs(outputs)),
    };
    SavedObjectGraph { nodes, concrete_functions: [(FUNCTION.to_owned(), concrete)].into() }
}

fn tuple(values: Vec<StructuredValue>) -> StructuredValue {
    StructuredValue { kind: Some(structured_value::Kind::Tuple(TupleValue { values })) }
}

fn specs(ends: &[End<'_>]) -> StructuredValue {
    let spec = |end: &End<'_>| TensorSpecProto {
        name: end.name.clone(),
        shape: Some(batch_of(end.shape)),
        dtype: DataType::Float.into(),
    };
    let value = |spec| StructuredValue { kind: Some(structured_value::Kind::TensorSpec(spec)) };
    let fields: BTreeMap<_, _> =
        ends.iter().map(|end| (end.name.clone(), value(spec(end)))).collect();
    StructuredValue { kind: Some(structured_value::Kind::Dict(DictValue { fields })) }
}

/// The same objects as the bundle has them.
pub(super) fn trackable(variables: &[Variable<'_>]) -> TrackableObjectGraph {
    let mut nodes: Vec<_> = [members(), listed(variables), Vec::new()]
        .into_iter()
        .map(|children| TrackableObject { children, ..Default::default() })
        .collect();
    nodes.extend(variables.iter().map(|variable| TrackableObject {
        attributes: vec![SerializedTensor {
            name: "VARIABLE_VALUE".to_owned(),
            full_name: variable.name.clone(),
            checkpoint_key: variable.key.clone(),
        }],
        has_checkpoint_values: Some(true),
        ..Default::default()
    }));
    // The signatures, which have no values.
    nodes.extend([TrackableObject::default(), TrackableObject::default()]);
    TrackableObjectGraph { nodes }
}
