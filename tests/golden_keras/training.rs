//! Learning-rate schedules from step to step, and callbacks over given figures, each callback in two
//! fits one after the other.

use std::cell::RefCell;
use std::rc::Rc;

use keepnet::train::Moment;
use keepnet::train::callbacks::CheckpointStore;
use keepnet::{
    Activation, Callback, CallbackError, Dataset, EarlyStopping, EpochRecord, FitOptions, Loss,
    Model, ModelCheckpoint, Monitor, Optimizer, ReduceOnPlateau, Samples, Schedule, Sequential,
    Stop, Targets,
};
use serde_json::Value;

use crate::read::{both, list, number, numbers, text, whole};

/// One input, one output, plain descent.
fn model(optimizer: Optimizer) -> Model {
    let mut model = Sequential::new([1]).dense(1, Activation::Linear).build(0).expect("a chain");
    model.compile(optimizer, Loss::MeanAbsoluteError).expect("one output");
    model
}

const WEIGHT: &str = "dense/kernel";

/// The learning rate and its schedule that Keras' class and arguments mean.
fn schedule(settings: &Value) -> (f64, Schedule) {
    let set = |key: &str| number(&settings[key]);
    let steps = |key: &str| whole(&settings[key]) as u64;
    match text(&settings["class"]) {
        "ExponentialDecay" => {
            let staircase = settings.get("staircase").is_some();
            let (steps, rate) = (steps("decay_steps"), set("decay_rate"));
            (set("initial_learning_rate"), Schedule::Exponential { steps, rate, staircase })
        }
        "PiecewiseConstantDecay" => {
            let values = numbers(&settings["values"]);
            let boundaries = list(&settings["boundaries"]).iter().map(|step| whole(step) as u64);
            let factors = values[1..].iter().map(|value| value / values[0]).collect();
            (values[0], Schedule::Step { boundaries: boundaries.collect(), factors })
        }
        "CosineDecay" => {
            let floor = settings.get("alpha").map_or(0.0, number);
            let cosine = Schedule::Cosine { steps: steps("decay_steps"), floor };
            let initial = set("initial_learning_rate");
            match settings.get("warmup_target").map(number) {
                None => (initial, cosine),
                Some(target) => {
                    let (steps, from) = (steps("warmup_steps"), initial / target);
                    (target, Schedule::WarmUp { steps, from, then: Box::new(cosine) })
                }
            }
        }
        other => panic!("no schedule {other}"),
    }
}

/// What descent takes from a weight whose gradient is 1, from step to step.
fn rates(settings: &Value, steps: usize) -> Vec<f64> {
    let (rate, schedule) = schedule(settings);
    let mut model = model(Optimizer::sgd(rate, 0.0).with_schedule(schedule));
    let one = |value: f32| Samples::new(1, [1], vec![value]).expect("one value");
    let data = Dataset::new(one(1.0), Targets::Values(one(-1e6))).expect("one sample");
    let mut step = || {
        model.parameter_mut(WEIGHT).expect("a kernel").fill(0.0);
        model.fit(&data, &FitOptions::default()).expect("data that fits");
        -f64::from(model.parameter(WEIGHT).expect("a kernel")[0])
    };
    (0..steps).map(|_| step()).collect()
}

/// Allowed of rates up to 0.3: schedules are in float32 in both files.
const RATE: f64 = 1e-7;

#[test]
fn schedules() {
    for file in both("training") {
        let cases = list(&file["schedules"]);
        assert_eq!(cases.len(), 10);
        for case in cases {
            let expected = numbers(&case["rates"]);
            let found = rates(&case["schedule"], expected.len());
            for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let what = &case["schedule"];
                let error = (found - expected).abs();
                assert!(error < RATE, "{what}: {found}, not {expected}, in step {step}");
            }
        }
    }
}

/// The epochs of which checkpoints are made, which the weight tells.
#[derive(Clone, Default)]
struct Saved(Rc<RefCell<Vec<usize>>>);

