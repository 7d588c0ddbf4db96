//! The JSON that Python writes, and settings in it by name.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::error::{KerasError, Owner};

/// Parses JSON as Python's `json` writes it: `NaN`, `Infinity` and `-Infinity` stand for numbers.
/// They become text.
pub(super) fn parse(text: &[u8], part: &'static str) -> Result<Value, KerasError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    serde_json::from_slice(&quote_non_finite(text))
        .map_err(|error| KerasError::Json { part, message: error.to_string() })
}

fn quote_non_finite(text: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    if !WORDS.iter().skip(1).any(|word| text.windows(word.len()).any(|found| found == *word)) {
        return Cow::Borrowed(text);
    }
    let mut quoted = Vec::with_capacity(text.len());
    let (mut rest, mut inside) = (text, false);
    while let Some((&byte, behind)) = rest.split_first() {
        match WORDS.iter().find(|word| !inside && rest.starts_with(word)) {
            Some(word) => {
                quoted.push(b'"');
                quoted.extend_from_slice(word);
                quoted.push(b'"');
                rest = rest.get(word.len()..).unwrap_or_default();
                continue;
            }
            None if inside && byte == b'\\' => {
                quoted.push(byte);
                quoted.extend(behind.first());
                rest = behind.get(1..).unwrap_or_default();
                continue;
            }
            None => inside ^= byte == b'"',
        }
        quoted.push(byte);
        rest = behind;
    }
    Cow::Owned(quoted)
}

/// The settings of a layer, an optimizer or the like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'j> {
    class: &'j str,
    name: Option<&'j str>,
    map: &'j Map<String, Value>,
}

impl<'j> Settings<'j> {
    pub(super) fn new(class: &'j str, name: Option<&'j str>, map: &'j Map<String, Value>) -> Self {
        Self { class, name, map }
    }

    pub(super) fn class(&self) -> &'j str {
        self.class
    }

    pub(super) fn name(&self) -> Option<&'j str> {
        self.name
    }

    pub(super) fn owner(&self) -> Owner {
        Owner { class: self.class.to_owned(), name: self.name.map(str::to_owned) }
    }

    /// What stands there, if it is not null.
    pub(super) fn get(&self, setting: &str) -> Option<&'j Value> {
        self.map.get(setting).filter(|value| !value.is_null())
    }

    /// Whether anything stands there, be it null.
    pub(super) fn has(&self, setting: &str) -> bool {
        self.map.contains_key(setting)
    }

    /// The name under which something stands, of those that it has had; the first if under none.
    pub(super) fn first_of(&self, settings: [&'static str; 2]) -> &'static str {
        let [now, before] = settings;
        if self.get(now).is_none() && self.get(before).is_some() { before } else { now }
    }

    pub(super) fn fault(&self, setting: &str, expected: &'static str) -> KerasError {
        let found = self.map.get(setting).map_or_else(|| "missing".to_owned(), brief);
        KerasError::Setting { owner: self.owner(), setting: setting.to_owned(), expected, found }
    }

    pub(super) fn unsupported(&self, setting: &str, remedy: &'static str) -> KerasError {
        let found = self.map.get(setting).map_or_else(|| "missing".to_owned(), brief);
        KerasError::Unsupported { owner: self.owner(), setting: setting.to_owned(), found, remedy }
    }

    /// Refuses every value but that one and null.
    pub(super) fn only(
        &self,
        setting: &str,
        allowed: &Value,
        remedy: &'static str,
    ) -> Result<(), KerasError> {
        match self.get(setting) {
            Some(found) if found != allowed => Err(self.unsupported(setting, remedy)),
            _ => Ok(()),
        }
    }

    pub(super) fn text(&self, setting: &str) -> Result<Option<&'j str>, KerasError> {
        let text = |value: &'j Value| value.as_str().ok_or_else(|| self.fault(setting, "text"));
        self.get(setting).map(text).transpose()
    }

    pub(super) fn flag(&self, setting: &str, default: bool) -> Result<bool, KerasError> {
        match self.get(setting) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.fault(setting, "true or false")),
        }
    }

    pub(super) fn real(&self, setting: &str, default: f64) -> Result<f64, KerasError> {
        match self.get(setting) {
            None => Ok(default),
            Some(value) => real(value).ok_or_else(|| self.fault(setting, "a number")),
        }
    }

    /// A whole number that must be there.
    pub(super) fn count(&self, setting: &str) -> Result<usize, KerasError> {
        let found = self.get(setting).and_then(count);
        found.ok_or_else(|| self.fault(setting, "a whole number"))
    }

    pub(super) fn count_or(&self, setting: &str, default: usize) -> Result<usize, KerasError> {
        match self.get(setting) {
            None => Ok(default),
            Some(_) => self.count(setting),
        }
    }

    /// One number for all axes, or one for each.
    pub(super) fn counts<const N: usize>(
        &self,
        setting: &str,
        default: Option<[usize; N]>,
    ) -> Result<[usize; N], KerasError> {
        let fault = || self.fault(setting, "a whole number, or one for each axis");
        match (self.get(setting), default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(fault()),
            (Some(Value::Array(values)), _) => {
                let counts: Option<Vec<usize>> = values.iter().map(count).collect();
                counts.and_then(|counts| counts.try_into().ok()).ok_or_else(fault)
            }
            (Some(value), _) => count(value).map(|count| [count; N]).ok_or_else(fault),
        }
    }

    /// A number before and one behind, for each axis: `n`, `[a, b]` or `[[a, b], [c, d]]`.
    pub(super) fn sides<const N: usize>(
        &self,
        setting: &str,
        default: [usize; 2],
    ) -> Result<[[usize; 2]; N], KerasError> {
        let fault = || self.fault(setting, "whole numbers before and behind, for each axis");
        let Some(value) = self.get(setting) else { return Ok([default; N]) };
        let pair = |value: &Value| -> Option<[usize; 2]> {
            let values: Vec<usize> = value.as_array()?.iter().map(count).collect::<Option<_>>()?;
            values.try_into().ok()
        };
        if let Some(all) = count(value) {
            return Ok([[all; 2]; N]);
        }
        if let (1, Some(sides)) = (N, pair(value)) {
            return Ok([sides; N]);
        }
        let values = value.as_array().filter(|values| values.len() == N).ok_or_else(fault)?;
        let sides: Option<Vec<[usize; 2]>> = (values.iter())
            .map(|value| count(value).map(|both| [both; 2]).or_else(|| pair(value)))
            .collect();
        sides.and_then(|sides| sides.try_into().ok()).ok_or_else(fault)
    }

    /// An axis as Keras counts them, or several: the batch is 0, -1 the last.
    pub(super) fn axes(&self, setting: &str, default: i64) -> Result<Vec<i64>, KerasError> {
        let fault = || self.fault(setting, "an axis, or a list of them");
        match self.get(setting) {
            None => Ok(vec![default]),
            Some(Value::Array(values)) => {
                values.iter().map(Value::as_i64).collect::<Option<_>>().ok_or_else(fault)
            }
            Some(value) => value.as_i64().map(|axis| vec![axis]).ok_or_else(fault),
        }
    }
}

