//! Numbers from elsewhere, sizes beyond any, graphs that contradict themselves.

use std::fs;
use std::path::Path;

use keepnet::format::{Format, save};
use keepnet::wire::onnx::{
    Attribute, AttributeKind, Dimension, Entry, Extent, Graph, Model, Node, OperatorSet, Tensor,
    TensorShape, TensorType, Type, ValueInfo,
};
use prost::Message;
use prost::encoding::encode_varint;

use super::Tried;
use super::format_support::small;

/// Holes of others that these files would use.
pub(crate) const KNOWN: &[&str] = &[
    "CVE-2022-25882",
    "CVE-2024-27318",
    "CVE-2026-27489",
    "CVE-2026-34446",
    "CVE-2026-34447",
    "GHSA-538c-55jv-c5g9",
    "CVE-2025-51480",
];

const HUGE: i64 = 1 << 60;

fn info(name: &str, dims: &[i64]) -> ValueInfo {
    let dim = dims.iter().map(|&dim| Dimension { value: Some(Extent::Value(dim)) }).collect();
    let shape = Some(TensorShape { dim });
    let tensor_type = Some(TensorType { elem_type: Tensor::FLOAT, shape });
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type }) }
}

fn node(operator: &str, inputs: &[&str], output: &str) -> Node {
    Node {
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        op_type: operator.to_owned(),
        name: output.to_owned(),
        ..Node::default()
    }
}

fn with(mut node: Node, name: &str, ints: &[i64]) -> Node {
    let (ints, one) = (ints.to_vec(), ints.first().copied());
    node.attribute.push(Attribute {
        name: name.to_owned(),
        i: one.unwrap_or_default(),
        ints,
        r#type: AttributeKind::Ints.into(),
        ..Attribute::default()
    });
    node
}

fn with_int(mut node: Node, name: &str, i: i64) -> Node {
    let r#type = AttributeKind::Int.into();
    node.attribute.push(Attribute { name: name.to_owned(), i, r#type, ..Attribute::default() });
    node
}

fn with_text(mut node: Node, name: &str, text: &str) -> Node {
    let r#type = AttributeKind::String.into();
    let s = text.as_bytes().to_vec().into();
    node.attribute.push(Attribute { name: name.to_owned(), s, r#type, ..Attribute::default() });
    node
}

fn numbers(name: &str, dims: &[i64]) -> Tensor {
    Tensor {
        dims: dims.to_vec(),
        data_type: Tensor::FLOAT,
        name: name.to_owned(),
        raw_data: vec![0; 8].into(),
        ..Tensor::default()
    }
}

fn integers(name: &str, values: &[i64]) -> Tensor {
    Tensor {
        dims: vec![values.len() as i64],
        data_type: Tensor::INT64,
        name: name.to_owned(),
        int64_data: values.to_vec(),
        ..Tensor::default()
    }
}

fn model(initializer: Vec<Tensor>, node: Vec<Node>, input: &[i64]) -> Model {
    let graph = Graph {
        node,
        name: "g".to_owned(),
        initializer,
        input: vec![info("x", input)],
        output: vec![info("y", &[1, 1])],
        ..Graph::default()
    };
    let opset_import = vec![OperatorSet { domain: String::new(), version: 17 }];
    Model { ir_version: 8, graph: Some(graph), opset_import, ..Model::default() }
}

fn product() -> Vec<Node> {
    vec![node("MatMul", &["x", "w"], "y")]
}

/// y = x · w, w being two numbers of another file.
fn with_external(entries: &[(&str, &str)]) -> Model {
    let entry =
        |&(key, value): &(&str, &str)| Entry { key: key.to_owned(), value: value.to_owned() };
    let weight = Tensor {
        data_location: Tensor::EXTERNAL,
        external_data: entries.iter().map(entry).collect(),
        raw_data: Default::default(),
        ..numbers("w", &[2, 1])
    };
    model(vec![weight], product(), &[1, 2])
}

/// A field that holds `content`.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_varint(number << 3 | 2, &mut bytes);
    encode_varint(content.len() as u64, &mut bytes);
    [&bytes, content].concat()
}

/// A file whose graph is these bytes.
fn of_graph(graph: &[u8]) -> Vec<u8> {
    [&[0x08, 8][..], &field(7, graph), &field(8, &[0x10, 17])].concat()
}

pub(crate) fn try_all(tried: &mut Tried) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("model");
    fs::create_dir(&folder).unwrap();
    let mut trying = Trying { tried, folder: &folder };
    places(&mut trying, home.path());
    ends(&mut trying);
    sizes(&mut trying);
    settings(&mut trying);
    signatures(&mut trying);
    graphs(&mut trying);
    claims(&mut trying);
    kept(&mut trying);
}

struct Trying<'t> {
    tried: &'t mut Tried,
    folder: &'t Path,
}

impl Trying<'_> {
    fn refused(&mut self, what: &str, model: &Model, reason: &str) {
        self.bytes_refused(what, &model.encode_to_vec(), reason);
    }

    fn bytes_refused(&mut self, what: &str, bytes: &[u8], reason: &str) {
        let path = self.folder.join("model.onnx");
        fs::write(&path, bytes).unwrap();
        self.tried.refused(what, &path, reason);
    }

    fn read(&mut self, what: &str, model: &Model) {
        let path = self.folder.join("model.onnx");
        fs::write(&path, model.encode_to_vec()).unwrap();
        self.tried.read(what, &path);
    }
}

