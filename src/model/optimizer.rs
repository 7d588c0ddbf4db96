//! Optimizers: rules of Keras 3 with its defaults, and schedules of the learning rate.

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
    /// 1 / (1 + rate·done / steps), with a staircase rounded down in the division
    /// (`InverseTimeDecay`, and the setting `decay` of the optimizers of Keras 2, of one step).
    InverseTime { steps: u64, rate: f64, staircase: bool },
    /// (1 − floor)·(1 − done / steps)^power + floor, and `floor` after `steps`; with `cycle`, `steps`
    /// doubles, trebles … instead whenever it has passed (`PolynomialDecay`).
    Polynomial { steps: u64, floor: f64, power: f64, cycle: bool },
    /// A cosine as above from `height` down to `floor`, again and again: over `steps` at first, each time
    /// over `stretch` (1 to 1000) times as many, and with (1 − floor)·`shrink` as the height above the floor
    /// (`CosineDecayRestarts`).
    CosineRestarts { steps: u64, stretch: f64, shrink: f64, floor: f64 },
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
    Nadam(Nadam),
    Adamax(Adamax),
    Adagrad(Adagrad),
    Adadelta(Adadelta),
}

/// Kingma and Ba (2015), in Keras' form: w −= lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    pub beta_1: f64,
    pub beta_2: f64,
    pub epsilon: f64,
    /// Divides by the root of the largest v so far (Reddi, Kale and Kumar, 2018).
    pub amsgrad: bool,
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
    /// Takes the variance of the gradient for its mean square: v − a², a = ρ·a + (1 − ρ)·g.
    pub centered: bool,
}

/// Adam with Nesterov's momentum (Dozat, 2016), in Keras' form: with the momentum of step t
/// u(t) = β₁·(1 − ½·0.96^(t·momentum decay)) and P(t) = u(1)·…·u(t),
/// w −= lr · (u(t + 1)·m/(1 − P(t + 1)) + (1 − u(t))·g/(1 − P(t))) / (√(v/(1 − β₂ᵗ)) + ε).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nadam {
    pub beta_1: f64,
    pub beta_2: f64,
    pub epsilon: f64,
    /// 1 in Keras 3; 0.004 in Keras up to 2.10, in PyTorch and in the paper.
    pub momentum_decay: f64,
}

/// Adam by the infinity norm (Kingma and Ba, 2015): u = max(β₂·u, |g|);
/// w −= lr/(1 − β₁ᵗ) · m/(u + ε).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adamax {
    pub beta_1: f64,
    pub beta_2: f64,
    pub epsilon: f64,
}

/// Duchi, Hazan and Singer (2011): a += g²; w −= lr·g/√(a + ε).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// What a starts with.
    pub initial_accumulator: f64,
    pub epsilon: f64,
}

/// Zeiler (2012): a = ρ·a + (1 − ρ)·g²; s = g·√(d + ε)/√(a + ε); d = ρ·d + (1 − ρ)·s²; w −= lr·s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adadelta {
    pub rho: f64,
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad: false }
    }
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false }
    }
}

impl Default for Nadam {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, momentum_decay: 1.0 }
    }
}

impl Default for Adamax {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }
}

impl Default for Adagrad {
    fn default() -> Self {
        Self { initial_accumulator: 0.1, epsilon: 1e-7 }
    }
}

impl Default for Adadelta {
    fn default() -> Self {
        Self { rho: 0.95, epsilon: 1e-7 }
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
            OptimizerRule::Adam(Adam { amsgrad: false, .. }) | OptimizerRule::Nadam(_) => {
                &["momentum", "velocity"]
            }
            OptimizerRule::Adam(_) => &["momentum", "velocity", "velocity_hat"],
            OptimizerRule::Sgd(Sgd { momentum: 0.0, .. }) => &[],
            OptimizerRule::Sgd(_) => &["momentum"],
            OptimizerRule::RmsProp(RmsProp { momentum, centered, .. }) => {
                match (momentum == 0.0, centered) {
                    (true, false) => &["velocity"],
                    (false, false) => &["velocity", "momentum"],
                    (true, true) => &["velocity", "average_gradient"],
                    (false, true) => &["velocity", "momentum", "average_gradient"],
                }
            }
            OptimizerRule::Adamax(_) => &["momentum", "norm"],
            OptimizerRule::Adagrad(_) => &["accumulator"],
            OptimizerRule::Adadelta(_) => &["accumulated_grad", "accumulated_delta_var"],
        }
    }

    /// What the slots hold before the first step.
    pub(crate) fn initial_slot(&self) -> f32 {
        match self.rule {
            OptimizerRule::Adagrad(adagrad) => adagrad.initial_accumulator as f32,
            _ => 0.0,
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
    Nadam => Nadam, 0.001;
    Adamax => Adamax, 0.001;
    Adagrad => Adagrad, 0.001;
    Adadelta => Adadelta, 0.001;
}
