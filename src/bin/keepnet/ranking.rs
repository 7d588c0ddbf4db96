//! The largest of many values.

use std::cmp::Ordering;

/// The places of the `count` largest values, the largest first, the first of equal ones first;
/// NaN is never larger.
pub(crate) fn largest(values: &[f32], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|&left, &right| {
        let (left, right) = (values[left], values[right]);
        right.partial_cmp(&left).unwrap_or_else(|| match (left.is_nan(), right.is_nan()) {
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ => Ordering::Equal,
        })
    });
    places.truncate(count);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_keep_their_order_and_nan_comes_last() {
        let values = [f32::NAN, 0.5, 2.0, -0.0, 2.0, 0.0, f32::NEG_INFINITY];
        assert_eq!(largest(&values, 9), [2, 4, 1, 3, 5, 6, 0]);
        assert_eq!(largest(&values, 1), [2]);
        assert_eq!(largest(&[], 3), [0; 0]);
        assert_eq!(largest(&[f32::NAN, f32::NAN], 1), [0]);
    }
}