/// Files of the same folder alone hold numbers, and they themselves.
fn places(trying: &mut Trying<'_>, home: &Path) {
    fs::create_dir(trying.folder.join("sub")).unwrap();
    for file in ["w.bin", "model/w.bin", "model/sub/w.bin"] {
        fs::write(home.join(file), [0; 8]).unwrap();
    }
    for location in ["w.bin", "./w.bin", "sub/w.bin", "./sub/./w.bin"] {
        let what = format!("numbers within the folder, at {location}");
        trying.read(&what, &with_external(&[("location", location)]));
    }
    let absolute = home.join("model/w.bin").display().to_string();
    for location in [
        "../w.bin",
        "sub/../../w.bin",
        "a/../..",
        "sub/../w.bin",
        "sub//w.bin",
        "sub/",
        "./..",
        "..",
        ".",
        "",
        "..\\w.bin",
        "C:w.bin",
        "file:///etc/passwd",
        "w.bin\0",
        "/dev/zero",
        &absolute,
    ] {
        let what = format!("numbers at {location:?}");
        trying.refused(
            &what,
            &with_external(&[("location", location)]),
            "no name of a file in the same folder",
        );
    }
    trying.refused("no place", &with_external(&[]), "no name of a file in the same folder");
    let at = |location: &str| with_external(&[("location", location)]);
    trying.refused("a file that is not there", &at("none.bin"), "missing");
    trying.refused("a folder for a file", &at("sub"), "it is no regular file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        let inside = |name: &str| trying.folder.join(name);
        symlink(home.join("w.bin"), inside("soft")).unwrap();
        symlink(inside("w.bin"), inside("near")).unwrap();
        symlink(home, inside("up")).unwrap();
        symlink("circle", inside("circle")).unwrap();
        fs::hard_link(home.join("w.bin"), inside("hard")).unwrap();
        trying.refused("a symbolic link", &at("soft"), "it is a symbolic link");
        trying.refused("a link within the folder", &at("near"), "it is a symbolic link");
        trying.refused("a link in a circle", &at("circle"), "it is a symbolic link");
        trying.refused("through a link of a folder", &at("up/w.bin"), "it is a symbolic link");
        trying.refused("a hard link", &at("hard"), "it is a hard link");
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let pipe = trying.folder.join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        trying.refused("a pipe that nobody writes to", &at("pipe"), "it is no regular file");
    }
    // Within its own file it finds what is there for all to see.
    trying.read("its own bytes", &with_external(&[("location", "model.onnx"), ("length", "8")]));
}

