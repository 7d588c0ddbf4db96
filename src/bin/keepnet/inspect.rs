//! `keepnet inspect`

use std::path::PathBuf;

use clap::Args;
use keepnet::bytes::Digest;
use keepnet::format::{self, EpochInfo, Format, Inspection, Role, SectionInfo};
use keepnet::report::numbers::{bytes, grouped};
use keepnet::report::{Align, Charset, Table};
use keepnet::{
    Adadelta, Adagrad, Adamax, Clipping, CompileSettings, Nadam, OptimizerRule, Schedule, Shape,
};

use crate::failure::Failure;
use crate::outcome::{Outcome, counted, note};

/// Show what a saved model holds, and where it stands
///
/// Versions, sections and tensors with their places and digests, compile settings, where training
/// stands, history, the user's notes.
///
///
/// Everything is checked on the way, as by `keepnet verify`, but the network is not run. A MODEL is a `.knet` file
/// or the directory form of one; `keepnet summary` and `keepnet verify` tell of the other forms.
#[derive(Args)]
#[command(after_help = "\
Digests are cut to 12 digits; --json has them whole.

Examples:
  keepnet inspect mnist.knet
  keepnet inspect mnist.knet --json | jq -r '.tensors[].sha256'")]
pub(crate) struct Inspect {
    /// The model
    model: PathBuf,
    /// Print JSON: form, version, architecture_schema, sha256, name, layers, parameters, sections,
    /// tensors, compile, optimizer_step, optimizer_slots, training, history, metadata, proof,
    /// skipped
    #[arg(long)]
    json: bool,
}

/// Epochs of the history that are shown.
const EPOCHS: usize = 10;

/// Digits of a digest that are shown.
const DIGITS: usize = 12;

impl Inspect {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let inspection = format::inspect(&self.model)?;
        if !inspection.skipped.is_empty() {
            note(&format!(
                "sections of a newer keepnet were passed over: {}",
                inspection.skipped.join(", ")
            ));
        }
        if self.json {
            return Outcome::json(&inspection);
        }
        let mut text = format!("{}\n", self.model.display());
        for (label, value) in overview(&inspection) {
            text += &format!("  {label:<9}  {value}\n");
        }
        let mut titled = |title: &str, table: Option<Table>| {
            if let Some(table) = table {
                text += &format!("\n{title}\n{}", table.render(Charset::of_environment()));
            }
        };
        titled("Sections", sections(&inspection));
        titled("Parameters", tensors(&inspection, Role::Parameter));
        for (slot, name) in (0..).zip(&inspection.optimizer_slots) {
            titled(&format!("Optimizer: {name}"), tensors(&inspection, Role::Slot(slot)));
        }
        titled("Proof: answers", tensors(&inspection, Role::ProofOutput));
        let epochs = inspection.history.as_deref().unwrap_or_default();
        let (earlier, shown) = epochs.split_at(epochs.len().saturating_sub(EPOCHS));
        let title = match earlier.len() {
            0 => "History".to_owned(),
            earlier => format!("History (after {})", counted(earlier as u64, "earlier epoch")),
        };
        titled(&title, history(shown));
        if !inspection.metadata.is_empty() {
            text += "\nMetadata\n";
            for (key, value) in &inspection.metadata {
                // A value of several lines stays on one.
                text += &format!("  {key}: {}\n", value.replace('\n', " "));
            }
        }
        Ok(Outcome::text(&text))
    }
}

/// What can be said in a line each.
fn overview(inspection: &Inspection) -> Vec<(&'static str, String)> {
    let Inspection { version, layers, parameters, .. } = inspection;
    let form = match inspection.form {
        Format::Directory => "directory",
        _ => "file",
    };
    let mut lines = vec![
        (
            "Form",
            format!(
                "{form}, version {}.{}; architecture schema {}",
                version.major, version.minor, inspection.architecture_schema
            ),
        ),
        ("SHA-256", inspection.sha256.to_string()),
        (
            "Network",
            format!(
                "{}: {}, {} parameters ({})",
                inspection.name,
                counted(*layers as u64, "layer"),
                grouped(*parameters),
                bytes(parameters.saturating_mul(4))
            ),
        ),
    ];
    if let Some(settings) = &inspection.compile {
        lines.extend(compiled(settings));
    }
    if let Some(step) = inspection.optimizer_step {
        let slots = match inspection.optimizer_slots.as_slice() {
            [] => String::new(),
            slots => format!("; keeps {}", slots.join(", ")),
        };
        lines.push(("State", format!("after {}{slots}", counted(step, "step"))));
    }
    if let Some(state) = &inspection.training {
        let within = match state.step_in_epoch {
            0 => String::new(),
            steps => format!(" and {} of the next", counted(steps, "step")),
        };
        lines.push((
            "Training",
            format!(
                "{} done{within}; seed {}; shards of {}; arithmetic revision {}",
                counted(state.epoch, "epoch"),
                state.seed,
                state.shard,
                state.arithmetic_revision
            ),
        ));
    }
    let proof = inspection.proof.as_ref().map_or_else(
        || "none".to_owned(),
        |proof| {
            format!(
                "answers to {}; seed {}; arithmetic revision {}",
                counted(proof.samples.into(), "sample"),
                proof.seed,
                proof.arithmetic_revision
            )
        },
    );
    lines.push(("Proof", proof));
    lines
}

