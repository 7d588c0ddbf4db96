//! The global heap, in which texts of any length stand (specification, III.E).

use std::collections::BTreeMap;

use super::{File, expect_signature, version};
use crate::bytes::Reader;
use crate::wire::hdf5::Hdf5Error;

const HEAP: &str = "the global heap";
const TEXT: &str = "a text in the global heap";

/// Bytes of memory that the place of an object takes.
const PLACE_MEMORY: u64 = 64;

/// A part of the global heap: its objects by number.
pub(super) struct Collection<'a>(BTreeMap<u16, Reader<'a>>);

impl<'a> File<'a, '_> {
    /// The bytes of the text that `place` tells of: its length, the address of a collection, a number
    /// in it.
    pub(super) fn heap_text(&mut self, place: &mut Reader<'_>) -> Result<&'a [u8], Hdf5Error> {
        let offset = place.offset();
        let (length, address) = (u64::from(place.u32(TEXT)?), place.u64(TEXT)?);
        let number = place.u32(TEXT)?;
        if length == 0 {
            return Ok(&[]);
        }
        if !self.collections.contains_key(&address) {
            let collection = self.collection(address)?;
            self.collections.insert(address, collection);
        }
        let number = u16::try_from(number).ok();
        let objects = self.collections.get(&address).map(|Collection(objects)| objects);
        let object = objects.zip(number).and_then(|(objects, number)| objects.get(&number));
        let object = object.ok_or(Hdf5Error::Missing { what: TEXT, offset })?;
        Ok(object.clone().take(length, TEXT)?)
    }

    fn collection(&mut self, address: u64) -> Result<Collection<'a>, Hdf5Error> {
        let mut head = self.structure(address, 16, HEAP)?;
        expect_signature(&mut head, *b"GCOL", HEAP)?;
        version(&mut head, &[1], HEAP)?;
        head.take(3, HEAP)?;
        let length = head.u64(HEAP)?.saturating_sub(16);
        let mut rest = self.structure(address.saturating_add(16), length, HEAP)?;
        let mut objects = BTreeMap::new();
        while rest.remaining() >= 16 {
            let number = rest.u16(HEAP)?;
            // How many refer to it.
            rest.take(6, HEAP)?;
            let size = rest.u64(HEAP)?;
            // Number 0 is what is free, up to the end.
            if number == 0 {
                break;
            }
            self.budget.reserve(PLACE_MEMORY, HEAP)?;
            let offset = rest.offset();
            if objects.insert(number, rest.sub(size, TEXT)?).is_some() {
                return Err(Hdf5Error::Value {
                    what: "the number of an object of the global heap",
                    offset,
                    expected: "one of its own",
                    found: u64::from(number),
                });
            }
            rest.take(size.wrapping_neg() % 8, HEAP)?;
        }
        Ok(Collection(objects))
    }
}
