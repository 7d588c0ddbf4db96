//! IDX, plain and packed: the result does not depend on the pieces in which the bytes arrive. The
//! first byte says how many of the next ones are lengths of pieces.
#![no_main]

use std::io::{self, Read};

use keepnet::wire::idx::Idx;
use libfuzzer_sys::fuzz_target;

/// Gives at most as many bytes at a time as `pieces` say, over and over.
struct Pieces<'a> {
    bytes: &'a [u8],
    pieces: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.pieces.next().map_or(usize::MAX, |&piece| usize::from(piece));
        if piece == 0 {
            // As a signal would.
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(piece);
        self.bytes.read(&mut buffer[..length])
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&count, rest)) = input.split_first() else { return };
    let Some((pieces, bytes)) = rest.split_at_checked(usize::from(count % 16)) else { return };
    if !pieces.is_empty() && pieces.iter().all(|&piece| piece == 0) {
        return;
    }
    let (stored, limit) = (bytes.len() as u64, 1 << 20);
    let whole = Idx::read(bytes, stored, limit);
    let split = Idx::read(Pieces { bytes, pieces: pieces.iter().cycle() }, stored, limit);
    match (whole, split) {
        (Ok(whole), Ok(split)) => {
            let [mut one, mut other] = [Vec::new(), Vec::new()];
            whole.write(&mut one).expect("what was read can be written");
            split.write(&mut other).expect("what was read can be written");
            assert!(one == other);
        }
        (Err(whole), Err(split)) => assert_eq!(whole, split),
        (whole, split) => panic!("whole: {:?}, split: {:?}", whole.is_ok(), split.is_ok()),
    }
});
