//! `keepnet convert`, `pack` and `unpack`: from one form to another.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use keepnet::SaveOptions;
use keepnet::format::{self, Format, FormatError, Limits};
use keepnet::model::Checkpoint;

use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::paths::keep_apart;

/// Save a model in another form, or with less in it
///
/// The form of IN is told by its content, that of OUT by its name: `.knet` for one file, a
/// trailing `/` or no extension for a directory, `.keras` or `.h5` for Keras. Everything is kept unless it is named to be left
/// out. What stands at OUT is replaced in one step.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keepnet convert mnist.knet mnist/                            a directory of NumPy arrays
  keepnet convert mnist.knet deploy.knet --weights-only        the network alone
  keepnet convert mnist.knet small.knet --without optimizer,history")]
pub(crate) struct Convert {
    /// The model
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// Where to save it
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Keep the network and its parameters alone
    #[arg(long, conflicts_with = "without")]
    weights_only: bool,
    /// Leave out these parts
    #[arg(long, value_name = "PART,…", value_enum, value_delimiter = ',')]
    without: Vec<Part>,
}

/// What need not be in a file.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Optimizer, losses and metrics as they were set
    Compile,
    /// What the optimizer remembers
    Optimizer,
    /// Seed, epoch and step that training goes on from
    Training,
    /// The figures of past epochs
    History,
    /// The user's notes
    Metadata,
    /// The saved answers that `keepnet verify` compares with
    Proof,
}

/// Turn the directory form into one file
///
/// `keepnet unpack` gives back the same directory, byte for byte.
#[derive(Args)]
#[command(after_help = "\
Example:
  keepnet pack mnist/ mnist.knet")]
pub(crate) struct Pack {
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Turn one file into the directory form
///
/// The directory holds a manifest, a NumPy array per tensor, and a file per other section.
/// `keepnet pack` gives back the same file, byte for byte.
#[derive(Args)]
#[command(after_help = "\
Example:
  keepnet unpack mnist.knet mnist/
  python3 -c 'import numpy; print(numpy.load(\"mnist/tensors/0000-conv2d-kernel.npy\"))'")]
pub(crate) struct Unpack {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

const MODEL: &str = "the model";

impl Convert {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let Self { input, output, .. } = &self;
        keep_apart(input, output, MODEL)?;
        let at = |path: &Path, source| {
            let (path, source) = (path.to_owned(), Box::new(source));
            FormatError::At { path, source }
        };
        let form = Format::for_saving(output).map_err(|error| at(output, error))?;
        let checkpoint = format::load(input, &Limits::default())?;
        let before = parts(&checkpoint);
        let checkpoint = self.options().apply(checkpoint);
        if let Some(id) = checkpoint.passed_over.first() {
            return Err(at(input, FormatError::WouldLose { id: id.clone() }).into());
        }
        let after = parts(&checkpoint);
        let hidden = format::save_reported(&checkpoint, output, form)?;
        let mut text = done("saved", input, output);
        let lost: Vec<_> = before.iter().filter(|part| !after.contains(part)).map(name).collect();
        if !lost.is_empty() {
            text += &format!("left out: {}\n", lost.join(", "));
        }
        hidden.iter().for_each(|hidden| text += &format!("{hidden}\n"));
        Ok(Outcome::text(&text))
    }

    fn options(&self) -> SaveOptions {
        if self.weights_only {
            return SaveOptions::weights_only();
        }
        let with = |part| !self.without.contains(&part);
        SaveOptions {
            compile: with(Part::Compile),
            optimizer: with(Part::Optimizer),
            training: with(Part::Training),
            history: with(Part::History),
            metadata: with(Part::Metadata),
            proof: with(Part::Proof),
        }
    }
}

/// The parts that are in `checkpoint`.
fn parts(checkpoint: &Checkpoint<'_>) -> Vec<Part> {
    let Checkpoint { compile, optimizer, training, history, metadata, proof, .. } = checkpoint;
    let held = [
        (Part::Compile, compile.is_some()),
        (Part::Optimizer, optimizer.is_some()),
        (Part::Training, training.is_some()),
        (Part::History, history.is_some()),
        (Part::Metadata, !metadata.is_empty()),
        (Part::Proof, proof.is_some()),
    ];
    held.into_iter().filter(|&(_, held)| held).map(|(part, _)| part).collect()
}

/// As the user writes it.
fn name(part: &Part) -> String {
    part.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

impl Pack {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let Self { directory, file } = self;
        keep_apart(&directory, &file, MODEL)?;
        format::pack(&directory, &file)?;
        Ok(Outcome::text(&done("packed", &directory, &file)))
    }
}

impl Unpack {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let Self { file, directory } = self;
        keep_apart(&file, &directory, MODEL)?;
        format::unpack(&file, &directory)?;
        Ok(Outcome::text(&done("unpacked", &file, &directory)))
    }
}

fn done(what: &str, from: &Path, to: &Path) -> String {
    format!("{what} {} as {}\n", from.display(), to.display())
}
