//! Writing SavedModels: a function of operations, variables in a bundle, and the objects that bind them.

mod activations;
mod convolutions;
mod function;
mod layers;
mod nodes;
mod objects;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Component, Path};

use prost::Message;

use super::folder::{place_of, version};
use super::{BUNDLE, EXTRA, INDEX, KEPT, MODEL, OBJECTS, SavedModelError, VARIABLES};
use crate::bytes::atomic::{self, Owned};
use crate::bytes::fs::Fs;
use crate::format::content::{Role, is_section_id};
use crate::format::kept::{self, Keep};
use crate::format::{FormatError, SAVED_DIRECTORIES};
use crate::model::Checkpoint;
use crate::wire::MAX_MESSAGE;
use crate::wire::tensorflow::{Value, shard_name, write_bundle};
#[cfg(test)]
use crate::{
    model::Graph,
    wire::tensorflow::{MetaGraphDef, TrackableObjectGraph},
};
use function::{Function, variable_key};

/// How `saved_model.pb` begins: its version, and its graphs.
const MARKER: &[u8] = b"\x08\x01\x12";

/// A SavedModel as it is written here, for whoever replaces it.
pub(in crate::format) const OWNED: Owned<'static> = Owned { mark: (MODEL, MARKER), owns: &is_ours };

/// Saves `checkpoint` as a SavedModel at `path`. As version `NAME/2`, with the directory `NAME` if it is
/// missing: for TensorFlow Serving both are one model.
pub(in crate::format) fn save<F: Fs>(
    fs: &F,
    checkpoint: &Checkpoint<'_>,
    path: &Path,
) -> Result<(), FormatError> {
    let function = Function::of(&checkpoint.graph)?;
    let model = encoded(&objects::saved_model(&function), MAX_MESSAGE)?;
    let place = |number: usize, role: Role| (role == Role::Parameter).then(|| variable_key(number));
    let Keep { texts, tensors } =
        kept::keep(checkpoint, |number, item| place(number, item.role), &[(MODEL, &model)])?;
    let parameters = checkpoint.tensors.iter().zip(&function.variables);
    let parameters =
        parameters.map(|(named, variable)| (variable.key.clone(), named.tensor.borrowed()));
    let mut values: BTreeMap<_, _> =
        (parameters.chain(tensors)).map(|(key, tensor)| (key, Value::Tensor(tensor))).collect();
    let objects = encoded(&objects::trackable(&function.variables), MAX_MESSAGE)?;
    values.insert(OBJECTS.to_owned(), Value::Text(objects));
    let (index, data) = write_bundle(&values);
    let data: Vec<&[u8]> = data.iter().map(Cow::as_ref).collect();
    let name = path.file_name().and_then(|name| name.to_str());
    if let Some(versions) = path.parent().filter(|_| name.and_then(version).is_some()) {
        let io = |source| FormatError::Io { action: "make the directory of versions", source };
        atomic::create_directories_on(fs, versions).map_err(io)?;
    }
    Ok(atomic::replace_directory(fs, path, &SAVED_DIRECTORIES, |scratch| {
        let variables = scratch.directory(VARIABLES)?;
        variables.file(INDEX, &[&index])?;
        variables.file(&shard(), &data)?;
        let kept = scratch.directory(EXTRA)?.directory(KEPT)?;
        let mut folders = BTreeMap::new();
        for (name, text) in &texts {
            let Some((folder, file)) = place_of(name) else { continue };
            let Some(folder) = folder else {
                kept.file(file, &[text])?;
                continue;
            };
            if !folders.contains_key(folder) {
                folders.insert(folder, kept.directory(folder)?);
            }
            folders.get(folder).map_or(Ok(()), |folder| folder.file(file, &[text]))?;
        }
        scratch.file(MODEL, &[&model])
    })?)
}

/// The bytes of a message, `limit` at most. The variables, which stand in the bundle, have no limit.
fn encoded(message: &impl Message, limit: u64) -> Result<Vec<u8>, SavedModelError> {
    let length = message.encoded_len() as u64;
    match length <= limit {
        true => Ok(message.encode_to_vec()),
        false => Err(SavedModelError::TooLarge { length, limit }),
    }
}

/// What is written of a graph, for tests of the reader.
#[cfg(test)]
pub(super) fn written(graph: &Graph) -> (MetaGraphDef, TrackableObjectGraph) {
    let function = Function::of(graph).expect("TensorFlow has all layers");
    let graph = objects::saved_model(&function).meta_graphs.remove(0);
    (graph, objects::trackable(&function.variables))
}

fn shard() -> String {
    format!("{BUNDLE}{}", shard_name(0, 1))
}

/// Whether a path in a directory can be one that this module writes.
fn is_ours(path: &Path) -> bool {
    let names: Vec<&str> = path
        .components()
        .map(|component| match component {
            Component::Normal(name) => name.to_str().unwrap_or_default(),
            _ => "",
        })
        .collect();
    match *names {
        [MODEL | VARIABLES | EXTRA] | [VARIABLES, INDEX] | [EXTRA, KEPT] => true,
        [VARIABLES, name] => name == shard(),
        [EXTRA, KEPT, name] | [EXTRA, KEPT, "sections", name] => is_section_id(name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Function, SavedModelError, encoded, objects};
    use crate::model::{Dense, Sequential};
    use crate::tensor::Shape;

    #[test]
    fn what_protobuf_cannot_hold_is_refused() {
        let graph = Sequential::new(Shape::vector(8)).layer(Dense::new(4)).graph().unwrap();
        let model = objects::saved_model(&Function::of(&graph).unwrap());
        let length = encoded(&model, u64::MAX).unwrap().len() as u64;
        assert!(encoded(&model, length).is_ok());
        let limit = length - 1;
        assert_eq!(encoded(&model, limit), Err(SavedModelError::TooLarge { length, limit }));
    }
}
