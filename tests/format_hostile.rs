//! Files that claim more than they hold, and networks that would take more than there is, are refused
//! at once and with little memory. One test measures, so that the peak of the process is its own.

#![cfg(target_os = "linux")]

mod format_support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use format_support::container::{Container, Section, header_block, section_block};
use format_support::refusal::{edit, saved};
use format_support::small;
use keepnet::format::*;
use keepnet::*;

/// The most memory the process has held since the last reset, and holds now, in KiB.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn hostile_sizes_take_little_memory_and_time() {
    let good = to_bytes(&small()).unwrap();
    let container = || Container::take_apart(&good);
    let huge = |length: u64| {
        let block = section_block("architecture", 1, length, 0, [0; 32]);
        [header_block([1, 0, 0]).as_slice(), &block, &[b'['; 256]].concat()
    };
    let index = |claim: u64, at: usize| {
        container().with("index", |section| {
            section.payload[at..at + 8].copy_from_slice(&claim.to_le_bytes());
        })
    };
    // Records of 128 and 102 bytes (docs/FORMAT.md).
    let (first, second) = (0..128, 128..230);
    let mut many = container();
    let record = many.section("index").payload[first].to_vec();
    many.section("index").payload = record.repeat(100_000);
    let overlapping = container().with("index", |section| {
        let offset = second.end - 48;
        assert_eq!(section.payload[offset..offset + 8], 128_u64.to_le_bytes());
        section.payload[offset..offset + 8].fill(0);
    });
    let again = container().with("index", |section| {
        section.payload.splice(second.clone(), record.iter().copied());
    });
    let deep = "[".repeat(1_000_000);
    let files: [(&str, Vec<u8>, &str); 19] = [
        ("a section of 2^60 bytes", huge(1 << 60), "the payload takes 1152921504606846976 bytes"),
        ("a section of 2^64 − 1 bytes", huge(u64::MAX), "the payload takes"),
        ("a section of 2^64 − 63 bytes", huge(u64::MAX - 63), "the payload takes"),
        ("a name of 2^63 bytes", index(1 << 63, 4), "cannot be decoded"),
        ("2^60 dimensions", index(1 << 60, 40), "cannot be decoded"),
        ("2^60 elements", index(1 << 60, 48), "should have shape 3×3×1×2"),
        ("100,000 records too many", many.put_together(), "tensor 1 should be the parameter \"conv2d/bias\""),
        ("tensors that overlap", overlapping, "the offset of a tensor should be 128, but is 0"),
        ("one tensor twice", again, "tensor 1 should be the parameter \"conv2d/bias\""),
        (
            "a slot of no name",
            container().replacing("optimizer", "[\"momentum\"", "[\"\", \"momentum\""),
            "keeps slots",
        ),
        (
            "a name of a path",
            container().replacing("architecture", "\"name\": \"dense\"", "\"name\": \"../dense\""),
            "../dense",
        ),
        ("an empty name", container().replacing("architecture", "\"name\": \"dense\"", "\"name\": \"\""), "cannot be used"),
        ("10^6 brackets", container().with("metadata", |s| s.payload = deep.clone().into()), "expected a map"),
        ("10^6 brackets of layers", container().replacing("architecture", "\"layers\": [", &format!("\"layers\": {deep}")), "cannot be understood"),
        ("2^57 units", container().replacing(
            "architecture",
            "\"units\": 2",
            "\"units\": 144115188075855872",
        ), "too large for this keepnet"),
        ("a padding of 2^62", container().replacing(
            "architecture",
            "\"padding\": \"valid\"",
            "\"padding\": {\n          \"explicit\": {\n            \"top\": 4611686018427387904,\n            \"bottom\": 0,\n            \"left\": 0,\n            \"right\": 0\n          }\n        }",
        ), "too large"),
        ("2^32 samples of a proof", container().replacing("proof", "\"samples\": 1", "\"samples\": 4294967295"), "1 to 16 samples"),
        ("10,000 sections", {
            let mut many = container();
            let empty = |number| Section::new(&format!("x_{number}"), false, &[]);
            many.sections.extend((0..10_000).map(empty));
            many.put_together()
        }, "the number of sections takes 257"),
        ("500,000 inputs of a node", container().replacing(
            "architecture",
            "\"inputs\": [1]",
            &format!("\"inputs\": [{}1]", "1, ".repeat(500_000)),
        ), "the number of nodes and their inputs takes"),
    ];
    let home = tempfile::tempdir().unwrap();
    for (number, (what, bytes, words)) in files.into_iter().enumerate() {
        let error = at_once(what, || from_bytes(&bytes, &Limits::default()).map(drop)).to_string();
        assert!(error.contains(words), "{what}: {error}");
        // Read from a file, the same is said.
        let path = home.path().join(format!("{number}.knet"));
        fs::write(&path, &bytes).unwrap();
        drop(bytes);
        let read = at_once(what, || load(&path, &Limits::default()).map(drop)).to_string();
        assert_eq!(read, format!("{}: {error}", path.display()), "{what}");
    }
    sparse_files(&good);
    manifests();
    for (layer, name, graph) in networks() {
        let bytes = to_bytes(&untrained(&graph)).unwrap();
        drop(from_bytes(&bytes, &Limits::default()).unwrap());
        let error = at_once(layer, || Model::from_bytes(&bytes).map(drop)).to_string();
        let words = [format!("with layer `{layer}`"), format!("raise `Limits::{name}`")];
        assert!(words.iter().all(|words| error.contains(words)), "{error}");
    }
}

