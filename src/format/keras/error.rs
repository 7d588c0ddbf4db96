//! Why a model of Keras could not be read, or a model not be written for Keras.

use crate::bytes::BudgetError;
use crate::model::{GraphError, SettingsError};
use crate::tensor::Shape;
use crate::wire::hdf5::Hdf5Error;
use crate::wire::zip::ZipError;

/// Why a model of Keras could not be read, or a model not be written for Keras. Layers are named as in
/// the file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KerasError {
    #[error(transparent)]
    Zip(#[from] ZipError),
    #[error(transparent)]
    Hdf5(#[from] Hdf5Error),
    #[error(transparent)]
    Budget(#[from] BudgetError),
    #[error("{part} is missing")]
    Missing { part: &'static str },
    #[error(
        "these are weights alone, without the layers that they are of; `keepnet convert WEIGHTS OUT \
         --architecture MODEL` puts both together, and so does `Model::load_with_weights`"
    )]
    WeightsAlone,
    /// Keras 1 has other names for what layers are set to, and Keras 2.4 and later do not read them.
    #[error(
        "{owner} is of Keras 1, which is not read: load the file in Keras 2.0 to 2.3 and save it again"
    )]
    Keras1 { owner: Owner },
    /// Keras 3 joins the factors to the kernel in `.keras` files alone.
    #[error(
        "layer `{layer}` has LoRA factors beside its kernel (`{weight}`); in Keras, save the model as \
         `.keras`, which adds them to the kernel"
    )]
    LoRa { layer: String, weight: String },
    #[error("{part} takes {length} bytes, the limit is {limit}; raise `Limits::text` to read it")]
    TooLong { part: &'static str, length: u64, limit: u64 },
    #[error("{part} is no JSON: {message}")]
    Json { part: &'static str, message: String },
    /// Something else than Keras would write.
    #[error("`{setting}` of {owner} should be {expected}, but is {found}")]
    Setting { owner: Owner, setting: String, expected: &'static str, found: String },
    #[error(
        "{owner} cannot be carried over: keepnet knows no such layer; replace it in Keras by layers \
         that docs/INTEROP.md lists, and save the model again"
    )]
    Layer { owner: Owner },
    /// Code, or something that can only be understood by running code.
    #[error(
        "{owner} runs code of its own, which keepnet never does; replace it in Keras by layers that \
         docs/INTEROP.md lists, and save the model again"
    )]
    Code { owner: Owner },
    #[error("`{setting}` of {owner} is {found}, which keepnet cannot compute; {remedy}")]
    Unsupported { owner: Owner, setting: String, found: String, remedy: &'static str },
    #[error(
        "input `{layer}` takes any size, by its shape {found}, but a network of keepnet takes one; say \
         which by `LoadOptions::input_shapes`, or `--input-shape` of the tool"
    )]
    OpenShape { layer: String, found: String },
    #[error(
        "the file tells no input shape; say which by `LoadOptions::input_shapes`, or `--input-shape` of \
         the tool"
    )]
    NoInput,
    #[error("{owner} refers to {reference}, which does not exist")]
    Reference { owner: Owner, reference: String },
    #[error("the layers of `{model}` form a circle")]
    Circle { model: String },
    #[error("the network has more than {limit} nodes; raise `Limits::nodes` to read it")]
    TooManyNodes { limit: u64 },
    #[error("models are nested deeper than {limit}")]
    Nesting { limit: usize },
    #[error("the network cannot be built: {0}")]
    Graph(#[from] GraphError),
    #[error("the compile settings cannot be used: {0}")]
    Compile(#[from] SettingsError),
    #[error("the file holds no weights of layer `{layer}`; it was looked for at `{place}`")]
    NoWeights { layer: String, place: String },
    #[error("the weights are of {found} layers, the architecture has {expected} with weights")]
    LayerCount { expected: usize, found: usize },
    #[error("layer `{layer}` has {expected} weights, the file holds {found} at `{place}`")]
    WeightCount { layer: String, expected: usize, found: usize, place: String },
    #[error("`{weight}` has shape {expected}, the file holds {found} at `{place}`")]
    WeightShape { weight: String, expected: Shape, found: String, place: String },
    /// Another architecture than that of the file.
    #[error("the file holds weights at `{place}` of which the architecture has no layer")]
    Unclaimed { place: String },
    #[error("layer `{layer}` has {what}, for which Keras has no layer; {remedy}")]
    NoWords { layer: String, what: &'static str, remedy: &'static str },
    #[error("the numbers at `{place}` are {found}; expected floating-point numbers")]
    WeightType { place: String, found: String },
}

/// Whose setting it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The class in Keras, such as `Conv2D`.
    pub class: String,
    /// The layer's name, if it has any.
    pub name: Option<String>,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "layer `{name}` ({})", self.class),
            None => write!(f, "`{}`", self.class),
        }
    }
}

impl KerasError {
    /// Whether the file is damaged or contradicts itself, not merely beyond what keepnet knows.
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Zip(error) => !matches!(error, ZipError::Budget(_) | ZipError::Method { .. }),
            Self::Hdf5(error) => error.is_damage(),
            Self::Missing { .. }
            | Self::Json { .. }
            | Self::Setting { .. }
            | Self::Reference { .. }
            | Self::Circle { .. }
            | Self::NoWeights { .. }
            | Self::LayerCount { .. }
            | Self::WeightCount { .. }
            | Self::WeightShape { .. }
            | Self::Unclaimed { .. }
            | Self::WeightType { .. } => true,
            Self::Layer { .. }
            | Self::Keras1 { .. }
            | Self::LoRa { .. }
            | Self::Code { .. }
            | Self::Unsupported { .. }
            | Self::OpenShape { .. }
            | Self::NoWords { .. }
            | Self::NoInput
            | Self::WeightsAlone
            | Self::Nesting { .. }
            | Self::TooManyNodes { .. }
            | Self::TooLong { .. }
            | Self::Budget(_)
            | Self::Graph(_)
            | Self::Compile(_) => false,
        }
    }
}
