//! Models as safetensors, in the names and the layout of Keras or of PyTorch (`docs/INTEROP.md`).
//!
//! The parameters are called as that program calls them (`layout`), its other tensors `optimizer.…`; what
//! has no place among them is kept beside (`format/kept.rs`), texts in the metadata. A file that another program
//! wrote is weights alone, which are matched with a given network (`matching`).

mod arrangement;
mod error;
mod features;
mod layout;
mod matching;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use super::content::Role;
use super::error::Fault;
use super::kept::{self, Container, Keep, Kept, TensorEntry};
use super::report::{Loaded, Notice, Report};
use super::{FormatError, Limits, whole};
use crate::bytes::fs::{Fs, Stat};
use crate::bytes::{Budget, atomic};
use crate::model::{Checkpoint, CompileSettings, Graph, LayerSpec, NamedTensor};
use crate::tensor::{DType, Shape, Tensor};
use crate::wire::safetensors::{File, SafetensorsError, read};
use layout::{BATCHES, Place, places};
use matching::{LAYOUT, Matched, layout_of, matched, weight};

pub use error::WeightsError;
pub use layout::Layout;

impl From<SafetensorsError> for FormatError {
    fn from(error: SafetensorsError) -> Self {
        WeightsError::from(error).into()
    }
}

/// Saves `checkpoint` at `path` in that layout.
pub(super) fn save<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
    layout: Layout,
) -> Result<Option<Stat>, FormatError> {
    let file = file_of(checkpoint, layout)?;
    let pieces = file.to_pieces()?;
    let written = atomic::write_file_on(fs, path, |out| {
        pieces.iter().try_for_each(|piece| out.write_all(piece))
    });
    Ok(written?)
}

fn file_of<'c>(checkpoint: &'c Checkpoint<'_>, layout: Layout) -> Result<File<'c>, FormatError> {
    let graph = &checkpoint.graph;
    // What is saved stands in memory; only what is read is bounded.
    let budget = &mut Budget::new(u64::MAX);
    let places = places(graph, layout, budget)?;
    let filled: Vec<_> = places.iter().filter_map(Place::filled).collect();
    let places = by_parameter(graph, places);
    let mut own = Vec::new();
    let keep = kept::keep(
        checkpoint,
        |_, item| {
            let place = places.get(item.name)?;
            let name = match item.role {
                Role::Parameter => place.name.clone(),
                Role::Slot(slot) => {
                    let slots = &checkpoint.optimizer.as_ref()?.slots;
                    layout.slot_name(slots, slot as usize, &place.name)?
                }
                _ => return None,
            };
            own.push((name.clone(), place, item.tensor));
            Some(name)
        },
        &[],
    )?;
    let Keep { texts, tensors } = keep;
    let mut file = File::default();
    file.metadata.insert(LAYOUT.to_owned(), layout.name().to_owned());
    if layout == Layout::Torch {
        // What programs on top of PyTorch ask for.
        file.metadata.insert("format".to_owned(), "pt".to_owned());
    }
    let text = |(name, text): (_, Vec<u8>)| (name, String::from_utf8_lossy(&text).into_owned());
    file.metadata.extend(texts.into_iter().map(text));
    let mut all: Vec<(String, Tensor<'c>)> = tensors;
    for (name, place, tensor) in own {
        let stored = place.arrangement.to_stored(tensor, budget)?;
        // A checkpoint that is described has tensors of the shapes of its parameters.
        all.extend(stored.map(|stored| (name, stored)));
    }
    if layout == Layout::Torch {
        all.extend(of_torch_alone(checkpoint));
        all.extend(filled);
    }
    for (name, tensor) in all {
        if file.tensors.insert(name.clone(), tensor).is_some() {
            return Err(WeightsError::Twice { name }.into());
        }
    }
    Ok(file)
}

/// Places by the names of the parameters in files of keepnet.
fn by_parameter(graph: &Graph, places: Vec<Place>) -> BTreeMap<String, Place> {
    let names = graph.parameters().iter().map(|parameter| graph.tensor_name(parameter));
    names.zip(places).collect()
}

/// What PyTorch has in a `state_dict` and keepnet has not: how many batches normalisations have seen, which
/// matters where no momentum is set, and is 0; the steps of the optimizer.
#[expect(clippy::cast_possible_truncation, reason = "PyTorch counts the steps in an f32")]
fn of_torch_alone(checkpoint: &Checkpoint<'_>) -> Vec<(String, Tensor<'static>)> {
    let scalar = |name, dtype, bytes: &[u8]| {
        let tensor = Tensor::new(dtype, Shape::default(), bytes.to_vec()).ok()?;
        Some((name, tensor))
    };
    let layers = checkpoint.graph.layers().iter();
    let norms = layers.filter(|layer| matches!(layer.spec, LayerSpec::BatchNormalization(_)));
    let batches = norms.filter_map(|layer| {
        let module = layer.name.replace('/', ".");
        scalar(format!("{module}.{BATCHES}"), DType::I64, &0_i64.to_le_bytes())
    });
    let step = checkpoint.optimizer.as_ref().and_then(|state| {
        let step = (state.step as f64 as f32).to_le_bytes();
        scalar("optimizer.step".to_owned(), DType::F32, &step)
    });
    batches.chain(step).collect()
}

/// Loads the model at `path`, which keepnet has saved there.
///
/// # Errors
/// [`WeightsError::Alone`] if another program wrote the file.
pub(super) fn load_on<F: Fs>(fs: &F, path: &Path, limits: &Limits) -> Result<Loaded, FormatError> {
    let budget = &mut Budget::new(limits.memory);
    let bytes = bytes(fs, path, budget)?;
    from_bytes(&bytes, limits, budget)
}

fn bytes<F: Fs>(fs: &F, path: &Path, budget: &mut Budget) -> Result<Vec<u8>, FormatError> {
    let io = |source| FormatError::Io { action: "read it", source };
    whole::read(fs, fs.open_path(path).map_err(io)?, budget)
}

/// Reads a file of keepnet.
fn from_bytes(bytes: &[u8], limits: &Limits, budget: &mut Budget) -> Result<Loaded, FormatError> {
    let file = read(bytes, budget)?;
    if !file.metadata.keys().any(|key| key.starts_with(kept::PREFIX)) {
        return Err(WeightsError::Alone.into());
    }
    match kept::read(&file, &[], limits, budget)? {
        Kept::Checkpoint(checkpoint) => {
            let report = Report::of_own(&checkpoint);
            Ok(Loaded { checkpoint: *checkpoint, report })
        }
        // No part but the tensors, which have digests.
        Kept::Edited { .. } => Err(WeightsError::Alone.into()),
    }
}

/// The layout of a file of keepnet, which tells it.
fn layout_of_own(file: &File<'_>) -> Result<Layout, FormatError> {
    match file.metadata.get(LAYOUT) {
        Some(name) if Layout::from_name(name).is_none() => {
            let (what, expected) = ("`layout`", "keras or torch".to_owned());
            let fault = Fault::Value { what, expected, found: name.clone() };
            Err(FormatError::damaged("the metadata", 0, fault))
        }
        _ => Ok(layout_of(file)),
    }
}

impl Container for File<'_> {
    fn text(&self, name: &str, _: &mut Budget) -> Result<Option<Cow<'_, [u8]>>, FormatError> {
        Ok(self.metadata.get(name).map(|text| text.as_bytes().into()))
    }

    fn tensors(
        &self,
        graph: &Graph,
        entries: &[TensorEntry],
        budget: &mut Budget,
    ) -> Result<Vec<Tensor<'_>>, FormatError> {
        let places = by_parameter(graph, places(graph, layout_of_own(self)?, budget)?);
        let tensors = entries.iter().map(|entry| {
            let missing = || kept::missing(&entry.path);
            let tensor = self.tensors.get(&entry.path).ok_or_else(missing)?;
            let place = match entry.role {
                Role::Parameter | Role::Slot(_) => places.get(&entry.name),
                _ => None,
            };
            match place {
                Some(Place { arrangement, .. }) => {
                    let own = arrangement.to_own(tensor, budget)?;
                    own.ok_or_else(|| {
                        let expected = arrangement.stored().to_string();
                        let (what, found) = ("its shape", tensor.shape().to_string());
                        FormatError::damaged(&entry.path, 0, Fault::Value { what, expected, found })
                    })
                }
                None => Ok(tensor.borrowed()),
            }
        });
        tensors.collect()
    }
}

