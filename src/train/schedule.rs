//! Learning rates from step to step, in f64 and with the same bits everywhere.

use crate::kernels::scalar;
use crate::model::Schedule;

impl Schedule {
    /// What the learning rate is multiplied by after so many steps are `done`.
    pub fn factor(&self, done: u64) -> f64 {
        let share = |steps: u64| done as f64 / steps as f64;
        match *self {
            Self::Constant => 1.0,
            Self::Step { ref boundaries, ref factors } => {
                let passed = boundaries.partition_point(|&boundary| boundary < done);
                match passed.checked_sub(1) {
                    Some(last) => factors[last],
                    None => 1.0,
                }
            }
            Self::Exponential { steps, rate, staircase: true } => scalar::powi(rate, done / steps),
            Self::Exponential { steps, rate, staircase: false } => {
                scalar::exp(share(steps) * scalar::ln(rate))
            }
            Self::Cosine { steps, floor } => {
                let share = if done < steps { share(steps) } else { 1.0 };
                let decayed = 0.5 * (1.0 + scalar::cos_of_half_turns(share));
                (1.0 - floor) * decayed + floor
            }
            Self::InverseTime { steps, rate, staircase } => {
                let passed = if staircase { (done / steps) as f64 } else { share(steps) };
                1.0 / (1.0 + rate * passed)
            }
            Self::Polynomial { steps, floor, power, cycle } => {
                let rounds = if cycle { done.div_ceil(steps).max(1) } else { 1 };
                let share = share(steps) / rounds as f64;
                let left = if share < 1.0 { 1.0 - share } else { 0.0 };
                (1.0 - floor) * power_of(left, power) + floor
            }
            Self::CosineRestarts { steps, stretch, shrink, floor } => {
                let (restarts, share) = restarts(done, steps, stretch);
                let height = scalar::powi(shrink, restarts);
                let decayed = 0.5 * height * (1.0 + scalar::cos_of_half_turns(share));
                (1.0 - floor) * decayed + floor
            }
            Self::WarmUp { steps, from, .. } if done < steps => (1.0 - from) * share(steps) + from,
            Self::WarmUp { steps, ref then, .. } => then.factor(done - steps),
        }
    }
}

/// xᵖ for 0 ≤ x ≤ 1, p > 0
fn power_of(x: f64, p: f64) -> f64 {
    match p {
        1.0 => x,
        _ if x == 0.0 => 0.0,
        _ => scalar::exp(p * scalar::ln(x)),
    }
}

