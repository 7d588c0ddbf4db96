//! Both checksums of what stands in a file, in one pass over it.

use super::block::padding;
use crate::bytes::{Digest, Hasher, crc32c, crc32c_append, crc32c_combine, each_in_parallel};

/// What is read and summed at a time: it stays in the cache until it is.
pub(super) const CHUNK: usize = 128 * 1024;

/// A payload or a tensor, and the zeros behind it.
#[derive(Clone, Copy)]
pub(super) struct Region<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) padding: &'b [u8],
}

/// The checksums of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    /// Of bytes and padding.
    crc32c: u32,
    /// Of both.
    length: u64,
    /// Of the bytes alone.
    pub(super) sha256: Digest,
    pub(super) padding_is_zero: bool,
}

/// Computes the checksums of a region piece by piece.
pub(super) struct Summing {
    sums: Sums,
    hasher: Hasher,
    /// Bytes before the padding.
    left: u64,
}

impl<'b> Region<'b> {
    /// To be written: with as much padding as it takes.
    pub(super) fn padded(bytes: &'b [u8]) -> Self {
        Self { bytes, padding: padding(bytes.len()) }
    }

    pub(super) fn pieces(self) -> [&'b [u8]; 2] {
        [self.bytes, self.padding]
    }

    pub(super) fn sums(self) -> Sums {
        let mut summing = Summing::new(self.bytes.len() as u64);
        for piece in self.pieces() {
            piece.chunks(CHUNK).for_each(|chunk| summing.update(chunk));
        }
        summing.finish()
    }
}

impl Summing {
    /// Of a region with so many bytes before its padding.
    pub(super) fn new(length: u64) -> Self {
        let sha256 = Digest([0; 32]);
        Self {
            sums: Sums { crc32c: crc32c(&[]), length: 0, sha256, padding_is_zero: true },
            hasher: Hasher::default(),
            left: length,
        }
    }

    pub(super) fn update(&mut self, piece: &[u8]) {
        self.sums.crc32c = crc32c_append(self.sums.crc32c, piece);
        self.sums.length = self.sums.length.saturating_add(piece.len() as u64);
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (bytes, padding) = piece.split_at_checked(left).unwrap_or((piece, &[]));
        self.left = self.left.saturating_sub(bytes.len() as u64);
        self.hasher.update(bytes);
        self.sums.padding_is_zero &= padding.iter().all(|&byte| byte == 0);
    }

    pub(super) fn finish(self) -> Sums {
        Sums { sha256: self.hasher.finish(), ..self.sums }
    }
}

impl Sums {
    /// Those of each region, on all cores where that pays.
    pub(super) fn of_each(regions: Vec<Region<'_>>) -> Vec<Self> {
        let bytes = regions.iter().map(|region| region.bytes.len() as u64).sum();
        each_in_parallel(regions, bytes, Region::sums)
    }

    /// The CRC-32C of all regions, one after the other.
    pub(super) fn crc32c(regions: &[Self]) -> u32 {
        let append = |crc, sums: &Self| crc32c_combine(crc, sums.crc32c, sums.length);
        regions.iter().fold(crc32c(&[]), append)
    }
}
