//! Object headers: the messages that describe a group or a dataset (specification, IV.A).

use super::{File, check, expect_signature, integer, version};
use crate::bytes::Reader;
use crate::wire::hdf5::Hdf5Error;

const HEADER: &str = "an object header";

/// The messages that are read; all others are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dataspace,
    LinkInfo,
    Datatype,
    FillValue,
    Link,
    ExternalFiles,
    Layout,
    Filters,
    Attribute,
    Continuation,
    SymbolTable,
    AttributeInfo,
}

impl Kind {
    fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            0x01 => Self::Dataspace,
            0x02 => Self::LinkInfo,
            0x03 => Self::Datatype,
            0x05 => Self::FillValue,
            0x06 => Self::Link,
            0x07 => Self::ExternalFiles,
            0x08 => Self::Layout,
            0x0B => Self::Filters,
            0x0C => Self::Attribute,
            0x10 => Self::Continuation,
            0x11 => Self::SymbolTable,
            0x15 => Self::AttributeInfo,
            _ => return None,
        })
    }
}

/// The messages of an object, in their order.
pub(super) struct Messages<'a> {
    /// Where the header stands.
    pub(super) offset: u64,
    all: Vec<(Kind, Reader<'a>)>,
}

impl<'a> Messages<'a> {
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.all(kind).next().is_some()
    }

    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = Reader<'a>> {
        self.all.iter().filter(move |(found, _)| *found == kind).map(|(_, body)| body.clone())
    }

    /// The message of a kind of which there is one at most.
    pub(super) fn only(
        &self,
        kind: Kind,
        what: &'static str,
    ) -> Result<Option<Reader<'a>>, Hdf5Error> {
        let mut all = self.all(kind);
        match (all.next(), all.next()) {
            (_, Some(_)) => Err(Hdf5Error::Twice { what, offset: self.offset }),
            (only, None) => Ok(only),
        }
    }

    /// The message of a kind of which there must be one.
    pub(super) fn one(&self, kind: Kind, what: &'static str) -> Result<Reader<'a>, Hdf5Error> {
        self.only(kind, what)?.ok_or(Hdf5Error::Missing { what, offset: self.offset })
    }
}

/// How the messages of a header are laid out.
#[derive(Clone, Copy)]
enum Form {
    /// Version 1.
    Plain,
    /// Version 2, with or without the order of creation in each message.
    Checked { ordered: bool },
}

impl<'a> File<'a, '_> {
    /// The messages of the header at `address`.
    pub(super) fn header(&mut self, address: u64) -> Result<Messages<'a>, Hdf5Error> {
        let start = self.from(address, HEADER)?;
        match start.peek().first() {
            Some(b'O') => self.header_2(start),
            _ => self.header_1(start),
        }
    }

    fn header_1(&mut self, mut reader: Reader<'a>) -> Result<Messages<'a>, Hdf5Error> {
        let offset = reader.offset();
        version(&mut reader, &[1], HEADER)?;
        // How many messages there are, and links to the object.
        reader.take(7, HEADER)?;
        let length = u64::from(reader.u32(HEADER)?);
        reader.take(4, HEADER)?;
        self.charge(length.saturating_add(16), HEADER, offset)?;
        let first = reader.sub(length, HEADER)?;
        self.messages(offset, first, Form::Plain)
    }

    fn header_2(&mut self, mut reader: Reader<'a>) -> Result<Messages<'a>, Hdf5Error> {
        let (offset, whole) = (reader.offset(), reader.clone());
        expect_signature(&mut reader, *b"OHDR", HEADER)?;
        version(&mut reader, &[2], HEADER)?;
        let flags = reader.u8(HEADER)?;
        // Times; then how many attributes are kept compact.
        reader.take(if flags & 0x20 == 0 { 0 } else { 16 }, HEADER)?;
        reader.take(if flags & 0x10 == 0 { 0 } else { 4 }, HEADER)?;
        let length = integer(&mut reader, 1 << (flags & 3), HEADER)?;
        let all = reader.offset().saturating_sub(offset).saturating_add(length);
        self.charge(all.saturating_add(4), HEADER, offset)?;
        let first = reader.sub(length, HEADER)?;
        check(whole.clone().take(all, HEADER)?, &mut reader, HEADER, offset)?;
        self.messages(offset, first, Form::Checked { ordered: flags & 4 != 0 })
    }

    /// The messages in `first` and in what continues it.
    fn messages(
        &mut self,
        offset: u64,
        first: Reader<'a>,
        form: Form,
    ) -> Result<Messages<'a>, Hdf5Error> {
        let before = match form {
            Form::Plain => 8,
            Form::Checked { ordered } => 4 + if ordered { 2 } else { 0 },
        };
        let mut all = Vec::new();
        let mut blocks = vec![first];
        while let Some(mut block) = blocks.pop() {
            // What is too short for a message is a gap.
            while block.remaining() >= before {
                let at = block.offset();
                let number = match form {
                    Form::Plain => block.u16(HEADER)?,
                    Form::Checked { .. } => u16::from(block.u8(HEADER)?),
                };
                let size = u64::from(block.u16(HEADER)?);
                let flags = block.u8(HEADER)?;
                // Padding, or the order of creation.
                block.take(before.saturating_add(at).saturating_sub(block.offset()), HEADER)?;
                let mut body = block.sub(size, HEADER)?;
                let Some(kind) = Kind::from_number(number) else {
                    if flags & 0x80 != 0 {
                        let what =
                            "an object with a message that must be understood, but is unknown,";
                        return Err(Hdf5Error::Unsupported { what });
                    }
                    continue;
                };
                if flags & 2 != 0 {
                    let what = "a type or attribute that objects share (a committed datatype)";
                    return Err(Hdf5Error::Unsupported { what });
                }
                if kind != Kind::Continuation {
                    let size = size_of::<(Kind, Reader<'_>)>() as u64;
                    self.budget.reserve(size, "the messages of an object")?;
                    all.push((kind, body));
                    continue;
                }
                let (address, length) = (body.u64(HEADER)?, body.u64(HEADER)?);
                blocks.push(match form {
                    Form::Plain => self.structure(address, length, HEADER)?,
                    Form::Checked { .. } => self.checked(address, length, *b"OCHK", HEADER)?,
                });
            }
        }
        Ok(Messages { offset, all })
    }
}
