//! What a model is trained with: optimizer, losses, metrics. Rules and defaults as in Keras 3.

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
}

/// The distance between an output and its target, a mean over the batch. The forms `WithLogits`
/// take the values before softmax or sigmoid; the others take probabilities, and where the output
/// layer itself ends in softmax or sigmoid the two are computed as one, exact at any confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// What `fit` and `evaluate` report beside the loss, for the first output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The share of samples whose largest output is the true class (of elements on the right side
    /// of one half, with binary cross-entropy).
    Accuracy,
    /// The share of samples whose true class is among the `k` largest outputs.
    TopKAccuracy { k: usize },
}

/// A rule, its learning rate, and what is done to gradients and parameters around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    pub rule: OptimizerRule,
    pub learning_rate: f64,
    /// What becomes of the learning rate from step to step.
    pub schedule: Schedule,
    /// Decoupled: w −= learning rate · weight decay · w before each step (Loshchilov and Hutter,
    /// 2019). Zero for none.
    pub weight_decay: f64,
    pub clipping: Clipping,
}

/// What the learning rate is multiplied by, depending on the steps that the optimizer has done.
/// The formulas are those of Keras' learning rate schedules of similar names, with every rate as a
/// share of [`Optimizer::learning_rate`].
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schedule {
    /// 1
    #[default]
    Constant,
    /// 1 up to and with `boundaries[0]` steps done, then `factors[i]` from above `boundaries[i]`
    /// steps on (`PiecewiseConstantDecay`). Boundaries ascend, and there is a factor for each.
    Step { boundaries: Vec<u64>, factors: Vec<f64> },
    /// rate^(done / steps), with a staircase rounded down in the exponent (`ExponentialDecay`).
    Exponential { steps: u64, rate: f64, staircase: bool },
    /// (1 − floor)·½·(1 + cos(π·done / steps)) + floor, and `floor` after `steps` (`CosineDecay`).
    Cosine { steps: u64, floor: f64 },
    /// From `from` to 1 in a straight line over `steps`, `then` another schedule, which counts its
    /// steps from there and is no warm-up itself.
    WarmUp { steps: u64, from: f64, then: Box<Self> },
}

/// How a gradient becomes a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerRule {
    Adam(Adam),
    Sgd(Sgd),
    RmsProp(RmsProp),
}

/// Kingma and Ba (2015), in Keras' form: w −= lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    pub beta_1: f64,
    pub beta_2: f64,
    pub epsilon: f64,
}

/// m = momentum·m − lr·g; w += m, or with Nesterov w += momentum·m − lr·g.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    pub momentum: f64,
    pub nesterov: bool,
}

/// v = ρ·v + (1 − ρ)·g²; step = lr·g/√(v + ε), through a momentum if there is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    pub rho: f64,
    pub momentum: f64,
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { rho: 0.9, momentum: 0.0, epsilon: 1e-7 }
    }
}

/// What is done to gradients that are too large.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Clipping {
    #[default]
    None,
    /// Each element is held within ±value.
    Value(f64),
    /// Each tensor's gradient is scaled down to this Euclidean norm.
    Norm(f64),
    /// All gradients together are scaled down to this Euclidean norm.
    GlobalNorm(f64),
}

impl Optimizer {
    pub fn new(rule: OptimizerRule, learning_rate: f64) -> Self {
        Self {
            rule,
            learning_rate,
            schedule: Schedule::Constant,
            weight_decay: 0.0,
            clipping: Clipping::None,
        }
    }

    /// The same with a learning rate that follows `schedule`.
    pub fn with_schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// Adam with Keras' defaults (β 0.9 and 0.999, ε 1e-7).
    pub fn adam(learning_rate: f64) -> Self {
        Self::new(OptimizerRule::Adam(Adam::default()), learning_rate)
    }

    /// Adam with decoupled weight decay (Keras' default: 0.004).
    pub fn adamw(learning_rate: f64, weight_decay: f64) -> Self {
        Self { weight_decay, ..Self::adam(learning_rate) }
    }

    /// Gradient descent, with momentum if it is not zero.
    pub fn sgd(learning_rate: f64, momentum: f64) -> Self {
        Self::new(OptimizerRule::Sgd(Sgd { momentum, nesterov: false }), learning_rate)
    }

    /// RMSprop with Keras' defaults (ρ 0.9, ε 1e-7).
    pub fn rmsprop(learning_rate: f64) -> Self {
        Self::new(OptimizerRule::RmsProp(RmsProp::default()), learning_rate)
    }

    /// The names of the per-parameter slots the rule keeps, in the order they are stored.
    pub fn slots(&self) -> &'static [&'static str] {
        match self.rule {
            OptimizerRule::Adam(_) => &["momentum", "velocity"],
            OptimizerRule::Sgd(Sgd { momentum: 0.0, .. }) => &[],
            OptimizerRule::Sgd(_) => &["momentum"],
            OptimizerRule::RmsProp(RmsProp { momentum: 0.0, .. }) => &["velocity"],
            OptimizerRule::RmsProp(_) => &["velocity", "momentum"],
        }
    }
}

/// [`Optimizer::adam`] with learning rate 0.001.
impl Default for Optimizer {
    fn default() -> Self {
        Self::adam(0.001)
    }
}

macro_rules! rule_with_default_rate {
    ($($rule:ident => $variant:ident, $rate:literal;)*) => {$(
        #[doc = concat!("With Keras' default learning rate, ", $rate, ".")]
        impl From<$rule> for Optimizer {
            fn from(rule: $rule) -> Self {
                Self::new(OptimizerRule::$variant(rule), $rate)
            }
        }
    )*};
}

rule_with_default_rate! {
    Adam => Adam, 0.001;
    Sgd => Sgd, 0.01;
    RmsProp => RmsProp, 0.001;
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
        }
    }
}

impl Loss {
    /// Whether targets are class indices; otherwise they are values of the output's shape.
    pub const fn takes_classes(self) -> bool {
        matches!(
            self,
            Self::SparseCategoricalCrossentropy | Self::SparseCategoricalCrossentropyWithLogits
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
        }
    }
}
