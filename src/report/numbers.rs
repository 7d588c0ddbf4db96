//! Numbers as people read them: thousands apart, bytes, durations, percentages.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In the largest binary unit that gives 1 or more: `512 B`, `879.04 KiB`, `1.20 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    // 1023.995 would be written as 1024.00.
    while value >= 1023.995 {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.2} {}", UNITS[unit])
}

/// In the units one would say it in: `350 µs`, `12.5 ms`, `3.42 s`, `2 min 05 s`, `1 h 02 min`.
pub fn duration(time: Duration) -> String {
    // Each limit is where rounding would carry into the next unit.
    let seconds = time.as_secs_f64();
    if seconds < 999.5e-6 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 0.99995 {
        format!("{:.1} ms", seconds * 1e3)
    } else if seconds < 59.995 {
        format!("{seconds:.2} s")
    } else if seconds < 3599.5 {
        let whole = seconds.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        let minutes = (seconds / 60.0).round() as u64;
        format!("{} h {:02} min", grouped(minutes / 60), minutes % 60)
    }
}

/// A share of 1 as `98.93 %`, with so many decimals. A share below 1 never rounds up to `100 %`:
/// that stands for all.
pub fn percent(share: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$} %", share * 100.0);
    match text.strip_prefix("100") {
        Some(rest) if share < 1.0 => format!("99{}", rest.replace('0', "9")),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (225_034, "225,034")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn bytes_take_the_largest_unit() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (900_136, "879.04 KiB"),
            (1_048_575, "1.00 MiB"),
            (3 << 30, "3.00 GiB"),
            (u64::MAX, "16.00 EiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn durations_carry_into_the_next_unit() {
        let cases = [
            (0, "0 µs"),
            (350, "350 µs"),
            (12_500, "12.5 ms"),
            (999_960, "1.00 s"),
            (3_420_000, "3.42 s"),
            (59_999_000, "1 min 00 s"),
            (125_000_000, "2 min 05 s"),
            (3_599_600_000, "1 h 00 min"),
            (3_720_000_000, "1 h 02 min"),
        ];
        for (micros, text) in cases {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn only_all_is_a_hundred_percent() {
        assert_eq!(percent(0.9893, 2), "98.93 %");
        assert_eq!(percent(0.97, 0), "97 %");
        assert_eq!(percent(1.0, 0), "100 %");
        assert_eq!(percent(0.9999, 0), "99 %");
        assert_eq!(percent(0.999_999, 2), "99.99 %");
        assert_eq!(percent(f64::NAN, 1), "NaN %");
    }
}
