//! The callbacks by the rules of Keras 3's, worked out by hand: each is told of epochs with the
//! figures written here.

use keepnet::{
    Activation, Callback, EarlyStopping, EpochRecord, Loss, Model, Monitor, Optimizer,
    ReduceOnPlateau, Sequential, Stop,
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
}

#[test]
fn a_figure_that_is_not_there_is_an_error() {
    let mut callback = EarlyStopping::new(Monitor::min("loss"));
    let error = callback.on_epoch_end(&mut model(), &record(3, 0.5)).expect_err("no such figure");
    let expected = "epoch 3 has no figure `loss` to be judged by; it has val_loss";
    assert_eq!(error.to_string(), expected);
}
