//! The header of an npy file: a Python dict literal of three known keys.

use super::NpyError;
use crate::tensor::{DType, Shape};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// NumPy's own limit (`numpy.lib.format._MAX_HEADER_SIZE`).
const MAX_LENGTH: usize = 10_000;

/// Values start at a multiple of this (`ARRAY_ALIGN`).
const ALIGNMENT: usize = 64;

/// Room that NumPy leaves so that the first extent can grow in place (`GROWTH_AXIS_MAX_DIGITS`).
const GROWTH_DIGITS: usize = 21;

/// What the values of an npy file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub dtype: DType,
    pub big_endian: bool,
    /// Whether the first index varies fastest.
    pub fortran_order: bool,
    pub shape: Shape,
}

impl Header {
    /// The header of little-endian values in C order.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        Self { dtype, big_endian: false, fortran_order: false, shape: shape.into() }
    }

    /// Splits a whole file into header and values, whose length is checked.
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), NpyError> {
        let Some((start, rest)) = bytes.split_first_chunk::<8>() else {
            return Err(truncated(8, bytes));
        };
        let &[magic @ .., major, minor] = start;
        if magic != *MAGIC {
            return Err(NpyError::Magic { found: magic });
        }
        let (length, start) = match (major, minor) {
            (1, 0) => {
                let &length = rest.first_chunk().ok_or_else(|| truncated(10, bytes))?;
                (usize::from(u16::from_le_bytes(length)), 10)
            }
            (2, 0) => {
                let &length = rest.first_chunk().ok_or_else(|| truncated(12, bytes))?;
                (u32::from_le_bytes(length) as usize, 12)
            }
            _ => return Err(NpyError::Version { major, minor }),
        };
        if length > MAX_LENGTH {
            return Err(NpyError::HeaderLength { found: length, limit: MAX_LENGTH });
        }
        let end = start + length;
        let Some((before, values)) = bytes.split_at_checked(end) else {
            return Err(truncated(end as u64, bytes));
        };
        let header = Literal { bytes: before, at: start }.header()?;
        let Some(claimed) = header.file_length(end) else {
            return Err(NpyError::TooLarge { dtype: header.dtype, shape: header.shape });
        };
        let found = bytes.len() as u64;
        match found.cmp(&claimed) {
            std::cmp::Ordering::Less => Err(truncated(claimed, bytes)),
            std::cmp::Ordering::Greater => Err(NpyError::Trailing { expected: claimed, found }),
            std::cmp::Ordering::Equal => Ok((header, values)),
        }
    }

    fn file_length(&self, start: usize) -> Option<u64> {
        let values = self.shape.checked_elements()?.checked_mul(self.dtype.size())?;
        Some(values.checked_add(start)? as u64)
    }

    /// The file up to its values, byte for byte as NumPy writes it (version 1.0).
    ///
    /// bfloat16, which NumPy lacks, and shapes whose header no reader would take are refused.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NpyError> {
        let dims = self.shape.dims();
        let mut text = format!(
            "{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}",
            descr(self.dtype, self.big_endian)?,
            if self.fortran_order { "True" } else { "False" },
            tuple(dims),
        );
        if let Some(growing) = if self.fortran_order { dims.last() } else { dims.first() } {
            let digits = growing.to_string().len();
            text.extend(std::iter::repeat_n(' ', GROWTH_DIGITS.saturating_sub(digits)));
        }
        let start = MAGIC.len() + 4;
        let padding = ALIGNMENT - (start + text.len() + 1) % ALIGNMENT;
        text.extend(std::iter::repeat_n(' ', padding));
        text.push('\n');
        let found = text.len();
        let length = u16::try_from(found).ok().filter(|_| found <= MAX_LENGTH);
        let length = length.ok_or(NpyError::HeaderLength { found, limit: MAX_LENGTH })?;
        Ok([&MAGIC[..], &[1, 0], &length.to_le_bytes(), text.as_bytes()].concat())
    }
}

fn truncated(expected: u64, bytes: &[u8]) -> NpyError {
    NpyError::Truncated { expected, found: bytes.len() as u64 }
}

/// NumPy's codes of the element types, without the byte order.
const CODES: [(&str, DType); 12] = [
    ("f2", DType::F16),
    ("f4", DType::F32),
    ("f8", DType::F64),
    ("i1", DType::I8),
    ("i2", DType::I16),
    ("i4", DType::I32),
    ("i8", DType::I64),
    ("u1", DType::U8),
    ("u2", DType::U16),
    ("u4", DType::U32),
    ("u8", DType::U64),
    ("b1", DType::Bool),
];

fn descr(dtype: DType, big_endian: bool) -> Result<String, NpyError> {
    let code = CODES.iter().find(|(_, known)| *known == dtype).map(|(code, _)| code);
    let code = code.ok_or_else(|| NpyError::ElementType { descr: dtype.to_string() })?;
    let order = match dtype.size() {
        1 => '|',
        _ if big_endian => '>',
        _ => '<',
    };
    Ok(format!("{order}{code}"))
}

