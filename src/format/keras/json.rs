//! The JSON that Python writes, and settings in it by name.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::error::{KerasError, Owner};
use crate::bytes::{Budget, BudgetError};
use crate::tensor::Shape;

/// How many times the longest text its values may take in memory: those of a network of 1,000 layers
/// take 24 times theirs, of a megabyte.
const MEMORY_PER_TEXT: u64 = 8;

/// Parses JSON as Python's `json` writes it: `NaN`, `Infinity` and `-Infinity` stand for numbers.
/// They become text. A key that stands twice in an object is refused: two readers could see two models.
/// `longest` is how many bytes a text may have; a short one may stand for values that take much memory.
pub(super) fn parse(text: &[u8], part: &'static str, longest: u64) -> Result<Value, KerasError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = quote_non_finite(text);
    let mut budget = Budget::new(longest.saturating_mul(MEMORY_PER_TEXT));
    let mut refused = None;
    let values = Values { what: part, budget: &mut budget, refused: &mut refused };
    let mut deserializer = serde_json::Deserializer::from_slice(&text);
    let value = values.deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| match refused {
        Some(refused) => refused.into(),
        None => KerasError::Json { part, message: error.to_string() },
    })
}

/// Values of which no object has a key twice, as far as memory goes.
struct Values<'b> {
    what: &'static str,
    budget: &'b mut Budget,
    /// Why there is no value, if not for its text.
    refused: &'b mut Option<BudgetError>,
}

impl Values<'_> {
    /// For one of the values inside.
    fn inner(&mut self) -> Values<'_> {
        Values { what: self.what, budget: self.budget, refused: self.refused }
    }

    fn reserve<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.budget.reserve(bytes as u64, self.what).map_err(|refused| {
            let error = E::custom(refused);
            *self.refused = Some(refused);
            error
        })
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<Value, E> {
        self.reserve(value.len())?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(value) = elements.next_element_seed(self.inner())? {
            // It grows by doubling.
            self.reserve(2 * size_of::<Value>())?;
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        // Members of a B-tree stand in nodes with room for eleven, at least half of them taken.
        const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 16;
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if map.contains_key(&key) {
                let key = brief(&key.into());
                return Err(A::Error::custom(format_args!("the key {key} stands twice")));
            }
            let node = if map.len().is_multiple_of(6) { NODE } else { 0 };
            self.reserve(node + key.len())?;
            map.insert(key, members.next_value_seed(self.inner())?);
        }
        Ok(Value::Object(map))
    }
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

    /// Whether the layer is of Keras 1, by the settings that Keras 2 has renamed first of all.
    pub(super) fn is_of_keras_1(&self) -> bool {
        is_of_keras_1(self.class, |setting| self.has(setting))
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

    /// One axis or several of samples of shape `input`, the last one if none is named: each once, in ascending
    /// order, from 1 on.
    pub(super) fn axes_of(&self, setting: &str, input: &Shape) -> Result<Vec<usize>, KerasError> {
        let fault = || self.fault(setting, "axes of the input, each once, and not the batch");
        let rank = input.rank();
        let place = |axis: i64| {
            let axis = if axis < 0 { axis.checked_add(rank as i64 + 1)? } else { axis };
            usize::try_from(axis).ok().filter(|axis| (1..=rank).contains(axis))
        };
        let axes = self.axes(setting, -1)?.into_iter().map(place).collect::<Option<BTreeSet<_>>>();
        let axes = axes.filter(|axes| !axes.is_empty()).ok_or_else(fault)?;
        Ok(axes.into_iter().collect())
    }
}

/// A number, be it one that JSON cannot hold.
pub(super) fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text == "NaN" => Some(f64::NAN),
        Value::String(text) if text == "Infinity" => Some(f64::INFINITY),
        Value::String(text) if text == "-Infinity" => Some(f64::NEG_INFINITY),
        // Keras up to 2.0.5 wrote the slope of a LeakyReLU as an array of no axes.
        Value::Object(array) if array.get("type").is_some_and(|kind| kind == "ndarray") => {
            array.get("value").and_then(Value::as_f64)
        }
        // Keras 2.12 wrote settings of a ReLU as numbers of NumPy.
        Value::Object(object) if object.get("class_name").is_some_and(is_array) => {
            object.get("config")?.get("value").and_then(Value::as_f64)
        }
        _ => None,
    }
}

/// Whether a class is what Keras calls arrays.
fn is_array(class: &Value) -> bool {
    class == "__numpy__" || class == "__tensor__"
}

/// A number, or one for each channel: lists of one list do no harm, others stand
/// for other axes.
pub(super) fn per_channel(value: &Value) -> Option<Vec<f64>> {
    let mut value = value;
    while let Some([only @ Value::Array(_)]) = value.as_array().map(Vec::as_slice) {
        value = only;
    }
    let found: Vec<f64> = match value {
        Value::Array(values) => values.iter().map(real).collect::<Option<_>>()?,
        value => vec![real(value)?],
    };
    (!found.is_empty() && found.iter().all(|number| number.is_finite())).then_some(found)
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

/// Whether a layer that `has` such settings is of Keras 1: Keras 2 has renamed them first of all.
pub(super) fn is_of_keras_1(class: &str, has: impl Fn(&str) -> bool) -> bool {
    match class {
        "Dense" => has("output_dim") && !has("units"),
        _ => has("nb_filter") && !has("filters"),
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
        assert_eq!(parse(text, "config", 1 << 20).unwrap(), expected);
    }

    #[test]
    fn a_text_is_read_as_serde_json_reads_it_but_for_keys_that_stand_twice() {
        let text =
            r#"{"a": [null, true, -1, 18446744073709551615, 0.1, 1e300, "é\n"], "b": {"a": {}}}"#;
        assert_eq!(
            parse(text.as_bytes(), "config", 1 << 20).unwrap(),
            text.parse::<Value>().unwrap()
        );
        for twice in [r#"{"a": 1, "b": 2, "a": 1}"#, r#"[{"x": {"units": 3, "units": 4}}]"#] {
            let error = parse(twice.as_bytes(), "config", 1 << 20).unwrap_err().to_string();
            assert!(error.contains("stands twice"), "{error}");
        }
    }

    #[test]
    fn a_short_text_of_many_values_is_refused() {
        let text = format!("[{}0]", r#"{"a":0},"#.repeat(10_000));
        assert!(parse(text.as_bytes(), "config", 1 << 20).is_ok());
        let refused = parse(text.as_bytes(), "config", 1 << 19).unwrap_err();
        assert!(matches!(refused, KerasError::Budget(_)), "{refused}");
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
