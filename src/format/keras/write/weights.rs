//! Where Keras looks for numbers.

use std::collections::BTreeMap;

use super::network::{Described, DescribedLayer};
use crate::format::keras::weights::snake_case;
use crate::model::{Checkpoint, OptimizerRule, OptimizerState};
use crate::tensor::{DType, Shape, Tensor};
use crate::wire::hdf5::{Array, Dataset, Group, Node};

/// The tree of `model.weights.h5`: a group for each layer, named after its class and its place among
/// those of its class.
pub(super) fn by_class<'c>(checkpoint: &'c Checkpoint<'_>, described: &Described) -> Group<'c> {
    let mut layers = Group::default();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for layer in &described.layers {
        // Keras leaves the input out of the layers of a Sequential.
        if described.is_sequential && layer.class == "InputLayer" {
            continue;
        }
        let class = snake_case(layer.class);
        let count = counts.entry(class.clone()).or_default();
        let name = if *count == 0 { class } else { format!("{class}_{count}") };
        *count += 1;
        let vars = numbered(
            &layer.name,
            parameters(checkpoint, layer).into_iter().map(|(_, tensor)| tensor),
        );
        layers.members.insert(name, Node::Group(within("vars", vars)));
    }
    let mut root = Group::default();
    root.members.insert("vars".to_owned(), Node::Group(numbered(checkpoint.graph.name(), [])));
    root.members.insert("layers".to_owned(), Node::Group(layers));
    if let Some(variables) = optimizer(checkpoint) {
        let variables = numbered("optimizer", variables);
        root.members.insert("optimizer".to_owned(), Node::Group(within("vars", variables)));
    }
    root
}

/// The parameters of a layer, in Keras' order: their names and numbers.
fn parameters<'c>(
    checkpoint: &'c Checkpoint<'_>,
    layer: &DescribedLayer,
) -> Vec<(&'static str, Tensor<'c>)> {
    let all = checkpoint.graph.parameters().iter().zip(&checkpoint.tensors);
    let own = all.filter(|(parameter, _)| Some(parameter.layer) == layer.itself);
    let mut found: Vec<_> =
        own.map(|(parameter, named)| (parameter.name, named.tensor.borrowed())).collect();
    // Behind mean and variance Keras keeps how many samples it has seen.
    if layer.class == "Normalization" && !found.is_empty() {
        let count = Tensor::new(DType::I64, Shape::default(), vec![0; 8]);
        found.extend(count.ok().map(|count| ("count", count)));
    }
    found
}

/// What the optimizer remembers, in the order of Keras 3. `None` if it has not begun.
fn optimizer<'c>(checkpoint: &'c Checkpoint<'_>) -> Option<Vec<Tensor<'c>>> {
    let settings = &checkpoint.compile.as_ref()?.optimizer;
    let OptimizerState { step, slots } = checkpoint.optimizer.as_ref()?;
    let mut variables = Vec::new();
    variables.extend(Tensor::new(DType::I64, Shape::default(), step.to_le_bytes().to_vec()).ok());
    if settings.schedule == crate::model::Schedule::Constant {
        let rate = (settings.learning_rate as f32).to_le_bytes().to_vec();
        variables.extend(Tensor::new(DType::F32, Shape::default(), rate).ok());
    }
    let slots: Vec<_> = slots.iter().map(|slot| slot.tensors.as_slice()).collect();
    if matches!(settings.rule, OptimizerRule::Adam(_)) {
        // Both moments of a parameter stand side by side.
        let count = slots.first().map_or(0, |slot| slot.len());
        let places =
            (0..count).flat_map(|place| slots.iter().filter_map(move |slot| slot.get(place)));
        variables.extend(places.map(|named| named.tensor.borrowed()));
    } else {
        variables.extend(slots.into_iter().flatten().map(|named| named.tensor.borrowed()));
    }
    Some(variables)
}

/// Tensors under their numbers, in a group that says whose they are.
fn numbered<'c>(name: &str, tensors: impl IntoIterator<Item = Tensor<'c>>) -> Group<'c> {
    let members = tensors
        .into_iter()
        .enumerate()
        .map(|(number, tensor)| (number.to_string(), Node::Dataset(Dataset::from(tensor))));
    let attributes = [("name".to_owned(), Array::text(name))].into();
    Group { attributes, members: members.collect() }
}

fn within<'c>(name: &str, group: Group<'c>) -> Group<'c> {
    Group { members: [(name.to_owned(), Node::Group(group))].into(), ..Group::default() }
}
