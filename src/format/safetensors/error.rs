//! Why weights of a safetensors file could not be read or written.

use crate::bytes::BudgetError;
use crate::tensor::Shape;
use crate::wire::safetensors::SafetensorsError;

/// Why weights of a safetensors file could not be read or written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    #[error(transparent)]
    File(#[from] SafetensorsError),
    #[error(transparent)]
    Budget(#[from] BudgetError),
    #[error(
        "these are weights alone, without the layers that they are of; `keepnet convert WEIGHTS OUT \
         --architecture MODEL` puts both together, and so does `Model::load_with_weights`"
    )]
    Alone,
    #[error("layer `{layer}` {reason}; save the model in the layout of Keras")]
    NoLayout { layer: String, reason: &'static str },
    #[error("two tensors would be called `{name}`; give the layers other names")]
    Twice { name: String },
    #[error("the file holds no `{name}` of shape {expected}")]
    Missing { name: String, expected: Shape },
    #[error("`{name}` has shape {expected}, the file holds {found} at `{place}`")]
    WeightShape { name: String, expected: Shape, found: Shape, place: String },
    #[error("the numbers at `{place}` are {found}; expected floating-point numbers")]
    WeightType { place: String, found: &'static str },
    /// By names none is the layer's, and by shapes none or not just one.
    #[error(
        "layer `{layer}` takes {expected}, and no module of the file is called so; {found}; rename the \
         tensors after the layers of the architecture"
    )]
    NoModule { layer: String, expected: String, found: String },
    /// γ or β that the network does not have, but PyTorch always.
    #[error(
        "`{place}` is not {value} throughout, but the layer in the architecture has no such parameter; \
         take an architecture in which it has"
    )]
    NotNeutral { place: String, value: f32 },
    /// Another architecture than that of the file.
    #[error("the file holds `{place}`, of which the architecture has no layer")]
    Unclaimed { place: String },
}

impl WeightsError {
    /// Whether the file is damaged or contradicts itself, not merely made for another network.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::File(error) if error.is_damage())
    }
}
