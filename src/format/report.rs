//! What became of the file of another program when it was loaded, and of a model that was saved for one.

use std::fmt;

use super::keras::Owner;
use crate::model::Checkpoint;

/// Something in a file that was not taken over as it stood. Predictions are the same all the same,
/// unless it says otherwise.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// The numbers of a weight were of another type than f32.
    Converted { weight: String, from: &'static str },
    /// The file rounds this value to a coarser type, keepnet does not: predictions differ by that.
    Unrounded { value: String, to: &'static str },
    /// A setting that keepnet does not have: it only matters for training.
    NotCarried { owner: Owner, setting: String, found: String },
    /// Keras lets this layer act in training only; keepnet never.
    PassesThrough { owner: Owner },
    /// Keras 2 computes this layer, or the layers of this model, as in training (`true`) or as outside
    /// of it (`false`), whichever it is. keepnet does not: with `true` predictions differ.
    FixedMode { owner: Owner, training: bool },
    /// A model inside the model became part of it.
    Flattened { model: String },
    /// Nothing that the model gives depends on this input: it is not to be given to `predict`, though Keras
    /// asks for it.
    InputLeftOut { name: String },
    /// Nothing that the model gives depends on this layer. Its numbers stay behind.
    LayerLeftOut { name: String },
    /// The optimizer's state stays behind.
    NoOptimizerState { reason: String },
    /// The compile settings stay behind.
    NotCompiled { reason: String },
    /// A metric that keepnet does not have.
    NoMetric { name: String },
    /// A metric of another output than the first, of which keepnet reports none.
    MetricElsewhere { name: String },
    /// Keras turned the kernels of convolutions around for Theano. They are taken as they stand, as
    /// tf-keras takes them; Keras up to 2.3 turned them back, so its predictions differ.
    KernelsOfTheano,
    /// This input or output has its channels behind the batch in the file; here they are last.
    ChannelsLast { name: String },
    /// No module of the file is called as the layer; this one alone has its shapes, or is numbered in its
    /// place.
    ByShape { layer: String, module: String },
    /// The numbers stand in the file as PyTorch has them, and were brought into keepnet's order.
    LayoutOfTorch,
    /// keepnet wrote the file, and somebody has changed this part of it since: what keepnet keeps in it
    /// beside (training, history, proof …) is of the former model.
    Edited { part: String },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Converted { weight, from } => write!(f, "`{weight}` was {from}, and is f32 now"),
            Self::Unrounded { value, to } => write!(
                f,
                "`{value}` is rounded to {to} in the file, and stays f32 here: predictions differ by that"
            ),
            Self::NotCarried { owner, setting, found } => {
                write!(
                    f,
                    "`{setting}` of {owner} ({found}) is left out: it matters for training only"
                )
            }
            Self::PassesThrough { owner } => {
                write!(f, "{owner} changes nothing here: Keras lets it act in training only")
            }
            Self::FixedMode { owner, training: true } => write!(
                f,
                "Keras 2 always computes {owner} as in training, keepnet only when it is trained: \
                 predictions differ"
            ),
            Self::FixedMode { owner, training: false } => write!(
                f,
                "Keras 2 never computes {owner} as in training, keepnet does when it is trained"
            ),
            Self::Flattened { model } => {
                write!(f, "the model `{model}` inside the model became part of it")
            }
            Self::InputLeftOut { name } => write!(
                f,
                "the input `{name}` leads to no output and is left out: the model takes none such here"
            ),
            Self::LayerLeftOut { name } => {
                write!(f, "the layer `{name}` leads to no output and is left out, with its numbers")
            }
            Self::NoOptimizerState { reason } => {
                write!(f, "the optimizer starts anew: {reason}")
            }
            Self::NoMetric { name } => {
                write!(f, "the metric `{name}` is left out: keepnet has none such")
            }
            Self::MetricElsewhere { name } => write!(
                f,
                "the metric `{name}` is left out: it is not of the first output, and keepnet reports \
                 metrics of that alone"
            ),
            Self::KernelsOfTheano => f.write_str(
                "the file was written by Keras on Theano, where convolutions have their kernels turned \
                 around: they are taken as they stand, as tf-keras does, so predictions may differ",
            ),
            Self::ChannelsLast { name } => write!(
                f,
                "`{name}` has channels first in the file, and channels last here"
            ),
            Self::ByShape { layer, module } => write!(
                f,
                "the layer `{layer}` took the weights of `{module}`, by their shapes and order: no name \
                 tells"
            ),
            Self::LayoutOfTorch => f.write_str(
                "kernels, and what stands behind a Flatten, were brought from PyTorch's layout into \
                 keepnet's",
            ),
            Self::Edited { part } => write!(
                f,
                "{part} was changed after keepnet wrote the file: what only keepnet knew of the model \
                 is passed over"
            ),
            Self::NotCompiled { reason } => {
                write!(f, "the model has to be compiled anew: {reason}")
            }
        }
    }
}

/// A model, and what is to be told of it.
pub(super) struct Loaded {
    pub(super) checkpoint: Checkpoint<'static>,
    pub(super) report: Report,
}

impl Loaded {
    /// With what there is to tell of the network before the weights.
    pub(super) fn with_notices(mut self, mut before: Vec<Notice>) -> Self {
        before.append(&mut self.report.notices);
        self.report.notices = before;
        self
    }
}

/// What a file of another program held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Such as `Keras 3.15.1`, where the file tells.
    pub writer: Option<String>,
    /// Whether what keepnet keeps beside was there, whose digests then all agree.
    pub is_proven: bool,
    /// Steps of the optimizer whose state was restored.
    pub optimizer_steps: Option<u64>,
    pub notices: Vec<Notice>,
}

impl Report {
    /// Of what keepnet kept in the file of another program.
    pub(super) fn of_own(checkpoint: &Checkpoint<'_>) -> Self {
        Self {
            writer: Some("keepnet".to_owned()),
            is_proven: true,
            optimizer_steps: checkpoint.optimizer.as_ref().map(|state| state.step),
            notices: Vec::new(),
        }
    }
}

/// What another program does not see of a model that was saved for it. keepnet does, when it loads the file again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hidden {
    /// Keras has to compile the model anew.
    Compile { reason: &'static str },
    /// What the optimizer remembers: Keras 3 fails to train on with what an `.h5` file holds of it.
    OptimizerState,
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compile { reason } => {
                write!(f, "in Keras the model has to be compiled anew: {reason}")
            }
            Self::OptimizerState => f.write_str(
                "in Keras the optimizer starts anew: Keras 3 cannot take its state from `.h5`; save \
                 as `.keras` to carry it over",
            ),
        }
    }
}
