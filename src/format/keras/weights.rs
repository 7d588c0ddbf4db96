//! Which numbers of an HDF5 file belong to which parameters.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{Became, BuiltLayer};
use super::error::KerasError;
use super::layers::Dialect;
use crate::bytes::Budget;
use crate::format::report::Notice;
use crate::model::{Graph, LayerSpec, NamedTensor, Parameter};
use crate::tensor::{DType, Tensor};
use crate::wire::hdf5::{Array, Dataset, Group, Hdf5Error, Node};

/// Where weights of Keras are read from, and what is told of them.
pub(super) struct Weights<'g, 'b> {
    pub(super) graph: &'g Graph,
    pub(super) budget: &'b mut Budget,
    pub(super) notices: Vec<Notice>,
}

/// What the group of a model's layers is called; the second one up to Keras 2.14, which counts a layer that
/// has weights twice.
const LISTS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];

/// Parameters in the order of the graph: numbers and where they stood.
pub(super) type Found<'f> = BTreeMap<usize, Tensor<'f>>;

impl<'g> Weights<'g, '_> {
    /// The weights of `model.weights.h5` and `.weights.h5`: a group for each layer, named after its
    /// class and its place among those of its class. If `all`, each must be of a layer.
    pub(super) fn by_class<'f>(
        &mut self,
        root: &'f Group<'_>,
        layers: &[BuiltLayer<'_>],
        all: bool,
    ) -> Result<Vec<NamedTensor<'f>>, KerasError> {
        let (mut found, mut places) = (Found::new(), BTreeSet::new());
        self.model_by_class(root, layers, &[], &mut found, &mut places)?;
        match all.then(|| unclaimed(root, String::new(), &places)).flatten() {
            Some(place) => Err(KerasError::Unclaimed { place }),
            None => self.complete(found),
        }
    }

    /// The weights of the layers of the model whose group stands at `path`.
    fn model_by_class<'f>(
        &mut self,
        root: &'f Group<'_>,
        layers: &[BuiltLayer<'_>],
        path: &[&str],
        found: &mut Found<'f>,
        places: &mut BTreeSet<String>,
    ) -> Result<(), KerasError> {
        let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
        for layer in layers {
            let class = snake_case(layer.class);
            let counts = counts.entry(class.clone()).or_default();
            let names = counts.map(|count| match count {
                0 => class.clone(),
                _ => format!("{class}_{count}"),
            });
            let has_weights = !self.in_order(layer).is_empty();
            *counts = [counts[0] + 1, counts[1] + if has_weights { 2 } else { 1 }];
            let groups = LISTS.into_iter().zip(&names);
            let mut groups = groups.map(|(list, name)| [path, &[list, name]].concat());
            let mut found_at = None;
            for group in groups.clone() {
                if found_at.is_none() && descend(root, &group)?.is_some() {
                    found_at = Some(group);
                }
            }
            let place = found_at.or_else(|| groups.next()).unwrap_or_default();
            match &layer.is {
                Became::Input => {}
                Became::Layers(own) => {
                    let expected = self.parameters(own);
                    if expected.is_empty() {
                        continue;
                    }
                    // Behind its own stand those of a layer in the place of its activation.
                    let within = [&["vars"][..], &["activation", "vars"]];
                    let groups = within.map(|within| [place.as_slice(), within].concat());
                    let place = groups.first().map(|vars| vars.join("/")).unwrap_or_default();
                    let mut datasets = Vec::new();
                    for path in &groups {
                        if let Some(vars) = descend(root, path)? {
                            datasets.extend(numbered(vars)?);
                            places.insert(path.join("/"));
                        }
                    }
                    if datasets.is_empty() {
                        let layer = layer.name.to_owned();
                        return Err(KerasError::NoWeights { layer, place });
                    }
                    self.take(layer.name, &expected, &datasets, &place, found)?;
                }
                Became::Model(inner) => self.model_by_class(root, inner, &place, found, places)?,
            }
        }
        Ok(())
    }

    /// The weights of a whole model or of weights alone as Keras 1 and 2 wrote them: a group for each
    /// layer of the outermost model, with the names of its weights in their order.
    pub(super) fn by_name<'f>(
        &mut self,
        group: &'f Group<'_>,
        layers: &[BuiltLayer<'_>],
        dialect: Dialect,
    ) -> Result<Vec<NamedTensor<'f>>, KerasError> {
        let names = names(group, "layer_names")
            .ok_or(KerasError::Missing { part: "the attribute `layer_names` of the weights" })?;
        let mut stored = Vec::new();
        for name in names {
            let layer = group.group(&name)?;
            let weights = layer.and_then(|layer| self::names(layer, "weight_names"));
            let (Some(layer), Some(weights)) = (layer, weights) else {
                let place = name.clone();
                return Err(KerasError::NoWeights { layer: name, place });
            };
            let is_factor = |name: &&String| {
                name.rsplit('/').next().is_some_and(|own| own.starts_with("lora_"))
            };
            if let Some(weight) = weights.iter().find(is_factor) {
                return Err(KerasError::LoRa { layer: name, weight: weight.clone() });
            }
            if !weights.is_empty() {
                stored.push((name, layer, weights));
            }
        }
        let mut expected = Vec::new();
        for layer in layers {
            let parameters = self.parameters_of(layer, dialect);
            if !parameters.is_empty() {
                expected.push((layer, parameters));
            }
        }
        if stored.len() != expected.len() {
            return Err(KerasError::LayerCount { expected: expected.len(), found: stored.len() });
        }
        let mut found = Found::new();
        for ((layer, parameters), (name, group, weights)) in expected.iter().zip(&stored) {
            let missing = |weight: &String| KerasError::NoWeights {
                layer: layer.name.to_owned(),
                place: format!("{name}/{weight}"),
            };
            let datasets =
                weights.iter().map(|weight| group.dataset(weight)?.ok_or_else(|| missing(weight)));
            let datasets = datasets.collect::<Result<Vec<_>, _>>()?;
            self.take(layer.name, parameters, &datasets, name, &mut found)?;
        }
        self.complete(found)
    }

    /// The parameters of some layers of the graph, in their order.
    pub(super) fn parameters(&self, own: &[usize]) -> Vec<usize> {
        let of = |layer: &usize| {
            let places = self.graph.parameters().iter().enumerate();
            let layer = *layer;
            places.filter(move |(_, parameter)| parameter.layer == layer).map(|(place, _)| place)
        };
        own.iter().flat_map(of).collect()
    }

    /// In the order in which `.h5` files hold them: what training changes comes first.
    fn parameters_of(&self, layer: &BuiltLayer<'_>, dialect: Dialect) -> Vec<usize> {
        match (&layer.is, dialect) {
            (Became::Model(inner), Dialect::Keras2) => self.trained_first(inner).concat(),
            (Became::Model(_), Dialect::Keras3) => {
                let is_trained = |place: &usize| {
                    let parameter = self.graph.parameters().get(*place);
                    parameter.is_some_and(|parameter| self.graph.is_trained(parameter))
                };
                let all = self.in_order(layer).into_iter();
                let (trained, others): (Vec<_>, Vec<_>) = all.partition(is_trained);
                [trained, others].concat()
            }
            _ => self.in_order(layer),
        }
    }

    /// Those that training changes, and the others, as Keras 2 counts them: a frozen model has none of the
    /// former, but still lists what its layers would train before the rest.
    fn trained_first(&self, layers: &[BuiltLayer<'_>]) -> [Vec<usize>; 2] {
        let [mut trained, mut others] = [Vec::new(), Vec::new()];
        for layer in layers {
            let own = match &layer.is {
                Became::Input => continue,
                Became::Model(inner) => self.trained_first(inner),
                Became::Layers(own) => {
                    let learned = |place: &usize| {
                        let parameter = self.graph.parameters().get(*place);
                        parameter.is_some_and(|parameter| parameter.learned)
                    };
                    let (learned, fixed) = self.parameters(own).into_iter().partition(learned);
                    [learned, fixed]
                }
            };
            match (layer.trainable, own) {
                (true, [own_trained, own_others]) => {
                    trained.extend(own_trained);
                    others.extend(own_others);
                }
                (false, own) => others.extend(own.concat()),
            }
        }
        [trained, others]
    }

    pub(super) fn in_order(&self, layer: &BuiltLayer<'_>) -> Vec<usize> {
        match &layer.is {
            Became::Input => Vec::new(),
            Became::Layers(own) => self.parameters(own),
            Became::Model(inner) => inner.iter().flat_map(|layer| self.in_order(layer)).collect(),
        }
    }

    /// The parameters that an optimizer of Keras changes, in its order.
    pub(super) fn trained(&self, layers: &[BuiltLayer<'_>]) -> Vec<&'g Parameter> {
        let places = layers.iter().flat_map(|layer| self.in_order(layer));
        let parameters = places.filter_map(|place| self.graph.parameters().get(place));
        parameters.filter(|parameter| self.graph.is_trained(parameter)).collect()
    }

    fn take<'f>(
        &mut self,
        layer: &str,
        expected: &[usize],
        datasets: &[&'f Dataset<'_>],
        place: &str,
        found: &mut Found<'f>,
    ) -> Result<(), KerasError> {
        // Normalization keeps how many samples it has seen behind its mean and variance.
        let is_counted = |place: &usize| {
            let parameter = self.graph.parameters().get(*place);
            let layer = parameter.and_then(|parameter| self.graph.layers().get(parameter.layer));
            layer.is_some_and(|layer| matches!(layer.spec, LayerSpec::Normalization(_)))
        };
        let datasets = match datasets {
            [rest @ .., _] if rest.len() == expected.len() && expected.iter().any(is_counted) => {
                rest
            }
            all => all,
        };
        if datasets.len() != expected.len() {
            return Err(KerasError::WeightCount {
                layer: layer.to_owned(),
                expected: expected.len(),
                found: datasets.len(),
                place: place.to_owned(),
            });
        }
        for (&parameter, dataset) in expected.iter().zip(datasets) {
            let Some(parameter_of) = self.graph.parameters().get(parameter) else { continue };
            let tensor = self.tensor(parameter_of, dataset, place)?;
            found.insert(parameter, tensor);
        }
        Ok(())
    }

    /// What is stored for a parameter, as f32.
    pub(super) fn tensor<'f>(
        &mut self,
        parameter: &Parameter,
        dataset: &'f Dataset<'_>,
        place: &str,
    ) -> Result<Tensor<'f>, KerasError> {
        let weight = self.graph.tensor_name(parameter);
        let found = match &dataset.array {
            Array::Numbers(tensor) => tensor.dtype(),
            // Keras does not say in `.h5` files what two bytes without a type are.
            Array::Opaque { size: 2, .. } => DType::BF16,
            _ => {
                let found = "no numbers".to_owned();
                return Err(KerasError::WeightType { place: place.to_owned(), found });
            }
        };
        if *dataset.array.shape() != parameter.shape {
            return Err(KerasError::WeightShape {
                weight,
                expected: parameter.shape.clone(),
                found: dataset.array.shape().to_string(),
                place: place.to_owned(),
            });
        }
        if found != DType::F32 {
            self.notices.push(Notice::Converted { weight, from: found.name() });
        }
        let tensor = match &dataset.array {
            Array::Opaque { shape, bytes, .. } => {
                let halves =
                    Tensor::new(DType::BF16, shape.clone(), &**bytes).map(Array::from).ok();
                let tensor = halves.map(|halves| {
                    Ok::<_, KerasError>(halves.to_f32(self.budget)?.map(Tensor::into_owned))
                });
                tensor.transpose()?.flatten()
            }
            array => array.to_f32(self.budget)?,
        };
        let found = found.name().to_owned();
        tensor.ok_or_else(|| KerasError::WeightType { place: place.to_owned(), found })
    }

    /// All parameters of the graph.
    pub(super) fn complete<'f>(
        &self,
        mut found: Found<'f>,
    ) -> Result<Vec<NamedTensor<'f>>, KerasError> {
        let parameters = self.graph.parameters().iter().enumerate();
        let named = parameters.map(|(place, parameter)| {
            let name = self.graph.tensor_name(parameter);
            match found.remove(&place) {
                Some(tensor) => Ok(NamedTensor { name, tensor }),
                None => Err(KerasError::NoWeights { layer: name, place: "the file".to_owned() }),
            }
        });
        named.collect()
    }
}

