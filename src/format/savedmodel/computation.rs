//! What a signature computes, as operations alone: the functions that it calls stand in their place, and
//! each variable is the key that its numbers have in the bundle.

use std::collections::BTreeMap;

use super::error::SavedModelError;
use super::objects::VALUE;
use super::{SERVE, SIGNATURE};
use crate::format::Limits;
use crate::wire::tensorflow::{
    FunctionDef, MetaGraphDef, NodeDef, SignatureDef, TensorInfo, TrackableObjectGraph, attr_value,
    saved_object,
};

/// What begins the names of signatures that TensorFlow 2 puts beside those of a model, such as the one
/// that makes its tables ready.
const INTERNAL: &str = "__saved_model_";

/// Functions that call each other are followed so far.
const DEPTH: usize = 32;

/// A result of an operation, as it is referred to: its number, or behind a name that the operation has for
/// it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Value<'m> {
    pub(super) operation: usize,
    pub(super) result: &'m str,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operation<'m> {
    /// An input of the signature.
    Input {
        name: &'m str,
        info: &'m TensorInfo,
    },
    /// A variable, or its handle.
    Variable {
        name: &'m str,
        key: &'m str,
    },
    Node {
        node: &'m NodeDef,
        inputs: Vec<Value<'m>>,
    },
}

/// Operations, each behind those that it needs.
#[derive(Debug, Default)]
pub(super) struct Computation<'m> {
    pub(super) operations: Vec<Operation<'m>>,
    pub(super) outputs: Vec<(&'m str, Value<'m>)>,
}

impl<'m> Computation<'m> {
    /// What the signature `serving_default` computes, else `serve`, else the only one beside those of
    /// TensorFlow.
    pub(super) fn of(
        graph: &'m MetaGraphDef,
        objects: &'m TrackableObjectGraph,
        limits: &Limits,
    ) -> Result<Self, SavedModelError> {
        let named = |name| graph.signature_def.get(name);
        let others = graph.signature_def.iter().filter(|(name, _)| !name.starts_with(INTERNAL));
        let others: Vec<_> = others.collect();
        let only = || match others.as_slice() {
            &[(_, signature)] => Ok(signature),
            [] => Err(SavedModelError::NoSignature),
            several => {
                let found = several.iter().map(|(name, _)| (*name).clone()).collect();
                Err(SavedModelError::Signatures { found })
            }
        };
        let signature = named(SIGNATURE).or_else(|| named(SERVE)).map_or_else(only, Ok)?;
        let definition = graph.graph_def.as_ref();
        let nodes = definition.map(|graph| graph.node.as_slice()).unwrap_or_default();
        let library = definition.and_then(|graph| graph.library.as_ref());
        let functions = library.map(|library| library.function.as_slice()).unwrap_or_default();
        let functions = functions.iter().filter_map(|definition| {
            let name = definition.signature.as_ref()?.name.as_str();
            Some((name, Function { definition, nodes: by_name(&definition.node_def) }))
        });
        let functions = &functions.collect();
        let limit = limits.nodes;
        let done = Self::default();
        Inlining { graph, objects, functions, limit, followed: 0, done }.signature(nodes, signature)
    }
}

/// A function, and its nodes by their names.
struct Function<'m> {
    definition: &'m FunctionDef,
    nodes: BTreeMap<&'m str, &'m NodeDef>,
}

struct Inlining<'m, 'f> {
    graph: &'m MetaGraphDef,
    objects: &'m TrackableObjectGraph,
    functions: &'f BTreeMap<&'m str, Function<'m>>,
    /// The most operations.
    limit: u64,
    /// How many inputs of nodes, arguments and results of functions were followed.
    followed: u64,
    done: Computation<'m>,
}

/// A graph or a function on its way.
struct Frame<'m, 'f> {
    nodes: &'f BTreeMap<&'m str, &'m NodeDef>,
    /// The inputs of the signature, which may be some results of a node without its others.
    given: BTreeMap<Reference<'m>, Value<'m>>,
    /// The results of each node that is done, and the arguments of the function.
    values: BTreeMap<&'m str, Done<'m>>,
}

