//! Reading SavedModels: what keepnet wrote as it was, what tf-keras wrote by the layers that it describes, and
//! what else there is by its graph of operations.

use std::path::Path;

use prost::bytes::Bytes;

use super::error::SavedModelError;
use super::folder::Files;
use super::{MODEL, TAG, graph, objects};
use crate::bytes::Budget;
use crate::bytes::fs::Fs;
use crate::format::kept::{self, Kept};
use crate::format::report::{Loaded, Notice, Report};
use crate::format::{FormatError, LoadOptions, keras};
use crate::wire::tensorflow::{
    Bundle, MetaGraphDef, SavedMetadata, SavedMetadataObject, SavedModel, decode, saved_object,
};

/// What Keras calls its models among the objects of TensorFlow.
const IDENTIFIERS: [&str; 3] = ["_tf_keras_sequential", "_tf_keras_network", "_tf_keras_model"];

/// Loads the SavedModel at `path`, or the newest version there.
pub(in crate::format) fn load_on<F: Fs>(
    fs: &F,
    path: &Path,
    options: &LoadOptions,
) -> Result<Loaded, FormatError> {
    let limits = &options.limits;
    let budget = &mut Budget::new(limits.memory);
    let files = Files::read(fs, path, limits, budget)?;
    let mut edited = None;
    if let Some(own) = files.kept() {
        match kept::read(&own, &[(MODEL, &files.model)], limits, budget)? {
            Kept::Checkpoint(checkpoint) => {
                let report = Report::of_own(&checkpoint);
                return Ok(Loaded { checkpoint: *checkpoint, report });
            }
            Kept::Edited { part } => edited = Some(Notice::Edited { part }),
        }
    }
    let none = Bundle::default();
    let bundle = files.bundle.as_ref().unwrap_or(&none);
    let trackable = objects::read(bundle, budget)?;
    let beside = files.keras.clone().map(|keras| beside(keras, budget)).transpose()?.flatten();
    let Described { path, metadata } = match beside {
        Some(described) => described,
        None => {
            let mut served = serving(files.model.clone(), budget)?;
            match inside(&mut served) {
                Some(described) => described,
                None => {
                    let mut loaded = graph::load(&served, &trackable, bundle, options, budget)?;
                    loaded.report.notices.extend(edited);
                    return Ok(loaded);
                }
            }
        }
    };
    let objects = objects::with_values(&trackable, bundle)?;
    let member = |object: usize, name: &str| objects.get(object)?.members.get(name).copied();
    let root = path.iter().try_fold(0, |object, name| member(object, name));
    let root = root.ok_or(SavedModelError::NoObject)?;
    let model = keras::SavedModel { metadata: &metadata, objects, root };
    let mut loaded = model.load(options, budget)?;
    loaded.report.notices.extend(edited);
    Ok(loaded)
}

/// A model that Keras has described.
struct Described {
    /// By which members it is reached from the root.
    path: Vec<String>,
    /// JSON.
    metadata: String,
}

fn is_model(identifier: &str) -> bool {
    IDENTIFIERS.contains(&identifier)
}

/// The outermost model that Keras has described in `keras_metadata.pb`, from TensorFlow 2.5 on.
fn beside(keras: Bytes, budget: &mut Budget) -> Result<Option<Described>, SavedModelError> {
    let metadata: SavedMetadata = decode(keras, "`keras_metadata.pb`", budget)?;
    let models = metadata.nodes.into_iter().filter(|node| is_model(&node.identifier));
    let outermost = models.min_by_key(|node| node.node_path.matches('.').count());
    Ok(outermost.map(|SavedMetadataObject { node_path, metadata, .. }| Described {
        path: node_path.split('.').skip(1).map(str::to_owned).collect(),
        metadata,
    }))
}

/// The same among the objects, where it stood before.
fn inside(graph: &mut MetaGraphDef) -> Option<Described> {
    let root = graph.object_graph_def.as_mut()?.nodes.first_mut()?;
    match &mut root.kind {
        Some(saved_object::Kind::UserObject(root))
            if is_model(&root.identifier) && !root.metadata.is_empty() =>
        {
            Some(Described { path: Vec::new(), metadata: std::mem::take(&mut root.metadata) })
        }
        _ => None,
    }
}

/// The graph that predicts.
fn serving(model: Bytes, budget: &mut Budget) -> Result<MetaGraphDef, SavedModelError> {
    let model: SavedModel = decode(model, "`saved_model.pb`", budget)?;
    if model.saved_model_schema_version > 1 {
        return Err(SavedModelError::Version { found: model.saved_model_schema_version });
    }
    let is_served = |graph: &MetaGraphDef| {
        let info = graph.meta_info_def.as_ref();
        info.is_some_and(|info| info.tags.iter().any(|tag| tag == TAG))
    };
    let mut graphs = model.meta_graphs;
    let place = graphs.iter().position(is_served).or_else(|| (graphs.len() == 1).then_some(0));
    place.map(|place| graphs.swap_remove(place)).ok_or(SavedModelError::NoGraph)
}
