//! Losses of one output `y` and its target `t`, each with its slope in `y`.

use super::{EPSILON, clipped};
use crate::kernels::scalar;

/// −t·ln y − (1 − t)·ln(1 − y), y clipped.
pub(super) fn crossentropy(y: f64, t: f64) -> (f64, f64) {
    let p = clipped(y);
    let loss = -t * scalar::ln(p) - (1.0 - t) * scalar::ln(1.0 - p);
    let inside = if p == y { (p - t) / (p * (1.0 - p)) } else { 0.0 };
    (loss, inside)
}

/// (y − t)²
pub(super) fn square(y: f64, t: f64) -> (f64, f64) {
    ((y - t) * (y - t), 2.0 * (y - t))
}

/// |y − t|
pub(super) fn absolute(y: f64, t: f64) -> (f64, f64) {
    let sign = f64::from(u8::from(y > t)) - f64::from(u8::from(y < t));
    ((y - t).abs(), sign)
}

/// ½·(y − t)², in a straight line from |y − t| = delta on.
pub(super) fn huber(y: f64, t: f64, delta: f64) -> (f64, f64) {
    let (distance, sign) = absolute(y, t);
    if distance > delta {
        (delta * distance - 0.5 * delta * delta, delta * sign)
    } else {
        (0.5 * distance * distance, y - t)
    }
}

/// ln cosh x = |x| + ln(1 + e^(−2·|x|)) − ln 2, x = y − t; its slope is tanh x.
pub(super) fn log_cosh(y: f64, t: f64) -> (f64, f64) {
    let (distance, sign) = absolute(y, t);
    let square = distance * distance;
    if distance < 0.01 {
        // The first terms of the series: the differences below would leave little of so small a number.
        let slope = 1.0 - square * (1.0 / 3.0 - square * (2.0 / 15.0));
        return (square * (0.5 - square * (1.0 / 12.0 - square / 45.0)), (y - t) * slope);
    }
    let power = scalar::exp(-2.0 * distance);
    let loss = distance + scalar::ln(1.0 + power) - std::f64::consts::LN_2;
    (loss, sign * (1.0 - power) / (1.0 + power))
}

/// y − t·ln(y + ε)
pub(super) fn poisson(y: f64, t: f64) -> (f64, f64) {
    (y - t * scalar::ln(y + EPSILON), 1.0 - t / (y + EPSILON))
}

/// max(1 − t·y, 0), a target of 0 taken for −1.
pub(super) fn hinge(y: f64, t: f64) -> (f64, f64) {
    let t = if t == 0.0 { -1.0 } else { t };
    let loss = 1.0 - t * y;
    if loss <= 0.0 { (0.0, 0.0) } else { (loss, -t) }
}

/// The square of [`hinge`].
pub(super) fn squared_hinge(y: f64, t: f64) -> (f64, f64) {
    let (loss, slope) = hinge(y, t);
    (loss * loss, 2.0 * loss * slope)
}

/// 100·|y − t| / max(|t|, ε)
pub(super) fn absolute_percentage(y: f64, t: f64) -> (f64, f64) {
    let (distance, sign) = absolute(y, t);
    let of = if t.abs() < EPSILON { EPSILON } else { t.abs() };
    (100.0 * distance / of, 100.0 * sign / of)
}

/// (ln(1 + y) − ln(1 + t))², both at least ε.
pub(super) fn squared_logarithmic(y: f64, t: f64) -> (f64, f64) {
    let held = |x: f64| if x < EPSILON { EPSILON } else { x };
    let difference = scalar::ln(1.0 + held(y)) - scalar::ln(1.0 + held(t));
    let slope = if y < EPSILON { 0.0 } else { 2.0 * difference / (1.0 + y) };
    (difference * difference, slope)
}
