//! The JSON header. A reader that keeps the last of two entries of a name sees another file than one that
//! keeps the first, so all are gathered, and two refused.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::{METADATA, SafetensorsError};

/// What the header says of a tensor.
#[derive(Debug, Serialize)]
pub(super) struct Info<'h> {
    pub(super) dtype: Cow<'h, str>,
    pub(super) shape: Vec<u64>,
    /// From the first byte behind the header: the first of the tensor, and the first behind it.
    pub(super) data_offsets: (u64, u64),
}

/// A tensor and its name.
pub(super) struct Entry<'h> {
    pub(super) name: &'h str,
    pub(super) info: Info<'h>,
}

type Parsed = (BTreeMap<String, String>, BTreeMap<String, Info<'static>>);

/// The metadata, and what is said of each tensor.
pub(super) fn parse(header: &[u8]) -> Result<Parsed, SafetensorsError> {
    let end = header.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    let text = header.get(..end).unwrap_or_default();
    if !(text.starts_with(b"{") && text.ends_with(b"}")) {
        return Err(SafetensorsError::HeaderEnds);
    }
    let message =
        |error: serde_json::Error| SafetensorsError::Header { message: error.to_string() };
    let Members { metadata, tensors } = serde_json::from_slice(text).map_err(message)?;
    let tensors = unique(tensors)?;
    let mut metadata = metadata.into_iter();
    let texts = metadata.next().unwrap_or_default();
    match metadata.next() {
        Some(_) => Err(SafetensorsError::Duplicate { name: METADATA.to_owned() }),
        None => Ok((unique(texts.0)?, tensors)),
    }
}

fn unique<T>(entries: Vec<(String, T)>) -> Result<BTreeMap<String, T>, SafetensorsError> {
    let mut all = BTreeMap::new();
    for (name, entry) in entries {
        if all.contains_key(&name) {
            return Err(SafetensorsError::Duplicate { name });
        }
        all.insert(name, entry);
    }
    Ok(all)
}

/// The members of the header, as often as they stand there.
#[derive(Default)]
struct Members {
    metadata: Vec<Texts>,
    tensors: Vec<(String, Info<'static>)>,
}

/// The members of the metadata, as often as they stand there.
#[derive(Default)]
struct Texts(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name == METADATA {
                        true => members.metadata.push(map.next_value()?),
                        false => members.tensors.push((name, map.next_value()?)),
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(All)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = map.next_entry()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// An object with these three members and no other; what serde derives would take an array too.
impl<'de> Deserialize<'de> for Info<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Info<'static>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with dtype, shape and data_offsets")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut dtype, mut shape, mut data_offsets) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    let again = match key.as_str() {
                        "dtype" => dtype.replace(map.next_value::<String>()?).is_some(),
                        "shape" => shape.replace(map.next_value()?).is_some(),
                        "data_offsets" => data_offsets.replace(map.next_value()?).is_some(),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            let known = &["dtype", "shape", "data_offsets"];
                            return Err(A::Error::unknown_field(&key, known));
                        }
                    };
                    if again {
                        return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
                    }
                }
                let missing = A::Error::missing_field;
                Ok(Info {
                    dtype: dtype.ok_or_else(|| missing("dtype"))?.into(),
                    shape: shape.ok_or_else(|| missing("shape"))?,
                    data_offsets: data_offsets.ok_or_else(|| missing("data_offsets"))?,
                })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The text of a header, metadata first.
#[allow(clippy::expect_used, reason = "writing to memory does not fail, and keys are strings")]
pub(super) fn text(metadata: &BTreeMap<String, String>, tensors: &[Entry<'_>]) -> Vec<u8> {
    struct Header<'h>(&'h BTreeMap<String, String>, &'h [Entry<'h>]);
    impl Serialize for Header<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            if !self.0.is_empty() {
                map.serialize_entry(METADATA, self.0)?;
            }
            self.1.iter().try_for_each(|entry| map.serialize_entry(entry.name, &entry.info))?;
            map.end()
        }
    }
    serde_json::to_vec(&Header(metadata, tensors)).expect("plain data in memory")
}
