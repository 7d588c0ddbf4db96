//! FORMAT.md, chapters 3 and 4: architecture and compile settings.

use keepnet::format::to_bytes;
use keepnet::{Graph, Layer, LayerSpec, NodeId, Output, Shape};
use serde_json::Value;

use crate::format_support::container::Container;
use crate::format_support::refusal::{assert_says, container, damage, read, refusal};
use crate::format_support::small;
use crate::written;

/// The words with which a changed architecture of the small model is refused.
#[track_caller]
fn refused(from: &str, to: &str, parts: &[&str]) {
    let words = damage(&container().replacing("architecture", from, to));
    assert_says(&words, &["section `architecture`"]);
    assert_says(&words, parts);
}

/// The architecture of a file as JSON.
fn architecture(file: &[u8]) -> Value {
    serde_json::from_slice(&Container::take_apart(file).section("architecture").payload).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

fn numbers(list: &Value) -> Vec<usize> {
    list.as_array().unwrap().iter().map(|item| item.as_u64().unwrap() as usize).collect()
}

/// What building a graph of these parts says is wrong with it. A writer takes nothing but graphs
/// that were built.
#[track_caller]
fn unbuilt(change: impl FnOnce(&mut Parts), parts: &[&str]) {
    let graph = small().graph;
    let mut built = Parts {
        name: graph.name().to_owned(),
        layers: graph.layers().to_vec(),
        nodes: graph.nodes().to_vec(),
        inputs: graph.inputs().to_vec(),
        outputs: graph.outputs().to_vec(),
    };
    change(&mut built);
    let Parts { name, layers, nodes, inputs, outputs } = built;
    let error = Graph::new(name, layers, nodes, inputs, outputs).unwrap_err();
    assert_says(&error.to_string(), parts);
}

struct Parts {
    name: String,
    layers: Vec<Layer>,
    nodes: Vec<keepnet::Node>,
    inputs: Vec<NodeId>,
    outputs: Vec<Output>,
}

/// Whether `docs/FORMAT.md` marks a layer, or its activation, as one of schema 2: specs in a table,
/// activations in a list.
fn is_marked(spec: &Value) -> bool {
    let name = |value: &Value| match value.as_object() {
        Some(object) => object.keys().next().expect("one member").clone(),
        None => value.as_str().expect("a name").to_owned(),
    };
    let marked = |name: &str, in_table: bool| {
        let lines = include_str!("../../docs/FORMAT.md").lines();
        lines.filter(|line| line.starts_with('|') == in_table).any(|line| {
            let marks = line.split('²').skip(1).filter_map(|rest| rest.strip_prefix('`'));
            let mut names = marks.map(|rest| rest.trim_start_matches(['{', '"']));
            let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            names.any(|rest| rest.strip_prefix(name).is_some_and(ends))
        })
    };
    let kind = name(spec);
    let activation = &spec[&kind][if kind == "activation" { "function" } else { "activation" }];
    marked(&kind, true) || (!activation.is_null() && marked(&name(activation), false))
}

#[test]
fn f_42_schemas() {
    for file in written() {
        let architecture = architecture(&file);
        let layers = architecture["layers"].as_array().expect("a list of layers");
        let newer = layers.iter().any(|layer| is_marked(&layer["spec"]));
        assert_eq!(architecture["schema"], if newer { 2 } else { 1 });
    }
    {
        let id = "architecture";
        for newer in ["3", "18446744073709551615"] {
            let schema = format!("\"schema\": {newer}");
            let newer_file = container().replacing(id, "\"schema\": 1", &schema);
            assert_says(&refusal(&newer_file), &["schema", newer, "newer keepnet"]);
        }
        // Whatever else a later schema holds.
        let schema = "\"schema\": 3,\n  \"anything\": [null]";
        let newer = container().replacing(id, "\"schema\": 1", schema);
        assert_says(&refusal(&newer), &["schema", "newer keepnet"]);
        // What came with schema 2 makes the file one of schema 2, and is refused in one of schema 1.
        let later = "{\n      \"permute\": {\n        \"dims\": [2, 3, 1]\n      }\n    }\n";
        let graph = keepnet::Sequential::new(Shape::image(2, 3, 1)).permute([2, 3, 1]).flatten();
        let file = to_bytes(&keepnet::Checkpoint::new(graph.graph().unwrap(), Vec::new())).unwrap();
        assert_eq!(architecture(&file)["schema"], 2);
        assert!(read(&file).is_ok());
        let early = container().replacing(id, "\"flatten\"\n", later);
        assert_says(&damage(&early), &["the schema of these layers should be 2, but is 1"]);
        // A schema that says more than is needed.
        let greater = container().replacing(id, "\"schema\": 1", "\"schema\": 2");
        assert_says(&damage(&greater), &["the schema of these layers should be 1, but is 2"]);
        let none = container().replacing(id, "\"schema\": 1", "\"schema\": 0");
        assert_says(&damage(&none), &["no schema 0"]);
        let missing = container().replacing(id, "  \"schema\": 1,\n", "");
        assert_says(&damage(&missing), &["missing field `schema`"]);
    }
}

#[test]
fn f_43_names() {
    for file in written() {
        let architecture = architecture(&file);
        let name = [architecture["name"].as_str().unwrap()];
        for name in [names(&architecture["layers"]), names(&architecture["outputs"]), name.into()] {
            assert!(name.iter().all(|name| (1..=255).contains(&name.len())));
            assert!(!name.iter().any(|name| name.contains(char::is_control)));
        }
    }
    for (bad, words) in [
        (String::new(), "empty"),
        ("é".repeat(128), "longer than 255 bytes"),
        ("a\\nb".to_owned(), "control character"),
        ("a\u{7F}".to_owned(), "control character"),
        ("\u{85}".to_owned(), "control character"),
    ] {
        let to = format!("\"name\": \"{bad}\"");
        for name in ["\"name\": \"flatten\"", "\"name\": \"sequential\""] {
            refused(name, &to, &["name", words]);
        }
        let output = "\"outputs\": [{\n    \"name\": \"dense\"";
        refused(output, &output.replace("\"name\": \"dense\"", &to), &["output name", words]);
    }
    unbuilt(|parts| parts.layers[1].name = "a\nb".into(), &["control character"]);
    unbuilt(|parts| parts.name = "x".repeat(256), &["longer than 255 bytes"]);
    unbuilt(|parts| parts.outputs[0].name.clear(), &["empty"]);
    // A name of 255 bytes is fine.
    let longest = format!("\"name\": \"{}\"", "x".repeat(255));
    let file = container().replacing("architecture", "\"name\": \"flatten\"", &longest);
    assert!(read(&file).is_ok());
}

#[test]
fn f_44_names_stand_once() {
    for file in written() {
        let architecture = architecture(&file);
        for mut names in [names(&architecture["layers"]), names(&architecture["outputs"])] {
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }
    refused("\"name\": \"flatten\"", "\"name\": \"conv2d\"", &["two layers", "conv2d"]);
    let output = "\"outputs\": [{\n    \"name\": \"dense\",\n    \"node\": 3\n  }]";
    let twice = output.replace("]", ", {\n    \"name\": \"dense\",\n    \"node\": 2\n  }]");
    refused(output, &twice, &["two outputs", "dense"]);
    unbuilt(|parts| parts.layers[2].name = "conv2d".into(), &["two layers", "conv2d"]);
    unbuilt(|parts| parts.outputs.push(parts.outputs[0].clone()), &["two outputs", "dense"]);
}

#[test]
fn f_45_numbers_are_within_their_lists() {
    for file in written() {
        let architecture = architecture(&file);
        let nodes = architecture["nodes"].as_array().unwrap();
        for (number, node) in nodes.iter().enumerate() {
            let layers = architecture["layers"].as_array().unwrap().len();
            assert!((node["layer"].as_u64().unwrap() as usize) < layers);
            assert!(numbers(&node["inputs"]).iter().all(|&input| input < number));
        }
        assert!(numbers(&architecture["inputs"]).iter().all(|&input| input < nodes.len()));
    }
    for wrong in ["2", "3", "4", "18446744073709551615"] {
        refused("\"inputs\": [1]", &format!("\"inputs\": [{wrong}]"), &["earlier node"]);
    }
    for wrong in ["4", "18446744073709551615"] {
        refused("\"layer\": 2", &format!("\"layer\": {wrong}"), &["refers to layer"]);
        refused("\"node\": 3", &format!("\"node\": {wrong}"), &["outputs", "only 4 nodes"]);
        let inputs = format!("],\n  \"inputs\": [{wrong}]");
        refused("],\n  \"inputs\": [0]", &inputs, &["inputs", "only 4 nodes"]);
    }
    refused("\"layer\": 2", "\"layer\": 18446744073709551616", &["cannot be understood"]);
    unbuilt(|parts| parts.nodes[2].inputs = vec![NodeId(2)], &["earlier node"]);
    unbuilt(|parts| parts.nodes[2].layer = 4, &["refers to layer"]);
}

#[test]
fn f_46_layers_and_nodes_are_used() {
    for file in written() {
        let architecture = architecture(&file);
        let nodes = architecture["nodes"].as_array().unwrap();
        let applied = |layer: u64| nodes.iter().filter(|node| node["layer"] == layer).count();
        let consumed = |number: usize| {
            nodes.iter().any(|node| numbers(&node["inputs"]).contains(&number))
                || (architecture["outputs"].as_array().unwrap().iter())
                    .any(|output| output["node"] == number)
        };
        for (number, layer) in (0..).zip(architecture["layers"].as_array().unwrap()) {
            let is_input = layer["spec"].get("input").is_some();
            assert!(if is_input { applied(number) == 1 } else { applied(number) >= 1 });
        }
        assert!((0..nodes.len()).all(consumed));
    }
    // The flatten layer at the place of the dense one, and a node that nothing takes.
    refused("\"layer\": 3", "\"layer\": 2", &["`dense`", "not used"]);
    refused("\"inputs\": [2]", "\"inputs\": [1]", &["leads to no output"]);
    let twice = "\"layer\": 0,\n    \"inputs\": []";
    refused(twice, &format!("{twice}\n  }}, {{\n    {twice}"), &["input layer", "one node"]);
    unbuilt(|parts| parts.nodes[3].layer = 2, &["not used"]);
    unbuilt(|parts| parts.nodes[3].inputs = vec![NodeId(1)], &["leads to no output"]);
}

#[test]
fn f_47_inputs_and_outputs() {
    for file in written() {
        let architecture = architecture(&file);
        let layers = &architecture["layers"];
        let mut inputs = numbers(&architecture["inputs"]);
        inputs.sort_unstable();
        let nodes = architecture["nodes"].as_array().unwrap().iter().enumerate();
        let of_input_layers: Vec<_> = nodes
            .filter(|(_, node)| {
                let layer = node["layer"].as_u64().unwrap() as usize;
                layers[layer]["spec"].get("input").is_some()
            })
            .map(|(number, _)| number)
            .collect();
        assert_eq!(inputs, of_input_layers);
        assert!(!inputs.is_empty() && !names(&architecture["outputs"]).is_empty());
    }
    let inputs = "],\n  \"inputs\": [0]";
    refused(inputs, "],\n  \"inputs\": []", &["no inputs"]);
    refused(inputs, "],\n  \"inputs\": [1]", &["only an input layer"]);
    refused(inputs, "],\n  \"inputs\": [0, 0]", &["listed twice"]);
    refused(
        "\"outputs\": [{\n    \"name\": \"dense\",\n    \"node\": 3\n  }]",
        "\"outputs\": []",
        &["no outputs"],
    );
    unbuilt(|parts| parts.inputs.clear(), &["no inputs"]);
    unbuilt(|parts| parts.outputs.clear(), &["no outputs"]);
}

#[test]
fn f_48_layers_fit_together() {
    for (from, to, words) in [
        ("\"filters\": 2", "\"filters\": 0", "filters"),
        ("\"groups\": 1", "\"groups\": 3", "groups"),
        ("\"units\": 2", "\"units\": 0", "units"),
        ("\"strides\": [1, 1]", "\"strides\": [0, 1]", "stride"),
        ("\"dilation\": [1, 1]", "\"dilation\": [1, 0]", "dilation"),
        ("\"kernel\": [3, 3]", "\"kernel\": [5, 3]", "the window reaches over 5 cells"),
        ("\"kernel_l2\": 0.0", "\"kernel_l2\": -1.0", "kernel_l2"),
        ("\"kernel_l2\": 0.0", "\"kernel_l2\": \"NaN\"", "kernel_l2"),
        ("\"shape\": [4, 4, 1]", "\"shape\": [4, 4]", "it takes images"),
        ("\"shape\": [4, 4, 1]", "\"shape\": [4, 0, 1]", "would be empty"),
    ] {
        refused(from, to, &[words]);
    }
    // What is beyond keepnet's counting is not damaged.
    for (from, to) in [
        ("\"units\": 2", "\"units\": 1152921504606846976"),
        ("\"shape\": [4, 4, 1]", "\"shape\": [4, 18446744073709551615, 1]"),
    ] {
        let words = refusal(&container().replacing("architecture", from, to));
        assert_says(&words, &["too large for this keepnet", "larger than 2³² − 1 elements"]);
    }
    for (spec, words) in [
        ("{\n      \"dropout\": {\n        \"rate\": 1.0\n      }\n    }", "the rate"),
        ("{\n      \"dropout\": {\n        \"rate\": -0.5\n      }\n    }", "the rate"),
        ("{\n      \"reshape\": {\n        \"shape\": [9]\n      }\n    }", "another number"),
        ("{\n      \"concatenate\": {\n        \"axis\": 0\n      }\n    }", "batch axis"),
        ("{\n      \"concatenate\": {\n        \"axis\": 4\n      }\n    }", "no axis 4"),
        (
            "{\n      \"rescaling\": {\n        \"scale\": \"Infinity\",\n        \"offset\": 0.0\
             \n      }\n    }",
            "scale must be finite",
        ),
        (
            "{\n      \"batch_normalization\": {\n        \"momentum\": 1.5,\n        \
             \"epsilon\": 0.001,\n        \"center\": true,\n        \"scale\": true\n      }\n    }",
            "momentum must be",
        ),
        (
            "{\n      \"batch_normalization\": {\n        \"momentum\": 0.5,\n        \
             \"epsilon\": 0.0,\n        \"center\": true,\n        \"scale\": true\n      }\n    }",
            "epsilon must be",
        ),
    ] {
        refused("\"flatten\"\n", &format!("{spec}\n"), &[words]);
    }
    let dropout = |rate| LayerSpec::Dropout(keepnet::Dropout { rate });
    unbuilt(|parts| parts.layers[2].spec = dropout(1.0), &["the rate"]);
    unbuilt(|parts| parts.layers[2].spec = LayerSpec::Reshape([9].into()), &["another number"]);
}

/// The small model's graph behind an input of this shape, flattened first.
fn with_input(dims: Vec<usize>) -> Result<Vec<u8>, keepnet::format::FormatError> {
    let graph = keepnet::Sequential::new(Shape::new(dims)).flatten().graph().unwrap();
    to_bytes(&keepnet::Checkpoint::new(graph, Vec::new()))
}

#[test]
fn f_49_dimensions() {
    assert!(read(&with_input(vec![1; 31]).unwrap()).is_ok());
    let error = with_input(vec![1; 32]).unwrap_err();
    assert_says(&error.to_string(), &["32 dimensions", "31"]);
    let long = format!("\"shape\": [4, 4{}]", ", 1".repeat(40));
    refused("\"shape\": [4, 4, 1]", &long, &["42 dimensions", "31"]);
    let reshape = format!(
        "{{\n      \"reshape\": {{\n        \"shape\": [8{}]\n      }}\n    }}\n",
        ", 1".repeat(31)
    );
    refused("\"flatten\"\n", &reshape, &["32 dimensions", "31"]);
}

/// What it costs is measured in `format_hostile`.
#[test]
fn f_50_shapes_are_derived_before_memory_is_taken() {
    // 2³⁰ · 8 weights, which nothing else in the file agrees to.
    refused_index("\"units\": 2", "\"units\": 1073741824", &["dense/kernel", "8×1073741824"]);
    refused_index("\"filters\": 2", "\"filters\": 268435456", &["3×3×1×268435456", "3×3×1×2"]);
}

#[track_caller]
fn refused_index(from: &str, to: &str, parts: &[&str]) {
    let words = damage(&container().replacing("architecture", from, to));
    assert_says(&words, &["section `index`"]);
    assert_says(&words, parts);
}

#[test]
fn f_51_losses_are_those_of_the_outputs() {
    let bad = container().replacing("compile", "\"output\": \"dense\"", "\"output\": \"x\"");
    assert_says(&damage(&bad), &["section `compile`", "for output `x`, expected `dense`"]);
    let mut none = small();
    none.compile.as_mut().unwrap().losses.clear();
    assert_says(&to_bytes(&none).unwrap_err().to_string(), &["name one for each output"]);
    let mut twice = small();
    let losses = &mut twice.compile.as_mut().unwrap().losses;
    losses.push(losses[0].clone());
    assert_says(&to_bytes(&twice).unwrap_err().to_string(), &["name one for each output"]);
}
