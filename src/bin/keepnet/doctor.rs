//! `keepnet doctor`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use keepnet::format::keras::{
    Container, Content, Diagnosis, Effect, Finding, Problem, Reader, diagnose,
};
use keepnet::format::{self, Limits};
use serde::Serialize;

use crate::failure::Failure;
use crate::outcome::{Outcome, counted};
use crate::paths::runnable;

/// Tell which Keras wrote a file, which opens it, and what stands in the way
///
/// What Keras 3.15 and tf-keras 2.21 were seen to stumble over is looked for; nothing of the file is
/// run. Whether keepnet opens it is tried.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keepnet doctor old.h5
  keepnet doctor old.h5 --json | jq .keras_3.result")]
pub(crate) struct Doctor {
    /// A `.keras` or `.h5` file, of a whole model or of weights alone
    model: PathBuf,
    /// Print JSON: container, content (model or weights), writer, dialect, layers (classes and counts), and for each of keras_3
    /// and tf_keras_2 result (nothing_found, refused, other_answers or state_lost) and findings (text,
    /// effect, layers); keepnet: what it says to the file, null if it opens it
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    container: Container,
    content: Content,
    writer: Option<&'a str>,
    dialect: u32,
    layers: &'a BTreeMap<String, usize>,
    keras_3: Opinion,
    tf_keras_2: Opinion,
    keepnet: Option<String>,
}

/// What one Keras makes of the file.
#[derive(Serialize)]
struct Opinion {
    result: &'static str,
    findings: Vec<Gathered>,
}

/// One problem, and the layers that have it.
#[derive(Serialize)]
struct Gathered {
    text: String,
    effect: Effect,
    layers: Vec<String>,
    /// Whether it stays where the file is not saved for tf-keras.
    #[serde(skip)]
    for_keras2: bool,
}

/// Layers that are named with a problem.
const NAMED: usize = 3;

impl Doctor {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let diagnosis = diagnose(&self.model, &Limits::default())?;
        let opened = format::load(&self.model, &Limits::default())
            .map_err(Failure::from)
            .and_then(|checkpoint| runnable(&self.model, &checkpoint));
        let report = Report {
            container: diagnosis.container,
            content: diagnosis.content,
            writer: diagnosis.writer.as_deref(),
            dialect: diagnosis.dialect,
            layers: &diagnosis.layers,
            keras_3: Opinion::of(&diagnosis, Reader::Keras3),
            tf_keras_2: Opinion::of(&diagnosis, Reader::TfKeras2),
            keepnet: opened.err().map(|failure| failure.to_string()),
        };
        match self.json {
            true => Outcome::json(&report),
            false => Ok(Outcome::text(&self.text(&report))),
        }
    }

    fn text(&self, report: &Report<'_>) -> String {
        let container = match report.container {
            Container::Archive => "`.keras` archive",
            Container::Folder => "unpacked `.keras` archive",
            Container::Hdf5 => "HDF5 file",
            _ => "container",
        };
        let layers: Vec<_> =
            report.layers.iter().map(|(class, count)| format!("{count} {class}")).collect();
        let writer = report.writer.unwrap_or("a Keras that does not name itself");
        let mut text = format!("{}\n  {container} written by {writer}", self.model.display());
        text += &match report.content {
            Content::Weights => ": weights alone, without the layers that they are of\n".to_owned(),
            _ => format!(", in the words of Keras {}\n", report.dialect),
        };
        if !layers.is_empty() {
            text += &format!("  layers: {}\n", layers.join(", "));
        }
        let (mut mends, mut retargets) = (false, false);
        for (name, opinion) in [("Keras 3", &report.keras_3), ("tf-keras 2", &report.tf_keras_2)] {
            let verdict = match opinion.result {
                "nothing_found" if report.content == Content::Weights => {
                    "takes it by `load_weights`, as far as is known"
                }
                "refused" => "does not open it",
                "other_answers" => "opens it, but predicts something else",
                "state_lost" => "opens it, but cannot go on training where it stood",
                _ => "opens it, as far as is known",
            };
            text += &format!("{name} {verdict}\n");
            for Gathered { text: problem, layers, for_keras2, .. } in &opinion.findings {
                match for_keras2 {
                    true => retargets = true,
                    false => mends = true,
                }
                let named = match layers.len() {
                    0 => String::new(),
                    count if count > NAMED => {
                        let more = counted((count - NAMED) as u64, "more layer");
                        format!(" ({} and {more})", layers[..NAMED].join(", "))
                    }
                    _ => format!(" ({})", layers.join(", ")),
                };
                text += &format!("  {problem}{named}\n");
            }
        }
        if report.content == Content::Weights {
            let input = self.model.display();
            return text
                + &format!(
                    "keepnet takes it with its layers: `keepnet convert {input} NEW.keras \
                     --architecture MODEL`\n"
                );
        }
        match &report.keepnet {
            None if mends || retargets => {
                let convert = format!("keepnet convert {} NEW.keras", self.model.display());
                let mended = if retargets { "that both open" } else { "without these" };
                let mended = mends.then(|| format!("`{convert}` writes one {mended}"));
                let retargeted = retargets.then(|| {
                    format!(
                        "`{convert} --target keras2` writes one that tf-keras trains on, and Keras 3 \
                         from the weights alone"
                    )
                });
                let remedies: Vec<_> = mended.into_iter().chain(retargeted).collect();
                text += &format!("keepnet opens it; {}\n", remedies.join("; "));
            }
            None => text += "keepnet opens it\n",
            Some(error) => text += &format!("keepnet does not open it: {error}\n"),
        }
        text
    }
}

impl Opinion {
    fn of(diagnosis: &Diagnosis, reader: Reader) -> Self {
        let result = match diagnosis.worst(reader) {
            None => "nothing_found",
            Some(Effect::Refused) => "refused",
            Some(Effect::OtherAnswers) => "other_answers",
            Some(_) => "state_lost",
        };
        let mut findings: Vec<(&Problem, Gathered)> = Vec::new();
        for Finding { problem, owner, .. } in
            diagnosis.findings.iter().filter(|finding| finding.reader == reader)
        {
            let layer = owner.as_ref().map(ToString::to_string);
            match findings.iter_mut().find(|(known, _)| *known == problem) {
                Some((_, gathered)) => gathered.layers.extend(layer),
                None => {
                    let layers = layer.into_iter().collect();
                    let (text, effect) = (problem.to_string(), problem.effect());
                    let for_keras2 = *problem == Problem::OptimizerOfKeras3;
                    findings.push((problem, Gathered { text, effect, layers, for_keras2 }));
                }
            }
        }
        Self { result, findings: findings.into_iter().map(|(_, gathered)| gathered).collect() }
    }
}
