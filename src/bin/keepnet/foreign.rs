//! What there is to say of files in the forms of other programs.

use std::path::Path;

use clap::{Args, ValueEnum};
use keepnet::format::keras::{Hidden, Notice, Reader, Report};
use keepnet::format::safetensors::Layout;
use keepnet::format::{self, Format, Limits, ProofInfo, Recipient};
use keepnet::report::numbers::grouped;
use serde::Serialize;

use crate::failure::Failure;
use crate::outcome::{Exit, Outcome, Real, counted, note};
use crate::verify::{Probed, listed};

/// For whom a model is saved.
#[derive(Args)]
pub(crate) struct ForWhom {
    /// The Keras that OUT is for, if it is of Keras: the other one opens it too, but may not train on from
    /// where it stands [default: keras3]
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// Whose names and arrangement the weights have, if OUT is `.safetensors` [default: keras]
    #[arg(long, value_enum)]
    layout: Option<Arranged>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Target {
    /// Keras 3
    #[default]
    Keras3,
    /// tf-keras, Keras up to 2.15
    Keras2,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Arranged {
    /// `conv2d/kernel`, (height, width, in, out)
    #[default]
    Keras,
    /// `conv2d.weight`, (out, in, height, width): a `state_dict` of PyTorch
    Torch,
}

impl ForWhom {
    /// For whom OUT is, which has that form. An option that says nothing of the form is refused.
    pub(crate) fn recipient(&self, form: Format) -> Result<Recipient, Failure> {
        if self.target.is_some() && !matches!(form, Format::Keras | Format::Hdf5) {
            let (option, whose) = ("--target", "`.keras` and `.h5`");
            return Err(Failure::NoEffect { option, whose, form });
        }
        if self.layout.is_some() && form != Format::Safetensors {
            let (option, whose) = ("--layout", "`.safetensors`");
            return Err(Failure::NoEffect { option, whose, form });
        }
        let target = match self.target.unwrap_or_default() {
            Target::Keras3 => Reader::Keras3,
            Target::Keras2 => Reader::TfKeras2,
        };
        let layout = match self.layout.unwrap_or_default() {
            Arranged::Keras => Layout::Keras,
            Arranged::Torch => Layout::Torch,
        };
        Ok(Recipient { target, layout })
    }
}

/// What became of the file of another program when it was loaded.
#[derive(Serialize)]
pub(crate) struct Told {
    pub(crate) writer: Option<String>,
    pub(crate) optimizer_steps: Option<u64>,
    notices: Vec<Gathered>,
}

/// Notices that differ in nothing but the layer or the weight.
#[derive(Serialize)]
struct Gathered {
    /// Of the first.
    text: String,
    count: u64,
}

impl From<&Report> for Told {
    fn from(report: &Report) -> Self {
        let mut notices: Vec<(String, Gathered)> = Vec::new();
        for notice in &report.notices {
            let (kind, text) = (kind(notice), notice.to_string());
            match notices.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, alike)) => alike.count += 1,
                None => notices.push((kind, Gathered { text, count: 1 })),
            }
        }
        let notices = notices.into_iter().map(|(_, notice)| notice).collect();
        let Report { writer, optimizer_steps, .. } = report;
        Self { writer: writer.clone(), optimizer_steps: *optimizer_steps, notices }
    }
}

/// What alike notices have in common.
fn kind(notice: &Notice) -> String {
    match notice {
        Notice::Converted { from, .. } => format!("converted {from}"),
        Notice::NotCarried { setting, .. } => format!("not carried {setting}"),
        Notice::PassesThrough { owner } => format!("passes through {}", owner.class),
        Notice::Flattened { .. } => "flattened".to_owned(),
        other => other.to_string(),
    }
}

impl Told {
    /// A line for each thing to be told.
    pub(crate) fn text(&self) -> String {
        let writer = self.writer.as_deref().unwrap_or("a program that does not name itself");
        let mut text = format!("written by {writer}\n");
        if let Some(steps) = self.optimizer_steps {
            text += &format!("optimizer restored, after {}\n", counted(steps, "step"));
        }
        self.notices().for_each(|notice| text += &format!("note: {notice}\n"));
        text
    }

    fn notices(&self) -> impl Iterator<Item = String> {
        self.notices.iter().map(|Gathered { text, count }| match count {
            1 => text.clone(),
            count => format!("{text} (and {} more like it)", grouped(count - 1)),
        })
    }
}

