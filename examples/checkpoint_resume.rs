//! Checkpoints: a run that is cut off in the middle of an epoch goes on from the newest checkpoint that
//! can be believed, and ends in the same file as one that nothing happened to.
//!
//! `cargo run --release --example checkpoint_resume`

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use keepnet::train::callbacks::Every;
use keepnet::train::data::{Split, mnist};
use keepnet::{
    Activation, Callback, CallbackError, CheckpointFolder, FitOptions, Loss, Model,
    ModelCheckpoint, Optimizer, ResumeOptions, SaveOptions, Sequential, Shape, StepReport,
    newest_checkpoint,
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("keepnet-{}", std::process::id()));
    let shown = mnist::embedded().map_err(Into::into).and_then(|data| run(&folder, &data));
    fs::remove_dir_all(&folder)?;
    shown
}

/// All of it, with the checkpoints in `folder`.
pub(crate) fn run(folder: &Path, data: &Split) -> Result<(), Box<dyn Error>> {
    let steps = data.train.len().div_ceil(BATCH) as u64;
    let mut undisturbed = network()?;
    undisturbed.fit(&data.train, &options())?;

    let checkpoints = ModelCheckpoint::new(CheckpointFolder::new(folder)?, Every::Steps(2));
    let cut_off = CutOff { after: steps + steps / 2 };
    let mut callbacks: Vec<Box<dyn Callback>> = vec![Box::new(checkpoints), Box::new(cut_off)];
    network()?.fit_with(&data.train, &options(), &mut callbacks)?;
    println!("cut off after {} of {} steps", steps + steps / 2, 2 * steps);

    // The newest checkpoint has been damaged as well.
    let mut names: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    names.sort();
    let newest = names.pop().ok_or("no checkpoint")?;
    fs::write(&newest, &fs::read(&newest)?[..1_000])?;

    let model = go_on(folder, data)?;
    let all = SaveOptions::default();
    assert_eq!(model.to_bytes(all)?, undisturbed.to_bytes(all)?);
    println!("the file at the end: the same {} bytes", model.to_bytes(all)?.len());
    Ok(())
}

const BATCH: usize = 64;

fn options() -> FitOptions {
    FitOptions { epochs: 2, batch_size: BATCH, ..Default::default() }
}

fn network() -> Result<Model, keepnet::Error> {
    let mut model = Sequential::new(Shape::image(28, 28, 1))
        .conv2d(8, 3, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(10, Activation::Softmax)
        .build(7)?;
    model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy)?;
    Ok(model)
}

/// What a process does that finds the folder after a crash.
fn go_on(folder: &Path, data: &Split) -> Result<Model, Box<dyn Error>> {
    let newest = newest_checkpoint(folder)?;
    for (path, doubt) in &newest.skipped {
        println!("passed over {}: {doubt}", path.display());
    }
    let (path, mut model) = newest.found.ok_or("no checkpoint can be believed")?;
    println!("going on from {}", path.display());
    let mut checkpoints = ModelCheckpoint::new(CheckpointFolder::new(folder)?, Every::Steps(2));
    model.resume(&data.train, &ResumeOptions::default(), &mut checkpoints)?;
    Ok(model)
}

/// Stands for a power failure.
struct CutOff {
    after: u64,
}

impl Callback for CutOff {
    fn on_step_end(
        &mut self,
        model: &Model,
        _: &StepReport,
    ) -> Result<ControlFlow<()>, CallbackError> {
        Ok(if model.steps() < self.after {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    }
}
