//! Changes JSON as JSON: a byte changed here and there would seldom leave any.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

/// Classes, names of settings and their values, as they stand in configurations of Keras.
static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let (_, words) =
        include_str!("../keras.dict").split_once("# Words").expect("a part of its own");
    words.lines().skip(1).map(|line| line.trim_matches('"')).collect()
});

/// Changes a text to another one of at most `max_size` bytes, as the fuzzer asks for it.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut chance = Chance(u64::from(seed));
    let value = serde_json::from_slice(&data[..size]).ok().filter(|_| chance.below(8) > 0);
    let text = value.map(|mut value| {
        for _ in 0..=chance.below(4) {
            change(&mut value, &mut chance);
        }
        value.to_string()
    });
    match text.filter(|text| text.len() <= max_size) {
        Some(text) => {
            data[..text.len()].copy_from_slice(text.as_bytes());
            text.len()
        }
        None => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    }
}

/// Changes one of all the values in `whole`.
fn change(whole: &mut Value, chance: &mut Chance) {
    let count = count(whole);
    let other = nth(whole, &mut chance.below(count)).cloned().unwrap_or_default();
    let Some(value) = nth_mut(whole, &mut chance.below(count)) else { return };
    match (chance.below(4), value) {
        (0, value) => *value = other,
        (1, value) => *value = any(chance),
        (_, Value::Array(values)) => change_array(values, other, chance),
        (_, Value::Object(map)) => change_object(map, other, chance),
        (_, Value::String(text)) => *text = chance.word(),
        (_, value) => {
            let number = value.as_i64().unwrap_or_default();
            let near = [number.wrapping_add(1), number.wrapping_sub(1), number.wrapping_neg()];
            *value = match chance.below(5) {
                3 => json!(number.wrapping_mul(2)),
                4 => json!(value.as_f64().unwrap_or_default() / 3.0),
                near_by => json!(near[near_by]),
            };
        }
    }
}

fn change_array(values: &mut Vec<Value>, other: Value, chance: &mut Chance) {
    let place = chance.below(values.len() + 1);
    let second = chance.below(values.len() + 1);
    match chance.below(4) {
        0 if place < values.len() => drop(values.remove(place)),
        1 if place < values.len() && second < values.len() => values.swap(place, second),
        2 if place < values.len() => values.insert(second, values[place].clone()),
        _ => values.insert(place, other),
    }
}

fn change_object(map: &mut Map<String, Value>, other: Value, chance: &mut Chance) {
    let key = map.keys().nth(chance.below(map.len() + 1)).cloned();
    match (chance.below(3), key) {
        (0, Some(key)) => drop(map.remove(&key)),
        (1, Some(key)) => {
            let value = map.remove(&key).unwrap_or_default();
            map.insert(chance.word(), value);
        }
        _ => drop(map.insert(chance.word(), other)),
    }
}

fn any(chance: &mut Chance) -> Value {
    match chance.below(16) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(false),
        3 => json!([]),
        4 => json!({}),
        5 => json!(1e308),
        6 => json!(u64::MAX),
        7 => json!(1_u64 << chance.below(63)),
        8 => json!([null, chance.below(9), chance.below(9), chance.below(4)]),
        9 => json!([chance.below(4), chance.below(4)]),
        10 => json!([[chance.below(4), chance.below(4)], [chance.below(4), chance.below(4)]]),
        11 | 12 => json!(chance.below(5)),
        13 => json!(-1),
        _ => json!(chance.word()),
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(values) => Box::new(values.iter()),
        Value::Object(map) => Box::new(map.values()),
        _ => Box::new(std::iter::empty()),
    }
}

fn count(value: &Value) -> usize {
    1 + children(value).map(count).sum::<usize>()
}

/// The value after so many others, which are counted down.
fn nth<'v>(value: &'v Value, left: &mut usize) -> Option<&'v Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    children(value).find_map(|child| nth(child, left))
}

fn nth_mut<'v>(value: &'v mut Value, left: &mut usize) -> Option<&'v mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(values) => values.iter_mut().find_map(|child| nth_mut(child, left)),
        Value::Object(map) => map.values_mut().find_map(|child| nth_mut(child, left)),
        _ => None,
    }
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn word(&mut self) -> String {
        WORDS[self.below(WORDS.len())].to_owned()
    }
}
