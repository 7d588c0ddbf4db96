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
