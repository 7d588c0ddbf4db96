//! What can be told of a saved model without running it.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::content::json::Real;
use super::content::{CompileJson, Expected, GraphJson, Role, TrainingJson};
use super::{Format, Version};
use crate::bytes::Digest;
use crate::model::{Checkpoint, CompileSettings, EpochRecord, Proof, TrainingState};
use crate::tensor::Tensor;

/// A saved model that has passed every check, and where its parts stand.
pub(super) struct Parsed<'a> {
    pub(super) version: Version,
    /// Of everything: the footer's, or the manifest's.
    pub(super) sha256: Digest,
    pub(super) sections: Vec<SectionInfo>,
    pub(super) tensors: Vec<TensorInfo>,
    pub(super) checkpoint: Checkpoint<'a>,
}

impl<'a> Parsed<'a> {
    pub(super) fn new(
        version: Version,
        sha256: Digest,
        sections: Vec<SectionInfo>,
        tensors: Vec<TensorInfo>,
        checkpoint: Checkpoint<'a>,
    ) -> Self {
        let unknown = sections.iter().filter(|section| !section.known);
        let passed_over = unknown.map(|section| section.id.clone()).collect();
        let checkpoint = Checkpoint { passed_over, ..checkpoint };
        Self { version, sha256, sections, tensors, checkpoint }
    }
}

/// A description of a saved model, down to places and checksums.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    pub form: Format,
    pub version: Version,
    /// The number of the schema of the architecture.
    pub architecture_schema: u64,
    /// The digest that covers everything.
    pub sha256: Digest,
    /// The name of the network.
    pub name: String,
    pub layers: usize,
    /// How many numbers the network's parameters are.
    pub parameters: u64,
    pub sections: Vec<SectionInfo>,
    pub tensors: Vec<TensorInfo>,
    /// Serialised as in the file.
    #[serde(serialize_with = "as_in_the_file")]
    pub compile: Option<CompileSettings>,
    pub optimizer_step: Option<u64>,
    /// The names of what the optimizer remembers per parameter.
    pub optimizer_slots: Vec<String>,
    /// Serialised as in the file.
    #[serde(serialize_with = "training_as_in_the_file")]
    pub training: Option<TrainingState<()>>,
    /// By epoch; `None` if no history is saved.
    pub history: Option<Vec<EpochInfo>>,
    pub metadata: BTreeMap<String, String>,
    pub proof: Option<ProofInfo>,
    /// Sections of a newer version that were passed over.
    pub skipped: Vec<String>,
}

/// A section of the file form, or a file of the directory form that is no tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SectionInfo {
    pub id: String,
    pub critical: bool,
    /// Whether this version knows what it means.
    pub known: bool,
    /// Relative to the directory; `None` in the file form.
    pub file: Option<String>,
    /// Of the payload, from the start of its file.
    pub offset: u64,
    pub length: u64,
    /// Only the file form has one.
    pub crc32c: Option<u32>,
    pub sha256: Digest,
}

/// A tensor and where its numbers stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TensorInfo {
    pub role: Role,
    pub name: String,
    pub dtype: &'static str,
    pub shape: Vec<usize>,
    /// Relative to the directory; `None` in the file form.
    pub file: Option<String>,
    /// Of the numbers, from the start of their file.
    pub offset: u64,
    pub length: u64,
    /// Of the numbers: the same in both forms.
    pub sha256: Digest,
}

/// The figures of one epoch, what is not finite as text.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EpochInfo {
    pub epoch: u64,
    values: Vec<(String, Real)>,
}

/// What the proof is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProofInfo {
    pub arithmetic_revision: u32,
    pub seed: String,
    pub samples: u32,
}

impl Inspection {
    pub(super) fn new(form: Format, parsed: &Parsed<'_>) -> Self {
        let Parsed { version, sha256, sections, tensors, checkpoint } = parsed;
        let Checkpoint { graph, compile, optimizer, training, history, metadata, proof, .. } =
            checkpoint;
        let elements = graph.parameters().iter().map(|parameter| parameter.shape.elements() as u64);
        Self {
            form,
            version: *version,
            architecture_schema: GraphJson::from(graph).schema(),
            sha256: *sha256,
            name: graph.name().to_owned(),
            layers: graph.layers().len(),
            parameters: elements.sum(),
            skipped: checkpoint.passed_over.clone(),
            sections: sections.clone(),
            tensors: tensors.clone(),
            compile: compile.clone(),
            optimizer_step: optimizer.as_ref().map(|optimizer| optimizer.step),
            optimizer_slots: (optimizer.iter().flat_map(|optimizer| &optimizer.slots))
                .map(|slot| slot.name.clone())
                .collect(),
            training: training.as_ref().map(|state| state.as_ref().map(|_| ())),
            history: history.as_ref().map(|history| {
                let info = |record: &EpochRecord| EpochInfo {
                    epoch: record.epoch,
                    values: (record.values.iter().cloned())
                        .map(|(name, value)| (name, Real(value)))
                        .collect(),
                };
                history.epochs.iter().map(info).collect()
            }),
            metadata: metadata.clone(),
            proof: proof.as_ref().map(ProofInfo::from),
        }
    }
}

impl From<&Proof<'_>> for ProofInfo {
    fn from(proof: &Proof<'_>) -> Self {
        Self {
            arithmetic_revision: proof.arithmetic_revision,
            seed: proof.seed.to_string(),
            samples: proof.samples,
        }
    }
}

fn as_in_the_file<S: Serializer>(
    compile: &Option<CompileSettings>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    compile.as_ref().map(CompileJson::from).serialize(serializer)
}

fn training_as_in_the_file<S: Serializer>(
    training: &Option<TrainingState<()>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    training.as_ref().map(TrainingJson::from).serialize(serializer)
}

impl EpochInfo {
    /// Names and values, in the order reported.
    pub fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.0))
    }
}

impl TensorInfo {
    pub(super) fn new(
        expected: &Expected,
        tensor: &Tensor<'_>,
        file: Option<String>,
        offset: u64,
        sha256: Digest,
    ) -> Self {
        Self {
            role: expected.role,
            name: expected.name.clone(),
            dtype: tensor.dtype().name(),
            shape: tensor.shape().dims().to_vec(),
            file,
            offset,
            length: tensor.bytes().len() as u64,
            sha256,
        }
    }
}