/// Element type and whether it is big-endian. The order `=`, the writer's own, is refused: the
/// file would mean something else on each machine.
fn parse_descr(descr: &str) -> Option<(DType, bool)> {
    let (order, code) = descr.split_at_checked(1)?;
    let &(_, dtype) = CODES.iter().find(|(known, _)| *known == code)?;
    match order {
        "<" => Some((dtype, false)),
        ">" => Some((dtype, true)),
        "|" if dtype.size() == 1 => Some((dtype, false)),
        _ => None,
    }
}

/// As Python writes a tuple: `()`, `(3,)`, `(3, 4)`.
fn tuple(dims: &[usize]) -> String {
    match dims {
        [one] => format!("({one},)"),
        dims => {
            let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
            format!("({})", dims.join(", "))
        }
    }
}

/// Fills the slot of a key, once.
fn set<T>(
    slot: &mut Option<T>,
    value: T,
    offset: usize,
    key: &'static str,
) -> Result<(), NpyError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(NpyError::DuplicateKey { offset, key }),
    }
}

/// The dict literal, read from left to right; `at` is the offset in the file.
struct Literal<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Literal<'a> {
    /// The three keys, each once, in any order.
    fn header(mut self) -> Result<Header, NpyError> {
        let (mut element, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b'{', "'{'")?;
        while !self.accept(b'}') {
            let offset = self.at;
            let key = self.string()?;
            self.expect(b':', "':'")?;
            match key {
                "descr" => set(&mut element, self.element()?, offset, "descr")?,
                "fortran_order" => {
                    set(&mut fortran_order, self.boolean()?, offset, "fortran_order")?
                }
                "shape" => set(&mut shape, self.shape()?, offset, "shape")?,
                other => {
                    let expected = "the key 'descr', 'fortran_order' or 'shape'";
                    return Err(NpyError::Header { offset, expected, found: format!("'{other}'") });
                }
            }
            if !self.accept(b',') {
                self.expect(b'}', "',' or '}'")?;
                break;
            }
        }
        self.skip_space();
        if self.at < self.bytes.len() {
            return Err(self.error("the end of the header"));
        }
        let (dtype, big_endian) = element.ok_or(NpyError::MissingKey { key: "descr" })?;
        let fortran_order = fortran_order.ok_or(NpyError::MissingKey { key: "fortran_order" })?;
        let shape = shape.ok_or(NpyError::MissingKey { key: "shape" })?;
        Ok(Header { dtype, big_endian, fortran_order, shape })
    }

    fn element(&mut self) -> Result<(DType, bool), NpyError> {
        self.skip_space();
        if self.peek() == Some(b'[') {
            return Err(NpyError::ElementType { descr: self.excerpt() });
        }
        let descr = self.string()?;
        parse_descr(descr).ok_or_else(|| NpyError::ElementType { descr: descr.to_owned() })
    }

    fn boolean(&mut self) -> Result<bool, NpyError> {
        self.skip_space();
        for (word, value) in [("True", true), ("False", false)] {
            if self.rest().starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.error("True or False"))
    }

    /// A tuple; that of one element has a comma, without it Python reads a number in parentheses.
    fn shape(&mut self) -> Result<Shape, NpyError> {
        self.expect(b'(', "'('")?;
        let mut dims = Vec::new();
        while !self.accept(b')') {
            dims.push(self.extent()?);
            if !self.accept(b',') {
                if dims.len() == 1 {
                    return Err(self.error("','"));
                }
                self.expect(b')', "',' or ')'")?;
                break;
            }
        }
        Ok(Shape::from(dims))
    }

    fn extent(&mut self) -> Result<usize, NpyError> {
        self.skip_space();
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = self.rest().get(..digits).and_then(|digits| str::from_utf8(digits).ok());
        let leading_zero = digits > 1 && self.peek() == Some(b'0');
        let extent = text.filter(|_| !leading_zero).and_then(|text| text.parse().ok());
        let extent =
            extent.ok_or_else(|| self.error("a decimal extent that this machine can address"))?;
        self.at += digits;
        Ok(extent)
    }

    /// A string of printable ASCII without escapes, in either quotes.
    fn string(&mut self) -> Result<&'a str, NpyError> {
        self.skip_space();
        let Some((&quote @ (b'\'' | b'"'), rest)) = self.rest().split_first() else {
            return Err(self.error("a string"));
        };
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\' && *byte != quote;
        let length = rest.iter().take_while(|byte| plain(byte)).count();
        match rest.split_at_checked(length) {
            Some((text, [end, ..])) if *end == quote => {
                self.at += length + 2;
                str::from_utf8(text).map_err(|_| self.error("ASCII"))
            }
            _ => Err(self.error("a string of printable ASCII without escapes")),
        }
    }

    fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), NpyError> {
        if self.accept(byte) { Ok(()) } else { Err(self.error(name)) }
    }

    fn accept(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        let space = |byte: &&u8| matches!(byte, b' ' | b'\n');
        self.at += self.rest().iter().take_while(space).count();
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn error(&self, expected: &'static str) -> NpyError {
        NpyError::Header { offset: self.at, expected, found: self.excerpt() }
    }

    /// What comes next, short enough for a message.
    fn excerpt(&self) -> String {
        if self.rest().is_empty() {
            return "the end of the header".to_owned();
        }
        format!("`{}`", self.rest().iter().take(24).copied().collect::<Vec<_>>().escape_ascii())
    }
}
