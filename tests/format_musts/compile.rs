//! FORMAT.md, chapter 4: what came with schema 2 of the compile settings.

use keepnet::format::to_bytes;
use keepnet::{
    Adadelta, Adagrad, Adam, Adamax, Checkpoint, CompileSettings, Loss, Metric, Nadam, Optimizer,
    OptimizerRule, OutputLoss, RmsProp, Schedule,
};
use serde_json::Value;

use crate::format_support::container::Container;
use crate::format_support::refusal::{assert_says, container, damage, read};
use crate::format_support::small;

/// Everything that `docs/FORMAT.md` marks in chapter 4, one at a time.
fn newer_settings() -> Vec<CompileSettings> {
    let settings = || small().compile.unwrap();
    let rules: [OptimizerRule; 6] = [
        OptimizerRule::Adam(Adam { amsgrad: true, ..Adam::default() }),
        OptimizerRule::RmsProp(RmsProp { centered: true, ..RmsProp::default() }),
        OptimizerRule::Nadam(Nadam::default()),
        OptimizerRule::Adamax(Adamax::default()),
        OptimizerRule::Adagrad(Adagrad::default()),
        OptimizerRule::Adadelta(Adadelta::default()),
    ];
    let schedules = [
        Schedule::InverseTime { steps: 1, rate: 0.1, staircase: false },
        Schedule::Polynomial { steps: 1, floor: 0.0, power: 1.0, cycle: false },
        Schedule::CosineRestarts { steps: 1, stretch: 2.0, shrink: 1.0, floor: 0.0 },
    ];
    let losses = [
        Loss::Huber { delta: 1.0 },
        Loss::LogCosh,
        Loss::KlDivergence,
        Loss::Poisson,
        Loss::Hinge,
        Loss::SquaredHinge,
        Loss::CategoricalHinge,
        Loss::MeanAbsolutePercentageError,
        Loss::MeanSquaredLogarithmicError,
        Loss::CosineSimilarity,
    ];
    let mut all = Vec::new();
    all.extend(
        rules.map(|rule| CompileSettings { optimizer: Optimizer::new(rule, 0.1), ..settings() }),
    );
    all.extend(schedules.into_iter().flat_map(|schedule| {
        let warm_up = Schedule::WarmUp { steps: 1, from: 0.0, then: Box::new(schedule.clone()) };
        [schedule, warm_up].map(|schedule| CompileSettings {
            optimizer: Optimizer::default().with_schedule(schedule),
            ..settings()
        })
    }));
    let with_losses = |loss: Loss| {
        let losses = vec![OutputLoss::new("dense", loss)];
        CompileSettings { losses, metrics: Vec::new(), ..settings() }
    };
    all.extend(losses.map(with_losses));
    let mut smoothed = with_losses(Loss::CategoricalCrossentropy);
    smoothed.losses[0].label_smoothing = 0.1;
    all.push(smoothed);
    let metrics = [Metric::Loss(Loss::MeanAbsoluteError), Metric::RootMeanSquaredError];
    all.extend(metrics.map(|metric| CompileSettings {
        metrics: vec![metric],
        ..with_losses(Loss::MeanSquaredError)
    }));
    all
}

#[test]
fn f_61_schemas_of_compile_settings() {
    let compile = |file: &[u8]| {
        let text = Container::take_apart(file).section("compile").payload.clone();
        serde_json::from_slice::<Value>(&text).unwrap()
    };
    // What was there before is written as before.
    assert_eq!(compile(&to_bytes(&small()).unwrap())["schema"], 1);
    for settings in newer_settings() {
        let bare = Checkpoint { optimizer: None, training: None, ..small() };
        let file = to_bytes(&Checkpoint { compile: Some(settings.clone()), ..bare }).unwrap();
        assert_eq!(compile(&file)["schema"], 2, "{settings:?}");
        assert_eq!(read(&file).unwrap().compile, Some(settings));
        let early =
            Container::take_apart(&file).replacing("compile", "\"schema\": 2", "\"schema\": 1");
        assert_says(
            &damage(&early),
            &["the schema of these compile settings should be 2, but is 1"],
        );
    }
    let greater = container().replacing("compile", "\"schema\": 1", "\"schema\": 2");
    assert_says(&damage(&greater), &["the schema of these compile settings should be 1, but is 2"]);
    // What is left out where it says nothing must be.
    let weight = "\"weight\": 1.0";
    let smoothed = format!("{weight},\n    \"label_smoothing\": 0.0");
    assert!(!damage(&container().replacing("compile", weight, &smoothed)).is_empty());
}
