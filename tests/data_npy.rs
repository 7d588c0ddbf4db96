//! npy files: both ways beside NumPy's own, and no header is believed. `data_npy/make.py` made
//! the files, with NumPy 2.4.6.

use keepnet::wire::npy::{self, Header, NpyError};
use keepnet::{DType, Shape};
use ndarray::{Array, Array3, ArrayD, arr0, array};
use proptest::prelude::*;

const FLOAT32: &[u8] = include_bytes!("data_npy/float32.npy");

fn written(array: &ArrayD<f32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    npy::write(&array.view(), &mut bytes).unwrap();
    bytes
}

fn bits(array: &ArrayD<f32>) -> Vec<u32> {
    array.iter().map(|value| value.to_bits()).collect()
}

/// A file of version 1.0 with this header text.
fn file(header: &str, values: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()
}

#[test]
fn float32_comes_from_numpy_and_goes_back_to_it_bit_for_bit() {
    let array = npy::read(FLOAT32).unwrap();
    assert_eq!(array.shape(), [2, 3]);
    let expected = [0x7fc0_1234, 0x8000_0000, 0x7f80_0000, 1, 0x3eaa_aaab, 0x4000_0000];
    assert_eq!(bits(&array), expected);
    assert_eq!(written(&array), FLOAT32);
}

#[test]
fn other_types_and_orders_convert() {
    let counting = npy::read(include_bytes!("data_npy/int64_big_endian_fortran.npy")).unwrap();
    let expected = Array3::from_shape_fn((2, 3, 4), |(a, b, c)| (12 * a + 4 * b + c) as f32 - 3.0);
    assert_eq!(counting, expected.into_dyn());
    assert!(counting.is_standard_layout());

    let scalar = npy::read(include_bytes!("data_npy/float64_scalar.npy")).unwrap();
    assert_eq!(scalar, arr0(0.1_f32).into_dyn());

    let bytes = npy::read(include_bytes!("data_npy/uint8_version2.npy")).unwrap();
    assert_eq!(bytes, array![0.0, 1.0, 254.0, 255.0].into_dyn());

    let empty = npy::read(include_bytes!("data_npy/bool_empty.npy")).unwrap();
    assert_eq!(empty.shape(), [0, 5]);
}

#[test]
fn pickles_and_structures_are_refused_by_name() {
    let error = npy::read(include_bytes!("data_npy/objects.npy")).unwrap_err();
    assert_eq!(error, NpyError::ElementType { descr: "|O".into() });
    let error = npy::read(include_bytes!("data_npy/structured.npy")).unwrap_err();
    assert!(
        matches!(&error, NpyError::ElementType { descr } if descr.starts_with("`[(\\'a\\', ")),
        "{error}"
    );
}

