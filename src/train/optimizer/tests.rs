#![allow(clippy::disallowed_methods, reason = "what the crate's own functions are held against")]

use super::*;
use crate::model::{Adadelta, Adagrad, Adam, Adamax, Nadam, RmsProp};

/// Every rule, with each of its settings away from where it makes no difference.
fn optimizers() -> Vec<Optimizer> {
    let adam = Adam { beta_1: 0.8, beta_2: 0.95, epsilon: 1e-3, amsgrad: false };
    let rms = RmsProp { rho: 0.8, momentum: 0.0, epsilon: 1e-3, centered: false };
    let nadam = Nadam { beta_1: 0.8, beta_2: 0.95, epsilon: 1e-3, momentum_decay: 1.0 };
    let adamax = Adamax { beta_1: 0.8, beta_2: 0.95, epsilon: 1e-3 };
    let rules = [
        OptimizerRule::Adam(adam),
        OptimizerRule::Adam(Adam { amsgrad: true, ..adam }),
        OptimizerRule::Sgd(Sgd::default()),
        OptimizerRule::Sgd(Sgd { momentum: 0.9, nesterov: false }),
        OptimizerRule::Sgd(Sgd { momentum: 0.9, nesterov: true }),
        OptimizerRule::RmsProp(rms),
        OptimizerRule::RmsProp(RmsProp { momentum: 0.5, ..rms }),
        OptimizerRule::RmsProp(RmsProp { centered: true, ..rms }),
        OptimizerRule::RmsProp(RmsProp { momentum: 0.5, centered: true, ..rms }),
        OptimizerRule::Nadam(nadam),
        OptimizerRule::Nadam(Nadam { momentum_decay: 0.004, ..nadam }),
        OptimizerRule::Adamax(adamax),
        OptimizerRule::Adagrad(Adagrad { initial_accumulator: 0.1, epsilon: 1e-3 }),
        OptimizerRule::Adadelta(Adadelta { rho: 0.8, epsilon: 1e-3 }),
    ];
    let with_decay = |rule| Optimizer { weight_decay: 0.01, ..Optimizer::new(rule, 0.05) };
    rules.into_iter().map(with_decay).collect()
}

/// The rules as their documentation has them, for one parameter, in f64.
struct Reference {
    optimizer: Optimizer,
    t: i32,
    w: f64,
    slots: [f64; SLOTS],
}

impl Reference {
    fn step(&mut self, g: f64) {
        self.t += 1;
        let Self { optimizer, t, w, slots: [first, second, third] } = self;
        let (t, lr) = (*t, optimizer.learning_rate);
        *w -= lr * optimizer.weight_decay * *w;
        *w -= match optimizer.rule {
            OptimizerRule::Adam(Adam { beta_1, beta_2, epsilon, amsgrad }) => {
                *first = beta_1 * *first + (1.0 - beta_1) * g;
                *second = beta_2 * *second + (1.0 - beta_2) * g * g;
                *third = third.max(*second);
                let v = if amsgrad { *third } else { *second };
                let rate = lr * (1.0 - beta_2.powi(t)).sqrt() / (1.0 - beta_1.powi(t));
                rate * *first / (v.sqrt() + epsilon)
            }
            OptimizerRule::Sgd(Sgd { momentum, nesterov }) => {
                *first = momentum * *first - lr * g;
                -if nesterov { momentum * *first - lr * g } else { *first }
            }
            OptimizerRule::RmsProp(RmsProp { rho, momentum, epsilon, centered }) => {
                let (m, a) = if momentum == 0.0 { (third, second) } else { (second, third) };
                *first = rho * *first + (1.0 - rho) * g * g;
                *a = rho * *a + (1.0 - rho) * g;
                let square = *first - if centered { *a * *a } else { 0.0 };
                *m = momentum * *m + lr * g / (square + epsilon).sqrt();
                *m
            }
            OptimizerRule::Nadam(Nadam { beta_1, beta_2, epsilon, momentum_decay }) => {
                *first = beta_1 * *first + (1.0 - beta_1) * g;
                *second = beta_2 * *second + (1.0 - beta_2) * g * g;
                let u =
                    |t: i32| beta_1 * (1.0 - 0.5 * 0.96_f64.powf(momentum_decay * f64::from(t)));
                let product = |t: i32| (1..=t).map(u).product::<f64>();
                let ahead = u(t + 1) * *first / (1.0 - product(t + 1));
                let step = ahead + (1.0 - u(t)) * g / (1.0 - product(t));
                lr * step / ((*second / (1.0 - beta_2.powi(t))).sqrt() + epsilon)
            }
            OptimizerRule::Adamax(Adamax { beta_1, beta_2, epsilon }) => {
                *first = beta_1 * *first + (1.0 - beta_1) * g;
                *second = (beta_2 * *second).max(g.abs());
                lr / (1.0 - beta_1.powi(t)) * *first / (*second + epsilon)
            }
            OptimizerRule::Adagrad(Adagrad { epsilon, .. }) => {
                *first += g * g;
                lr * g / (*first + epsilon).sqrt()
            }
            OptimizerRule::Adadelta(Adadelta { rho, epsilon }) => {
                *first = rho * *first + (1.0 - rho) * g * g;
                let step = g * (*second + epsilon).sqrt() / (*first + epsilon).sqrt();
                *second = rho * *second + (1.0 - rho) * step * step;
                lr * step
            }
        };
    }
}