/// What stands in that file.
fn ends(trying: &mut Trying<'_>) {
    let all = |more: &[(&'static str, &'static str)]| {
        with_external(&[&[("location", "w.bin")], more].concat())
    };
    let (beyond, unsound) = ("beyond the end", "no sound place");
    for (more, reason) in [
        (&[("length", "1125899906842624")][..], beyond),
        (&[("length", "9")], beyond),
        (&[("offset", "4"), ("length", "8")], beyond),
        (&[("offset", "9"), ("length", "0")], beyond),
        (&[("offset", "18446744073709551615"), ("length", "8")], beyond),
        (&[("offset", "8"), ("length", "18446744073709551615")], beyond),
        (&[("offset", "18446744073709551616")], unsound),
        (&[("offset", "-1")], unsound),
        (&[("length", "-1")], unsound),
        (&[("length", "")], unsound),
        (&[("length", "0x8")], unsound),
        (&[("length", "4")], "more or fewer numbers"),
        (&[("location", "w.bin")], "twice"),
    ] {
        trying.refused(&format!("a place of {more:?}"), &all(more), reason);
    }
    trying.read("keys that are none", &all(&[("__class__", "x"), ("checksum", "0")]));
}

fn sizes(trying: &mut Trying<'_>) {
    for (dims, reason) in [
        (&[1 << 40, 1 << 40][..], "is larger than any memory"),
        (&[HUGE, HUGE, HUGE, HUGE], "is larger than any memory"),
        (&[HUGE, 1], "more or fewer numbers"),
        (&[HUGE, 0], "more or fewer numbers"),
        (&[-2, -1], "has a length below 0"),
        (&[i64::MIN, 1], "has a length below 0"),
        (&[3, 1], "more or fewer numbers"),
        (&[1; 1 << 16], "more or fewer numbers"),
    ] {
        let what = format!("a tensor of {:?}", &dims[..dims.len().min(4)]);
        trying.refused(&what, &model(vec![numbers("w", dims)], product(), &[1, 2]), reason);
    }
    // No bytes, but so many numbers.
    for dims in [[HUGE, 1], [1 << 31, 1 << 31]] {
        let none = Tensor { raw_data: Default::default(), ..numbers("w", &dims) };
        let what = format!("no numbers of {dims:?}");
        trying.refused(&what, &model(vec![none], product(), &[1, 2]), "");
    }
    for data_type in [0, -1, 8, 14, 15, 17, 23, i32::MAX] {
        let other = Tensor { data_type, ..numbers("w", &[2, 1]) };
        let what = format!("numbers of type {data_type}");
        trying.refused(&what, &model(vec![other], product(), &[1, 2]), "of a type that keepnet");
    }
    let relu = || vec![node("Relu", &["x"], "y")];
    for dims in [&[1, 1 << 30, 1 << 30][..], &[1, HUGE], &[1, i64::MAX, i64::MAX], &[1, 1 << 31]] {
        trying.refused(&format!("an input of {dims:?}"), &model(vec![], relu(), dims), "");
    }
    // Two small constants that are a large one together.
    let vector = |name: &str, dims: &[i64]| Tensor {
        raw_data: vec![0; 4 << 16].into(),
        ..numbers(name, dims)
    };
    let constants = vec![vector("a", &[1 << 16, 1]), vector("b", &[1 << 16])];
    let nodes = vec![node("Add", &["a", "b"], "c"), node("MatMul", &["x", "c"], "y")];
    let words = "computes what keepnet cannot from numbers of the file alone";
    trying.refused("constants multiplied", &model(constants, nodes, &[1, 2]), words);
}

