//! Where Keras looks for numbers.

use std::collections::BTreeMap;

use super::network::{Described, DescribedLayer};
use super::state::{self, Variable};
use super::{BACKEND, KERAS_2};
use crate::format::keras::weights::snake_case;
use crate::model::{Checkpoint, CompileSettings, Metric};
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
/// those of its class; with the variables of the optimizer.
pub(super) fn by_class<'c>(
    checkpoint: &'c Checkpoint<'_>,
    described: &Described,
    optimizer: Option<Vec<Variable<'c>>>,
) -> Weights<'c> {
    let mut layers = Group::default();
    let mut places = BTreeMap::new();
    let mut counts = Counts::default();
    for layer in described.layers() {
        // Keras leaves the input out of the layers of a Sequential.
        if described.is_sequential && layer.class == "InputLayer" {
            continue;
        }
        let name = counts.name(&snake_case(layer.class));
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
    if let Some(settings) = &checkpoint.compile {
        root.members.insert("metrics".to_owned(), Node::Group(metrics(settings)));
    }
    if let Some(variables) = optimizer {
        for (number, variable) in variables.iter().enumerate() {
            let place = |of| (of, format!("optimizer/vars/{number}"));
            places.extend(variable.number.map(place));
        }
        let variables = numbered("optimizer", variables.into_iter().map(|it| it.tensor));
        root.members.insert("optimizer".to_owned(), Node::Group(within("vars", variables)));
    }
    Weights { root, places }
}

/// The tree of an `.h5` file of a whole model; with the variables of the optimizer.
pub(super) fn of_model<'c>(
    checkpoint: &'c Checkpoint<'_>,
    described: &Described,
    optimizer: Option<Vec<Variable<'c>>>,
) -> Weights<'c> {
    const MODEL: &str = "model_weights";
    const OPTIMIZER: &str = "optimizer_weights";
    let Weights { root: weights, places } = by_name(checkpoint, described);
    let mut root = within(MODEL, weights);
    let places = places.into_iter().map(|(number, path)| (number, format!("{MODEL}/{path}")));
    let mut places: BTreeMap<_, _> = places.collect();
    if let Some(variables) = optimizer {
        let (group, own) = state::by_name(variables);
        root.members.insert(OPTIMIZER.to_owned(), Node::Group(group));
        places
            .extend(own.into_iter().map(|(number, path)| (number, format!("{OPTIMIZER}/{path}"))));
    }
    Weights { root, places }
}

/// The tree of weights by names: a group for each layer, with the names of its weights.
pub(super) fn by_name<'c>(checkpoint: &'c Checkpoint<'_>, described: &Described) -> Weights<'c> {
    let mut weights = Group::default();
    let mut places = BTreeMap::new();
    let mut layers = Vec::new();
    for layer in described.layers() {
        let mut variables = Group::default();
        let mut names = Vec::new();
        for (place, name, tensor) in parameters(checkpoint, layer) {
            let name = format!("{name}:0");
            let path = format!("{}/{}/{name}", layer.name, layer.name);
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
    Weights { root: weights, places }
}

/// Names in an attribute, or in several with numbers where they are many, as Keras does.
pub(super) fn list(group: &mut Group<'_>, name: &str, names: Vec<String>) {
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

/// Sums and counts of losses and metrics, at zero: tf-keras wants them where its model has been trained.
fn metrics(settings: &CompileSettings) -> Group<'static> {
    let outputs = settings.losses.len();
    let mut classes = vec!["mean"; if outputs > 1 { 1 + outputs } else { 1 }];
    for metric in &settings.metrics {
        let class = match metric {
            Metric::Accuracy => "mean_metric_wrapper",
            Metric::TopKAccuracy { .. } => "sparse_top_k_categorical_accuracy",
        };
        classes.extend(std::iter::repeat_n(class, outputs));
    }
    let mut group = Group::default();
    let mut counts = Counts::default();
    for class in classes {
        let zero = || Tensor::new(DType::F32, Shape::default(), vec![0; 4]).ok();
        let vars = numbered(class, [zero(), zero()].into_iter().flatten());
        group.members.insert(counts.name(class), Node::Group(within("vars", vars)));
    }
    group
}

/// How often a class was met: Keras numbers those of the same class.
#[derive(Default)]
struct Counts(BTreeMap<String, usize>);

impl Counts {
    fn name(&mut self, class: &str) -> String {
        let count = self.0.entry(class.to_owned()).or_default();
        *count += 1;
        if *count == 1 { class.to_owned() } else { format!("{class}_{}", *count - 1) }
    }
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