fn compiled(settings: &CompileSettings) -> Vec<(&'static str, String)> {
    let CompileSettings { optimizer, losses, metrics } = settings;
    let rule = match optimizer.rule {
        OptimizerRule::Adam(adam) => {
            let (beta_1, beta_2, epsilon) = (adam.beta_1, adam.beta_2, adam.epsilon);
            let amsgrad = if adam.amsgrad { ", AMSGrad" } else { "" };
            format!("Adam, beta_1 {beta_1}, beta_2 {beta_2}, epsilon {epsilon:e}{amsgrad}")
        }
        OptimizerRule::Sgd(sgd) => {
            let nesterov = if sgd.nesterov { " (Nesterov)" } else { "" };
            format!("SGD, momentum {}{nesterov}", sgd.momentum)
        }
        OptimizerRule::RmsProp(rms) => {
            let centered = if rms.centered { ", centered" } else { "" };
            format!(
                "RMSprop, rho {}, momentum {}, epsilon {:e}{centered}",
                rms.rho, rms.momentum, rms.epsilon
            )
        }
        OptimizerRule::Nadam(Nadam { beta_1, beta_2, epsilon, momentum_decay }) => format!(
            "Nadam, beta_1 {beta_1}, beta_2 {beta_2}, epsilon {epsilon:e}, momentum decay \
             {momentum_decay}"
        ),
        OptimizerRule::Adamax(Adamax { beta_1, beta_2, epsilon }) => {
            format!("Adamax, beta_1 {beta_1}, beta_2 {beta_2}, epsilon {epsilon:e}")
        }
        OptimizerRule::Adagrad(Adagrad { initial_accumulator, epsilon }) => {
            format!("Adagrad, initial accumulator {initial_accumulator}, epsilon {epsilon:e}")
        }
        OptimizerRule::Adadelta(Adadelta { rho, epsilon }) => {
            format!("Adadelta, rho {rho}, epsilon {epsilon:e}")
        }
    };
    let mut text = format!("{rule}, learning rate {}", optimizer.learning_rate);
    text += &scheduled(&optimizer.schedule);
    if optimizer.weight_decay != 0.0 {
        text += &format!(", weight decay {}", optimizer.weight_decay);
    }
    match optimizer.clipping {
        Clipping::None => {}
        Clipping::Value(limit) => text += &format!(", gradients within ±{limit}"),
        Clipping::Norm(limit) => text += &format!(", gradients to norm {limit}"),
        Clipping::GlobalNorm(limit) => text += &format!(", gradients to global norm {limit}"),
    }
    let mut lines = vec![("Optimizer", text)];
    for loss in losses {
        let weight = match loss.weight {
            1.0 => String::new(),
            weight => format!(", weight {weight}"),
        };
        let smoothing = match loss.label_smoothing {
            0.0 => String::new(),
            share => format!(", label smoothing {share}"),
        };
        lines.push(("Loss", format!("{} of {}{weight}{smoothing}", loss.loss.name(), loss.output)));
    }
    if !metrics.is_empty() {
        let names: Vec<_> = metrics.iter().map(|metric| metric.name()).collect();
        lines.push(("Metrics", names.join(", ")));
    }
    lines
}