/// The group of the layers where they stand by their names: in whole models of `.h5`, and where Keras 2
/// saved weights alone.
pub(super) fn named<'g, 'a>(root: &'g Group<'a>) -> Result<Option<&'g Group<'a>>, Hdf5Error> {
    Ok(root.group("model_weights")?.or_else(|| names(root, "layer_names").map(|_| root)))
}

/// Whether Keras computed with Theano when it wrote the file: it says so beside the layers too.
pub(super) fn are_of_theano(root: &Group<'_>, named: Option<&Group<'_>>) -> bool {
    let backend = |group: &Group<'_>| {
        group.attributes.get("backend").and_then(Array::as_text) == Some("theano")
    };
    backend(root) || named.is_some_and(backend)
}

/// The classes of layers as the groups of a file of weights alone are named after them, numbers left out.
pub(super) fn groups<'g>(root: &'g Group<'_>) -> impl Iterator<Item = String> + use<'g> {
    let lists = LISTS.into_iter().filter_map(|list| root.group(list).ok().flatten());
    lists.flat_map(|list| list.members.keys()).map(|name| {
        let numbered = name.rsplit_once('_').filter(|(_, number)| number.parse::<u64>().is_ok());
        numbered.map_or(name.as_str(), |(class, _)| class).to_owned()
    })
}