/// Attributes and constants that lead operators astray.
fn settings(trying: &mut Trying<'_>) {
    let image = [1, 1, 4, 4];
    let pool = || with(node("MaxPool", &["x"], "y"), "kernel_shape", &[2, 2]);
    let conv = || node("Conv", &["x", "w"], "y");
    let kernel = || {
        let raw_data = vec![0; 36].into();
        vec![Tensor { raw_data, ..numbers("w", &[1, 1, 3, 3]) }]
    };
    let nodes = [
        with(node("MaxPool", &["x"], "y"), "kernel_shape", &[HUGE, HUGE]),
        with(node("MaxPool", &["x"], "y"), "kernel_shape", &[0, 0]),
        with(node("MaxPool", &["x"], "y"), "kernel_shape", &[-1, 2]),
        with(pool(), "pads", &[HUGE; 4]),
        with(pool(), "pads", &[i64::MAX; 4]),
        with(pool(), "pads", &[1; 3]),
        with(pool(), "pads", &[-1; 4]),
        with(pool(), "strides", &[0, 0]),
        with(pool(), "strides", &[i64::MIN, 1]),
        with(pool(), "dilations", &[HUGE, HUGE]),
        with(conv(), "pads", &[HUGE; 4]),
        with(conv(), "strides", &[0, 1]),
        with(conv(), "dilations", &[HUGE, 1]),
        with_int(conv(), "group", 0),
        with_int(conv(), "group", HUGE),
        with_int(conv(), "group", i64::MIN),
        with_int(node("Softmax", &["x"], "y"), "axis", HUGE),
        with_int(node("Flatten", &["x"], "y"), "axis", i64::MIN),
        with_int(node("Concat", &["x", "x"], "y"), "axis", HUGE),
        with(node("Transpose", &["x"], "y"), "perm", &[0, 9, 9, HUGE]),
        with(node("Transpose", &["x"], "y"), "perm", &[0; 100_000]),
    ];
    let mistyped = with(conv(), "pads", &[1; 4]);
    for kind in [AttributeKind::Floats, AttributeKind::Int, AttributeKind::Undefined] {
        let mut node = mistyped.clone();
        node.attribute[0].r#type = kind.into();
        let what = format!("pads that are said to be {kind:?}");
        trying.refused(&what, &model(kernel(), vec![node], &image), "should be of the type Ints");
    }
    for (number, node) in nodes.into_iter().enumerate() {
        let what = format!("setting {number}, of {}", node.op_type);
        trying.refused(&what, &model(kernel(), vec![node], &image), "");
    }
    let lists = [
        ("Reshape", &[1, HUGE][..]),
        ("Reshape", &[1, -1, -1]),
        ("Reshape", &[1, -2]),
        ("Reshape", &[HUGE, HUGE, HUGE]),
        ("Pad", &[HUGE; 8]),
        ("Pad", &[i64::MIN; 8]),
        ("Unsqueeze", &[HUGE]),
        ("Squeeze", &[HUGE]),
        ("Expand", &[HUGE; 4]),
        ("Tile", &[1, HUGE, HUGE, 1]),
    ];
    for (operator, list) in lists {
        let what = format!("{operator} by {list:?}");
        let node = node(operator, &["x", "list"], "y");
        trying.refused(&what, &model(vec![integers("list", list)], vec![node], &image), "");
    }
    let slice = node("Slice", &["x", "start", "end", "axes", "steps"], "y");
    let bounds = |start, end, axis, step| {
        [("start", start), ("end", end), ("axes", axis), ("steps", step)]
            .map(|(name, value)| integers(name, &[value]))
            .to_vec()
    };
    for list in [(HUGE, i64::MIN, 2, 1), (0, HUGE, HUGE, 1), (0, 4, 2, 0), (0, 4, 2, i64::MIN)] {
        let constants = bounds(list.0, list.1, list.2, list.3);
        trying.refused(
            &format!("Slice by {list:?}"),
            &model(constants, vec![slice.clone()], &image),
            "",
        );
    }
    let resize = node("Resize", &["x", "", "scales"], "y");
    for scale in [f32::INFINITY, f32::NAN, 1e30, -1.0, 0.0] {
        let float_data = vec![1.0, 1.0, scale, scale];
        let scales = Tensor { float_data, raw_data: Default::default(), ..numbers("scales", &[4]) };
        let resized = model(vec![scales], vec![resize.clone()], &image);
        trying.refused(&format!("Resize by {scale}"), &resized, "");
    }
}

