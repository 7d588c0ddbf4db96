//! Where training stands as JSON, with a schema number of its own; as the architecture, these types
//! are the file. Counts that may need all 64 bits are strings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::json::{Real, SchemaNumber, Whole};
use crate::bytes::Digest;
use crate::model::{
    CallbackState, DataRecord, FitState, Scores, StateValue, TrainingState, ValidationRecord,
};

/// The schema that this version writes, and the only one it reads.
pub(in crate::format) const TRAINING_SCHEMA: u64 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::format) struct TrainingJson {
    schema: SchemaNumber<TRAINING_SCHEMA>,
    seed: Whole,
    epoch: Whole,
    step_in_epoch: Whole,
    shard: u32,
    arithmetic_revision: u32,
    interrupted: Option<ScoresJson>,
    fit: Option<FitJson>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScoresJson {
    samples: Whole,
    loss: Real,
    losses: Vec<Real>,
    metrics: Vec<Real>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FitJson {
    batch_size: Whole,
    shuffle: bool,
    end: Whole,
    data: DataJson,
    validation: ValidationJson,
    callbacks: BTreeMap<String, CallbackJson>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataJson {
    samples: Whole,
    sha256: Digest,
    source: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ValidationJson {
    None,
    Split(Real),
    Given(DataJson),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallbackJson {
    values: BTreeMap<String, ValueJson>,
    /// Whether there are tensors of it.
    weights: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ValueJson {
    Count(Whole),
    Real(Real),
}

impl From<&TrainingState<()>> for TrainingJson {
    fn from(state: &TrainingState<()>) -> Self {
        let TrainingState {
            seed,
            epoch,
            step_in_epoch,
            shard,
            arithmetic_revision,
            interrupted,
            fit,
        } = state;
        Self {
            schema: SchemaNumber,
            seed: Whole(*seed),
            epoch: Whole(*epoch),
            step_in_epoch: Whole(*step_in_epoch),
            shard: *shard,
            arithmetic_revision: *arithmetic_revision,
            interrupted: interrupted.as_ref().map(ScoresJson::from),
            fit: fit.as_ref().map(FitJson::from),
        }
    }
}

impl From<TrainingJson> for TrainingState<()> {
    fn from(json: TrainingJson) -> Self {
        let TrainingJson {
            schema: SchemaNumber,
            seed: Whole(seed),
            epoch: Whole(epoch),
            step_in_epoch: Whole(step_in_epoch),
            shard,
            arithmetic_revision,
            interrupted,
            fit,
        } = json;
        let (interrupted, fit) = (interrupted.map(Scores::from), fit.map(FitState::from));
        Self { seed, epoch, step_in_epoch, shard, arithmetic_revision, interrupted, fit }
    }
}

impl From<&Scores> for ScoresJson {
    fn from(Scores { samples, loss, losses, metrics }: &Scores) -> Self {
        let reals = |values: &[f64]| values.iter().map(|&value| Real(value)).collect();
        Self {
            samples: Whole(*samples),
            loss: Real(*loss),
            losses: reals(losses),
            metrics: reals(metrics),
        }
    }
}

impl From<ScoresJson> for Scores {
    fn from(json: ScoresJson) -> Self {
        let ScoresJson { samples: Whole(samples), loss: Real(loss), losses, metrics } = json;
        let values = |reals: Vec<Real>| reals.into_iter().map(|real| real.0).collect();
        Self { samples, loss, losses: values(losses), metrics: values(metrics) }
    }
}

impl From<&FitState<()>> for FitJson {
    fn from(state: &FitState<()>) -> Self {
        let FitState { batch_size, shuffle, end, data, validation, callbacks } = state;
        Self {
            batch_size: Whole(*batch_size),
            shuffle: *shuffle,
            end: Whole(*end),
            data: data.into(),
            validation: match validation {
                ValidationRecord::None => ValidationJson::None,
                ValidationRecord::Split(share) => ValidationJson::Split(Real(*share)),
                ValidationRecord::Given(data) => ValidationJson::Given(data.into()),
            },
            callbacks: callbacks.iter().map(|(name, state)| (name.clone(), state.into())).collect(),
        }
    }
}

impl From<FitJson> for FitState<()> {
    fn from(json: FitJson) -> Self {
        let FitJson {
            batch_size: Whole(batch_size),
            shuffle,
            end: Whole(end),
            data,
            validation,
            callbacks,
        } = json;
        Self {
            batch_size,
            shuffle,
            end,
            data: data.into(),
            validation: match validation {
                ValidationJson::None => ValidationRecord::None,
                ValidationJson::Split(Real(share)) => ValidationRecord::Split(share),
                ValidationJson::Given(data) => ValidationRecord::Given(data.into()),
            },
            callbacks: callbacks.into_iter().map(|(name, state)| (name, state.into())).collect(),
        }
    }
}

impl From<&DataRecord> for DataJson {
    fn from(DataRecord { samples, sha256, source }: &DataRecord) -> Self {
        Self { samples: Whole(*samples), sha256: *sha256, source: source.clone() }
    }
}

impl From<DataJson> for DataRecord {
    fn from(DataJson { samples: Whole(samples), sha256, source }: DataJson) -> Self {
        Self { samples, sha256, source }
    }
}

impl From<&CallbackState<()>> for CallbackJson {
    fn from(CallbackState { values, weights }: &CallbackState<()>) -> Self {
        let value = |value: StateValue| match value {
            StateValue::Count(count) => ValueJson::Count(Whole(count)),
            StateValue::Real(real) => ValueJson::Real(Real(real)),
        };
        Self {
            values: values.iter().map(|(name, &state)| (name.clone(), value(state))).collect(),
            weights: weights.is_some(),
        }
    }
}

impl From<CallbackJson> for CallbackState<()> {
    fn from(CallbackJson { values, weights }: CallbackJson) -> Self {
        let value = |json| match json {
            ValueJson::Count(Whole(count)) => StateValue::Count(count),
            ValueJson::Real(Real(real)) => StateValue::Real(real),
        };
        Self {
            values: values.into_iter().map(|(name, json)| (name, value(json))).collect(),
            weights: weights.then_some(()),
        }
    }
}
