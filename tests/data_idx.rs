//! IDX files: what is written comes back, and no header is believed.

use std::io::{Read, Write};

use flate2::{Compression, write::GzEncoder};
use keepnet::wire::idx::{Idx, IdxError, Values};
use proptest::prelude::*;

const NO_LIMIT: u64 = u64::MAX;

fn read(bytes: &[u8]) -> Result<Idx, IdxError> {
    Idx::read(bytes, bytes.len() as u64, NO_LIMIT)
}

fn written(idx: &Idx) -> Vec<u8> {
    let mut bytes = Vec::new();
    idx.write(&mut bytes).unwrap();
    bytes
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// 2 × 3 values of u8, by hand.
const SMALL: [u8; 18] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];

#[test]
fn a_file_written_by_hand_is_read() {
    let idx = read(&SMALL).unwrap();
    assert_eq!(idx.shape().dims(), [2, 3]);
    assert_eq!(idx.values(), &Values::U8([1, 2, 3, 4, 5, 6].into()));
    assert_eq!(written(&idx), SMALL);

    let values = [0, 0, 0x0b, 1, 0, 0, 0, 2, 0xff, 0xfe, 1, 0];
    assert_eq!(read(&values).unwrap().values(), &Values::I16([-2, 256].into()));
    let values = [0, 0, 0x0d, 1, 0, 0, 0, 1, 0x3f, 0x80, 0, 0];
    assert_eq!(read(&values).unwrap().values(), &Values::F32([1.0].into()));
}

fn values(count: usize) -> impl Strategy<Value = Values> {
    // Floats of any bits but NaN's, which are not equal to themselves; NaNs have their own test.
    prop_oneof![
        prop::collection::vec(any::<u8>(), count).prop_map(|v| Values::U8(v.into())),
        prop::collection::vec(any::<i8>(), count).prop_map(|v| Values::I8(v.into())),
        prop::collection::vec(any::<i16>(), count).prop_map(|v| Values::I16(v.into())),
        prop::collection::vec(any::<i32>(), count).prop_map(|v| Values::I32(v.into())),
        prop::collection::vec(any::<f32>(), count).prop_map(|v| Values::F32(v.into())),
        prop::collection::vec(any::<f64>(), count).prop_map(|v| Values::F64(v.into())),
    ]
}

proptest! {
    #[test]
    fn what_is_written_comes_back(
        idx in prop::collection::vec(0_usize..5, 0..5)
            .prop_flat_map(|dims| (values(dims.iter().product()), Just(dims)))
            .prop_map(|(values, dims)| Idx::new(dims, values).unwrap())
    ) {
        let bytes = written(&idx);
        prop_assert_eq!(&read(&bytes).unwrap(), &idx);
        prop_assert_eq!(&read(&packed(&bytes)).unwrap(), &idx);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        mut bytes in prop::collection::vec(any::<u8>(), 0..64),
        code in 0_u8..16,
        rank in 0_u8..6,
    ) {
        for (byte, likely) in bytes.iter_mut().zip([0, 0, code, rank]) {
            *byte = likely;
        }
        if let Ok(idx) = read(&bytes) {
            prop_assert_eq!(written(&idx), bytes);
        }
    }
}

#[test]
fn nan_payloads_survive() {
    let nan = f32::from_bits(0x7fc0_1234);
    let idx = Idx::new([1], Values::F32([nan].into())).unwrap();
    let Values::F32(found) = read(&written(&idx)).unwrap().values().clone() else { panic!() };
    assert_eq!(found[0].to_bits(), nan.to_bits());
}

#[test]
fn every_truncation_is_refused() {
    for length in 0..SMALL.len() {
        let error = read(&SMALL[..length]).unwrap_err();
        assert!(matches!(error, IdxError::Truncated { .. }), "{length}: {error}");
    }
    let packed = packed(&SMALL);
    for length in 0..packed.len() {
        read(&packed[..length]).expect_err(&format!("packed, {length} bytes"));
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let longer = [&SMALL[..], &[0]].concat();
    let trailing = IdxError::Trailing { expected: 18 };
    assert_eq!(read(&longer).unwrap_err(), trailing);
    assert_eq!(read(&packed(&longer)).unwrap_err(), trailing);
    let after_gzip = [packed(&SMALL), vec![0]].concat();
    assert_eq!(read(&after_gzip).unwrap_err(), IdxError::Gzip { offset: 18 });
}

#[test]
fn members_of_a_packed_file_are_joined() {
    let (front, back) = SMALL.split_at(7);
    assert_eq!(read(&[packed(front), packed(back)].concat()), read(&SMALL));
}

/// Some bits of a gzip file mean nothing (the time in its header, those that fill the last byte of
/// the packed data); every other is covered by the CRC-32.
#[test]
fn no_flipped_bit_of_a_packed_file_changes_what_is_read() {
    let whole = packed(&SMALL);
    for index in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[index] ^= 1 << bit;
            if let Ok(idx) = read(&flipped) {
                assert_eq!(idx, read(&SMALL).unwrap(), "bit {bit} of byte {index}");
            }
        }
    }
}

