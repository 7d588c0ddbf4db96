//! Writing: superblock 2, then for each group its members and after them its header, so that every
//! address is known when it is written. Numbers are contiguous. Texts are of a fixed length where a
//! message can hold them, and else stand in the global heap. The same tree gives the same bytes.

use std::borrow::Cow;

use super::checksum::lookup3;
use super::{Array, Dataset, Group, Hdf5Error, MAX_DEPTH, MAX_RANK, NOWHERE, Node};
use super::{OPAQUE_TYPE, SIGNATURE, is_name};
use crate::tensor::{DType, Shape};

/// Bytes of the superblock.
const SUPERBLOCK: usize = 48;

/// The most bytes of a message in an object header.
const MAX_MESSAGE: usize = 65_535;

/// The most bytes of texts that are kept at a fixed length.
const MAX_FIXED: usize = 32_768;

/// The most texts in one collection: their numbers are of 16 bits, from 1 on.
const MAX_OBJECTS: usize = 65_535;

/// The least bytes of a collection.
const MIN_COLLECTION: usize = 4096;

/// The types of messages (specification, IV.A.2).
const DATASPACE: u8 = 0x01;
const LINK_INFO: u8 = 0x02;
const DATATYPE: u8 = 0x03;
const FILL_VALUE: u8 = 0x05;
const LINK: u8 = 0x06;
const LAYOUT: u8 = 0x08;
const GROUP_INFO: u8 = 0x0A;
const ATTRIBUTE: u8 = 0x0C;

/// The bytes of a file with `root` as its root group, in pieces that follow one another. The numbers of
/// datasets are those of the tree, not copies.
///
/// # Errors
/// Where HDF5, or those who read it, cannot keep the tree: names with a slash or a zero, texts with a
/// zero, shapes of other numbers of values, arrays that were not read, attributes of numbers beyond 64
/// KiB, groups beyond [`MAX_DEPTH`].
pub fn write<'t>(root: &'t Group<'_>) -> Result<Vec<Cow<'t, [u8]>>, Hdf5Error> {
    // The superblock's place is held until the end.
    let mut file = File { pieces: vec![Cow::Borrowed(&[])], length: SUPERBLOCK as u64 };
    let root = file.group(root, 0)?;
    let mut superblock = SIGNATURE.to_vec();
    superblock.extend([2, 8, 8, 0]);
    superblock.extend(0_u64.to_le_bytes());
    superblock.extend(NOWHERE.to_le_bytes());
    superblock.extend(file.length.to_le_bytes());
    superblock.extend(root.to_le_bytes());
    superblock.extend(lookup3(&superblock).to_le_bytes());
    if let Some(first) = file.pieces.first_mut() {
        *first = Cow::Owned(superblock);
    }
    Ok(file.pieces)
}

/// A file that is being put together.
struct File<'t> {
    pieces: Vec<Cow<'t, [u8]>>,
    length: u64,
}

/// An array as it is stored.
struct Stored<'t> {
    datatype: Vec<u8>,
    dataspace: Vec<u8>,
    values: Cow<'t, [u8]>,
}

/// The messages of an object header.
#[derive(Default)]
struct Messages(Vec<u8>);

impl<'t> File<'t> {
    /// Adds bytes at the next multiple of 8; gives their address.
    fn put(&mut self, bytes: Cow<'t, [u8]>) -> u64 {
        const ZEROS: [u8; 8] = [0; 8];
        let padding = self.length.wrapping_neg() % 8;
        self.length += padding;
        self.pieces.extend(ZEROS.get(..padding as usize).map(Cow::Borrowed));
        let address = self.length;
        self.length += bytes.len() as u64;
        self.pieces.push(bytes);
        address
    }

