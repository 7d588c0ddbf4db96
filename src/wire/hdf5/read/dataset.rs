//! Where the values of a dataset stand (specification, IV.A.2.i).

use std::collections::BTreeMap;

use super::array::Stored;
use super::datatype::{Class, Datatype, extents};
use super::filters::Filter;
use super::header::{Kind, Messages};
use super::{File, NOWHERE, version};
use crate::bytes::Reader;
use crate::tensor::{DType, Tensor};
use crate::wire::hdf5::{Array, Dataset, Hdf5Error, OPAQUE_TYPE};

pub(super) const LAYOUT: &str = "the layout of a dataset";
const VALUES: &str = "the values of a dataset";

/// What is known of a dataset's values.
pub(super) struct Values {
    pub(super) datatype: Datatype,
    pub(super) extents: Vec<u64>,
    /// In the order in which they were applied.
    pub(super) filters: Vec<Filter>,
    /// The bytes of a value that was not written; none stand for zeros.
    fill: Vec<u8>,
    /// Bytes of all values.
    length: u64,
}

impl<'a> File<'a, '_> {
    pub(super) fn dataset(
        &mut self,
        messages: &Messages<'a>,
        mut attributes: BTreeMap<String, Array<'a>>,
    ) -> Result<Dataset<'a>, Hdf5Error> {
        if messages.has(Kind::ExternalFiles) {
            let what = "a dataset whose values stand in other files (external storage)";
            return Err(Hdf5Error::Unsupported { what });
        }
        let datatype = Datatype::read(&mut messages.one(Kind::Datatype, "a dataset's type")?)?;
        let extents = extents(&mut messages.one(Kind::Dataspace, "a dataset's dataspace")?)?;
        let layout = messages.one(Kind::Layout, LAYOUT)?;
        let fill = match messages.only(Kind::FillValue, "a fill value")? {
            Some(message) => fill_value(message, datatype)?,
            None => Vec::new(),
        };
        let filters = match messages.only(Kind::Filters, "a list of filters")? {
            Some(message) => Filter::all(message)?,
            None => Vec::new(),
        };
        let mut array = self.array(datatype, extents.clone(), |file, length| {
            file.values(layout, &Values { datatype, extents, filters, fill, length })
        })?;
        let (name, bfloat16) = OPAQUE_TYPE;
        if let Array::Opaque { shape, size: 2, bytes } = &array
            && attributes.get(name).and_then(Array::as_text) == Some(bfloat16)
            && let Ok(tensor) = Tensor::new(DType::BF16, shape.clone(), bytes.clone())
        {
            array = Array::Numbers(tensor);
            attributes.remove(name);
        }
        Ok(Dataset { attributes, array })
    }

    fn values(&mut self, mut layout: Reader<'a>, values: &Values) -> Result<Stored<'a>, Hdf5Error> {
        let version = version(&mut layout, &[3, 4, 5], LAYOUT)?;
        match layout.u8(LAYOUT)? {
            0 => {
                let length = u64::from(layout.u16(LAYOUT)?);
                let mut compact = layout.sub(length, LAYOUT)?;
                Ok(Stored::File(compact.sub(values.length, VALUES)?))
            }
            1 => {
                let (address, length) = (layout.u64(LAYOUT)?, layout.u64(LAYOUT)?);
                if address == NOWHERE {
                    return self.filled(values, 0).map(Stored::Memory);
                }
                let mut contiguous = self.from(address, VALUES)?.sub(length, VALUES)?;
                Ok(Stored::File(contiguous.sub(values.length, VALUES)?))
            }
            2 => self.chunked(version, layout, values).map(Stored::Memory),
            3 => Err(Hdf5Error::Unsupported { what: "a virtual dataset, made of others," }),
            _ => Err(Hdf5Error::Unsupported { what: "a dataset of an unknown layout" }),
        }
    }

    /// The values of a dataset as if none had been written. They may be as many as `stored` bytes hold,
    /// and in the whole file as many more as it has bytes.
    pub(super) fn filled(&mut self, values: &Values, stored: u64) -> Result<Vec<u8>, Hdf5Error> {
        let claim = Hdf5Error::Claim { claimed: values.length, stored };
        let more = values.length.saturating_sub(stored);
        self.unwritten = self.unwritten.checked_sub(more).ok_or_else(|| claim.clone())?;
        let mut bytes = self.budget.vec(values.length, "a dataset")?;
        let length = usize::try_from(values.length).map_err(|_| claim)?;
        match values.fill.as_slice() {
            [] => bytes.resize(length, 0),
            fill => bytes.extend(fill.iter().cycle().take(length)),
        }
        Ok(bytes)
    }
}

/// The bytes of the value that stands where nothing was written (specification, IV.A.2.f).
fn fill_value(mut message: Reader<'_>, datatype: Datatype) -> Result<Vec<u8>, Hdf5Error> {
    let what = "a fill value";
    let version = version(&mut message, &[1, 2, 3], what)?;
    let defined = if version == 3 {
        message.u8(what)? & 0x20 != 0
    } else {
        // When space is allocated, and when the value is written.
        message.take(2, what)?;
        message.u8(what)? != 0 || version == 1
    };
    if !defined {
        return Ok(Vec::new());
    }
    let length = message.u32(what)?;
    let bytes = message.take(u64::from(length), what)?;
    // Text of any length that was not written is empty, whatever place in the heap is named.
    let fits = length == datatype.size && datatype.class != Class::HeapText;
    Ok(if fits { bytes.to_vec() } else { Vec::new() })
}