/// What is trained: parameters, slots, and how many steps are done.
struct Trained {
    optimizer: Optimizer,
    parameters: Vec<f32>,
    slots: Vec<Aligned>,
    steps: u64,
}

impl Trained {
    fn new(optimizer: &Optimizer, length: usize) -> Self {
        let start = vec![optimizer.initial_slot(); length];
        Self {
            optimizer: optimizer.clone(),
            parameters: (0..length).map(|place| number(place, 0)).collect(),
            slots: optimizer.slots().iter().map(|_| Aligned::from(&start[..])).collect(),
            steps: 0,
        }
    }

    fn step(&mut self, isa: Isa, ranges: &[Range<usize>]) {
        let Self { optimizer, parameters, slots, steps } = self;
        *steps += 1;
        let mut gradient: Vec<f32> =
            (0..parameters.len()).map(|place| number(place, *steps)).collect();
        step_on(isa, optimizer, *steps, parameters, slots, &mut gradient, ranges);
    }

    fn bits(&self) -> Vec<u32> {
        let slots = self.slots.iter().flat_map(|slot| slot.iter());
        self.parameters.iter().chain(slots).map(|value| value.to_bits()).collect()
    }
}

/// The parameter at `place` for step 0, its gradient for others: ±1 at most, each tenth 0.
fn number(place: usize, step: u64) -> f32 {
    let mixed = (place as u64 + 1) * 7919 + step * 104_729;
    let number = (mixed * mixed % 1009) as f32 / 504.0 - 1.0;
    if (place as u64 + step).is_multiple_of(10) { 0.0 } else { number }
}

#[test]
fn rules_do_as_they_are_documented() {
    const LENGTH: usize = 37;
    for optimizer in optimizers() {
        let mut trained = Trained::new(&optimizer, LENGTH);
        let mut expected: Vec<_> = (0..LENGTH)
            .map(|place| Reference {
                optimizer: optimizer.clone(),
                t: 0,
                w: number(place, 0).into(),
                slots: [optimizer.initial_slot().into(); SLOTS],
            })
            .collect();
        for step in 1..=50 {
            trained.step(Isa::current(), std::slice::from_ref(&(0..LENGTH)));
            for (place, reference) in expected.iter_mut().enumerate() {
                reference.step(number(place, step).into());
                let found = (trained.slots.iter().map(|slot| slot[place]))
                    .chain([trained.parameters[place]]);
                let names = optimizer.slots().iter().copied().chain(["w"]);
                let slots = reference.slots[..trained.slots.len()].iter();
                for ((found, &expected), name) in found.zip(slots.chain([&reference.w])).zip(names)
                {
                    let apart = (f64::from(found) - expected).abs();
                    let what = format!("{name} {place} after step {step} of {:?}", optimizer.rule);
                    assert!(
                        apart <= 3e-6 * expected.abs().max(1.0),
                        "{what}: {found}, not {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn no_bit_depends_on_the_instruction_set() {
    for optimizer in optimizers() {
        let mut all = Isa::available().into_iter().map(|isa| {
            let mut trained = Trained::new(&optimizer, 100);
            (0..5).for_each(|_| trained.step(isa, &[0..15, 16..33, 40..100]));
            trained.bits()
        });
        let first = all.next().expect("Portable is always there");
        assert!(all.all(|bits| bits == first), "{:?}", optimizer.rule);
    }
}

/// Nor on where a parameter lies, in which task, and how many threads there are.
#[test]
fn no_bit_depends_on_the_place() {
    const LENGTH: usize = 2 * TASK + 77;
    for optimizer in optimizers() {
        let mut whole = Trained::new(&optimizer, LENGTH);
        let mut parts = Trained::new(&optimizer, LENGTH);
        for _ in 0..2 {
            whole.step(Isa::current(), std::slice::from_ref(&(0..LENGTH)));
            let ends = [0, 1, 18, 4000, TASK + 3, 2 * TASK - 1, LENGTH];
            let ranges: Vec<_> = ends.windows(2).map(|pair| pair[0]..pair[1]).collect();
            parts.step(Isa::current(), &ranges);
        }
        assert!(whole.bits() == parts.bits(), "{:?}", optimizer.rule);
    }
}

/// What is no number stays none, in the one canonical form; what lies outside the ranges stays.
#[test]
fn a_gradient_that_is_no_number_shows() {
    for optimizer in optimizers() {
        let mut trained = Trained::new(&optimizer, 20);
        let before = trained.bits();
        let Trained { optimizer, parameters, slots, .. } = &mut trained;
        let mut gradient = vec![f32::from_bits(0xFFC1_2345); 20];
        let ranges = [3..10, 10..20];
        step_on(Isa::current(), optimizer, 1, parameters, slots, &mut gradient, &ranges);
        for (place, (bits, before)) in trained.bits().into_iter().zip(before).enumerate() {
            let expected = if place % 20 < 3 { before } else { math::NAN.to_bits() };
            let is_kept =
                place >= 20 && trained.optimizer.slots()[place / 20 - 1] == "accumulated_delta_var";
            assert!(bits == expected || is_kept && bits == before, "{:?}", trained.optimizer.rule);
        }
    }
}
