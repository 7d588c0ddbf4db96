//! `keepnet verify`

use std::path::PathBuf;

use clap::Args;
use keepnet::bytes::Digest;
use keepnet::format::{self, Format, Inspection, Limits, ProofInfo, Version};
use keepnet::nn::ARITHMETIC_REVISION;
use keepnet::report::numbers::grouped;
use keepnet::{Model, Verification};
use serde::Serialize;

use crate::failure::Failure;
use crate::outcome::{Exit, Outcome, Real, counted};
use crate::paths::in_model;

/// Check every byte, then run the probe that was saved with the model
///
/// Ends with 0 if every bit is as saved (or no proof was saved), 3 if the model is corrupt or
/// gives other bits, 4 if it is sound but the proof was made by another arithmetic revision and
/// other bits come out.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keepnet verify mnist.knet
  keepnet verify mnist.knet --json | jq -r .result
  keepnet verify mnist.knet >/dev/null && deploy mnist.knet")]
pub(crate) struct Verify {
    /// The model
    model: PathBuf,
    /// Print JSON: model, form, version, sha256, sections, tensors, proof, result (identical,
    /// different, other_arithmetic or no_proof) and largest_difference
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    model: String,
    form: Format,
    version: Version,
    sha256: Digest,
    sections: usize,
    tensors: usize,
    proof: Option<&'a ProofInfo>,
    result: &'static str,
    /// Between an answer and the saved one; `null` where there is nothing to compare.
    largest_difference: Option<Real<f64>>,
}

impl Verify {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let (checkpoint, inspection) = format::load_and_inspect(&self.model, &Limits::default())?;
        let model = Model::from_checkpoint(&checkpoint);
        let model = model.map_err(|source| in_model(&self.model, source))?;
        let proof = checkpoint.proof.as_ref();
        let verification = proof.map(|proof| model.verify(proof)).transpose();
        let verification = verification.map_err(|source| in_model(&self.model, source))?;
        let (exit, result, largest) = match verification {
            None => (Exit::Done, "no_proof", None),
            Some(Verification::Identical) => (Exit::Done, "identical", Some(0.0)),
            Some(Verification::Different { largest }) => {
                (Exit::Corrupt, "different", Some(largest))
            }
            Some(Verification::OtherArithmetic { largest, .. }) => {
                (Exit::NotReproduced, "other_arithmetic", Some(largest))
            }
        };
        let outcome = if self.json {
            Outcome::json(&Report {
                model: self.model.display().to_string(),
                form: inspection.form,
                version: inspection.version,
                sha256: inspection.sha256,
                sections: inspection.sections.len(),
                tensors: inspection.tensors.len(),
                proof: inspection.proof.as_ref(),
                result,
                largest_difference: largest.map(Real),
            })?
        } else {
            Outcome::text(&self.text(&inspection, verification))
        };
        Ok(outcome.with_exit(exit))
    }

    fn text(&self, inspection: &Inspection, verification: Option<Verification>) -> String {
        let Inspection { version, sections, tensors, proof, .. } = inspection;
        let (major, minor) = (version.major, version.minor);
        let sections = counted(sections.len() as u64, "section");
        let tensors = counted(tensors.len() as u64, "tensor");
        let mut lines = match inspection.form {
            Format::Directory => vec![
                (
                    "ok",
                    "structure",
                    format!(
                        "directory form {major}.{minor}, {sections}; no file beside those \
                         it names"
                    ),
                ),
                ("ok", "digests", format!("SHA-256 of {tensors}, of every file, of all")),
            ],
            _ => vec![
                ("ok", "structure", format!("file form {major}.{minor}, {sections}")),
                ("ok", "checksums", "CRC-32C of every block and payload".to_owned()),
                ("ok", "digests", format!("SHA-256 of {tensors}, of sections, of all")),
            ],
        };
        lines.extend([
            ("", "", inspection.sha256.to_string()),
            (
                "ok",
                "network",
                format!(
                    "{} and {} parameters, each tensor as the network needs it",
                    counted(inspection.layers as u64, "layer"),
                    grouped(inspection.parameters)
                ),
            ),
        ]);
        if !inspection.skipped.is_empty() {
            let skipped = inspection.skipped.join(", ");
            lines.push(("–", "sections", format!("of a newer keepnet, passed over: {skipped}")));
        }
        let probe = proof.as_ref().map(|proof| {
            let ProofInfo { samples, arithmetic_revision, .. } = proof;
            let samples = counted((*samples).into(), "sample");
            format!("{samples}, arithmetic revision {arithmetic_revision}")
        });
        let probe = probe.unwrap_or_default();
        let (mark, found, verdict) = match verification {
            None => (
                "–",
                "none was saved".to_owned(),
                "sound; it carries no proof, so what it computes was not compared".to_owned(),
            ),
            Some(Verification::Identical) => (
                "ok",
                format!("{probe}: every bit as saved"),
                "identical: this is the model that was saved".to_owned(),
            ),
            Some(Verification::Different { largest }) => (
                "BAD",
                format!("{probe}: other bits, {largest:e} apart at most"),
                "different: the same arithmetic gives other answers, so this is not the model \
                 that was saved"
                    .to_owned(),
            ),
            Some(Verification::OtherArithmetic { largest, .. }) => (
                "–",
                format!("{probe}: other bits, {largest:e} apart at most"),
                format!(
                    "sound, made by other arithmetic: this keepnet has revision \
                     {ARITHMETIC_REVISION}"
                ),
            ),
        };
        lines.push((mark, "proof", found));
        let mut text = format!("{}\n", self.model.display());
        for (mark, what, found) in lines {
            text += &format!("  {mark:<3}  {what:<9}  {found}\n");
        }
        text + &verdict + "\n"
    }
}
