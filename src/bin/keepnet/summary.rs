//! `keepnet summary`

use std::path::PathBuf;

use clap::Args;
use keepnet::format;
use keepnet::report::{Charset, summary};

use crate::failure::Failure;
use crate::foreign::tell;
use crate::outcome::Outcome;
use crate::paths::InputShapes;

/// Show the layers, their shapes, parameters and multiply-accumulates
#[derive(Args)]
#[command(after_help = "\
Examples:
  keepnet summary mnist.knet
  keepnet summary mnist.knet --json | jq .parameters")]
pub(crate) struct Summary {
    /// The model
    model: PathBuf,
    #[command(flatten)]
    shapes: InputShapes,
    /// Print JSON: name, rows, chain, parameters, trainable, frozen, macs, bytes
    #[arg(long)]
    json: bool,
}

impl Summary {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let (checkpoint, report) = format::load_reported(&self.model, self.shapes.options())?;
        tell(report.as_ref());
        let summary = summary(&checkpoint.graph);
        if self.json {
            return Outcome::json(&summary);
        }
        Ok(Outcome::text(&summary.render(Charset::of_environment())))
    }
}
