//! What a measuring program prints.

use serde_json::{Map, Value, json};

/// A figure: its name in JSON, its value, and what it is.
pub(crate) type Figure = (&'static str, Value, &'static str);

/// One JSON object of all.
pub(crate) fn object(figures: impl IntoIterator<Item = Figure>) -> Value {
    figures
        .into_iter()
        .map(|(name, value, _)| (name.to_owned(), value))
        .collect::<Map<_, _>>()
        .into()
}

/// A line, or one for each member of an object.
pub(crate) fn print((name, value, unit): &Figure) {
    match value {
        Value::Object(members) => members.iter().for_each(|(member, value)| {
            println!("{name} {member}: {value}");
        }),
        value => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            println!("{name:<36}{text:>10}  {unit}");
        }
    }
}

/// A JSON number of so many decimals.
pub(crate) fn round(value: f64, decimals: i32) -> Value {
    let unit = [1.0, 10.0, 100.0][decimals as usize];
    json!((value * unit).round() / unit)
}
