//! The callbacks by the rules of Keras 3's, worked out by hand: each is told of epochs with the
//! figures written here. (`tests/golden_keras/training.rs` compares them with Keras itself.) And what
//! callbacks are told by fits, alone and with others.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use keepnet::model::SettingsError;
use keepnet::train::callbacks::{CheckpointStore, Every, MonitorError};
use keepnet::train::{CallbackStates, Moment};
use keepnet::{
    Activation, Callback, CallbackError, Dataset, EarlyStopping, EpochRecord, FitOptions, Loss,
    Model, ModelCheckpoint, Monitor, Optimizer, ReduceOnPlateau, ResumeOptions, Samples,
    SaveOptions, Sequential, StepReport, Stop, Targets, TrainError,
};

fn model() -> Model {
    let mut model = Sequential::new([2]).dense(2, Activation::Linear).build(1).expect("a chain");
    model.compile(Optimizer::sgd(1.0, 0.0), Loss::MeanSquaredError).expect("one output");
    model
}

fn record(epoch: usize, loss: f64) -> EpochRecord {
    EpochRecord { epoch: epoch as u64, values: vec![("val_loss".to_owned(), loss)] }
}

fn rate(model: &Model) -> f64 {
    model.compiled().expect("compiled").optimizer.learning_rate
}

/// The epoch, counted from 0, after which it ends the fit.
fn stops_after(mut callback: EarlyStopping, losses: &[f64]) -> Option<usize> {
    let mut model = model();
    losses.iter().enumerate().position(|(epoch, &loss)| {
        let answer = callback.on_epoch_end(&mut model, &record(epoch, loss)).expect("a figure");
        answer.break_value() == Some(Stop::Finish)
    })
}

#[test]
fn early_stopping_bears_as_many_epochs_as_its_patience() {
    let loss = || EarlyStopping::new(Monitor::min("val_loss"));
    // The first epoch never ends it; without patience the next that is no better does.
    assert_eq!(stops_after(loss(), &[1.0, 0.9, 0.9]), Some(2));
    assert_eq!(stops_after(loss(), &[f64::NAN, 1.0, f64::NAN]), Some(2));
    assert_eq!(stops_after(loss().patience(2), &[1.0, 0.9, 0.95, 0.91, 0.8]), Some(3));
    assert_eq!(stops_after(loss().patience(2), &[1.0, 1.1, 0.9, 1.0, 0.8, 0.7]), None);
    // Better by less than the least difference is not better, and the best stays what it was.
    let delta = loss().patience(2).min_delta(0.2);
    assert_eq!(stops_after(delta.clone(), &[1.0, 0.9, 0.85, 0.7]), Some(2));
    assert_eq!(stops_after(delta, &[1.0, 0.9, 0.75, 0.74, 0.74]), Some(4));
    let most = EarlyStopping::new(Monitor::max("val_loss")).patience(1).min_delta(0.1);
    assert_eq!(stops_after(most, &[0.5, 0.7, 0.75]), Some(2));
}

#[test]
fn the_best_parameters_come_back_at_the_end() {
    for (finished, expected) in [(true, 1.0), (false, 3.0)] {
        let mut model = model();
        let mut callback = EarlyStopping::new(Monitor::min("val_loss")).patience(9).restore_best();
        for (epoch, loss) in [0.9, 0.5, 0.7, 0.6].into_iter().enumerate() {
            model.parameter_mut("dense/bias").expect("there").fill(epoch as f32);
            let answer = callback.on_epoch_end(&mut model, &record(epoch, loss));
            assert!(answer.expect("a figure").is_continue());
        }
        callback.on_fit_end(&mut model, finished).expect("its own parameters");
        assert_eq!(model.parameter("dense/bias"), Some(&[expected; 2][..]), "{finished}");
    }
}

