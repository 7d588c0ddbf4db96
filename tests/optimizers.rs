//! Training with every optimizer, through files; losses and metrics that models are compiled with.

use keepnet::{
    Activation, Adadelta, Adagrad, Adam, Adamax, CompileSettings, Dataset, FitOptions, Loss,
    Metric, Model, Nadam, Optimizer, OptimizerRule, OutputLoss, RmsProp, Samples, SaveOptions,
    Schedule, Sequential, Sgd, Shape, Targets,
};

fn optimizers() -> Vec<Optimizer> {
    let rules = [
        OptimizerRule::Adam(Adam::default()),
        OptimizerRule::Adam(Adam { amsgrad: true, ..Adam::default() }),
        OptimizerRule::Sgd(Sgd { momentum: 0.9, nesterov: true }),
        OptimizerRule::RmsProp(RmsProp::default()),
        OptimizerRule::RmsProp(RmsProp { momentum: 0.5, centered: true, ..RmsProp::default() }),
        OptimizerRule::Nadam(Nadam::default()),
        OptimizerRule::Adamax(Adamax::default()),
        OptimizerRule::Adagrad(Adagrad::default()),
        OptimizerRule::Adadelta(Adadelta::default()),
    ];
    let schedule = Schedule::CosineRestarts { steps: 3, stretch: 1.5, shrink: 0.9, floor: 0.1 };
    let with = |rule| Optimizer::new(rule, 0.02).with_schedule(schedule.clone());
    rules.into_iter().map(with).collect()
}

/// Numbers within ±1 that look random.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|place| (place * 7919 % 1009) as f32 / 504.5 - 1.0).collect()
}

/// Sums of four numbers, by their signs.
fn data() -> Dataset {
    let x = numbers(40 * 4);
    let classes: Vec<u32> = x.chunks(4).map(|x| u32::from(x.iter().sum::<f32>() > 0.0)).collect();
    let x = Samples::new(40, Shape::vector(4), x).unwrap();
    Dataset::new(x, Targets::Classes(classes.into())).unwrap()
}

fn model(optimizer: &Optimizer) -> Model {
    let chain = Sequential::new([4]).dense(6, Activation::Tanh).dense(2, Activation::Softmax);
    let mut model = chain.build(7).unwrap();
    model.compile(optimizer.clone(), Loss::SparseCategoricalCrossentropy).unwrap();
    model
}

fn fit(model: &mut Model, epochs: u64) -> f64 {
    let options = FitOptions { epochs, batch_size: 16, ..FitOptions::default() };
    let history = model.fit(&data(), &options).unwrap();
    history.epochs.last().unwrap().get("loss").unwrap()
}

/// Whatever a rule needs to go on stands in its file.
#[test]
fn every_optimizer_goes_on_from_a_file_to_the_same_bits() {
    let home = tempfile::tempdir().unwrap();
    for optimizer in optimizers() {
        let rule = format!("{:?}", optimizer.rule);
        let (mut whole, mut parts) = (model(&optimizer), model(&optimizer));
        let first = fit(&mut whole, 1);
        let last = fit(&mut whole, 39);
        assert!(last < first, "{rule} learns nothing: {first} to {last}");
        let parameters = |model: &Model| model.to_bytes(SaveOptions::weights_only()).unwrap();
        fit(&mut parts, 1);
        for name in ["model.knet", "model.keras", "model.h5"] {
            let path = home.path().join(name);
            parts.save(&path).unwrap();
            let mut again = Model::load(&path).unwrap();
            fit(&mut again, 39);
            assert!(parameters(&again) == parameters(&whole), "{rule} by {name}");
            let state = |model: &Model| format!("{:?}", model.to_checkpoint().optimizer);
            assert_eq!(state(&again), state(&whole), "{rule} by {name}");
        }
    }
}

/// A model that gives what it takes, compiled so.
fn identity(loss: Loss, label_smoothing: f64, metrics: Vec<Metric>) -> Model {
    let mut model = Sequential::new([2]).activation(Activation::Linear).build(0).unwrap();
    let output = model.graph().outputs()[0].name.clone();
    let losses = vec![OutputLoss { label_smoothing, ..OutputLoss::new(output, loss) }];
    let optimizer = Optimizer::default();
    model.compile_with(CompileSettings { optimizer, losses, metrics }).unwrap();
    model
}

