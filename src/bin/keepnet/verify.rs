//! `keepnet verify`

use std::path::{Path, PathBuf};

use clap::Args;
use keepnet::bytes::Digest;
use keepnet::format::{self, Format, FormatError, Inspection, Limits, ProofInfo, Version};
use keepnet::nn::ARITHMETIC_REVISION;
use keepnet::report::numbers::grouped;
use keepnet::{Checkpoint, Verification};
use serde::Serialize;

use crate::failure::Failure;
use crate::foreign;
use crate::outcome::{Exit, Outcome, Real, counted};
use crate::paths::{in_model, runnable};

/// Check every byte, then run the probe that was saved with the model
///
/// Ends with 0 if every bit is as saved (or no proof was saved), 3 if the model is corrupt, was changed after
/// keepnet saved it or gives other bits, 4 if it is sound but the proof is of another arithmetic revision or a newer
/// keepnet. What another program wrote carries no proof: its checksums, if it has any, and the shapes of its
/// weights are checked.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keepnet verify mnist.knet
  keepnet verify mnist.knet --json | jq -r .result
  keepnet verify mnist.knet >/dev/null && deploy mnist.knet")]
pub(crate) struct Verify {
    /// The model
    model: PathBuf,
    /// Print JSON: model, form, version, sha256, sections, tensors, skipped, proof, result
    /// (identical, different, edited, other_arithmetic, proof_not_known or no_proof) and largest_difference; of a model that is refused:
    /// model, result (damaged, not_known if it is newer or no model, not_read) and error
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
    /// Sections of a newer keepnet, which were passed over.
    skipped: &'a [String],
    proof: Option<&'a ProofInfo>,
    result: &'static str,
    /// Between an answer and the saved one; `null` where there is nothing to compare.
    largest_difference: Option<Real<f64>>,
}

/// What `--json` prints of a model that could not be loaded.
#[derive(Serialize)]
struct Refusal {
    model: String,
    result: &'static str,
    error: String,
}

impl Verify {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let found = Format::detect(&self.model);
        if let Ok(form) = found
            && !matches!(form, Format::File | Format::Directory)
        {
            return match foreign::verify(&self.model, form, self.json) {
                Err(Failure::Format(error)) if self.json => self.refused(error),
                verified => verified,
            };
        }
        let loaded = format::load_and_inspect(&self.model, &Limits::default());
        let (checkpoint, inspection) = match loaded {
            Err(error) if self.json => return self.refused(error),
            loaded => loaded?,
        };
        let probed = Probed::of(&self.model, &checkpoint)?;
        let outcome = if self.json {
            Outcome::json(&Report {
                model: self.model.display().to_string(),
                form: inspection.form,
                version: inspection.version,
                sha256: inspection.sha256,
                sections: inspection.sections.len(),
                tensors: inspection.tensors.len(),
                skipped: &inspection.skipped,
                proof: inspection.proof.as_ref(),
                result: probed.result,
                largest_difference: probed.largest.map(Real),
            })?
        } else {
            let mut checks = checks(&inspection);
            checks.push((probed.mark, "proof", probed.found));
            Outcome::text(&listed(&self.model, checks, &probed.verdict))
        };
        Ok(outcome.with_exit(probed.exit))
    }

    /// A model that could not be loaded, for programs.
    fn refused(&self, error: FormatError) -> Result<Outcome, Failure> {
        let result = match &error {
            error if error.is_corrupt() => "damaged",
            error if error.refuses_model() => "not_known",
            _ => "not_read",
        };
        let (model, error) = (self.model.display().to_string(), Failure::from(error));
        let report = Refusal { model, result, error: error.to_string() };
        Ok(Outcome::json(&report)?.with_exit(error.exit()))
    }
}

/// The checks, one on a line, and what follows from them.
pub(crate) fn listed(model: &Path, checks: Vec<(&str, &str, String)>, verdict: &str) -> String {
    let mut text = format!("{}\n", model.display());
    for (mark, what, found) in checks {
        text += &format!("  {mark:<3}  {what:<9}  {found}\n");
    }
    text + verdict + "\n"
}

