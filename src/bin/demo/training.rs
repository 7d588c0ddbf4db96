//! The network, new or resumed, and its training.

use std::path::Path;
use std::time::Duration;

use keepnet::{Activation, FitOptions, Loss, Model, Optimizer, ResumeOptions, Sequential, Shape};

use crate::data::Data;
use crate::failure::Failure;
use crate::options::Options;
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::screen::Screen;

const LEARNING_RATE: f64 = 0.001;

/// What training took.
pub(crate) struct Trained {
    pub(crate) images: u64,
    pub(crate) time: Duration,
}

impl Trained {
    /// Not a number if there was nothing to train.
    pub(crate) fn images_per_second(&self) -> f64 {
        self.images as f64 / self.time.as_secs_f64()
    }
}

/// The network of many a first course: two convolutions, each with pooling, and two dense layers.
pub(crate) fn new_model(image: &Shape, classes: usize, seed: u64) -> Result<Model, Failure> {
    let mut model = Sequential::new(image.clone())
        .name("mnist")
        .conv2d(32, 3, Activation::Relu)
        .max_pool2d(2)
        .conv2d(64, 3, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(128, Activation::Relu)
        .dense(classes, Activation::Softmax)
        .build(seed)?;
    model.compile(Optimizer::adam(LEARNING_RATE), Loss::SparseCategoricalCrossentropy)?;
    Ok(model)
}

/// The model to train, and how.
pub(crate) fn begin(
    options: &Options,
    path: &Path,
    data: &Data,
) -> Result<(Model, Recipe), Failure> {
    let (mut model, recipe) = if options.resume {
        if !path.exists() {
            return Err(Failure::NothingToResume { path: path.to_owned() });
        }
        let model = Model::load(path)?;
        let recipe = Recipe::of_resumed(&model, path, options, &data.train)?;
        (model, recipe)
    } else {
        let recipe = Recipe::new(options, &data.train)?;
        let image = data.train.inputs()[0].shape();
        (new_model(image, data.classes.len(), recipe.seed)?, recipe)
    };
    recipe.note_in(&mut model);
    Ok((model, recipe))
}

/// Trains until the model has all its epochs behind it, or is asked to stop.
pub(crate) fn train(
    model: &mut Model,
    data: &Data,
    recipe: &Recipe,
    screen: &mut Screen,
) -> Result<Trained, Failure> {
    let train = recipe.select(&data.train);
    let (images, state) = (train.len() as u64, model.training_state());
    let epochs = recipe.epochs.saturating_sub(state.epoch);
    if epochs == 0 {
        let behind = state.epoch;
        screen.line(format_args!("Epochs behind the model: {behind}; train more with --epochs"))?;
        return Ok(Trained { images: 0, time: Duration::ZERO });
    }
    match (state.epoch + 1, state.step_in_epoch) {
        (1, 0) => {}
        (epoch, 0) => screen.line(format_args!("Going on with epoch {epoch}"))?,
        (epoch, step) => {
            screen.line(format_args!("Going on in epoch {epoch} after step {step}"))?;
        }
    }
    let behind = state.step_in_epoch.saturating_mul(recipe.batch_size as u64).min(images);
    let planned = epochs.saturating_mul(images) - behind;
    let mut progress = Progress::new(screen, recipe.epochs, images, planned, behind);
    progress.begin()?;
    let validation = Some(data.validation.clone());
    if model.fit_under_way().is_some() {
        let end = Some(recipe.epochs);
        let options = ResumeOptions { validation, end, ..ResumeOptions::default() };
        model.resume(&train, &options, &mut progress)?;
    } else {
        let batch_size = recipe.batch_size;
        let options = FitOptions { epochs, batch_size, validation, ..FitOptions::default() };
        model.fit_with(&train, &options, &mut progress)?;
    }
    Ok(progress.end()?)
}