/// Nodes that their operators would not know, or that mean something else than they look like.
fn signatures(trying: &mut Trying<'_>) {
    let of = |dims: &[i64]| {
        let count = usize::try_from(dims.iter().product::<i64>()).unwrap();
        Tensor { raw_data: 1.0_f32.to_le_bytes().repeat(count).into(), ..numbers("w", dims) }
    };
    let kernel = || vec![of(&[1, 1, 3, 3])];
    let scales = || {
        let float_data = vec![1.0, 1.0, 2.0, 2.0];
        vec![Tensor { float_data, raw_data: Default::default(), ..numbers("w", &[4]) }]
    };
    let image = [1, 1, 4, 4];
    let relu = || node("Relu", &["x"], "y");
    let conv = || node("Conv", &["x", "w"], "y");
    let up = || node("ConvTranspose", &["x", "w"], "y");
    let pool = || with(node("MaxPool", &["x"], "y"), "kernel_shape", &[2, 2]);
    let resize = || {
        let resize = node("Resize", &["x", "", "w"], "y");
        let resize = with_text(resize, "coordinate_transformation_mode", "asymmetric");
        with_text(resize, "nearest_mode", "floor")
    };
    let norm = |outputs: &[&str]| Node {
        output: outputs.iter().map(|&name| name.to_owned()).collect(),
        ..node("BatchNormalization", &["x", "w", "w", "w", "w"], "y")
    };
    let more = "takes more values than its operator does";
    let fewer = "takes fewer values than its operator needs";
    let (twice, none) = ("is given twice", "`stride` of node `y` (Conv) is none that the operator");
    let padded = "has an `auto_pad` that ONNX does not know";
    let axes = "resizes some axes, or all in another order";
    let refused = [
        (node("Relu", &["x", "x"], "y"), vec![], more),
        (node("Gemm", &["x", "w", "w", "w"], "y"), kernel(), more),
        (node("Sub", &["x"], "y"), vec![], fewer),
        (node("Sub", &["x", ""], "y"), vec![], fewer),
        (with_int(with_int(conv(), "group", 1), "group", 1), kernel(), twice),
        (with(conv(), "stride", &[2, 2]), kernel(), none),
        (with(conv(), "kernel_shape", &[2, 2]), kernel(), "contradict what it takes"),
        (with(up(), "kernel_shape", &[3, 2]), kernel(), "contradict what it takes"),
        (with_text(conv(), "auto_pad", "SAME"), kernel(), padded),
        (with_text(pool(), "auto_pad", ""), vec![], padded),
        (with_text(relu(), "approximate", "none"), vec![], "is none that the operator has"),
        (
            with_text(node("Gelu", &["x"], "y"), "approximate", "erf"),
            vec![],
            "approximates in a way that ONNX does not know",
        ),
        (
            with_text(resize(), "keep_aspect_ratio_policy", "not_larger"),
            scales(),
            "keeps the proportions",
        ),
        (with(resize(), "axes", &[0, 1, 3, 2]), scales(), axes),
        (with(resize(), "axes", &[2, 3]), scales(), axes),
        (norm(&["y", "mean", "variance"]), vec![of(&[1])], "is no normalisation by stored"),
    ];
    let read = [
        (with_text(relu(), "__note", "none"), vec![]),
        (with(conv(), "kernel_shape", &[3, 3]), kernel()),
        (with_text(conv(), "auto_pad", "NOTSET"), kernel()),
        (
            with_text(with(resize(), "axes", &[0, 1, 2, 3]), "keep_aspect_ratio_policy", "stretch"),
            scales(),
        ),
        (norm(&["y", "", ""]), vec![of(&[1])]),
    ];
    let file = |node: &Node, constants| {
        let mut file = model(constants, vec![node.clone()], &image);
        // The last before `training_mode`.
        let is_old = node.op_type == "BatchNormalization";
        file.opset_import[0].version = if is_old { 13 } else { 20 };
        file
    };
    for (node, constants, reason) in refused {
        let what = format!("{} of {:?}, {:?}", node.op_type, node.input, node.attribute);
        trying.refused(&what, &file(&node, constants), reason);
    }
    for (node, constants) in read {
        let what = format!("{} of {:?}, {:?}", node.op_type, node.input, node.attribute);
        trying.read(&what, &file(&node, constants));
    }
}

