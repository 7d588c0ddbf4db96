//! Where Keras looks for numbers.

use std::collections::BTreeMap;

use super::network::{Described, DescribedLayer};
use super::{BACKEND, KERAS_2};
use crate::format::keras::optimizer;
use crate::format::keras::weights::snake_case;
use crate::model::{Checkpoint, OptimizerRule, OptimizerState, Schedule};
use crate::tensor::{DType, Shape, Tensor};
use crate::wire::hdf5::{Array, Dataset, Group, Node};

/// A tree of a file, and where in it the tensors stand that Keras has a place for.
pub(super) struct Weights<'c> {
    pub(super) root: Group<'c>,
    /// Paths, by the number of the tensor in the order of files.
    pub(super) places: BTreeMap<usize, String>,
}

/// The most names in one attribute, whose bytes must not be more than 64 KiB.
const MAX_NAMES: usize = 4000;

/// The tree of `model.weights.h5`: a group for each layer, named after its class and its place among
/// those of its class. With the optimizer's state if Keras knows the optimizer.
pub(super) fn by_class<'c>(
    checkpoint: &'c Checkpoint<'_>,
    described: &Described,
    is_compiled: bool,
) -> Weights<'c> {
    let mut layers = Group::default();
    let mut places = BTreeMap::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for layer in described.layers() {
        // Keras leaves the input out of the layers of a Sequential.
        if described.is_sequential && layer.class == "InputLayer" {
            continue;
        }
        let class = snake_case(layer.class);
        let count = counts.entry(class.clone()).or_default();
        let name = if *count == 0 { class } else { format!("{class}_{count}") };
        *count += 1;
        let parameters = parameters(checkpoint, layer);
        for (number, (place, ..)) in parameters.iter().enumerate() {
            places.extend(place.map(|place| (place, format!("layers/{name}/vars/{number}"))));
        }
        let vars = numbered(&layer.name, parameters.into_iter().map(|(_, _, tensor)| tensor));
        layers.members.insert(name, Node::Group(within("vars", vars)));
    }
    let mut root = Group::default();
    root.members.insert("vars".to_owned(), Node::Group(numbered(checkpoint.graph.name(), [])));
    root.members.insert("layers".to_owned(), Node::Group(layers));
    if let Some(variables) = remembered(checkpoint, described).filter(|_| is_compiled) {
        for (number, (place, _)) in variables.iter().enumerate() {
            places.extend(place.map(|place| (place, format!("optimizer/vars/{number}"))));
        }
        let variables = numbered("optimizer", variables.into_iter().map(|(_, tensor)| tensor));
        root.members.insert("optimizer".to_owned(), Node::Group(within("vars", variables)));
    }
    Weights { root, places }
}

/// The tree of an `.h5` file: a group for each layer by its name, with the names of its weights. The
/// optimizer's state has no place: Keras 3 cannot take it from there, and could not train then.
pub(super) fn by_name<'c>(checkpoint: &'c Checkpoint<'_>, described: &Described) -> Weights<'c> {
    let mut weights = Group::default();
    let mut places = BTreeMap::new();
    let mut layers = Vec::new();
    for layer in described.layers() {
        let mut variables = Group::default();
        let mut names = Vec::new();
        for (place, name, tensor) in parameters(checkpoint, layer) {
            let name = format!("{name}:0");
            let path = format!("model_weights/{}/{}/{name}", layer.name, layer.name);
            places.extend(place.map(|place| (place, path)));
            names.push(format!("{}/{name}", layer.name));
            variables.members.insert(name, Node::Dataset(Dataset::from(tensor)));
        }
        let mut group = Group::default();
        if !names.is_empty() {
            group.members.insert(layer.name.clone(), Node::Group(variables));
        }
        list(&mut group, "weight_names", names);
        weights.members.insert(layer.name.clone(), Node::Group(group));
        layers.push(layer.name.clone());
    }
    list(&mut weights, "layer_names", layers);
    for (name, text) in [("backend", BACKEND), ("keras_version", KERAS_2)] {
        weights.attributes.insert(name.to_owned(), Array::text(text));
    }
    Weights { root: within("model_weights", weights), places }
}

