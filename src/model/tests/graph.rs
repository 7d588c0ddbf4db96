//! Graphs that are refused, names that are given, layers that are shared.

use crate::model::*;

fn layer(name: &str, spec: impl Into<LayerSpec>) -> Layer {
    Layer { name: name.to_owned(), spec: spec.into(), trainable: true }
}

fn node(layer: usize, inputs: &[usize]) -> Node {
    Node { layer, inputs: inputs.iter().map(|&input| NodeId(input)).collect() }
}

fn output(name: &str, node: usize) -> Output {
    Output { name: name.to_owned(), node: NodeId(node) }
}

/// The parts of a sound graph: an input and two dense layers in a row.
struct Parts {
    name: String,
    layers: Vec<Layer>,
    nodes: Vec<Node>,
    inputs: Vec<NodeId>,
    outputs: Vec<Output>,
}

impl Parts {
    fn build(self) -> Result<Graph, GraphError> {
        Graph::new(self.name, self.layers, self.nodes, self.inputs, self.outputs)
    }
}

fn sound() -> Parts {
    Parts {
        name: "net".to_owned(),
        layers: vec![
            layer("in", LayerSpec::Input([4].into())),
            layer("hidden", Dense::new(3)),
            layer("head", Dense::new(2)),
        ],
        nodes: vec![node(0, &[]), node(1, &[0]), node(2, &[1])],
        inputs: vec![NodeId(0)],
        outputs: vec![output("scores", 2)],
    }
}

#[track_caller]
fn assert_refused(change: impl FnOnce(&mut Parts), expected: GraphError, message: &str) {
    let mut parts = sound();
    change(&mut parts);
    let error = parts.build().expect_err("a fault");
    assert_eq!(error.to_string(), message);
    assert_eq!(error, expected);
}

fn setting(layer: &str, kind: &'static str, rule: &str) -> GraphError {
    GraphError::Setting { layer: layer.to_owned(), kind, rule: rule.to_owned() }
}

#[test]
fn a_sound_graph() {
    let graph = sound().build().expect("sound");
    assert_eq!(graph.name(), "net");
    assert_eq!((graph.layers().len(), graph.nodes().len()), (3, 3));
    assert_eq!(graph.shape(NodeId(1)).dims(), [3]);
    assert_eq!(graph.layer_of(NodeId(2)).name, "head");
    assert_eq!(graph.layer_named("head"), Some(2));
    assert_eq!(graph.layer_named("scores"), None);
    let names: Vec<_> = graph.parameters().iter().map(|p| graph.tensor_name(p)).collect();
    assert_eq!(names, ["hidden/kernel", "hidden/bias", "head/kernel", "head/bias"]);
}

/// Parameters follow the order of layers, whatever that of nodes.
#[test]
fn parameters_in_the_order_of_layers() {
    let mut parts = sound();
    parts.layers.swap(1, 2);
    parts.nodes = vec![node(0, &[]), node(2, &[0]), node(1, &[1])];
    let graph = parts.build().expect("sound");
    let layers: Vec<_> = graph.parameters().iter().map(|p| p.layer).collect();
    assert_eq!(layers, [1, 1, 2, 2]);
    let names: Vec<_> = graph.parameters().iter().map(|p| graph.tensor_name(p)).collect();
    assert_eq!(names, ["head/kernel", "head/bias", "hidden/kernel", "hidden/bias"]);
    assert_eq!(graph.parameters()[0].shape.dims(), [3, 2]);
}

#[test]
fn refuses_names() {
    let long = "x".repeat(256);
    let cases = [
        ("", "it is empty"),
        (long.as_str(), "it is longer than 255 bytes"),
        ("a\nb", "it holds a control character"),
        ("a\0", "it holds a control character"),
    ];
    for (name, rule) in cases {
        let told: String = name.chars().take(Graph::MAX_NAME).collect();
        let refused = |what, change: fn(&mut Parts, String)| {
            assert_refused(
                |parts| change(parts, name.to_owned()),
                GraphError::Name { what, name: told.clone(), rule },
                &format!("{what} name {told:?} cannot be used: {rule}"),
            );
        };
        refused("layer", |parts, name| parts.layers[1].name = name);
        refused("output", |parts, name| parts.outputs[0].name = name);
        refused("graph", |parts, name| parts.name = name);
    }
    let mut parts = sound();
    parts.layers[1].name = "é".repeat(127); // 254 bytes
    parts.layers[2].name = "a/b c".to_owned();
    assert!(parts.build().is_ok());
}