    /// Adds an object header; gives its address.
    fn header(&mut self, Messages(messages): Messages) -> Result<u64, Hdf5Error> {
        let limit = u64::from(u32::MAX);
        let found = messages.len() as u64;
        let length = u32::try_from(found).map_err(|_| {
            let what = "the header of an object";
            Hdf5Error::TooLong { what, name: String::new(), found, limit }
        })?;
        // Version 2, its length in 4 bytes.
        let mut header = b"OHDR\x02\x02".to_vec();
        header.extend(length.to_le_bytes());
        header.extend(messages);
        header.extend(lookup3(&header).to_le_bytes());
        Ok(self.put(Cow::Owned(header)))
    }

    fn group(&mut self, group: &'t Group<'_>, depth: usize) -> Result<u64, Hdf5Error> {
        if depth >= MAX_DEPTH {
            return Err(Hdf5Error::Depth { limit: MAX_DEPTH });
        }
        let mut messages = Messages::default();
        // Neither links nor their order stand elsewhere.
        let nowhere = NOWHERE.to_le_bytes();
        messages.push(LINK_INFO, &[&[0, 0][..], &nowhere, &nowhere].concat(), "")?;
        messages.push(GROUP_INFO, &[0, 0], "")?;
        for (name, node) in &group.members {
            if !is_name(name) {
                return Err(Hdf5Error::Name { name: name.clone() });
            }
            let address = match node {
                Node::Group(group) => self.group(group, depth + 1),
                Node::Dataset(dataset) => self.dataset(dataset),
                Node::Refused(error) => Err(error.without_path()),
            };
            let address = address.map_err(|error| error.of_member(name))?;
            // Its name's length is said in 2 bytes.
            let length = length_of(name.as_bytes(), name)?;
            let link = [&[1, 1], &length[..], name.as_bytes(), &address.to_le_bytes()].concat();
            messages.push(LINK, &link, name)?;
        }
        for (name, array) in &group.attributes {
            self.attribute(name, array, &mut messages)?;
        }
        self.header(messages)
    }

    fn dataset(&mut self, dataset: &'t Dataset<'_>) -> Result<u64, Hdf5Error> {
        let Stored { mut datatype, dataspace, values } = self.stored(&dataset.array)?;
        let is_bfloat16 =
            dataset.array.tensor().is_some_and(|tensor| tensor.dtype() == DType::BF16);
        if is_bfloat16 {
            datatype = opaque(2);
        }
        let length = values.len() as u64;
        let address = if length == 0 { NOWHERE } else { self.put(values) };
        // Version 3, contiguous.
        let layout = [&[3, 1][..], &address.to_le_bytes(), &length.to_le_bytes()].concat();
        let mut messages = Messages::default();
        messages.push(DATASPACE, &dataspace, "")?;
        messages.push(DATATYPE, &datatype, "")?;
        // Version 3: none, since everything is written.
        messages.push(FILL_VALUE, &[3, 0x0A], "")?;
        messages.push(LAYOUT, &layout, "")?;
        let (opaque_name, bfloat16) = OPAQUE_TYPE;
        for (name, array) in &dataset.attributes {
            if is_bfloat16 && name == opaque_name {
                return Err(Hdf5Error::SameName { name: name.clone() });
            }
            self.attribute(name, array, &mut messages)?;
        }
        if is_bfloat16 {
            let (datatype, values) = fixed_texts(&[bfloat16], bfloat16.len());
            let dataspace = dataspace_of(&Shape::default())?;
            messages
                .attribute(opaque_name, &Stored { datatype, dataspace, values: values.into() })?;
        }
        self.header(messages)
    }

    fn attribute(
        &mut self,
        name: &str,
        array: &'t Array<'_>,
        messages: &mut Messages,
    ) -> Result<(), Hdf5Error> {
        if name.is_empty() || name.contains('\0') {
            return Err(Hdf5Error::Name { name: name.to_owned() });
        }
        let stored = self.stored(array).map_err(|error| error.of_attribute(name))?;
        messages.attribute(name, &stored)
    }

