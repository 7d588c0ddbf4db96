//! The one canonical text of a JSON value, and numbers that keep every bit in it.

use std::io::{self, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::ser::{Formatter, Serializer as JsonSerializer};

use crate::format::error::Fault;

/// The canonical text of `value`, with a final line feed. `value` derives its `Serialize` and has
/// strings for keys.
#[allow(clippy::expect_used, reason = "writing to memory does not fail, and keys are strings")]
pub(in crate::format) fn to_text<T: Serialize>(value: &T) -> Vec<u8> {
    let mut text = Vec::new();
    let mut serializer = JsonSerializer::with_formatter(&mut text, Canonical::default());
    value.serialize(&mut serializer).expect("plain data in memory");
    text.push(b'\n');
    text
}

/// Reads a value from its canonical text. No other text is taken for it: no other order or
/// spelling, no unknown or repeated key. The error gives the byte at which reading stopped.
pub(in crate::format) fn from_text<T>(text: &[u8]) -> Result<T, (u64, Fault)>
where
    T: Serialize + DeserializeOwned,
{
    let fault = |error: serde_json::Error| {
        let message = error.to_string();
        (offset_of(text, error.line(), error.column()), Fault::Json { message })
    };
    let value = serde_json::from_slice(text).map_err(fault)?;
    let canonical = to_text(&value);
    if canonical == text {
        return Ok(value);
    }
    let equal = canonical.iter().zip(text).take_while(|(a, b)| a == b).count();
    Err((equal as u64, Fault::NotCanonical))
}

/// The number of the schema a text was written in, whatever else it holds.
pub(super) fn schema_of(text: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct AnySchema {
        schema: u64,
    }
    // An array could stand for the structure.
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let object = (first == Some(&b'{')).then_some(text)?;
    serde_json::from_slice::<AnySchema>(object).ok().map(|any| any.schema)
}

/// Stands in a text as the number `N`; no other number is taken for it.
#[derive(Debug)]
pub(super) struct SchemaNumber<const N: u64>;

impl<const N: u64> Serialize for SchemaNumber<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(N)
    }
}

impl<'de, const N: u64> Deserialize<'de> for SchemaNumber<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            found if found == N => Ok(Self),
            found => Err(serde::de::Error::custom(format_args!("there is no schema {found}"))),
        }
    }
}

/// The number of a schema that is known: from 1 to `NEWEST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct KnownSchema<const NEWEST: u64>(pub(super) u64);

impl<'de, const NEWEST: u64> Deserialize<'de> for KnownSchema<NEWEST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            found if (1..=NEWEST).contains(&found) => Ok(Self(found)),
            found => Err(serde::de::Error::custom(format_args!("there is no schema {found}"))),
        }
    }
}

impl<const NEWEST: u64> KnownSchema<NEWEST> {
    /// Refuses a number that is not the `least` that can say what was read.
    pub(super) fn check(self, least: Self, what: &'static str) -> Result<(), Fault> {
        match self == least {
            true => Ok(()),
            false => {
                let (expected, found) = (least.0.to_string(), self.0.to_string());
                Err(Fault::Value { what, expected, found })
            }
        }
    }
}

/// `line` and `column` count from 1, as serde_json gives them.
fn offset_of(text: &[u8], line: usize, column: usize) -> u64 {
    let before = text.split_inclusive(|&byte| byte == b'\n').take(line.saturating_sub(1));
    let start: usize = before.map(<[u8]>::len).sum();
    start.saturating_add(column.saturating_sub(1)) as u64
}

/// Members of objects on lines of their own, indented by two spaces for each object around them;
/// elements of arrays side by side. Finite floats as Rust's `{:?}`: the shortest digits that read
/// back as the same number, with a fraction or an exponent.
#[derive(Default)]
struct Canonical {
    depth: usize,
    /// Whether the object written last has members.
    filled: bool,
}

impl Canonical {
    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Canonical {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{value:?}")
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        writer.write_all(b"{")
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b"," })?;
        self.new_line(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.filled {
            self.new_line(writer)?;
        }
        writer.write_all(b"}")
    }
}

