//! What was done to chunks before they were stored (specification, IV.A.2.l), undone.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;

use super::version;
use crate::bytes::{Budget, Reader};
use crate::wire::hdf5::Hdf5Error;

const FILTERS: &str = "the filters of a dataset";
const CHUNK: &str = "a chunk";

/// The most filters of a dataset (HDF5's `H5Z_MAX_NFILTERS`): a chunk says in 32 bits which it lacks.
const MAX_FILTERS: u8 = 32;

/// The most bytes that one deflated byte stands for: 258 for two bits.
pub(super) const MAX_INFLATION: u64 = 1032;

/// The bytes that a Fletcher checksum adds to a chunk.
const CHECKSUM: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Filter {
    Deflate,
    /// The first bytes of all values, then all second ones, and so on; with the size of a value.
    Shuffle(u32),
    Fletcher32,
}

impl Filter {
    /// The filters that a message names, in the order in which they were applied.
    pub(super) fn all(mut message: Reader<'_>) -> Result<Vec<Self>, Hdf5Error> {
        let version = version(&mut message, &[1, 2], FILTERS)?;
        let (offset, count) = (message.offset(), message.u8(FILTERS)?);
        if count > MAX_FILTERS {
            let (what, expected, found) = ("the number of filters", "32 at most", u64::from(count));
            return Err(Hdf5Error::Value { what, offset, expected, found });
        }
        message.take(if version == 1 { 6 } else { 0 }, FILTERS)?;
        let mut filters = Vec::new();
        for _ in 0..count {
            let number = message.u16(FILTERS)?;
            let named = version == 1 || number >= 256;
            let length = if named { message.u16(FILTERS)? } else { 0 };
            // Whether it may be left out.
            message.take(2, FILTERS)?;
            let values = message.u16(FILTERS)?;
            let name = message.take(u64::from(length), FILTERS)?;
            let mut parameters = message.sub(u64::from(values) * 4, FILTERS)?;
            message.take(if version == 1 && values % 2 == 1 { 4 } else { 0 }, FILTERS)?;
            filters.push(match number {
                1 => Self::Deflate,
                2 => Self::Shuffle(parameters.u32(FILTERS)?),
                3 => Self::Fletcher32,
                _ => {
                    let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
                    return Err(Hdf5Error::Filter { number, name });
                }
            });
        }
        Ok(filters)
    }

    /// What `bytes`, which stand at `offset` in the file, were before: no more than a chunk of `whole`
    /// bytes and a checksum.
    pub(super) fn undo<'a>(
        self,
        bytes: Cow<'a, [u8]>,
        whole: u64,
        offset: u64,
        budget: &mut Budget,
    ) -> Result<Cow<'a, [u8]>, Hdf5Error> {
        match self {
            Self::Deflate => inflate(&bytes, whole, offset, budget).map(Cow::Owned),
            Self::Shuffle(size) => unshuffle(bytes, size, budget),
            Self::Fletcher32 => checked(bytes, offset),
        }
    }
}

fn inflate(
    bytes: &[u8],
    whole: u64,
    offset: u64,
    budget: &mut Budget,
) -> Result<Vec<u8>, Hdf5Error> {
    let most = whole.saturating_add(CHECKSUM);
    let room = most.min((bytes.len() as u64).saturating_mul(MAX_INFLATION));
    let mut inflated = budget.vec(room, CHUNK)?;
    let failed = |_| Hdf5Error::Inflate { offset, expected: whole };
    let mut decoder = ZlibDecoder::new(bytes);
    decoder.by_ref().take(room).read_to_end(&mut inflated).map_err(failed)?;
    // The checksum at the end is looked at only when the end is reached.
    match decoder.read(&mut [0]).map_err(failed)? {
        0 => Ok(inflated),
        _ => Err(Hdf5Error::Inflate { offset, expected: whole }),
    }
}

fn unshuffle<'a>(
    bytes: Cow<'a, [u8]>,
    size: u32,
    budget: &mut Budget,
) -> Result<Cow<'a, [u8]>, Hdf5Error> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let count = bytes.len().checked_div(size).unwrap_or(0);
    let whole = count.checked_mul(size).and_then(|whole| bytes.split_at_checked(whole));
    let (Some((planes, rest)), 1..) = (whole, count) else { return Ok(bytes) };
    let mut values = budget.vec(bytes.len() as u64, CHUNK)?;
    values.resize(planes.len(), 0);
    for (place, plane) in planes.chunks_exact(count).enumerate() {
        let places = values.iter_mut().skip(place).step_by(size);
        places.zip(plane).for_each(|(value, &byte)| *value = byte);
    }
    values.extend(rest);
    Ok(Cow::Owned(values))
}

/// The bytes before the checksum at the end, if it agrees.
fn checked(bytes: Cow<'_, [u8]>, offset: u64) -> Result<Cow<'_, [u8]>, Hdf5Error> {
    let Some((values, sum)) = bytes.split_last_chunk() else {
        return Err(Hdf5Error::Missing { what: "the checksum of a chunk", offset });
    };
    if !crate::bytes::matches(u32::from_le_bytes(*sum), fletcher32(values)) {
        return Err(Hdf5Error::Checksum { what: CHUNK, offset });
    }
    let length = values.len();
    Ok(match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..length).unwrap_or(bytes)),
        Cow::Owned(mut bytes) => {
            bytes.truncate(length);
            Cow::Owned(bytes)
        }
    })
}

/// Fletcher's checksum over the 16-bit words of `bytes`, big-endian, an odd byte at the end as the
/// upper half of a word, as HDF5 computes it.
fn fletcher32(bytes: &[u8]) -> u32 {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let last = odd.first().map(|&byte| [byte, 0]);
    // Modulo 65,535, where what is no sum of zeros alone never becomes 0.
    let fold = |sum: u32| (sum & 0xFFFF) + (sum >> 16);
    let (mut first, mut second) = (0_u32, 0_u32);
    for &pair in pairs.iter().chain(&last) {
        first = fold(first + u32::from(u16::from_be_bytes(pair)));
        second = fold(second + first);
    }
    second << 16 | first
}
