//! CRC-32C for quick checks of regions, SHA-256 for identity.

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

pub use ::crc32c::{crc32c, crc32c_append};

/// The CRC-32C of what has the CRC-32C `first`, followed by `length` bytes that have `second`.
///
/// `length` zeros after something multiply its CRC by x to the power of `8·length`, modulo the
/// polynomial; the power is taken by squaring. (`crc32c::crc32c_combine` squares matrices instead
/// and takes twenty times as long, as long as to sum 100 KB.)
pub(crate) fn crc32c_combine(first: u32, second: u32, mut length: u64) -> u32 {
    // The highest bit is the coefficient of x⁰.
    let multiply = |a: u32, mut b: u32| {
        let mut product = 0;
        for bit in (0..32).rev() {
            product ^= if a >> bit & 1 == 1 { b } else { 0 };
            b = b >> 1 ^ if b & 1 == 1 { 0x82F6_3B78 } else { 0 };
        }
        product
    };
    let (mut shifted, mut power) = (first, 1 << (31 - 8));
    while length > 0 {
        if length & 1 == 1 {
            shifted = multiply(shifted, power);
        }
        power = multiply(power, power);
        length >>= 1;
    }
    shifted ^ second
}

/// A SHA-256 digest (FIPS 180-4), shown and parsed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// Text that is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 digest is 64 hexadecimal digits in lower case")]
pub struct DigestError;

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of parts one after the other.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Hasher::default();
        parts.into_iter().for_each(|part| hasher.update(part));
        hasher.finish()
    }
}

/// Computes a digest piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Below this, handing work to other threads costs more than it gains.
const PARALLEL_BYTES: u64 = 128 * 1024;

/// What `work` gives for each item, on all cores where that pays: together they have `bytes`. The
/// results have the order of the items.
pub(crate) fn each_in_parallel<T: Send, R: Send>(
    items: Vec<T>,
    bytes: u64,
    work: impl Fn(T) -> R + Send + Sync,
) -> Vec<R> {
    if bytes < PARALLEL_BYTES {
        return items.into_iter().map(work).collect();
    }
    // One by one: items differ so much in size that runs of them would not balance.
    items.into_par_iter().with_max_len(1).map(work).collect()
}

/// The digest of each region, on all cores where that pays. The result does not depend on them.
pub fn sha256_each(regions: &[&[u8]]) -> Vec<Digest> {
    let bytes = regions.iter().map(|region| region.len() as u64).sum();
    each_in_parallel(regions.to_vec(), bytes, Digest::of)
}

/// Whether a stored checksum agrees with the computed one. A fuzzer could never guess a checksum,
/// so it is let through to what lies behind.
pub fn matches<T: PartialEq>(stored: T, computed: T) -> bool {
    cfg!(fuzzing) || stored == computed
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(DigestError),
        };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(DigestError);
        };
        let bytes: Vec<u8> = pairs
            .iter()
            .map(|&[high, low]| Ok(nibble(high)? << 4 | nibble(low)?))
            .collect::<Result<_, _>>()?;
        bytes.try_into().map(Self).map_err(|_| DigestError)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn combined_sums_are_those_of_both(
            bytes in prop::collection::vec(any::<u8>(), 0..5000),
            cut in any::<prop::sample::Index>(),
        ) {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let combined = crc32c_combine(crc32c(first), crc32c(second), second.len() as u64);
            prop_assert_eq!(combined, crc32c(&bytes));
        }

        #[test]
        fn long_ones_are_combined_as_by_the_crate(first: u32, second: u32, length in 0..1_u64 << 48) {
            let expected = ::crc32c::crc32c_combine(first, second, length as usize);
            prop_assert_eq!(crc32c_combine(first, second, length), expected);
        }
    }
}
