//! In which order PyTorch has the features of a vector.
//!
//! `Flatten` makes a vector of an image row by row: of (height, width, channels) here, of (channels, height,
//! width) in PyTorch. What stands behind it, up to the next `Dense`, has its features in that other order.

use std::rc::Rc;

use super::WeightsError;
use crate::bytes::{Budget, BudgetError};
use crate::model::{Arrange, Graph, LayerSpec, Merge, NodeId};
use crate::tensor::Shape;

/// Feature f of PyTorch is feature `order[f]` of keepnet; `None` if each is the same.
pub(super) type Order = Option<Rc<[usize]>>;

/// The order of what each layer of `graph` takes, by the number of the layer.
///
/// # Errors
/// If a layer takes features in another order whose result PyTorch's layers would not give; if the orders
/// take more memory than is left of `budget`.
pub(super) fn orders(graph: &Graph, budget: &mut Budget) -> Result<Vec<Order>, WeightsError> {
    let mut given: Vec<Order> = Vec::with_capacity(graph.nodes().len());
    let mut taken: Vec<Option<Order>> = vec![None; graph.layers().len()];
    for (node, number) in graph.nodes().iter().zip(0..) {
        let inputs: Vec<&Order> =
            node.inputs.iter().filter_map(|&NodeId(at)| given.get(at)).collect();
        let shapes: Vec<&Shape> = node.inputs.iter().map(|&input| graph.shape(input)).collect();
        let layer = graph.layer_of(NodeId(number));
        let refused = |reason| WeightsError::NoLayout { layer: layer.name.clone(), reason };
        let first = inputs.first().and_then(|order| (*order).clone());
        if let Some(taken) = taken.get_mut(node.layer) {
            let before = taken.get_or_insert_with(|| first.clone());
            if *before != first {
                return Err(refused("takes features that PyTorch has in two different orders"));
            }
        }
        let result = graph.shape(NodeId(number));
        match rule(&layer.spec, &inputs, &shapes, result).map_err(refused)? {
            Rule::Same => given.push(None),
            Rule::AsTaken => given.push(first),
            Rule::ChannelsFirst => given.push(channels_first(shapes.first(), budget)?),
            Rule::Joined => given.push(one_after_the_other(&inputs, &shapes, budget)?),
        }
    }
    Ok(taken.into_iter().map(Option::unwrap_or_default).collect())
}

/// What the order of a result is.
enum Rule {
    Same,
    AsTaken,
    ChannelsFirst,
    Joined,
}

fn rule(
    spec: &LayerSpec,
    inputs: &[&Order],
    shapes: &[&Shape],
    result: &Shape,
) -> Result<Rule, &'static str> {
    let (Some(first), Some(shape)) = (inputs.first(), shapes.first()) else {
        return Ok(Rule::Same);
    };
    match spec {
        LayerSpec::Flatten if shape.rank() > 1 => Ok(Rule::ChannelsFirst),
        LayerSpec::Reshape(_) if shape.rank() > 1 && result.rank() == 1 => Ok(Rule::ChannelsFirst),
        LayerSpec::Merge(Merge::Concatenate { .. }) if result.rank() == 1 => Ok(Rule::Joined),
        LayerSpec::Merge(_) if inputs.iter().any(|order| order != first) => {
            Err("joins features that PyTorch has in different orders")
        }
        // Each feature by itself, or all alike.
        LayerSpec::Flatten
        | LayerSpec::Merge(_)
        | LayerSpec::Dropout(_)
        | LayerSpec::BatchNormalization(_)
        | LayerSpec::Activation(_)
        | LayerSpec::Rescaling(_)
        | LayerSpec::Identity
        | LayerSpec::Softmax(_)
        | LayerSpec::PRelu(_)
        | LayerSpec::LayerNormalization(_)
        | LayerSpec::Normalization(_)
        | LayerSpec::ChannelRescaling(_)
        | LayerSpec::Noise(_) => Ok(Rule::AsTaken),
        LayerSpec::Reshape(_)
        | LayerSpec::GroupNormalization(_)
        | LayerSpec::Arrange(Arrange::RepeatVector { .. })
            if first.is_some() =>
        {
            Err("takes the features of a vector by their places, which differ in PyTorch")
        }
        LayerSpec::Input(_)
        | LayerSpec::Conv1d(_)
        | LayerSpec::Conv2d(_)
        | LayerSpec::DepthwiseConv2d(_)
        | LayerSpec::SeparableConv2d(_)
        | LayerSpec::Conv2dTranspose(_)
        | LayerSpec::Dense(_)
        | LayerSpec::Pool1d(_)
        | LayerSpec::Pool2d(_)
        | LayerSpec::GlobalPool1d(_)
        | LayerSpec::GlobalPool2d(_)
        | LayerSpec::Reshape(_)
        | LayerSpec::GroupNormalization(_)
        | LayerSpec::Arrange(_)
        | LayerSpec::BilinearUpSampling2d(_) => Ok(Rule::Same),
    }
}

/// What is to be reserved for an order of so many features.
fn reserve(features: usize, budget: &mut Budget) -> Result<(), BudgetError> {
    // It is gathered before it is shared.
    budget.reserve((features as u64).saturating_mul(2 * size_of::<usize>() as u64), "an order")
}

/// The order of the elements of (…, channels) that (channels, …) has.
fn channels_first(shape: Option<&&Shape>, budget: &mut Budget) -> Result<Order, BudgetError> {
    let elements = shape.and_then(|shape| shape.checked_elements()).unwrap_or(0);
    let channels = shape.and_then(|shape| shape.dims().last().copied()).unwrap_or(1).max(1);
    let places = elements / channels;
    if places <= 1 || channels == 1 {
        return Ok(None);
    }
    reserve(elements, budget)?;
    let of = |channel| (0..places).map(move |place| place * channels + channel);
    Ok(Some((0..channels).flat_map(of).collect()))
}

fn one_after_the_other(
    inputs: &[&Order],
    shapes: &[&Shape],
    budget: &mut Budget,
) -> Result<Order, BudgetError> {
    if inputs.iter().all(|order| order.is_none()) {
        return Ok(None);
    }
    let (mut start, mut all) = (0, Vec::new());
    for (order, shape) in inputs.iter().zip(shapes) {
        let length: usize = shape.dims().iter().product();
        reserve(length, budget)?;
        match order {
            Some(order) => all.extend(order.iter().map(|place| start + place)),
            None => all.extend(start..start + length),
        }
        start += length;
    }
    Ok(Some(all.into()))
}
