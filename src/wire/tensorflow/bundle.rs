//! A bundle of tensors (`tensorflow/core/util/tensor_bundle`): a table that says under which key which
//! tensor stands where, and shards, which hold their bytes one after the other.
//!
//! A number stands as it is in memory, little-endian. Texts stand as their lengths (varints), a masked
//! CRC-32C of these as u32 numbers, and their bytes. Every tensor has a masked CRC-32C in the table.

use std::borrow::Cow;
use std::collections::BTreeMap;

use prost::Message;
use prost::bytes::Bytes;

use super::decode;
use super::error::{BundleError, TableError};
use super::graph::{DataType, TensorShapeProto, VersionDef};
use super::objects::{BundleEntryProto, BundleHeaderProto};
use super::table::{mask, put_varint, read_table, varint, write_table};
use crate::bytes::{Budget, Reader, crc32c, crc32c_append, each_in_parallel, matches};
use crate::tensor::Tensor;

/// The most shards of a bundle: each is a file.
const MAX_SHARDS: u32 = 4096;

/// The key of the header.
const HEADER: &[u8] = b"";
/// What begins the keys of the parts of a tensor, which are no text (`tensorflow/core/util/saved_tensor_slice_util`).
const PART: u8 = 0;

/// Where a tensor stands, and of which type and shape it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub dtype: DataType,
    pub shape: TensorShapeProto,
    shard: u32,
    offset: u64,
    size: u64,
    crc: u32,
    is_sliced: bool,
}

/// What the table of a bundle says.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    pub shards: u32,
    entries: BTreeMap<String, Entry>,
}

/// The name of a shard, behind that of the bundle.
pub fn shard_name(number: u32, of: u32) -> String {
    format!(".data-{number:05}-of-{of:05}")
}

