//! `keepnet resume`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use keepnet::demo;

/// Go on with the training that `demo --checkpoint-dir` began
///
/// Takes the newest checkpoint that is sound in every part and answers its probe, says which were
/// passed over and why, and trains on from its step, in the middle of an epoch if need be, to the
/// end. What is then written to OUT is what the run would have written without the interruption,
/// byte for byte.
#[derive(Args)]
#[command(after_help = "\
Examples:
  demo --checkpoint-dir checkpoints --out out
  keepnet resume checkpoints --out out")]
pub(crate) struct Resume {
    /// The folder of checkpoints
    checkpoints: PathBuf,
    /// Where the model and the pictures go
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Where the data is, if not where the checkpoint says
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Steps from one further checkpoint to the next
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_every: u64,
    /// Say nothing but errors
    #[arg(long)]
    quiet: bool,
    /// Write one JSON object with everything measured to standard output, as `demo --json`
    #[arg(long)]
    json: bool,
}

impl Resume {
    /// Tells how it goes while it goes, unlike the other commands.
    pub(crate) fn run(self) -> ExitCode {
        let Self { checkpoints, out, data, checkpoint_every, quiet, json } = self;
        let ascii = false;
        demo::resume(&demo::Resume { checkpoints, out, data, checkpoint_every, ascii, quiet, json })
    }
}
