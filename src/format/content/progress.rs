//! What the optimizer remembers and what was reported, as JSON, schema 1 each; as the architecture,
//! these types are the file.

use serde::{Deserialize, Serialize};

use super::json::{Real, SchemaNumber, Whole};
use crate::model::{EpochRecord, History};

/// The schemas that this version writes, and the only ones it reads.
pub(super) const OPTIMIZER_SCHEMA: u64 = 1;
pub(super) const HISTORY_SCHEMA: u64 = 1;

/// Section `optimizer`. What the slots hold stands among the tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OptimizerStateJson {
    schema: SchemaNumber<OPTIMIZER_SCHEMA>,
    step: Whole,
    slots: Vec<String>,
}

/// The optimizer's steps, and the names of its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OptimizerSlots {
    pub(super) step: u64,
    pub(super) slots: Vec<String>,
}

/// Section `history`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryJson {
    schema: SchemaNumber<HISTORY_SCHEMA>,
    epochs: Vec<EpochJson>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EpochJson {
    epoch: Whole,
    /// Pairs, because their order counts and that of an object's members does not.
    values: Vec<(String, Real)>,
}

impl From<&OptimizerSlots> for OptimizerStateJson {
    fn from(OptimizerSlots { step, slots }: &OptimizerSlots) -> Self {
        Self { schema: SchemaNumber, step: Whole(*step), slots: slots.clone() }
    }
}

impl From<OptimizerStateJson> for OptimizerSlots {
    fn from(OptimizerStateJson { schema: _, step, slots }: OptimizerStateJson) -> Self {
        Self { step: step.0, slots }
    }
}

impl From<&History> for HistoryJson {
    fn from(History { epochs }: &History) -> Self {
        let epoch = |EpochRecord { epoch, values }: &EpochRecord| EpochJson {
            epoch: Whole(*epoch),
            values: values.iter().map(|(name, value)| (name.clone(), Real(*value))).collect(),
        };
        Self { schema: SchemaNumber, epochs: epochs.iter().map(epoch).collect() }
    }
}

impl From<HistoryJson> for History {
    fn from(HistoryJson { schema: _, epochs }: HistoryJson) -> Self {
        let epoch = |EpochJson { epoch, values }| EpochRecord {
            epoch: epoch.0,
            values: values.into_iter().map(|(name, value)| (name, value.0)).collect(),
        };
        Self { epochs: epochs.into_iter().map(epoch).collect() }
    }
}