impl Index {
    /// # Errors
    /// If the table is damaged, or an entry is none that TensorFlow would write.
    pub fn read(bytes: &[u8], budget: &mut Budget) -> Result<Self, BundleError> {
        let mut shards = None;
        let mut entries = BTreeMap::new();
        for (key, value) in read_table(bytes, budget)? {
            if key == HEADER {
                shards = Some(header(value, budget)?);
                continue;
            }
            // Under its own key the tensor says that it is in parts.
            if key.first() == Some(&PART) {
                continue;
            }
            let key = String::from_utf8(key).map_err(|error| {
                let key = error.as_bytes().escape_ascii().to_string();
                BundleError::Key { key }
            })?;
            let entry = entry(&key, value, budget)?;
            entries.insert(key, entry);
        }
        Ok(Self { shards: shards.ok_or(BundleError::NoHeader)?, entries })
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tensors in these shards. The checksum of each is checked.
    ///
    /// # Errors
    /// If an entry reaches out of its shard or into another, or a checksum does not agree.
    pub fn with_shards(self, shards: Vec<Vec<u8>>) -> Result<Bundle, BundleError> {
        let Self { entries, .. } = self;
        let mut regions = Vec::new();
        for (key, entry) in &entries {
            let &Entry { shard, offset, size, is_sliced, .. } = entry;
            // What stands in parts has none of its own.
            if is_sliced {
                continue;
            }
            let bytes = usize::try_from(shard).ok().and_then(|shard| shards.get(shard));
            let length = bytes.map_or(0, |bytes| bytes.len() as u64);
            let end = offset.saturating_add(size);
            let region = bytes.and_then(|bytes| region(bytes, offset, size)).ok_or_else(|| {
                BundleError::Outside { key: key.clone(), shard, offset, end, length }
            })?;
            if size > 0 {
                regions.push((shard, offset, end, key, entry, region));
            } else {
                check(key, entry, region)?;
            }
        }
        regions.sort_by_key(|&(shard, offset, ..)| (shard, offset));
        for pair in regions.windows(2) {
            if let [(shard, _, end, first, ..), (next, offset, _, second, ..)] = pair
                && shard == next
                && offset < end
            {
                let (first, second) = ((*first).clone(), (*second).clone());
                return Err(BundleError::Overlap { first, second });
            }
        }
        let bytes = shards.iter().map(|shard| shard.len() as u64).sum();
        let checked =
            each_in_parallel(regions, bytes, |(.., key, entry, region)| check(key, entry, region));
        checked.into_iter().collect::<Result<(), _>>()?;
        Ok(Bundle { entries, shards })
    }
}

fn header(value: &[u8], budget: &mut Budget) -> Result<u32, BundleError> {
    let header: BundleHeaderProto =
        decode(Bytes::copy_from_slice(value), "the header of the tensors", budget)?;
    if header.endianness != 0 {
        return Err(BundleError::BigEndian);
    }
    let found = i64::from(header.num_shards);
    let shards = u32::try_from(found).ok().filter(|shards| (1..=MAX_SHARDS).contains(shards));
    shards.ok_or(BundleError::Shards { limit: MAX_SHARDS, found })
}

fn entry(key: &str, value: &[u8], budget: &mut Budget) -> Result<Entry, BundleError> {
    let found: BundleEntryProto =
        decode(Bytes::copy_from_slice(value), "an entry of the index of tensors", budget)?;
    let fault = |what, found| BundleError::Entry { key: key.to_owned(), what, found };
    let number = |what, found: i64| u64::try_from(found).map_err(|_| fault(what, found));
    let entry = Entry {
        dtype: DataType::try_from(found.dtype)
            .map_err(|_| fault("type", i64::from(found.dtype)))?,
        shard: u32::try_from(found.shard_id)
            .map_err(|_| fault("shard", i64::from(found.shard_id)))?,
        offset: number("offset", found.offset)?,
        size: number("size", found.size)?,
        crc: found.crc32c,
        is_sliced: !found.slices.is_empty(),
        shape: found.shape.unwrap_or_default(),
    };
    let Some(dtype) = entry.dtype.dtype().filter(|_| !entry.is_sliced) else { return Ok(entry) };
    let elements = entry.shape.known().and_then(|shape| shape.checked_elements());
    let expected = elements.and_then(|elements| elements.checked_mul(dtype.size()));
    let expected = expected.map_or(u64::MAX, |expected| expected as u64);
    match expected == entry.size {
        true => Ok(entry),
        false => {
            let dims: Vec<_> = entry.shape.dim.iter().map(|dim| dim.size).collect();
            let (key, shape, found) = (key.to_owned(), format!("{dims:?}"), entry.size);
            Err(BundleError::Size { key, shape, expected, found })
        }
    }
}

fn region(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let offset = usize::try_from(offset).ok()?;
    bytes.get(offset..offset.checked_add(usize::try_from(size).ok()?)?)
}

/// Checks the checksum of a tensor; of texts, that they are such.
fn check(key: &str, entry: &Entry, bytes: &[u8]) -> Result<(), BundleError> {
    let found = match entry.dtype {
        DataType::String => {
            let count = entry.shape.known().and_then(|shape| shape.checked_elements());
            let texts = texts(bytes, count.unwrap_or(usize::MAX));
            let texts = texts.map_err(|error| BundleError::Texts { key: key.to_owned(), error })?;
            texts.crc
        }
        // Their checksums are not of their bytes. Nothing reads them.
        DataType::Variant | DataType::Resource => return Ok(()),
        _ => crc32c(bytes),
    };
    let (expected, found) = (entry.crc, mask(found));
    match matches(expected, found) {
        true => Ok(()),
        false => Err(BundleError::Checksum { key: key.to_owned(), expected, found }),
    }
}

/// Texts as they stand in a shard.
struct Texts<'t> {
    crc: u32,
    /// One after the other.
    bytes: &'t [u8],
}

fn texts(bytes: &[u8], count: usize) -> Result<Texts<'_>, TableError> {
    let mut reader = Reader::new(bytes, 0);
    let (mut crc, mut whole) = (0, 0_u64);
    for _ in 0..count {
        let length = varint(&mut reader, "the length of a text")?;
        crc = match u32::try_from(length) {
            Ok(length) => crc32c_append(crc, &length.to_le_bytes()),
            Err(_) => crc32c_append(crc, &length.to_le_bytes()),
        };
        whole = whole.saturating_add(length);
    }
    let offset = reader.offset();
    let stored: [u8; 4] = reader.take_array("the checksum of the lengths")?;
    let (expected, found) = (u32::from_le_bytes(stored), mask(crc));
    if !matches(expected, found) {
        return Err(TableError::Checksum { offset, expected, found });
    }
    let crc = crc32c_append(crc, &stored);
    let bytes = reader.take(whole, "the texts")?;
    reader.finish("the texts")?;
    Ok(Texts { crc: crc32c_append(crc, bytes), bytes })
}

/// Tensors by their keys, every checksum of which agrees.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    entries: BTreeMap<String, Entry>,
    shards: Vec<Vec<u8>>,
}