/// A number, be it one that JSON cannot hold.
pub(super) fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text == "NaN" => Some(f64::NAN),
        Value::String(text) if text == "Infinity" => Some(f64::INFINITY),
        Value::String(text) if text == "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A whole number from 0 to 2⁵³, each of which an f64 holds.
#[allow(clippy::cast_possible_truncation, reason = "it is whole and in range")]
pub(super) fn whole(number: f64) -> Option<u64> {
    const MOST: f64 = 9_007_199_254_740_992.0;
    let is_whole = number.fract() == 0.0 && (0.0..=MOST).contains(&number);
    is_whole.then_some(number as u64)
}

pub(super) fn count(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|count| usize::try_from(count).ok())
}

/// Enough of a value for a message.
pub(super) fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// An object of Keras: its class and its settings. Keras 1 and 2 write less around them.
pub(super) struct Object<'j> {
    pub(super) class: &'j str,
    pub(super) config: &'j Map<String, Value>,
    /// All that stands around them.
    pub(super) whole: &'j Map<String, Value>,
}

impl<'j> Object<'j> {
    pub(super) fn of(value: &'j Value) -> Option<Self> {
        let whole = value.as_object()?;
        let class = whole.get("class_name")?.as_str()?;
        let class = class.rsplit_once('>').map_or(class, |(_, class)| class);
        Some(Self { class, config: whole.get("config")?.as_object()?, whole })
    }

    pub(super) fn settings(&self) -> Settings<'j> {
        Settings::new(self.class, None, self.config)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_json_cannot_hold_become_text_outside_of_texts() {
        let text = br#"{"a": NaN, "b": [Infinity, -Infinity], "NaN": "\"NaN -Infinity"}"#;
        let expected =
            json!({"a": "NaN", "b": ["Infinity", "-Infinity"], "NaN": "\"NaN -Infinity"});
        assert_eq!(parse(text, "config").unwrap(), expected);
    }

    #[test]
    fn numbers_stand_for_all_axes_or_one_each() {
        let map = json!({"one": 3, "two": [1, 2], "sides": [[1, 2], 3], "bad": [1, -2]});
        let settings = Settings::new("Conv2D", None, map.as_object().unwrap());
        assert_eq!(settings.counts::<2>("one", None), Ok([3, 3]));
        assert_eq!(settings.counts::<2>("two", None), Ok([1, 2]));
        assert_eq!(settings.counts::<2>("none", Some([4, 5])), Ok([4, 5]));
        assert_eq!(settings.sides::<2>("sides", [0, 0]), Ok([[1, 2], [3, 3]]));
        assert_eq!(settings.sides::<1>("two", [0, 0]), Ok([[1, 2]]));
        let error = settings.counts::<2>("bad", None).unwrap_err().to_string();
        assert!(error.contains("`bad` of `Conv2D`") && error.contains("[1,-2]"), "{error}");
    }
}
