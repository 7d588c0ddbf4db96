//! What the user's paths refer to.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use keepnet::format::{self, FormatError, Limits, LoadOptions};
use keepnet::model::Checkpoint;
use keepnet::nn::SHARD;
use keepnet::{Model, ModelError, Shape};

use crate::failure::Failure;
use crate::foreign::tell;

/// The most bytes that are read of a file of arrays or pictures.
const LIMIT: u64 = 8 << 30;

/// What a model of another program leaves open that takes any size.
#[derive(Args)]
pub(crate) struct InputShapes {
    /// The shape of a sample, for a model that takes any size: height,width,channels for images, in this order
    /// even if the file has channels first. Repeat it for each input, in order
    #[arg(long, value_name = "N,…", value_parser = shape)]
    input_shape: Vec<Shape>,
}

impl InputShapes {
    pub(crate) fn options(&self) -> LoadOptions {
        LoadOptions { input_shapes: self.input_shape.clone(), ..Default::default() }
    }
}

fn shape(text: &str) -> Result<Shape, String> {
    let dims: Result<Vec<usize>, _> = text.split(',').map(|dim| dim.trim().parse()).collect();
    match dims {
        Ok(dims) if !dims.contains(&0) => Ok(Shape::new(dims)),
        _ => Err("expected numbers from 1 on, such as 224,224,3".to_owned()),
    }
}

/// Loads the model at `path`, and tells what did not come along.
pub(crate) fn load(path: &Path, shapes: &InputShapes) -> Result<Model, Failure> {
    let (checkpoint, report) = format::load_reported(path, shapes.options())?;
    tell(report.as_ref());
    runnable(path, &checkpoint)
}

/// The model that `checkpoint`, read from `path`, describes. A few bytes can describe layers larger
/// than any memory: those are refused before they are run.
pub(crate) fn runnable(path: &Path, checkpoint: &Checkpoint<'_>) -> Result<Model, Failure> {
    let training = checkpoint.compile.is_some();
    let checked = Limits::default().check_network(&checkpoint.graph, SHARD, training);
    checked.map_err(|source| FormatError::At { path: path.to_owned(), source: source.into() })?;
    Model::from_checkpoint(checkpoint).map_err(|source| in_model(path, source))
}

pub(crate) fn in_model(path: &Path, source: ModelError) -> Failure {
    Failure::Model { path: path.to_owned(), source: Box::new(source) }
}

/// All bytes of a file that is no model.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > LIMIT => {
            Err(Failure::TooLong { path: path.to_owned(), limit: LIMIT })
        }
        Ok(_) => Ok(bytes),
        Err(source) => Err(Failure::Read { path: path.to_owned(), source }),
    }
}

/// Refuses an `output` that is `input` under whatever name, or lies inside it. `what` the input is,
/// for the message.
pub(crate) fn keep_apart(input: &Path, output: &Path, what: &'static str) -> Result<(), Failure> {
    // A path that leads nowhere is the business of whoever opens it.
    let (Some(from), Some(to)) = (place(input), place(output)) else {
        return Ok(());
    };
    if from == to {
        return Err(Failure::SamePath { path: output.to_owned(), what });
    }
    if to.starts_with(&from) {
        return Err(Failure::Inside { path: output.to_owned(), input: input.to_owned() });
    }
    Ok(())
}

/// Where `path` leads, or what is written to it would stand.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(existing) = fs::canonicalize(path) {
        return Some(existing);
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Some(fs::canonicalize(parent).ok()?.join(path.file_name()?))
}
