//! What Keras has no words for stands in the group `/keepnet` of the HDF5 file, where Keras does not look
//! ([`kept`](crate::format::kept)): the digest of the index as an attribute of the group, each text as a
//! dataset of bytes, since HDF5's own texts cannot hold everything.

use std::borrow::Cow;

use super::error::KerasError;
use super::open::Parts;
use crate::bytes::Budget;
use crate::format::kept::{self, Container, Keep, Kept, SHA256, TensorEntry, missing};
use crate::format::{FormatError, Limits};
use crate::model::Graph;
use crate::tensor::{Shape, Tensor};
use crate::wire::hdf5::{Array, Dataset, Group, Node};

pub(super) const GROUP: &str = "keepnet";

const TENSORS: &str = "tensors";

/// Puts what is to be kept below `root`.
pub(super) fn put<'c>(root: &mut Group<'c>, Keep { texts, tensors }: Keep<'c>) {
    let mut group = Group::default();
    group.insert(TENSORS, Node::Group(Group::default()));
    let own = |name: &str| name.strip_prefix(kept::PREFIX).unwrap_or(name).to_owned();
    for (name, text) in texts {
        if name == SHA256 {
            let text = String::from_utf8_lossy(&text);
            group.attributes.insert(own(&name), Array::text(text));
        } else {
            let shape = Shape::vector(text.len());
            let array = Array::Opaque { shape, size: 1, bytes: text.into() };
            group.insert(&own(&name), Node::Dataset(Dataset::from(array)));
        }
    }
    for (name, tensor) in tensors {
        group.insert(&own(&name), Node::Dataset(Dataset::from(tensor)));
    }
    root.members.insert(GROUP.to_owned(), Node::Group(group));
}

/// Reads what is kept in the file, if it is one of keepnet.
///
/// # Errors
/// As [`kept::read`].
pub(super) fn read(
    parts: &Parts<'_>,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Option<Kept>, FormatError> {
    match parts.root.group(GROUP).map_err(KerasError::from)? {
        Some(_) => kept::read(parts.root, &parts.texts, limits, budget).map(Some),
        None => Ok(None),
    }
}

impl Container for Group<'_> {
    fn text(&self, name: &str, _: &mut Budget) -> Result<Option<Cow<'_, [u8]>>, FormatError> {
        if name == SHA256 {
            let group = self.group(GROUP).map_err(KerasError::from)?;
            let digest = group.and_then(|group| group.attributes.get("sha256")?.as_text());
            return Ok(digest.map(|digest| digest.as_bytes().into()));
        }
        let dataset = self.dataset(name).map_err(KerasError::from)?;
        Ok(match dataset.map(|dataset| &dataset.array) {
            Some(Array::Opaque { size: 1, bytes, .. }) => Some(Cow::Borrowed(bytes)),
            _ => None,
        })
    }

    fn tensors(
        &self,
        _: &Graph,
        entries: &[TensorEntry],
        _: &mut Budget,
    ) -> Result<Vec<Tensor<'_>>, FormatError> {
        let tensors = entries.iter().map(|entry| {
            let dataset = self.dataset(&entry.path).map_err(KerasError::from)?;
            let tensor = dataset.and_then(|dataset| dataset.array.tensor());
            Ok(tensor.ok_or_else(|| missing(&entry.path))?.borrowed())
        });
        tensors.collect()
    }
}