    fn stored(&mut self, array: &'t Array<'_>) -> Result<Stored<'t>, Hdf5Error> {
        let (datatype, values, count) = match array {
            Array::Numbers(tensor) => {
                let count = tensor.bytes().len() / tensor.dtype().size();
                (number(tensor.dtype()), Cow::Borrowed(tensor.bytes()), Some(count))
            }
            Array::Opaque { size, bytes, .. } => {
                let each = usize::try_from(*size).ok().filter(|each| *each > 0);
                let count = each.filter(|each| bytes.len() % each == 0);
                (opaque(*size), Cow::Borrowed(&**bytes), count.map(|each| bytes.len() / each))
            }
            Array::Text { texts, .. } => {
                let (datatype, values) = self.texts(texts)?;
                (datatype, Cow::Owned(values), Some(texts.len()))
            }
            Array::Unread { kind, .. } => return Err(Hdf5Error::Unsupported { what: kind }),
        };
        let shape = array.shape();
        if count.is_none() || shape.checked_elements() != count {
            let found = count.unwrap_or(0) as u64;
            return Err(Hdf5Error::Shape { shape: shape.clone(), found });
        }
        Ok(Stored { datatype, dataspace: dataspace_of(shape)?, values })
    }

    /// The type of texts, and their bytes.
    fn texts(&mut self, texts: &[String]) -> Result<(Vec<u8>, Vec<u8>), Hdf5Error> {
        if let Some(text) = texts.iter().find(|text| text.contains('\0')) {
            return Err(Hdf5Error::Zero { text: text.clone() });
        }
        let size = texts.iter().map(String::len).max().unwrap_or(0).max(1);
        if size.saturating_mul(texts.len()) < MAX_FIXED && size < MAX_FIXED {
            return Ok(fixed_texts(texts, size));
        }
        let mut places = Vec::new();
        for texts in texts.chunks(MAX_OBJECTS) {
            self.collection(texts, &mut places)?;
        }
        // A list of bytes that is text, in UTF-8.
        Ok((typed(0x19, [0x01, 0x01, 0], 16, &number(DType::U8)), places))
    }

    /// Adds texts to the global heap; tells where each stands, one after the other.
    fn collection(&mut self, texts: &[String], places: &mut Vec<u8>) -> Result<(), Hdf5Error> {
        let mut objects = Vec::new();
        for (number, text) in (1_u16..=u16::MAX).zip(texts) {
            objects.extend(number.to_le_bytes());
            objects.extend([1, 0, 0, 0, 0, 0]);
            objects.extend((text.len() as u64).to_le_bytes());
            objects.extend(text.as_bytes());
            objects.resize(objects.len().next_multiple_of(8), 0);
        }
        // What is free is an object of number 0, whose size counts its own head.
        let whole = (16 + objects.len() + 16).max(MIN_COLLECTION);
        let free = (whole - 16 - objects.len()) as u64;
        let mut collection = b"GCOL\x01\0\0\0".to_vec();
        collection.extend((whole as u64).to_le_bytes());
        collection.extend(objects);
        collection.extend([0; 8]);
        collection.extend(free.to_le_bytes());
        collection.resize(whole, 0);
        let address = self.put(Cow::Owned(collection));
        for (number, text) in (1_u32..).zip(texts) {
            let (found, limit) = (text.len() as u64, u64::from(u32::MAX));
            let length = u32::try_from(found).map_err(|_| Hdf5Error::TooLong {
                what: "a text",
                name: String::new(),
                found,
                limit,
            })?;
            places.extend(length.to_le_bytes());
            places.extend(address.to_le_bytes());
            places.extend(number.to_le_bytes());
        }
        Ok(())
    }
}

impl Messages {
    /// Adds a message of an object, or of what has this name in it.
    fn push(&mut self, kind: u8, body: &[u8], name: &str) -> Result<(), Hdf5Error> {
        let length = length_of(body, name)?;
        self.0.push(kind);
        self.0.extend(length);
        // No flags.
        self.0.push(0);
        self.0.extend(body);
        Ok(())
    }