#[test]
fn the_rate_falls_on_a_plateau() {
    let rates = |mut callback: ReduceOnPlateau, losses: &[f64]| {
        let mut model = model();
        let mut rates = Vec::new();
        for (epoch, &loss) in losses.iter().enumerate() {
            let answer = callback.on_epoch_end(&mut model, &record(epoch, loss));
            assert!(answer.expect("a figure").is_continue());
            rates.push(rate(&model));
        }
        rates
    };
    let half = || ReduceOnPlateau::new(Monitor::min("val_loss")).factor(0.5).patience(2);
    assert_eq!(rates(half(), &[1.0; 6]), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
    // Cooling down takes an epoch, in which waiting begins anew.
    assert_eq!(rates(half().cooldown(1), &[1.0; 6]), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
    assert_eq!(rates(half().cooldown(2), &[1.0; 6]), [1.0, 1.0, 0.5, 0.5, 0.5, 0.25]);
    assert_eq!(rates(half().min_rate(0.4), &[1.0; 6]), [1.0, 1.0, 0.5, 0.5, 0.4, 0.4]);
    // 0.00005 is less than the least difference of 0.0001.
    assert_eq!(rates(half(), &[1.0, 0.99995, 0.9, 0.9, 0.9]), [1.0, 1.0, 1.0, 1.0, 0.5]);
    // A rate so small that no f64 is smaller stays.
    let vanishing = half().patience(1).factor(1e-300);
    assert_eq!(rates(vanishing, &[1.0; 4]), [1.0, 1e-300, 1e-300, 1e-300]);
}

#[test]
fn a_figure_that_is_not_there_is_an_error() {
    let mut callback = EarlyStopping::new(Monitor::min("loss"));
    let error = callback.on_epoch_end(&mut model(), &record(3, 0.5)).expect_err("no such figure");
    let expected = "epochs have no figure `loss` to be judged by, they have val_loss; those named \
                    `val_…` need validation data";
    assert_eq!(error.to_string(), expected);
}

/// Four samples in two steps an epoch.
fn data() -> Dataset {
    let samples = |values: [f32; 8]| Samples::new(4, [2], values.to_vec()).expect("two each");
    let targets = Targets::Values(samples([1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]));
    Dataset::new(samples([0.5, 0.1, 0.2, 0.6, 0.4, 0.5, 0.1, 0.1]), targets).expect("a pair each")
}

fn fit(model: &mut Model, callback: &mut dyn Callback) -> Result<(), TrainError> {
    let options = FitOptions { epochs: 3, batch_size: 2, ..FitOptions::default() };
    model.fit_with(&data(), &options, callback).map(|_| ())
}

fn resume(model: &mut Model, callback: &mut dyn Callback) -> Result<(), TrainError> {
    model.resume(&data(), &ResumeOptions::default(), callback).map(|_| ())
}

fn file(model: &Model) -> Vec<u8> {
    model.to_bytes(SaveOptions::default()).expect("a model that can be saved")
}

/// What callbacks are told, in the order in which they are.
type Told = Rc<RefCell<Vec<String>>>;

/// Notes what it is told under its name, and answers as it is asked to.
#[derive(Default)]
struct Noting {
    name: &'static str,
    told: Told,
    /// Fails when told of this.
    fails: &'static str,
    /// Answers so at the end of the first epoch.
    stops: Option<Stop>,
}

impl Noting {
    fn note(&self, what: &str) -> Result<(), CallbackError> {
        self.told.borrow_mut().push(format!("{} {what}", self.name));
        if self.fails == what { Err(format!("{} fails", self.name).into()) } else { Ok(()) }
    }
}

impl Callback for Noting {
    fn on_fit_begin(&mut self, model: &Model, resumed: bool) -> Result<(), CallbackError> {
        assert!(model.fit_under_way().is_some());
        self.note(if resumed { "resumes" } else { "begins" })
    }

    fn on_step_end(&mut self, _: &Model, _: &StepReport) -> Result<ControlFlow<()>, CallbackError> {
        self.note("step").map(ControlFlow::Continue)
    }

    fn on_epoch_end(
        &mut self,
        _: &mut Model,
        record: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        self.note("epoch")?;
        Ok(match self.stops.filter(|_| record.epoch == 0) {
            Some(stop) => ControlFlow::Break(stop),
            None => ControlFlow::Continue(()),
        })
    }

    fn on_settled(&mut self, _: &Model, moment: Moment<'_>) -> Result<(), CallbackError> {
        self.note(if matches!(moment, Moment::Step(_)) { "settled step" } else { "settled epoch" })
    }

    fn on_fit_end(&mut self, _: &mut Model, finished: bool) -> Result<(), CallbackError> {
        self.note(if finished { "finishes" } else { "is interrupted" })
    }

    fn restore_state(&mut self, _: &mut CallbackStates) -> Result<(), CallbackError> {
        self.note("restores")
    }
}

#[test]
fn a_callback_hears_of_beginnings_and_ends() {
    let told = Told::default();
    let stops = Some(Stop::Interrupt);
    let mut callback = Noting { name: "one", told: Rc::clone(&told), stops, ..Noting::default() };
    let mut model = model();
    fit(&mut model, &mut callback).expect("data that fits");
    let epoch = ["step", "settled step", "step", "settled step", "epoch", "settled epoch"];
    let expected = |words: &[&str]| words.iter().map(|word| format!("one {word}")).collect();
    let first: Vec<String> = expected(&[&["begins"], &epoch[..], &["is interrupted"]].concat());
    assert_eq!(told.take(), first);
    resume(&mut model, &mut callback).expect("the same data");
    let second = [&["resumes", "restores"], &epoch[..], &epoch, &["finishes"]].concat();
    assert_eq!(told.take(), expected(&second) as Vec<String>);
}

/// The first two fail, the third finishes, the last hears all the same.
#[test]
fn an_error_keeps_nobody_from_hearing() {
    let cases = [
        ("step", Err(0), vec!["step"]),
        ("settled step", Err(0), vec!["step", "settled step"]),
        ("epoch", Err(1), vec!["epoch"]),
        ("settled epoch", Err(1), vec!["epoch", "settled epoch"]),
        ("finishes", Ok(1), vec!["epoch", "settled epoch", "finishes"]),
    ];
    for (fails, epochs, last_words) in cases {
        let told = Told::default();
        let noting = |name, fails, stops| {
            Box::new(Noting { name, told: Rc::clone(&told), fails, stops }) as Box<dyn Callback>
        };
        let mut callbacks = vec![
            noting("first", fails, None),
            noting("second", fails, None),
            noting("third", "", Some(Stop::Finish)),
            noting("last", "", Some(Stop::Interrupt)),
        ];
        let mut model = model();
        let error = fit(&mut model, &mut callbacks).expect_err(fails);
        assert_eq!(error.to_string(), "a callback ended training: first fails", "{fails}");
        let words: Vec<_> = last_words.iter().map(|word| format!("last {word}")).collect();
        let mut heard = told.take();
        heard.retain(|word| word.starts_with("last"));
        assert!(heard.ends_with(&words), "{fails}: {heard:?}");
        // What another has finished stays finished.
        let done = model.training_state().epoch;
        assert_eq!(if model.fit_under_way().is_some() { Err(done) } else { Ok(done) }, epochs);
        if epochs == Err(1) {
            resume(&mut model, &mut ()).expect("nothing is left to do");
            assert_eq!((model.steps(), model.fit_under_way()), (2, None), "{fails}");
        }
    }
}

#[test]
fn a_fit_that_was_interrupted_is_never_replaced_unasked() {
    let mut model = model();
    let mut stops = Noting { stops: Some(Stop::Interrupt), ..Noting::default() };
    fit(&mut model, &mut stops).expect("data that fits");
    let before = file(&model);
    let error = fit(&mut model, &mut ()).expect_err("one is under way");
    assert_eq!(error, TrainError::Interrupted { epoch: 1, steps: 0 });
    assert!(file(&model) == before);
    let mut other = model.clone();
    resume(&mut other, &mut ()).expect("the same data");
    assert_eq!(other.training_state().epoch, 3);
    model.forget_fit();
    fit(&mut model, &mut ()).expect("given up");
    assert_eq!(model.training_state().epoch, 1 + 3);
}

#[derive(Clone, Default)]
struct Nowhere;

impl CheckpointStore for Nowhere {
    fn keep(&mut self, _: &Model, _: u64, _: usize, _: Option<u64>) -> Result<(), CallbackError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

fn loss() -> Monitor {
    Monitor::min("loss")
}

/// By `fit_with` and by `resume`, which leave the model as it was.
fn refused(callback: &mut dyn Callback) -> TrainError {
    let mut new = model();
    let before = file(&new);
    let error = fit(&mut new, callback).expect_err("refused");
    assert!(file(&new) == before, "{error}");

    let mut begun = model();
    let mut stops = Noting { stops: Some(Stop::Interrupt), ..Noting::default() };
    fit(&mut begun, &mut stops).expect("data that fits");
    let before = file(&begun);
    let again = resume(&mut begun, callback).expect_err("refused");
    assert!(file(&begun) == before, "{again}");
    assert_eq!(again.to_string(), error.to_string());
    error
}

#[test]
fn settings_out_of_their_range_are_refused_before_training() {
    let reduce = || ReduceOnPlateau::new(loss());
    let early = || EarlyStopping::new(loss());
    let checkpoint = |every| ModelCheckpoint::new(Nowhere, every);
    let cases: [(Box<dyn Callback>, &str); 10] = [
        (Box::new(reduce().factor(1.0)), "factor must be above 0 and below 1, found 1"),
        (Box::new(reduce().factor(0.0)), "factor"),
        (Box::new(reduce().factor(f64::NAN)), "factor"),
        (Box::new(reduce().min_rate(-1.0)), "min_rate must be 0 or more and finite, found -1"),
        (Box::new(reduce().min_rate(f64::INFINITY)), "min_rate"),
        (Box::new(reduce().min_delta(f64::NAN)), "min_delta must be finite, found NaN"),
        (Box::new(early().min_delta(f64::INFINITY)), "min_delta"),
        (Box::new(checkpoint(Every::Steps(0))), "the distance of checkpoints must be 1 or more"),
        (Box::new(checkpoint(Every::Epochs(0))), "the distance of checkpoints"),
        (Box::new(checkpoint(Every::Epochs(1)).keep_last(0)), "keep_last must be 1 or more"),
    ];
    for (mut callback, words) in cases {
        let error = refused(&mut *callback);
        let TrainError::CallbackRefuses(failure) = &error else { panic!("{error}") };
        assert!(failure.get().is::<SettingsError>() && failure.to_string().starts_with(words));
        assert!(error.to_string().starts_with("a callback cannot take part in the fit: "));
    }
    for mut callback in [
        Box::new(EarlyStopping::new(Monitor::min("val_loss"))) as Box<dyn Callback>,
        Box::new(ReduceOnPlateau::new(Monitor::max("accuracy"))),
        Box::new(ModelCheckpoint::best_only(Nowhere, Monitor::max("val_accuracy"))),
    ] {
        let error = refused(&mut *callback);
        let TrainError::CallbackRefuses(failure) = &error else { panic!("{error}") };
        let missing = failure.get().downcast_ref::<MonitorError>().expect("no such figure");
        assert_eq!(missing.known, "loss");
    }
    let options = FitOptions { validation_split: 0.5, ..FitOptions::default() };
    let mut callback = EarlyStopping::new(Monitor::min("val_loss"));
    model().fit_with(&data(), &options, &mut callback).expect("there it is reported");
}

#[test]
fn callbacks_of_one_kind_are_told_apart_by_their_names() {
    let twice = |first: Box<dyn Callback>, second: Box<dyn Callback>| vec![first, second];
    let early = || EarlyStopping::new(loss());
    let reduce = || ReduceOnPlateau::new(loss());
    let checkpoint = || ModelCheckpoint::new(Nowhere, Every::Epochs(1));
    for (mut callbacks, name) in [
        (twice(Box::new(early()), Box::new(early())), "early_stopping(loss)"),
        (twice(Box::new(reduce()), Box::new(reduce())), "reduce_on_plateau(loss)"),
        (twice(Box::new(checkpoint()), Box::new(checkpoint())), "model_checkpoint"),
    ] {
        assert_eq!(refused(&mut callbacks), TrainError::CallbackTwice { name: name.to_owned() });
    }
    let mut callbacks: Vec<Box<dyn Callback>> = vec![
        Box::new(early()),
        Box::new(early().name("patient").patience(9)),
        Box::new(reduce()),
        Box::new(reduce().name("slow")),
        Box::new(checkpoint()),
        Box::new(checkpoint().name("epochs")),
        Box::new(Noting { stops: Some(Stop::Interrupt), ..Noting::default() }),
    ];
    let mut model = model();
    fit(&mut model, &mut callbacks).expect("data that fits");
    let names: Vec<_> = model.fit_under_way().expect("one").callbacks.keys().cloned().collect();
    let expected = [
        "early_stopping(loss)",
        "epochs",
        "model_checkpoint",
        "patient",
        "reduce_on_plateau(loss)",
        "slow",
    ];
    assert_eq!(names, expected);
    resume(&mut model, &mut callbacks).expect("the same callbacks");
}

/// In a second fit nothing is known of the first: its losses would not be better.
#[test]
fn a_callback_used_again_begins_anew() {
    let mut early = EarlyStopping::new(loss()).restore_best();
    let mut reduce = ReduceOnPlateau::new(loss()).factor(0.5).patience(1).min_delta(0.0);
    let told: Vec<(u64, f64)> = (0..2)
        .map(|_| {
            let mut model = model();
            model.set_learning_rate(0.01).expect("a rate");
            let mut callbacks: Vec<Box<dyn Callback + '_>> =
                vec![Box::new(&mut early), Box::new(&mut reduce)];
            fit(&mut model, &mut callbacks).expect("data that fits");
            (model.steps(), rate(&model))
        })
        .collect();
    assert_eq!(told, [(6, 0.01); 2]);
}