impl CheckpointStore for Saved {
    fn keep(
        &mut self,
        model: &Model,
        _: u64,
        _: usize,
        _: Option<u64>,
    ) -> Result<(), CallbackError> {
        self.0.borrow_mut().push(weight(model));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

fn weight(model: &Model) -> usize {
    model.parameter(WEIGHT).expect("a kernel")[0] as usize
}

/// The callback that Keras' class and arguments mean.
fn callback(settings: &Value, saved: &Saved) -> Box<dyn Callback> {
    let monitor = match text(&settings["mode"]) {
        "min" => Monitor::min("val_loss"),
        _ => Monitor::max("val_loss"),
    };
    let (set, flag) =
        (|key: &str| settings.get(key).map(number), |key| settings.get(key).is_some());
    let count = |key: &str| settings.get(key).map(|count| whole(count) as u64);
    match text(&settings["class"]) {
        "EarlyStopping" => {
            let callback = EarlyStopping::new(monitor)
                .patience(count("patience").unwrap_or(0))
                .min_delta(set("min_delta").unwrap_or(0.0));
            let best = flag("restore_best_weights");
            Box::new(if best { callback.restore_best() } else { callback })
        }
        "ReduceLROnPlateau" => Box::new(
            ReduceOnPlateau::new(monitor)
                .patience(count("patience").unwrap_or(10))
                .factor(set("factor").unwrap_or(0.1))
                .min_delta(set("min_delta").unwrap_or(1e-4))
                .cooldown(count("cooldown").unwrap_or(0))
                .min_rate(set("min_lr").unwrap_or(0.0)),
        ),
        "ModelCheckpoint" => Box::new(ModelCheckpoint::best_only(saved.clone(), monitor)),
        other => panic!("no callback {other}"),
    }
}

/// What becomes of a model in a fit.
#[derive(Debug, PartialEq)]
struct Fit {
    epochs: usize,
    /// The epoch whose weights the model has in the end.
    weight: usize,
    rates: Vec<f64>,
    saved: Vec<usize>,
}

impl Fit {
    fn of(model: &mut Model, callback: &mut dyn Callback, saved: &Saved, figures: &[f64]) -> Self {
        callback.on_fit_begin(model, false).expect("settings in range");
        let mut rates = Vec::new();
        for (epoch, &figure) in figures.iter().enumerate() {
            let values = vec![("val_loss".to_owned(), figure)];
            let record = EpochRecord { epoch: epoch as u64, values };
            model.parameter_mut(WEIGHT).expect("a kernel").fill(epoch as f32);
            let answer = callback.on_epoch_end(model, &record).expect("a figure");
            callback.on_settled(model, Moment::Epoch(&record)).expect("room");
            rates.push(model.compiled().expect("compiled").optimizer.learning_rate);
            if answer.break_value() == Some(Stop::Finish) {
                break;
            }
        }
        callback.on_fit_end(model, true).expect("its own weights");
        Self { epochs: rates.len(), weight: weight(model), rates, saved: saved.0.take() }
    }

    fn assert_like(&self, fit: &Value, what: &str) {
        let saved: Vec<_> = list(&fit["saved"]).iter().map(whole).collect();
        let expected = (whole(&fit["epochs"]), whole(&fit["weight"]), &saved);
        assert_eq!((self.epochs, self.weight, &self.saved), expected, "{what}");
        let rates = numbers(&fit["rates"]);
        let close = |(found, expected): (&f64, &f64)| (found / expected - 1.0).abs() < 1e-6;
        let alike = self.rates.len() == rates.len() && self.rates.iter().zip(&rates).all(close);
        assert!(alike, "{what}: {:?}, Keras has {rates:?}", self.rates);
    }
}

fn figures(fit: &Value) -> Vec<f64> {
    // JSON has no NaN.
    list(&fit["figures"]).iter().map(|figure| figure.as_f64().unwrap_or(f64::NAN)).collect()
}

#[test]
fn callbacks() {
    for file in both("training") {
        let (cases, mut compared) = (list(&file["callbacks"]), 0);
        for case in cases {
            for fits in list(&case["fits"]) {
                if list(&fits[0]["figures"])[0].is_null() {
                    continue;
                }
                let saved = Saved::default();
                let mut callback = callback(&case["callback"], &saved);
                let mut model = model(Optimizer::sgd(1.0, 0.0));
                for (index, fit) in list(fits).iter().enumerate() {
                    let what = format!("{}, {}, fit {index}", case["callback"], fit["figures"]);
                    let found = Fit::of(&mut model, &mut *callback, &saved, &figures(fit));
                    found.assert_like(fit, &what);
                    compared += 1;
                }
            }
        }
        assert_eq!((cases.len(), compared), (19, 19 * 5 * 2));
    }
}

/// Where Keras is not followed, and why: with it, nothing is ever better than a NaN that came first.
#[test]
fn a_nan_that_comes_first_is_not_the_best() {
    for file in both("training") {
        let named = |case: &&Value| case["callback"]["class"] == "ModelCheckpoint";
        let case = list(&file["callbacks"]).iter().find(named).expect("one of it");
        let fits = list(&case["fits"]).iter().find(|fits| fits[0]["figures"][0].is_null());
        let fit = &fits.expect("one that begins with NaN")[0];
        assert_eq!(fit["saved"], serde_json::json!([0]));
        let saved = Saved::default();
        let mut callback = callback(&case["callback"], &saved);
        let mut model = model(Optimizer::sgd(1.0, 0.0));
        let found = Fit::of(&mut model, &mut *callback, &saved, &figures(fit));
        assert_eq!(found.saved, [1, 2, 4]);
    }
}
