use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn read_all(bytes: &[u8]) -> Result<File<'_>, SafetensorsError> {
    read(bytes, &mut Budget::new(1 << 30))
}

fn tensor_of(dtype: DType) -> impl Strategy<Value = Tensor<'static>> {
    vec(0_usize..4, 0..4).prop_flat_map(move |shape| {
        let bytes = shape.iter().product::<usize>() * dtype.size();
        let byte = if dtype == DType::Bool { 0..=1_u8 } else { 0..=255 };
        vec(byte, bytes).prop_map(move |bytes| Tensor::new(dtype, shape.clone(), bytes).unwrap())
    })
}

fn files() -> impl Strategy<Value = File<'static>> {
    let tensor = proptest::sample::select(DType::ALL.to_vec()).prop_flat_map(tensor_of);
    let parts = (btree_map(".*", ".*", 0..3), btree_map(".{0,9}", tensor, 0..6));
    parts.prop_map(|(metadata, tensors)| File { metadata, tensors })
}

fn other_type(dtype: DType) -> safetensors::Dtype {
    use safetensors::Dtype;
    match dtype {
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::I8 => Dtype::I8,
        DType::I16 => Dtype::I16,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::U8 => Dtype::U8,
        DType::U16 => Dtype::U16,
        DType::U32 => Dtype::U32,
        DType::U64 => Dtype::U64,
        DType::Bool => Dtype::BOOL,
    }
}

/// What the crate `safetensors` takes for the file.
fn assert_other_reads_the_same(bytes: &[u8], read: &File<'_>) {
    let other = safetensors::SafeTensors::deserialize(bytes).unwrap();
    assert_eq!(other.len(), read.tensors.len());
    for (name, tensor) in &read.tensors {
        let view = other.tensor(name).unwrap();
        assert_eq!(
            (view.dtype(), view.shape()),
            (other_type(tensor.dtype()), tensor.shape().dims())
        );
        assert_eq!(view.data(), tensor.bytes(), "{name}");
    }
    let (_, header) = safetensors::SafeTensors::read_metadata(bytes).unwrap();
    let texts = header.metadata().clone().unwrap_or_default();
    assert_eq!(texts.into_iter().collect::<BTreeMap<_, _>>(), read.metadata);
}

/// As Python's safetensors 0.8.0 writes it:
/// `save({"b": np.float32([1, -2]), "a": np.int64(3), "c": np.zeros((2, 0), "f4")}, {"format": "np"})`.
const PYTHON: &[u8] = include_bytes!("../../../tests/safetensors/golden.safetensors");

#[test]
fn a_file_of_python_is_read_and_written_to_the_byte() {
    let read = read_all(PYTHON).unwrap();
    assert_eq!(read.metadata, [("format".to_owned(), "np".to_owned())].into());
    assert_eq!(read.tensors["b"], Tensor::from_f32([2], &[1.0, -2.0]).unwrap());
    assert_eq!(
        read.tensors["a"],
        Tensor::new(DType::I64, [], 3_i64.to_le_bytes().to_vec()).unwrap()
    );
    assert_eq!(read.tensors["c"].shape().dims(), [2, 0]);
    assert_eq!(read.to_pieces().unwrap().concat(), PYTHON);
}

const F32: &str = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;

