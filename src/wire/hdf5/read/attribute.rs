//! Attributes: small arrays with a name, in messages of the header or dense (specification, IV.A.2.m).

use std::collections::BTreeMap;

use super::array::Stored;
use super::btree::Records;
use super::datatype::{Class, Datatype, extents};
use super::header::{Kind, Messages};
use super::{File, NOWHERE, insert, version};
use crate::bytes::Reader;
use crate::wire::hdf5::{Array, Hdf5Error};

const ATTRIBUTE: &str = "an attribute";

/// Bytes of memory that an attribute takes, its name and values left out.
const ATTRIBUTE_MEMORY: u64 = 192;

impl<'a> File<'a, '_> {
    pub(super) fn attributes(
        &mut self,
        messages: &Messages<'a>,
    ) -> Result<BTreeMap<String, Array<'a>>, Hdf5Error> {
        let mut attributes = BTreeMap::new();
        for message in messages.all(Kind::Attribute) {
            self.attribute(message, &mut attributes)?;
        }
        if let Some(mut info) =
            messages.only(Kind::AttributeInfo, "the information on attributes")?
        {
            version(&mut info, &[0], ATTRIBUTE)?;
            let tracked = info.u8(ATTRIBUTE)? & 1 != 0;
            info.take(if tracked { 2 } else { 0 }, ATTRIBUTE)?;
            let (heap, tree) = (info.u64(ATTRIBUTE)?, info.u64(ATTRIBUTE)?);
            if heap != NOWHERE {
                for message in self.dense(heap, tree, Records::AttributeNames)? {
                    self.attribute(message, &mut attributes)?;
                }
            }
        }
        Ok(attributes)
    }

    fn attribute(
        &mut self,
        mut message: Reader<'a>,
        attributes: &mut BTreeMap<String, Array<'a>>,
    ) -> Result<(), Hdf5Error> {
        self.budget.reserve(ATTRIBUTE_MEMORY, ATTRIBUTE)?;
        let version = version(&mut message, &[1, 2, 3], ATTRIBUTE)?;
        let flags = message.u8(ATTRIBUTE)?;
        let is_committed = version > 1 && flags & 1 != 0;
        if version > 1 && flags & 2 != 0 {
            let what = "an attribute whose shape is shared";
            return Err(Hdf5Error::Unsupported { what });
        }
        let (name, datatype, extent) =
            (message.u16(ATTRIBUTE)?, message.u16(ATTRIBUTE)?, message.u16(ATTRIBUTE)?);
        // The character set of the name.
        message.take(u64::from(version == 3), ATTRIBUTE)?;
        // In the first version, each part is filled up to a multiple of 8 bytes.
        let mut part = |length: u16| {
            let length = u64::from(length);
            let filled = if version == 1 { length.next_multiple_of(8) } else { length };
            message.sub(filled, ATTRIBUTE)?.sub(length, ATTRIBUTE)
        };
        let (name, mut datatype, mut extent) = (part(name)?, part(datatype)?, part(extent)?);
        let offset = name.offset();
        let Some(name) =
            name.peek().split(|&byte| byte == 0).next().filter(|name| !name.is_empty())
        else {
            return Err(Hdf5Error::Missing { what: "the name of an attribute", offset });
        };
        let name = self.text(name, "the name of an attribute", offset)?;
        let datatype = match is_committed {
            true => {
                Ok(Datatype { size: 1, class: Class::Unread("values of a committed datatype") })
            }
            false => Datatype::read(&mut datatype),
        };
        let array = datatype.and_then(|datatype| {
            let extents = extents(&mut extent)?;
            self.array(datatype, extents, |_, length| {
                Ok(Stored::File(message.sub(length, "the values of an attribute")?))
            })
        });
        let array = array.map_err(|error| error.of_attribute(&name))?;
        insert(attributes, name, array)
    }
}
