use super::*;

fn model() -> Model {
    let tensor = Tensor {
        dims: vec![2],
        data_type: Tensor::FLOAT,
        name: "w".to_owned(),
        raw_data: Bytes::from_static(&[1, 2, 3, 4, 5, 6, 7, 8]),
        ..Tensor::default()
    };
    let ints = Attribute {
        name: "pads".to_owned(),
        ints: vec![1, -1, 300],
        r#type: AttributeKind::Ints.into(),
        ..Attribute::default()
    };
    let node = Node { op_type: "Conv".to_owned(), attribute: vec![ints], ..Node::default() };
    let graph = Graph {
        node: vec![node],
        name: "net".to_owned(),
        initializer: vec![tensor],
        ..Graph::default()
    };
    Model { ir_version: 8, graph: Some(graph), ..Model::default() }
}

fn read(bytes: Vec<u8>) -> Result<Model, OnnxSyntaxError> {
    super::read(bytes.into(), &mut Budget::new(1 << 20))
}

#[test]
fn what_is_written_is_read() {
    let bytes = model().encode_to_vec();
    assert!(begins(&bytes));
    assert_eq!(read(bytes).unwrap(), model());
}

/// Writers of proto2 do not pack numbers.
#[test]
fn numbers_may_be_unpacked() {
    let unpacked = [0x40, 1, 0x40, 2]; // field 8, twice
    assert_eq!(Attribute::decode(&unpacked[..]).unwrap().ints, [1, 2]);
    let packed = [0x42, 2, 1, 2];
    assert_eq!(Attribute::decode(&packed[..]).unwrap().ints, [1, 2]);
}

#[test]
fn every_cut_is_refused_or_read() {
    let bytes = model().encode_to_vec();
    for length in 0..bytes.len() {
        let cut = read(bytes[..length].to_vec());
        assert!(cut.is_err() || cut.unwrap() != model(), "{length} bytes");
    }
}

/// A node of no fields takes two bytes in a file.
#[test]
fn many_empty_messages_are_refused_before_they_are_made() {
    let nodes = [0x0A, 0].repeat(10_000);
    let mut bytes = vec![0x08, 8, 0x3A];
    prost::encoding::encode_varint(nodes.len() as u64, &mut bytes);
    bytes.extend(nodes);
    assert!(matches!(read(bytes), Err(OnnxSyntaxError::Budget(_))));
}

#[test]
fn lengths_beyond_the_message_are_refused() {
    for length in [1, 0x7F] {
        let bytes = vec![0x08, 8, 0x3A, length];
        assert_eq!(read(bytes), Err(ProtobufError::Malformed { offset: 4 }.into()));
    }
    let endless = [vec![0x3A], vec![0xFF; 10]].concat();
    assert!(matches!(
        read(endless),
        Err(OnnxSyntaxError::Protobuf(ProtobufError::Malformed { .. }))
    ));
}