fn graphs(trying: &mut Trying<'_>) {
    let cases: [(Vec<Node>, &str); 8] = [
        (vec![node("Relu", &["z"], "y")], "nothing gives the value `z`"),
        (vec![node("Relu", &["y"], "y")], "nothing gives the value `y`"),
        (vec![node("Relu", &["a"], "y"), node("Relu", &["y"], "a")], "nothing gives the value `a`"),
        (vec![node("Relu", &["x"], "x")], "two nodes or tensors give the value `x`"),
        (vec![node("Relu", &["x"], "z")], "nothing gives the value `y`"),
        (vec![node("Loop", &["x"], "z"), node("If", &["z"], "y")], "If (×1), Loop (×1)"),
        (vec![node("Conv", &["x", "x"], "y")], "samples in the place of numbers"),
        (vec![Node { output: vec![], ..node("Relu", &["x"], "y") }], "gives nothing"),
    ];
    for (nodes, reason) in cases {
        trying.refused(reason, &model(vec![], nodes, &[1, 1, 4, 4]), reason);
    }
    let relu = || model(vec![], vec![node("Relu", &["x"], "y")], &[1, 4]);
    let twice = vec![numbers("w", &[2, 1]), numbers("w", &[1, 2])];
    trying.refused("a name twice", &model(twice, product(), &[1, 2]), "give the value `w`");
    for version in [27, 6, 0, -1, i64::MAX] {
        let mut other = relu();
        other.opset_import[0].version = version;
        trying.refused(&format!("operator set {version}"), &other, "export the model");
    }
    for (domain, version, other) in [("", 18, true), ("ai.onnx", 13, true), ("ai.onnx", 17, false)]
    {
        let mut file = relu();
        file.opset_import.push(OperatorSet { domain: domain.to_owned(), version });
        let what = format!("operator sets 17 and {version} of {domain:?}");
        match other {
            true => trying.refused(&what, &file, "operators of two versions"),
            false => trying.read(&what, &file),
        }
    }
    let mut own = relu();
    own.functions = vec![vec![].into()];
    trying.refused("functions of its own", &own, "functions of its own");
    let mut sparse = relu();
    sparse.graph.as_mut().unwrap().sparse_initializer = vec![vec![].into()];
    trying.refused("sparse tensors", &sparse, "sparse tensors");
    trying.refused("no graph", &Model { graph: None, ..relu() }, "");
    // A graph in an attribute of a node of a graph in an attribute …
    let mut deep = Vec::new();
    for level in 0..200_000_u64 {
        let number = if level % 2 == 0 { 6 } else { 5 };
        let mut head = Vec::new();
        encode_varint(number << 3 | 2, &mut head);
        encode_varint(deep.len() as u64, &mut head);
        deep.extend(head.into_iter().rev());
    }
    deep.reverse();
    let deep = [node("If", &["x"], "y").encode_to_vec(), field(5, &deep)].concat();
    let ends = [
        field(11, &info("x", &[1, 4]).encode_to_vec()),
        field(12, &info("y", &[]).encode_to_vec()),
    ];
    let graph = [field(1, &deep), ends.concat()].concat();
    trying.bytes_refused("200,000 graphs in each other", &of_graph(&graph), "If (×1)");
    let mut long: Vec<_> = (0..100_000)
        .map(|number| node("Relu", &[&format!("{number}")], &format!("{}", number + 1)))
        .collect();
    long[0].input[0] = "x".to_owned();
    trying.refused("100,000 nodes in a row", &model(vec![], long, &[1, 4]), "the number of nodes");
}

