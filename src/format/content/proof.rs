//! The proof as JSON, schema 1; as the architecture, these types are the file. The answers stand among
//! the tensors.

use serde::{Deserialize, Serialize};

use super::ContentError;
use super::json::{Real, SchemaNumber, Whole};
use crate::model::{Graph, ProbeRange, Proof};

/// The schema that this version writes, and the only one it reads.
pub(super) const PROOF_SCHEMA: u64 = 1;

/// Section `proof`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofJson {
    schema: SchemaNumber<PROOF_SCHEMA>,
    arithmetic_revision: u32,
    seed: Whole,
    samples: u32,
    inputs: Vec<RangeJson>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeJson {
    low: Real,
    high: Real,
}

impl From<&Proof<'_>> for ProofJson {
    fn from(proof: &Proof<'_>) -> Self {
        let range = |&ProbeRange { low, high }: &_| RangeJson { low: Real(low), high: Real(high) };
        Self {
            schema: SchemaNumber,
            arithmetic_revision: proof.arithmetic_revision,
            seed: Whole(proof.seed),
            samples: proof.samples,
            inputs: proof.inputs.iter().map(range).collect(),
        }
    }
}

/// Without its answers.
impl From<ProofJson> for Proof<'static> {
    fn from(json: ProofJson) -> Self {
        let ProofJson { schema: _, arithmetic_revision, seed, samples, inputs } = json;
        let range = |RangeJson { low, high }| ProbeRange { low: low.0, high: high.0 };
        let inputs = inputs.into_iter().map(range).collect();
        Self { arithmetic_revision, seed: seed.0, samples, inputs, outputs: Vec::new() }
    }
}

pub(super) fn check_proof(proof: &Proof<'_>, graph: &Graph) -> Result<(), ContentError> {
    let (found, limit) = (proof.samples, Proof::MAX_SAMPLES);
    if !(1..=limit).contains(&found) {
        return Err(ContentError::ProofSamples { found, limit });
    }
    let (expected, found) = (graph.inputs().len(), proof.inputs.len());
    if expected != found {
        let what = "ranges of a probe".to_owned();
        return Err(ContentError::Count { what, expected, found });
    }
    match proof.inputs.iter().find(|range| !range.is_sound()) {
        Some(&ProbeRange { low, high }) => Err(ContentError::ProbeRange { low, high }),
        None => Ok(()),
    }
}
