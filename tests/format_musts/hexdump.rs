//! FORMAT.md, last chapter: a file, byte by byte.

use std::fmt::Write;

use keepnet::format::to_bytes;
use keepnet::{
    Activation, Checkpoint, DType, Dense, Initializer, LayerSpec, NamedTensor, OptimizerState,
    Sequential, Shape, Slot, Tensor,
};

/// The model that the document tells of.
fn model() -> Checkpoint<'static> {
    let dense = Dense {
        units: 1,
        use_bias: false,
        activation: Activation::Linear,
        kernel_initializer: Initializer::Zeros,
        bias_initializer: Initializer::Zeros,
        kernel_l2: 0.0,
    };
    let graph = Sequential::new(Shape::vector(2)).name("sum").layer(LayerSpec::Dense(dense));
    let kernel = |values: [f32; 2]| {
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        NamedTensor::new("dense/kernel", Tensor::new(DType::F32, [2, 1], bytes).unwrap())
    };
    let slot = Slot { name: "momentum".into(), tensors: vec![kernel([0.0, -0.5])] };
    Checkpoint {
        optimizer: Some(OptimizerState { step: 3, slots: vec![slot] }),
        ..Checkpoint::new(graph.graph().unwrap(), vec![kernel([1.0, 2.0])])
    }
}

/// The bytes that the document's lines of hexadecimal digits give; each begins with its offset.
fn documented() -> Vec<u8> {
    let document = include_str!("../../docs/FORMAT.md");
    let (_, chapter) = document.split_once("A file, byte by byte\n").unwrap();
    let mut bytes = Vec::new();
    for line in chapter.lines() {
        let Some((offset, rest)) = line.split_once("  ") else { continue };
        let Ok(offset) = usize::from_str_radix(offset, 16) else { continue };
        assert_eq!(offset, bytes.len(), "{line}");
        let digits = rest.split_once("  |").unwrap().0;
        bytes.extend(digits.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    bytes
}

fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        write!(text, "{:04x} ", line * 16).unwrap();
        bytes.iter().for_each(|byte| write!(text, " {byte:02x}").unwrap());
        let letters = bytes.iter().map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        });
        writeln!(text, "  |{}|", letters.collect::<String>()).unwrap();
    }
    text
}

#[test]
fn the_file_of_the_document_is_this_file() {
    let bytes = to_bytes(&model()).unwrap();
    assert!(documented() == bytes, "the bytes are\n{}", dump(&bytes));
}