/// Tells on standard error what did not come along, and why.
pub(crate) fn tell(report: Option<&Report>) {
    let told = report.map(Told::from);
    told.iter().flat_map(Told::notices).for_each(|notice| note(&notice));
}

/// Tells on standard error what Keras will not see of a model saved for it.
pub(crate) fn tell_hidden(hidden: &[Hidden]) {
    hidden.iter().for_each(|hidden| note(&hidden.to_string()));
}

/// What `verify --json` prints of a form of another program. Members that it shares with keepnet's own forms
/// are called the same.
#[derive(Serialize)]
struct Verified {
    model: String,
    form: Format,
    checksums: Option<&'static str>,
    tensors: usize,
    report: Told,
    proof: Option<ProofInfo>,
    result: &'static str,
    largest_difference: Option<Real<f64>>,
}

/// Checks as much of a form of another program as can be checked, which loading has done. What keepnet keeps
/// in it has digests and a proof.
pub(crate) fn verify(path: &Path, form: Format, json: bool) -> Result<Outcome, Failure> {
    let (checkpoint, report) = format::load_reported(path, &Limits::default())?;
    tell(report.as_ref());
    let mut probed = Probed::of(path, &checkpoint)?;
    let notices = report.iter().flat_map(|report| &report.notices);
    let mut edited = notices.filter_map(|notice| match notice {
        Notice::Edited { part } => Some(part.as_str()),
        _ => None,
    });
    if let Some(part) = edited.next() {
        probed = Probed::edited(part);
    }
    let told = report.as_ref().map_or_else(|| Told::from(&Report::default()), Told::from);
    let is_archive = form == Format::Keras && !path.is_dir();
    if json {
        return Outcome::json(&Verified {
            model: path.display().to_string(),
            form,
            checksums: match form {
                Format::SavedModel => Some("CRC-32C"),
                _ => is_archive.then_some("CRC-32"),
            },
            tensors: checkpoint.tensors.len(),
            report: told,
            proof: checkpoint.proof.as_ref().map(ProofInfo::from),
            result: probed.result,
            largest_difference: probed.largest.map(Real),
        })
        .map(|outcome| outcome.with_exit(probed.exit));
    }
    let what = match form {
        Format::Hdf5 => "HDF5 file of Keras",
        Format::Safetensors => "safetensors file",
        Format::Onnx => "ONNX file",
        Format::SavedModel => "SavedModel of TensorFlow",
        _ if is_archive => "`.keras` archive",
        _ => "unpacked `.keras` archive",
    };
    let writer = told.writer.as_deref().map_or_else(String::new, |it| format!(", by {it}"));
    let is_own = report.is_some_and(|report| report.is_proven);
    let parameters = checkpoint.graph.parameters();
    let elements: usize = parameters.iter().map(|parameter| parameter.shape.elements()).sum();
    let network = format!(
        "{} and {} parameters, each weight of the shape it needs",
        counted(checkpoint.graph.layers().len() as u64, "layer"),
        grouped(elements as u64)
    );
    let mut checks = vec![("ok", "structure", format!("{what}{writer}"))];
    if form == Format::SavedModel {
        checks.push(("ok", "checksums", "CRC-32C of every tensor".to_owned()));
    } else if is_archive {
        checks.push(("ok", "checksums", "CRC-32 of every member that is read".to_owned()));
    } else if !is_own {
        let none = "none: a flipped bit in a weight goes unseen in such files";
        checks.push(("–", "checksums", none.to_owned()));
    }
    if is_own {
        checks.push(("ok", "digests", "SHA-256 of every tensor and section".to_owned()));
    }
    checks.push(("ok", "network", network));
    let verdict = match is_own || probed.exit == Exit::Corrupt {
        true => {
            checks.push((probed.mark, "proof", probed.found));
            probed.verdict
        }
        false => {
            let none = "none: only what keepnet saved, and nobody has changed, carries one";
            checks.push(("–", "proof", none.to_owned()));
            "read without a fault; what it computes was not compared. `keepnet convert` to a `.knet` \
             file gives it checksums"
                .to_owned()
        }
    };
    Ok(Outcome::text(&listed(path, checks, &verdict)).with_exit(probed.exit))
}