#[test]
fn claims_are_refused_before_allocation() {
    // 2⁶⁰ f64 values: were they allocated, the process would abort.
    let header = |code: u8, extents: &[u32]| {
        let mut bytes = vec![0, 0, code, extents.len() as u8];
        bytes.extend(extents.iter().flat_map(|extent| extent.to_be_bytes()));
        bytes
    };
    let claims = header(0x0e, &[1 << 20, 1 << 20, 1 << 20]);
    let claimed = (8 << 60) + 16;
    assert_eq!(read(&claims).unwrap_err(), IdxError::Truncated { expected: claimed, found: 16 });
    let in_gzip = packed(&claims);
    let length = in_gzip.len() as u64;
    assert_eq!(
        read(&in_gzip).unwrap_err(),
        IdxError::Expansion { claimed, packed: length, possible: 1032 * length }
    );
    // More than 64 bits hold.
    let overflow = header(0x08, &[u32::MAX; 3]);
    assert!(matches!(read(&overflow).unwrap_err(), IdxError::TooLarge { .. }));
    let overflow = header(0x0e, &[1 << 31, 1 << 31]);
    assert!(matches!(read(&overflow).unwrap_err(), IdxError::TooLarge { .. }));
}

#[test]
fn the_limit_counts_unpacked_bytes() {
    let packed = packed(&SMALL);
    let error = IdxError::Limit { claimed: 18, limit: 17 };
    assert_eq!(Idx::read(&SMALL[..], 18, 17).unwrap_err(), error);
    assert_eq!(Idx::read(&packed[..], packed.len() as u64, 17).unwrap_err(), error);
    assert!(Idx::read(&packed[..], packed.len() as u64, 18).is_ok());
}

#[test]
fn a_file_shorter_than_stated_is_refused() {
    // As when it is cut while it is read.
    let error = Idx::read((&SMALL[..]).take(15), 18, NO_LIMIT).unwrap_err();
    assert_eq!(error, IdxError::Truncated { expected: 18, found: 15 });
    let error = Idx::read((&SMALL[..]).chain(&[0][..]), 18, NO_LIMIT).unwrap_err();
    assert_eq!(error, IdxError::Trailing { expected: 18 });
}

#[test]
fn messages_say_what_was_found() {
    let error = read(&[1, 0, 8, 0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not an IDX file: expected two zero bytes at offset 0, found [01, 00]"
    );
    assert_eq!(read(&[0, 0, 0x0a, 0]).unwrap_err(), IdxError::ElementType { found: 0x0a });
    assert_eq!(
        read(&SMALL[..17]).unwrap_err().to_string(),
        "the file ends at offset 17, expected 18 bytes"
    );
}

#[test]
fn what_the_format_cannot_hold_is_not_made() {
    let values = || Values::U8([].into());
    let wide = 1_usize << 32;
    assert!(matches!(Idx::new([0, wide], values()), Err(IdxError::Extent { .. })));
    assert!(matches!(Idx::new(vec![0; 256], values()), Err(IdxError::Extent { .. })));
    assert!(matches!(Idx::new([2], values()), Err(IdxError::Count { found: 0, .. })));
}

/// Gives at most so many bytes at a time, with an interruption between.
struct Pieces<'a> {
    bytes: &'a [u8],
    length: usize,
    interrupted: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(self.length);
        self.bytes.read(&mut buffer[..length])
    }
}

/// Found by `fuzz/fuzz_targets/split_idx.rs`: a decoder that is given damage together with the sound
/// bytes before it says so before it gives those bytes; given one piece at a time, it says so after.
#[test]
fn damage_in_gzip_is_the_same_in_any_pieces() {
    // One stored block (RFC 1951, 3.2.4) of the first half, and one of a type that there is none of.
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (half, length) = (&SMALL[..9], [9, 0, !9, !0]);
    let damaged = [&header, &[0][..], &length, half, &[7]].concat();
    assert!(matches!(read(&damaged).unwrap_err(), IdxError::Gzip { .. }));

    let mut cut = packed(&SMALL);
    cut.truncate(cut.len() - 3);
    for bytes in [damaged, cut, packed(&SMALL), SMALL.to_vec(), SMALL[..7].to_vec()] {
        let whole = read(&bytes);
        for length in 1..=bytes.len() {
            for interrupted in [true, false] {
                let pieces = Pieces { bytes: &bytes, length, interrupted };
                let split = Idx::read(pieces, bytes.len() as u64, NO_LIMIT);
                assert_eq!(whole, split, "{bytes:02x?} by {length}");
            }
        }
    }
}
