//! Why an ONNX file could not be read, or a model not be written as one.

use crate::bytes::BudgetError;
use crate::format::operations::LoweringError;
use crate::wire::onnx::{AttributeKind, OnnxSyntaxError};
use crate::wire::protobuf::ProtobufError;

/// Why an ONNX file could not be read, or a model not be written as one. Nodes and values are named as in
/// the file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    #[error(transparent)]
    Syntax(#[from] OnnxSyntaxError),
    #[error(transparent)]
    Budget(#[from] BudgetError),
    #[error(transparent)]
    Lowering(#[from] LoweringError),
    #[error("the file holds no graph")]
    NoGraph,
    #[error("the file holds {what}, which keepnet does not read; export it without")]
    Beyond { what: &'static str },
    #[error(
        "the operators are of version {found}, and keepnet reads {lowest} to {highest}; export the model \
         with another `opset_version`"
    )]
    OperatorSet { found: i64, lowest: i64, highest: i64 },
    #[error("node `{node}` ({operator}) {what}, which keepnet does not read")]
    Node { node: String, operator: String, what: &'static str },
    /// `found` is a number of `AttributeProto.AttributeType`.
    #[error(
        "attribute `{attribute}` of node `{node}` ({operator}) should be of the type {expected:?}, but is of \
         type {found}; export the model anew"
    )]
    AttributeType {
        node: String,
        operator: String,
        attribute: String,
        expected: AttributeKind,
        found: i32,
    },
    /// One that the operator does not have, or a second one of that name.
    #[error("attribute `{attribute}` of node `{node}` ({operator}) {what}; export the model anew")]
    Attribute { node: String, operator: String, attribute: String, what: &'static str },
    #[error("tensor `{tensor}` {what}")]
    Tensor { tensor: String, what: &'static str },
    #[error("nothing gives the value `{name}`")]
    NoValue { name: String },
    #[error("two nodes or tensors give the value `{name}`")]
    TwoValues { name: String },
    /// Another place for numbers than a file in the folder of the model, or in a folder of that.
    #[error(
        "numbers are to be read from {location:?}, which is no name of a file in the same folder or below; \
         nothing else is opened"
    )]
    Location { location: String },
    #[error("the numbers stand in `{file}`, which is missing; copy it beside the model")]
    NoFile { file: String },
    /// What stands there is a link or a pipe, say.
    #[error("the numbers stand in `{file}`, but {rule}; put the file itself beside the model")]
    NoPlainFile { file: String, rule: &'static str },
    #[error("numbers are to be read beyond the end of `{file}`, which has {found} bytes")]
    BeyondFile { file: String, found: u64 },
    /// A model in memory without one of its parameters.
    #[error("the model has no numbers of `{name}`; load or build it whole before it is saved")]
    NoNumbers { name: String },
    #[error("layer `{layer}` has {what}, for which ONNX has no operator; {remedy}")]
    NoWords { layer: String, what: &'static str, remedy: &'static str },
    #[error(
        "the file would take {length} bytes or more, but a message of protobuf ends at {limit}; save the model \
         as `.knet`"
    )]
    TooLarge { length: u64, limit: u64 },
}

impl OnnxError {
    /// Whether the file is damaged or contradicts itself, not merely beyond what keepnet knows.
    pub fn is_corrupt(&self) -> bool {
        match self {
            // Limits, not damage.
            Self::Syntax(
                OnnxSyntaxError::Budget(_)
                | OnnxSyntaxError::Protobuf(ProtobufError::Inflated { .. }),
            ) => false,
            Self::Syntax(_) => true,
            Self::Lowering(error) => error.is_corrupt(),
            Self::NoGraph
            | Self::AttributeType { .. }
            | Self::Attribute { .. }
            | Self::Tensor { .. }
            | Self::NoValue { .. }
            | Self::TwoValues { .. }
            | Self::Location { .. }
            | Self::NoPlainFile { .. }
            | Self::BeyondFile { .. } => true,
            Self::Budget(_)
            | Self::Beyond { .. }
            | Self::OperatorSet { .. }
            | Self::Node { .. }
            | Self::NoFile { .. }
            | Self::NoNumbers { .. }
            | Self::NoWords { .. }
            | Self::TooLarge { .. } => false,
        }
    }
}