/// What follows the learning rate.
fn scheduled(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Constant => String::new(),
        Schedule::Step { boundaries, factors } => {
            let changes = boundaries.iter().zip(factors);
            changes.map(|(step, factor)| format!(", ×{factor} after step {step}")).collect()
        }
        Schedule::Exponential { steps, rate, staircase } => {
            let stairs = if *staircase { " at once" } else { "" };
            format!(", ×{rate} every {steps} steps{stairs}")
        }
        Schedule::Cosine { steps, floor } => format!(", by a cosine to ×{floor} at step {steps}"),
        Schedule::InverseTime { steps, rate, staircase } => {
            let stairs = if *staircase { " at once" } else { "" };
            format!(", divided by {rate} more every {steps} steps{stairs}")
        }
        Schedule::Polynomial { steps, floor, power, cycle } => {
            let again = if *cycle { ", again and again" } else { "" };
            format!(", by the power {power} to ×{floor} at step {steps}{again}")
        }
        Schedule::CosineRestarts { steps, stretch, shrink, floor } => format!(
            ", by a cosine to ×{floor} at step {steps}, then anew over ×{stretch} steps from ×{shrink}"
        ),
        Schedule::WarmUp { steps, from, then } => {
            format!(", warmed up from ×{from} over {steps} steps{}", scheduled(then))
        }
    }
}

fn columns<const N: usize>(columns: [(&str, Align); N]) -> Vec<(String, Align)> {
    columns.map(|(title, align)| (title.to_owned(), align)).into()
}

fn short(digest: &Digest) -> String {
    digest.to_string().chars().take(DIGITS).collect()
}

fn sections(inspection: &Inspection) -> Option<Table> {
    use Align::{Left, Right};
    let Inspection { form, sections, .. } = inspection;
    let place = match form {
        Format::Directory => ("File", Left),
        _ => ("Offset", Right),
    };
    let mut table = Table::new(columns([
        ("Section", Left),
        place,
        ("Bytes", Right),
        ("CRC-32C", Left),
        ("SHA-256", Left),
        ("Remark", Left),
    ]));
    for section in sections {
        let remark = match section {
            SectionInfo { known: false, .. } => "unknown",
            SectionInfo { critical: true, .. } => "critical",
            _ => "",
        };
        table.row(vec![
            section.id.clone(),
            section.file.clone().unwrap_or_else(|| grouped(section.offset)),
            grouped(section.length),
            section.crc32c.map_or_else(|| "–".to_owned(), |crc| format!("{crc:08x}")),
            short(&section.sha256),
            remark.to_owned(),
        ]);
    }
    (!sections.is_empty()).then_some(table)
}

/// The tensors of that role.
fn tensors(inspection: &Inspection, role: Role) -> Option<Table> {
    use Align::{Left, Right};
    let place = match inspection.form {
        Format::Directory => ("In tensors/", Left),
        _ => ("Offset", Right),
    };
    let mut table = Table::new(columns([
        ("Tensor", Left),
        ("Type", Left),
        ("Shape", Left),
        place,
        ("Bytes", Right),
        ("SHA-256", Left),
    ]));
    let mut found = false;
    for tensor in inspection.tensors.iter().filter(|tensor| tensor.role == role) {
        found = true;
        table.row(vec![
            tensor.name.clone(),
            tensor.dtype.to_owned(),
            Shape::from(tensor.shape.as_slice()).to_string(),
            match &tensor.file {
                Some(file) => numbered(file),
                None => grouped(tensor.offset),
            },
            grouped(tensor.length),
            short(&tensor.sha256),
        ]);
    }
    found.then_some(table)
}

/// `0007-*` for `tensors/0007-conv2d-kernel.npy`: the number alone tells files apart, the rest
/// repeats the tensor's name.
fn numbered(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split_once('-').map_or_else(|| name.to_owned(), |(number, _)| format!("{number}-*"))
}

/// One column per figure, in the order of the last epoch.
fn history(epochs: &[EpochInfo]) -> Option<Table> {
    let names: Vec<&str> = epochs.last()?.values().map(|(name, _)| name).collect();
    let mut columns = columns([("Epoch", Align::Right)]);
    columns.extend(names.iter().map(|&name| (name.to_owned(), Align::Right)));
    let mut table = Table::new(columns);
    for epoch in epochs {
        let figure = |name: &&str| {
            let value = epoch.values().find(|(key, _)| key == name);
            value.map_or_else(String::new, |(_, value)| figure(value))
        };
        let number = grouped(epoch.epoch.saturating_add(1));
        table.row(std::iter::once(number).chain(names.iter().map(figure)).collect());
    }
    Some(table)
}

/// Six significant digits or so.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0 | 1e-3..1e7 => format!("{value:.5}"),
        _ => format!("{value:.3e}"),
    }
}