/// Files of gigabytes that take none on the disk.
fn sparse_files(good: &[u8]) {
    let home = tempfile::tempdir().unwrap();
    let sparse = |name: &str, start: &[u8]| {
        let path = home.path().join(name);
        fs::write(&path, start).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(3 << 30).unwrap();
        path
    };
    let refused = |path: &Path, words: &str| {
        let error = at_once(words, || load(path, &Limits::default()).map(drop)).to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(&sparse("a header, then zeros", &good[..64]), "section header");
    refused(&sparse("a model, then zeros", good), "goes on for");
    refused(&sparse("a newer version", &header_block([2, 0, 0])), "newer keepnet");
    refused(&sparse("zeros", &[]), "not a model");
}

/// Manifests that claim what is not there, or say more than they may.
fn manifests() {
    let deep = format!("\"name\": {}", "[".repeat(1_000_000));
    let many = format!("\"dims\": [{}1]", "1, ".repeat(1_000_000));
    for (from, to, words) in [
        ("\"name\": \"dense\"", deep.as_str(), "cannot be understood"),
        ("\"name\": \"dense\"", many.as_str(), "cannot be understood"),
        ("\"units\": 2", "\"units\": 144115188075855872", "too large for this keepnet"),
        ("\"shape\": [3, 3, 1, 2]", "\"shape\": [1152921504606846976]", "should have shape"),
    ] {
        let (_home, path) = saved();
        edit(&path, from, to);
        let error = at_once(from, || load(&path, &Limits::default()).map(drop)).to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Asserts that `load` refuses within 50 ms and 32 MiB; gives the error.
fn at_once<E: std::fmt::Display>(what: &str, load: impl FnOnce() -> Result<(), E>) -> E {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    let start = Instant::now();
    let refused = load();
    let taken = start.elapsed();
    let peak = memory("VmHWM").saturating_sub(before);
    let Err(error) = refused else { panic!("{what} is accepted") };
    println!("{what}: {taken:?}, {peak} KiB: {error}");
    assert!(peak < 32 * 1024, "{what}: {peak} KiB");
    assert!(taken < Duration::from_millis(50), "{what}: {taken:?}");
    error
}

/// Networks that are well described in a few hundred bytes, and would take a machine's whole memory
/// to run: each with the layer at fault and the limit.
fn networks() -> Vec<(&'static str, &'static str, Graph)> {
    let image = |height, width| Sequential::new(Shape::image(height, width, 1));
    let pool = |kind, pool, strides, padding| Pool2d { kind, pool, strides, padding };
    let same = Padding::Same;
    let explicit = |rows| Padding::Explicit { top: rows, bottom: rows, left: 0, right: 0 };
    let chains = [
        ("conv2d", "tables", image(11_000, 11_000).layer(Conv2d::new(1, 1))),
        ("input", "activations", image(1, 1 << 31).layer(Conv2d::new(1, 1))),
        (
            "conv2d",
            "tables",
            image(65_535, 1).layer(Conv2d {
                kernel: [30_001, 1],
                padding: same,
                ..Conv2d::new(1, 1)
            }),
        ),
        (
            "conv2d",
            "activations",
            image(1, 1).layer(Conv2d {
                kernel: [2, 1],
                dilation: [1 << 30, 1],
                padding: explicit(1 << 30),
                strides: [1 << 30, 1],
                ..Conv2d::new(1, 1)
            }),
        ),
        (
            "max_pool2d",
            "tables",
            image(65_535, 1).layer(pool(PoolKind::Max, [65_535, 1], [1, 1], same)),
        ),
        (
            "average_pool2d",
            "tables",
            image(65_535, 1).layer(pool(PoolKind::Average, [30_000, 1], [1, 1], Padding::Valid)),
        ),
        (
            "zero_padding2d",
            "activations",
            image(1, 1).layer(LayerSpec::from(Arrange::ZeroPadding2d([25_000; 4]))),
        ),
        ("input", "activations", Sequential::new([1, 1, u32::MAX as usize])),
    ];
    let graph = |(layer, name, chain): (_, _, Sequential)| {
        (layer, name, chain.global_max_pool2d().graph().unwrap())
    };
    chains.map(graph).into()
}

/// A checkpoint of the graph, all parameters zero. No model is made for it.
fn untrained(graph: &Graph) -> Checkpoint<'static> {
    let zeros = |parameter: &Parameter| {
        let values = vec![0; 4 * parameter.shape.elements()];
        let tensor = Tensor::new(DType::F32, parameter.shape.clone(), values).unwrap();
        NamedTensor::new(graph.tensor_name(parameter), tensor)
    };
    Checkpoint::new(graph.clone(), graph.parameters().iter().map(zeros).collect())
}

#[test]
fn what_a_network_may_take_can_be_set() {
    let graph = Sequential::new(Shape::image(12, 12, 1))
        .conv2d(2, 3, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(2, Activation::Softmax)
        .graph()
        .unwrap();
    let checkpoint = untrained(&graph);
    let within = |limits| Model::from_checkpoint_within(&checkpoint, &limits).map(drop);
    let limits = Limits::default();
    assert!(within(limits).is_ok());
    for (limits, words) in [
        (Limits { nodes: 8, ..limits }, "takes 9, the limit is 8; raise `Limits::nodes`"),
        (Limits { tables: 0, ..limits }, "with layer `conv2d` the network takes"),
        (Limits { activations: 4 * 144 * 16, ..limits }, "with layer `conv2d` the network takes"),
        (Limits { activations: 4 * 144 * 16 - 1, ..limits }, "with layer `input` the network"),
    ] {
        let error = within(limits).unwrap_err();
        assert!(!error.is_corrupt() && error.to_string().contains(words), "{error}");
    }
    // Sums over the layers, each of which would be within the limit.
    let (tables, activations) = (0..graph.nodes().len())
        .map(|node| graph.cost(NodeId(node), false))
        .fold((0, 0), |sum, cost| (sum.0 + cost.tables, sum.1 + 16 * cost.sample));
    assert!(within(Limits { tables, activations, ..limits }).is_ok());
    let error = within(Limits { tables: tables - 1, ..limits }).unwrap_err().to_string();
    assert!(error.contains("`max_pool2d`") && error.contains("Limits::tables"), "{error}");
    let error = within(Limits { activations: activations - 1, ..limits }).unwrap_err().to_string();
    assert!(error.contains("`dense`") && error.contains("Limits::activations"), "{error}");
}
