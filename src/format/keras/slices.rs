//! `x[:, 1:3]`, `x[..., 0]`, `x[:, None]`: what Python's indexing takes of a tensor.

use serde_json::Value;

use super::layers::Specs;
use crate::model::{Arrange, LayerSpec};
use crate::tensor::Shape;

/// What stands in the brackets for one axis.
enum Item {
    /// From the first of them to before the second.
    Range(Option<i64>, Option<i64>),
    Index(i64),
    NewAxis,
    Ellipsis,
}

/// What `key` takes of samples of shape `input`, as layers; `None` if there are no such: for a step, or
/// where it chooses among the samples.
pub(super) fn sliced(key: &Value, input: &Shape) -> Option<Specs> {
    let items: Vec<Item> = key.as_array()?.iter().map(item).collect::<Option<_>>()?;
    let has_axis = |item: &&Item| matches!(item, Item::Range(..) | Item::Index(_));
    let rest = (input.rank() + 1).checked_sub(items.iter().filter(has_axis).count())?;
    let (mut specs, mut found) = (Vec::new(), Vec::new());
    // The batch is axis 0.
    let mut dims = [&[1], input.dims()].concat();
    let mut axis = 0;
    for item in items {
        let whole = |axis| dims.get(axis).copied();
        match item {
            Item::Ellipsis => {
                found.extend_from_slice(dims.get(axis..axis + rest)?);
                axis += rest;
                continue;
            }
            Item::NewAxis if axis == 0 => return None,
            Item::NewAxis => {
                found.push(1);
                continue;
            }
            Item::Range(None, None) => found.push(whole(axis)?),
            Item::Range(..) | Item::Index(_) if axis == 0 => return None,
            Item::Range(start, stop) => {
                let size = whole(axis)?;
                let start = start.map_or(Some(0), |start| place(start, size))?;
                let stop = stop.map_or(Some(size), |stop| place(stop, size))?;
                specs.extend(cropped(&mut dims, axis, start, stop)?);
                found.push(stop - start);
            }
            Item::Index(index) => {
                let size = whole(axis)?;
                let is_there = (-i64::try_from(size).ok()?..).contains(&index);
                let start = place(index, size).filter(|_| is_there)?;
                specs.extend(cropped(&mut dims, axis, start, start + 1)?);
            }
        }
        axis += 1;
    }
    found.extend_from_slice(dims.get(axis..)?);
    let found = Shape::new(found.get(1..)?);
    if found != *input {
        specs.push(LayerSpec::Reshape(found));
    }
    Some(specs)
}

/// The places from `start` to before `stop` along an axis: as the columns of an image, whose rows are what
/// stands before the axis and whose channels are what stands behind it.
fn cropped(dims: &mut [usize], axis: usize, start: usize, stop: usize) -> Option<[LayerSpec; 2]> {
    let (before, rest) = dims.split_at_checked(axis)?;
    let (&size, behind) = rest.split_first()?;
    let behind_cut = size.checked_sub(stop).filter(|_| start < stop)?;
    let image = Shape::image(before.iter().product(), size, behind.iter().product());
    *dims.get_mut(axis)? = stop - start;
    let cropping = Arrange::Cropping2d([0, 0, start, behind_cut]);
    Some([LayerSpec::Reshape(image), cropping.into()])
}

/// A place along an axis of that size; below 0 it is counted from the end, beyond that it is the end.
fn place(index: i64, size: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index.min(size)),
        Err(_) => Some(size.saturating_sub(usize::try_from(index.unsigned_abs()).ok()?)),
    }
}

/// As Keras 3 and tf-keras write it.
fn item(value: &Value) -> Option<Item> {
    let bound = |bound: Option<&Value>| match bound {
        None | Some(Value::Null) => Some(None),
        Some(bound) => bound.as_i64().map(Some),
    };
    match value {
        Value::Null => Some(Item::NewAxis),
        Value::Object(object) => {
            if object.get("class_name").is_some_and(|class| class == "__ellipsis__") {
                return Some(Item::Ellipsis);
            }
            let slice = value.get("config").unwrap_or(value);
            // Something else than a slice has no such settings.
            let is_slice = slice.get("start").is_some() && slice.get("stop").is_some();
            let step = bound(slice.get("step"))?;
            let plain = is_slice && step.is_none_or(|step| step == 1);
            plain.then_some(Item::Range(bound(slice.get("start"))?, bound(slice.get("stop"))?))
        }
        index => index.as_i64().map(Item::Index),
    }
}

/// Whether a list is what stands in brackets: of tensors, none is one.
pub(super) fn is_key(values: &[Value]) -> bool {
    let is = |classes: &[&str]| {
        let mut found = values.iter().filter_map(|value| value.get("class_name")?.as_str());
        found.any(|class| classes.contains(&class))
    };
    is(&["__slice__", "__ellipsis__"]) && !is(&["__keras_tensor__"])
}
