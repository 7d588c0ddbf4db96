//! What messages of protocol buffers would take in memory, counted on their bytes before any is decoded.
//!
//! An empty message in a list takes two bytes in a file and hundreds in memory. So whoever decodes messages
//! describes them by `Layout`s, has the bytes counted by `weight`, and reserves what that gives.

use prost::bytes::Bytes;

/// Why messages are not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtobufError {
    #[error("the protobuf messages break off or make no sense at byte {offset}")]
    Malformed { offset: usize },
    #[error("the protobuf messages at byte {offset} are nested more than {limit} deep")]
    Nested { offset: usize, limit: usize },
    #[error(
        "the protobuf messages of {length} bytes would take {needed} in memory; those that programs write take \
         {allowed} at most"
    )]
    Inflated { length: usize, needed: u64, allowed: u64 },
}

/// Messages may take so many times their bytes in memory. Those of TensorFlow, Keras and PyTorch take 2 to 29
/// times.
const TIMES: u64 = 48;

/// Few may take more.
const FREE: u64 = 32 << 20;

/// As in prost.
const DEPTH: usize = 100;

/// A list has room for four elements first and then for twice as many; while it moves, it stands there twice.
const LIST: u64 = 4;

/// Entries that a map makes room for with the first one, and what else a node of it takes.
const FIRST: u64 = 11;
const NODE: u64 = 128;

/// Nodes of a map are half full, and there are nodes above them.
const MAP: u64 = 3;

/// A text, or bytes, beside its allocation.
const TEXT: u64 = size_of::<Bytes>() as u64;

/// What an allocation takes beside its bytes.
const ALLOCATION: u64 = 32;

/// What a message takes in memory.
#[derive(Debug)]
pub(crate) struct Layout {
    size: u64,
    /// Those that take memory beyond `size`, by their numbers.
    fields: &'static [(u64, Field)],
}

/// What a field takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    /// A message that stands within the other.
    One(&'static Layout),
    /// A message in an allocation of its own.
    Boxed(&'static Layout),
    List(&'static Layout),
    /// The entries of a map, as messages of key and value.
    Map(&'static Layout),
    /// Text, or bytes that are not shared with the file.
    Text,
    Texts,
    /// A list of numbers that take so many bytes each, in the file perhaps one.
    Numbers(u64),
}

impl Layout {
    /// The layout of `M`, which is decoded as these fields say; those not named take no memory of their own.
    pub(super) const fn of<M>(fields: &'static [(u64, Field)]) -> Self {
        Self { size: size_of::<M>() as u64, fields }
    }
}

/// Bytes that a message takes in memory, decoded.
///
/// # Errors
/// If the bytes are no messages, or take more than any that programs write.
pub(super) fn weight(layout: &'static Layout, bytes: &[u8]) -> Result<u64, ProtobufError> {
    let inside = Walk { all: bytes, at: 0 }.message(layout, bytes.len(), DEPTH)?;
    let (length, needed) = (bytes.len(), inside.saturating_add(layout.size));
    let allowed = (length as u64).saturating_mul(TIMES).max(FREE);
    match needed > allowed {
        true => Err(ProtobufError::Inflated { length, needed, allowed }),
        false => Ok(needed),
    }
}

struct Walk<'b> {
    all: &'b [u8],
    at: usize,
}

impl Walk<'_> {
    /// What the message up to `end` takes beside its size.
    fn message(
        &mut self,
        layout: &'static Layout,
        end: usize,
        depth: usize,
    ) -> Result<u64, ProtobufError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(ProtobufError::Nested { offset: self.at, limit: DEPTH });
        };
        let mut weight = 0_u64;
        // A bit for each map that has an entry.
        let mut maps = 0_u64;
        while self.at < end {
            let tag = self.number(end)?;
            let field = layout.fields.iter().find(|(number, _)| *number == tag >> 3);
            let field = field.map(|&(_, field)| field);
            let taken = match tag & 7 {
                0 => self.number(end).map(|_| alone(field))?,
                1 => self.pass(8, end).map(|()| alone(field))?,
                5 => self.pass(4, end).map(|()| alone(field))?,
                2 => {
                    let length = self.number(end)?;
                    let inner = usize::try_from(length).ok();
                    let inner = inner.and_then(|length| self.at.checked_add(length));
                    let inner = inner.filter(|&inner| inner <= end);
                    let inner = inner.ok_or_else(|| self.malformed())?;
                    let (own, content) = match field {
                        None => (0, None),
                        Some(Field::One(layout)) => (0, Some(layout)),
                        Some(Field::Boxed(layout)) => (layout.size + ALLOCATION, Some(layout)),
                        Some(Field::List(layout)) => (layout.size * LIST, Some(layout)),
                        Some(Field::Map(layout)) => {
                            let bit = 1 << (tag >> 3 & 63);
                            let first =
                                if maps & bit == 0 { layout.size * FIRST + NODE } else { 0 };
                            maps |= bit;
                            (layout.size * MAP + first, Some(layout))
                        }
                        Some(Field::Text) => (text(length), None),
                        Some(Field::Texts) => (TEXT * LIST + text(length), None),
                        Some(Field::Numbers(size)) => {
                            (length.saturating_mul(size).saturating_mul(LIST), None)
                        }
                    };
                    let content = match content {
                        Some(layout) => self.message(layout, inner, depth)?,
                        None => 0,
                    };
                    self.at = inner;
                    own.saturating_add(content)
                }
                // Groups, which nobody writes any more.
                _ => return Err(self.malformed()),
            };
            weight = weight.saturating_add(taken);
        }
        Ok(weight)
    }

    fn malformed(&self) -> ProtobufError {
        ProtobufError::Malformed { offset: self.at }
    }

    fn pass(&mut self, bytes: usize, end: usize) -> Result<(), ProtobufError> {
        match self.at.checked_add(bytes) {
            Some(at) if at <= end => {
                self.at = at;
                Ok(())
            }
            _ => Err(self.malformed()),
        }
    }

    /// A number of up to ten groups of seven bits, the lowest first.
    fn number(&mut self, end: usize) -> Result<u64, ProtobufError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.all.get(self.at).filter(|_| self.at < end);
            let byte = *byte.ok_or_else(|| self.malformed())?;
            self.at += 1;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.malformed())
    }
}