proptest! {
    #[test]
    fn what_is_written_comes_back(
        (dims, values) in prop::collection::vec(0_usize..5, 0..5).prop_flat_map(|dims| {
            let count = dims.iter().product::<usize>();
            (Just(dims), prop::collection::vec(any::<u32>(), count))
        })
    ) {
        let values = values.into_iter().map(f32::from_bits).collect();
        let array = ArrayD::from_shape_vec(dims, values).unwrap();
        let bytes = written(&array);
        let again = npy::read(&bytes).unwrap();
        prop_assert_eq!(again.shape(), array.shape());
        prop_assert_eq!(bits(&again), bits(&array));
        // A view in another order is written in C order all the same.
        let turned = array.view().reversed_axes();
        let mut turned_bytes = Vec::new();
        npy::write(&turned, &mut turned_bytes).unwrap();
        prop_assert_eq!(turned_bytes, written(&turned.as_standard_layout().into_owned()));
    }

    #[test]
    fn headers_come_back(
        dtype in prop::sample::select(
            DType::ALL.into_iter().filter(|&dtype| dtype != DType::BF16).collect::<Vec<_>>()
        ),
        big_endian: bool,
        fortran_order: bool,
        dims in prop::collection::vec(0_usize..4, 0..6),
    ) {
        let header = Header {
            dtype,
            big_endian: big_endian && dtype.size() > 1,
            fortran_order,
            shape: Shape::from(dims),
        };
        let mut bytes = header.to_bytes().unwrap();
        prop_assert_eq!(bytes.len() % 64, 0);
        let values = vec![0; header.shape.elements() * dtype.size()];
        bytes.extend(&values);
        prop_assert_eq!(Header::parse(&bytes), Ok((header, &values[..])));
    }

    #[test]
    fn any_header_is_read_or_refused(text in "[{}() ,:'0-9a-z_<|TrueFals]{0,60}") {
        let _ = npy::read(&file(&text, &[]));
    }

    #[test]
    fn any_byte_may_change(index in 0..FLOAT32.len(), byte: u8) {
        let mut bytes = FLOAT32.to_vec();
        bytes[index] = byte;
        let _ = npy::read(&bytes);
    }

    #[test]
    fn integers_convert_if_they_stay_what_they_are(value: i64, down in 0_u32..64, up in 0_u32..64) {
        let value = value >> down << up.min(down);
        let bytes = file("{'descr':'<i8','fortran_order':False,'shape':()}", &value.to_le_bytes());
        // Exactly representable: at most 24 significant bits.
        let magnitude = value.unsigned_abs();
        let significant =
            magnitude.checked_ilog2().map_or(0, |top| top + 1 - magnitude.trailing_zeros());
        match npy::read(&bytes) {
            Ok(array) => {
                prop_assert!(significant <= 24);
                prop_assert_eq!(f64::from(array[[].as_slice()]), value as f64);
            }
            Err(error) => {
                prop_assert!(significant > 24);
                let value = value.to_string();
                prop_assert_eq!(error, NpyError::Inexact { dtype: DType::I64, value, index: 0 });
            }
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for length in 0..FLOAT32.len() {
        let error = npy::read(&FLOAT32[..length]).unwrap_err();
        assert!(matches!(error, NpyError::Truncated { .. }), "{length}: {error}");
    }
    let longer = [FLOAT32, &[0]].concat();
    let (expected, found) = (FLOAT32.len() as u64, longer.len() as u64);
    assert_eq!(npy::read(&longer).unwrap_err(), NpyError::Trailing { expected, found });
}

#[test]
fn claims_are_refused_before_allocation() {
    // 2⁶⁰ values: were they allocated, the process would abort.
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976,), }";
    let claims = file(header, &[]);
    let (found, start) = (claims.len() as u64, claims.len() as u64);
    let expected = (4 << 60) + start;
    assert_eq!(npy::read(&claims).unwrap_err(), NpyError::Truncated { expected, found });

    let many = |shape: &str| {
        npy::read(&file(
            &format!("{{'descr': '<f8', 'fortran_order': True, 'shape': {shape}}}"),
            &[],
        ))
    };
    let too_large = |error| matches!(error, NpyError::TooLarge { .. });
    assert!(too_large(many("(4294967296, 4294967296)").unwrap_err()));
    assert!(too_large(many("(9223372036854775808, 1)").unwrap_err()));
    // No values, but extents that no array can have.
    assert!(too_large(many("(0, 9223372036854775808)").unwrap_err()));
    assert!(matches!(many("(18446744073709551616,)").unwrap_err(), NpyError::Header { .. }));

    let mut long = b"\x93NUMPY\x02\x00".to_vec();
    long.extend(u32::MAX.to_le_bytes());
    let error = NpyError::HeaderLength { found: u32::MAX as usize, limit: 10_000 };
    assert_eq!(npy::read(&long).unwrap_err(), error);
}

#[test]
fn the_grammar_is_pythons_and_no_more() {
    let read = |header: &str| npy::read(&file(header, &[0, 0, 128, 63])).map(|_| ());
    for good in [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n",
        "{\"shape\":(1,1),\"descr\":\"<f4\",\"fortran_order\":True}",
        " { 'shape' : ( 1 , 1 , ) , 'fortran_order' : True , 'descr' : '<f4' } \n",
    ] {
        assert_eq!(read(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (01,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (+1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,),, }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}",
        "{'desc\\x72': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '=f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '', 'fortran_order': False, 'shape': (1,)}",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn values_without_an_equal_float32_are_refused() {
    let read = |descr: &str, values: &[u8]| {
        npy::read(&file(
            &format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ()}}"),
            values,
        ))
    };
    let inexact =
        |dtype, value: &str| Err(NpyError::Inexact { dtype, value: value.into(), index: 0 });
    assert_eq!(read("<i4", &16_777_217_i32.to_le_bytes()), inexact(DType::I32, "16777217"));
    assert!(read("<i4", &16_777_216_i32.to_le_bytes()).is_ok());
    // Saturating casts make these look equal in their own type.
    assert_eq!(read("<i8", &i64::MAX.to_le_bytes()), inexact(DType::I64, "9223372036854775807"));
    assert_eq!(read("<u8", &u64::MAX.to_le_bytes()), inexact(DType::U64, "18446744073709551615"));
    assert_eq!(read("|b1", &[2]), inexact(DType::Bool, "2"));
    assert!(matches!(read("<f8", &1e300_f64.to_le_bytes()), Err(NpyError::Inexact { .. })));
    let scalar = |value: f32| Array::from_elem(ndarray::IxDyn(&[]), value);
    assert_eq!(read(">f8", &f64::INFINITY.to_be_bytes()), Ok(scalar(f32::INFINITY)));
    assert_eq!(read("<f8", &(1.0 + 1e-9_f64).to_le_bytes()), Ok(scalar(1.0)));
    assert_eq!(read("<f2", &[0, 0]), Err(NpyError::Convert { dtype: DType::F16 }));
}

#[test]
fn what_no_reader_would_take_is_not_written() {
    let header = Header::new(DType::BF16, [1]);
    assert_eq!(header.to_bytes(), Err(NpyError::ElementType { descr: "bfloat16".into() }));
    let header = Header::new(DType::F32, vec![1; 5_000]);
    assert!(matches!(header.to_bytes(), Err(NpyError::HeaderLength { limit: 10_000, .. })));
}