#[test]
fn refuses_names_given_twice() {
    let (what, name) = ("layer", "in".to_owned());
    assert_refused(
        |parts| parts.layers[2].name = "in".to_owned(),
        GraphError::DuplicateName { what, name },
        "two layers are named `in`",
    );
    let (what, name) = ("output", "scores".to_owned());
    assert_refused(
        |parts| parts.outputs.push(output("scores", 1)),
        GraphError::DuplicateName { what, name },
        "two outputs are named `scores`",
    );
}

#[test]
fn refuses_references_to_nothing() {
    assert_refused(
        |parts| parts.nodes[1].layer = 3,
        GraphError::Reference { node: 1, what: "layer", index: 3, count: 3 },
        "node 1 refers to layer 3, of which there are 3",
    );
    // itself, a later one, none
    for source in [1, 2, usize::MAX] {
        assert_refused(
            |parts| parts.nodes[1].inputs[0] = NodeId(source),
            GraphError::Reference { node: 1, what: "earlier node", index: source, count: 1 },
            &format!("node 1 refers to earlier node {source}, of which there are 1"),
        );
    }
    assert_refused(
        |parts| parts.inputs[0] = NodeId(3),
        GraphError::NoSuchNode { what: "inputs", index: 3, count: 3 },
        "the graph lists node 3 among its inputs, but has only 3 nodes",
    );
    assert_refused(
        |parts| parts.outputs[0].node = NodeId(usize::MAX),
        GraphError::NoSuchNode { what: "outputs", index: usize::MAX, count: 3 },
        &format!("the graph lists node {} among its outputs, but has only 3 nodes", usize::MAX),
    );
}

#[test]
fn refuses_graphs_without_ends() {
    let empty = |what| GraphError::Empty { what };
    assert_refused(|parts| parts.inputs.clear(), empty("inputs"), "the graph has no inputs");
    assert_refused(|parts| parts.outputs.clear(), empty("outputs"), "the graph has no outputs");
    let nothing = Graph::new("net", vec![], vec![], vec![], vec![]);
    assert_eq!(nothing, Err(empty("inputs")));
}

#[test]
fn refuses_what_is_not_used() {
    assert_refused(
        |parts| parts.layers.push(layer("spare", Dense::new(1))),
        GraphError::Unused { layer: "spare".to_owned() },
        "layer `spare` is not used by any node",
    );
    assert_refused(
        |parts| parts.outputs[0].node = NodeId(1),
        setting("head", "dense", "its result leads to no output"),
        "layer `head` (dense): its result leads to no output",
    );
}

#[test]
fn refuses_wrong_inputs() {
    assert_refused(
        |parts| parts.inputs.push(NodeId(1)),
        setting("hidden", "dense", "only an input layer can be an input of the graph"),
        "layer `hidden` (dense): only an input layer can be an input of the graph",
    );
    assert_refused(
        |parts| parts.inputs.push(NodeId(0)),
        setting("in", "input", "it is listed twice among the inputs"),
        "layer `in` (input): it is listed twice among the inputs",
    );
    let other = |parts: &mut Parts| {
        parts.layers.push(layer("other", LayerSpec::Input([1].into())));
        parts.nodes.push(node(3, &[]));
        parts.outputs.push(output("other", 3));
    };
    assert_refused(
        other,
        setting("other", "input", "it is not listed among the inputs"),
        "layer `other` (input): it is not listed among the inputs",
    );
    let mut parts = sound();
    other(&mut parts);
    parts.inputs.push(NodeId(3));
    assert!(parts.build().is_ok());
}

