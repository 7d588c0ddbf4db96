//! Which tensors of a file are which parameters, where keepnet did not write it: by their names, and where
//! these are others, by shapes and order, if only one answer is possible.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::WeightsError;
use super::layout::{BATCHES, Layout, OPTIMIZER, Place, places};
use crate::bytes::Budget;
use crate::format::kept;
use crate::format::report::Notice;
use crate::model::Graph;
use crate::tensor::{DType, Shape, Tensor};
use crate::wire::floats::to_f32;
use crate::wire::safetensors::File;

/// What was found: for each parameter its place, and what the tensor there is called.
pub(super) struct Matched {
    pub(super) layout: Layout,
    pub(super) weights: Vec<(Place, String)>,
    pub(super) notices: Vec<Notice>,
}

/// The tensors of `file` that are the parameters of `graph`.
///
/// # Errors
/// If one is missing, has another shape, or is none of the network; if names do not tell which is which
/// and shapes do not either.
pub(super) fn matched(
    file: &File<'_>,
    graph: &Graph,
    budget: &mut Budget,
) -> Result<Matched, WeightsError> {
    let layout = layout_of(file);
    let places = places(graph, layout, budget)?;
    // Layers may be called as what is left out.
    let names = places
        .iter()
        .flat_map(|place| named(&place.module, layout).map(|module| (module, place.parameter)));
    let names: BTreeSet<(String, &str)> = names.collect();
    let mut found = Modules::default();
    let mut notices = Vec::new();
    for (name, tensor) in &file.tensors {
        let (module, parameter) = split(name);
        let is_named = names.contains(&(module.to_owned(), parameter));
        if !is_named && (parameter == BATCHES || name.starts_with(kept::PREFIX)) {
            continue;
        }
        if !is_named && OPTIMIZER.iter().any(|prefix| name.starts_with(prefix)) {
            if notices.is_empty() {
                let reason = "what it remembers is left in the file, only weights are taken";
                notices.push(Notice::NoOptimizerState { reason: reason.to_owned() });
            }
            continue;
        }
        let module = found.0.entry(module).or_default();
        // `a.weight` beside `a/weight`: neither is taken for the other.
        if module.insert(parameter, (name.as_str(), tensor.shape())).is_some() {
            return Err(WeightsError::Unclaimed { place: name.clone() });
        }
    }
    let mut weights: Vec<(Place, Option<String>)> =
        places.into_iter().map(|place| (place, None)).collect();
    found.match_by_name(&mut weights, layout)?;
    found.match_by_shape(&mut weights, &mut notices)?;
    if let Some((place, _)) = found.0.values().flat_map(BTreeMap::values).next() {
        return Err(WeightsError::Unclaimed { place: (*place).to_owned() });
    }
    let missing = |place: &Place| WeightsError::Missing {
        name: place.name.clone(),
        expected: place.arrangement.stored().clone(),
    };
    let mut all = Vec::with_capacity(weights.len());
    for (place, name) in weights {
        match (place.neutral, name) {
            (None, Some(name)) => all.push((place, name)),
            (None, None) => return Err(missing(&place)),
            (Some(value), Some(place)) if !is_throughout(file, &place, value, budget)? => {
                return Err(WeightsError::NotNeutral { place, value });
            }
            (Some(_), _) => {}
        }
    }
    Ok(Matched { layout, weights: all, notices })
}

/// Whether all numbers of a tensor are `value`.
fn is_throughout(
    file: &File<'_>,
    name: &str,
    value: f32,
    budget: &mut Budget,
) -> Result<bool, WeightsError> {
    let Some(tensor) = file.tensors.get(name) else { return Ok(false) };
    let Some(floats) = to_f32(tensor, budget)? else { return Ok(false) };
    let expected = value.to_le_bytes();
    Ok(floats.bytes().chunks(expected.len()).all(|number| number == expected))
}