/// Loads the weights at `path` into a network, whoever wrote them.
pub(super) fn load_weights_on<F: Fs>(
    fs: &F,
    graph: &Graph,
    compile: Option<&CompileSettings>,
    path: &Path,
    limits: &Limits,
) -> Result<Loaded, FormatError> {
    let budget = &mut Budget::new(limits.memory);
    let bytes = bytes(fs, path, budget)?;
    let file = read(&bytes, budget)?;
    let (tensors, report) = weights_for(&file, graph, budget)?;
    let compile = compile.cloned();
    let checkpoint = Checkpoint { compile, ..Checkpoint::new(graph.clone(), tensors) };
    Ok(Loaded { checkpoint, report })
}

fn weights_for(
    file: &File<'_>,
    graph: &Graph,
    budget: &mut Budget,
) -> Result<(Vec<NamedTensor<'static>>, Report), WeightsError> {
    let Matched { layout, weights, mut notices } = matched(file, graph, budget)?;
    if layout == Layout::Torch && weights.iter().any(|(it, _)| !it.arrangement.moves_nothing()) {
        notices.insert(0, Notice::LayoutOfTorch);
    }
    let mut tensors = Vec::with_capacity(weights.len());
    for (parameter, (place, name)) in graph.parameters().iter().zip(weights) {
        let Some(tensor) = file.tensors.get(&name) else { continue };
        let tensor = weight(tensor, &place, &name, &mut notices, budget)?;
        tensors.push(NamedTensor { name: graph.tensor_name(parameter), tensor });
    }
    let is_own = file.metadata.keys().any(|key| key.starts_with(kept::PREFIX));
    let writer = is_own.then(|| "keepnet".to_owned());
    Ok((tensors, Report { writer, notices, ..Report::default() }))
}