impl Bundle {
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// The numbers under `key`, or nothing if there are none.
    ///
    /// # Errors
    /// If they are stored in parts.
    pub fn tensor(&self, key: &str) -> Result<Option<Tensor<'_>>, BundleError> {
        let Some((entry, bytes)) = self.found(key)? else { return Ok(None) };
        let tensor = entry.dtype.dtype().zip(entry.shape.known());
        Ok(tensor.and_then(|(dtype, shape)| Tensor::new(dtype, shape, bytes).ok()))
    }

    /// The one text under `key`, or nothing if there is none.
    ///
    /// # Errors
    /// If it is stored in parts.
    pub fn text(&self, key: &str) -> Result<Option<&[u8]>, BundleError> {
        let found = self.found(key)?;
        let found = found
            .filter(|(entry, _)| entry.dtype == DataType::String && entry.shape.dim.is_empty());
        Ok(found.and_then(|(_, bytes)| Some(texts(bytes, 1).ok()?.bytes)))
    }

    fn found(&self, key: &str) -> Result<Option<(&Entry, &[u8])>, BundleError> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        if entry.is_sliced {
            return Err(BundleError::Sliced { key: key.to_owned() });
        }
        let shard = usize::try_from(entry.shard).ok().and_then(|shard| self.shards.get(shard));
        let bytes = shard.and_then(|shard| region(shard, entry.offset, entry.size));
        Ok(bytes.map(|bytes| (entry, bytes)))
    }
}

/// What a bundle is to hold under a key.
#[derive(Clone, Debug)]
pub enum Value<'v> {
    Tensor(Tensor<'v>),
    Text(Vec<u8>),
}

/// A bundle of one shard: its table, and the pieces of the shard, in the order of the keys.
pub fn write_bundle<'v>(values: &'v BTreeMap<String, Value<'_>>) -> (Vec<u8>, Vec<Cow<'v, [u8]>>) {
    let header = BundleHeaderProto {
        num_shards: 1,
        endianness: 0,
        version: Some(VersionDef { producer: 1, min_consumer: 0 }),
    };
    let mut entries = BTreeMap::from([(HEADER.to_vec(), header.encode_to_vec())]);
    let (mut pieces, mut offset) = (Vec::new(), 0_i64);
    for (key, value) in values {
        let (dtype, shape, bytes, crc) = match value {
            Value::Tensor(tensor) => {
                let shape = TensorShapeProto::from(tensor.shape());
                let dtype = DataType::of(tensor.dtype()).unwrap_or(DataType::Invalid);
                let bytes = tensor.bytes();
                (dtype, shape, Cow::Borrowed(bytes), crc32c(bytes))
            }
            Value::Text(text) => {
                let (bytes, crc) = stored_text(text);
                (DataType::String, TensorShapeProto::default(), Cow::Owned(bytes), crc)
            }
        };
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let entry = BundleEntryProto {
            dtype: dtype.into(),
            shape: Some(shape),
            shard_id: 0,
            offset,
            size,
            crc32c: mask(crc),
            slices: Vec::new(),
        };
        entries.insert(key.clone().into_bytes(), entry.encode_to_vec());
        pieces.push(bytes);
        offset = offset.saturating_add(size);
    }
    (write_table(&entries), pieces)
}

