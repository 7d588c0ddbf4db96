//! The whole story of keepnet on MNIST in one command: train a network, keep it in all forms, those of
//! Keras too, and prove that what comes back is the same model, bit for bit.

mod command;
mod data;
mod failure;
mod interrupt;
mod kept;
mod options;
mod outcome;
mod progress;
mod recipe;
mod resume;
mod scores;
mod screen;
mod training;

use std::io;
use std::process::ExitCode;

use crate::bytes::atomic;
use crate::nn::Model;
use crate::report::{ClassifiedImage, Gallery, gallery, summary, training_curves};
use clap::Parser;

use self::data::Data;
use self::failure::Failure;
use self::kept::{Kept, Out};
use self::options::Options;
use self::outcome::{Ending, Outcome};
use self::recipe::Recipe;
pub use self::resume::Resume;
use self::scores::Scores;
use self::screen::Screen;

/// The program `demo`.
pub fn main() -> ExitCode {
    let options = Options::parse();
    let begin = |data: &Data, out: &Out, _: &mut Screen| {
        let (model, recipe) = training::begin(&options, &out.file, data)?;
        Ok((model, recipe, command::to_resume(&options)))
    };
    run(&options, begin).unwrap_or_else(|failure| failure.tell())
}

/// The command `keepnet resume`: goes on with what `demo --checkpoint-dir` began.
pub fn resume(request: &Resume) -> ExitCode {
    let resumed = || {
        let options = request.options();
        let screen = &mut Screen::new(&options);
        let (model, from) = resume::newest(request, screen)?;
        let options = Options { data: resume::source(request, &model)?, ..options };
        let begin = |data: &Data, _: &Out, screen: &mut Screen| {
            screen.line(format_args!("Going on from {}", from.display()))?;
            let recipe = Recipe::of_resumed(&model, &from, &options, &data.train)?;
            Ok((model, recipe, command::as_given()))
        };
        run(&options, begin)
    };
    resumed().unwrap_or_else(|failure: Failure| failure.tell())
}

/// Trains what `begin` gives, and tells the story. With the model comes the command that goes on if
/// training is interrupted.
fn run(
    options: &Options,
    begin: impl FnOnce(&Data, &Out, &mut Screen) -> Result<(Model, Recipe, String), Failure>,
) -> Result<ExitCode, Failure> {
    crate::kernels::instruction_set()?;
    if let Some(threads) = options.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    let screen = &mut Screen::new(options);
    let out = Out::prepare(&options.out, options.all_formats)?;
    let data = Data::load(options, screen)?;
    data.show(screen)?;
    let (mut model, recipe, resume) = begin(&data, &out, screen)?;
    let checkpoints = training::Checkpoints::prepare(options, &model)?;
    show_network(&model, screen)?;

    interrupt::heed()?;
    screen.heading("Training")?;
    let trained = match training::train(&mut model, &data, &recipe, checkpoints, screen) {
        Ok(trained) => trained,
        Err(failure) => {
            // What was trained is worth more than the order of the messages.
            out.save(&model)?;
            screen.line(format_args!("The model as it stands is saved"))?;
            return Err(failure);
        }
    };
    let mut kept = out.save(&model)?;
    let stopped = interrupt::stop_heeding();
    let (ending, different) = if stopped && model.fit_under_way().is_some() {
        show_how_to_go_on(&model, &kept, &resume, screen)?;
        (Ending::Interrupted { resume }, 0)
    } else {
        let scores = Scores::of(&model, &data)?;
        screen.heading("Evaluation on images it was not trained on")?;
        scores.show(screen)?;
        let different = prove(&model, &mut kept, &scores, &data, screen)?;
        if options.all_formats {
            screen.heading("Every form, and what came back in every bit")?;
            screen.block(&kept::table(&kept).render(screen.charset))?;
        }
        draw(&model, &scores.pictures(&data), &out, screen)?;
        show_what_next(&out, screen)?;
        (Ending::Done(scores), different)
    };

    if options.json {
        let outcome = Outcome {
            data: &data,
            recipe: &recipe,
            model: &model,
            trained: &trained,
            kept: &kept,
            out: &out,
            ending: &ending,
        };
        outcome.write_json(io::stdout().lock())?;
    }
    match ending {
        Ending::Interrupted { .. } => Ok(ExitCode::from(interrupt::EXIT_STATUS)),
        Ending::Done(_) if different > 0 => Err(Failure::Different { different }),
        Ending::Done(_) => Ok(ExitCode::SUCCESS),
    }
}

fn show_network(model: &Model, screen: &mut Screen) -> io::Result<()> {
    screen.heading("Network")?;
    screen.block(&summary(model.graph()).render(screen.charset))
}

/// Loads all forms back and compares parameters and predictions; gives how many differ.
fn prove(
    model: &Model,
    kept: &mut [Kept],
    scores: &Scores,
    data: &Data,
    screen: &mut Screen,
) -> Result<usize, Failure> {
    screen.heading("Proof that the saved model is this model")?;
    let images = &data.validation.inputs()[0];
    let mut different = 0;
    for form in kept {
        different += form.prove(model, images, &scores.predictions)?;
        form.show(screen)?;
    }
    Ok(different)
}

/// Shows pictures in the terminal, and draws them with the training curves as PNG.
fn draw(
    model: &Model,
    pictures: &[ClassifiedImage<'_>],
    out: &Out,
    screen: &mut Screen,
) -> Result<(), Failure> {
    scores::show_pictures(pictures, screen)?;
    for (path, png) in [
        (&out.predictions, gallery(pictures, &Gallery::default())),
        (&out.training, training_curves(model.history())),
    ] {
        atomic::write_file(path, |file| file.write_all(&png))
            .map_err(|source| Failure::NotWritten { path: path.clone(), source })?;
    }
    Ok(())
}

fn show_what_next(out: &Out, screen: &mut Screen) -> io::Result<()> {
    screen.heading("Look at")?;
    screen.line(format_args!("  {}  more images and mistakes", out.predictions.display()))?;
    screen.line(format_args!("  {}     how training went", out.training.display()))?;
    screen.heading("Try next")?;
    let keepnet = "cargo run --release --bin keepnet --";
    let file = command::quoted(&out.file.to_string_lossy());
    screen.line(format_args!("  {keepnet} verify {file}"))?;
    screen.line(format_args!("  {keepnet} inspect {file}"))?;
    screen.line(format_args!("  {keepnet} predict {file} digit.png --invert"))?;
    let keras = command::quoted(&out.keras.to_string_lossy());
    screen.line(format_args!("  {keepnet} doctor {keras}"))
}

fn show_how_to_go_on(
    model: &Model,
    kept: &[Kept],
    resume: &str,
    screen: &mut Screen,
) -> io::Result<()> {
    let state = model.training_state();
    let (epoch, step) = (state.epoch + 1, state.step_in_epoch);
    screen.heading(&format!("Stopped in epoch {epoch} after step {step}; the model is saved"))?;
    kept.iter().try_for_each(|form| form.show(screen))?;
    screen.heading("Go on with")?;
    screen.line(format_args!("  {resume}"))
}