/// A number that stands alone.
fn alone(field: Option<Field>) -> u64 {
    match field {
        Some(Field::Numbers(size)) => size * LIST,
        _ => 0,
    }
}

fn text(length: u64) -> u64 {
    length.saturating_mul(2).saturating_add(ALLOCATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    static INNER: Layout =
        Layout { size: 10, fields: &[(1, Field::Text), (3, Field::List(&INNER))] };
    static OUTER: Layout = Layout {
        size: 100,
        fields: &[
            (1, Field::One(&INNER)),
            (2, Field::List(&INNER)),
            (3, Field::Map(&INNER)),
            (4, Field::Numbers(8)),
        ],
    };

    #[test]
    fn what_stands_in_messages_is_counted() {
        for (bytes, expected) in [
            (&b""[..], 100),
            (b"\x0a\x00", 100),
            (b"\x12\x00\x12\x00", 100 + 2 * 40),
            (b"\x12\x05\x0a\x03abc", 100 + 40 + 2 * 3 + 32),
            (b"\x1a\x00\x1a\x00", 100 + 2 * 30 + 110 + 128),
            (b"\x22\x02\x01\x02\x20\x05", 100 + 2 * 32 + 32),
            // Fields that nobody decodes.
            (b"\x28\x80\x01\x2d1234\x2912345678\x2a\x01x", 100),
        ] {
            assert_eq!(weight(&OUTER, bytes), Ok(expected), "{bytes:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let malformed = |offset| Err(ProtobufError::Malformed { offset });
        for (bytes, offset) in [
            (&b"\x12"[..], 1),
            (b"\x12\x05\x0a", 2),
            (b"\x0b", 1),
            (b"\x12\x02\x0a\x01", 4),
            (b"\x29123", 1),
        ] {
            assert_eq!(weight(&OUTER, bytes), malformed(offset), "{bytes:?}");
        }
        assert_eq!(weight(&OUTER, &[0xFF; 11]), malformed(10));
    }

    #[test]
    fn messages_are_nested_so_deep_and_no_deeper() {
        let nested = |levels: usize| {
            let inside = (1..levels).fold(Vec::new(), |inner: Vec<u8>, _| {
                let mut bytes = vec![0x1A];
                prost::encoding::encode_varint(inner.len() as u64, &mut bytes);
                [bytes, inner].concat()
            });
            weight(&INNER, &inside)
        };
        assert!(nested(DEPTH).is_ok());
        assert!(matches!(nested(DEPTH + 1), Err(ProtobufError::Nested { limit: DEPTH, .. })));
    }

    #[test]
    fn few_messages_may_take_much_and_many_may_not() {
        let empty = |count: usize| weight(&INNER, &[0x1A, 0].repeat(count));
        let last = (FREE as usize - 10) / 40;
        assert!(empty(last).is_ok());
        // 20 times their bytes, and so allowed, however many.
        assert!(empty(last * 2).is_ok());
        static LARGE: Layout = Layout { size: 1000, fields: &[(1, Field::List(&LARGE))] };
        let refused = weight(&LARGE, &[0x0A, 0].repeat(10_000));
        assert!(
            matches!(refused, Err(ProtobufError::Inflated { length: 20_000, .. })),
            "{refused:?}"
        );
    }
}
