//! The objects of TensorFlow 2 and the variables among them.

use prost::bytes::Bytes;

use super::OBJECTS;
use super::error::SavedModelError;
use crate::bytes::Budget;
use crate::format::keras::Object;
use crate::wire::hdf5::Dataset;
use crate::wire::tensorflow::{Bundle, MessageError, TrackableObjectGraph, decode};

/// What the value of a variable is called among what is stored of it.
pub(super) const VALUE: &str = "VARIABLE_VALUE";

/// The objects that a bundle tells of; none if TensorFlow 1 wrote it.
pub(super) fn read(
    bundle: &Bundle,
    budget: &mut Budget,
) -> Result<TrackableObjectGraph, SavedModelError> {
    match bundle.text(OBJECTS)? {
        Some(text) => {
            let what = "the objects of TensorFlow";
            budget.reserve(text.len() as u64, what).map_err(MessageError::from)?;
            Ok(decode(Bytes::copy_from_slice(text), what, budget)?)
        }
        None => Ok(TrackableObjectGraph::default()),
    }
}

/// The same with the values of the variables.
pub(super) fn with_values<'b>(
    graph: &TrackableObjectGraph,
    bundle: &'b Bundle,
) -> Result<Vec<Object<'b>>, SavedModelError> {
    let number = |id: i32| usize::try_from(id).ok();
    let mut objects = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let members = node.children.iter();
        let members = members.filter_map(|it| Some((it.local_name.clone(), number(it.node_id)?)));
        let stored = node.attributes.iter().find(|stored| stored.name == VALUE);
        let value = stored.map(|stored| bundle.tensor(&stored.checkpoint_key)).transpose()?;
        let value = value.flatten().map(Dataset::from);
        objects.push(Object { members: members.collect(), value, ..Object::default() });
    }
    for slot in graph.nodes.iter().flat_map(|node| &node.slot_variables) {
        let original = number(slot.original_variable_node_id).and_then(|id| objects.get_mut(id));
        if let (Some(original), Some(variable)) = (original, number(slot.slot_variable_node_id)) {
            original.slots.insert(slot.slot_name.clone(), variable);
        }
    }
    Ok(objects)
}