#[test]
fn refuses_input_layers_in_the_middle() {
    assert_refused(
        |parts| parts.nodes.push(node(0, &[])),
        setting("in", "input", "an input layer stands at one node"),
        "layer `in` (input): an input layer stands at one node",
    );
    let mut parts = sound();
    parts.layers[1].spec = LayerSpec::Input([4].into());
    parts.inputs.push(NodeId(1));
    let message = "layer `hidden` (input) cannot take an input of shape 4: an input layer takes \
                   nothing";
    assert_eq!(parts.build().expect_err("an input of an input").to_string(), message);
}

#[test]
fn shared_layers() {
    let mut parts = sound();
    parts.layers[1].spec = Dense::new(4).into();
    parts.nodes = vec![node(0, &[]), node(1, &[0]), node(1, &[1]), node(2, &[2])];
    parts.outputs[0].node = NodeId(3);
    let graph = parts.build().expect("4 to 4, twice");
    assert_eq!(graph.parameters().len(), 4);
    let mut parts = sound();
    parts.nodes = vec![node(0, &[]), node(1, &[0]), node(1, &[1]), node(2, &[2])];
    parts.outputs[0].node = NodeId(3);
    let message = "layer `hidden` (dense) cannot take an input of shape 3: a layer applied twice \
                   shares its parameters, but they would differ in shape here";
    assert_eq!(parts.build().expect_err("4 to 3, then 3 to 3").to_string(), message);
}

#[test]
fn layers_without_parameters_are_shared_between_shapes() {
    let mut builder = GraphBuilder::new();
    let input = builder.input("input", [8, 8, 1]);
    let once = builder.add(Pool2d::max(2), &[input]);
    let twice = builder.again(once, &[once]);
    builder.output("twice", twice);
    let graph = builder.build("pools").expect("sound");
    assert_eq!(graph.layers().len(), 2);
    assert_eq!(graph.shape(twice).dims(), [2, 2, 1]);
}

#[test]
fn automatic_names() {
    let chain = Sequential::new([8, 8, 1])
        .conv2d(2, 1, Activation::Relu)
        .named("conv2d_1", Conv2d::new(2, 1))
        .conv2d(2, 1, Activation::Relu)
        .max_pool2d(2)
        .average_pool2d(2)
        .conv2d(2, 1, Activation::Relu)
        .flatten();
    let graph = chain.graph().expect("sound");
    let names: Vec<_> = graph.layers().iter().map(|layer| layer.name.as_str()).collect();
    let expected = [
        "input",
        "conv2d",
        "conv2d_1",
        "conv2d_2",
        "max_pool2d",
        "average_pool2d",
        "conv2d_3",
        "flatten",
    ];
    assert_eq!(names, expected);
    assert_eq!(graph.name(), "sequential");
    assert_eq!(graph.outputs(), [output("flatten", 7)]);
}

/// A name given by hand may not be one that is already taken, automatic or not.
#[test]
fn names_given_after_automatic_ones() {
    let chain = Sequential::new([2]).dense(1, Activation::Linear).named("dense", Dense::new(1));
    let expected = GraphError::DuplicateName { what: "layer", name: "dense".to_owned() };
    assert_eq!(chain.graph(), Err(expected));
}

#[test]
fn a_chain_without_layers_gives_its_input() {
    let graph = Sequential::new([3]).name("nothing").graph().expect("sound");
    assert_eq!(graph.name(), "nothing");
    assert_eq!(graph.outputs(), [output("input", 0)]);
}

#[test]
fn freezing() {
    let mut graph = Sequential::new([2])
        .dense(1, Activation::Linear)
        .batch_normalization()
        .graph()
        .expect("sound");
    let trained =
        |graph: &Graph| graph.parameters().iter().map(|p| graph.is_trained(p)).collect::<Vec<_>>();
    assert_eq!(trained(&graph), [true, true, true, true, false, false]);
    assert!(graph.set_trainable("dense", false));
    assert_eq!(trained(&graph), [false, false, true, true, false, false]);
    assert!(graph.set_trainable("dense", true));
    assert_eq!(trained(&graph), [true, true, true, true, false, false]);
    assert!(!graph.set_trainable("conv2d", false));
}
