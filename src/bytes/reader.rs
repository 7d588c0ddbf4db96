//! The one way in which codecs walk over bytes.

/// A cursor over a slice that cannot leave it. It knows where the slice stands in its file, so
/// that errors give places in the file. All integers are little-endian.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: u64,
}

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    #[error("{what} at byte {offset} takes {expected} bytes, {found} are left")]
    Truncated { what: &'static str, offset: u64, expected: u64, found: u64 },
    #[error("{found} bytes too many follow {what} at byte {offset}")]
    Trailing { what: &'static str, offset: u64, found: u64 },
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which begin `offset` bytes into the file.
    pub fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self { bytes, offset }
    }

    /// Where the next byte stands in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn remaining(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is left, without reading it.
    pub fn peek(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next `length` bytes. `length` may come from the file: it is compared with what is left.
    pub fn take(&mut self, length: u64, what: &'static str) -> Result<&'a [u8], ReadError> {
        let split = usize::try_from(length).ok().and_then(|at| self.bytes.split_at_checked(at));
        let Some((taken, rest)) = split else {
            let (offset, found) = (self.offset, self.remaining());
            return Err(ReadError::Truncated { what, offset, expected: length, found });
        };
        self.bytes = rest;
        self.offset = self.offset.saturating_add(length);
        Ok(taken)
    }

    /// A reader over the next `length` bytes.
    pub fn sub(&mut self, length: u64, what: &'static str) -> Result<Self, ReadError> {
        let offset = self.offset;
        Ok(Self { bytes: self.take(length, what)?, offset })
    }

    pub fn take_array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ReadError> {
        let Some((taken, rest)) = self.bytes.split_first_chunk::<N>() else {
            let (offset, expected, found) = (self.offset, N as u64, self.remaining());
            return Err(ReadError::Truncated { what, offset, expected, found });
        };
        self.bytes = rest;
        self.offset = self.offset.saturating_add(N as u64);
        Ok(*taken)
    }

    pub fn u8(&mut self, what: &'static str) -> Result<u8, ReadError> {
        self.take_array(what).map(u8::from_le_bytes)
    }

    pub fn u16(&mut self, what: &'static str) -> Result<u16, ReadError> {
        self.take_array(what).map(u16::from_le_bytes)
    }

    pub fn u32(&mut self, what: &'static str) -> Result<u32, ReadError> {
        self.take_array(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: &'static str) -> Result<u64, ReadError> {
        self.take_array(what).map(u64::from_le_bytes)
    }

    /// Everything of `what` has been read: what is left is an error.
    pub fn finish(self, what: &'static str) -> Result<(), ReadError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        Err(ReadError::Trailing { what, offset: self.offset, found: self.remaining() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_little_endian_and_their_places_those_of_the_file() {
        let bytes: Vec<u8> = (1..=15).collect();
        let mut reader = Reader::new(&bytes, 100);
        assert_eq!(reader.u8("a"), Ok(1));
        assert_eq!(reader.u16("b"), Ok(0x0302));
        assert_eq!(reader.u32("c"), Ok(0x0706_0504));
        assert_eq!(reader.u64("d"), Ok(0x0F0E_0D0C_0B0A_0908));
        assert_eq!((reader.offset(), reader.remaining()), (115, 0));
        let error = ReadError::Truncated { what: "e", offset: 115, expected: 1, found: 0 };
        assert_eq!(reader.u8("e"), Err(error));
        assert_eq!(reader.finish("f"), Ok(()));
    }

    #[test]
    fn what_is_left_is_not_read_past() {
        let mut reader = Reader::new(b"abcdef", 10);
        let inner = reader.sub(4, "inner").unwrap();
        assert_eq!((inner.peek(), inner.offset()), (b"abcd".as_slice(), 10));
        let error = ReadError::Truncated { what: "more", offset: 14, expected: 3, found: 2 };
        assert_eq!(reader.take(3, "more"), Err(error));
        assert_eq!(reader.take_array::<3>("more"), Err(error));
        assert_eq!(reader.take(1, "one"), Ok(b"e".as_slice()));
        assert!(!reader.is_empty());
        let error = ReadError::Trailing { what: "all", offset: 15, found: 1 };
        assert_eq!(reader.finish("all"), Err(error));
    }
}