/// The layout that the file says it has, and else that of its words.
pub(super) fn layout_of(file: &File<'_>) -> Layout {
    // Others may say something else there.
    if let Some(layout) = file.metadata.get(LAYOUT).and_then(|name| Layout::from_name(name)) {
        return layout;
    }
    let is_of_keras = |name: &String| {
        matches!(split(name).1, "kernel" | "gamma" | "beta" | "moving_mean" | "moving_variance")
    };
    if file.tensors.keys().any(is_of_keras) { Layout::Keras } else { Layout::Torch }
}

/// The key of the metadata that tells the layout.
pub(super) const LAYOUT: &str = "layout";

/// The module, and the parameter in it.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once(['.', '/']).unwrap_or(("", name))
}

/// What a module may be called, with either mark between a layer and what it is in.
fn named(module: &str, layout: Layout) -> [String; 2] {
    match layout {
        Layout::Keras => [module.to_owned(), module.replace('/', ".")],
        Layout::Torch => [module.to_owned(), module.replace('.', "/")],
    }
}

type Module<'f> = BTreeMap<&'f str, (&'f str, &'f Shape)>;

/// The tensors that are not yet matched: by module and parameter, their names and shapes.
#[derive(Default)]
struct Modules<'f>(BTreeMap<&'f str, Module<'f>>);

impl Modules<'_> {
    /// Takes what is called as in `layout`.
    fn match_by_name(
        &mut self,
        weights: &mut [(Place, Option<String>)],
        layout: Layout,
    ) -> Result<(), WeightsError> {
        for (place, name) in weights {
            let called = named(&place.module, layout);
            let called = called.into_iter().find(|name| self.0.contains_key(name.as_str()));
            let Some(module) = called.as_deref().and_then(|name| self.0.get_mut(name)) else {
                continue;
            };
            let expected = place.arrangement.stored();
            let Some((found, shape)) = module.remove(place.parameter) else {
                if place.neutral.is_some() {
                    continue;
                }
                let (name, expected) = (place.name.clone(), expected.clone());
                return Err(WeightsError::Missing { name, expected });
            };
            if shape != expected {
                return Err(WeightsError::WeightShape {
                    name: place.name.clone(),
                    expected: expected.clone(),
                    found: shape.clone(),
                    place: found.to_owned(),
                });
            }
            *name = Some(found.to_owned());
        }
        self.0.retain(|_, module| !module.is_empty());
        Ok(())
    }

    /// Takes what has the shapes of a layer, if no other has them, or if those that have them are
    /// numbered.
    fn match_by_shape(
        &mut self,
        weights: &mut [(Place, Option<String>)],
        notices: &mut Vec<Notice>,
    ) -> Result<(), WeightsError> {
        let mut layers: Vec<(String, Vec<usize>)> = Vec::new();
        let mut numbered: BTreeMap<&str, usize> = BTreeMap::new();
        for (number, (place, name)) in weights.iter().enumerate() {
            if name.is_some() {
                continue;
            }
            let next = layers.len();
            let layer = match place.neutral {
                None => *numbered.entry(&place.module).or_insert(next),
                // Of a layer that was found, it may be missing.
                Some(_) => match numbered.get(place.module.as_str()) {
                    Some(&layer) => layer,
                    None => continue,
                },
            };
            match layers.get_mut(layer) {
                Some((_, numbers)) => numbers.push(number),
                None => layers.push((place.module.clone(), vec![number])),
            }
        }
        let mut wanted: BTreeMap<Signature, Vec<(String, Vec<usize>)>> = BTreeMap::new();
        for (module, numbers) in layers {
            let own = numbers.iter().filter_map(|&number| weights.get(number));
            let own = own.map(|(place, _)| (place.parameter, place.arrangement.stored().clone()));
            wanted.entry(Signature::of(own)).or_default().push((module, numbers));
        }
        let mut offered: BTreeMap<Signature, Vec<&str>> = BTreeMap::new();
        for (name, module) in &self.0 {
            let own = module.iter().map(|(parameter, (_, shape))| (*parameter, (*shape).clone()));
            offered.entry(Signature::of(own)).or_default().push(name);
        }
        let mut taken = BTreeSet::new();
        for (signature, layers) in &wanted {
            let mut modules = offered.remove(signature).unwrap_or_default();
            modules.sort_by_key(|name| numbers(name));
            if modules.len() != layers.len() || !are_numbered(&modules) {
                let layer = layers.first().map(|(layer, _)| layer.clone()).unwrap_or_default();
                let expected = signature.to_string();
                let found = told(&modules, layers.len());
                return Err(WeightsError::NoModule { layer, expected, found });
            }
            for ((layer, numbers), module) in layers.iter().zip(modules) {
                for &number in numbers {
                    let Some((place, name)) = weights.get_mut(number) else { continue };
                    let found = self.0.get(module).and_then(|found| found.get(place.parameter));
                    *name = found.map(|(name, _)| (*name).to_owned());
                }
                let (layer, module) = (layer.clone(), module.to_owned());
                taken.insert(module.clone());
                notices.push(Notice::ByShape { layer, module });
            }
        }
        self.0.retain(|name, _| !taken.contains(*name));
        Ok(())
    }
}