/// One text as it stands in a shard, and its CRC-32C.
fn stored_text(text: &[u8]) -> (Vec<u8>, u32) {
    let mut bytes = Vec::with_capacity(text.len() + 14);
    put_varint(&mut bytes, text.len() as u64);
    let crc = match u32::try_from(text.len()) {
        Ok(length) => crc32c(&length.to_le_bytes()),
        Err(_) => crc32c(&(text.len() as u64).to_le_bytes()),
    };
    let stored = mask(crc).to_le_bytes();
    bytes.extend(stored);
    bytes.extend(text);
    (bytes, crc32c_append(crc32c_append(crc, &stored), text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tensor::{DType, Shape};

    fn budget() -> Budget {
        Budget::new(1 << 24)
    }

    fn read(index: &[u8], data: &[Cow<'_, [u8]>]) -> Result<Bundle, BundleError> {
        let index = Index::read(index, &mut budget())?;
        assert_eq!(index.shards, 1);
        index.with_shards(vec![data.concat()])
    }

    fn small() -> BTreeMap<String, Value<'static>> {
        let numbers = Tensor::new(DType::F32, [2, 3], (0..24).collect::<Vec<u8>>()).unwrap();
        let count =
            Tensor::new(DType::I64, Shape::default(), vec![7, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        [
            ("a/kernel".to_owned(), Value::Tensor(numbers)),
            ("a/none".to_owned(), Value::Tensor(Tensor::new(DType::F32, [0], vec![]).unwrap())),
            ("step".to_owned(), Value::Tensor(count)),
            ("text".to_owned(), Value::Text(b"some text".to_vec())),
        ]
        .into()
    }

    fn assert_holds(bundle: &Bundle, values: &BTreeMap<String, Value<'_>>) {
        assert!(bundle.entries().keys().eq(values.keys()));
        for (key, value) in values {
            match value {
                Value::Tensor(tensor) => {
                    assert_eq!(bundle.tensor(key).unwrap().as_ref(), Some(tensor), "{key}");
                }
                Value::Text(text) => assert_eq!(bundle.text(key), Ok(Some(text.as_slice()))),
            }
        }
    }

    fn value() -> impl Strategy<Value = Value<'static>> {
        let tensor =
            (prop::sample::select(&DType::ALL[..]), prop::collection::vec(0..4_usize, 0..4))
                .prop_flat_map(|(dtype, dims)| {
                    let length = dims.iter().product::<usize>() * dtype.size();
                    prop::collection::vec(any::<u8>(), length).prop_map(move |bytes| {
                        Value::Tensor(Tensor::new(dtype, dims.as_slice(), bytes).unwrap())
                    })
                });
        let text = prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Text);
        prop_oneof![tensor, text]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::btree_map("[a-c/.]{1,9}", value(), 0..30)) {
            let (index, data) = write_bundle(&values);
            assert_holds(&read(&index, &data).unwrap(), &values);
        }
    }

    #[test]
    fn every_flipped_bit_of_the_numbers_is_found() {
        let values = small();
        let (index, data) = write_bundle(&values);
        assert_holds(&read(&index, &data).unwrap(), &values);
        let data = data.concat();
        for (at, bit) in (0..data.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut damaged = data.clone();
            damaged[at] ^= 1 << bit;
            assert!(read(&index, &[damaged.into()]).is_err(), "bit {bit} of byte {at}");
        }
        for length in 0..data.len() {
            assert!(read(&index, &[data[..length].into()]).is_err(), "{length} bytes");
        }
    }

    /// The index of [`small`] with another entry for `a/kernel`.
    fn with_entry(change: impl Fn(&mut BundleEntryProto)) -> Result<Bundle, BundleError> {
        let (index, data) = write_bundle_of_small();
        let entries = read_table(&index, &mut budget()).unwrap();
        let entries = entries.into_iter().map(|(key, value)| match key.as_slice() {
            b"a/kernel" => {
                let mut entry = BundleEntryProto::decode(value).unwrap();
                change(&mut entry);
                (key, entry.encode_to_vec())
            }
            _ => (key, value.to_vec()),
        });
        read(&write_table(&entries.collect()), &[data.into()])
    }

    fn write_bundle_of_small() -> (Vec<u8>, Vec<u8>) {
        let values = small();
        let (index, data) = write_bundle(&values);
        (index, data.concat())
    }

    #[test]
    fn entries_that_no_bundle_has_are_refused_by_name() {
        assert!(with_entry(|_| {}).is_ok());
        for (change, says) in [
            ((|entry| entry.size = i64::MAX) as fn(&mut BundleEntryProto), "takes 24 bytes"),
            (|entry| entry.offset = -1, "the offset of `a/kernel` is -1"),
            (|entry| entry.offset = i64::MAX, "is said to stand"),
            (|entry| entry.offset = 12, "overlap"),
            (|entry| entry.shard_id = 1, "of shard 1"),
            (|entry| entry.shard_id = -1, "the shard of `a/kernel` is -1"),
            (|entry| entry.dtype = 99, "the type of `a/kernel` is 99"),
            (|entry| entry.crc32c ^= 1, "the CRC-32C of `a/kernel`"),
            (|entry| entry.shape = None, "of shape []"),
            (
                |entry| entry.shape = Some(TensorShapeProto::new([1 << 40, 1 << 40])),
                "takes 18446744073709551615 bytes",
            ),
        ] {
            let error = with_entry(change).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let (index, data) = write_bundle_of_small();
        let entries = read_table(&index, &mut budget()).unwrap();
        let entries = entries.into_iter().map(|(key, value)| match key.as_slice() {
            b"a/none" => (b"\0\xFF\xFE".to_vec(), value.to_vec()),
            _ => (key, value.to_vec()),
        });
        let parts = read(&write_table(&entries.collect()), &[data.into()]).unwrap();
        assert!(parts.entries().keys().eq(["a/kernel", "step", "text"]), "parts have no names");
        let sliced = with_entry(|entry| entry.slices = vec![Default::default()]).unwrap();
        let key = "a/kernel".to_owned();
        assert_eq!(sliced.tensor("a/kernel"), Err(BundleError::Sliced { key }));
        assert!(sliced.tensor("step").unwrap().is_some());
    }
}
