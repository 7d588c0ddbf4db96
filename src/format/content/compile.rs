//! The compile settings as JSON; as the architecture, these types are the file.

use serde::{Deserialize, Serialize};

use super::json::{KnownSchema, Real};
use super::layers::twins;
use super::optimizer::OptimizerJson;
use crate::format::error::Fault;
use crate::model::{CompileSettings, Loss, Metric, OutputLoss};

/// The newest schema that this version knows. It reads all from 1 on, and writes the least that can
/// say the settings.
pub(super) const COMPILE_SCHEMA: u64 = 2;

type Schema = KnownSchema<COMPILE_SCHEMA>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::format) struct CompileJson {
    schema: Schema,
    optimizer: OptimizerJson,
    losses: Vec<OutputLossJson>,
    metrics: Vec<MetricJson>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputLossJson {
    output: String,
    loss: LossJson,
    weight: Real,
    /// Left out where it is +0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label_smoothing: Option<Real>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum LossJson {
    SparseCategoricalCrossentropy,
    SparseCategoricalCrossentropyWithLogits,
    CategoricalCrossentropy,
    CategoricalCrossentropyWithLogits,
    BinaryCrossentropy,
    BinaryCrossentropyWithLogits,
    MeanSquaredError,
    MeanAbsoluteError,
    Huber { delta: Real },
    LogCosh,
    KlDivergence,
    Poisson,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    CosineSimilarity,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum MetricJson {
    Accuracy,
    TopKAccuracy { k: usize },
    Loss(LossJson),
    RootMeanSquaredError,
}

impl LossJson {
    /// The least schema that can say it.
    fn schema(&self) -> u64 {
        match self {
            Self::SparseCategoricalCrossentropy
            | Self::SparseCategoricalCrossentropyWithLogits
            | Self::CategoricalCrossentropy
            | Self::CategoricalCrossentropyWithLogits
            | Self::BinaryCrossentropy
            | Self::BinaryCrossentropyWithLogits
            | Self::MeanSquaredError
            | Self::MeanAbsoluteError => 1,
            Self::Huber { .. }
            | Self::LogCosh
            | Self::KlDivergence
            | Self::Poisson
            | Self::Hinge
            | Self::SquaredHinge
            | Self::CategoricalHinge
            | Self::MeanAbsolutePercentageError
            | Self::MeanSquaredLogarithmicError
            | Self::CosineSimilarity => 2,
        }
    }
}

impl OutputLossJson {
    fn schema(&self) -> u64 {
        if self.label_smoothing.is_some() { 2 } else { self.loss.schema() }
    }
}

impl MetricJson {
    fn schema(&self) -> u64 {
        match self {
            Self::Accuracy | Self::TopKAccuracy { .. } => 1,
            Self::Loss(_) | Self::RootMeanSquaredError => 2,
        }
    }
}

/// The least that can say these settings.
fn least_schema(
    optimizer: &OptimizerJson,
    losses: &[OutputLossJson],
    metrics: &[MetricJson],
) -> Schema {
    let losses = losses.iter().map(OutputLossJson::schema);
    let metrics = metrics.iter().map(MetricJson::schema);
    KnownSchema(losses.chain(metrics).fold(optimizer.schema(), u64::max))
}

impl From<&CompileSettings> for CompileJson {
    fn from(settings: &CompileSettings) -> Self {
        let CompileSettings { optimizer, losses, metrics } = settings;
        let loss = |loss: &OutputLoss| {
            let OutputLoss { output, loss, weight, label_smoothing } = loss;
            OutputLossJson {
                output: output.clone(),
                loss: (*loss).into(),
                weight: Real(*weight),
                label_smoothing: (label_smoothing.to_bits() != 0).then_some(Real(*label_smoothing)),
            }
        };
        let optimizer = OptimizerJson::from(optimizer);
        let losses: Vec<_> = losses.iter().map(loss).collect();
        let metrics: Vec<_> = metrics.iter().map(|&metric| metric.into()).collect();
        let schema = least_schema(&optimizer, &losses, &metrics);
        Self { schema, optimizer, losses, metrics }
    }
}

impl TryFrom<CompileJson> for CompileSettings {
    type Error = Fault;

    fn try_from(json: CompileJson) -> Result<Self, Fault> {
        let CompileJson { schema, optimizer, losses, metrics } = json;
        let least = least_schema(&optimizer, &losses, &metrics);
        schema.check(least, "the schema of these compile settings")?;
        let loss = |json: OutputLossJson| {
            let OutputLossJson { output, loss, weight: Real(weight), label_smoothing } = json;
            let label_smoothing = label_smoothing.map_or(0.0, |Real(share)| share);
            OutputLoss { output, loss: loss.into(), weight, label_smoothing }
        };
        Ok(Self {
            optimizer: optimizer.into(),
            losses: losses.into_iter().map(loss).collect(),
            metrics: metrics.into_iter().map(Metric::from).collect(),
        })
    }
}

impl From<Metric> for MetricJson {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::Accuracy => Self::Accuracy,
            Metric::TopKAccuracy { k } => Self::TopKAccuracy { k },
            Metric::Loss(loss) => Self::Loss(loss.into()),
            Metric::RootMeanSquaredError => Self::RootMeanSquaredError,
        }
    }
}

impl From<MetricJson> for Metric {
    fn from(json: MetricJson) -> Self {
        match json {
            MetricJson::Accuracy => Self::Accuracy,
            MetricJson::TopKAccuracy { k } => Self::TopKAccuracy { k },
            MetricJson::Loss(loss) => Self::Loss(loss.into()),
            MetricJson::RootMeanSquaredError => Self::RootMeanSquaredError,
        }
    }
}

twins! {
    Loss = LossJson {
        SparseCategoricalCrossentropy,
        SparseCategoricalCrossentropyWithLogits,
        CategoricalCrossentropy,
        CategoricalCrossentropyWithLogits,
        BinaryCrossentropy,
        BinaryCrossentropyWithLogits,
        MeanSquaredError,
        MeanAbsoluteError,
        Huber { delta: Real },
        LogCosh,
        KlDivergence,
        Poisson,
        Hinge,
        SquaredHinge,
        CategoricalHinge,
        MeanAbsolutePercentageError,
        MeanSquaredLogarithmicError,
        CosineSimilarity,
    }
}