    fn attribute(&mut self, name: &str, stored: &Stored<'_>) -> Result<(), Hdf5Error> {
        let Stored { datatype, dataspace, values } = stored;
        let text = [name.as_bytes(), &[0]].concat();
        let mut body = vec![3, 0];
        for part in [&text, datatype, dataspace] {
            body.extend(length_of(part, name)?);
        }
        // The name is in UTF-8.
        body.push(1);
        body.extend([&text, datatype, dataspace, &values[..]].concat());
        self.push(ATTRIBUTE, &body, name)
    }
}

/// The length of a part of a header, or of all that is said there of a name, in 2 bytes.
fn length_of(part: &[u8], name: &str) -> Result<[u8; 2], Hdf5Error> {
    let length = u16::try_from(part.len()).map_err(|_| Hdf5Error::TooLong {
        what: "what an object header keeps of",
        name: name.to_owned(),
        found: part.len() as u64,
        limit: MAX_MESSAGE as u64,
    })?;
    Ok(length.to_le_bytes())
}

/// The message of a dataspace (specification, IV.A.2.b): version 2, scalar or simple.
fn dataspace_of(shape: &Shape) -> Result<Vec<u8>, Hdf5Error> {
    let rank = u8::try_from(shape.rank()).ok().filter(|_| shape.rank() <= MAX_RANK);
    let rank =
        rank.ok_or(Hdf5Error::Unsupported { what: "an array of more than 32 dimensions" })?;
    let mut dataspace = vec![2, rank, 0, u8::from(rank > 0)];
    dataspace.extend(shape.dims().iter().flat_map(|&dim| (dim as u64).to_le_bytes()));
    Ok(dataspace)
}

/// The message of a datatype: class and version, its bit field, its size and properties.
fn typed(class: u8, bits: [u8; 3], size: u32, properties: &[u8]) -> Vec<u8> {
    [&[class][..], &bits, &size.to_le_bytes(), properties].concat()
}

fn opaque(size: u32) -> Vec<u8> {
    typed(0x15, [0; 3], size, &[])
}

/// Texts that zeros fill up to `size` bytes, in UTF-8: their type, and their bytes.
fn fixed_texts(texts: &[impl AsRef<str>], size: usize) -> (Vec<u8>, Vec<u8>) {
    let mut values = Vec::new();
    for text in texts {
        let end = values.len() + size;
        values.extend(text.as_ref().as_bytes());
        values.resize(end, 0);
    }
    (typed(0x13, [0x11, 0, 0], u32::try_from(size).unwrap_or(u32::MAX), &[]), values)
}

/// The datatype of numbers, little-endian (specification, IV.A.2.d).
fn number(dtype: DType) -> Vec<u8> {
    let size = u32::try_from(dtype.size()).unwrap_or(u32::MAX);
    let bits = u8::try_from(dtype.size() * 8).unwrap_or(u8::MAX);
    let integer = |sign| typed(0x10, [sign, 0, 0], size, &[0, 0, bits, 0]);
    let float = |exponent: u8, bias: u32| {
        let mantissa = bits - 1 - exponent;
        let properties = [0, 0, bits, 0, mantissa, exponent, 0, mantissa];
        let properties = [&properties[..], &bias.to_le_bytes()].concat();
        typed(0x11, [0x20, bits - 1, 0], size, &properties)
    };
    match dtype {
        DType::F16 => float(5, 15),
        DType::BF16 | DType::F32 => float(8, 127),
        DType::F64 => float(11, 1023),
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => integer(0x08),
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => integer(0),
        DType::Bool => {
            // As h5py has it: an enumeration of two bytes.
            let names = b"FALSE\0\0\0TRUE\0\0\0\0\x00\x01";
            typed(0x18, [2, 0, 0], 1, &[&number(DType::I8)[..], names].concat())
        }
    }
}