impl<'m> Frame<'m, '_> {
    fn is_done(&self, reference: &Reference<'m>) -> bool {
        self.given.contains_key(reference) || self.values.contains_key(reference.0)
    }

    fn result(&self, reference: Reference<'m>) -> Option<Value<'m>> {
        let given = self.given.get(&reference).copied();
        given.or_else(|| taken(self.values.get(reference.0)?, reference.1))
    }
}

enum Done<'m> {
    /// One operation, or an argument.
    Operation(Value<'m>),
    /// The results of a call, in their order, and the places of those that go by names of their own.
    Call { results: Vec<Value<'m>>, names: BTreeMap<&'m str, usize> },
}

/// A node, and which of its results: its number, or behind a name that the operation has for it.
type Reference<'m> = (&'m str, &'m str);

/// `node`, `node:number` or `node:result:number`; nothing for `^node`.
fn reference(input: &str) -> Option<Reference<'_>> {
    let input = (!input.starts_with('^')).then_some(input)?;
    Some(input.split_once(':').unwrap_or((input, "0")))
}

fn missing(name: &str) -> SavedModelError {
    SavedModelError::NoNode { name: name.to_owned() }
}

impl<'m, 'f> Inlining<'m, 'f> {
    fn signature(
        mut self,
        nodes: &'m [NodeDef],
        signature: &'m SignatureDef,
    ) -> Result<Computation<'m>, SavedModelError> {
        let (mut given, mut values) = (BTreeMap::new(), BTreeMap::new());
        for (name, info) in &signature.inputs {
            let input = self.add(Operation::Input { name, info })?;
            given.insert(reference(&info.name).unwrap_or_default(), input);
        }
        let nodes = &by_name(nodes);
        for (name, key) in restored(nodes) {
            let variable = self.add(Operation::Variable { name, key })?;
            values.insert(name, Done::Operation(variable));
        }
        let mut frame = Frame { nodes, given, values };
        for (name, info) in &signature.outputs {
            let value = self.value(&mut frame, &info.name, 0)?;
            self.done.outputs.push((name, value));
        }
        Ok(self.done)
    }

    fn add(&mut self, operation: Operation<'m>) -> Result<Value<'m>, SavedModelError> {
        let place = self.done.operations.len();
        if place as u64 >= self.limit {
            return Err(SavedModelError::TooManyOperations { limit: self.limit });
        }
        self.done.operations.push(operation);
        Ok(Value { operation: place, result: "0" })
    }

    /// Calls cost time though they add no operations, and so do nodes with many inputs.
    fn follow(&mut self, count: usize) -> Result<(), SavedModelError> {
        self.followed = self.followed.saturating_add(count as u64);
        match self.followed > self.limit.saturating_mul(16) {
            true => Err(SavedModelError::TooManyOperations { limit: self.limit }),
            false => Ok(()),
        }
    }

    /// What `input` refers to in `frame`. All that it needs is done first, without recursion: graphs are
    /// deep.
    fn value(
        &mut self,
        frame: &mut Frame<'m, '_>,
        input: &'m str,
        depth: usize,
    ) -> Result<Value<'m>, SavedModelError> {
        let wanted = reference(input).ok_or_else(|| missing(input))?;
        // Nodes to be done, and whether what they need was already asked for.
        let mut waiting = vec![(wanted, false)];
        while let Some((next, is_asked)) = waiting.pop() {
            if frame.is_done(&next) {
                continue;
            }
            let (name, _) = next;
            let node = *frame.nodes.get(name).ok_or_else(|| missing(name))?;
            self.follow(node.input.len())?;
            let inputs = node.input.iter().filter_map(|input| reference(input));
            let needed: Vec<_> = inputs.filter(|input| !frame.is_done(input)).collect();
            if needed.is_empty() {
                let done = self.node(frame, node, depth)?;
                frame.values.insert(name, done);
            } else if is_asked || waiting.len() as u64 > self.limit {
                return Err(SavedModelError::Circle { node: name.to_owned() });
            } else {
                waiting.push((next, true));
                waiting.extend(needed.into_iter().map(|input| (input, false)));
            }
        }
        frame.result(wanted).ok_or_else(|| missing(input))
    }

    /// A node of which all that it needs is done.
    fn node(
        &mut self,
        frame: &Frame<'m, '_>,
        node: &'m NodeDef,
        depth: usize,
    ) -> Result<Done<'m>, SavedModelError> {
        let inputs = node.input.iter().filter_map(|input| reference(input));
        let inputs = inputs.map(|input| frame.result(input).ok_or_else(|| missing(input.0)));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let called = match node.attr.get("f").and_then(|attr| attr.value.as_ref()) {
            Some(attr_value::Value::Func(function)) if is_call(&node.op) => &function.name,
            // In TensorFlow 1, a function is an operation by its own name.
            _ if self.functions.contains_key(node.op.as_str()) => &node.op,
            _ => return Ok(Done::Operation(self.add(Operation::Node { node, inputs })?)),
        };
        if depth == DEPTH {
            return Err(SavedModelError::Circle { node: called.clone() });
        }
        let results = self.call(called, inputs, depth + 1)?;
        let names = match is_call(&node.op) {
            true => BTreeMap::new(),
            false => results.iter().enumerate().map(|(place, &(name, _))| (name, place)).collect(),
        };
        let results = results.into_iter().map(|(_, value)| value).collect();
        Ok(Done::Call { results, names })
    }

    /// What the function gives, by name.
    fn call(
        &mut self,
        name: &'m str,
        mut arguments: Vec<Value<'m>>,
        depth: usize,
    ) -> Result<Vec<(&'m str, Value<'m>)>, SavedModelError> {
        let functions = self.functions;
        let Function { definition, nodes } = functions.get(name).ok_or_else(|| missing(name))?;
        let signature = definition.signature.as_ref().ok_or_else(|| missing(name))?;
        self.follow(1 + signature.input_arg.len() + signature.output_arg.len())?;
        // Variables are handed over behind the other arguments.
        let objects = self.graph.object_graph_def.as_ref();
        let concrete = objects.and_then(|objects| objects.concrete_functions.get(name));
        let bound = concrete.map(|concrete| concrete.bound_inputs.as_slice()).unwrap_or_default();
        self.follow(bound.len())?;
        let first = arguments.len().saturating_sub(bound.len());
        for (argument, &object) in arguments.iter_mut().skip(first).zip(bound) {
            if let Some(variable) = self.variable(object) {
                *argument = self.add(variable)?;
            }
        }
        let names = signature.input_arg.iter().map(|argument| argument.name.as_str());
        let values = names.zip(arguments.into_iter().map(Done::Operation)).collect();
        let mut frame = Frame { nodes, given: BTreeMap::new(), values };
        let mut results = Vec::with_capacity(signature.output_arg.len());
        for result in &signature.output_arg {
            let source = definition.ret.get(&result.name).unwrap_or(&result.name);
            results.push((result.name.as_str(), self.value(&mut frame, source, depth)?));
        }
        Ok(results)
    }

    /// The object of that number, if it is a variable. It has the same number where it is described and
    /// where it is stored.
    fn variable(&self, id: i32) -> Option<Operation<'m>> {
        let id = usize::try_from(id).ok()?;
        let stored = &self.objects.nodes.get(id)?.attributes;
        let key = &stored.iter().find(|stored| stored.name == VALUE)?.checkpoint_key;
        let name = match &self.graph.object_graph_def.as_ref()?.nodes.get(id)?.kind {
            Some(saved_object::Kind::Variable(variable)) => variable.name.as_str(),
            _ => "",
        };
        Some(Operation::Variable { name, key })
    }
}

