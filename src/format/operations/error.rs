//! Why operations make no network of keepnet.

use crate::bytes::BudgetError;
use crate::model::GraphError;

/// Why operations make no network of keepnet. Operations are named as in the file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoweringError {
    /// All that keepnet has no layer for, and how often each occurs.
    #[error(
        "keepnet knows no layer for {}; docs/INTEROP.md lists what it reads",
        listed(.operations)
    )]
    Unknown { operations: Vec<(String, usize)> },
    #[error("`{operation}` {what}")]
    Unsupported { operation: String, what: &'static str },
    #[error("`{operation}` takes a value that no operation before it gives")]
    Missing { operation: String },
    #[error("the axes or lengths of `{operation}` contradict what it takes")]
    Contradiction { operation: String },
    #[error(
        "input `{input}` takes any size, by its shape {found}, but a network of keepnet takes one; say \
         which by `LoadOptions::input_shapes`, or `--input-shape` of the tool"
    )]
    OpenShape { input: String, found: String },
    #[error(
        "the network has more than {limit} nodes and inputs of nodes; raise `Limits::nodes` to read it"
    )]
    TooManyNodes { limit: u64 },
    #[error("the network cannot be built: {0}")]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

fn listed(operations: &[(String, usize)]) -> String {
    let one = |(name, count): &(String, usize)| format!("{name} (×{count})");
    operations.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl LoweringError {
    /// Whether the file contradicts itself, not merely beyond what keepnet knows.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Contradiction { .. })
    }
}