/// How many rounds have passed whose first takes `steps` and each further one `stretch` times as many as
/// the one before, and what share of the next.
fn restarts(done: u64, steps: u64, stretch: f64) -> (u64, f64) {
    if stretch == 1.0 {
        return (done / steps, (done % steps) as f64 / steps as f64);
    }
    // In units of the first round, round i begins at (stretchⁱ − 1) / (stretch − 1).
    let passed = done as f64 / steps as f64;
    let begin = |round: u64| (scalar::powi(stretch, round) - 1.0) / (stretch - 1.0);
    let mut round = (scalar::ln(1.0 + passed * (stretch - 1.0)) / scalar::ln(stretch)) as u64;
    // The logarithms are rounded, which matters where a round begins.
    if begin(round) > passed {
        round = round.saturating_sub(1);
    } else if begin(round + 1) <= passed {
        round += 1;
    }
    let share = (passed - begin(round)) / scalar::powi(stretch, round);
    (round, share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `done`, and what the formulas of Keras' documentation give, worked out by hand.
    fn assert_like_keras(schedule: &Schedule, expected: &[(u64, f64)]) {
        for &(done, expected) in expected {
            let found = schedule.factor(done);
            assert!((found - expected).abs() < 1e-6, "{schedule:?} at {done}: {found}");
        }
    }

    #[test]
    fn schedules_follow_the_formulas_of_keras() {
        assert_like_keras(&Schedule::Constant, &[(0, 1.0), (u64::MAX, 1.0)]);
        let step = Schedule::Step { boundaries: vec![10, 20], factors: vec![0.5, 0.1] };
        assert_like_keras(&step, &[(0, 1.0), (10, 1.0), (11, 0.5), (20, 0.5), (21, 0.1)]);
        let smooth = Schedule::Exponential { steps: 100, rate: 0.96, staircase: false };
        // 0.96^0.5, 0.96^2.5
        assert_like_keras(&smooth, &[(0, 1.0), (50, 0.979_795_9), (250, 0.902_979_9)]);
        let stairs = Schedule::Exponential { steps: 100, rate: 0.96, staircase: true };
        assert_like_keras(&stairs, &[(99, 1.0), (100, 0.96), (250, 0.9216)]);
        let cosine = Schedule::Cosine { steps: 100, floor: 0.1 };
        let quarter = 0.1 + 0.9 * 0.853_553_4;
        assert_like_keras(&cosine, &[(0, 1.0), (25, quarter), (50, 0.55), (100, 0.1), (500, 0.1)]);
        let inverse = Schedule::InverseTime { steps: 10, rate: 0.5, staircase: false };
        assert_like_keras(&inverse, &[(0, 1.0), (5, 0.8), (10, 1.0 / 1.5), (30, 0.4)]);
        let inverse = Schedule::InverseTime { steps: 10, rate: 0.5, staircase: true };
        assert_like_keras(&inverse, &[(9, 1.0), (10, 1.0 / 1.5), (19, 1.0 / 1.5), (30, 0.4)]);
        let square = Schedule::Polynomial { steps: 10, floor: 0.2, power: 2.0, cycle: false };
        assert_like_keras(&square, &[(0, 1.0), (5, 0.4), (10, 0.2), (11, 0.2)]);
        let root = Schedule::Polynomial { steps: 10, floor: 0.0, power: 0.5, cycle: true };
        // √(1 − 4/10), 0, √(1 − 11/20), 0, √(1 − 21/30)
        let values = [(4, 0.774_596_7), (10, 0.0), (11, 0.670_820_4), (20, 0.0), (21, 0.547_722_6)];
        assert_like_keras(&root, &values);
        let (stretch, shrink) = (2.0, 0.5);
        let restarts = Schedule::CosineRestarts { steps: 10, stretch, shrink, floor: 0.1 };
        let values =
            [(0, 1.0), (5, 0.55), (10, 0.1 + 0.9 * 0.5), (20, 0.1 + 0.9 * 0.25), (30, 0.325)];
        assert_like_keras(&restarts, &values);
        let even = Schedule::CosineRestarts { steps: 10, stretch: 1.0, shrink: 1.0, floor: 0.0 };
        assert_like_keras(&even, &[(9, 0.024_471_7), (10, 1.0), (25, 0.5), (1000, 1.0)]);
        let warm = Schedule::WarmUp { steps: 10, from: 0.1, then: Box::new(cosine) };
        assert_like_keras(&warm, &[(0, 0.1), (5, 0.55), (10, 1.0), (35, quarter), (200, 0.1)]);
    }

    /// At the ends the figures are exact, and in between none leaves the range.
    #[test]
    fn schedules_end_where_they_say() {
        for floor in [0.0, 0.1, 1.0] {
            let cosine = Schedule::Cosine { steps: 1000, floor };
            assert_eq!(cosine.factor(0), 1.0);
            assert_eq!(cosine.factor(1000), floor);
            let factors: Vec<_> = (0..=1000).map(|done| cosine.factor(done)).collect();
            assert!(factors.windows(2).all(|pair| pair[1] <= pair[0] && pair[1] >= floor));
        }
    }

    /// Each round begins where the one before has ended, however the logarithms are rounded.
    #[test]
    fn restarts_come_on_the_step() {
        for stretch in [1.0, 2.0, 3.0, 10.0] {
            let (mut begin, mut length) = (0.0, 7.0);
            for round in 0..16 {
                let at = |step: f64| restarts(step as u64, 7, stretch);
                assert_eq!(at(begin), (round, 0.0), "{stretch}");
                let end = begin + length;
                if end < 1e15 {
                    assert_eq!(at(end - 1.0).0, round, "{stretch}");
                }
                (begin, length) = (end, length * stretch);
            }
        }
        for stretch in [1.0 + f64::EPSILON, 1.1, 1000.0] {
            for done in [0, 1, 1000, 1 << 53] {
                let (_, share) = restarts(done, 7, stretch);
                assert!((0.0..=1.0).contains(&share), "{stretch} {done}: {share}");
            }
        }
    }
}
