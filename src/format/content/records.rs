//! The records of the index: bincode 2 with fixed-width little-endian integers, one record per decode.
//! Nothing else of keepnet uses bincode; `docs/FORMAT.md` gives the bytes themselves.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{Decode, Encode};

use super::section::SectionId;
use super::{ContentError, Part};
use crate::bytes::{Budget, Reader};
use crate::format::FormatError;
use crate::format::error::Fault;

/// The most bytes of one record.
const MAX_RECORD: usize = 64 * 1024;

/// What decoding one record may allocate, by the lengths it claims: more than a whole one takes.
const MAX_MEMORY: usize = 4 * MAX_RECORD;

const CONFIG: Configuration<LittleEndian, Fixint, Limit<MAX_MEMORY>> = bincode::config::standard()
    .with_little_endian()
    .with_fixed_int_encoding()
    .with_limit::<MAX_MEMORY>();

/// One entry of the tensor index.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::format) struct TensorRecord {
    pub(in crate::format) role: Role,
    pub(in crate::format) name: String,
    /// As NumPy spells it.
    pub(in crate::format) dtype: String,
    pub(in crate::format) shape: Vec<u64>,
    /// From the start of the payload of section `tensors`.
    pub(in crate::format) offset: u64,
    pub(in crate::format) length: u64,
    pub(in crate::format) sha256: [u8; 32],
}

/// What a tensor is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A parameter of the network.
    Parameter,
    /// What the optimizer's slot of this number remembers of a parameter.
    Slot(u32),
    /// What the network gave for the probe.
    ProofOutput,
    /// What the callback of this number remembers of a parameter, such as its best value.
    Best(u32),
    /// The tensor of this number of a section that this version does not know.
    Of { section: SectionId, number: u32 },
}

/// Appends one record.
pub(in crate::format) fn encode<T: Encode>(
    record: &T,
    what: &'static str,
    out: &mut Vec<u8>,
) -> Result<(), ContentError> {
    let start = out.len();
    let written = bincode::encode_into_std_write(record, out, CONFIG);
    let found = out.len().saturating_sub(start);
    // Writing to memory fails for no other reason than length.
    if written.is_err() || found > MAX_RECORD {
        let (found, limit) = (found as u64, MAX_RECORD as u64);
        return Err(ContentError::TooLong { what, found, limit });
    }
    Ok(())
}

impl Part<'_> {
    /// Reads records until the part ends, or one comes that is not `wanted`, which is the last then.
    pub(in crate::format) fn records<T: Decode<()>>(
        &self,
        what: &'static str,
        mut wanted: impl FnMut(&T) -> bool,
        budget: &mut Budget,
    ) -> Result<Vec<T>, FormatError> {
        let mut reader = Reader::new(self.bytes, self.offset);
        let mut records = Vec::new();
        while !reader.is_empty() && records.last().is_none_or(&mut wanted) {
            // The vector grows by doubling.
            budget.reserve(2 * size_of::<T>() as u64, what)?;
            records.push(self.decode(&mut reader, what, budget)?);
        }
        Ok(records)
    }

    fn decode<T: Decode<()>>(
        &self,
        reader: &mut Reader<'_>,
        what: &'static str,
        budget: &mut Budget,
    ) -> Result<T, FormatError> {
        let left = reader.peek();
        let window = left.get(..MAX_RECORD).unwrap_or(left);
        let (record, length) = bincode::decode_from_slice(window, CONFIG).map_err(|error| {
            let fault = Fault::Record { what, message: error.to_string() };
            FormatError::damaged(self.name, reader.offset(), fault)
        })?;
        // Decoding took no more than `MAX_MEMORY`; what stays counts.
        budget.reserve((length as u64).saturating_mul(4), what)?;
        reader.take(length as u64, what).map_err(FormatError::reading(self.name))?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes as docs/FORMAT.md gives them, written by hand.
    #[test]
    fn records_are_these_bytes() {
        let mut out = Vec::new();
        let record = TensorRecord {
            role: Role::Slot(1),
            name: "a/é".to_owned(),
            dtype: "float32".to_owned(),
            shape: vec![2, 3],
            offset: 64,
            length: 24,
            sha256: [7; 32],
        };
        encode(&record, "record", &mut out).unwrap();
        let mut expected = Vec::new();
        expected.extend([1, 0, 0, 0, 1, 0, 0, 0]);
        expected.extend([4, 0, 0, 0, 0, 0, 0, 0, b'a', b'/', 0xC3, 0xA9]);
        expected.extend([7, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend(b"float32");
        expected.extend([2, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([64, 0, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([7; 32]);
        assert_eq!(out, expected);
    }

    #[test]
    fn the_longest_record_is_read_back() {
        let name = "x".repeat(MAX_RECORD - 100);
        let record = TensorRecord {
            role: Role::Parameter,
            name,
            dtype: "bool".to_owned(),
            shape: Vec::new(),
            offset: 0,
            length: 1,
            sha256: [7; 32],
        };
        let mut out = Vec::new();
        encode(&record, "record", &mut out).unwrap();
        let longest = TensorRecord {
            name: record.name.clone() + &"x".repeat(MAX_RECORD - out.len()),
            ..record
        };
        let mut out = Vec::new();
        encode(&longest, "record", &mut out).unwrap();
        assert_eq!(out.len(), MAX_RECORD);
        let mut budget = Budget::new(1 << 20);
        let part = Part { name: "part", offset: 0, bytes: &out };
        let read: Vec<TensorRecord> = part.records("record", |_| true, &mut budget).unwrap();
        assert_eq!(read, std::slice::from_ref(&longest));
        let longer = TensorRecord { name: longest.name.clone() + "x", ..longest };
        assert!(encode(&longer, "record", &mut Vec::new()).is_err());
    }

    /// The list doubles as it grows, and each record keeps what it was decoded to.
    #[test]
    fn records_are_paid_for_before_they_are_kept() {
        let record = (1_u32, 2_u64, 3_u32);
        let mut out = Vec::new();
        (0..5).for_each(|_| encode(&record, "record", &mut out).unwrap());
        let part = Part { name: "part", offset: 0, bytes: &out };
        let needed = (5 * 2 * size_of_val(&record) + 4 * out.len()) as u64;
        let read =
            |bytes| part.records::<(u32, u64, u32)>("record", |_| true, &mut Budget::new(bytes));
        assert_eq!(read(needed).unwrap(), [record; 5]);
        assert!(matches!(read(needed - 1), Err(FormatError::Memory(_))));
    }
}