/// What has passed, since the model was loaded: how it went, what it is, and what was found.
fn checks(inspection: &Inspection) -> Vec<(&'static str, &'static str, String)> {
    let Inspection { form, version, sha256, layers, parameters, skipped, .. } = inspection;
    let version = format!("{}.{}", version.major, version.minor);
    let sections = counted(inspection.sections.len() as u64, "section");
    let tensors = counted(inspection.tensors.len() as u64, "tensor");
    let layers = counted(*layers as u64, "layer");
    let (structure, checksums, digests) = match form {
        Format::Directory => {
            let structure =
                format!("directory form {version}, {sections}; no file but those it names");
            (structure, None, format!("SHA-256 of {tensors}, of every file, of all"))
        }
        _ => (
            format!("file form {version}, {sections}"),
            Some("CRC-32C of every block and payload".to_owned()),
            format!("SHA-256 of {tensors}, of sections, of all"),
        ),
    };
    let network = format!(
        "{layers} and {} parameters, each tensor of the shape it needs",
        grouped(*parameters)
    );
    let mut checks = vec![("ok", "structure", structure)];
    checks.extend(checksums.map(|checksums| ("ok", "checksums", checksums)));
    checks.push(("ok", "digests", digests));
    checks.push(("", "", sha256.to_string()));
    checks.push(("ok", "network", network));
    if !skipped.is_empty() {
        let skipped = format!("of a newer keepnet, passed over: {}", skipped.join(", "));
        checks.push(("–", "sections", skipped));
    }
    checks
}

/// How the probe of a model went.
pub(crate) struct Probed {
    pub(crate) exit: Exit,
    /// For programs.
    pub(crate) result: &'static str,
    pub(crate) largest: Option<f64>,
    pub(crate) mark: &'static str,
    pub(crate) found: String,
    /// What follows from that.
    pub(crate) verdict: String,
}

impl Probed {
    /// Of a model that somebody has changed since keepnet saved it: the proof is of the former one.
    pub(crate) fn edited(part: &str) -> Self {
        Self {
            exit: Exit::Corrupt,
            result: "edited",
            largest: None,
            mark: "BAD",
            found: "of the model that keepnet saved, which this is no longer".to_owned(),
            verdict: format!(
                "changed: {part} is not as keepnet saved it; where that is meant, `keepnet convert` makes a new \
                 model of it"
            ),
        }
    }

    /// Runs the probe that was saved with the model, if there is one that this keepnet can read.
    pub(crate) fn of(path: &Path, checkpoint: &Checkpoint<'_>) -> Result<Self, Failure> {
        let model = runnable(path, checkpoint)?;
        let Some(proof) = &checkpoint.proof else {
            let is_newer = checkpoint.passed_over.iter().any(|id| id == "proof");
            let (exit, result, found, verdict) = match is_newer {
                true => (
                    Exit::NotReproduced,
                    "proof_not_known",
                    "not known",
                    "sound; its proof is of a newer keepnet, so what it computes was not compared",
                ),
                false => (
                    Exit::Done,
                    "no_proof",
                    "none was saved",
                    "sound; it carries no proof, so what it computes was not compared",
                ),
            };
            let (found, verdict) = (found.to_owned(), verdict.to_owned());
            return Ok(Self { exit, result, largest: None, mark: "–", found, verdict });
        };
        let verification = model.verify(proof).map_err(|source| in_model(path, source))?;
        let samples = counted(proof.samples.into(), "sample");
        let probe = format!("{samples}, arithmetic revision {}", proof.arithmetic_revision);
        let (exit, result, largest, mark, verdict) = match verification {
            Verification::Identical => {
                let verdict = "identical: this is the model that was saved".to_owned();
                (Exit::Done, "identical", 0.0, "ok", verdict)
            }
            Verification::Different { largest } => {
                let verdict =
                    "different: it gives other answers, so this is not the model that was saved";
                (Exit::Corrupt, "different", largest, "BAD", verdict.to_owned())
            }
            Verification::OtherArithmetic { largest, .. } => {
                let verdict = format!(
                    "sound, made by other arithmetic: this keepnet has revision \
                     {ARITHMETIC_REVISION}"
                );
                (Exit::NotReproduced, "other_arithmetic", largest, "–", verdict)
            }
        };
        let found = match largest {
            0.0 => format!("{probe}: every bit as saved"),
            largest => format!("{probe}: other bits, {largest:e} apart at most"),
        };
        Ok(Self { exit, result, largest: Some(largest), mark, found, verdict })
    }
}
