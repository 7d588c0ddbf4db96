//! What can be wrong with a graph.

use crate::tensor::Shape;

/// Why layers and nodes do not make a graph. Each message names the layer, its input and the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    #[error("layer `{layer}` ({kind}) cannot take {input}: {rule}")]
    Shape { layer: String, kind: &'static str, input: Shapes, rule: String },
    /// The graph is sound, but beyond what keepnet counts.
    #[error("layer `{layer}` ({kind}) is too large for this keepnet on {input}: {rule}")]
    Size { layer: String, kind: &'static str, input: Shapes, rule: String },
    #[error("layer `{layer}` ({kind}): {rule}")]
    Setting { layer: String, kind: &'static str, rule: String },
    #[error("{what} name {name:?} cannot be used: {rule}")]
    Name { what: &'static str, name: String, rule: &'static str },
    #[error("two {what}s are named `{name}`")]
    DuplicateName { what: &'static str, name: String },
    #[error("node {node} refers to {what} {index}, of which there are {count}")]
    Reference { node: usize, what: &'static str, index: usize, count: usize },
    #[error("the graph lists node {index} among its {what}, but has only {count} nodes")]
    NoSuchNode { what: &'static str, index: usize, count: usize },
    #[error("the graph has no {what}")]
    Empty { what: &'static str },
    #[error("layer `{layer}` is not used by any node")]
    Unused { layer: String },
}

/// The shapes of inputs, in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes(pub Vec<Shape>);

impl std::fmt::Display for Shapes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("no input"),
            [one] => write!(f, "an input of shape {one}"),
            several => {
                f.write_str("inputs of shapes ")?;
                for (index, shape) in several.iter().enumerate() {
                    write!(f, "{}{shape}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}
