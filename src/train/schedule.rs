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
            Self::WarmUp { steps, from, .. } if done < steps => (1.0 - from) * share(steps) + from,
            Self::WarmUp { steps, ref then, .. } => then.factor(done - steps),
        }
    }
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
}