/// Whether weights stand in the file in one of the ways of Keras.
pub(super) fn is_arrangement(root: &Group<'_>) -> bool {
    let is_list = |name: &String| LISTS.iter().any(|list| name.split('\\').next() == Some(*list));
    named(root) != Ok(None) || root.members.keys().any(is_list)
}

/// The variables of a layer, which are named by their numbers.
fn numbered<'f>(vars: &'f Group<'_>) -> Result<Vec<&'f Dataset<'f>>, KerasError> {
    let mut datasets = Vec::new();
    while let Some(dataset) = vars.dataset(&datasets.len().to_string())? {
        datasets.push(dataset);
    }
    Ok(datasets)
}

/// The first place below `group` where a layer has variables that is none of `places`.
fn unclaimed(group: &Group<'_>, path: String, places: &BTreeSet<String>) -> Option<String> {
    group.members.iter().find_map(|(name, node)| {
        let name = name.replace('\\', "/");
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        match node {
            // What is no layer's: of the optimizer, of metrics, of random numbers.
            _ if !LISTS.iter().any(|list| path.starts_with(list)) => None,
            Node::Group(_) if path.ends_with("seed_generator") => None,
            Node::Group(group) => unclaimed(group, path, places),
            Node::Dataset(_) | Node::Refused(_) => {
                let (place, _) = path.rsplit_once('/')?;
                (!places.contains(place)).then(|| place.to_owned())
            }
        }
    })
}