#[test]
fn each_rule_is_enforced() {
    let tensor = |name: &str, dtype: &str, shape: &str, offsets: &str| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
    };
    let one = |dtype, shape, offsets| format!("{{{}}}", tensor("a", dtype, shape, offsets));
    let two = |first, second| {
        format!("{{{},{}}}", tensor("a", "U8", "[2]", first), tensor("b", "U8", "[2]", second))
    };
    use SafetensorsError as E;
    type Is = fn(&E) -> bool;
    let cases: Vec<(String, usize, Is)> = vec![
        (format!(" {{\"a\":{F32}}}"), 4, |e| matches!(e, E::HeaderEnds)),
        (format!("{{\"a\":{F32}}}\n"), 4, |e| matches!(e, E::HeaderEnds)),
        (String::new(), 0, |e| matches!(e, E::HeaderEnds)),
        ("{\"a\":1}{}".to_owned(), 0, |e| matches!(e, E::Header { .. })),
        (format!("{{\"a\":{F32},\"a\":{F32}}}"), 4, |e| matches!(e, E::Duplicate { .. })),
        (format!("{{\"a\":{F32},\"\\u0061\":{F32}}}"), 4, |e| matches!(e, E::Duplicate { .. })),
        (r#"{"__metadata__":{},"__metadata__":{}}"#.to_owned(), 0, |e| {
            matches!(e, E::Duplicate { .. })
        }),
        (r#"{"__metadata__":{"k":"1","k":"2"}}"#.to_owned(), 0, |e| {
            matches!(e, E::Duplicate { .. })
        }),
        (r#"{"__metadata__":{"k":1}}"#.to_owned(), 0, |e| matches!(e, E::Header { .. })),
        (r#"{"__metadata__":[]}"#.to_owned(), 0, |e| matches!(e, E::Header { .. })),
        (
            r#"{"a":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}}"#.to_owned(),
            4,
            |e| matches!(e, E::Header { .. }),
        ),
        (r#"{"a":["F32",[1],[0,4]]}"#.to_owned(), 4, |e| matches!(e, E::Header { .. })),
        (r#"{"a":{"dtype":"F32","shape":[1]}}"#.to_owned(), 4, |e| matches!(e, E::Header { .. })),
        (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":0}}"#.to_owned(), 4, |e| {
            matches!(e, E::Header { .. })
        }),
        (one("F32", "[-1]", "[0,4]"), 4, |e| matches!(e, E::Header { .. })),
        (one("F32", "[1.0]", "[0,4]"), 4, |e| matches!(e, E::Header { .. })),
        (one("F32", "[1]", "[0,4,8]"), 8, |e| matches!(e, E::Header { .. })),
        (one("F32", "[1]", "[4,0]"), 4, |e| matches!(e, E::Place { .. })),
        (one("F32", "[1]", "[4,8]"), 8, |e| matches!(e, E::Place { .. })),
        (two("[0,2]", "[1,3]"), 3, |e| matches!(e, E::Place { .. })),
        (two("[0,2]", "[0,2]"), 2, |e| matches!(e, E::Place { .. })),
        (two("[0,2]", "[3,5]"), 5, |e| matches!(e, E::Place { .. })),
        (two("[2,0]", "[0,2]"), 2, |e| matches!(e, E::Place { .. })),
        (one("F32", "[1]", "[0,18446744073709551615]"), 4, |e| matches!(e, E::CutShort(_))),
        (one("F32", "[1]", "[0,4]"), 3, |e| matches!(e, E::CutShort(_))),
        (one("F32", "[1]", "[0,4]"), 5, |e| *e == E::DataLength { expected: 4, found: 5 }),
        (one("F32", "[2]", "[0,4]"), 4, |e| matches!(e, E::Length { expected: 8, found: 4, .. })),
        (one("F32", "[9223372036854775807,4]", "[0,4]"), 4, |e| matches!(e, E::TooLarge { .. })),
        (one("F33", "[1]", "[0,4]"), 4, |e| matches!(e, E::UnknownType { .. })),
        (one("F8_E4M3", "[4]", "[0,4]"), 4, |e| matches!(e, E::Type { dtype: "F8_E4M3", .. })),
        (format!("{}1{}", "[".repeat(200), "]".repeat(200)), 0, |e| matches!(e, E::HeaderEnds)),
        (format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200)), 0, |e| {
            matches!(e, E::Header { .. })
        }),
        ("{\"a\u{0}\":0}".to_owned(), 0, |e| matches!(e, E::Header { .. })),
    ];
    for (header, data, is) in cases {
        let error = read_all(&file(&header, &vec![0; data])).unwrap_err();
        assert!(is(&error), "{header}: {error:?}");
    }
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_allocated() {
    for length in [u64::MAX, u64::MAX - 7, MAX_HEADER + 1] {
        let error = read_all(&[&length.to_le_bytes()[..], b"{}"].concat()).unwrap_err();
        assert_eq!(error, SafetensorsError::HeaderLength { length });
    }
    assert!(matches!(read_all(&[0; 7]), Err(SafetensorsError::CutShort(_))));
    let long = [&MAX_HEADER.to_le_bytes()[..], b"{}"].concat();
    assert!(matches!(read_all(&long), Err(SafetensorsError::CutShort(_))));
    let small = &mut Budget::new(100);
    assert!(matches!(read(PYTHON, small), Err(SafetensorsError::Budget(_))));
}

#[test]
fn spaces_may_fill_the_header_up() {
    let text = format!("{{ \"a\": {F32}\n}}   ");
    assert_eq!(read_all(&file(&text, &[0; 4])).unwrap().tensors.len(), 1);
}

#[test]
fn the_reserved_name_is_not_written() {
    let mut file = File::default();
    file.tensors.insert(METADATA.to_owned(), Tensor::from_f32([], &[1.0]).unwrap());
    assert_eq!(file.to_pieces(), Err(SafetensorsError::Reserved));
}

proptest! {
    #[test]
    fn what_is_written_is_read(file in files()) {
        prop_assume!(!file.tensors.contains_key(METADATA));
        let bytes = file.to_pieces().unwrap().concat();
        prop_assert_eq!(&read_all(&bytes).unwrap(), &file);
        assert_other_reads_the_same(&bytes, &file);
        if file.metadata.len() <= 1 {
            let views = file.tensors.iter().map(|(name, tensor)| {
                let shape = tensor.shape().dims().to_vec();
                let view = safetensors::tensor::TensorView::new(
                    other_type(tensor.dtype()), shape, tensor.bytes());
                (name, view.unwrap())
            });
            let texts = file.metadata.iter().map(|(key, text)| (key.clone(), text.clone()));
            let texts = (!file.metadata.is_empty()).then(|| texts.collect());
            prop_assert_eq!(safetensors::serialize(views, texts).unwrap(), bytes);
        }
    }

    /// Whatever is read, the crate reads too; it takes more.
    #[test]
    fn the_crate_agrees_on_what_is_read(
        file in files(),
        places in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        prop_assume!(!file.tensors.contains_key(METADATA));
        let mut bytes = file.to_pieces().unwrap().concat();
        for (place, byte) in places {
            *place.get_mut(&mut bytes) = byte;
        }
        if let Ok(read) = read_all(&bytes) {
            assert_other_reads_the_same(&bytes, &read);
        }
    }
}
