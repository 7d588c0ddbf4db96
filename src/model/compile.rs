//! What a model is trained with: optimizer, losses, metrics. Rules and defaults as in Keras 3.

use super::Optimizer;

/// What [`compile`](crate::Model::compile) was told.
#[derive(Clone, Debug, PartialEq)]
pub struct CompileSettings {
    pub optimizer: Optimizer,
    /// One per output of the graph, in the order of the outputs.
    pub losses: Vec<OutputLoss>,
    pub metrics: Vec<Metric>,
}

/// The loss of one output, and its weight in the sum.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputLoss {
    /// The name of the output in the graph.
    pub output: String,
    pub loss: Loss,
    pub weight: f64,
    /// The share of each target that is spread evenly over all classes, or in binary cross-entropy
    /// over yes and no. Zero for none, as it is for all losses but categorical and binary cross-entropy.
    pub label_smoothing: f64,
}

impl OutputLoss {
    /// With weight 1 and targets as they are.
    pub fn new(output: impl Into<String>, loss: Loss) -> Self {
        Self { output: output.into(), loss, weight: 1.0, label_smoothing: 0.0 }
    }
}

/// The distance between an output and its target, a mean over the batch. The forms `WithLogits`
/// take the values before softmax or sigmoid; the others take probabilities, and where the output
/// layer itself ends in softmax or sigmoid the two are computed as one, exact at any confidence.
/// Targets are values of the output's shape unless it says otherwise; ε is 10⁻⁷.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// −ln p of the true class; targets are class indices.
    SparseCategoricalCrossentropy,
    /// As above, from logits.
    SparseCategoricalCrossentropyWithLogits,
    /// −Σ t·ln p over the last axis; targets are distributions.
    CategoricalCrossentropy,
    /// As above, from logits.
    CategoricalCrossentropyWithLogits,
    /// −t·ln p − (1 − t)·ln(1 − p), averaged over the elements of a sample.
    BinaryCrossentropy,
    /// As above, from logits.
    BinaryCrossentropyWithLogits,
    /// (y − t)², averaged over the elements of a sample.
    MeanSquaredError,
    /// |y − t|, averaged over the elements of a sample.
    MeanAbsoluteError,
    /// ½·(y − t)² up to |y − t| = `delta`, and a straight line beyond: delta·|y − t| − ½·delta²;
    /// averaged over the elements of a sample.
    Huber { delta: f64 },
    /// ln cosh(y − t), averaged over the elements of a sample.
    LogCosh,
    /// Σ t·ln(t / y) over the last axis, both held within ε and 1; targets are distributions.
    KlDivergence,
    /// y − t·ln(y + ε), averaged over the elements of a sample; targets are counts.
    Poisson,
    /// max(1 − t·y, 0), averaged over the elements of a sample; targets are −1 and 1. A target of 0 is
    /// taken for −1.
    Hinge,
    /// The square of that.
    SquaredHinge,
    /// max(max (1 − t)·y − Σ t·y + 1, 0) over the last axis; targets are 0 and 1.
    CategoricalHinge,
    /// 100·|y − t| / max(|t|, ε), averaged over the elements of a sample.
    MeanAbsolutePercentageError,
    /// (ln(1 + y) − ln(1 + t))², both at least ε, averaged over the elements of a sample.
    MeanSquaredLogarithmicError,
    /// −Σ t·y / (‖t‖·‖y‖) over the last axis, a norm below ε taken for ε.
    CosineSimilarity,
}

/// What `fit` and `evaluate` report beside the loss, for the first output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// The share of samples whose largest output is the true class (of elements on the right side
    /// of one half, with binary cross-entropy).
    Accuracy,
    /// The share of samples whose true class is among the `k` largest outputs.
    TopKAccuracy { k: usize },
    /// A loss that is only looked at. It takes targets as that of the output does.
    Loss(Loss),
    /// The root of the mean squared error over all samples.
    RootMeanSquaredError,
}

impl Loss {
    /// The name Keras gives it, with the suffix `_with_logits` for those forms.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SparseCategoricalCrossentropy => "sparse_categorical_crossentropy",
            Self::SparseCategoricalCrossentropyWithLogits => {
                "sparse_categorical_crossentropy_with_logits"
            }
            Self::CategoricalCrossentropy => "categorical_crossentropy",
            Self::CategoricalCrossentropyWithLogits => "categorical_crossentropy_with_logits",
            Self::BinaryCrossentropy => "binary_crossentropy",
            Self::BinaryCrossentropyWithLogits => "binary_crossentropy_with_logits",
            Self::MeanSquaredError => "mean_squared_error",
            Self::MeanAbsoluteError => "mean_absolute_error",
            Self::Huber { .. } => "huber",
            Self::LogCosh => "log_cosh",
            Self::KlDivergence => "kl_divergence",
            Self::Poisson => "poisson",
            Self::Hinge => "hinge",
            Self::SquaredHinge => "squared_hinge",
            Self::CategoricalHinge => "categorical_hinge",
            Self::MeanAbsolutePercentageError => "mean_absolute_percentage_error",
            Self::MeanSquaredLogarithmicError => "mean_squared_logarithmic_error",
            Self::CosineSimilarity => "cosine_similarity",
        }
    }

    /// Whether targets are class indices; otherwise they are values of the output's shape.
    pub const fn takes_classes(self) -> bool {
        matches!(
            self,
            Self::SparseCategoricalCrossentropy | Self::SparseCategoricalCrossentropyWithLogits
        )
    }

    /// Whether outputs are the chances of classes, or of yes and no.
    pub(crate) const fn is_crossentropy(self) -> bool {
        use Loss::{
            BinaryCrossentropy, BinaryCrossentropyWithLogits, CategoricalCrossentropy,
            CategoricalCrossentropyWithLogits,
        };
        self.takes_classes()
            || matches!(
                self,
                CategoricalCrossentropy
                    | CategoricalCrossentropyWithLogits
                    | BinaryCrossentropy
                    | BinaryCrossentropyWithLogits
            )
    }

    /// The form that takes logits, for a loss that takes probabilities; else the loss itself.
    pub(crate) const fn with_logits(self) -> Self {
        match self {
            Self::SparseCategoricalCrossentropy => Self::SparseCategoricalCrossentropyWithLogits,
            Self::CategoricalCrossentropy => Self::CategoricalCrossentropyWithLogits,
            Self::BinaryCrossentropy => Self::BinaryCrossentropyWithLogits,
            other => other,
        }
    }
}

impl Metric {
    /// The name under which history and reports show it.
    pub fn name(self) -> String {
        match self {
            Self::Accuracy => "accuracy".to_owned(),
            Self::TopKAccuracy { k } => format!("top_{k}_accuracy"),
            Self::Loss(loss) => loss.name().to_owned(),
            Self::RootMeanSquaredError => "root_mean_squared_error".to_owned(),
        }
    }
}
