//! `keepnet convert`, `pack` and `unpack`: from one form to another.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use keepnet::SaveOptions;
use keepnet::format::{self, Format, FormatError, Limits, keras};
use keepnet::model::Checkpoint;
use serde::Serialize;

use crate::failure::Failure;
use crate::foreign::{ForWhom, Told};
use crate::outcome::Outcome;
use crate::paths::{InputShapes, keep_apart};

/// Save a model in another form, or with less in it
///
/// The form of IN is told by its content, that of OUT by its name: `.knet` for one file, a
/// trailing `/` or no extension for a directory, `.keras` or `.h5` for Keras, `.safetensors` or `.onnx`;
/// a SavedModel is a directory too, and takes `--to savedmodel`. Everything is kept unless it is
/// named to be left out, or OUT has no place for it, which is said. What stands at OUT is replaced
/// in one step.
///
/// Weights that stand alone, in a `.weights.h5`, `.h5` or `.safetensors` file, become a model with --architecture. An OUT
/// that ends in `.weights.h5` takes the weights alone.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keepnet convert mnist.knet mnist/                            a directory of NumPy arrays
  keepnet convert mnist.knet deploy.knet --weights-only        the network alone
  keepnet convert old.h5 new.keras                             for the Keras of today
  keepnet convert new.keras old.keras --target keras2          to train on in tf-keras
  keepnet convert w.weights.h5 new.keras --architecture m.json with the text of `to_json`
  keepnet convert mnist.knet mnist.safetensors --layout torch  for `load_state_dict` of PyTorch
  keepnet convert mnist.knet mnist_tf --to savedmodel          for TensorFlow and its Serving
  keepnet convert mnist.knet mnist.onnx                        for onnxruntime and others
  keepnet convert torch.onnx mnist.knet                        from what PyTorch exported
  keepnet convert mnist.knet small.knet --without optimizer,history")]
pub(crate) struct Convert {
    /// The model
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// Where to save it
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Take the layers from here, and from IN the weights alone: the text that `to_json` of Keras gives, or
    /// a model in any form
    #[arg(long, value_name = "MODEL")]
    architecture: Option<PathBuf>,
    /// Which form OUT is to have, if it is to be a directory
    #[arg(long, value_name = "FORM", value_enum)]
    to: Option<To>,
    #[command(flatten)]
    recipient: ForWhom,
    #[command(flatten)]
    shapes: InputShapes,
    /// Keep the network and its parameters alone
    #[arg(long, conflicts_with = "without")]
    weights_only: bool,
    /// Leave out these parts
    #[arg(long, value_name = "PART,…", value_enum, value_delimiter = ',')]
    without: Vec<Part>,
    /// Print JSON: from, to, form, left_out, not_held (parts that the form has no place for), hidden (what
    /// Keras will not see) and, if IN is of another program, report: writer, optimizer_steps (if they are in OUT) and
    /// notices, each with text and count
    #[arg(long)]
    json: bool,
}

/// The forms that are directories.
#[derive(Clone, Copy, ValueEnum)]
enum To {
    /// keepnet's own
    Directory,
    /// TensorFlow's
    #[value(name = "savedmodel")]
    SavedModel,
}

impl To {
    fn form(self) -> Format {
        match self {
            Self::Directory => Format::Directory,
            Self::SavedModel => Format::SavedModel,
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    from: String,
    to: String,
    form: Format,
    left_out: Vec<String>,
    not_held: Vec<String>,
    hidden: Vec<String>,
    report: Option<Told>,
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
        let weights_alone = format::names_weights(output);
        let named = if weights_alone { Ok(Format::Hdf5) } else { Format::for_saving(output) };
        let form = match (self.to, named) {
            (None, named) => named.map_err(|error| at(output, error))?,
            (Some(to), Ok(Format::Directory | Format::SavedModel) | Err(_)) => to.form(),
            (Some(to), Ok(named)) => {
                let (path, asked) = (output.clone(), to.form());
                return Err(Failure::OtherName { path, named, asked });
            }
        };
        let recipient = self.recipient.recipient(form)?;
        let (checkpoint, report) = self.load()?;
        let before = parts(&checkpoint);
        let checkpoint = self.options().apply(checkpoint);
        if let Some(id) = checkpoint.passed_over.first() {
            return Err(at(input, FormatError::WouldLose { id: id.clone() }).into());
        }
        let after = parts(&checkpoint);
        let hidden = match weights_alone {
            true => {
                format::save_weights(&checkpoint, output, recipient.target).map(|()| Vec::new())?
            }
            false => format::save_reported(&checkpoint, output, form, recipient)?,
        };
        // What a form of another program holds is what comes back from it.
        let held = match form {
            Format::File | Format::Directory => after.clone(),
            _ if weights_alone => {
                parts(&format::load_weights(&checkpoint, output, &Limits::default())?.0)
            }
            _ => parts(&format::load(output, &Limits::default())?),
        };
        let names = |parts: &[Part], kept: &[Part]| -> Vec<String> {
            parts.iter().filter(|part| !kept.contains(part)).map(name).collect()
        };
        let report = Report {
            from: input.display().to_string(),
            to: output.display().to_string(),
            form,
            left_out: names(&before, &after),
            not_held: names(&after, &held),
            hidden: hidden.iter().map(ToString::to_string).collect(),
            report: report.map(|mut report| {
                // What is left out again was not restored.
                report.optimizer_steps.take_if(|_| !held.contains(&Part::Optimizer));
                Told::from(&report)
            }),
        };
        if self.json { Outcome::json(&report) } else { Ok(Outcome::text(&report.text())) }
    }

    /// The model, and what became of it if it is of another program.
    fn load(&self) -> Result<(Checkpoint<'static>, Option<keras::Report>), Failure> {
        let options = self.shapes.options();
        match &self.architecture {
            None => Ok(format::load_reported(&self.input, options)?),
            Some(architecture) => {
                keep_apart(architecture, &self.output, "the architecture")?;
                let (checkpoint, report) =
                    format::load_with_weights(architecture, &self.input, options)?;
                Ok((checkpoint, Some(report)))
            }
        }
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
            ..SaveOptions::default()
        }
    }
}

impl Report {
    fn text(&self) -> String {
        let Self { from, to, form, .. } = self;
        let mut text = format!("saved {from} as {to}, in the {form} form\n");
        let not_held = "no place there for";
        for (what, parts) in [("left out", &self.left_out), (not_held, &self.not_held)] {
            if !parts.is_empty() {
                text += &format!("{what}: {}\n", parts.join(", "));
            }
        }
        for hidden in &self.hidden {
            text += &format!("note: {hidden}\n");
        }
        text + &self.report.as_ref().map_or_else(String::new, Told::text)
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
