//! What a reader is willing to take.

use super::FormatError;
use crate::model::{Graph, NodeId};

/// Bytes of a tensor's entry in a manifest: two digests of 64 digits, two names, its shape.
const MANIFEST_ENTRY: u64 = 1024;

/// Bounds on what loading may cost. They are checked before memory is allocated; a file beyond
/// them is refused with the limit named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory for the file and for what is decoded from it. A model takes its parameters
    /// over from [`load`](super::load) without a copy.
    pub memory: u64,
    /// Bytes of one JSON text, whatever it holds, but the history: it is as long as training was, and
    /// bounded by `memory` alone. A manifest may have 1,024 more for each of `tensors`.
    pub text: u64,
    /// Tensors of all roles together: parameters, slots of the optimizer, outputs of the proof, weights
    /// that callbacks remember, and those of sections that are passed over.
    pub tensors: u64,
    /// Sections, those that are not known too.
    pub sections: u64,
    /// Nodes of a network, and their inputs, together: to plan running it takes time that grows by
    /// the square.
    pub nodes: u64,
    /// Bytes of the tables that running the network takes, which are made with the
    /// [`Model`](crate::Model).
    pub tables: u64,
    /// Bytes of the activations of one shard of samples, which each thread keeps while the network
    /// runs.
    pub activations: u64,
}

impl Default for Limits {
    /// 8 GiB of memory, 8 MiB of text, 65,536 tensors, 256 sections, 32,768 nodes and inputs, 1 GiB of tables,
    /// 8 GiB of activations.
    fn default() -> Self {
        Self {
            memory: 8 << 30,
            text: 8 << 20,
            tensors: 1 << 16,
            sections: 1 << 8,
            nodes: 1 << 15,
            tables: 1 << 30,
            activations: 8 << 30,
        }
    }
}

impl Limits {
    pub(super) fn check_nodes(&self, found: u64) -> Result<(), FormatError> {
        let (limit, what) = (self.nodes, "the number of nodes and their inputs");
        match found > limit {
            true => Err(FormatError::Limit { what, name: "nodes", limit, found }),
            false => Ok(()),
        }
    }

    pub(super) fn check_sections(&self, found: u64) -> Result<(), FormatError> {
        let (limit, what) = (self.sections, "the number of sections");
        match found > limit {
            true => Err(FormatError::Limit { what, name: "sections", limit, found }),
            false => Ok(()),
        }
    }

    pub(super) fn check_tensors(&self, found: u64) -> Result<(), FormatError> {
        let (limit, what) = (self.tensors, "the number of tensors");
        match found > limit {
            true => Err(FormatError::Limit { what, name: "tensors", limit, found }),
            false => Ok(()),
        }
    }

    /// Bounds a text that takes so many bytes.
    pub(super) fn check_text(&self, found: u64) -> Result<(), FormatError> {
        let limit = self.text;
        match found > limit {
            true => Err(FormatError::Limit { what: "a text", name: "text", limit, found }),
            false => Ok(()),
        }
    }

    /// Bounds a manifest that takes so many bytes: an architecture, and an entry for each tensor.
    pub(super) fn check_manifest(&self, found: u64) -> Result<(), FormatError> {
        let limit = self.text.saturating_add(self.tensors.saturating_mul(MANIFEST_ENTRY));
        match found > limit {
            true => Err(FormatError::Limit { what: "the manifest", name: "text", limit, found }),
            false => Ok(()),
        }
    }

    /// Refuses a network that takes more to run than these limits allow, before anything is built
    /// for it. `samples`: how many one thread works on at a time; `training`: on the way back too.
    ///
    /// # Errors
    /// [`FormatError::Layer`], which names the layer with which a limit is exceeded, or
    /// [`FormatError::Limit`] if the nodes are too many.
    pub fn check_network(
        &self,
        graph: &Graph,
        samples: usize,
        training: bool,
    ) -> Result<(), FormatError> {
        let inputs: usize = graph.nodes().iter().map(|node| node.inputs.len()).sum();
        self.check_nodes(graph.nodes().len().saturating_add(inputs) as u64)?;
        let (mut tables, mut activations) = (0_u64, 0_u64);
        for node in (0..graph.nodes().len()).map(NodeId) {
            let cost = graph.cost(node, training);
            tables = tables.saturating_add(cost.tables);
            let shard = cost.sample.saturating_mul(samples as u64);
            activations = activations.saturating_add(shard);
            for (name, limit, found) in
                [("tables", self.tables, tables), ("activations", self.activations, activations)]
            {
                if found > limit {
                    let layer = graph.layer_of(node).name.clone();
                    return Err(FormatError::Layer { layer, name, limit, found });
                }
            }
        }
        Ok(())
    }
}
