//! `keepnet verify`

use std::path::PathBuf;

use clap::Args;
use keepnet::Verification;
use keepnet::bytes::Digest;
use keepnet::format::{self, Format, FormatError, Inspection, Limits, ProofInfo, Version};
use keepnet::nn::ARITHMETIC_REVISION;
use keepnet::report::numbers::grouped;
use serde::Serialize;

use crate::failure::Failure;
use crate::keras;
use crate::outcome::{Exit, Outcome, Real, counted};
use crate::paths::{in_model, runnable};

/// Check every byte, then run the probe that was saved with the model
///
/// Ends with 0 if every bit is as saved (or no proof was saved), 3 if the model is corrupt or
/// gives other bits, 4 if it is sound but the proof is of another arithmetic revision or a newer
/// keepnet. A file of Keras carries no proof: its checksums, if it has any, and the shapes of its
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
    /// (identical, different, other_arithmetic, proof_not_known or no_proof) and largest_difference; of a model that is refused:
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
        if let Ok(form @ (Format::Keras | Format::Hdf5)) = Format::detect(&self.model) {
            return match keras::verify(&self.model, form, self.json) {
                Err(Failure::Format(error)) if self.json => self.refused(error),
                verified => verified,
            };
        }
        let loaded = format::load_and_inspect(&self.model, &Limits::default());
        let (checkpoint, inspection) = match loaded {
            Err(error) if self.json => return self.refused(error),
            loaded => loaded?,
        };
        let model = runnable(&self.model, &checkpoint)?;
        let proof = checkpoint.proof.as_ref();
        let verification = proof.map(|proof| model.verify(proof)).transpose();
        let verification = verification.map_err(|source| in_model(&self.model, source))?;
        let (exit, result, largest) = match verification {
            None if newer_proof(&inspection) => (Exit::NotReproduced, "proof_not_known", None),
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
                skipped: &inspection.skipped,
                proof: inspection.proof.as_ref(),
                result,
                largest_difference: largest.map(Real),
            })?
        } else {
            Outcome::text(&self.text(&inspection, verification))
        };
        Ok(outcome.with_exit(exit))
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

    fn text(&self, inspection: &Inspection, verification: Option<Verification>) -> String {
        let mut checks = checks(inspection);
        let (mark, found, verdict) = proved(inspection, verification);
        checks.push((mark, "proof", found));
        let mut text = format!("{}\n", self.model.display());
        for (mark, what, found) in checks {
            text += &format!("  {mark:<3}  {what:<9}  {found}\n");
        }
        text + &verdict + "\n"
    }
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

/// Whether there is a proof, but one that this keepnet cannot read.
fn newer_proof(inspection: &Inspection) -> bool {
    inspection.skipped.iter().any(|id| id == "proof")
}

/// How the probe went, what was found, and what follows from that.
fn proved(
    inspection: &Inspection,
    verification: Option<Verification>,
) -> (&'static str, String, String) {
    let (Some(proof), Some(verification)) = (&inspection.proof, verification) else {
        if newer_proof(inspection) {
            let verdict =
                "sound; its proof is of a newer keepnet, so what it computes was not compared";
            return ("–", "not known".to_owned(), verdict.to_owned());
        }
        let verdict = "sound; it carries no proof, so what it computes was not compared";
        return ("–", "none was saved".to_owned(), verdict.to_owned());
    };
    let samples = counted(proof.samples.into(), "sample");
    let probe = format!("{samples}, arithmetic revision {}", proof.arithmetic_revision);
    let apart = |largest: f64| match largest {
        0.0 => format!("{probe}: every bit as saved"),
        largest => format!("{probe}: other bits, {largest:e} apart at most"),
    };
    match verification {
        Verification::Identical => {
            let verdict = "identical: this is the model that was saved";
            ("ok", apart(0.0), verdict.to_owned())
        }
        Verification::Different { largest } => {
            let verdict =
                "different: it gives other answers, so this is not the model that was saved";
            ("BAD", apart(largest), verdict.to_owned())
        }
        Verification::OtherArithmetic { largest, .. } => {
            let verdict = format!(
                "sound, made by other arithmetic: this keepnet has revision {ARITHMETIC_REVISION}"
            );
            ("–", apart(largest), verdict)
        }
    }
}