/// Few bytes that ask for much.
fn claims(trying: &mut Trying<'_>) {
    let inflated = "those that programs write take";
    let empties = |number: u64| of_graph(&field(number, &[]).repeat(10_000_000));
    for (number, what) in
        [(1, "nodes"), (5, "initializers"), (11, "inputs"), (15, "sparse tensors")]
    {
        trying.bytes_refused(&format!("10,000,000 {what}"), &empties(number), inflated);
    }
    for (number, what) in [(1, "inputs"), (2, "outputs"), (5, "attributes")] {
        let node = field(1, &field(number, &[]).repeat(5_000_000));
        trying.bytes_refused(&format!("5,000,000 {what} of a node"), &of_graph(&node), inflated);
    }
    let tensor = field(5, &field(13, &[]).repeat(5_000_000));
    trying.bytes_refused("5,000,000 places of a tensor", &of_graph(&tensor), inflated);
    let props = [of_graph(&[]), field(14, &[]).repeat(5_000_000)].concat();
    trying.bytes_refused("5,000,000 properties", &props, inflated);
    let breaks = "break off or make no sense";
    let length = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
    trying.bytes_refused("a graph of 2^63 bytes", &[b"\x08\x08\x3a", &length[..]].concat(), breaks);
    let tensor = [&[0x4A][..], length].concat();
    trying.bytes_refused("numbers of 2^63 bytes", &of_graph(&field(5, &tensor)), breaks);
    trying.bytes_refused("a group", &of_graph(&[0x0B]), breaks);
    trying.bytes_refused(
        "a number of eleven bytes",
        &[&[0x08, 8, 0x3A][..], &[0xFF; 11]].concat(),
        breaks,
    );
}

/// What keepnet keeps in its own files.
fn kept(trying: &mut Trying<'_>) {
    let path = trying.folder.join("own.onnx");
    save(&small(), &path, Format::Onnx).unwrap();
    let own = Model::decode(&*fs::read(path).unwrap()).unwrap();
    let with = |key: &str, change: &dyn Fn(&str) -> String| {
        let mut model = own.clone();
        let found = model.metadata_props.iter_mut().find(|entry| entry.key == key).unwrap();
        found.value = change(&found.value);
        model
    };
    let deep = |_: &str| "[".repeat(1_000_000);
    trying.refused("an index of 10^6 brackets", &with("keepnet/index", &deep), "SHA-256");
    let mut deep = with("keepnet/index", &deep);
    let digest = deep.metadata_props.iter().find(|it| it.key == "keepnet/index").unwrap();
    let digest = keepnet::bytes::Digest::of(digest.value.as_bytes()).to_string();
    let stored = deep.metadata_props.iter_mut().find(|it| it.key == "keepnet/sha256").unwrap();
    stored.value = digest;
    trying.refused("the same under its digest", &deep, "");
    for key in ["keepnet/sections/architecture", "keepnet/sections/compile", "keepnet/sha256"] {
        let other = with(key, &|text| text.replacen(['a', '1'], "b", 1));
        trying.refused(&format!("another {key}"), &other, "");
    }
    let mut less = own.clone();
    less.training_info.clear();
    trying.read("no moments", &less);
    let mut other = own.clone();
    let kept = other.training_info[0].initialization.as_mut().unwrap();
    kept.initializer[0].dims.push(2);
    trying.refused("moments of another shape", &other, "is not as keepnet wrote it");
}
