//! Reading what may be packed by gzip (RFC 1952).

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// How many bytes one packed byte can stand for at most: deflate's longest match is 258 bytes, and
/// its shortest code for one takes two bits (RFC 1951, 3.2.5 and 3.2.7).
pub(crate) const MAX_EXPANSION: u64 = 4 * 258;

/// Content, unpacked if it was packed.
pub(crate) struct Unpacked<'a> {
    pub(crate) packed: bool,
    pub(crate) reader: Box<dyn Read + 'a>,
}

impl<'a> Unpacked<'a> {
    /// The first two bytes tell whether `reader` gives gzip. Packed content may have several
    /// members; what follows the last one is an error when it is read.
    pub(crate) fn new(mut reader: impl Read + 'a) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(2);
        reader.by_ref().take(2).read_to_end(&mut magic)?;
        let packed = magic == [0x1f, 0x8b];
        let whole = io::Cursor::new(magic).chain(reader);
        let reader: Box<dyn Read + 'a> =
            if packed { Box::new(MultiGzDecoder::new(Full::new(whole))) } else { Box::new(whole) };
        Ok(Self { packed, reader })
    }
}

/// Gives all the bytes it is asked for, unless there are no more or reading fails; then the error
/// comes next. A decoder gives what it has before it meets damage, so which error is met first would
/// else depend on the pieces in which bytes arrive.
struct Full<R> {
    reader: R,
    failed: Option<io::Error>,
}

impl<R> Full<R> {
    fn new(reader: R) -> Self {
        Self { reader, failed: None }
    }
}

impl<R: Read> Read for Full<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.failed.take().map_or_else(|| self.reader.read(rest), Err) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if filled == 0 => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(filled)
    }
}
