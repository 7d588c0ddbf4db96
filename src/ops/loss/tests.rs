#![allow(clippy::disallowed_methods, reason = "what the crate's own functions are held against")]

use super::*;
use crate::tensor::{Samples, Shape};

const Z: [f32; 6] = [-2.0, 0.5, 3.0, 1.5, -0.25, 0.75];
const Y: [f32; 6] = [0.2, 0.7, 0.1, 1.5, 0.25, 0.75];
const P: [f32; 6] = [0.2, 0.7, 0.1, 0.5, 0.25, 0.25];
const T: [f32; 6] = [0.0, 1.0, 0.0, 0.5, 0.25, 0.25];
const SIDES: [f32; 6] = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0];

/// Two samples of three outputs: the mean of their losses and its gradient.
fn two_samples(loss: Loss, label_smoothing: f32, y: &[f32; 6], t: &[f32; 6]) -> (f64, [f32; 6]) {
    let targets = Targets::Values(Samples::new(2, Shape::vector(3), t.to_vec()).unwrap());
    let (targets, indices) = (&targets, &[0, 1][..]);
    let task = Task { loss, label_smoothing, width: 3, targets, indices, scale: 0.5 };
    let (mut dy, mut target, mut unwanted) = ([f32::NAN; 6], [0.0; 3], [0.0; 3]);
    let sum = gradient(Isa::current(), &mut dy, &mut target, y, &task);
    assert_eq!(sum, value(Isa::current(), &mut unwanted, &mut target, y, &task));
    (sum / 2.0, dy)
}

/// Made with keras 3.15.1 on TensorFlow 2.21.0: `keras.losses.X(...)(t, y)` in a gradient tape.
#[test]
fn losses_are_those_of_keras() {
    use Loss::*;
    let (none, tenth, fifth) = (0.0, 0.1, 0.2);
    #[rustfmt::skip]
    let cases = [
        (Huber { delta: 0.5 }, none, Z, T, 0.5, [-0.08333334, -0.08333334, 0.08333334, 0.08333334, -0.08333334, 0.08333334]),
        (LogCosh, none, Z, T, 0.7380759, [-0.1606712, -0.07701953, 0.1658425, 0.1269324, -0.07701953, 0.07701953]),
        (KlDivergence, none, Y, T, -0.1322773, [-2.5e-07, -0.7142857, -5e-07, 0., -0.5, -0.1666667]),
        (Poisson, none, Y, T, 0.6787394, [0.1666667, -0.07142854, 0.1666667, 0.1111111, 5.960464e-08, 0.1111111]),
        (Hinge, none, Z, SIDES, 1.25, [0., -0.1666667, 0.1666667, 0., -0.1666667, 0.1666667]),
        (SquaredHinge, none, Z, SIDES, 3.479167, [0., -0.1666667, 1.333333, 0., -0.4166667, 0.5833334]),
        (CategoricalHinge, none, Z, SIDES, 2., [0., -0.5, 0.5, -0.5, -0.5, 0.5]),
        (MeanAbsolutePercentageError, none, Y, P, 66.66667, [0., 0., 0., 33.33333, 0., 66.66666]),
        (MeanSquaredLogarithmicError, none, Z, P, 0.3565827, [0., -0.02781404, 0.107582, 0.06811009, 0., 0.06408995]),
        (CosineSimilarity, none, Z, T, -0.4900307, [-0.01036683, -0.1347688, 0.01555025, -0.02093668, -0.157025, -0.01046834]),
        (CategoricalCrossentropy, tenth, P, T, 0.7572854, [0.4166667, -0.1666667, 0.3333333, 0.01666668, -0.01666665, -0.01666665]),
        (BinaryCrossentropy, fifth, P, T, 0.5093232, [0.1041667, -0.1587302, 0., 0., -0.04444446, -0.04444446]),
        (CategoricalCrossentropyWithLogits, tenth, Z, T, 1.864682, [-0.01357253, -0.4289723, 0.4425448, 0.06207411, -0.07638443, 0.01431032]),
        (BinaryCrossentropyWithLogits, fifth, Z, T, 1.018969, [0.003200484, -0.04625678, 0.1420957, 0.05292908, 0.02297058, 0.06319645]),
    ];
    for (loss, smoothing, y, t, expected, slopes) in cases {
        let (found, dy) = two_samples(loss, smoothing, &y, &t);
        let apart = |a: f64, b: f64| (a - b).abs() / b.abs().max(1.0);
        assert!(apart(found, expected) < 5e-7, "{loss:?}: {found}, not {expected}");
        for (found, expected) in dy.into_iter().zip(slopes) {
            assert!(apart(found.into(), expected) < 5e-7, "{loss:?}: {dy:?}, not {slopes:?}");
        }
    }
}

/// In f64, where a small step shows it to eight places; on both sides of each bend.
#[test]
fn slopes_are_those_of_the_losses() {
    type Element = fn(f64, f64) -> (f64, f64);
    let losses: [Element; 10] = [
        elements::crossentropy,
        elements::square,
        elements::absolute,
        |y, t| elements::huber(y, t, 0.5),
        elements::log_cosh,
        elements::poisson,
        elements::hinge,
        elements::squared_hinge,
        elements::absolute_percentage,
        elements::squared_logarithmic,
    ];
    const STEP: f64 = 1e-6;
    for (number, loss) in losses.into_iter().enumerate() {
        for y in [0.11, 0.2493, 0.2567, 0.31, 0.77, 0.93] {
            for t in [0.25, 0.875, 0.0, 1.0] {
                let (_, slope) = loss(y, t);
                let rise = (loss(y + STEP, t).0 - loss(y - STEP, t).0) / (2.0 * STEP);
                let apart = (slope - rise).abs() / slope.abs().max(1.0);
                assert!(apart < 1e-7, "loss {number} at {y}, {t}: {slope}, not {rise}");
            }
        }
    }
}

/// Both ways of taking it meet at the bend, and it stays exact far out.
#[test]
fn log_cosh_near_and_far() {
    for distance in [1e-9, 1e-3, 0.009_999, 0.010_001, 0.5, 30.0, 1e4] {
        let (loss, slope) = elements::log_cosh(-distance, 0.0);
        let expected = if distance < 20.0 {
            0.5 * (distance.sinh().powi(2)).ln_1p()
        } else {
            distance - std::f64::consts::LN_2
        };
        assert!((loss - expected).abs() <= 1e-11 * expected, "{distance}: {loss}, {expected}");
        let expected = -distance.tanh();
        assert!((slope - expected).abs() <= 1e-11 * expected.abs(), "{distance}: {slope}");
    }
}
