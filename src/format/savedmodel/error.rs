//! Why a SavedModel could not be read or written.

use crate::bytes::BudgetError;
use crate::format::operations::LoweringError;
use crate::wire::tensorflow::{BundleError, MessageError};

/// Why a SavedModel of TensorFlow could not be read, or a model not be written as one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SavedModelError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(
        "`saved_model.pb` is of version {found}, keepnet reads version 1; load it in TensorFlow and save it again"
    )]
    Version { found: i64 },
    #[error("it holds no graph to serve: no part of it is tagged `serve`; save it with this tag")]
    NoGraph,
    #[error(
        "`{name}` is a SavedModel as text or in pieces, which keepnet does not read; load it in TensorFlow \
         and save it again"
    )]
    OtherWriting { name: &'static str },
    /// Its graph, where neither keepnet nor Keras has described the layers.
    #[error(transparent)]
    Lowering(#[from] LoweringError),
    #[error(transparent)]
    Budget(#[from] BudgetError),
    #[error(
        "node `{node}` ({operation}) {what}, which keepnet does not read; docs/INTEROP.md lists what it \
         reads"
    )]
    Node { node: String, operation: String, what: &'static str },
    /// The types are named as TensorFlow names them.
    #[error(
        "attribute `{attribute}` of node `{node}` ({operation}) should be of the type {expected}, but is of \
         type {found}; export the model anew"
    )]
    AttributeType {
        node: String,
        operation: String,
        attribute: String,
        expected: &'static str,
        found: &'static str,
    },
    #[error(
        "the constant `{node}` has {numbers} numbers that the file repeats instead of listing them; keepnet \
         takes {limit} of those in a graph; save what is so large as a variable"
    )]
    Repeats { node: String, numbers: u64, limit: u64 },
    #[error("the description of Keras is of objects that are not there")]
    NoObject,
    #[error(
        "it has no signature to serve, so that nothing tells what it predicts; save it with \
         `signatures={{\"serving_default\": …}}`, a function of TensorSpecs"
    )]
    NoSignature,
    #[error(
        "it has {}, and none of them is `serving_default` or `serve`; save it with the one to predict by \
         as `serving_default`",
        signatures(.found)
    )]
    Signatures { found: Vec<String> },
    #[error("`{name}` is referred to in its graph, but not there")]
    NoNode { name: String },
    #[error("the operation or function `{node}` of its graph needs its own result")]
    Circle { node: String },
    #[error("its graph reads the variable `{key}`, which is not stored")]
    NoVariable { key: String },
    #[error("its graph has more than {limit} operations; raise `Limits::nodes` to read it")]
    TooManyOperations { limit: u64 },
    #[error(
        "its graph would take {length} bytes, but a message of protobuf ends at {limit}; save the model as \
         `.knet`"
    )]
    TooLarge { length: u64, limit: u64 },
    #[error(
        "layer `{layer}` could not be written as operations of TensorFlow; save the model as `.knet`"
    )]
    Layer { layer: String },
}

fn signatures(found: &[String]) -> String {
    /// The most names in a message.
    const MOST: usize = 4;
    let names: Vec<_> = found.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    let more = if found.len() > MOST { ", …" } else { "" };
    format!("{} signatures, {}{more}", found.len(), names.join(", "))
}

impl SavedModelError {
    /// Whether the files are damaged or contradict themselves, not merely beyond what keepnet knows.
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Message(error) => error.is_damage(),
            Self::Bundle(error) => error.is_damage(),
            Self::Lowering(error) => error.is_corrupt(),
            Self::NoObject
            | Self::NoNode { .. }
            | Self::Circle { .. }
            | Self::NoVariable { .. }
            | Self::AttributeType { .. } => true,
            Self::Version { .. }
            | Self::NoGraph
            | Self::NoSignature
            | Self::Signatures { .. }
            | Self::OtherWriting { .. }
            | Self::Budget(_)
            | Self::Node { .. }
            | Self::Repeats { .. }
            | Self::TooManyOperations { .. }
            | Self::TooLarge { .. }
            | Self::Layer { .. } => false,
        }
    }
}
