//! A network as a function of TensorFlow: from its inputs and variables to its outputs.

use std::collections::BTreeMap;

use super::layers::Parameter;
use super::nodes::{self, Names, Nodes, Ref, argument, kind, plain};
use crate::format::savedmodel::error::SavedModelError;
use crate::model::{Graph, NodeId};
use crate::tensor::Shape;
use crate::wire::tensorflow::{ArgDef, DataType, FunctionDef, OpDef};

/// TensorFlow takes only such names for those that models are loaded with.
pub(super) const FUNCTION: &str = "__inference_keepnet_predict";

/// An input or an output of the function.
pub(super) struct End<'g> {
    pub(super) name: String,
    pub(super) shape: &'g Shape,
}

/// A parameter as a variable.
pub(super) struct Variable<'g> {
    /// As TensorFlow calls it.
    pub(super) name: String,
    /// Under which its numbers stand in the bundle.
    pub(super) key: String,
    pub(super) shape: &'g Shape,
    pub(super) trainable: bool,
}

/// The function, and what it takes and gives. Inputs and outputs are sorted by their names, as
/// TensorFlow sorts them.
pub(super) struct Function<'g> {
    pub(super) definition: FunctionDef,
    pub(super) inputs: Vec<End<'g>>,
    pub(super) outputs: Vec<End<'g>>,
    pub(super) variables: Vec<Variable<'g>>,
}

impl<'g> Function<'g> {
    pub(super) fn of(graph: &'g Graph) -> Result<Self, SavedModelError> {
        let mut nodes = Nodes::default();
        let mut values: Vec<Option<Ref>> = vec![None; graph.nodes().len()];
        let mut inputs = Vec::with_capacity(graph.inputs().len());
        for &input in graph.inputs() {
            let name = nodes.names.free(&nodes::input(&graph.layer_of(input).name));
            if let Some(value) = values.get_mut(input.0) {
                *value = Some(name.clone());
            }
            inputs.push(End { name, shape: graph.shape(input) });
        }
        inputs.sort_by(|a, b| a.name.cmp(&b.name));
        let (variables, handles, parameters) = variables(graph, &mut nodes);
        // What the first result of a layer is called; results of another call get a number.
        for (index, node) in graph.nodes().iter().enumerate() {
            let id = NodeId(index);
            if values.get(index).is_none_or(Option::is_some) {
                continue;
            }
            let layer = graph.layer_of(id);
            let unreached = || SavedModelError::Layer { layer: layer.name.clone() };
            let of = |id: &NodeId| Some((values.get(id.0)?.clone()?, graph.shape(*id)));
            let given: Option<Vec<_>> = node.inputs.iter().map(of).collect();
            let own = parameters.get(&node.layer).map(Vec::as_slice).unwrap_or_default();
            nodes.scope = plain(&layer.name);
            let given = given.ok_or_else(unreached)?;
            let value = nodes.layer(layer, &given, graph.shape(id), own).ok_or_else(unreached)?;
            if let Some(place) = values.get_mut(index) {
                *place = Some(value);
            }
        }
        let mut names = Names::default();
        let mut outputs = Vec::with_capacity(graph.outputs().len());
        let mut ret = BTreeMap::new();
        for output in graph.outputs() {
            let name = names.free(&argument(&output.name));
            let value = values.get(output.node.0).cloned().flatten();
            ret.insert(name.clone(), value.unwrap_or_default());
            outputs.push(End { name, shape: graph.shape(output.node) });
        }
        outputs.sort_by(|a, b| a.name.cmp(&b.name));
        let argument =
            |name: &str, kind: DataType| ArgDef { name: name.to_owned(), r#type: kind.into() };
        let takes = inputs.iter().map(|end| argument(&end.name, DataType::Float));
        let handles = handles.iter().map(|name| argument(name, DataType::Resource));
        let gives = outputs.iter().map(|end| argument(&end.name, DataType::Float));
        let signature = OpDef {
            name: FUNCTION.to_owned(),
            input_arg: takes.chain(handles).collect(),
            output_arg: gives.collect(),
            is_stateful: true,
        };
        let definition = FunctionDef { signature: Some(signature), node_def: nodes.nodes, ret };
        Ok(Self { definition, inputs, outputs, variables })
    }
}

/// The variables, the arguments that hand them to the function, and their values by layers.
fn variables<'g>(
    graph: &'g Graph,
    nodes: &mut Nodes,
) -> (Vec<Variable<'g>>, Vec<String>, BTreeMap<usize, Vec<Parameter>>) {
    let mut names = Names::default();
    let (mut variables, mut handles) = (Vec::new(), Vec::new());
    let mut values: BTreeMap<usize, Vec<Parameter>> = BTreeMap::new();
    for (number, parameter) in graph.parameters().iter().enumerate() {
        let name = plain(&graph.tensor_name(parameter));
        let handle = nodes.names.free(&argument(&name));
        nodes.scope = name.clone();
        let value = nodes.add("ReadVariableOp", &[&handle], vec![("dtype", kind(DataType::Float))]);
        values.entry(parameter.layer).or_default().push(Parameter {
            value,
            name: parameter.name,
            shape: parameter.shape.clone(),
        });
        handles.push(handle);
        variables.push(Variable {
            name: names.free(&name),
            key: variable_key(number),
            shape: &parameter.shape,
            trainable: graph.is_trained(parameter),
        });
    }
    (variables, handles, values)
}

/// Where a parameter stands, by its number among all.
pub(super) fn variable_key(number: usize) -> String {
    format!("variables/{number}/.ATTRIBUTES/VARIABLE_VALUE")
}