/// Names in an attribute, or in several with numbers where they are many, as Keras does.
fn list(group: &mut Group<'_>, name: &str, names: Vec<String>) {
    if names.len() <= MAX_NAMES {
        group.attributes.insert(name.to_owned(), Array::texts(names));
        return;
    }
    for (number, names) in names.chunks(MAX_NAMES).enumerate() {
        group.attributes.insert(format!("{name}{number}"), Array::texts(names.to_vec()));
    }
}

/// The variables of a layer, in Keras' order: their numbers in the order of files if they are
/// parameters, names and values.
fn parameters<'c>(
    checkpoint: &'c Checkpoint<'_>,
    layer: &DescribedLayer,
) -> Vec<(Option<usize>, &'static str, Tensor<'c>)> {
    let all = checkpoint.graph.parameters().iter().zip(&checkpoint.tensors).enumerate();
    let own = all.filter(|(_, (parameter, _))| Some(parameter.layer) == layer.itself);
    let mut variables: Vec<_> = own
        .map(|(place, (parameter, named))| (Some(place), parameter.name, named.tensor.borrowed()))
        .collect();
    // Behind mean and variance Keras keeps how many samples it has seen.
    if layer.class == "Normalization" && !variables.is_empty() {
        let count = Tensor::new(DType::I64, Shape::default(), vec![0; 8]);
        variables.extend(count.ok().map(|count| (None, "count", count)));
    }
    variables
}

/// A variable of the optimizer, and its number in the order of files if it is of a slot.
type Variable<'c> = (Option<usize>, Tensor<'c>);

/// What the optimizer remembers, in the order of Keras 3. `None` if it has not begun.
#[allow(
    clippy::cast_possible_truncation,
    reason = "Keras keeps the learning rate and the product as f32"
)]
fn remembered<'c>(
    checkpoint: &'c Checkpoint<'_>,
    described: &Described,
) -> Option<Vec<Variable<'c>>> {
    let settings = &checkpoint.compile.as_ref()?.optimizer;
    let &OptimizerState { step: steps, ref slots } = checkpoint.optimizer.as_ref()?;
    let mut variables = Vec::new();
    let step = Tensor::new(DType::I64, Shape::default(), steps.to_le_bytes().to_vec());
    variables.extend(step.ok().map(|step| (None, step)));
    if settings.schedule == Schedule::Constant {
        let rate = (settings.learning_rate as f32).to_le_bytes().to_vec();
        let rate = Tensor::new(DType::F32, Shape::default(), rate);
        variables.extend(rate.ok().map(|rate| (None, rate)));
    }
    let trained = trained(checkpoint, described);
    let parameters = checkpoint.tensors.len();
    let variable = |(slot, place): (usize, usize)| {
        let tensors = &slots.get(slot)?.tensors;
        let number = parameters + slot * tensors.len() + place;
        Some((Some(number), tensors.get(place)?.tensor.borrowed()))
    };
    let order = optimizer::order(slots.len(), optimizer::together(settings), trained.len());
    let places = order.filter_map(|(slot, place)| Some((slot, *trained.get(place)?)));
    variables.extend(places.filter_map(variable));
    if let OptimizerRule::Nadam(nadam) = settings.rule {
        let product = (nadam.momentum_product(steps) as f32).to_le_bytes().to_vec();
        let product = Tensor::new(DType::F32, Shape::default(), product);
        variables.extend(product.ok().map(|product| (None, product)));
    }
    Some(variables)
}

/// The parameters that training changes, in Keras' order of layers: their numbers among them.
fn trained(checkpoint: &Checkpoint<'_>, described: &Described) -> Vec<usize> {
    let graph = &checkpoint.graph;
    let trained = graph.parameters().iter().filter(|parameter| graph.is_trained(parameter));
    let layers: Vec<usize> = trained.map(|parameter| parameter.layer).collect();
    let places = |layer: &DescribedLayer| {
        let itself = layer.itself;
        let own = layers.iter().enumerate().filter(move |&(_, &of)| Some(of) == itself);
        own.map(|(place, _)| place).collect::<Vec<_>>()
    };
    described.layers().flat_map(places).collect()
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