/// An f64 of which JSON text keeps every bit: what is not finite becomes a string (`Infinity`,
/// `-Infinity`, `NaN`, and `NaN:` with 16 hexadecimal digits for a NaN of other bits).
#[derive(Clone, Copy, Debug)]
pub(in crate::format) struct Real(pub(in crate::format) f64);

impl From<f64> for Real {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<Real> for f64 {
    fn from(Real(value): Real) -> Self {
        value
    }
}

const NAN: u64 = 0x7FF8_0000_0000_0000;

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            nan if nan.to_bits() == NAN => serializer.serialize_str("NaN"),
            nan => serializer.collect_str(&format_args!("NaN:{:016x}", nan.to_bits())),
        }
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Spelling {
            Number(f64),
            Text(String),
        }
        let text = match Spelling::deserialize(deserializer)? {
            Spelling::Number(value) => return Ok(Self(value)),
            Spelling::Text(text) => text,
        };
        let value = match text.as_str() {
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            "NaN" => Some(f64::from_bits(NAN)),
            text => (text.strip_prefix("NaN:"))
                .and_then(|bits| u64::from_str_radix(bits, 16).ok())
                .map(f64::from_bits)
                .filter(|value| value.is_nan()),
        };
        value.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format_args!("`{text}` is no spelling of a number"))
        })
    }
}

/// A u64 as text, so that every JSON reader keeps its bits.
#[derive(Clone, Copy, Debug)]
pub(in crate::format) struct Whole(pub(in crate::format) u64);

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse().map_err(|_| {
            serde::de::Error::custom(format_args!("`{text}` is no whole number below 2^64"))
        })?;
        Ok(Self(number))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_canonical_text_is_this() {
        #[derive(Serialize)]
        struct Sample {
            lists: (u8, [u8; 2], [u8; 0]),
            objects: (BTreeMap<u8, f64>, BTreeMap<u8, f64>),
            text: &'static str,
            numbers: [f64; 7],
        }
        let value = Sample {
            lists: (1, [2, 3], []),
            objects: (BTreeMap::from([(1, 0.1), (2, -0.0)]), BTreeMap::new()),
            text: "line\nend \u{1} \"ü\" \u{7f}/",
            numbers: [1e16, 9007199254740993.0, 1e-4, 1e-5, 1e-7, 1.0, f64::MIN_POSITIVE],
        };
        let expected = r#"{
  "lists": [1, [2, 3], []],
  "objects": [{
    "1": 0.1,
    "2": -0.0
  }, {}],
  "text": "line\nend \u0001 \"ü\" DEL/",
  "numbers": [1e16, 9007199254740992.0, 0.0001, 1e-5, 1e-7, 1.0, 2.2250738585072014e-308]
}
"#;
        let text = String::from_utf8(to_text(&value)).unwrap();
        assert_eq!(text, expected.replace("DEL", "\u{7f}"));
    }

    #[test]
    fn any_other_text_is_refused() {
        let canonical = "{\n  \"a\": 1.5,\n  \"b\": \"Infinity\"\n}\n";
        type Map = BTreeMap<String, Real>;
        assert!(from_text::<Map>(canonical.as_bytes()).is_ok());
        for text in [
            "{\"a\": 1.5,\n  \"b\": \"Infinity\"\n}\n",
            "{\n  \"a\": 1.50,\n  \"b\": \"Infinity\"\n}\n",
            "{\n  \"b\": \"Infinity\",\n  \"a\": 1.5\n}\n",
            "{\n  \"a\": 2.5,\n  \"a\": 1.5,\n  \"b\": \"Infinity\"\n}\n",
            "{\n  \"\\u0061\": 1.5,\n  \"b\": \"Infinity\"\n}\n",
            "{\n  \"a\": 1.5,\n  \"b\": \"Infinity\"\n}",
            "{\n  \"a\": 1.5,\n  \"b\": \"NaN:7ff0000000000000\"\n}\n",
            "{\n  \"a\": 1.5,\n  \"b\": \"NaN:7ff8000000000000\"\n}\n",
        ] {
            assert!(from_text::<Map>(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_bit_of_a_number_survives(bits: u64) {
            let text = to_text(&Real(f64::from_bits(bits)));
            let Real(value) = from_text(&text).unwrap();
            prop_assert_eq!(value.to_bits(), bits);
        }
    }
}
