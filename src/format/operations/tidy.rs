//! What a layer of keepnet does in one, and files in several operations: put together where nothing else
//! takes what stands between.

use super::sketch::{Sketch, Step, nearest, pairwise, vector};
use crate::model::{Activation, LayerSpec};

pub(super) fn tidy(sketch: &mut Sketch) {
    join_affine(sketch);
    for pass in [into_bias, into_activation, without_kept_axes] {
        let uses = sketch.uses();
        for node in 0..sketch.nodes.len() {
            let is_used = |node: usize| uses.get(node).copied().unwrap_or(0);
            let Some(source) = sketch.source(node) else { continue };
            if is_used(node) > 0 && is_used(source) == 1 && pass(sketch, node, source) {
                bypass(sketch, node, source);
            }
        }
    }
    without_effect(sketch);
    as_normalization(sketch);
}

/// Scales and offsets, one upon the other, in one.
fn join_affine(sketch: &mut Sketch) {
    let uses = sketch.uses();
    for node in 0..sketch.nodes.len() {
        let Some(source) = sketch.source(node) else { continue };
        if uses.get(source) != Some(&1) {
            continue;
        }
        let (
            Some(Step::Affine { scale: inner, offset: shift }),
            Some(Step::Affine { scale, offset }),
        ) = (sketch.step(source), sketch.step(node))
        else {
            continue;
        };
        let offset = pairwise(&pairwise(shift, scale, |a, b| a * b), offset, |a, b| a + b);
        let scale = pairwise(inner, scale, |a, b| a * b);
        let inputs = sketch.source(source).into_iter().collect();
        if let Some(node) = sketch.nodes.get_mut(node) {
            (node.step, node.inputs) = (Step::Affine { scale, offset }, inputs);
        }
    }
}

/// Lets all that take `node` take `source` instead.
fn bypass(sketch: &mut Sketch, node: usize, source: usize) {
    let inputs = sketch.nodes.iter_mut().flat_map(|node| &mut node.inputs);
    let outputs = sketch.outputs.iter_mut().map(|(_, node)| node);
    inputs.chain(outputs).filter(|taken| **taken == node).for_each(|taken| *taken = source);
}

/// An offset behind a layer of weights is its bias.
fn into_bias(sketch: &mut Sketch, node: usize, source: usize) -> bool {
    let Some(Step::Affine { scale, offset }) = sketch.step(node).cloned() else { return false };
    if scale.iter().any(|&scale| scale != 1.0) {
        return false;
    }
    let channels = sketch.shape(source).dims().last().copied().unwrap_or(0);
    let offset = pairwise(&vec![0.0; channels], &offset, |_, offset| offset);
    let offset: Vec<f32> = offset.into_iter().map(nearest).collect();
    let Some(Step::Layer(spec, parameters)) = sketch.nodes.get_mut(source).map(|it| &mut it.step)
    else {
        return false;
    };
    if spec.activation() != Activation::Linear {
        return false;
    }
    match (use_bias(spec), vector(&offset)) {
        (Some(use_bias), Some(bias)) if !*use_bias => {
            *use_bias = true;
            parameters.push(("bias", bias));
            true
        }
        _ => false,
    }
}

/// Whether a layer of weights has a bias.
fn use_bias(spec: &mut LayerSpec) -> Option<&mut bool> {
    Some(match spec {
        LayerSpec::Conv1d(conv) => &mut conv.use_bias,
        LayerSpec::Conv2d(conv) => &mut conv.use_bias,
        LayerSpec::DepthwiseConv2d(conv) => &mut conv.use_bias,
        LayerSpec::Conv2dTranspose(conv) => &mut conv.use_bias,
        LayerSpec::Dense(dense) => &mut dense.use_bias,
        _ => return None,
    })
}

/// A function behind a layer of weights is its own.
fn into_activation(sketch: &mut Sketch, node: usize, source: usize) -> bool {
    let Some(&LayerSpec::Activation(function)) = sketch.spec(node) else { return false };
    let Some(Step::Layer(spec, _)) = sketch.nodes.get_mut(source).map(|it| &mut it.step) else {
        return false;
    };
    let own = match spec {
        LayerSpec::Conv1d(conv) => &mut conv.activation,
        LayerSpec::Conv2d(conv) => &mut conv.activation,
        LayerSpec::DepthwiseConv2d(conv) => &mut conv.activation,
        LayerSpec::Conv2dTranspose(conv) => &mut conv.activation,
        LayerSpec::Dense(dense) => &mut dense.activation,
        _ => return false,
    };
    let is_linear = *own == Activation::Linear;
    if is_linear {
        *own = function;
    }
    is_linear
}

/// A vector behind a pool over whole images is what the pool gives without keeping their axes.
fn without_kept_axes(sketch: &mut Sketch, node: usize, source: usize) -> bool {
    let is_vector = sketch.shape(node).rank() == 1;
    if !is_vector || !matches!(sketch.spec(node), Some(LayerSpec::Flatten | LayerSpec::Reshape(_)))
    {
        return false;
    }
    let shape = sketch.shape(node);
    let Some(pool) = sketch.nodes.get_mut(source) else { return false };
    let keep_dims = match &mut pool.step {
        Step::Layer(LayerSpec::GlobalPool2d(pool), _) => &mut pool.keep_dims,
        Step::Layer(LayerSpec::GlobalPool1d(pool), _) => &mut pool.keep_dims,
        _ => return false,
    };
    *keep_dims = false;
    pool.shape = shape;
    true
}

/// Products with 1 and sums with 0 are gone.
fn without_effect(sketch: &mut Sketch) {
    for node in 0..sketch.nodes.len() {
        let Some(Step::Affine { scale, offset }) = sketch.step(node) else { continue };
        let is_nothing = (scale.iter().all(|scale| (scale - 1.0).abs() < 1e-7))
            && offset.iter().all(|&offset| offset == 0.0);
        if let (true, Some(source)) = (is_nothing, sketch.source(node)) {
            bypass(sketch, node, source);
        }
    }
}

/// Scales and offsets of channels, but of an input, can be trained on.
fn as_normalization(sketch: &mut Sketch) {
    for node in 0..sketch.nodes.len() {
        let source = sketch.source(node);
        if source.is_some_and(|source| matches!(sketch.spec(source), Some(LayerSpec::Input(_)))) {
            continue;
        }
        if let Some(Step::Affine { scale, offset }) = sketch.step(node)
            && scale.len().max(offset.len()) > 1
        {
            let step = Step::normalization(scale, offset);
            if let Some(node) = sketch.nodes.get_mut(node) {
                node.step = step;
            }
        }
    }
}
