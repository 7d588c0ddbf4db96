//! Axes with round ticks.

/// A range of values and the ticks on it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Values in ascending order, and how they are written.
    pub(super) ticks: Vec<(f64, String)>,
}

/// Values beyond this are not drawn: differences between them could overflow.
pub(super) const LARGEST: f64 = 1e100;

impl Axis {
    /// An axis over `low` to `high`, widened to whole ticks: about `count` of them, at 1, 2 or 5
    /// times a power of ten.
    pub(super) fn of_values(low: f64, high: f64, count: usize) -> Self {
        let (low, high) = widened(low, high, 1e-12);
        let (factor, exponent) = round_step((high - low) / count as f64);
        let step = decimal(factor, exponent);
        let ticks = ticks((low / step).floor(), (high / step).ceil(), factor, exponent);
        match (ticks.first(), ticks.last()) {
            (Some(&(low, _)), Some(&(high, _))) => Self { low, high, ticks },
            _ => Self { low, high, ticks },
        }
    }

    /// An axis over whole numbers from `low` to `high`, with at most about `count` ticks.
    pub(super) fn of_integers(low: f64, high: f64, count: usize) -> Self {
        let (low, high) = widened(low, high, 1.0);
        let (factor, exponent) = round_step(((high - low) / count as f64).max(1.0));
        let step = decimal(factor, exponent);
        let ticks = ticks((low / step).ceil(), (high / step).floor(), factor, exponent);
        Self { low, high, ticks }
    }

    /// Where `value` lies: 0 at the low end, 1 at the high end.
    pub(super) fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// The range, with at least `least` and a millionth of the values themselves between its ends, so
/// that ticks can be told apart.
fn widened(low: f64, high: f64, least: f64) -> (f64, f64) {
    let (low, high) = (low.clamp(-LARGEST, LARGEST), high.clamp(-LARGEST, LARGEST));
    let least = least.max(1e-6 * low.abs().max(high.abs()));
    let missing = (least - (high - low)).max(0.0);
    (low - missing / 2.0, high + missing / 2.0)
}

/// The least of 1, 2 and 5 times a power of ten that is not below `rough`: factor and exponent.
fn round_step(rough: f64) -> (i64, i32) {
    let scientific = format!("{rough:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("scientific notation");
    let mantissa: f64 = mantissa.parse().expect("a number");
    let exponent: i32 = exponent.parse().expect("an integer");
    match mantissa {
        ..=1.0 => (1, exponent),
        ..=2.0 => (2, exponent),
        ..=5.0 => (5, exponent),
        _ => (1, exponent + 1),
    }
}

/// The float nearest to `digits`·10^`exponent`.
fn decimal(digits: i64, exponent: i32) -> f64 {
    format!("{digits}e{exponent}").parse().expect("a number")
}

/// Ticks at the multiples `first` to `last` of `factor`·10^`exponent`.
fn ticks(first: f64, last: f64, factor: i64, exponent: i32) -> Vec<(f64, String)> {
    let tick = |index: i64| {
        let value = decimal(index * factor, exponent);
        let label = match exponent {
            -5..0 => format!("{value:.*}", exponent.unsigned_abs() as usize),
            0..6 => value.to_string(),
            _ => format!("{value:e}"),
        };
        (value, label)
    };
    (first as i64..=last as i64).map(tick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&Axis::of_values(0.0, 0.31, 5)), ["0.0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(
            labels(&Axis::of_values(97.3, 99.1, 5)),
            ["97.0", "97.5", "98.0", "98.5", "99.0", "99.5"]
        );
        assert_eq!(labels(&Axis::of_values(-3.0, 12.0, 4)), ["-5", "0", "5", "10", "15"]);
        assert_eq!(labels(&Axis::of_values(0.0, 2e-6, 2)), ["0e0", "1e-6", "2e-6"]);
        assert_eq!(labels(&Axis::of_integers(1.0, 50.0, 6)), ["10", "20", "30", "40", "50"]);
        assert_eq!(labels(&Axis::of_integers(1.0, 2.0, 6)), ["1", "2"]);
        assert_eq!(labels(&Axis::of_integers(7.0, 7.0, 6)), ["7"]);
    }

    /// Of either sign and any size up to [`LARGEST`].
    fn value() -> impl Strategy<Value = f64> {
        (-1.0..=1.0, -330..=100)
            .prop_map(|(digits, exponent): (f64, i32)| digits * decimal(1, exponent))
    }

    proptest! {
        #[test]
        fn values_lie_on_the_axis(a in value(), b in value(), tiny in any::<bool>()) {
            let b = if tiny { a + a * 1e-15 } else { b };
            let (low, high) = (a.min(b), a.max(b));
            let axis = Axis::of_values(low, high, 5);
            prop_assert!((2..=8).contains(&axis.ticks.len()), "{:?}", axis);
            prop_assert!(axis.ticks.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for value in [low, high] {
                prop_assert!((-1e-6..=1.000_001).contains(&axis.place(value)), "{axis:?}");
            }
        }

        #[test]
        fn epochs_have_ticks(first in any::<u64>(), more in 0..100_000_u64) {
            let axis = Axis::of_integers(first as f64, first.saturating_add(more) as f64, 6);
            prop_assert!((1..=9).contains(&axis.ticks.len()), "{axis:?}");
        }
    }
}