/// A list of texts in an attribute, which Keras splits into `name0`, `name1`, … where it is long.
pub(super) fn names(group: &Group<'_>, name: &str) -> Option<Vec<String>> {
    if let Some(whole) = group.attributes.get(name) {
        return Some(whole.as_texts()?.to_vec());
    }
    let parts = (0_u32..).map_while(|part| group.attributes.get(&format!("{name}{part}")));
    let parts: Vec<_> = parts.map(Array::as_texts).collect::<Option<_>>()?;
    (!parts.is_empty()).then(|| parts.concat())
}

/// The group below `group` at that path. Keras on Windows has written `a\b` for the names of some.
fn descend<'g, 'a>(
    group: &'g Group<'a>,
    path: &[&str],
) -> Result<Option<&'g Group<'a>>, Hdf5Error> {
    if path.is_empty() {
        return Ok(Some(group));
    }
    for together in 1..=path.len() {
        let Some((first, rest)) = path.split_at_checked(together) else { break };
        if let Some(below) = group.group(&first.join("\\"))?
            && let Some(found) = descend(below, rest)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// As Keras makes the name of a group from that of a class (`to_snake_case` in
/// `keras.src.utils.naming`).
pub(super) fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let at = |place: usize| letters.get(place).copied().unwrap_or_default();
    let mut name = String::with_capacity(class.len() + 4);
    for (place, &letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).map(at).unwrap_or_default();
        // (.)([A-Z][a-z]+), then ([a-z])([A-Z]).
        let starts_word = letter.is_ascii_uppercase() && at(place + 1).is_ascii_lowercase();
        let ends_word = letter.is_ascii_uppercase() && before.is_ascii_lowercase();
        if place > 0 && (starts_word || ends_word) && before != '_' {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `keras.src.utils.naming.to_snake_case` of Keras 3.15.1 gives them.
    #[test]
    fn groups_are_named_after_classes_as_keras_does() {
        for (class, name) in [
            ("Conv2D", "conv2d"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("MaxPooling2D", "max_pooling2d"),
            ("ReLU", "re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("PReLU", "p_re_lu"),
            ("ELU", "elu"),
            ("ZeroPadding2D", "zero_padding2d"),
            ("BatchNormalization", "batch_normalization"),
            ("InputLayer", "input_layer"),
            ("Dense", "dense"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }
}
