//! A fit that was interrupted, saved, loaded and resumed ends in the same file as one that was not.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use keepnet::nn::ARITHMETIC_REVISION;
use keepnet::train::callbacks::{CheckpointStore, Every};
use keepnet::{
    Activation, Callback, CallbackError, Dataset, EarlyStopping, EpochRecord, FitOptions, History,
    Loss, Model, ModelCheckpoint, Monitor, Optimizer, ReduceOnPlateau, ResumeOptions, Samples,
    SaveOptions, Schedule, Sequential, Shape, StepReport, Stop, TrainError,
};
use proptest::prelude::*;

/// Interrupts after a step or an epoch, counted over the fit.
struct Interrupt {
    at: u64,
    seen: u64,
}

impl Interrupt {
    fn at(at: u64) -> Self {
        Self { at, seen: 0 }
    }

    fn next(&mut self) -> bool {
        self.seen += 1;
        self.seen == self.at
    }
}

impl Callback for Interrupt {
    fn on_step_end(&mut self, _: &Model, _: &StepReport) -> Result<ControlFlow<()>, CallbackError> {
        Ok(if self.next() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn on_epoch_end(
        &mut self,
        _: &mut Model,
        _: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        Ok(match self.next() {
            true => ControlFlow::Break(Stop::Interrupt),
            false => ControlFlow::Continue(()),
        })
    }
}

/// What a run is made of.
#[derive(Clone, Debug)]
struct Run {
    schedule: Schedule,
    optimizer: Optimizer,
    samples: usize,
    batch_size: usize,
    shuffle: bool,
    epochs: u64,
    validation: Validation,
    /// Of both callbacks: where it is large, no epoch is better than the first.
    min_delta: f64,
    patience: u64,
    restore_best: bool,
    patience_with_rate: u64,
    cooldown: u64,
    checkpoints: Made,
}

/// The checkpoints that were made.
#[derive(Clone, Debug, Default)]
struct Made(Rc<RefCell<Vec<Kept>>>);

impl CheckpointStore for Made {
    fn keep(
        &mut self,
        _: &Model,
        step: u64,
        _: usize,
        best: Option<u64>,
    ) -> Result<(), CallbackError> {
        self.0.borrow_mut().push((step, best));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Validation {
    None,
    Split,
    Given,
}

fn runs() -> impl Strategy<Value = Run> {
    let then = prop_oneof![
        Just(Schedule::Constant),
        Just(Schedule::Step { boundaries: vec![2, 5], factors: vec![0.5, 0.25] }),
        any::<bool>().prop_map(|staircase| Schedule::Exponential {
            steps: 3,
            rate: 0.8,
            staircase
        }),
        Just(Schedule::Cosine { steps: 9, floor: 0.1 }),
    ];
    let schedule = (then, any::<bool>()).prop_map(|(then, warm)| match warm {
        true => Schedule::WarmUp { steps: 4, from: 0.1, then: Box::new(then) },
        false => then,
    });
    let optimizer = prop_oneof![
        Just(Optimizer::adam(0.02)),
        Just(Optimizer::sgd(0.1, 0.9)),
        Just(Optimizer::rmsprop(0.01)),
    ];
    let validation =
        prop_oneof![Just(Validation::None), Just(Validation::Split), Just(Validation::Given)];
    (
        (schedule, optimizer, 20..60_usize, 8..40_usize, any::<bool>()),
        (1..10_u64, validation, any::<bool>()),
        (0..5_u64, any::<bool>(), 1..4_u64, 0..4_u64),
    )
        .prop_map(|((schedule, optimizer, samples, batch_size, shuffle), rest, callbacks)| {
            let (epochs, validation, plateau) = rest;
            let (patience, restore_best, patience_with_rate, cooldown) = callbacks;
            Run {
                schedule,
                optimizer,
                samples,
                batch_size,
                shuffle,
                epochs,
                validation,
                min_delta: if plateau { 0.5 } else { 0.0 },
                patience,
                restore_best,
                patience_with_rate,
                cooldown,
                checkpoints: Made::default(),
            }
        })
}

/// Points of four values in three classes, a part of them mislabelled, so that no figure only falls.
fn data(samples: usize, seed: usize) -> Dataset {
    let value = |i: usize| ((i * 7919 + seed * 31) % 97) as f32 / 97.0 - 0.5;
    let values: Vec<f32> = (0..samples * 4).map(value).collect();
    let class = |(i, point): (usize, &[f32])| {
        if i % 5 == 4 {
            (i % 3) as u32
        } else {
            u32::from(point[0] > 0.0) + u32::from(point[1] > 0.0)
        }
    };
    let classes: Vec<u32> = values.chunks(4).enumerate().map(class).collect();
    let points = Samples::new(samples, [4], values).expect("four values each");
    Dataset::new(points, classes).expect("a class each").with_source(format!("points {seed}"))
}

impl Run {
    fn model(&self) -> Model {
        let chain = Sequential::new(Shape::vector(4))
            .dense(6, Activation::Tanh)
            .dropout(0.25)
            .dense(3, Activation::Softmax);
        let mut model = chain.build(3).expect("a chain that fits");
        let optimizer = self.optimizer.clone().with_schedule(self.schedule.clone());
        model.compile(optimizer, Loss::SparseCategoricalCrossentropy).expect("one output");
        model
    }

    fn data(&self) -> Dataset {
        data(self.samples, 1)
    }

    fn validation(&self) -> Option<Dataset> {
        matches!(self.validation, Validation::Given).then(|| data(17, 2))
    }

    fn monitor(&self) -> Monitor {
        match self.validation {
            Validation::None => Monitor::min("loss"),
            Validation::Split | Validation::Given => Monitor::min("val_loss"),
        }
    }

    fn callbacks(&self, interrupt: Option<u64>) -> Vec<Box<dyn Callback>> {
        let stopping = EarlyStopping::new(self.monitor()).patience(self.patience);
        let stopping = stopping.min_delta(self.min_delta);
        let stopping = if self.restore_best { stopping.restore_best() } else { stopping };
        let reduce = ReduceOnPlateau::new(self.monitor())
            .factor(0.5)
            .min_delta(self.min_delta)
            .patience(self.patience_with_rate)
            .cooldown(self.cooldown);
        let checkpoints = ModelCheckpoint::new(self.checkpoints.clone(), Every::Steps(3));
        let checkpoints = checkpoints.keep_best(self.monitor());
        let mut callbacks: Vec<Box<dyn Callback>> =
            vec![Box::new(stopping), Box::new(reduce), Box::new(checkpoints)];
        if let Some(at) = interrupt {
            callbacks.push(Box::new(Interrupt::at(at)));
        }
        callbacks
    }

    fn fit(&self, model: &mut Model, interrupt: Option<u64>) -> Result<History, TrainError> {
        let options = FitOptions {
            epochs: self.epochs,
            batch_size: self.batch_size,
            shuffle: self.shuffle,
            validation: self.validation(),
            validation_split: if matches!(self.validation, Validation::Split) { 0.3 } else { 0.0 },
        };
        model.fit_with(&self.data(), &options, &mut self.callbacks(interrupt))
    }

    fn resume(&self, model: &mut Model, interrupt: Option<u64>) -> Result<History, TrainError> {
        let options = ResumeOptions { validation: self.validation(), ..ResumeOptions::default() };
        model.resume(&self.data(), &options, &mut self.callbacks(interrupt))
    }
}

fn file(model: &Model) -> Vec<u8> {
    model.to_bytes(SaveOptions::default()).expect("a model that can be saved")
}

/// Through a file, whose bytes are those of the model that comes out of it.
fn reloaded(model: &Model) -> Model {
    let bytes = file(model);
    let again = Model::from_bytes(&bytes).expect("what was just saved");
    assert!(file(&again) == bytes, "saved again, the bytes differ");
    again
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// At any step or epoch, before validation too (after the last step of an epoch), once and again.
    #[test]
    fn an_interruption_leaves_no_trace(
        run in runs(),
        stops in prop::collection::vec(1..30_u64, 1..6),
    ) {
        let mut straight = run.model();
        run.fit(&mut straight, None).expect("data that fits");
        prop_assert!(straight.fit_under_way().is_none());
        let checkpoints = run.checkpoints.0.take();

        let mut model = run.model();
        let mut stops = stops.into_iter();
        run.fit(&mut model, stops.next()).expect("data that fits");
        while model.fit_under_way().is_some() {
            model = reloaded(&model);
            run.resume(&mut model, stops.next()).expect("the same data");
        }
        prop_assert_eq!(model.history(), straight.history());
        prop_assert_eq!(run.checkpoints.0.take(), checkpoints);
        prop_assert!(file(&model) == file(&straight), "the files differ");
    }
}

fn plain() -> Run {
    Run {
        schedule: Schedule::Constant,
        optimizer: Optimizer::adam(0.02),
        samples: 40,
        batch_size: 16,
        shuffle: true,
        epochs: 3,
        validation: Validation::Given,
        min_delta: 0.0,
        patience: 5,
        restore_best: false,
        patience_with_rate: 1,
        cooldown: 1,
        checkpoints: Made::default(),
    }
}

/// A run that was interrupted in its second epoch, after a step (of three).
fn interrupted() -> (Run, Model) {
    let run = plain();
    let mut model = run.model();
    run.fit(&mut model, Some(5)).expect("data that fits");
    (run, model)
}

/// A training state that no fit has left behind, though its parts fit together.
#[test]
fn sums_over_other_samples_are_refused() {
    let (run, model) = interrupted();
    let mut checkpoint = model.to_checkpoint();
    checkpoint.training.as_mut().unwrap().interrupted.as_mut().unwrap().samples += 1;
    let mut made = Model::from_checkpoint(&checkpoint).expect("its parts fit together");
    let same = ResumeOptions { validation: run.validation(), ..ResumeOptions::default() };
    let error = made.resume(&run.data(), &same, &mut run.callbacks(None)).expect_err("17 samples");
    assert_eq!(error, TrainError::OtherSums { steps: 1, expected: 16, found: 17 });
}

#[test]
fn more_steps_than_an_epoch_has_are_refused() {
    let (run, model) = interrupted();
    let same = ResumeOptions { validation: run.validation(), ..ResumeOptions::default() };
    for steps in [3, 4] {
        let mut checkpoint = model.to_checkpoint();
        let training = checkpoint.training.as_mut().unwrap();
        training.step_in_epoch = steps;
        training.interrupted.as_mut().unwrap().samples = 40;
        let mut made = Model::from_checkpoint(&checkpoint).expect("its parts fit together");
        let resumed = made.resume(&run.data(), &same, &mut run.callbacks(None)).map(drop);
        let expected = match steps {
            3 => Ok(()),
            found => Err(TrainError::OtherSteps { expected: 3, found }),
        };
        assert_eq!(resumed, expected);
    }
}

#[test]
fn what_is_different_is_refused_until_told_otherwise() {
    let (run, model) = interrupted();
    let resume = |data: &Dataset, options: ResumeOptions| {
        reloaded(&model).resume(data, &options, &mut run.callbacks(None))
    };
    let same = || ResumeOptions { validation: run.validation(), ..ResumeOptions::default() };
    assert!(resume(&run.data(), same()).is_ok());

    let error = resume(&data(40, 9), same()).expect_err("other data");
    let text = error.to_string();
    assert!(text.contains("40 samples of points 1") && text.contains("points 9"), "{text}");
    assert!(resume(&data(40, 9), ResumeOptions { other_data: true, ..same() }).is_ok());

    let other = ResumeOptions { validation: Some(data(17, 9)), ..same() };
    let error = resume(&run.data(), other.clone()).expect_err("other validation data");
    assert!(matches!(error, TrainError::OtherData { what: "the data to validate on", .. }));
    assert!(resume(&run.data(), ResumeOptions { other_data: true, ..other }).is_ok());
    let error = resume(&run.data(), ResumeOptions::default()).expect_err("no validation data");
    assert!(matches!(error, TrainError::NoValidation { .. }), "{error}");

    let data = run.data();
    let mut again = reloaded(&model);
    let error = again.resume(&data, &same(), &mut ()).expect_err("no callbacks");
    let name = "early_stopping(val_loss)".to_owned();
    assert_eq!(error, TrainError::OtherCallbacks { name });
    let alone = ResumeOptions { other_callbacks: true, ..same() };
    assert!(again.resume(&data, &alone, &mut ()).is_ok());

    let error = reloaded(&model).fit(&data, &FitOptions::default()).expect_err("in mid-epoch");
    assert_eq!(error, TrainError::Interrupted { epoch: 1, steps: 1 });
    let mut forgetful = reloaded(&model);
    forgetful.forget_fit();
    assert!(forgetful.fit(&data, &FitOptions::default()).is_ok());
    assert_eq!(forgetful.resume(&data, &same(), &mut ()), Err(TrainError::NoFit));

    // An epoch of 5 steps in place of the one begun with steps of 16 samples.
    let smaller = ResumeOptions { batch_size: Some(8), ..same() };
    let mut again = reloaded(&model);
    again.resume(&data, &smaller, &mut run.callbacks(None)).expect("insisted");
    assert_eq!(again.steps(), 3 + 1 + 2 * 5);
}

#[test]
fn other_arithmetic_is_refused_until_told_otherwise() {
    let (run, model) = interrupted();
    let altered = |shard, revision| {
        let mut checkpoint = model.to_checkpoint().into_owned();
        let state = checkpoint.training.as_mut().expect("always there");
        (state.shard, state.arithmetic_revision) = (shard, revision);
        Model::from_checkpoint(&checkpoint).expect("it predicts all the same")
    };
    let same = || ResumeOptions { validation: run.validation(), ..ResumeOptions::default() };
    let resume = |mut model: Model, options| {
        model.resume(&run.data(), &options, &mut run.callbacks(None)).map(|_| model)
    };
    let error = resume(altered(16, ARITHMETIC_REVISION - 1), same()).expect_err("other arithmetic");
    let (before, now) = (ARITHMETIC_REVISION - 1, ARITHMETIC_REVISION);
    assert_eq!(error, TrainError::OtherArithmetic { before, now });
    let error = resume(altered(8, ARITHMETIC_REVISION), same()).expect_err("other shards");
    assert_eq!(error, TrainError::OtherShard { before: 8, now: 16 });

    let old = altered(8, ARITHMETIC_REVISION - 1);
    assert_eq!(old.training_state().shard, 8, "saved again, it says what made it");
    let insist = ResumeOptions { other_arithmetic: true, other_shard: true, ..same() };
    let resumed = resume(old, insist).expect("insisted");
    assert_eq!(resumed.training_state().arithmetic_revision, ARITHMETIC_REVISION);
}

#[test]
fn a_resume_without_the_state_of_the_optimizer_is_refused_until_told_otherwise() {
    let (run, model) = interrupted();
    let saved = model.to_bytes(SaveOptions { optimizer: false, ..SaveOptions::default() });
    let mut model = Model::from_bytes(&saved.expect("it can be saved")).expect("and loaded");
    let same = || ResumeOptions { validation: run.validation(), ..ResumeOptions::default() };
    let error = model.resume(&run.data(), &same(), &mut run.callbacks(None)).expect_err("no state");
    assert_eq!(error, TrainError::NoOptimizerState);
    let insist = ResumeOptions { other_optimizer: true, ..same() };
    model.resume(&run.data(), &insist, &mut run.callbacks(None)).expect("insisted");
}

#[test]
fn counts_made_by_hand_are_checked() {
    let (_, model) = interrupted();
    let mut checkpoint = model.to_checkpoint();
    checkpoint.optimizer.as_mut().unwrap().step = 1 << 53;
    let error = Model::from_checkpoint(&checkpoint).expect_err("no training is as long");
    assert!(error.to_string().contains("steps of the optimizer must be below 2^53"), "{error}");
    let mut checkpoint = model.to_checkpoint();
    checkpoint.training.as_mut().unwrap().epoch = u64::MAX;
    let error = Model::from_checkpoint(&checkpoint).expect_err("no training is as long");
    assert!(error.to_string().contains("finished must be below 2^53"), "{error}");
}

/// A fit that only a callback ends can be saved and resumed.
#[test]
fn a_fit_without_an_end_can_be_saved() {
    let run = Run { epochs: u64::MAX, ..plain() };
    let mut model = run.model();
    run.fit(&mut model, Some(5)).expect("data that fits");
    let mut again = reloaded(&model);
    let same = ResumeOptions {
        validation: run.validation(),
        end: Some(u64::MAX),
        ..ResumeOptions::default()
    };
    again.resume(&run.data(), &same, &mut run.callbacks(Some(1))).expect("the same data");
    reloaded(&again);
}

/// Settings that `compile_with` would refuse are refused in a checkpoint too.
#[test]
fn settings_made_by_hand_are_checked() {
    let (_, model) = interrupted();
    type Change = fn(&mut keepnet::CompileSettings);
    let changes: [Change; 4] = [
        |settings| settings.losses.clear(),
        |settings| settings.optimizer.learning_rate = f64::NAN,
        |settings| settings.optimizer.schedule = Schedule::Cosine { steps: 0, floor: 0.0 },
        |settings| settings.metrics.clear(), // but the interrupted epoch has a sum of one
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut checkpoint = model.to_checkpoint().into_owned();
        change(checkpoint.compile.as_mut().expect("compiled"));
        assert!(Model::from_checkpoint(&checkpoint).is_err(), "change {index}");
    }
}

/// The step of a checkpoint, and that of the best so far.
type Kept = (u64, Option<u64>);

/// What is kept, and the step at which keeping fails.
#[derive(Clone, Default)]
struct Steps(Rc<RefCell<Vec<Kept>>>, Option<u64>);

impl CheckpointStore for Steps {
    fn keep(
        &mut self,
        model: &Model,
        step: u64,
        last: usize,
        best: Option<u64>,
    ) -> Result<(), CallbackError> {
        assert_eq!((last, model.steps()), (2, step));
        if self.1 == Some(step) {
            return Err("the disk is full".into());
        }
        // What is saved at this moment can be resumed to the end.
        let (run, mut again) = (plain(), reloaded(model));
        let options = ResumeOptions { validation: run.validation(), ..ResumeOptions::default() };
        let mut callback = ModelCheckpoint::new(Nowhere, Every::Steps(100));
        again.resume(&run.data(), &options, &mut callback)?;
        assert_eq!(again.steps(), 9);
        self.0.borrow_mut().push((step, best));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

struct Nowhere;

impl CheckpointStore for Nowhere {
    fn keep(&mut self, _: &Model, _: u64, _: usize, _: Option<u64>) -> Result<(), CallbackError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

#[test]
fn checkpoints_are_made_when_they_are_due() {
    let run = plain(); // three steps an epoch
    let kept = |checkpoints: fn(Steps) -> ModelCheckpoint<Steps>| {
        let store = Steps::default();
        let mut callback = checkpoints(store.clone()).keep_last(2);
        let options = FitOptions {
            epochs: 3,
            batch_size: 16,
            validation: run.validation(),
            ..FitOptions::default()
        };
        run.model().fit_with(&run.data(), &options, &mut callback).expect("data that fits");
        store.0.take()
    };
    let steps = |kept: Vec<Kept>| kept.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    assert_eq!(steps(kept(|to| ModelCheckpoint::new(to, Every::Steps(2)))).0, [2, 4, 6, 8]);
    assert_eq!(steps(kept(|to| ModelCheckpoint::new(to, Every::Epochs(2)))).0, [6]);
    // The loss falls from epoch to epoch.
    let best = kept(|to| ModelCheckpoint::best_only(to, Monitor::min("loss")));
    assert!(!best.is_empty() && best.iter().all(|(step, best)| *best == Some(*step)), "{best:?}");
}

#[test]
fn a_checkpoint_that_cannot_be_kept_ends_the_fit() {
    let run = plain();
    let mut callback = ModelCheckpoint::new(Steps(Rc::default(), Some(4)), Every::Steps(4));
    callback = callback.keep_last(2);
    let mut model = run.model();
    let options = FitOptions { batch_size: 16, epochs: 3, ..FitOptions::default() };
    let error = model.fit_with(&run.data(), &options, &mut callback).expect_err("a full disk");
    assert_eq!(error.to_string(), "a callback ended training: the disk is full");
    assert_eq!(model.steps(), 4);
    assert!(model.fit_under_way().is_some(), "it can be resumed");
}
