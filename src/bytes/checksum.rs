//! CRC-32C for quick checks of regions, SHA-256 for identity.

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

pub use ::crc32c::{crc32c, crc32c_append};

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
const PARALLEL_BYTES: usize = 128 * 1024;

/// The digest of each region, on all cores where that pays. The result does not depend on them.
pub fn sha256_each(regions: &[&[u8]]) -> Vec<Digest> {
    let total = regions.iter().fold(0_usize, |sum, region| sum.saturating_add(region.len()));
    if total < PARALLEL_BYTES {
        return regions.iter().map(|region| Digest::of(region)).collect();
    }
    // One by one: regions differ so much in size that runs of them would not balance.
    regions.par_iter().with_max_len(1).map(|region| Digest::of(region)).collect()
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
