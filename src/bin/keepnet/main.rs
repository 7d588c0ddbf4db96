//! `keepnet`: looks into saved models, proves them, runs them and carries them between forms.
//!
//! A command takes its arguments and gives an [`Outcome`], which is printed at the very end, or a
//! [`Failure`]. Nothing else writes to standard output, but `resume`, which takes its time.

mod convert;
mod doctor;
mod evaluate;
mod failure;
mod foreign;
mod inputs;
mod inspect;
mod labelled;
mod outcome;
mod paths;
mod predict;
mod ranking;
mod resume;
mod summary;
mod train;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;
use outcome::Outcome;

/// Looks into saved models, proves them, runs them and carries them between forms.
///
/// A MODEL is a `.knet` file or the directory form of one, a `.keras` or `.h5` file of Keras, a SavedModel of
/// TensorFlow, an `.onnx` or a `.safetensors` file; its content decides, not its name.
#[derive(Parser)]
#[command(name = "keepnet", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Work on N threads (default: one per core). Results are the same for any N
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

const EXIT_CODES: &str = "\
Exit status:
  0  done
  1  failed
  2  called in a wrong way
  3  the model is corrupt, of another kind, or made by a newer keepnet
  4  the model is sound, but its saved answers are not reproduced here

Colour is left out where NO_COLOR is set. Where the locale is not UTF-8 or the
terminal is dumb, tables are of ASCII.";

#[derive(Subcommand)]
enum Command {
    Summary(summary::Summary),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    Predict(predict::Predict),
    Evaluate(evaluate::Evaluate),
    Train(train::Train),
    Convert(convert::Convert),
    Doctor(doctor::Doctor),
    Pack(convert::Pack),
    Unpack(convert::Unpack),
    Resume(resume::Resume),
}

impl Cli {
    fn run(self) -> Result<ExitCode, Failure> {
        keepnet::instruction_set()?;
        if let Some(threads) = self.threads {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
            pool.build_global().map_err(|source| Failure::Threads { threads, source })?;
        }
        let outcome = match self.command {
            Command::Summary(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Verify(command) => command.run(),
            Command::Predict(command) => command.run(),
            Command::Evaluate(command) => command.run(),
            Command::Train(command) => command.run(),
            Command::Convert(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Pack(command) => command.run(),
            Command::Unpack(command) => command.run(),
            Command::Resume(command) => return Ok(command.run()),
        };
        outcome.and_then(Outcome::print).map(|exit| ExitCode::from(exit as u8))
    }
}

fn main() -> ExitCode {
    Cli::parse().run().unwrap_or_else(|failure| {
        outcome::print_failure(&failure);
        ExitCode::from(failure.exit() as u8)
    })
}