#[test]
fn losses_and_roots_as_metrics() {
    let (y, t) = (numbers(1200), numbers(1210).split_off(10));
    let samples = |values: &[f32]| Samples::new(600, Shape::vector(2), values.to_vec()).unwrap();
    let data = Dataset::new(samples(&y), Targets::Values(samples(&t))).unwrap();
    let metrics = vec![
        Metric::RootMeanSquaredError,
        Metric::Loss(Loss::MeanAbsoluteError),
        Metric::Loss(Loss::Huber { delta: 0.25 }),
    ];
    let found = identity(Loss::MeanSquaredError, 0.0, metrics).evaluate(&data).unwrap();
    let distances = || y.iter().zip(&t).map(|(y, t)| f64::from((y - t).abs()));
    let mean = |of: fn(f64) -> f64| distances().map(of).sum::<f64>() / 1200.0;
    let huber = mean(|x| if x <= 0.25 { x * x / 2.0 } else { 0.25 * (x - 0.125) });
    for (name, expected) in [
        ("loss", mean(|x| x * x)),
        ("root_mean_squared_error", mean(|x| x * x).sqrt()),
        ("mean_absolute_error", mean(|x| x)),
        ("huber", huber),
    ] {
        let value = found.get(name).unwrap();
        assert!((value - expected).abs() < 1e-6, "{name}: {value}, not {expected}");
    }
}

/// The loss sees the smoothed targets, the metrics do not.
#[test]
fn labels_are_smoothed_for_the_loss_alone() {
    let y = Samples::new(1, Shape::vector(2), vec![0.25, 0.75]).unwrap();
    let t = Samples::new(1, Shape::vector(2), vec![1.0, 0.0]).unwrap();
    let data = Dataset::new(y, Targets::Values(t)).unwrap();
    let metrics = vec![Metric::Loss(Loss::CategoricalCrossentropy), Metric::Accuracy];
    let found = identity(Loss::CategoricalCrossentropy, 0.2, metrics).evaluate(&data).unwrap();
    // −ln ¼, −ln ¾
    let (rare, usual) = (1.386_294_4, 0.287_682_1);
    for (name, expected) in
        [("loss", 0.9 * rare + 0.1 * usual), ("categorical_crossentropy", rare), ("accuracy", 0.0)]
    {
        let value = found.get(name).unwrap();
        assert!((value - expected).abs() < 1e-6, "{name}: {value}, not {expected}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |change: &dyn Fn(&mut CompileSettings)| {
        let mut model = model(&Optimizer::default());
        let mut settings = model.compiled().unwrap().clone();
        change(&mut settings);
        model.compile_with(settings).unwrap_err().to_string()
    };
    let says = |words: &str, change: &dyn Fn(&mut CompileSettings)| {
        let found = refused(change);
        assert!(found.contains(words), "{found}");
    };
    says("takes no smoothed labels", &|settings| settings.losses[0].label_smoothing = 0.1);
    says("label_smoothing must be from 0 to below 1", &|settings| {
        settings.losses[0].loss = Loss::CategoricalCrossentropy;
        settings.losses[0].label_smoothing = 1.0;
    });
    says("root_mean_squared_error does not take the targets", &|settings| {
        settings.metrics = vec![Metric::RootMeanSquaredError];
    });
    says("delta of a Huber loss must be above 0", &|settings| {
        settings.losses[0].loss = Loss::Huber { delta: 0.0 };
    });
    says("initial_accumulator must be 0 or more", &|settings| {
        let adagrad = Adagrad { initial_accumulator: -1.0, ..Adagrad::default() };
        settings.optimizer.rule = OptimizerRule::Adagrad(adagrad);
    });
    says("must be from 1 to 1000", &|settings| {
        let schedule = Schedule::CosineRestarts { steps: 1, stretch: 0.5, shrink: 1.0, floor: 0.0 };
        settings.optimizer.schedule = schedule;
    });
}
