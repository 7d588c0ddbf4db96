//! Files that claim more than they hold, and networks that would take more than there is, are refused
//! at once and with little memory. One test measures, so that the peak of the process is its own.

#![cfg(target_os = "linux")]

mod format_support;

use std::fs;
use std::time::{Duration, Instant};

use format_support::container::{Container, header_block, section_block};
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
    let files = [
        ("a section of 2^60 bytes", huge(1 << 60)),
        ("a section of 2^64 − 1 bytes", huge(u64::MAX)),
        ("a section of 2^64 − 63 bytes", huge(u64::MAX - 63)),
        ("a name of 2^63 bytes", index(1 << 63, 4)),
        ("2^60 dimensions", index(1 << 60, 40)),
        ("2^60 elements", index(1 << 60, 48)),
        ("100,000 records too many", many.put_together()),
        ("tensors that overlap", overlapping),
        ("one tensor twice", again),
        ("10^7 tensors of a slot", container().with("optimizer", |section| {
            section.payload[8..16].copy_from_slice(&10_000_000_u64.to_le_bytes());
        })),
        ("a reserved name", container().replacing("architecture", "\"name\": \"dense\"", "\"name\": \"\"")),
        ("10^6 brackets", container().with("metadata", |s| s.payload = vec![b'['; 1_000_000])),
        ("2^57 units", container().replacing(
            "architecture",
            "\"units\": 2",
            "\"units\": 144115188075855872",
        )),
        ("a padding of 2^62", container().replacing(
            "architecture",
            "\"padding\": \"valid\"",
            "\"padding\": {\n          \"explicit\": {\n            \"top\": 4611686018427387904,\n            \"bottom\": 0,\n            \"left\": 0,\n            \"right\": 0\n          }\n        }",
        )),
        ("2^32 samples of a proof", container().with("proof", |section| {
            section.payload[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        })),
        ("2^60 slots", container().with("optimizer", |section| {
            section.payload[8..16].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        })),
    ];
    for (what, bytes) in files {
        let error = at_once(what, || from_bytes(&bytes, &Limits::default()).map(drop));
        assert!(error.is_corrupt(), "{what}: {error}");
    }
    for (layer, name, graph) in networks() {
        let bytes = to_bytes(&untrained(&graph)).unwrap();
        drop(from_bytes(&bytes, &Limits::default()).unwrap());
        let error = at_once(layer, || Model::from_bytes(&bytes).map(drop)).to_string();
        let words = [format!("with layer `{layer}`"), format!("raise `Limits::{name}`")];
        assert!(words.iter().all(|words| error.contains(words)), "{error}");
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
        ("zero_padding2d", "activations", image(1, 1).layer(LayerSpec::ZeroPadding2d([25_000; 4]))),
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
    Checkpoint {
        graph: graph.clone(),
        tensors: graph.parameters().iter().map(zeros).collect(),
        compile: None,
        optimizer: None,
        training: None,
        history: None,
        metadata: Default::default(),
        proof: None,
    }
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