fn is_call(op: &str) -> bool {
    matches!(op, "PartitionedCall" | "StatefulPartitionedCall")
}

fn by_name(nodes: &[NodeDef]) -> BTreeMap<&str, &NodeDef> {
    nodes.iter().map(|node| (node.name.as_str(), node)).collect()
}

/// The result of that name or number.
fn taken<'m>(done: &Done<'m>, result: &'m str) -> Option<Value<'m>> {
    match done {
        Done::Operation(value) if value.result == "0" => Some(Value { result, ..*value }),
        Done::Operation(value) => Some(*value),
        // In a function, those of `PartitionedCall` are the numbers of one result `output`, and those of a
        // function that is called by its own name have the names that it gives them.
        Done::Call { results, names } => {
            let place = match result.split_once(':') {
                None => result.parse().ok()?,
                Some(("output", number)) if names.is_empty() => number.parse().ok()?,
                Some((name, "0")) => *names.get(name)?,
                Some(_) => return None,
            };
            results.get(place).copied()
        }
    }
}

/// The variables of TensorFlow 1, and the key that each is restored from.
fn restored<'m>(nodes: &BTreeMap<&'m str, &'m NodeDef>) -> Vec<(&'m str, &'m str)> {
    let find = |assign: &&'m NodeDef| {
        let [variable, value, ..] = assign.input.as_slice() else { return None };
        let (variable, _) = reference(variable)?;
        let (mut name, mut result) = reference(value)?;
        let mut node = *nodes.get(name)?;
        if node.op == "Identity" {
            (name, result) = reference(node.input.first()?)?;
            node = *nodes.get(name)?;
        }
        let (keys, _) = reference(node.input.get(1).filter(|_| node.op == "RestoreV2")?)?;
        let Some(attr_value::Value::Tensor(keys)) = &nodes.get(keys)?.attr.get("value")?.value
        else {
            return None;
        };
        let key = keys.string_val.get(result.parse::<usize>().ok()?)?;
        Some((variable, std::str::from_utf8(key).ok()?))
    };
    let is_assign = |node: &&&NodeDef| matches!(node.op.as_str(), "AssignVariableOp" | "Assign");
    nodes.values().filter(is_assign).filter_map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::super::write::written;
    use super::*;
    use crate::model::{Activation, Sequential};
    use crate::wire::tensorflow::{ArgDef, AttrValue, NameAttrList, OpDef};

    fn operands<'c>(
        computation: &'c Computation<'c>,
        of: &Value<'_>,
    ) -> (&'c str, &'c [Value<'c>]) {
        match &computation.operations[of.operation] {
            Operation::Input { name, .. } => (name, &[]),
            Operation::Variable { key, .. } => (key, &[]),
            Operation::Node { node, inputs } => (&node.op, inputs),
        }
    }

    fn small() -> (MetaGraphDef, TrackableObjectGraph) {
        let chain = Sequential::new([3]).dense(2, Activation::Relu).graph().unwrap();
        written(&chain)
    }

    /// Both where the objects tell of the variables and where only the saver does.
    #[test]
    fn functions_stand_in_their_place_and_variables_have_their_keys() {
        let (mut graph, objects) = small();
        for _ in 0..2 {
            let computation = Computation::of(&graph, &objects, &Limits::default()).unwrap();
            let [(name, relu)] = &computation.outputs[..] else { panic!("{computation:?}") };
            assert_eq!(*name, "dense");
            let (op, inputs) = operands(&computation, relu);
            assert_eq!((op, relu.result), ("Relu", "activations:0"));
            let (op, inputs) = operands(&computation, &inputs[0]);
            assert_eq!(op, "BiasAdd");
            let (product, bias) = (operands(&computation, &inputs[0]), &inputs[1]);
            assert_eq!((product.0, operands(&computation, &product.1[0]).0), ("MatMul", "input"));
            for (number, read) in [&product.1[1], bias].into_iter().enumerate() {
                let (op, handle) = operands(&computation, read);
                let key = format!("variables/{number}/.ATTRIBUTES/VARIABLE_VALUE");
                assert_eq!((op, operands(&computation, &handle[0]).0), ("ReadVariableOp", &*key));
            }
            graph.object_graph_def = None;
        }
    }

    #[test]
    fn circles_and_calls_without_end_are_refused() {
        let (mut graph, objects) = small();
        let definition = graph.graph_def.as_mut().unwrap();
        let function = &mut definition.library.as_mut().unwrap().function[0];
        let name = function.signature.as_ref().unwrap().name.clone();
        let relu = function.node_def.iter_mut().find(|node| node.op == "Relu").unwrap();
        let own = format!("{}:activations:0", relu.name);
        let before = std::mem::replace(&mut relu.input[0], own);
        let refused = Computation::of(&graph, &objects, &Limits::default());
        assert!(matches!(refused, Err(SavedModelError::Circle { .. })), "{refused:?}");

        let definition = graph.graph_def.as_mut().unwrap();
        let function = &mut definition.library.as_mut().unwrap().function[0];
        let relu = function.node_def.iter_mut().find(|node| node.op == "Relu").unwrap();
        (relu.op, relu.input[0]) = ("PartitionedCall".to_owned(), before);
        let called = NameAttrList { name };
        let called = AttrValue { value: Some(attr_value::Value::Func(called)) };
        relu.attr.insert("f".to_owned(), called);
        let refused = Computation::of(&graph, &objects, &Limits::default());
        assert!(refused.is_err(), "{refused:?}");

        let limits = Limits { nodes: 3, ..Limits::default() };
        let graph = small().0;
        let refused = Computation::of(&graph, &objects, &limits).unwrap_err();
        assert_eq!(refused, SavedModelError::TooManyOperations { limit: 3 });
    }

    /// A node of TensorFlow 1 of two results, both or one of which are inputs.
    #[test]
    fn results_of_one_node_are_inputs_apart() {
        let (mut graph, objects) = small();
        let node = |name: &str, op: &str, input: &[&str]| NodeDef {
            name: name.to_owned(),
            op: op.to_owned(),
            input: input.iter().map(|&input| input.to_owned()).collect(),
            ..NodeDef::default()
        };
        graph.graph_def.as_mut().unwrap().node = vec![
            node("x", "Placeholder", &[]),
            node("parts", "Split", &["x"]),
            node("sum", "Add", &["parts", "parts:1"]),
        ];
        let info = |name: &str| TensorInfo { name: name.to_owned(), ..TensorInfo::default() };
        let inputs = [("a", "parts:0"), ("b", "parts:1")];
        for (given, takes) in [(&inputs[..], ["a", "b"]), (&inputs[1..], ["Split", "b"])] {
            let signature = graph.signature_def.get_mut(SIGNATURE).unwrap();
            signature.inputs =
                given.iter().map(|&(name, value)| (name.to_owned(), info(value))).collect();
            signature.outputs = [("y".to_owned(), info("sum:0"))].into();
            let computation = Computation::of(&graph, &objects, &Limits::default()).unwrap();
            let (op, inputs) = operands(&computation, &computation.outputs[0].1);
            assert_eq!(op, "Add");
            assert_eq!([0, 1].map(|place| operands(&computation, &inputs[place]).0), takes);
        }
    }

    /// Called by its own name, as in TensorFlow 1, and as an attribute; from a function and from a graph.
    #[test]
    fn results_of_calls_are_found_by_their_names_and_numbers() {
        let argument = |name: &str| ArgDef { name: name.to_owned(), r#type: 1 };
        let function = |name: &str, gives: &[&str], nodes: &[NodeDef], ret: &[(&str, &str)]| {
            let ret = ret.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
            FunctionDef {
                signature: Some(OpDef {
                    name: name.to_owned(),
                    input_arg: vec![argument("x")],
                    output_arg: gives.iter().map(|&name| argument(name)).collect(),
                    is_stateful: false,
                }),
                node_def: nodes.to_vec(),
                ret: ret.collect(),
            }
        };
        let node = |name: &str, op: &str, input: &str| NodeDef {
            name: name.to_owned(),
            op: op.to_owned(),
            input: vec![input.to_owned()],
            ..NodeDef::default()
        };
        let inside = [node("relu", "Relu", "x"), node("tanh", "Tanh", "x")];
        let results = [("first", "relu:activations:0"), ("second", "tanh:y:0")];
        let two = function("two", &["first", "second"], &inside, &results);
        let cases = [
            ("two", "call:first:0", Some("Relu")),
            ("two", "call:second:0", Some("Tanh")),
            ("two", "call:third:0", None),
            ("two", "call:first:1", None),
            ("PartitionedCall", "call:output:0", Some("Relu")),
            ("PartitionedCall", "call:output:1", Some("Tanh")),
            ("PartitionedCall", "call:second:0", None),
        ];
        let as_number = |result: &str| match result {
            "call:second:0" | "call:output:1" => "call:1".to_owned(),
            _ => "call".to_owned(),
        };
        for (op, result, expected) in cases {
            let (mut graph, objects) = small();
            let called = attr_value::Value::Func(NameAttrList { name: "two".to_owned() });
            let called = ("f".to_owned(), AttrValue { value: Some(called) });
            let call = NodeDef { attr: [called].into(), ..node("call", op, "x") };
            let outer = function("outer", &["y"], std::slice::from_ref(&call), &[("y", result)]);
            let definition = graph.graph_def.as_mut().unwrap();
            definition.library.as_mut().unwrap().function = vec![two.clone(), outer];
            definition.node = vec![node("x", "Placeholder", ""), call, node("outer", "outer", "x")];
            let signature = graph.signature_def.get_mut(SIGNATURE).unwrap();
            signature.inputs.values_mut().for_each(|info| info.name = "x:0".to_owned());
            let mut found = |name: String| {
                let signature = graph.signature_def.get_mut(SIGNATURE).unwrap();
                signature.outputs.values_mut().for_each(|info| info.name = name.clone());
                let computation = Computation::of(&graph, &objects, &Limits::default()).ok()?;
                Some(operands(&computation, &computation.outputs[0].1).0.to_owned())
            };
            assert_eq!(found("outer:0".to_owned()).as_deref(), expected, "{op} {result}");
            if expected.is_some() {
                assert_eq!(found(as_number(result)).as_deref(), expected, "{op} {result}");
            }
        }
    }

    /// Thirty functions, each of which calls the next one twice and adds no operation.
    #[test]
    fn calls_that_double_again_and_again_are_refused_soon() {
        let (mut graph, objects) = small();
        let definition = graph.graph_def.as_mut().unwrap();
        let library = &mut definition.library.as_mut().unwrap().function;
        let argument = |name: &str| ArgDef { name: name.to_owned(), r#type: 1 };
        let call = |number: usize, name: &str, input: &str| NodeDef {
            name: name.to_owned(),
            op: format!("double_{number}"),
            input: vec![input.to_owned()],
            ..NodeDef::default()
        };
        for number in 0..30 {
            let once = call(number + 1, "once", "x");
            library.push(FunctionDef {
                signature: Some(OpDef {
                    name: format!("double_{number}"),
                    input_arg: vec![argument("x")],
                    output_arg: vec![argument("y")],
                    is_stateful: false,
                }),
                node_def: vec![once, call(number + 1, "again", "once:y:0")],
                ret: [("y".to_owned(), "again:y:0".to_owned())].into(),
            });
        }
        let last = library.last_mut().unwrap();
        (last.node_def, last.ret) = (Vec::new(), [("y".to_owned(), "x".to_owned())].into());
        let signature = graph.signature_def.get_mut(SIGNATURE).unwrap();
        let input = signature.inputs.values().next().unwrap().name.clone();
        let input = input.split(':').next().unwrap();
        definition.node.push(call(0, "all", input));
        signature.outputs.values_mut().for_each(|output| output.name = "all:0".to_owned());
        let refused = Computation::of(&graph, &objects, &Limits::default()).unwrap_err();
        let limit = Limits::default().nodes;
        assert_eq!(refused, SavedModelError::TooManyOperations { limit });
    }
}