/// The parameters of a layer with their shapes, by name.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Signature(BTreeMap<String, Vec<usize>>);

impl Signature {
    fn of<'p>(parameters: impl Iterator<Item = (&'p str, Shape)>) -> Self {
        let parameters = parameters.map(|(name, shape)| (name.to_owned(), shape.dims().to_vec()));
        Self(parameters.collect())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(number, (name, shape))| {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{name} of {}", Shape::new(shape.clone()))
        })
    }
}

/// Whether the names are one but for the numbers in them, so that these tell their order: as in
/// `features.0`, where PyTorch itself counts. A number in a name, as in `out1`, tells nothing of order.
fn are_numbered(modules: &[&str]) -> bool {
    let alike = |(one, other): (&str, &str)| one == other || is_number(one) && is_number(other);
    modules.windows(2).all(|pair| match pair {
        &[one, other] => {
            segments(one).count() == segments(other).count()
                && segments(one).zip(segments(other)).all(alike)
        }
        _ => true,
    })
}

fn segments(name: &str) -> impl Iterator<Item = &str> {
    name.split(['.', '/'])
}

fn is_number(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit())
}

/// The numbers in a name, each by its length first so that 2 comes before 10.
fn numbers(name: &str) -> Vec<(usize, String)> {
    let digits = segments(name).filter(|segment| is_number(segment));
    let digits = digits.map(|digits| digits.trim_start_matches('0'));
    digits.map(|digits| (digits.len(), digits.to_owned())).collect()
}

/// What there is with the shapes that so many layers have.
fn told(modules: &[&str], layers: usize) -> String {
    /// The most names in a message.
    const MOST: usize = 4;
    if modules.is_empty() {
        return "none has these shapes".to_owned();
    }
    let names: Vec<_> = modules.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    let more = if modules.len() > MOST { ", …" } else { "" };
    let is_one_each = modules.len() == layers;
    let layers =
        if layers == 1 { "one layer takes".to_owned() } else { format!("{layers} layers take") };
    let order = if is_one_each { ", in an order that their names do not tell" } else { "" };
    format!("{layers} these shapes, which {}{more} have{order}", names.join(", "))
}

/// The weight at a place, as f32.
pub(super) fn weight(
    tensor: &Tensor<'_>,
    place: &Place,
    name: &str,
    notices: &mut Vec<Notice>,
    budget: &mut Budget,
) -> Result<Tensor<'static>, WeightsError> {
    let found = tensor.dtype().name();
    let wrong = || WeightsError::WeightType { place: name.to_owned(), found };
    let floats = to_f32(tensor, budget)?.ok_or_else(wrong)?;
    if tensor.dtype() != DType::F32 {
        notices.push(Notice::Converted { weight: name.to_owned(), from: found });
    }
    let own =
        place.arrangement.to_own(&floats, budget)?.ok_or_else(|| WeightsError::WeightShape {
            name: place.name.clone(),
            expected: place.arrangement.stored().clone(),
            found: tensor.shape().clone(),
            place: name.to_owned(),
        })?;
    if own.is_borrowed() {
        budget.reserve(own.bytes().len() as u64, "a tensor")?;
    }
    Ok(own.into_owned())
}
