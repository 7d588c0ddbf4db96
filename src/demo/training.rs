//! The network, new or resumed, and its training.

use std::path::Path;
use std::time::Duration;

use crate::model::{Activation, Loss, Optimizer, Schedule, Sequential};
use crate::nn::Model;
use crate::report::numbers::{grouped, percent};
use crate::saving::CheckpointFolder;
use crate::tensor::Shape;
use crate::train::callbacks::{EarlyStopping, Every, ModelCheckpoint, Monitor};
use crate::train::{Callback, FitOptions, ResumeOptions};

use super::data::Data;
use super::failure::Failure;
use super::options::Options;
use super::progress::Progress;
use super::recipe::Recipe;
use super::screen::Screen;

const LEARNING_RATE: f64 = 0.001;

/// What training took.
pub(crate) struct Trained {
    pub(crate) images: u64,
    pub(crate) time: Duration,
    /// `None` if none were asked for.
    pub(crate) checkpoints: Option<Checkpointed>,
}

/// What the checkpoints took.
pub(crate) struct Checkpointed {
    pub(crate) saved: u64,
    /// How long training waited for them.
    pub(crate) held_up: Duration,
}

/// Where checkpoints go, if they are asked for.
pub(crate) struct Checkpoints(Option<ModelCheckpoint<CheckpointFolder>>);

impl Checkpoints {
    /// Makes the folder for the training of `model`. One that is in use is left to the run that uses
    /// it.
    pub(crate) fn prepare(options: &Options, model: &Model) -> Result<Self, Failure> {
        let Some(dir) = &options.checkpoint_dir else {
            return Ok(Self(None));
        };
        let folder = CheckpointFolder::new(dir)?;
        let in_use = !options.resume && !folder.steps()?.is_empty();
        if in_use || !folder.belongs_to(model)? {
            return Err(Failure::FolderInUse { folder: dir.clone() });
        }
        let every = Every::Steps(options.checkpoint_every);
        let checkpoints = ModelCheckpoint::new(folder, every);
        Ok(Self(Some(checkpoints.keep_best(Monitor::max("val_accuracy")))))
    }
}

impl Trained {
    /// Not a number if there was nothing to train.
    pub(crate) fn images_per_second(&self) -> f64 {
        match self.images {
            0 => f64::NAN,
            images => images as f64 / self.time.as_secs_f64(),
        }
    }
}

/// The network of many a first course: two convolutions, each with pooling, and two dense layers.
pub(crate) fn new_model(
    image: &Shape,
    classes: usize,
    schedule: Schedule,
    seed: u64,
) -> Result<Model, Failure> {
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
    let optimizer = Optimizer::adam(LEARNING_RATE).with_schedule(schedule);
    model.compile(optimizer, Loss::SparseCategoricalCrossentropy)?;
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
        (new_model(image, data.classes.len(), recipe.schedule(), recipe.seed)?, recipe)
    };
    recipe.note_in(&mut model);
    Ok((model, recipe))
}

/// Trains until the model has all its epochs behind it, or is asked to stop.
pub(crate) fn train(
    model: &mut Model,
    data: &Data,
    recipe: &Recipe,
    Checkpoints(mut checkpoints): Checkpoints,
    screen: &mut Screen,
) -> Result<Trained, Failure> {
    let train = recipe.select(&data.train);
    let (images, state) = (train.len() as u64, model.training_state());
    // A fit that early stopping has ended, and that was interrupted before it knew, ends where it did.
    let end = match model.fit_under_way() {
        Some(fit) => recipe.other_epochs.unwrap_or(fit.end),
        None => recipe.epochs,
    };
    let epochs = end.saturating_sub(state.epoch);
    if epochs == 0 {
        let behind = state.epoch;
        screen.line(format_args!("Epochs behind the model: {behind}; train more with --epochs"))?;
        if model.fit_under_way().is_none() {
            return Ok(Trained { images: 0, time: Duration::ZERO, checkpoints: None });
        }
    }
    match (state.epoch + 1, state.step_in_epoch) {
        _ if epochs == 0 => {}
        (1, 0) => {}
        (epoch, 0) => screen.line(format_args!("Going on with epoch {epoch}"))?,
        (epoch, step) => {
            screen.line(format_args!("Going on in epoch {epoch} after step {step}"))?;
        }
    }
    let behind = state.step_in_epoch.saturating_mul(recipe.batch_size as u64).min(images);
    let planned = epochs.saturating_mul(images).saturating_sub(behind);
    let mut progress = Progress::new(screen, recipe.epochs, images, planned, behind);
    progress.begin()?;
    let mut callbacks: Vec<Box<dyn Callback + '_>> = vec![Box::new(&mut progress)];
    if let Some(patience) = recipe.early_stopping {
        let stopping = EarlyStopping::new(Monitor::min("val_loss")).patience(patience);
        callbacks.push(Box::new(stopping.restore_best()));
    }
    if let Some(checkpoints) = &mut checkpoints {
        callbacks.push(Box::new(checkpoints));
    }
    let validation = Some(data.validation.clone());
    if model.fit_under_way().is_some() {
        let end = Some(end);
        // Whether checkpoints are made does not change what is trained.
        let other_callbacks = true;
        let options = ResumeOptions { validation, end, other_callbacks, ..Default::default() };
        model.resume(&train, &options, &mut callbacks)?;
    } else {
        let batch_size = recipe.batch_size;
        let options = FitOptions { epochs, batch_size, validation, ..FitOptions::default() };
        model.fit_with(&train, &options, &mut callbacks)?;
    }
    drop(callbacks);
    let mut trained = progress.end()?;
    if model.fit_under_way().is_none() && model.training_state().epoch < recipe.epochs {
        screen.line(format_args!("Stopped early; the parameters are those of the best epoch"))?;
    }
    if let Some(mut checkpoints) = checkpoints {
        if model.fit_under_way().is_some() {
            checkpoints.keep_now(model).map_err(Failure::Callback)?;
        }
        let (saved, held_up) = (checkpoints.store().saved(), checkpoints.store().held_up());
        let share = held_up.as_secs_f64() / trained.time.as_secs_f64();
        let (count, share) = (grouped(saved), percent(share, 1));
        screen
            .line(format_args!("{count} checkpoints held training up for {share} of its time"))?;
        trained.checkpoints = Some(Checkpointed { saved, held_up });
    }
    Ok(trained)
}
